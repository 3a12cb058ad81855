"""How far rewards agree, against numbers worked out by hand."""

import pytest

from backtalk.agreement import auc, rank_correlation, ranks


def test_equal_values_share_their_places() -> None:
    assert ranks([10, 20, 20, 30]).tolist() == [1, 2.5, 2.5, 4]


def test_the_correlation_of_ranks() -> None:
    assert rank_correlation([1, 2, 3], [1, 10, 100]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert rank_correlation([1, 2, 3, 4], [1, 2, 4, 3]) == pytest.approx(0.8)  # 1 - 6·2 / (4·15)
    assert rank_correlation([1, 1, 1], [1, 2, 3]) is None


def test_the_area_under_the_curve() -> None:
    assert auc([0.9, 0.8, 0.1], [True, True, False]) == 1
    assert auc([0.9, 0.5, 0.5], [True, False, True]) == pytest.approx(0.75)  # of two pairs one won, one tied
    assert auc([1, 2], [True, True]) is None
