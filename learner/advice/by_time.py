"""Held out by time: is what people liked until a moment still what they like after it?

People held out tell how well people are known; only time tells whether the taste has changed. The linear model is
fitted on the older opinions of those who teach and asked about their newest: beside its AUC on people held out
(`linear` in the report), what is lost is lost to time. The reward model has learned from the newest opinions as well,
so of it the newest ones of the people held out are told.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from backtalk.tables import Json
from learner.examples import Examples, Thumb
from learner.intervals import calibration_error, thumbs_auc
from learner.linear import Design
from learner.logistic import solve

NEWEST = 0.2
"""Share of the thumbs that are the newest: as many as people are held out by default."""
FEWEST = 10
"""Of fewer thumbs nothing is told."""


def measure(
    taught: Examples, design: Design, held_out: Examples, logits: Tensor, confidence: float, seed: int
) -> list[Json]:
    """How well the newest thumbs are foretold; nothing where no time is known.

    Args:
        design: the opinions of those who teach as lines of a regression, the thumbs first.
        logits: of being liked, of the thumbs held out, by the reward model: [N].
    """
    times = sorted(thumb.at for thumb in (*taught.thumbs, *held_out.thumbs) if thumb.at is not None)
    if not times:
        return []
    since = times[round((1 - NEWEST) * (len(times) - 1))]

    def newest(thumbs: Sequence[Thumb]) -> list[int]:
        return [row for row, thumb in enumerate(thumbs) if thumb.at is not None and thumb.at >= since]

    later, own = newest(taught.thumbs), newest(held_out.thumbs)
    older = torch.ones(len(taught.thumbs), dtype=torch.bool)
    older[later] = False
    asked = [("newest", logits[own], [held_out.thumbs[row] for row in own])]
    if older.any():  # else all that they said is newer, or they only compared
        lines, targets, weights = (part[: len(older)] for part in (design.lines, design.targets, design.weights))
        known = solve(lines[older], targets[older], weights[older])  # [1 + F]
        asked.insert(0, ("later", (lines[later] @ known).float(), [taught.thumbs[row] for row in later]))
    days = round((times[-1] - since).total_seconds() / 86400, 2)
    return [
        {"opinions": name, "days": days} | _foretold(found, thumbs, confidence, seed)
        for name, found, thumbs in asked
        if len(thumbs) >= FEWEST
    ]


def _foretold(logits: Tensor, thumbs: Sequence[Thumb], confidence: float, seed: int) -> Json:
    return {
        "thumbs": len(thumbs),
        "auc_newest": thumbs_auc(logits, thumbs, confidence, seed).to_json(),
        "calibration_error": round(calibration_error(logits, [thumb.liked for thumb in thumbs]), 4),
    }
