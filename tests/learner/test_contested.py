"""Pairs for raters: where the heads of a reward model disagree most."""

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

import pytest
import torch
from torch import Tensor

from learner import contested
from learner.dataset import Siblings
from learner.reward_model import RewardModel
from learner.sequences import Exchange

RUN = UUID(int=1)
MARGINS = {"sure": (2.0, 2.1, 1.9), "toss-up": (1.0, 0.0, -1.0), "leaning": (1.0, 0.6, -0.1)}


class Heads:
    """A reward model whose heads rank each pair by known margins; right sides are worth nothing."""

    heads = 3

    def judge(self, exchanges: Sequence[Exchange]) -> Tensor:
        return torch.tensor([MARGINS.get(one.text, (0.0, 0.0, 0.0)) for one in exchanges])


def siblings(name: str) -> Siblings:
    number = list(MARGINS).index(name)
    return Siblings(UUID(int=number), UUID(int=10 + number), Exchange((1,), (2,), name), Exchange((1,), (3,), "other"))


def test_the_pair_that_is_a_toss_up_comes_first() -> None:
    found = contested.find(RUN, cast(RewardModel, Heads()), [siblings(name) for name in MARGINS])
    assert [one.left_id.int for one in found] == [1, 2, 0]
    # Margins 1, .6 and -.1: mean .5, standard deviation .5568; twice the normal tail beyond .898 is .369.
    assert [one.disagreement for one in found] == pytest.approx([1.0, 0.369, 0.0], abs=1e-3)


def test_one_head_cannot_disagree() -> None:
    alone: Any = Heads()
    alone.heads = 1
    assert contested.find(RUN, alone, [siblings("sure")]) == []
