"""What can be counted about a text: named features in any language and for any taste.

The learner's models see them, and operators' rules of reward speak of them.
"""

import math
import re
from itertools import pairwise

_SENTENCE = re.compile(r"[^.!?。！？\n]*[.!?。！？\n]+|[^.!?。！？\n]+$")
_WORD = re.compile(r"[一-鿿぀-ヿ가-힯]|[^\W_]+(?:['’][^\W_]+)*")
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s", re.MULTILINE)
_EMOJI = re.compile("[\u2600-\u27bf\U0001f300-\U0001faff]")

# Small closed classes of words, English and Chinese. They name what grammar books name, not what anyone wants to hear.
_CLASSES = {
    "words of courtesy": "please|kindly|thanks?|thank you|welcome|sorry|pleasure|certainly|请|谢谢|感谢|抱歉|您|敬",
    "words of doubt": "maybe|perhaps|possibly|might|may|probably|i think|guess|seems?|not sure|可能|也许|大概|我想",
    "words of reason": "because|since|therefore|so that|due to|reason|thus|hence|因为|所以|由于|因此|原因",
    "words of example": "for example|for instance|such as|e\\.g|例如|比如",
    "words of contrast": "but|however|although|though|yet|instead|但是|不过|然而|虽然",
    "words of greeting": "hi|hello|hey|dear|good (?:day|morning|evening)|你好|您好|嗨|亲爱的",
    "words of joy": "great|happy|glad|love(?:ly)?|wonderful|fun|awesome|nice|wow|joy|enjoy|高兴|开心|太棒|好玩|愉快",
    "words of help": "help|hope|here for you|at your|service|assist|feel free|帮|希望|效劳|随时",
    "second person": "you|your|yours|yourself|you're|you'll|你|您|你们",
    "first person": "i|me|my|mine|i'm|i'll|i've|we|our|我|我们",
    "negations": "not|no|never|cannot|don't|can't|isn't|won't|不|没|无",
    "contractions": "\\w+['’](?:s|m|re|ll|ve|d|t)",
}
_MATCHES = {
    name: re.compile("|".join(word if ord(word[0]) > 0x2E7F else rf"\b(?:{word})\b" for word in words.split("|")))
    for name, words in _CLASSES.items()
}

_SIZES = (0, 4, 8, 12, 20, 32)  # words, from more than the first to at most the second
_PARTS = ("one sentence", "two sentences", "three sentences")

TEXT_NAMES = (
    "words (log)",
    *(f"{low + 1} to {high} words" for low, high in pairwise(_SIZES)),
    "sentences",
    *_PARTS,
    "words a sentence (log)",
    "lines",
    "words of the first sentence (log)",
    "words of the last sentence (log)",
    "letters a word",
    "ends with a question",
    "ends with an exclamation",
    "ends with a full stop",
    "questions",
    "exclamations",
    "commas",
    "colons",
    "ellipses",
    "quotation marks",
    "brackets",
    "numbers",
    "emoji",
    "bullets",
    "begins with a bullet",
    "capital letters",
    "Chinese",
    "words said twice",
    *_CLASSES,
)


def text_features(text: str) -> list[float]:
    """The features of `TEXT_NAMES`, in their order."""
    stripped, lowered = text.strip(), text.lower()
    words = _WORD.findall(lowered)
    sentences = [s for s in (part.strip() for part in _SENTENCE.findall(text)) if _WORD.search(s)] or [""]
    lengths = [len(_WORD.findall(sentence)) for sentence in sentences]
    letters = [c for c in text if c.isalpha()]
    bare = _EMOJI.sub("", stripped).rstrip()
    return [
        math.log1p(len(words)),
        *(float(low < len(words) <= high) for low, high in pairwise(_SIZES)),
        float(min(len(sentences), 12)),
        *(float(len(sentences) == count) for count in range(1, len(_PARTS) + 1)),
        math.log1p(len(words) / len(sentences)),
        float(min(stripped.count("\n"), 12)),
        math.log1p(lengths[0]),
        math.log1p(lengths[-1]),
        sum(map(len, words)) / max(len(words), 1),
        float(bare.endswith(("?", "？"))),
        float(bare.endswith(("!", "！"))),
        float(bare.endswith((".", "。"))),
        _few(text, "?？"),
        _few(text, "!！"),
        _few(text, ",，、;；"),
        _few(text, ":："),
        float("..." in text or "…" in text),
        _few(text, "\"“”「」'‘"),
        _few(text, "()（）[]"),
        float(min(len(re.findall(r"\d+", text)), 6)),
        float(min(len(_EMOJI.findall(text)), 6)),
        float(min(len(_BULLET.findall(text)), 12)),
        float(bool(_BULLET.match(text))),
        sum(c.isupper() for c in letters) / max(len(letters), 1),
        sum("一" <= c <= "鿿" for c in letters) / max(len(letters), 1),
        1 - len(set(words)) / max(len(words), 1),
        *(float(min(len(match.findall(lowered)), 4)) for match in _MATCHES.values()),
    ]


def _few(text: str, characters: str) -> float:
    return float(min(sum(text.count(c) for c in characters), 6))
