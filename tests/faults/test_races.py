"""Learners at once and zombies (F10); the smallest tier of `races.py`."""

from tests.faults import races


def test_one_of_several_learners_publishes() -> None:
    outcome = races.run(seed=1, trials=21)
    assert outcome.violations == []
    assert outcome.trials == outcome.acked == 21
