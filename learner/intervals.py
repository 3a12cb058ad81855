"""How sure a number is: rank statistics of scores and opinions, with intervals from a bootstrap over people."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from random import Random

import torch
from torch import Tensor

from backtalk.tables import Json
from learner.examples import Pair, Thumb

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with the interval it lies in with the gate's confidence."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"

    def to_json(self) -> Json:
        """Rounded, for reports."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def auc(scores: Tensor, liked: Sequence[bool]) -> float:
    """Chance that a liked reply scores above a disliked one, ties half (Mann-Whitney); .5 where one kind is missing."""
    truth = torch.tensor(liked, dtype=torch.bool)
    good, bad = scores[truth].double(), scores[~truth].double()
    if not len(good) or not len(bad):
        return 0.5
    difference = good[:, None] - bad[None, :]
    return float(((difference > 0).double() + 0.5 * (difference == 0).double()).mean())


def thumbs_auc(scores: Tensor, thumbs: Sequence[Thumb], confidence: float, seed: int) -> Interval:
    """AUC of scores for these thumbs, in their order; its interval by a bootstrap over people."""
    liked, people = [thumb.liked for thumb in thumbs], [thumb.person for thumb in thumbs]
    return bootstrap(lambda rows: auc(scores[rows], [liked[row] for row in rows]), people, confidence, seed)


def pairs_right(better: Tensor, worse: Tensor, pairs: Sequence[Pair], confidence: float, seed: int) -> Interval | None:
    """Share of pairs in whose order people and scores agree, ties half; None where nobody prefers one of any two.

    Args:
        better: scores of the replies that people prefer, in the order of `pairs`; so is `worse`.
    """
    told = [row for row, pair in enumerate(pairs) if pair.target > 0.5]
    if not told:
        return None
    right = ((better > worse).double() + 0.5 * (better == worse).double())[told]
    return bootstrap(lambda rows: float(right[rows].mean()), [pairs[row].person for row in told], confidence, seed)


def bootstrap(
    measure: Callable[[list[int]], float],
    groups: Sequence[str],
    confidence: float,
    seed: int,
    resamples: int = RESAMPLES,
) -> Interval:
    """A measure of rows with an interval from drawing whole groups (people) with replacement.

    Args:
        measure: of a list of row numbers, which may repeat.
        groups: the group of each row.
    """
    rng = Random(seed)
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    names = sorted(members)
    found = [
        measure([row for name in rng.choices(names, k=len(names)) for row in members[name]]) for _ in range(resamples)
    ]
    return percentiles(measure(list(range(len(groups)))), found, confidence)


def percentiles(value: float, found: Sequence[float], confidence: float) -> Interval:
    """The percentile interval of what resamples found (Efron 1979)."""
    ordered, last, tail = sorted(found), len(found) - 1, (1 - confidence) / 2
    return Interval(value, ordered[round(tail * last)], ordered[round((1 - tail) * last)])


def calibration_error(logits: Tensor, liked: Sequence[bool], bins: int = 10) -> float:
    """Expected calibration error: |share liked - probability foretold|, mean over equally filled bins."""
    chance, order = logits.sigmoid(), logits.argsort()
    truth = torch.tensor(liked, dtype=torch.float32)
    parts = [part for part in torch.tensor_split(order, bins) if len(part)]
    gaps = [len(part) * float((truth[part].mean() - chance[part].mean()).abs()) for part in parts]
    return sum(gaps) / max(len(liked), 1)
