"""How far rewards and people agree, against worked examples."""

import pytest

from backtalk.agreement import auc, cohens_kappa, krippendorffs_alpha, rank_correlation, ranks

DIAGNOSES = {"aa": 53, "ab": 5, "ac": 2, "ba": 11, "bb": 14, "bc": 5, "ca": 1, "cb": 6, "cc": 3}
"""Of 100 subjects by two raters (Fleiss, Cohen & Everitt 1969, Psychological Bulletin 72, table 1)."""
OBSERVERS = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
"""Four observers, twelve units, some not seen (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", C)."""
TWO_OBSERVERS = ("0100000010", "1110010000")
"""Two observers, two values (the same paper, A)."""


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


def test_kappa_of_the_example_of_its_authors() -> None:
    pairs = [(cell[0], cell[1]) for cell, count in DIAGNOSES.items() for _ in range(count)]
    assert cohens_kappa(pairs) == pytest.approx(0.429, abs=5e-4)  # (.70 - .475) / (1 - .475)


def test_kappa_beside_the_point() -> None:
    assert cohens_kappa([("up", "up"), ("down", "down")]) == 1
    assert cohens_kappa([("up", "down"), ("down", "up")]) == -1
    assert cohens_kappa([]) is None
    assert cohens_kappa([("up", "up")] * 9) is None, "where there is nothing to tell apart, agreeing is no merit"


def test_alpha_of_the_examples_of_its_author() -> None:
    units = [[value for value in seen if value != "."] for seen in zip(*OBSERVERS, strict=True)]
    assert krippendorffs_alpha(units) == pytest.approx(0.743, abs=5e-4)
    assert krippendorffs_alpha(list(zip(*TWO_OBSERVERS, strict=True))) == pytest.approx(0.095, abs=5e-4)


def test_alpha_looks_at_what_two_have_answered() -> None:
    assert krippendorffs_alpha([["up", "up"], ["down", "down"], ["up"]]) == 1
    assert krippendorffs_alpha([["up"], ["down"]]) is None
    assert krippendorffs_alpha([["up", "up"]] * 5) is None
