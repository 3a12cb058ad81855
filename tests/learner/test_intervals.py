"""Numbers with the doubt they come with, against numbers worked out by hand and against brute force."""

from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import tensor

from learner.examples import Pair, Thumb
from learner.intervals import Interval, auc, bootstrap, calibration_error, pairs_right, percentiles, thumbs_auc
from learner.sequences import Exchange

GO = Exchange((1,), (2,), "")


def test_auc_by_hand() -> None:
    # Liked 3 and 1 against disliked 2 and 0: 3 > 2, 3 > 0, 1 < 2, 1 > 0 are three of four.
    assert auc(tensor([3.0, 2.0, 1.0, 0.0]), [True, False, True, False]) == 0.75


def test_a_tie_counts_half() -> None:
    assert auc(tensor([1.0, 1.0]), [True, False]) == 0.5


def test_without_both_kinds_nothing_can_be_told_apart() -> None:
    assert auc(tensor([1.0, 2.0]), [True, True]) == 0.5


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=30))
def test_auc_is_the_share_of_pairs_in_the_right_order(rows: list[tuple[int, bool]]) -> None:
    good, bad = [s for s, liked in rows if liked], [s for s, liked in rows if not liked]
    found = auc(tensor([float(score) for score, _ in rows]), [liked for _, liked in rows])
    if good and bad:
        right = sum((g > b) + 0.5 * (g == b) for g in good for b in bad)
        assert found == pytest.approx(right / (len(good) * len(bad)))
    else:
        assert found == 0.5


def test_the_percentile_interval_cuts_both_tails() -> None:
    """Of 100 resamples the 6th and the 6th from the end."""
    found = percentiles(0.5, [number / 100 for number in range(100)], 0.9)
    assert (found.value, found.low, found.high) == (0.5, 0.05, 0.94)


def test_an_interval_of_one_person_has_no_width_and_says_so_by_it() -> None:
    found = bootstrap(lambda rows: float(len(rows)), ["ann"] * 5, 0.95, seed=0)
    assert found == Interval(5.0, 5.0, 5.0)


def test_people_are_drawn_whole_not_rows() -> None:
    """Two people of one mind each: a resample of rows would mix them, one of people often has only one of them."""
    truth = [1.0] * 10 + [0.0] * 10
    found = bootstrap(lambda rows: sum(truth[r] for r in rows) / len(rows), ["a"] * 10 + ["b"] * 10, 0.9, seed=1)
    assert (found.low, found.high) == (0.0, 1.0)


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """150 worlds of 30 people with a coin of .6 each; a 90 % interval should miss 15 times, and not 40."""
    rng = Random(3)
    missed = 0
    for world in range(150):
        coins = [float(rng.random() < 0.6) for _ in range(30)]
        found = bootstrap(lambda rows: sum(coins[r] for r in rows) / len(rows), [str(i) for i in range(30)], 0.9, world)  # noqa: B023
        missed += not found.low <= 0.6 <= found.high
    assert 3 <= missed <= 30


def test_thumbs_are_judged_in_their_order() -> None:
    said = [Thumb(who, Exchange((1,), (2,), ""), liked) for who, liked in (("a", True), ("b", False), ("c", True))]
    assert thumbs_auc(tensor([2.0, 1.0, 3.0]), said, 0.95, 0).value == 1.0


def test_pairs_in_the_right_order_by_hand() -> None:
    # 2 > 1 is right, 1 < 2 is wrong, 1 = 1 is half: 1.5 of 3. Whoever found both alike is not asked.
    said = [Pair(who, GO, GO, target) for who, target in (("a", 1.0), ("b", 1.0), ("c", 1.0), ("d", 0.5))]
    found = pairs_right(tensor([2.0, 1.0, 1.0, 9.0]), tensor([1.0, 2.0, 1.0, 0.0]), said, 0.95, 0)
    assert found is not None and found.value == 0.5 and found.low < 0.5 < found.high
    assert pairs_right(tensor([9.0]), tensor([0.0]), said[3:], 0.95, 0) is None


def test_calibration_error_by_hand() -> None:
    # Two bins of two: .5 foretold and .5 liked; then .5 foretold and all liked. (2 x 0 + 2 x .5) / 4
    logits = tensor([-0.0, -0.0, 1e-6, 1e-6])
    assert calibration_error(logits, [True, False, True, True], bins=2) == pytest.approx(0.25, abs=1e-5)


def test_a_sure_and_right_forecast_is_calibrated() -> None:
    assert calibration_error(torch.tensor([-30.0, 30.0]), [False, True], bins=2) == pytest.approx(0.0)


def test_an_interval_reads_as_a_person_would_say_it() -> None:
    assert str(Interval(0.5, 0.25, 0.75)) == "0.500 (0.250 to 0.750)"
    assert Interval(0.123456, 0.0, 1.0).to_json() == {"value": 0.1235, "low": 0.0, "high": 1.0}
