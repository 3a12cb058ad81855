"""What the ledger alone says of a candidate: thumbs of people held out, weighed by how likely it would say the same.

Each logged reply keeps the log-probs it was drawn with. With w = π(reply) / π_logged(reply) the share of likes under
another version is estimated by Σ w·liked / Σ w (self-normalised importance sampling: Swaminathan & Joachims 2015, "The
self-normalized estimator for counterfactual learning", NeurIPS 28). Whole replies are weighed, so the weights grow
apart exponentially with the length: where the effective sample size (Σ w)² / Σ w² says that next to nothing is left, no
estimate is told. No reward model has a part in it, which is its use.

Shapes: N rated replies.
"""

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from backtalk.tables import Json
from learner.dataset import Logged
from learner.examples import Thumb
from learner.intervals import bootstrap
from learner.sequences import all_logprobs

ENOUGH = 20.0
"""Effective replies below which no estimate is told."""
LARGEST = 300.0
"""No reply is taken to be more than e to this likelier than it was, so that sums stay finite."""
TOO_FEW = "too few: the candidate would give hardly any of the rated replies"
RESAMPLES = 500


def measure(
    live: PreTrainedModel,
    candidate: PreTrainedModel,
    thumbs: Sequence[Thumb],
    logged: Sequence[Logged],
    confidence: float,
    seed: int,
) -> Json:
    """Share of likes under both versions and their difference, or that there is too little to tell it from.

    Args:
        thumbs: of people held out.
        logged: the ledger; replies without log-probs, or drawn with a filter, say nothing here.
    """
    drawn = {one.exchange: one for one in logged if one.logprobs and one.temperature}
    rated = [thumb for thumb in thumbs if thumb.exchange in drawn]
    if not rated:
        return {"rated": 0, "told": TOO_FEW}
    entries = [drawn[thumb.exchange] for thumb in rated]
    before, after = weights(live, entries), weights(candidate, entries)
    liked = torch.tensor([thumb.liked for thumb in rated], dtype=torch.float64)  # [N]
    trusted = torch.tensor([thumb.weight for thumb in rated], dtype=torch.float64)  # [N]
    sizes = [effective(before * trusted), effective(after * trusted)]
    found: Json = {
        "rated": len(rated),
        "effective": dict(zip(("live", "candidate"), (round(size, 1) for size in sizes), strict=True)),
    }
    if min(sizes) < ENOUGH:
        return found | {"told": TOO_FEW}

    def share(weight: Tensor, rows: list[int]) -> float:
        own = weight[rows] * trusted[rows]
        return float((own * liked[rows]).sum() / own.sum())

    def gain(rows: list[int]) -> float:
        return share(after, rows) - share(before, rows)

    people, everything = [thumb.person for thumb in rated], list(range(len(rated)))
    return found | {
        "liked": {"live": round(share(before, everything), 4), "candidate": round(share(after, everything), 4)},
        "gain": bootstrap(gain, people, confidence, seed, RESAMPLES).to_json(),
    }


def weights(policy: PreTrainedModel, logged: Sequence[Logged]) -> Tensor:
    """How many times likelier `policy` gives each reply than it was drawn: [N] float64."""
    ratios = torch.empty(len(logged), dtype=torch.float64)
    by_temperature: dict[float, list[int]] = defaultdict(list)
    for row, one in enumerate(logged):
        by_temperature[one.temperature or 1.0].append(row)
    for temperature, rows in by_temperature.items():
        own = all_logprobs(policy, [logged[row].exchange for row in rows], temperature)
        for row, line in zip(rows, own, strict=True):
            ratios[row] = float(line.double().sum()) - sum(logged[row].logprobs)
    return ratios.clamp_max(LARGEST).exp()


def effective(weight: Tensor) -> float:
    """The effective sample size of weights, [N]: (Σ w)² / Σ w² (Kong 1992), and no more than Σ w.

    Weights are 1 on average, so where their sum falls short, what the policy would say was not drawn at all, however
    alike the weights of what was.
    """
    squares = float((weight**2).sum())
    return min(float(weight.sum()) ** 2 / squares, float(weight.sum())) if squares else 0.0
