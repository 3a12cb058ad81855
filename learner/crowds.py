"""Do people want one thing, or do two groups of them want different things?

What is left of everybody's opinions when that which everybody likes is taken away should be chance. Where it is not,
some people's rest points the same way and others' the opposite one: the leading direction of agreement splits them in
two. Whether the split is real is asked twice: against the same opinions dealt out to people anew (a permutation test),
and by foretelling half of a person's opinions from the group that the other half puts them into.

Shapes: M opinions, G people, D directions, N replies, F features.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from backtalk.agreement import wilson
from learner.features import NAMES
from learner.hearing import Hearing
from learner.intervals import Interval, auc, bootstrap
from learner.logistic import primal

FEWEST = 10
"""With fewer people two groups are two persons."""
LARGEST = 400  # people whose agreement with each other is worked out; it grows with their cube
DEALT = 100  # times that opinions are dealt out anew
CHANCE = 2.5
"""Standard deviations beyond what dealing out anew gives, from which on a split is looked into."""
SMALLEST = 0.15
"""Share of the people from which on a group is a crowd and not a few who are odd."""
ROUNDS = 6
RESAMPLES = 200
NAMED = 3  # features that tell the groups apart


@dataclass(frozen=True, slots=True)
class Crowds:
    """Two groups. Made by `find`, told by `trust.py`."""

    second: Tensor  # [G], the chance that a person is of the smaller group
    share: Interval  # of the people, in the smaller group
    own: float  # AUC of opinions, foretold by others of one's own group
    other: float  # and by the other group
    ahead: Interval  # how far one's own foretells better
    likes: dict[str, float]  # what the smaller group likes more than the larger, by named feature; the strongest first

    @property
    def is_opposed(self) -> bool:
        """Whether each likes what the other does not, beyond wanting something else."""
        return self.other < 0.5


def find(said: Hearing, foretold: Tensor, trusted: Tensor, confidence: float, seed: int) -> Crowds | None:
    """Two groups of people, where there surely are two.

    Args:
        foretold: [M], logits by the others.
        trusted: [G], 0 for those who are left out.
    """
    people = (trusted > 0).nonzero()[:, 0]
    if len(people) < FEWEST:
        return None
    rest = said.targets - _as_everybody(said, foretold)  # [M]
    some = people[said.each(said.weights)[people].argsort(descending=True)[:LARGEST]].sort().values
    strength, side = _agreement(said, rest, said.lines, some)
    generator = torch.Generator().manual_seed(seed)
    counted = trusted[said.of].bool().nonzero()[:, 0]
    by_chance = []
    for _ in range(DEALT):
        dealt = torch.arange(len(rest))
        dealt[counted] = counted[torch.randperm(len(counted), generator=generator)]
        by_chance.append(_agreement(said, rest[dealt], said.lines[dealt], some)[0])
    usual = torch.tensor(by_chance)
    if strength < float(usual.mean() + CHANCE * usual.std()):
        return None
    second = torch.full_like(trusted, 0.5)
    second[some] = (side > 0).to(second.dtype)
    for _ in range(ROUNDS):
        second = _sides(said, second, trusted, torch.ones_like(said.targets), seed)
    if float(second[people].mean()) > 0.5:
        second = 1 - second
    return _tell(said, second, trusted, confidence, seed)


def _as_everybody(said: Hearing, foretold: Tensor) -> Tensor:
    """Chance of each opinion by what everybody likes, given how easily its giver is content and how sharply they see.

    A person's own offset and slope are drawn to the common ones: ridge regression.
    """
    thumb = said.is_thumb[:, None]
    own = torch.nn.functional.one_hot(said.of, len(said.people)).to(foretold.dtype)  # [M, G]
    columns = [2 * thumb, foretold[:, None], 0.7 * own * thumb, 0.5 * own * foretold[:, None]]
    lines = torch.cat(columns, 1)
    return (lines @ primal(lines, said.targets, said.weights, rounds=12)).sigmoid()


def _agreement(said: Hearing, rest: Tensor, lines: Tensor, people: Tensor) -> tuple[float, Tensor]:
    """How far people's rests agree in their leading direction, and who is on which side of it: [len(people)]."""
    weights = said.weights
    count = said.each(weights * said.is_thumb).clamp_min(1e-9)
    own = said.each(weights * said.is_thumb * rest) / count  # [G]: nobody's mean counts, only what they tell apart
    pull = said.each((weights * (rest - said.is_thumb * own[said.of]))[:, None] * lines)[people]
    agreement = pull @ pull.T
    agreement.fill_diagonal_(0.0)
    values, vectors = torch.linalg.eigh(agreement)
    return float(values[-1]), vectors[:, -1]


def _models(said: Hearing, second: Tensor, weights: Tensor) -> Tensor:
    """What either group likes: [D, 2]."""
    of_second = second[said.of]
    sides = (weights * (1 - of_second), weights * of_second)
    return torch.stack([primal(said.lines, said.targets, side, rounds=12) for side in sides], 1)


def _sides(said: Hearing, second: Tensor, trusted: Tensor, seen: Tensor, seed: int) -> Tensor:
    """Everybody's side again, by how likely either group of the other folds makes what they said: [G].

    Args:
        seen: [M], 0 for opinions that are not looked at.
    """
    fold, logits = said.folds(seed)[said.of], said.lines.new_empty(len(said.targets), 2)
    for number in range(int(fold.max()) + 1):
        own = fold == number
        logits[own] = said.lines[own] @ _models(said, second, said.fair * trusted[said.of] * ~own)
    targets = said.targets[:, None]
    likely = -torch.nn.functional.binary_cross_entropy_with_logits(logits, targets.expand(-1, 2), reduction="none")
    each = said.each((said.weights * seen)[:, None] * likely)  # [G, 2]
    among = (second * trusted).sum() / trusted.sum()
    return (each[:, 1] - each[:, 0] + torch.logit(among.clamp(0.05, 0.95))).sigmoid()


def _tell(said: Hearing, second: Tensor, trusted: Tensor, confidence: float, seed: int) -> Crowds | None:
    """What the split is worth; None where it foretells nothing, or hardly anybody is on one side."""
    generator = torch.Generator().manual_seed(seed)
    halves = torch.rand(len(said.targets), generator=generator) < 0.5
    own, other = torch.empty_like(said.targets), torch.empty_like(said.targets)
    fold = said.folds(seed)[said.of]
    for half in (halves, ~halves):  # one half says where a person belongs, the other is foretold
        side = _sides(said, second, trusted, (~half).to(said.targets.dtype), seed)[said.of] > 0.5
        for number in range(int(fold.max()) + 1):
            rows = (fold == number) & half
            logits = said.lines[rows] @ _models(said, second, said.fair * trusted[said.of] * (fold != number))
            own[rows] = torch.where(side[rows], logits[:, 1], logits[:, 0])
            other[rows] = torch.where(side[rows], logits[:, 0], logits[:, 1])
    counted = (trusted[said.of] * said.is_thumb * (said.targets != 0.5) > 0).nonzero()[:, 0]
    liked = (said.targets[counted] > 0.5).tolist()

    def ahead(rows: list[int]) -> float:
        truth = [liked[row] for row in rows]
        return auc(own[counted][rows], truth) - auc(other[counted][rows], truth)

    givers = [said.people[person] for person in said.of[counted].tolist()]
    # Who is alike was looked for in the same opinions: what they foretell has to be surer than a number looked at once.
    found = bootstrap(ahead, givers, 1 - (1 - confidence) / 5, seed, RESAMPLES)
    everybody = int(trusted.sum())
    count = round(float((second * trusted).sum()))
    if found.low <= 0 or count < SMALLEST * everybody:
        return None
    share = Interval(count / everybody, *wilson(count, everybody))
    by_own, by_other = auc(own[counted], liked), auc(other[counted], liked)
    return Crowds(second, share, by_own, by_other, found, _likes(said, second, trusted))


def _likes(said: Hearing, second: Tensor, trusted: Tensor) -> dict[str, float]:
    """Correlation of each named feature with how much more the smaller group likes a reply."""
    models = _models(said, second, said.fair * trusted[said.of])
    more = said.replies @ (models[:, 1] - models[:, 0])  # [N]
    more = (more - more.mean()) / more.std().clamp_min(1e-9)
    features = said.features.to(more.dtype)
    features = (features - features.mean(0)) / features.std(0).clamp_min(1e-9)
    found = (features * more[:, None]).mean(0)
    order = found.abs().argsort(descending=True)[:NAMED].tolist()
    return {NAMES[number]: round(float(found[number]), 2) for number in order}
