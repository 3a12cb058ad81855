"""What opinions say, as examples to learn from. Made by `dataset`; read by reward models, policy and gate.

`person` is the unit that is held out as a whole: whoever said it, or with very few people the question it was said of;
`giver` is whoever said it in either case.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from backtalk.tables import Json
from learner.sequences import Exchange


@dataclass(frozen=True, slots=True)
class Thumb:
    """Somebody liked a reply or did not."""

    person: str
    exchange: Exchange
    liked: bool
    weight: float = 1.0
    giver: str = ""
    at: datetime | None = None  # when it was said


@dataclass(frozen=True, slots=True)
class Pair:
    """Somebody prefers one reply to another one to the same prompt; `target` is .5 where they were found equal."""

    person: str
    better: Exchange
    worse: Exchange
    target: float = 1.0
    weight: float = 1.0
    giver: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """Somebody gave a reply 1 to 5 points for an aspect."""

    person: str
    exchange: Exchange
    aspect: str
    points: float
    giver: str = ""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """Somebody wrote how a reply should have been."""

    person: str
    exchange: Exchange


@dataclass(frozen=True, slots=True)
class Examples:
    """Opinions of several people."""

    thumbs: list[Thumb] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    demonstrations: list[Demonstration] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.thumbs) + len(self.pairs) + len(self.scores)

    @property
    def counts(self) -> Json:
        """How much there is of each kind, as runs tell it."""
        return {
            "liked": sum(thumb.liked for thumb in self.thumbs),
            "disliked": sum(not thumb.liked for thumb in self.thumbs),
            "rewrites": len(self.demonstrations),
            "pairs": len(self.pairs),
            "scores": len(self.scores),
        }

    def people(self) -> list[str]:
        """Everybody who said something, in a fixed order."""
        said: list[Thumb | Pair | Score | Demonstration]
        said = [*self.thumbs, *self.pairs, *self.scores, *self.demonstrations]
        return sorted({opinion.person for opinion in said})

    def of(self, people: Collection[str]) -> "Examples":
        """What these people said."""
        return Examples(
            [e for e in self.thumbs if e.person in people],
            [e for e in self.pairs if e.person in people],
            [e for e in self.scores if e.person in people],
            [e for e in self.demonstrations if e.person in people],
        )

    def exchanges(self) -> list[Exchange]:
        """Every exchange that something was said about, once."""
        said: list[Thumb | Score | Demonstration] = [*self.thumbs, *self.scores, *self.demonstrations]
        found = [opinion.exchange for opinion in said]
        found += [e for pair in self.pairs for e in (pair.better, pair.worse)]
        return list(dict.fromkeys(found))
