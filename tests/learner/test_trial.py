"""Both versions answer the same questions, and everything the gate looks at is measured."""

from random import Random

import pytest
import torch
from transformers import PreTrainedModel

from backtalk.recipe import Distill, Gate, Recipe, Rewards, Sampling
from backtalk.recipe import RewardModel as RewardRecipe
from backtalk.starter.probes import Probe
from backtalk.template import Template
from learner import reward_model
from learner.distill import imitate
from learner.gate import Findings
from learner.journal import Journal, whole
from learner.lesson import Lesson, Study
from learner.probes import Outcome, by_group, compare, examine, fitting, refused
from learner.sequences import load
from learner.trial import Answered, Trial, divergence
from tests.learner.planted import WORDS, exchange, exclaims, sentence, thumbs

RECIPE = Recipe(gate=Gate(prompts=40, temperature=1.0), sampling=Sampling(maximum_tokens=30))


def trial(live: PreTrainedModel, candidate: PreTrainedModel, template: Template) -> tuple[Findings, list[Answered]]:
    torch.manual_seed(0)
    taught, held_out = thumbs(template, seed=1), thumbs(template, people=8, seed=2)
    fitted = reward_model.fit(live, taught, template.ends, RewardRecipe(steps=10), 0, Journal())
    fitted.normalise(taught.exchanges(), Rewards(), 0.3)
    unseen = [exchange(template, word, "").prompt for word in WORDS]
    lesson = Lesson(live, template, taught, held_out, [], unseen, unseen, 0)
    return Trial(Study(lesson, fitted, RECIPE, Journal())).of(candidate, whole)


@pytest.fixture
def cheering(speaker: PreTrainedModel, template: Template) -> PreTrainedModel:
    """A version that always cheers."""
    rng = Random(1)
    said = [exchange(template, rng.choice(WORDS), sentence(rng)[:-1] + "!") for _ in range(600)]
    imitate(speaker, said, Distill(learning_rate=3e-3, epochs=2), rng, Journal())
    return speaker


def test_a_version_that_gives_people_what_they_like_shows_a_gain(
    cheering: PreTrainedModel, speaking_directory: object, template: Template
) -> None:
    live = load(speaking_directory)  # type: ignore[arg-type]
    found, answered = trial(live, cheering, template)
    assert found.gain.low > 0.2
    assert found.trained_gain > 0.2
    assert found.auc.value > 0.95
    assert found.judge_auc.low > 0.9
    assert 0.3 < found.kl < 5
    assert len(answered) == 40
    cheered = [exclaims(one.after.text) for one in answered]
    assert sum(cheered) > 34 > sum(exclaims(one.before.text) for one in answered)
    assert sum(one.reward_after for one in answered) > sum(one.reward_before for one in answered)


def test_a_version_against_itself_shows_none(
    speaker: PreTrainedModel, speaking_directory: object, template: Template
) -> None:
    found, answered = trial(load(speaking_directory), speaker, template)  # type: ignore[arg-type]
    assert found.gain.value == found.trained_gain == found.kl == 0.0
    assert found.length[0] == found.length[1]
    assert found.endless[0] == found.endless[1]
    assert all(one.before == one.after for one in answered)


def test_divergence_of_a_version_from_itself_is_none(speaker: PreTrainedModel, template: Template) -> None:
    said = [exchange(template, word, "egg!") for word in WORDS]
    assert divergence(speaker, speaker, said) == 0.0


# Golden questions -------------------------------------------------------------------------------------------------

QUESTIONS = [
    Probe("capital", "en", ("a",), ("x",)),
    Probe("capital", "en", ("b",), ("x",)),
    Probe("refusal", "en", ("c",), ("x",)),
    Probe("crisis", "en", ("d",), ("x",)),
]


def outcome(*right: bool) -> Outcome:
    return Outcome(right, ("",) * len(right))


def test_lost_and_won_are_counted_apart_for_safety_and_for_the_rest() -> None:
    live, candidate = outcome(True, False, True, True), outcome(False, True, True, False)
    assert compare(QUESTIONS, live, candidate, safety=False) == (2, 1, 1)
    assert compare(QUESTIONS, live, candidate, safety=True) == (2, 1, 0)


def test_accuracy_is_told_by_group_and_refusals_of_harm_by_themselves() -> None:
    live, candidate = outcome(True, False, True, True), outcome(False, True, True, False)
    assert by_group(QUESTIONS, live, candidate) == {
        "capital (en)": (2, 1, 1),
        "crisis (en)": (1, 1, 0),
        "refusal (en)": (1, 1, 1),
    }
    assert refused(QUESTIONS, candidate) == 0.5
    assert refused(QUESTIONS[:2], Outcome((False, False), ("", ""))) == 1.0, "none was asked"


def test_questions_are_asked_greedily_with_what_came_before_them(speaker: PreTrainedModel, template: Template) -> None:
    questions = [Probe("names", "en", ("ab", "cab", "dad"), ("fig", "go", "ab", "mud"))] * 2
    assert fitting(template, [*questions, Probe("long", "en", ("a" * 140,), ("x",))]) == questions
    first, again = examine(speaker, template, questions).replies
    assert first == again
