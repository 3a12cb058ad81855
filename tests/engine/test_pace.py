"""Prompts take their time, and no more."""

import random
from statistics import median

import pytest

from backtalk.engine.pace import BREATH, FEWEST, SHARE, Pace


def run(pace: Pace, base: float, each: float, decoding: int, filling: int, steps: int = 400) -> float:
    """A machine on which steps take base + each x tokens, and a quarter more or less; returns what the pace allows in
    the middle of the last half."""
    chance, allowed = random.Random(0), []
    for _ in range(steps):
        prompt = pace.prefill(decoding, filling)
        prompt = 256 if prompt is None else prompt
        pace.learn((base + each * prompt) * chance.uniform(0.8, 1.25), decoding, prompt)
        allowed.append(prompt)
    return median(allowed[steps // 2 :])


@pytest.mark.parametrize(("base", "each"), [(0.04, 0.0005), (0.001, 0.00002), (0.5, 0.002)])
def test_a_prompt_takes_as_long_as_the_rest_of_the_step(base: float, each: float) -> None:
    assert run(Pace(), base, each, decoding=8, filling=1) == pytest.approx(SHARE * base / each, rel=0.3)


def test_each_prompt_that_waits_has_its_share() -> None:
    one, three = run(Pace(), 0.04, 0.0005, 8, 1), run(Pace(), 0.04, 0.0005, 8, 3)
    assert three == pytest.approx(3 * one, rel=0.3)


def test_where_as_many_wait_for_their_first_token_as_for_their_next_there_is_no_limit() -> None:
    pace = Pace()
    run(pace, 0.04, 0.0005, 8, 1)
    assert pace.prefill(8, 8) is None


def test_it_follows_a_machine_that_becomes_slower() -> None:
    pace = Pace()
    assert run(pace, 0.04, 0.0005, 8, 1) == pytest.approx(56, rel=0.3)
    assert run(pace, 0.08, 0.001, 8, 1) == pytest.approx(56, rel=0.3)
    assert run(pace, 0.08, 0.004, 8, 1) == pytest.approx(14, rel=0.3)
    assert run(pace, 0.08, 0.04, 8, 1) == FEWEST


def test_one_step_that_seems_to_cost_nothing_does_not_open_the_door() -> None:
    pace = Pace()
    allowed = run(pace, 0.04, 0.0005, 8, 1)
    pace.learn(0.001, 8, 50)
    after = pace.prefill(8, 1)
    assert after is not None
    assert after <= 1.5 * allowed


def test_with_nobody_to_disturb_there_is_no_limit() -> None:
    pace = Pace()
    assert pace.prefill(0, 3) is None
    pace.learn(1.0, 0, 10)
    pace.learn(0.001, 3, 0)
    assert pace.prefill(3, 1) == FEWEST


def test_before_anything_is_known_a_little_is_allowed_and_then_a_step_without_shows_what_it_takes() -> None:
    pace = Pace()
    allowed = []
    for _ in range(BREATH + 1):
        allowed.append(pace.prefill(3, 1))
        pace.learn(0.001, 3, allowed[-1] or 0)
    assert allowed == [FEWEST] * BREATH + [0]
