"""Styles and rules are part of the reward, and a mixture that contradicts itself is refused."""

import pytest
import torch
from transformers import PreTrainedModel

from backtalk.recipe import Rewards
from backtalk.tables import Json
from backtalk.template import Template
from learner.gate import Rejected
from learner.mixture import examine
from learner.reward_model import LIMIT, RewardModel
from learner.sequences import Exchange
from tests.learner.planted import exclaims, thumbs
from tests.learner.test_reward_model import fit, unseen


@pytest.fixture
def model(policy: PreTrainedModel, template: Template) -> RewardModel:
    """It has learned that people like exclamations."""
    return fit(policy, template, thumbs(template, flip=0.0))


@pytest.fixture
def usual(template: Template) -> list[Exchange]:
    return unseen(template)[0]


def test_a_rule_alone_orders_replies_as_it_says(model: RewardModel, usual: list[Exchange]) -> None:
    model.normalise(usual, Rewards(preference=0, rules={"calm": 2.0}, own={"calm": "-exclamations"}), 0.3)
    rewards = model.score(usual)
    calm = torch.tensor([not exclaims(exchange.text) for exchange in usual])
    assert float(rewards[calm].min()) > float(rewards[~calm].max())
    assert float(rewards.abs().max()) <= LIMIT


def test_below_zero_is_for_less_of_it(model: RewardModel, usual: list[Exchange]) -> None:
    model.normalise(usual, Rewards(preference=0, rules={"brevity": 1.0}), 0.3)
    more = model.score(usual)
    model.normalise(usual, Rewards(preference=0, rules={"brevity": -1.0}), 0.3)
    torch.testing.assert_close(model.score(usual), -more)


def test_a_mixture_that_contradicts_itself_is_refused(model: RewardModel, usual: list[Exchange]) -> None:
    calm = Rewards(rules={"calm": 1.0}, own={"calm": "-exclamations"})
    model.normalise(usual, calm, 0.3)
    report: Json = {}
    with pytest.raises(Rejected, match="preference and calm"):
        examine(model, usual, 0.6, report)
    assert report["rewards"]["rank_correlation"]["preference"]["calm"] < -0.6
    examine(model, usual, 1.0, {})
    model.normalise(usual, Rewards(rules={"calm": -1.0}, own={"calm": "-exclamations"}), 0.3)
    examine(model, usual, 0.6, report)
    assert report["rewards"]["weights"] == {"preference": 1.0, "calm": -1.0}


def test_one_reward_cannot_contradict_itself(model: RewardModel, usual: list[Exchange]) -> None:
    report: Json = {}
    model.normalise(usual, Rewards(), 0.3)
    examine(model, usual, 0.0, report)
    assert report == {}
