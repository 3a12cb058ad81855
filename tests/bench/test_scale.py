"""The simulation of many people agrees with what is known and with what was measured."""

import pytest

from bench.scale import ENGINES, Asked, Engine, carries, hour, run

STEADY = Engine("steady", 0.01, 0.002, 4)


def test_a_reply_alone_takes_a_step_for_each_token() -> None:
    found = run(STEADY, [Asked(0.0, 10)], 1.0)
    assert found.first == pytest.approx(0.012) and found.between == pytest.approx(0.012)
    assert found.busy == pytest.approx(0.12)


def test_whoever_finds_no_seat_waits_for_one() -> None:
    found = run(STEADY, [Asked(0.0, 10) for _ in range(5)], 1.0)
    assert found.first == pytest.approx(10 * 0.018 + 0.012), "the fifth begins when the four have ended"


@pytest.mark.parametrize(("streams", "measured"), [(1, 226), (8, 764), (32, 1015), (128, 1127)])
def test_steps_cost_what_was_measured(streams: int, measured: float) -> None:
    """Tokens per CPU second of shape S, from docs/performance.md ("pages")."""
    engine = ENGINES[0]
    assert streams / (engine.fixed + engine.each * streams) == pytest.approx(measured, rel=0.03)


def test_more_people_wait_longer_and_a_replica_carries_what_it_says() -> None:
    engine = ENGINES[0]
    able = carries(engine)
    assert hour(engine, able, seconds=600.0).first <= 1.0
    assert hour(engine, 2 * able, seconds=600.0).first > hour(engine, able / 4, seconds=600.0).first
