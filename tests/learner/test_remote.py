"""Rollouts from engines of other makes: the policy in training goes there, and what comes back teaches rightly."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from backtalk.engine.remote import dialects
from backtalk.engine.remote.address import Kind
from backtalk.engine.remote.fleet import Fleet
from backtalk.recipe import Ppo, Sampling
from backtalk.settings import SettingsError, load_settings
from backtalk.template import Template, Turn
from learner import ppo
from learner.improve import Improver
from learner.journal import Journal
from learner.parallel import copied
from learner.publish import write_model as write_policy
from learner.remote import RemoteDraw
from learner.reward_model import RewardModel
from learner.rollouts import Rollout, RolloutFailed
from learner.sequences import all_logprobs, load
from tests.engine.remote.conftest import Running, start_peer
from tests.server.scripted import write_model

KINDS: tuple[Kind, ...] = ("vllm", "sglang")
ROUNDING = 0.02
"""Nats: the engine has the weights in bfloat16."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that is not sure of what it says."""
    script, directory = (tmp_path_factory.mktemp(name) for name in ("script", "0-aaaaaaaaaaaa"))
    write_model(script, "abc", height=3.0, context=128)
    write_policy(directory, load(script), script)
    return directory


@pytest.fixture(scope="module", params=KINDS)
def peers(request: pytest.FixtureRequest, source: Path) -> Iterator[list[Running]]:
    started = [start_peer(request.param, source) for _ in range(2)]
    yield started
    for peer in started:
        peer.kill()


@contextmanager
def drawing(peers: list[Running], source: Path, home: Path) -> Iterator[RemoteDraw]:
    for peer in peers:
        peer.fault()
    make = dialects.of(peers[0].kind)
    with asyncio.Runner(debug=True) as runner:
        draw = RemoteDraw(runner, lambda: Fleet(peers[0].kind, [make(peer.url) for peer in peers]), source, home)
        try:
            yield draw
        finally:
            draw.close()


def asked(template: Template) -> list[tuple[int, ...]]:
    return [tuple(template.render([Turn("user", word)])) for word in ("a", "b", "c", "go", "on") for _ in range(12)]


def gap(drawn: list[Rollout], model: PreTrainedModel, temperature: float) -> float:
    """Nats a token between whoever drew and this policy."""
    lines = all_logprobs(model, [one.exchange for one in drawn], temperature)
    return float((torch.cat(lines) - torch.tensor([value for one in drawn for value in one.logprobs])).abs().mean())


@torch.no_grad()
def changed(policy: PreTrainedModel) -> PreTrainedModel:
    other = copied(policy)
    for name, weight in other.named_parameters():
        if name == "lm_head.weight":
            weight.add_(0.6 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    return other


def test_each_batch_comes_from_the_policy_as_it_is_then_with_the_log_probs_of_its_draws(
    peers: list[Running], source: Path, tmp_path: Path
) -> None:
    policy, template = load(source), Template(source)
    prompts = asked(template)
    before = sum(peer.tell()["asked"] for peer in peers)
    with drawing(peers, source, tmp_path / "home") as draw:
        for temperature, model in ((1.0, policy), (1.0, changed(policy)), (0.7, changed(policy))):
            drawn = draw(model, template, prompts, temperature=temperature, maximum_tokens=20, seed=3)
            assert [one.exchange.prompt for one in drawn] == prompts
            assert all(len(one.logprobs) == len(one.exchange.reply) for one in drawn)
            assert gap(drawn, model, temperature) < ROUNDING
            assert model is policy or gap(drawn, policy, temperature) > 10 * ROUNDING, "not those of before"
        assert len(list((tmp_path / "home").iterdir())) == 1, "only the weights in use are kept"
        assert all(peer.tell()["asked"] for peer in peers), "both replicas draw"
    assert sum(peer.tell()["asked"] for peer in peers) - before >= 3 * len(prompts)
    assert not (tmp_path / "home").exists()


def improver(source: Path, journal: Journal, draw: RemoteDraw, **recipe: float) -> Improver:
    live, template = load(source), Template(source)
    reward = RewardModel(live, template.ends, 1, [])
    wish = Ppo(iterations=2, episodes=24, minibatch=8, learning_rate=1e-2, no_end=0.0, **recipe)
    return Improver(copied(live), live, reward, [], wish, 0, journal, draw=draw)


def test_the_gap_between_engine_and_trainer_is_measured_and_a_small_one_is_corrected(
    peers: list[Running], source: Path, tmp_path: Path
) -> None:
    template, journal = Template(source), Journal()
    with drawing(peers, source, tmp_path / "home") as draw:
        work = improver(source, journal, draw)
        work.from_rollouts(template, asked(template), Sampling(maximum_tokens=12))
    rows = [row for row in journal.rows if "engine_gap" in row]
    assert len(rows) == 2
    for row in rows:
        assert 0 < row["engine_gap"] < ROUNDING and row["engine_gap"] <= row["engine_gap_most"]
        assert row["truncated"] == 0


def test_beyond_the_bound_the_run_ends_and_says_how_far_they_are_apart(
    peers: list[Running], source: Path, tmp_path: Path
) -> None:
    template = Template(source)
    with drawing(peers, source, tmp_path / "home") as draw:
        work = improver(source, Journal(), draw, maximum_gap=0.3)
        for peer in peers:
            peer.fault(skew=0.5)
        with pytest.raises(RolloutFailed, match=r"0\.[45]\d\d nats a token apart, 0.3 allowed"):
            work.from_rollouts(template, asked(template), Sampling(maximum_tokens=12))


def test_engines_that_are_not_there_end_the_run_with_a_reason(source: Path, tmp_path: Path) -> None:
    template = Template(source)
    gone = Running("vllm", 1, None)  # type: ignore[arg-type]  # nobody listens there
    gone.fault = lambda **_: None  # type: ignore[method-assign]
    with drawing([gone], source, tmp_path / "home") as draw, pytest.MonkeyPatch.context() as patch:
        patch.setattr("backtalk.engine.remote.fleet.GIVE_UP_SECONDS", 0.5)
        with pytest.raises(RolloutFailed, match="no engine is there"):
            draw(load(source), template, asked(template)[:1], temperature=1.0, maximum_tokens=4, seed=0)


def test_weights_are_the_ratio_of_both_truncated_at_the_bound() -> None:
    trainer = torch.tensor([[-1.0, -1.0, -2.0, 5.0]])
    engine = torch.tensor([[-1.0, -2.0, -1.0, 0.0]])
    mask = torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    found = ppo.truncated_weights(trainer, engine, mask, 2.0)
    torch.testing.assert_close(found, torch.tensor([[1.0, 2.0, 0.36787944, 0.0]]))  # e is cut to 2; 1/e; padding


def test_rollouts_are_not_drawn_where_people_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKTALK_ENGINE", "vllm+http://one:8000,http://two:8000")
    monkeypatch.setenv("BACKTALK_ROLLOUT_ENGINE", "vllm+http://two:8000")
    with pytest.raises(SettingsError, match="engines of their own"):
        load_settings()
    monkeypatch.setenv("BACKTALK_ROLLOUT_ENGINE", "tgi+http://three:8000")
    with pytest.raises(SettingsError, match="takes no new weights"):
        load_settings()
