"""The test that takes versions back: its sums by hand, what it never does, and what it finds."""

import itertools
from math import log
from random import Random

import numpy as np
import pytest

from backtalk import sequential
from backtalk.sequential import ALTERNATIVES, Comparison, Evidence, Measure, log_block

ALPHA = 0.05


def test_a_block_is_worth_what_the_paper_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """One bad outcome with the canary, one good one without, at θ_a = 0.9 and θ_b = 0.3: θ_0 = (0.9 + 0.3) / 2."""
    monkeypatch.setattr(sequential, "ALTERNATIVES", np.array([[0.9, 0.3]]))
    comparison = Comparison(np.zeros(1))
    comparison.add(False, False)
    comparison.add(True, True)  # ends the block
    comparison.add(False, False)
    assert comparison.log_wealth[0] == pytest.approx(log(0.9 / 0.6) + log(0.7 / 0.4))
    assert comparison.evidence == pytest.approx(0.9 / 0.6 * 0.7 / 0.4)


def test_the_expectation_of_a_block_is_at_most_one_while_the_canary_is_no_worse() -> None:
    """Summed over all outcomes of one person here and three there, for every common rate and for better canaries."""
    for rate, better in ((0.05, 0.0), (0.3, 0.0), (0.3, 0.2), (0.7, 0.0), (0.95, 0.3)):
        expected = np.zeros(len(ALTERNATIVES))
        for outcomes in itertools.product((False, True), repeat=4):
            canary, *control = outcomes
            chance = (rate - better) if canary else 1 - (rate - better)
            for bad in control:
                chance *= rate if bad else 1 - rate
            expected += chance * np.exp(log_block([canary], control))
        assert (expected <= 1 + 1e-12).all()


def test_a_person_counts_once_however_often_they_speak() -> None:
    measure = Measure()
    for _ in range(10):
        measure.add("good", False, False)
    for _ in range(1000):
        measure.add("angry", True, True)
    assert measure.evidence < 1 / ALPHA, "one person takes no version back"
    assert measure.rate(True) == 1.0
    assert len(measure.outcomes[True]) == 1000


def trial(
    seed: int, canary: float, control: float, *, people: int = 60, share: float = 0.33, alike: float = 4.0
) -> bool:
    """Is the version taken back within 200 replies of the canary? People differ: their rates are Beta-distributed."""
    rng = Random(seed)
    evidence = Evidence()
    inside = [number < share * people for number in range(people)]
    leaning = [rng.betavariate(alike, alike) - 0.5 for _ in range(people)]
    said = 0
    while said < 200:
        person = rng.randrange(people)
        rate = (canary if inside[person] else control) + leaning[person]
        evidence.add("thumbs_down", person, inside[person], rng.random() < rate)
        evidence.add("failed", person, inside[person], rng.random() < 0.01)
        evidence.add("length", person, inside[person], rng.random() < 0.05)
        evidence.add("latency", person, inside[person], rng.random() < 0.05)
        said += inside[person]
        if evidence.total >= 1 / ALPHA:
            return True
    return False


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_a_version_that_is_as_good_is_hardly_ever_taken_back(rate: float) -> None:
    """A hundred trials each of versions that are the same; α = 0.05 allows five on average, the bound is far off."""
    assert sum(trial(seed, rate, rate) for seed in range(100)) <= 5


def test_a_better_version_is_not_taken_back() -> None:
    assert not any(trial(seed, 0.2, 0.5) for seed in range(20))


def test_a_version_that_is_liked_far_less_is_taken_back() -> None:
    assert sum(trial(seed, 0.95, 0.4) for seed in range(20)) >= 18


@pytest.mark.parametrize("is_canary_first", [True, False])
def test_a_bad_version_is_found_though_all_its_people_come_before_or_after_the_others(is_canary_first: bool) -> None:
    """As they do where everybody asks at once and it answers at once, or never comes to an end."""
    evidence = Evidence()
    for is_canary in (is_canary_first, not is_canary_first):
        for number in range(20 if is_canary else 60):
            evidence.add("thumbs_down", (is_canary, number), is_canary, is_canary)
    assert evidence.total >= 1 / ALPHA


def test_failures_are_found_within_few_people() -> None:
    evidence = Evidence()
    for number in range(40):
        evidence.add("failed", f"control {number}", False, False)
    for number in range(6):
        evidence.add("failed", f"canary {number}", True, True)
        for control in range(3):
            evidence.add("failed", f"more {number} {control}", False, False)
    assert evidence.total >= 1 / ALPHA
