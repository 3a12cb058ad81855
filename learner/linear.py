"""The article's linear model: named features, one readable weight each, fitted in closed form in well under a second.

It is always fitted beside the neural reward model: the baseline to beat, and a reward for when opinions are few.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from backtalk.tables import Json
from learner.examples import Examples
from learner.features import NAMES, describe
from learner.logistic import solve
from learner.sequences import Exchange, all_logprobs

PRIOR, BIAS_PRIOR = 0.3, 9.0  # prior variances of a standardised feature's weight, and of the bias


@dataclass(frozen=True, slots=True)
class LinearModel:
    """Logit of being liked = bias + Σ weight·(feature - mean) / spread."""

    bias: float
    weights: Tensor  # [F] float64
    mean: Tensor  # [F]
    spread: Tensor  # [F]

    def logits(self, features: Tensor) -> Tensor:
        """Logit of being liked: [N, F] -> [N]."""
        side = ((features.double() - self.mean) / self.spread).clamp(-5, 5)
        return (self.bias + side @ self.weights).float()

    def preference(self, exchanges: Sequence[Exchange], policy: PreTrainedModel, ends: Sequence[int]) -> Tensor:
        """Logit of being liked of each exchange: [N]."""
        return self.logits(describe(exchanges, all_logprobs(policy, exchanges), ends))

    def readable(self) -> Json:
        """Every weight by its feature's name, for one standard deviation more of it; the strongest first."""
        order = self.weights.abs().argsort(descending=True).tolist()
        return {"bias": round(self.bias, 4)} | {NAMES[i]: round(float(self.weights[i]), 4) for i in order}


@dataclass(frozen=True, slots=True)
class Design:
    """Opinions as lines of a regression. Made by `tabulate`; read by `fit` and `influence.py`."""

    lines: Tensor  # [M, 1 + F] float64: bias and features of a thumb or a score, or the difference of a pair
    targets: Tensor  # [M]
    weights: Tensor  # [M]
    givers: tuple[str, ...]  # M of them
    mean: Tensor  # [F]
    spread: Tensor  # [F]

    def scaled(self, features: Tensor) -> Tensor:
        """Features in plain units as a line has them, without the bias: [N, F] -> [N, F]."""
        return _scaled(features, self.mean, self.spread)


def _scaled(features: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
    scaled: Tensor = ((features.double() - mean) / spread).clamp(-5, 5) * PRIOR**0.5
    return scaled


def tabulate(policy: PreTrainedModel, examples: Examples, ends: Sequence[int]) -> Design:
    """Thumbs, the differences of pairs, and scores (1 to 5 points as 0 to 1).

    Args:
        policy: reference of the likelihood features.
    """
    exchanges = examples.exchanges()
    row = {exchange: number for number, exchange in enumerate(exchanges)}
    features = describe(exchanges, all_logprobs(policy, exchanges), ends).double()  # [N, F]
    mean, spread = features.mean(0), features.std(0, correction=0).clamp_min(1e-2)
    side = _scaled(features, mean, spread)
    lines: list[Tensor] = []
    targets: list[float] = []
    weights: list[float] = []
    givers: list[str] = []

    def add(line: Tensor, bias: float, target: float, weight: float, giver: str) -> None:
        lines.append(torch.cat([line.new_tensor([bias * BIAS_PRIOR**0.5]), line]))
        targets.append(target)
        weights.append(weight)
        givers.append(giver)

    for thumb in examples.thumbs:
        add(side[row[thumb.exchange]], 1.0, float(thumb.liked), thumb.weight, thumb.giver)
    for pair in examples.pairs:
        add(side[row[pair.better]] - side[row[pair.worse]], 0.0, pair.target, pair.weight, pair.giver)
    for score in examples.scores:
        add(side[row[score.exchange]], 1.0, (score.points - 1) / 4, 0.5, score.giver)
    said, weighed = torch.tensor(targets).double(), torch.tensor(weights).double()
    return Design(torch.stack(lines), said, weighed, tuple(givers), mean, spread)


def fit(design: Design) -> LinearModel:
    """Ridge logistic regression."""
    solution = solve(design.lines, design.targets, design.weights)
    bias, weights = float(solution[0]) * BIAS_PRIOR**0.5, solution[1:] * PRIOR**0.5
    return LinearModel(bias, weights, design.mean, design.spread)
