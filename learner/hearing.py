"""What everybody said about replies, as lines that a regression can read: for asking about people, not about replies.

Made of the frozen live version's states and the named features of a reply, as the gate's judge sees them (`judge.py`),
and then told in few numbers: people are asked about many times over, so each fit has to take milliseconds.

Shapes: N replies, M opinions, P inputs, D directions kept of them, F features, G people.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor
from transformers import PreTrainedModel

from learner.examples import Examples, Pair, Thumb
from learner.features import NAMES
from learner.inputs import BIAS_PRIOR, Scale, look_at
from learner.logistic import primal
from learner.sequences import Exchange

EACH = 60  # a person's newest opinions that are looked at: enough to know anybody by
DIRECTIONS = 96  # kept of the inputs
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Hearing:
    """Made by `hear`; read by `candour.py` and `crowds.py`."""

    lines: Tensor  # [M, D] float64: a thumb's inputs, or the difference of a pair
    targets: Tensor  # [M]: 1 liked, or the first of a pair preferred
    weights: Tensor  # [M]
    is_thumb: Tensor  # [M]: 1, and 0 for a pair, which says nothing of how easily somebody is content
    of: Tensor  # [M]: whose, as a place in `people`
    people: tuple[str, ...]  # G givers
    replies: Tensor  # [N, D]: everything that was looked at, as lines have it
    features: Tensor  # [N, F]: the same in named features

    def each(self, values: Tensor) -> Tensor:
        """Sums over everybody's own opinions: [M, …] -> [G, …]."""
        return values.new_zeros(len(self.people), *values.shape[1:]).index_add(0, self.of, values)

    @property
    def fair(self) -> Tensor:
        """Weights under which nobody counts more than the median person: [M]."""
        given = self.each(self.weights)
        return self.weights * (given.median() / given).clamp(max=1.0)[self.of]

    def folds(self, seed: int) -> Tensor:
        """Each person's fold, drawn at random: [G]."""
        order = list(range(len(self.people)))
        Random(seed).shuffle(order)
        fold = torch.empty(len(order), dtype=torch.long)
        fold[torch.tensor(order)] = torch.arange(len(order)) % FOLDS
        return fold

    def foretold(self, trusted: Tensor, seed: int) -> Tensor:
        """Logit of each opinion, by what the people of the other folds said: [M].

        Args:
            trusted: [G], how much each person is believed, 1 to -1; below 0 the opposite of what they say is.
        """
        believed, fold = trusted[self.of], self.folds(seed)[self.of]
        targets = torch.where(believed < 0, 1 - self.targets, self.targets)
        weights = self.fair * believed.abs()
        found = torch.empty_like(self.targets)
        for number in range(FOLDS):
            own = fold == number
            found[own] = self.lines[own] @ primal(self.lines, targets, weights * ~own, rounds=12)
        return found


def hear(live: PreTrainedModel, said: Examples, ends: Sequence[int]) -> Hearing:
    """Everybody's newest thumbs and comparisons.

    A rewrite says what its giver thinks, but not of replies as the live version writes them: it is left out.

    Args:
        live: frozen; its states are the inputs.
        ends: tokens that end a reply.
    """
    written = {demonstration.exchange for demonstration in said.demonstrations}
    by_giver: dict[str, list[Thumb | Pair]] = defaultdict(list)
    heard: list[Thumb | Pair] = [*said.thumbs, *(pair for pair in said.pairs if pair.better not in written)]
    for opinion in heard:
        by_giver[opinion.giver].append(opinion)
    people = tuple(sorted(by_giver))
    opinions = [opinion for person in people for opinion in by_giver[person][-EACH:]]
    exchanges = list(dict.fromkeys(e for one in opinions for e in _looked_at(one)))
    row = {exchange: number for number, exchange in enumerate(exchanges)}
    raw = look_at(live, exchanges, ends)  # [N, P]
    scale = Scale(live.config.hidden_size).double()
    scale.fit(raw)
    inputs = torch.cat([torch.full((len(raw), 1), BIAS_PRIOR**0.5, dtype=raw.dtype), scale(raw)], 1)  # [N, 1 + P]
    lines = torch.stack([
        inputs[row[one.exchange]] if isinstance(one, Thumb) else inputs[row[one.better]] - inputs[row[one.worse]]
        for one in opinions
    ])  # fmt: skip
    return of_lines(
        lines,
        lines.new_tensor([float(one.liked) if isinstance(one, Thumb) else one.target for one in opinions]),
        lines.new_tensor([one.weight for one in opinions]),
        lines.new_tensor([isinstance(one, Thumb) for one in opinions]),
        [one.giver for one in opinions],
        inputs,
        raw[:, -len(NAMES) :],
    )


def of_lines(
    lines: Tensor,
    targets: Tensor,
    weights: Tensor,
    is_thumb: Tensor,
    givers: Sequence[str],
    inputs: Tensor,
    features: Tensor,
) -> Hearing:
    """The same from lines and inputs of any width: [M, P] and [N, P]."""
    people = tuple(sorted(set(givers)))
    place = {person: number for number, person in enumerate(people)}
    of = torch.tensor([place[giver] for giver in givers])
    kept = directions(lines)
    return Hearing(lines @ kept, targets, weights, is_thumb, of, people, inputs @ kept, features)


def directions(lines: Tensor) -> Tensor:
    """The directions in which lines differ most: [M, P] -> [P, D], by subspace iteration (Halko 2011, algorithm 4.4).

    A ridge weighs the same along them as in the inputs they come from.
    """
    count = min(DIRECTIONS, *lines.shape)
    generator = torch.Generator().manual_seed(0)
    basis = torch.randn(lines.shape[1], count, generator=generator, dtype=lines.dtype)
    for _ in range(6):
        basis = torch.linalg.qr(lines.T @ (lines @ basis)).Q
    return basis


def _looked_at(opinion: Thumb | Pair) -> tuple[Exchange, ...]:
    return (opinion.exchange,) if isinstance(opinion, Thumb) else (opinion.better, opinion.worse)
