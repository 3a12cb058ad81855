"""The words on the pages, from the client's own files: tests name them in English, whatever language is shown."""

import re
from functools import cache
from pathlib import Path

from backtalk.asking import ASPECTS, REASONS

FILES = Path(__file__).parents[2] / "client" / "src" / "words"
PART = re.compile(r"(?P<opened>\w+): \{|(?P<closed>\})|(?P<name>\w+):\s*'(?P<text>(?:[^'\\\n]|\\.)*)'")


def said(english: str, language: str, **holes: object) -> str:
    """What the pages say in a language for what they say in English; a path (`opinion.original`) where English has the
    same words for two things.

    Args:
        holes: what stands for `{{name}}`.
    """
    text = leaves("en").get(english, english) if language == "en" else _chinese(english)
    for name, value in holes.items():
        text = text.replace(f"{{{{{name}}}}}", str(value))
    return text


def _chinese(english: str) -> str:
    chinese = leaves("zh")
    if english in chinese:
        return chinese[english]
    asked = {one.label_en: one.label_zh for one in (*ASPECTS, *REASONS)}
    found = {chinese[path] for path, text in leaves("en").items() if text == english} or {asked.get(english, "")}
    assert len(found) == 1 and found != {""}, f"{english!r} is {len(found - {''})} things in Chinese: {found}"
    return found.pop()


@cache
def leaves(language: str) -> dict[str, str]:
    """Each word by its path in the file."""
    found: dict[str, str] = {}
    above: list[str] = []
    for part in PART.finditer((FILES / f"{language}.ts").read_text(encoding="utf-8")):
        if part["opened"]:
            above.append(part["opened"])
        elif part["closed"]:
            del above[-1:]
        else:
            found[".".join((*above, part["name"]))] = part["text"]
    return found
