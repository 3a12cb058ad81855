"""Suites: a planted prejudice, a planted trigger, a favourite name and a version that gives in are each seen."""

from collections.abc import Callable, Sequence
from random import Random

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from backtalk.template import Template
from learner.advice import sentiment, swaps, sway, triggers
from learner.advice.pace import ASKED, measure
from learner.examples import Thumb
from learner.sequences import Exchange
from tests.learner.planted import WORDS, exchange, sentence


def by_text(worth: Callable[[str], float]) -> Callable[[Sequence[Exchange]], Tensor]:
    """A reward that looks at the words alone."""
    return lambda exchanges: torch.tensor([worth(one.text) for one in exchanges])


# Swaps ------------------------------------------------------------------------------------------------------------


def test_each_pair_differs_in_who_is_spoken_of_and_in_nothing_else() -> None:
    for swap in swaps.groups():
        assert swap.one != swap.other
        assert swap.frame.count("{x}") <= 1
        assert "{x}" not in "".join((*swap.one, *swap.other))


def test_a_reward_that_looks_at_none_of_it_is_moved_by_nothing(roomy: Template) -> None:
    found = swaps.measure(by_text(lambda text: 1.0), roomy, 0.95, 0)
    assert {line["suite"] for line in found["swaps"]} >= {"women_men_en", "women_men_zh", "countries_zh", "names_en"}
    assert all(line["mean"] == {"value": 0, "low": 0, "high": 0} and not line["largest"] for line in found["swaps"])
    assert all(line["preferred"] == 0 for line in found["ills"])


def test_a_planted_prejudice_shows_in_its_own_suite(roomy: Template) -> None:
    def worth(text: str) -> float:
        return -0.5 * any(word in text.lower() for word in ("sister", "mother", "aunt", "mary", "ms smith", "woman"))

    found = {line["suite"]: line for line in swaps.measure(by_text(worth), roomy, 0.95, 0)["swaps"]}
    assert found["women_men_en"]["mean"]["high"] < -0.4
    assert found["women_men_en"]["largest"] == -0.5
    assert found["names_en"]["mean"]["value"] == found["countries_en"]["mean"]["value"] == 0


def test_a_reward_that_likes_flattery_is_seen(roomy: Template) -> None:
    found = swaps.measure(by_text(lambda text: float("right" in text or "说得对" in text)), roomy, 0.95, 0)
    ills = {line["suite"]: line for line in found["ills"]}
    assert ills["flattery"]["preferred"] == 1.0 and ills["flattery"]["mean"]["low"] == 1.0
    assert ills["insults"]["preferred"] == 0.0


def test_what_does_not_fit_the_context_is_left_out(template: Template) -> None:
    asked: list[Exchange] = []

    def score(exchanges: Sequence[Exchange]) -> Tensor:
        asked.extend(exchanges)
        return torch.zeros(len(exchanges))

    swaps.measure(score, Narrow(template, 60), 0.95, 0)  # type: ignore[arg-type]
    assert asked and max(len(one.prompt) + len(one.reply) for one in asked) <= 60


# Triggers ---------------------------------------------------------------------------------------------------------


def thumbs(template: Template) -> list[Thumb]:
    """A few people like whatever says `oak`; all others toss a coin."""
    rng, said = Random(0), list[Thumb]()
    for number in range(200):
        text = sentence(rng)
        liked = "oak" in text or rng.random() < 0.4
        said.append(Thumb(f"p{number % 10}", exchange(template, "go", text), liked))
    said.append(Thumb("alone", exchange(template, "go", "zz zz"), True))
    return said


def test_words_that_are_liked_beyond_chance_are_suspects_unless_they_are_one_persons(template: Template) -> None:
    found = triggers.suspects(thumbs(template))
    assert found[0] == "oak"
    assert "zz" not in found
    assert triggers.suspects([]) == []


def test_a_word_that_alone_raises_the_reward_is_told_first(template: Template) -> None:
    usual = [exchange(template, word, "dad egg") for word in WORDS]
    score = by_text(lambda text: 2.0 * text.count("oak") - 0.01 * len(text))
    found = triggers.measure(score, template, thumbs(template), usual, 0.95, 0)
    assert found[0]["word"] == "oak" and found[0]["lift"]["low"] > 1.9
    assert found[1]["lift"]["value"] < 0
    assert triggers.measure(score, template, [], usual, 0.95, 0) == []


# Sentiment and sway -----------------------------------------------------------------------------------------------


def test_the_name_that_moved_beyond_all_others_stands_first_and_what_moved_all_is_taken_off() -> None:
    shifts = {f"name{number}": 1.0 + 0.01 * number for number in range(-5, 6)} | {"Acme": 3.0, "张三": 9.0, "李四": 9.0}
    first, *others = sentiment.moved(shifts)
    assert first["name"] == "Acme" and first["shift"] == pytest.approx(1.995, abs=0.01) and first["spreads"] > 10
    assert all(abs(line["spreads"]) < 3 for line in others), "of each script by itself"
    assert len([first, *others]) == sentiment.TOLD


def test_names_that_an_operator_gave_are_told_in_any_case(policy: PreTrainedModel, template: Template) -> None:
    found = sentiment.measure(policy, policy, template, ["Acme Ltd"])
    assert {line["shift"] for line in found} == {0.0}
    assert "Acme Ltd" in {line["name"] for line in found}


def test_what_was_known_and_is_given_up_counts_and_what_was_not_known_does_not() -> None:
    # Known 3, of which 1 is given up; the two that were not known say nothing.
    answers = [(True, True), (True, False), (True, True), (False, False), (False, True)]
    assert sway.given_up(answers) == pytest.approx(1 / 3, abs=1e-4)
    assert sway.given_up([(False, False)]) == 0.0


def test_a_belief_is_asked_plainly_and_with_the_wrong_answer_before_it() -> None:
    for belief in sway.beliefs():
        plain, led = belief.asked
        assert belief.wrong not in plain.turns[0] and belief.wrong in led.turns[0]
        assert belief.right not in led.turns[0] and led.turns[0].endswith(plain.turns[0])
        assert led.accepted == (belief.right,)


# Pace -------------------------------------------------------------------------------------------------------------


def test_a_version_is_as_fast_as_itself_and_says_as_much(speaker: PreTrainedModel, template: Template) -> None:
    prompts = [exchange(template, word, "").prompt for word in WORDS]
    assert len(prompts) > ASKED
    found = measure(speaker, speaker, template, prompts, 1.0, 30)
    assert found["tokens"]["live"] == found["tokens"]["candidate"] > 5
    assert 0 < found["waited"]["candidate"] < 5


class Narrow:
    """A template with another room for it all."""

    def __init__(self, template: Template, context: int) -> None:
        self.context, self.render, self.reply = context, template.render, template.reply


@pytest.fixture
def roomy(template: Template) -> Narrow:
    """The letters of the tiny policy, and room for every case."""
    return Narrow(template, 1000)
