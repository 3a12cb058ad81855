"""Questions with known right answers: the bundled probes that a new version is examined with, and the rule by which a
reply counts as right.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

PROBES = Path(__file__).parent / "probes.json"


@dataclass(frozen=True, slots=True)
class Probe:
    """One question (the last of `turns`, people's and the policy's in turn), what a right reply contains, and the
    domain it stands for.
    """

    domain: str
    language: str
    turns: tuple[str, ...]
    accepted: tuple[str, ...]

    @property
    def messages(self) -> list[dict[str, str]]:
        """The question with what came before it, as the chat template takes it."""
        return [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(self.turns)]


def is_right(reply: str, accepted: tuple[str, ...] | list[str]) -> bool:
    """Whether `reply` contains one of `accepted`, in any case, and not as a part of a longer Latin word or number ("2"
    is not in "12").
    """
    text = reply.casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return any(re.search(rf"(?<![0-9a-z]){re.escape(want.casefold())}(?![0-9a-z])", text) for want in accepted)


def probes() -> list[Probe]:
    """The bundled probes."""
    return [
        Probe(entry["domain"], entry["language"], tuple(entry["turns"]), tuple(entry["accepted"]))
        for entry in json.loads(PROBES.read_text(encoding="utf-8"))
    ]
