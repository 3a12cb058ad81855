"""What is said on the stage: the standard stream, and the conversations that stand above it."""

import re
from functools import cache
from itertools import cycle, islice

PIECES = 900
"""Of the standard stream: nine seconds at 100 a second."""

_SECTIONS = (
    """## Counting words

Here is **how to count words**, step by step, as one would do it on a quiet afternoon:

1. Split the text at spaces, and keep what is *between* them.
2. Count each word, ignoring case; `Counter` does it in one line.
3. Sort by count and show the first few.

""",
    '''```python
from collections import Counter

def frequent(text: str, most: int = 3) -> list[tuple[str, int]]:
    """The most frequent words of a text."""
    return Counter(text.lower().split()).most_common(most)

print(frequent("the rain in spain stays mainly in the plain"))
```

''',
    """| Word | Count | Share |
|:-----|------:|------:|
| the  | 12    | 8 %   |
| of   | 7     | 5 %   |
| rain | 3     | 2 %   |

""",
    """> The share of a word is its count by the count of all words; a text that repeats itself has few large
> shares.

The entropy is $H = -\\sum_i s_i \\log s_i$, and for equal shares it is largest:

$$H \\le \\log n$$

See [the manual](https://docs.python.org/3/library/collections.html) for more. 中文也可以：**强调**正常显示。

""",
)
_EARLIER = (
    "How do I count words in Python?",
    "Use a `Counter`:\n\n```python\nfrom collections import Counter\nCounter(text.split())\n```\n\n"
    "It is a **dictionary** that counts.",
    "And how do I sort them?",
    "1. Call `most_common(3)`.\n2. It returns a *list* of pairs, the most frequent first.\n\n"
    "| word | count |\n|---|---|\n| the | 12 |\n| of | 7 |",
)


@cache
def stream() -> tuple[str, ...]:
    """The standard stream, in pieces as a model makes them: whole words with their space, long ones in parts."""
    pieces = re.findall(r"\s*\S{1,6}|\s+", "".join(islice(cycle(_SECTIONS), 40)))
    return tuple(pieces[:PIECES])


def earlier(count: int) -> list[dict[str, str]]:
    """So many messages that stand above it, questions and replies in turn."""
    return [
        {"role": "assistant" if turn % 2 else "user", "content": f"{_EARLIER[turn % 4]}\n\n(message {turn})"}
        for turn in range(count)
    ]
