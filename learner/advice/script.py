"""In which script a text is written: Latin, Chinese, Cyrillic and so on, as Unicode names its letters.

Not its language: that would need a model of every language. But who asks in Chinese and is answered in English, or the
other way round, is seen.
"""

import re
import unicodedata
from collections import Counter

WITHOUT_SPACES = frozenset({"cjk", "kana", "thai"})
"""Scripts that put no space between words: each letter counts, for a word takes one or two of them."""
CLEAR = 0.6
"""A text is of a script that makes up this much of it; else it is of none."""


def script_of(text: str) -> str | None:
    """The script of most words, in small letters (`latin`, `cjk`, `cyrillic`, …); None where none is clear."""
    found: Counter[str] = Counter()
    for word in re.findall(r"[^\W\d_]+", text):
        letters = Counter(_script(letter) for letter in word)
        for script, count in letters.items():
            found[script] += count if script in WITHOUT_SPACES else 1
    if found["kana"]:  # Japanese writes with Chinese characters as well
        found["kana"] += found.pop("cjk", 0)
    if not found:
        return None
    script, count = found.most_common(1)[0]
    return script if count >= CLEAR * found.total() else None


def _script(letter: str) -> str:
    name = unicodedata.name(letter, "unknown").split()[0].lower()
    return "kana" if name in ("hiragana", "katakana", "katakana-hiragana") else name
