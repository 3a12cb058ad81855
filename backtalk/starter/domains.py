"""What a domain of talk is: rows of facts, the ways people ask for them, and the ways to answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from backtalk.starter.frames import FRAMES
from backtalk.starter.styles import Content, Tone

Row: TypeAlias = Mapping[str, str]

FRAMED = 0.4  # share of questions that are a topic in a frame, where a domain has topics


@dataclass(frozen=True, slots=True)
class Domain:
    """One thing people ask for. Every text is a format string over the columns of a row; a question that begins with
    `~` is held out of training.
    """

    name: str
    language: str
    rows: tuple[Row, ...]
    asks: tuple[str, ...]
    short: tuple[str, ...]
    says: tuple[str, ...]
    more: tuple[str, ...]
    points: tuple[str, ...]
    accepted: tuple[str, ...]
    third: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()  # what is wanted, as a frame takes it
    follows: tuple[str, ...] = ()  # questions that lean on an earlier turn about another row
    leans: tuple[tuple[str, tuple[str, ...]], ...] = ()  # the same, where the earlier row shares the column named first
    subject: str = ""  # the column a near miss replaces
    tone: Tone = "fair"

    def content(self, row: Row) -> Content:
        """What the right answer says for `row`."""

        def fill(texts: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(text.format(**row) for text in texts)

        return Content(
            fill(self.short), fill(self.says), fill(self.more), fill(self.points), fill(self.third), self.tone
        )

    def question(self, row: Row, rng: Random, *, held_out: bool = False, texts: tuple[str, ...] = ()) -> str:
        """A way to ask for `row`, one of `asks` or of `texts`; `held_out` asks in words that training never uses (where
        there are some).
        """
        framed = not texts and self.topics and rng.random() < FRAMED
        texts = texts or (FRAMES[self.language] if framed else self.asks)
        chosen = [text for text in texts if text.startswith("~") == held_out] or [
            text for text in texts if not text.startswith("~")
        ]
        text = rng.choice(chosen).removeprefix("~")
        if framed:
            text = text.replace("{x}", rng.choice(self.topics))
            text = text[:1].upper() + text[1:]
        return text.format(**row)

    def answers(self, row: Row) -> tuple[str, ...]:
        """What a right reply contains, one of them."""
        return tuple(text.format(**row) for text in self.accepted)


def table(text: str, columns: str) -> tuple[dict[str, str], ...]:
    """Rows of a `|`-separated table under space-separated column names."""
    names = columns.split()
    return tuple(dict(zip(names, line.split("|"), strict=True)) for line in text.strip().splitlines())
