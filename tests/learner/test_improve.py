"""PPO on a tiny policy: the reward rises, divergence has a price and an end, rewrites are kept, logs must be fresh."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from transformers import PreTrainedModel

from backtalk.recipe import Ppo, Sampling
from backtalk.template import Template
from learner.dataset import Logged
from learner.improve import CRITIC_FACTOR, Improver
from learner.journal import Journal, NotFinite
from learner.reward_model import RewardModel
from learner.rollouts import draw
from learner.sequences import Exchange, all_logprobs, load
from tests.learner.planted import WORDS, exchange, exclaims

SHORT = Sampling(temperature=1.0, maximum_tokens=30)
RECIPE = Ppo(iterations=5, episodes=64, minibatch=32, learning_rate=2e-3, kl=0.0, kl_stop=1000.0)


class Cheer:
    """A reward that anybody can check: 1 for an exclamation mark at the end, -1 without."""

    def __init__(self) -> None:
        self.asked: list[Sequence[Tensor] | None] = []

    def score(self, exchanges: Sequence[Exchange], reference: Sequence[Tensor] | None = None) -> Tensor:
        self.asked.append(reference)
        return torch.tensor([1.0 if exclaims(e.text) else -1.0 for e in exchanges])


def improver(
    policy: PreTrainedModel,
    reference: PreTrainedModel,
    recipe: Ppo = RECIPE,
    shown: Sequence[Exchange] = (),
    reward: Cheer | None = None,
) -> tuple[Improver, Journal]:
    torch.manual_seed(0)
    journal = Journal()
    return Improver(policy, reference, cast(RewardModel, reward or Cheer()), shown, recipe, 0, journal), journal


@pytest.fixture
def policy(speaking_directory: Path) -> PreTrainedModel:
    return load(speaking_directory)


@pytest.fixture
def reference(speaking_directory: Path) -> PreTrainedModel:
    return load(speaking_directory)


def prompts(template: Template) -> list[tuple[int, ...]]:
    return [exchange(template, word, "").prompt for word in WORDS]


def test_the_reward_rises(policy: PreTrainedModel, reference: PreTrainedModel, template: Template) -> None:
    work, journal = improver(policy, reference)
    work.from_rollouts(template, prompts(template), SHORT)
    rewards = [row["reward"] for row in journal.rows]
    assert len(rewards) == 5
    assert rewards[-1] > rewards[0] + 0.4, rewards
    assert journal.rows[-1]["kl"] > 0.1


def test_a_high_price_of_divergence_keeps_the_policy_near(speaking_directory: Path, template: Template) -> None:
    nats = []
    for price in (0.0, 5.0):
        policy, reference = load(speaking_directory), load(speaking_directory)
        recipe = RECIPE.model_copy(update={"kl": price, "learning_rate": 5e-4, "iterations": 6})
        work, journal = improver(policy, reference, recipe)
        work.from_rollouts(template, prompts(template), SHORT)
        nats.append(journal.rows[-1]["kl"])
    assert nats[1] < 0.5 * nats[0], nats


def test_it_stops_where_the_divergence_does(
    policy: PreTrainedModel, reference: PreTrainedModel, template: Template
) -> None:
    work, journal = improver(policy, reference, RECIPE.model_copy(update={"kl_stop": 0.05, "iterations": 20}))
    work.from_rollouts(template, prompts(template), SHORT)
    nats = [row["kl"] for row in journal.rows]
    assert len(nats) < 20
    assert nats[-1] > 0.05 >= max(nats[:-1])


def test_rewrites_stay_likely_where_they_are_mixed_in(
    policy: PreTrainedModel, reference: PreTrainedModel, template: Template
) -> None:
    shown = [exchange(template, word, "egg!") for word in WORDS]
    recipe = RECIPE.model_copy(update={"iterations": 3, "rewrite_weight": 1.0})
    work, _ = improver(policy, reference, recipe, shown)
    work.from_rollouts(template, prompts(template), SHORT)
    gain = torch.stack([line.sum() for line in all_logprobs(policy, shown)])
    gain -= torch.stack([line.sum() for line in all_logprobs(reference, shown)])
    assert float(gain.mean()) > 1.0


def test_the_first_ratio_is_exactly_one(
    policy: PreTrainedModel, reference: PreTrainedModel, template: Template
) -> None:
    """One minibatch, one epoch: before the first step nothing is clipped and nothing has changed."""
    recipe = RECIPE.model_copy(update={"iterations": 1, "epochs": 1, "minibatch": 64})
    work, journal = improver(policy, reference, recipe)
    work.from_rollouts(template, prompts(template), SHORT)
    assert journal.rows[0]["clipped"] == journal.rows[0]["change"] == 0.0
    assert journal.rows[0]["kl"] == pytest.approx(0.0, abs=1e-6)


def test_each_iteration_tells_how_many_of_its_replies_still_counted_at_its_last_pass(
    policy: PreTrainedModel, reference: PreTrainedModel, template: Template
) -> None:
    """All where nothing has been learned yet; fewer and fewer the further the policy goes on the same replies."""
    shares = []
    for epochs in (1, 4, 16):
        recipe = RECIPE.model_copy(update={"iterations": 1, "epochs": epochs, "minibatch": 64})
        work, journal = improver(policy, reference, recipe)
        work.from_rollouts(template, prompts(template), SHORT)
        shares.append(journal.rows[0]["ess"])
        policy.load_state_dict(reference.state_dict())
    assert shares[0] == pytest.approx(1.0, abs=1e-3)
    assert 1 > shares[1] > shares[2] > 0


def test_a_reply_that_never_ends_gets_the_score_of_one(
    policy: PreTrainedModel, reference: PreTrainedModel, template: Template
) -> None:
    recipe = RECIPE.model_copy(update={"iterations": 1, "no_end": -7.0})
    work, journal = improver(policy, reference, recipe)
    work.from_rollouts(template, prompts(template), Sampling(temperature=1.0, maximum_tokens=1))
    ended = journal.rows[0]["ended"]
    assert ended < 0.5
    assert journal.rows[0]["reward"] == pytest.approx(-7.0 * (1 - ended) - ended, abs=1e-5)


def test_at_another_temperature_the_reward_asks_for_log_probs_of_its_own(
    policy: PreTrainedModel, reference: PreTrainedModel, template: Template
) -> None:
    """Its features are of the reference at temperature 1; those of tempered rollouts would be others."""
    reward = Cheer()
    work, journal = improver(policy, reference, RECIPE.model_copy(update={"iterations": 1}), reward=reward)
    work.from_rollouts(template, prompts(template), Sampling(temperature=0.7, maximum_tokens=30))
    work.from_rollouts(template, prompts(template), SHORT)
    assert [given is None for given in reward.asked] == [True, False]
    assert journal.rows[0]["kl"] == pytest.approx(0.0, abs=1e-6)  # both at .7


def test_weights_that_are_no_number_end_it(
    policy: PreTrainedModel, reference: PreTrainedModel, template: Template
) -> None:
    class Broken(Cheer):
        def score(self, exchanges: Sequence[Exchange], reference: Sequence[Tensor] | None = None) -> Tensor:
            return torch.full((len(exchanges),), float("nan"))

    before = {name: tensor.clone() for name, tensor in policy.state_dict().items()}
    work, _ = improver(policy, reference, reward=Broken())
    with pytest.raises(NotFinite):
        work.from_rollouts(template, prompts(template), Sampling(temperature=1.0, maximum_tokens=40))
    assert all(tensor.equal(before[name]) for name, tensor in policy.state_dict().items())


# The ledger's own replies ---------------------------------------------------------------------------------------------


def logged(
    policy: PreTrainedModel, template: Template, temperature: float = 0.6, count: int = 6, filtered: bool = False
) -> list[Logged]:
    drawn = draw(policy, template, prompts(template) * count, temperature=temperature, maximum_tokens=30, seed=4)
    return [Logged("ann", r.exchange, 0, r.logprobs, None if filtered else temperature, r.ended) for r in drawn]


def test_fresh_replies_of_the_ledger_train(
    policy: PreTrainedModel, reference: PreTrainedModel, template: Template
) -> None:
    work, journal = improver(policy, reference)
    share = work.from_ledger(logged(policy, template))
    assert share > 0.95
    (row,) = journal.rows
    assert row["ledger_ess"] == pytest.approx(share)
    assert row["kl"] == pytest.approx(0.0, abs=1e-5)


def test_stale_replies_do_not(policy: PreTrainedModel, reference: PreTrainedModel, template: Template) -> None:
    """The same replies, but the policy has moved since: the effective sample size says so."""
    kept = logged(policy, template)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    before = {name: tensor.clone() for name, tensor in policy.state_dict().items()}
    work, journal = improver(policy, reference)
    share = work.from_ledger(kept)
    assert share < RECIPE.minimum_ess
    assert not journal.rows
    assert all(tensor.equal(before[name]) for name, tensor in policy.state_dict().items())


@pytest.mark.parametrize("kind", ["none", "filtered", "imported"])
def test_replies_without_usable_log_probs_do_not(
    kind: str, policy: PreTrainedModel, reference: PreTrainedModel, template: Template
) -> None:
    found = {
        "none": [],
        "filtered": logged(policy, template, filtered=True),
        "imported": [Logged(one.person, one.exchange, 0, (), 0.6, one.ended) for one in logged(policy, template)],
    }[kind]
    work, journal = improver(policy, reference)
    assert work.from_ledger(found) == 0.0
    assert not journal.rows


def test_of_several_temperatures_the_usual_one_is_taken(
    policy: PreTrainedModel, reference: PreTrainedModel, template: Template
) -> None:
    work, _ = improver(policy, reference)
    mixed = [*logged(policy, template, 1.3, count=2), *logged(policy, template, 0.6, count=6)]
    assert work.from_ledger(mixed) > 0.95


def test_the_critic_learns_faster_than_the_policy_from_the_first_step_on(
    policy: PreTrainedModel, reference: PreTrainedModel
) -> None:
    work, _ = improver(policy, reference)
    own, critic = (group["lr"] for group in work._optimizer.param_groups)
    assert critic == pytest.approx(CRITIC_FACTOR * own)


def test_the_same_seed_makes_the_same_policy(speaking_directory: Path, template: Template) -> None:
    made = []
    for _ in range(2):
        policy, reference = load(speaking_directory), load(speaking_directory)
        work, _ = improver(policy, reference, RECIPE.model_copy(update={"iterations": 2}))
        work.from_ledger(logged(policy, template))
        work.from_rollouts(template, prompts(template), SHORT)
        made.append(policy)
    for (name, one), (_, other) in zip(made[0].state_dict().items(), made[1].state_dict().items(), strict=True):
        assert one.equal(other), name


def test_whitening_is_over_the_whole_iteration_not_each_minibatch(policy: PreTrainedModel, template: Template) -> None:
    from learner.improve import Minibatch, _flat, _mask, _whiten_together
    from learner.sequences import collate

    parts = []
    for answer, gain in (("ab", 1.0), ("cab dad", 5.0)):
        batch = collate([exchange(template, "go", answer)])
        gains = torch.full_like(batch.mask, gain)
        parts.append(Minibatch([0], True, batch, batch.mask, batch.mask, batch.mask, gains, gains))
    _whiten_together(parts)
    row, mask = _flat(parts, "gains"), _mask(parts)
    assert_close((row * mask).sum() / mask.sum(), torch.tensor(0.0), atol=1e-6, rtol=0)
    assert float(parts[0].gains[0, 0]) < 0 < float(parts[1].gains[0, 0])


def test_the_critic_is_a_layer_of_its_own(policy: PreTrainedModel, reference: PreTrainedModel) -> None:
    work, _ = improver(policy, reference)
    assert isinstance(work._critic, nn.Linear)
    assert not any(parameter is work._critic.weight for parameter in policy.parameters())
