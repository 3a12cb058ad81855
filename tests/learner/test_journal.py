"""What a run writes down in memory, and that it stops at what is no number."""

import math

import pytest

from learner.journal import Journal, NotFinite


def test_steps_are_counted_through_and_keep_their_stage() -> None:
    journal = Journal()
    journal.begin("policy")
    journal.step(0.5, reward=1.0)
    journal.begin("gate")
    journal.step(gain=0.2)
    assert journal.rows == [
        {"stage": "policy", "step": 1, "reward": 1.0},
        {"stage": "gate", "step": 2, "gain": 0.2},
    ]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_named_and_not_written(value: float) -> None:
    journal = Journal()
    journal.begin("reward_model")
    with pytest.raises(NotFinite, match=r"reward_loss became .* in step 1 \(reward_model\)"):
        journal.step(0.1, reward_loss=value)
    assert journal.rows == []
