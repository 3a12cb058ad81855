"""Planned times and jumping clocks (F11, F12); the smallest tier of `slots.py`."""

from tests.faults import slots


def test_every_planned_time_is_settled_once_whatever_the_clocks_do() -> None:
    outcome = slots.run(seed=1, trials=12)
    assert outcome.violations == []
    assert outcome.acked > 300
