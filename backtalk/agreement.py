"""How far two rewards agree, and how far one agrees with people, by rank.

Shapes: N texts.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def ranks(values: Sequence[float]) -> Vector:
    """The place of each value in their order, from 1; equal ones share the mean of their places: [N]."""
    array = np.asarray(values, dtype=np.float64)
    _, which, counts = np.unique(array, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    found: Vector = (ends - (counts - 1) / 2)[which]
    return found


def rank_correlation(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Spearman's ρ: the correlation of ranks, from -1 to 1; None where one of the two does not vary."""
    one, other = ranks(left), ranks(right)
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])


def auc(values: Sequence[float], good: Sequence[bool]) -> float | None:
    """How often a good one has the higher value (Mann-Whitney); None where all are alike."""
    told = np.asarray(good, dtype=bool)
    goods, bads = int(told.sum()), int((~told).sum())
    if not goods or not bads:
        return None
    return float((ranks(values)[told].sum() - goods * (goods + 1) / 2) / (goods * bads))
