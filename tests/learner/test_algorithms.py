"""Every way of improving the policy, on the same toy: more of what is liked, and their mathematics by hand."""

import copy
import math
from collections.abc import Sequence
from random import Random
from typing import Any, cast, get_args

import pytest
import torch
from torch import Tensor, tensor
from torch.testing import assert_close
from transformers import PreTrainedModel

from backtalk.recipe import Algorithm as Name
from backtalk.recipe import Recipe, load_recipe
from backtalk.tables import Json
from backtalk.template import Template
from learner import ladder
from learner.dataset import Logged
from learner.examples import Demonstration, Examples, Pair, Thumb
from learner.gate import Findings
from learner.journal import Journal
from learner.ladder import ALGORITHMS, Candidate, climb, judge
from learner.lesson import Lesson, Study
from learner.preference import dpo_loss, kto_loss
from learner.reward_model import RewardModel
from learner.rollouts import draw
from learner.sequences import Exchange, load
from learner.trial import Answered
from tests.learner.planted import WORDS, exchange, exclaims
from tests.learner.test_gate import GOOD, findings

SMALL = load_recipe(
    {
        "best_of": 4,
        "distill": {"draws": 3, "learning_rate": 3e-3, "epochs": 6, "batch": 16},
        "direct": {"learning_rate": 3e-3, "batch": 16, "epochs": 6},
        "ppo": {"iterations": 3, "episodes": 64, "minibatch": 32, "learning_rate": 2e-3, "kl": 0.01, "kl_stop": 99},
        "sampling": {"maximum_tokens": 30},
    }
)


class Cheer:
    """A reward that anybody can check."""

    def score(self, exchanges: Sequence[Exchange], reference: object = None) -> Tensor:
        return tensor([1.5 if exclaims(e.text) else -1.5 for e in exchanges])

    def appraise(self, exchanges: Sequence[Exchange], reference: object = None) -> tuple[Tensor, Tensor]:
        scores = self.score(exchanges)
        return scores, scores


def study(live: PreTrainedModel, template: Template, recipe: Recipe = SMALL) -> Study:
    """Ten people's opinions on what the live version said, and a reward that knows what they want."""
    rng = Random(0)
    asked = [exchange(template, rng.choice(WORDS), "").prompt for _ in range(120)]
    drawn = draw(live, template, asked, temperature=1.0, maximum_tokens=30, seed=2)
    said, logged = Examples(), []
    for number, one in enumerate(drawn):
        who, liked = f"p{number % 10}", exclaims(one.exchange.text)
        said.thumbs.append(Thumb(who, one.exchange, liked))
        logged.append(Logged(who, one.exchange, 0, one.logprobs, 1.0, one.ended))
        if not liked and number % 3 == 0:
            better = Exchange(one.exchange.prompt, tuple(template.reply("egg fig!")), "egg fig!")
            said.pairs.append(Pair(who, better, one.exchange))
            said.demonstrations.append(Demonstration(who, better))
    prompts = list(dict.fromkeys(asked))
    lesson = Lesson(live, template, said, said, logged, prompts, prompts, 0)
    return Study(lesson, cast(RewardModel, Cheer()), recipe, Journal())


def cheers(policy: PreTrainedModel, template: Template) -> float:
    prompts = [exchange(template, word, "").prompt for word in WORDS] * 8
    drawn = draw(policy, template, prompts, temperature=1.0, maximum_tokens=30, seed=5)
    return sum(exclaims(one.exchange.text) for one in drawn) / len(drawn)


def test_every_name_of_the_recipe_is_a_way() -> None:
    assert set(get_args(Name)) == set(ALGORITHMS)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_way_brings_more_of_what_is_liked(name: str, speaking_directory: Any, template: Template) -> None:
    live, policy = load(speaking_directory), load(speaking_directory)
    work = study(live, template)
    done: list[float] = []

    def progress(share: float) -> float:
        done.append(share)
        return share

    told = ALGORITHMS[name](work, policy, progress)
    assert told
    assert done == sorted(done)
    assert done[-1] == 1.0
    before, after = cheers(live, template), cheers(policy, template)
    assert after > before + 0.15, (before, after)
    assert before == cheers(load(speaking_directory), template), "the live version itself was changed"


def test_dpo_by_hand() -> None:
    # beta .1, ratios 3 and 1: -log s(.2) = log(1 + e^-.2)
    assert_close(dpo_loss(tensor([3.0]), tensor([1.0]), tensor([1.0]), 0.1), tensor([math.log1p(math.exp(-0.2))]))
    tie = dpo_loss(tensor([3.0]), tensor([1.0]), tensor([0.5]), 0.1)
    assert_close(tie, tensor([(math.log1p(math.exp(-0.2)) + math.log1p(math.exp(0.2))) / 2]))


def test_kto_by_hand() -> None:
    # Liked: 2 x (1 - s(.1 x (3 - 1))); disliked: 1 - s(-.1 x (3 - 1))
    found = kto_loss(tensor([3.0, 3.0]), tensor([True, False]), tensor(1.0), tensor([2.0, 1.0]), 0.1)
    assert_close(found, tensor([2 * (1 - 1 / (1 + math.exp(-0.2))), 1 - 1 / (1 + math.exp(0.2))]))


def test_kto_pushes_liked_up_and_disliked_down() -> None:
    ratio = torch.zeros(2, requires_grad=True)
    torch.autograd.backward(kto_loss(ratio, tensor([True, False]), tensor(0.0), torch.ones(2), 0.5).sum())
    assert ratio.grad is not None
    assert float(ratio.grad[0]) < 0 < float(ratio.grad[1])


# The ladder -----------------------------------------------------------------------------------------------------------


def tried(name: str) -> Any:
    def learn(study: Study, policy: PreTrainedModel, progress: Any) -> dict[str, Any]:
        with torch.no_grad():
            next(policy.parameters()).add_({"distill": 1.0, "kto": 2.0, "ppo": 3.0}[name])
        study.journal.step(progress(1.0), **{name: 1.0})
        return {"said": name}

    return learn


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "ALGORITHMS", {name: tried(name) for name in ("distill", "kto", "ppo")})


def climbing(live: PreTrainedModel, template: Template, **more: Any) -> Study:
    recipe = load_recipe({"steps": [1.0], **more})
    return Study(study(live, template).lesson, cast(RewardModel, Cheer()), recipe, Journal())


def test_each_rung_begins_at_the_live_version(quick: None, speaker: PreTrainedModel, template: Template) -> None:
    found = climb(climbing(speaker, template, algorithm="ladder"))
    assert [one.algorithm for one in found] == ["distill", "kto", "ppo"]
    first = next(speaker.parameters())
    for one, moved in zip(found, (1.0, 2.0, 3.0), strict=True):
        assert_close(next(one.policy.parameters()), (first + moved).to(torch.bfloat16).float())


def test_no_rung_begins_after_the_budget_but_one_always_does(
    quick: None, speaker: PreTrainedModel, template: Template
) -> None:
    found = climb(climbing(speaker, template, algorithm="ladder", ladder={"minutes": 1e-9}))
    assert [one.algorithm for one in found] == ["distill"]


def test_one_algorithm_is_a_ladder_of_one_rung(quick: None, speaker: PreTrainedModel, template: Template) -> None:
    assert [one.algorithm for one in climb(climbing(speaker, template, algorithm="kto"))] == ["kto"]


def test_parts_of_the_way_are_tried_too(quick: None, speaker: PreTrainedModel, template: Template) -> None:
    found = climb(climbing(speaker, template, algorithm="kto", steps=[1.0, 0.25]))
    assert [one.told["step"] for one in found] == [1.0, 0.25]
    first = next(speaker.parameters())
    for one, moved in zip(found, (2.0, 0.5), strict=True):
        assert_close(next(one.policy.parameters()), (first + moved).to(torch.bfloat16).float())


class Prejudiced:
    """A trial whose outcome is known beforehand."""

    outcomes: dict[str, Findings] = {}  # noqa: RUF012  # set by each test
    asked: list[int] = []  # noqa: RUF012

    def __init__(self, study: Study, candidates: int = 1) -> None:
        self.asked.append(candidates)

    def of(self, policy: Any, progress: Any) -> tuple[Findings, list[Answered]]:
        progress(1.0)
        return self.outcomes[policy], []

    def advise(self, policy: Any, answered: Any, logged: Any) -> Json:
        return {"of": policy}


def interval(low: float) -> Any:
    return type(GOOD.gain)(low + 0.1, low, low + 0.2)


@pytest.mark.parametrize(
    ("outcomes", "best", "reason"),
    [
        ({"a": interval(0.1), "b": interval(0.3), "c": interval(0.2)}, "b", None),
        ({"a": interval(0.1), "b": interval(-0.3)}, "a", None),
        ({"a": interval(-0.1), "b": interval(-0.3)}, "a", "not surely liked more"),
    ],
)
def test_the_best_of_those_that_pass_ships(
    outcomes: dict[str, Any],
    best: str,
    reason: str | None,
    monkeypatch: pytest.MonkeyPatch,
    speaker: PreTrainedModel,
    template: Template,
) -> None:
    monkeypatch.setattr(ladder, "Trial", Prejudiced)
    Prejudiced.outcomes = {name: findings(gain=gain) for name, gain in outcomes.items()}
    candidates = [Candidate(name, cast(PreTrainedModel, name), {"cpu_seconds": 1.0}) for name in outcomes]
    report: dict[str, Any] = {}
    found = judge(climbing(speaker, template), candidates, report)
    assert found.candidate.algorithm == best
    assert (found.reason is None) == (reason is None)
    assert reason is None or reason in (found.reason or "")
    assert report["policy"]["algorithm"] == best
    assert report["advice"] == {"of": best}, "only of the one that is shown: it costs something"
    assert [line["algorithm"] for line in report["ladder"]] == list(outcomes)
    assert Prejudiced.asked[-1] == len(outcomes)


def test_one_that_passes_goes_before_one_that_gains_more_and_does_not(
    monkeypatch: pytest.MonkeyPatch, speaker: PreTrainedModel, template: Template
) -> None:
    monkeypatch.setattr(ladder, "Trial", Prejudiced)
    Prejudiced.outcomes = {"a": findings(gain=interval(0.1)), "b": findings(gain=interval(0.5), kl=99.0)}
    candidates = [Candidate(name, cast(PreTrainedModel, name), {}) for name in "ab"]
    assert judge(climbing(speaker, template), candidates, {}).candidate.algorithm == "a"


def test_a_step_that_forgets_less_goes_before_one_that_is_liked_a_little_more(
    monkeypatch: pytest.MonkeyPatch, speaker: PreTrainedModel, template: Template
) -> None:
    monkeypatch.setattr(ladder, "Trial", Prejudiced)
    Prejudiced.outcomes = {
        "a": findings(gain=interval(0.25), right=(0.9, 0.8)),
        "b": findings(gain=interval(0.2), right=(0.9, 0.9)),
    }
    candidates = [Candidate(name, cast(PreTrainedModel, name), {}) for name in "ab"]
    assert judge(climbing(speaker, template), candidates, {}).candidate.algorithm == "b"


@pytest.mark.parametrize(
    ("gains", "kls", "tried", "best"),
    [
        ((0.3, 0.2, 0.1, 0.05), (1, 1, 1, 1), 2, 1.0),
        ((0.2, 0.3, 0.1, 0.05), (1, 1, 1, 1), 3, 0.85),
        ((0.3, 0.2, 0.25, 0.1), (99, 99, 1, 1), 4, 0.7),
        ((0.3, 0.2, 0.1, 0.05), (99, 99, 99, 99), 4, 1.0),
    ],
)
def test_smaller_parts_of_a_way_are_tried_until_they_are_worth_less(
    gains: tuple[float, ...],
    kls: tuple[float, ...],
    tried: int,
    best: float,
    monkeypatch: pytest.MonkeyPatch,
    speaker: PreTrainedModel,
    template: Template,
) -> None:
    monkeypatch.setattr(ladder, "Trial", Prejudiced)
    both = zip(gains, kls, strict=True)
    Prejudiced.outcomes = {str(n): findings(gain=interval(gain), kl=float(kl)) for n, (gain, kl) in enumerate(both)}
    parts = (1.0, 0.85, 0.7, 0.5)
    candidates = [Candidate("ppo", cast(PreTrainedModel, str(n)), {"step": step}) for n, step in enumerate(parts)]
    report: dict[str, Any] = {}
    found = judge(climbing(speaker, template), candidates, report)
    assert found.candidate.told["step"] == best
    assert [line["step"] for line in report["ladder"]] == list(parts[:tried])


def test_copies_are_independent(speaker: PreTrainedModel) -> None:
    """What a rung starts from is a copy whose tied weights are tied to each other and to nothing else."""
    other = copy.deepcopy(speaker)
    parts: Any = other
    assert parts.lm_head.weight is parts.model.embed_tokens.weight
    with torch.no_grad():
        next(other.parameters()).zero_()
    assert float(next(speaker.parameters()).detach().abs().sum()) > 0
