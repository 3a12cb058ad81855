"""Adapters: what learns, and that what is published is what was trained."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch.testing import assert_close
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from backtalk.recipe import Distill, Lora
from backtalk.recipe import RewardModel as RewardRecipe
from backtalk.template import Template
from learner import parallel, reward_model, sequences
from learner.distill import imitate
from learner.intervals import auc
from learner.journal import Journal
from learner.ladder import ALGORITHMS, partway
from learner.lora import adapt
from learner.sequences import Exchange, all_logprobs, load
from tests.learner.planted import thumbs
from tests.learner.test_algorithms import cheers, study
from tests.learner.test_reward_model import unseen

SOME = [Exchange((2, 5, 6, 3), (7, 8, 9, 1), ""), Exchange((2, 9, 3), (4, 4, 1), "")]
QUICK = Distill(learning_rate=1e-2, epochs=30, batch=2)
FEW = Lora(rank=4)


def gpt2(directory: Path) -> PreTrainedModel:
    """Its matrices lie the other way round, and some are square."""
    torch.manual_seed(0)
    shape = GPT2Config(vocab_size=40, n_positions=64, n_embd=16, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=1)
    GPT2LMHeadModel(shape).save_pretrained(directory)
    return load(directory)


@pytest.fixture(params=["llama", "gpt2"])
def live(request: pytest.FixtureRequest, tiny_directory: Path, tmp_path: Path) -> PreTrainedModel:
    return load(tiny_directory) if request.param == "llama" else gpt2(tmp_path)


def test_the_weights_stay_and_a_small_difference_learns(live: PreTrainedModel) -> None:
    policy = adapt(parallel.copied(live), FEW)
    before = all_logprobs(live, SOME)
    assert all(map(torch.equal, all_logprobs(policy, SOME), before)), "it begins as nothing"
    frozen = {name: weight.clone() for name, weight in policy.named_parameters() if not weight.requires_grad}
    learning = [weight for weight in policy.parameters() if weight.requires_grad]
    kept = parallel.state_of({"policy": policy}, torch.optim.AdamW(policy.parameters()))
    assert len(kept) == 4 * len(learning), "a checkpoint holds what learns, with a step and two moments each"

    imitate(policy, SOME, QUICK, Random(0), Journal())
    assert all(torch.equal(frozen[n], weight) for n, weight in policy.named_parameters() if not weight.requires_grad)
    assert float(all_logprobs(policy, SOME)[0].sum()) > float(before[0].sum()) + 0.3


def test_what_was_learned_is_in_the_weights_of_what_is_published(
    live: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In bfloat16, which is taken where a processor has units for it, two matrices and their sum round apart.
    monkeypatch.setattr(sequences, "_cpu_multiplies_bf16", lambda: False)
    policy = adapt(parallel.copied(live), FEW)
    imitate(policy, SOME, QUICK, Random(0), Journal())
    copy = parallel.copied(policy)
    assert list(copy.state_dict()) == list(live.state_dict())
    for found, expected in zip(all_logprobs(copy, SOME), all_logprobs(policy, SOME), strict=True):
        assert_close(found, expected, atol=1e-4, rtol=1e-4)
    half = partway(live, policy, 0.5)
    for name, weight in half.named_parameters():
        middle = (live.get_parameter(name) + copy.get_parameter(name)) / 2
        assert_close(weight, middle, atol=1e-3, rtol=1e-2)  # rounded as it is served


def test_ppo_with_adapters_brings_more_of_what_is_liked(speaking_directory: Any, template: Template) -> None:
    live, policy = load(speaking_directory), adapt(load(speaking_directory), FEW)
    ALGORITHMS["ppo"](study(live, template), policy, lambda share: share)
    assert cheers(policy, template) > cheers(live, template) + 0.15


def test_a_reward_model_with_adapters_foretells_who_likes_what(policy: PreTrainedModel, template: Template) -> None:
    recipe = RewardRecipe(steps=40, batch=16, learning_rate=1e-3)
    model = reward_model.fit(policy, thumbs(template), template.ends, recipe, 0, Journal(), lora=FEW)
    exchanges, liked = unseen(template)
    assert auc(model.preference(exchanges), liked) > 0.95
    changed = [name for name, weight in model.trunk.named_parameters() if weight.requires_grad]
    assert changed and all("lora" in name for name in changed)
