"""How far two rewards agree, how far one agrees with people, and how far people agree with each other.

Shapes: N texts.
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Z = 1.959964
"""Of a normal variable 95 in 100 lie within so many standard deviations."""


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


def cohens_kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Agreement of two raters beyond what chance would bring, from their answers to the same items.

    κ = (p_o - p_e) / (1 - p_e) (Cohen 1960, Educational and Psychological Measurement 20). 1: they always agree; 0: as
    often as by chance; None of nothing, or where both always said the same one thing.
    """
    count = len(pairs)
    if not count:
        return None
    observed = sum(one == other for one, other in pairs) / count
    ones, others = (Counter(side) for side in zip(*pairs, strict=True))
    expected = sum(ones[answer] * others[answer] for answer in ones) / count**2
    return (observed - expected) / (1 - expected) if expected < 1 else None


def krippendorffs_alpha(items: Sequence[Sequence[str]]) -> float | None:
    """Agreement of any number of raters, each of whom has answered some of the items, for nominal answers.

    α = 1 - D_o / D_e from the matrix of coincidences (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability").
    None where no item has two answers, or all answers are the same.

    Args:
        items: the answers to each, in any order; those with fewer than two say nothing.
    """
    paired = [answers for answers in items if len(answers) > 1]
    total = Counter(answer for answers in paired for answer in answers)
    count = total.total()
    if len(total) < 2:
        return None
    disagreeing = 0.0  # pairs of unlike answers to one item; each item counts as many as it has answers
    for answers in paired:
        of = Counter(answers)
        disagreeing += (len(answers) ** 2 - sum(own**2 for own in of.values())) / (len(answers) - 1)
    by_chance = (count**2 - sum(own**2 for own in total.values())) / (count - 1)
    return 1 - disagreeing / by_chance


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share (E. B. Wilson 1927): stays inside [0, 1] and is honest for few trials."""
    if trials == 0:
        return 0.0, 1.0
    share, spread = hits / trials, Z * Z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = Z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)
