"""How often the candidate's reply beats the live version's, as the gate's judge sees it, and how often at equal length.

People and judges like long replies, so a win rate alone rewards length (arXiv 2310.03716). The length is regressed out
as length-controlled AlpacaEval does (arXiv 2404.04475): a logistic regression of the win on the difference in
length, and of that the win rate where there is none.

Shapes: N questions.
"""

from collections.abc import Sequence
from random import Random

import torch
from torch import Tensor

from backtalk.tables import Json
from learner.intervals import Interval, percentiles
from learner.logistic import primal
from learner.sequences import Exchange

RESAMPLES = 200
PRIOR = 3.0
"""Standard deviation of the prior of both weights, in logits."""


def measure(before: Sequence[Exchange], after: Sequence[Exchange], liked: Tensor, confidence: float, seed: int) -> Json:
    """Both win rates with intervals, and how often the candidate's reply is the longer one.

    Args:
        liked: logits of being liked of the replies before, and then of those after: [2N].
    """
    half = len(before)
    wins = win(liked[:half], liked[half:])  # [N]
    longer = torch.tensor([len(new.reply) - len(old.reply) for old, new in zip(before, after, strict=True)]).double()
    questions: dict[tuple[int, ...], list[int]] = {}
    for row, exchange in enumerate(before):
        questions.setdefault(exchange.prompt, []).append(row)
    rng, names = Random(seed), sorted(questions)
    resamples = [
        [row for name in rng.choices(names, k=len(names)) for row in questions[name]] for _ in range(RESAMPLES)
    ]
    everything = list(range(half))

    def interval(each: list[float], value: float) -> Json:
        found: Interval = percentiles(value, each, confidence)
        return found.to_json()

    return {
        "rate": interval([float(wins[rows].mean()) for rows in resamples], float(wins.mean())),
        "controlled": interval(
            [at_equal_length(wins[rows], longer[rows]) for rows in resamples],
            at_equal_length(wins[everything], longer[everything]),
        ),
        "longer": round(float((longer > 0).double().mean() + 0.5 * (longer == 0).double().mean()), 4),
    }


def win(before: Tensor, after: Tensor) -> Tensor:
    """1 where the second reply is liked more, .5 where they are liked alike: [N], [N] -> [N]."""
    return (after > before).double() + 0.5 * (after == before).double()


def at_equal_length(wins: Tensor, longer: Tensor) -> float:
    """The win rate that a difference in length of 0 goes with.

    Args:
        wins: [N], 0 to 1.
        longer: [N], tokens that the candidate's reply is longer by.
    """
    spread = float(longer.std(correction=0)) if len(longer) > 1 else 0.0
    slope = (longer / spread).tanh() if spread else torch.zeros_like(longer)
    lines = torch.stack([torch.ones_like(longer), slope], 1) * PRIOR  # [N, 2]
    beta = primal(lines, wins, torch.ones_like(wins))
    return float((beta[0] * PRIOR).sigmoid())
