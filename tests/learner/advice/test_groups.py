"""By time and by group: what changed lately, and who is foretold worse than others, is seen."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import torch
from transformers import PreTrainedModel

from backtalk.template import Template
from learner import linear
from learner.advice import by_group, by_time
from learner.advice.script import script_of
from learner.examples import Examples, Thumb
from learner.sequences import Exchange
from tests.learner.planted import WORDS, exchange, exclaims, sentence
from tests.learner.test_linear import pairs

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


def over_time(template: Template, people: range, turned: bool) -> Examples:
    """Thumbs a minute apart; `turned`: in the last fifth of the time the taste is the opposite one."""
    rng, said = Random(people.start), Examples()
    for number in range(150):
        text = sentence(rng)
        liked = exclaims(text) != (turned and number >= 120)
        who, at = f"p{people[number % len(people)]}", BEGIN + timedelta(minutes=number)
        said.thumbs.append(Thumb(who, exchange(template, rng.choice(WORDS), text), liked, at=at))
    return said


def told(policy: PreTrainedModel, template: Template, turned: bool) -> dict[str, dict[str, float]]:
    taught, held_out = (over_time(template, people, turned) for people in (range(8), range(8, 16)))
    design = linear.tabulate(policy, taught, template.ends)
    logits = torch.tensor([1.0 if exclaims(thumb.exchange.text) else -1.0 for thumb in held_out.thumbs])
    found = {row["opinions"]: row for row in by_time.measure(taught, design, held_out, logits, 0.95, 0)}
    assert found["later"]["thumbs"] == found["newest"]["thumbs"] == 31
    assert found["later"]["days"] == 0.02
    return {name: row["auc_newest"] for name, row in found.items()}


def test_a_taste_that_stays_is_foretold_later_as_well(policy: PreTrainedModel, template: Template) -> None:
    found = told(policy, template, turned=False)
    assert found["later"]["low"] > 0.9 and found["newest"]["value"] == 1.0


def test_a_taste_that_has_turned_is_seen_in_the_newest_opinions(policy: PreTrainedModel, template: Template) -> None:
    found = told(policy, template, turned=True)
    assert found["later"]["high"] < 0.3 and found["newest"]["value"] < 0.25


def test_who_only_compared_foretells_nothing_later(policy: PreTrainedModel, template: Template) -> None:
    held_out = over_time(template, range(8, 16), turned=False)
    design = linear.tabulate(policy, pairs(template), template.ends)
    found = by_time.measure(pairs(template), design, held_out, torch.zeros(len(held_out.thumbs)), 0.95, 0)
    assert [row["opinions"] for row in found] == ["newest"]


def test_the_newest_opinions_teach_nothing_about_themselves(policy: PreTrainedModel, template: Template) -> None:
    """Until the last fifth everybody tossed a coin: nothing was there to foretell the taste they have now."""
    rng, taught = Random(3), over_time(template, range(8), turned=False)
    tossed = [replace(thumb, liked=rng.random() < 0.5) for thumb in taught.thumbs[:119]]
    taught = Examples([*tossed, *taught.thumbs[119:]])
    design = linear.tabulate(policy, taught, template.ends)
    (later,) = by_time.measure(taught, design, Examples(), torch.zeros(0), 0.95, 0)
    assert later["auc_newest"]["low"] < 0.5


def test_without_times_nothing_is_told(policy: PreTrainedModel, template: Template) -> None:
    taught = Examples([Thumb("p", exchange(template, "go", f"ab{end}"), end == "!") for end in "!.?" * 8])
    design = linear.tabulate(policy, taught, template.ends)
    assert by_time.measure(taught, design, taught, torch.zeros(24), 0.95, 0) == []


def test_scripts_are_told_apart_and_mixtures_are_none() -> None:
    texts = ("How are you?", "你好吗？", "Как дела?", "今日はいい天気", "12 + 3", "水 is water 水水")
    assert [script_of(text) for text in texts] == ["latin", "cjk", "cyrillic", "kana", None, "cjk"]
    assert script_of("水的 means of water") == "latin"
    assert script_of("water 水") is None


def test_questions_are_of_several_kinds() -> None:
    assert by_group.kinds(["What is 2 + 2 in words?", "你好"]) == {
        "cjk_questions": [1],
        "latin_questions": [0],
        "long_questions": [0],
        "questions_with_numbers": [0],
        "short_questions": [1],
    }


def test_a_kind_that_is_foretold_worse_than_the_others_is_seen(template: Template) -> None:
    """Long questions are answered by a coin, as far as the forecast goes; and it expects too much of them."""
    rng = Random(0)
    thumbs, logits = [], []
    for number in range(400):
        is_long = number % 2 == 0
        prompt = exchange(template, "abc def ghi" if is_long else "ab", "").prompt
        liked = rng.random() < (0.3 if is_long else 0.5)
        thumbs.append(Thumb(f"p{number % 40}", Exchange(prompt, (1,), ""), liked))
        logits.append(rng.gauss(1.0, 0.5) if is_long else rng.gauss(2.0 if liked else -2.0, 1.0))
    found = {row["group"]: row for row in by_group.measure(thumbs, torch.tensor(logits), template, 0.95, 0)}
    assert found["long_questions"]["gap"]["high"] < 0 < found["short_questions"]["gap"]["low"]
    assert found["long_questions"]["excess"]["low"] > 0.3
    assert found["long_questions"]["auc"]["low"] < 0.5 < found["long_questions"]["auc"]["high"]


def test_of_a_handful_nothing_is_told(template: Template) -> None:
    thumbs = [Thumb("p", exchange(template, "ab", "x"), number % 2 == 0) for number in range(8)]
    assert by_group.measure(thumbs, torch.zeros(8), template, 0.95, 0) == []
