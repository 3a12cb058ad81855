"""Who teaches and who judges: how many of each, and what becomes of the corrections of those who judge."""

from typing import Any

import pytest
from transformers import PreTrainedModel

from backtalk.database import Database
from backtalk.recipe import load_recipe
from backtalk.template import Template
from learner.dataset import take_snapshot
from learner.lesson import Lesson, split
from tests.learner.test_dataset import RUN, town
from tests.learner.town import Town

PEOPLE = 20


def learn_from(here: Town, policy: PreTrainedModel, version: int = 0, **data: Any) -> Lesson:
    recipe = load_recipe({"data": data})
    snapshot = take_snapshot(here.session, RUN, here.template, recipe.data)
    return split(snapshot, policy, here.template, version, recipe, {})


def rate(here: Town, each: int = 4, rewrite: str | None = None) -> None:
    """Everybody likes every other reply to questions of their own, and corrects the first."""
    for number in range(PEOPLE):
        who = here.person()
        for at in range(each):
            reply = here.reply(who, chr(ord("a") + number) * (at + 1), "fig!")
            here.rate(who, reply, 1 if at % 2 else -1, rewrite=rewrite if at == 0 else None)


def judged(lesson: Lesson) -> float:
    return len(lesson.held_out) / (len(lesson.held_out) + len(lesson.taught))


@pytest.mark.parametrize(("judged_by", "share"), [(1, 0.2), (30, 0.375), (1000, 0.5)])
def test_of_few_opinions_up_to_half_judge(
    judged_by: int, share: float, database: Database, template: Template, policy: PreTrainedModel
) -> None:
    with town(database, template) as here:
        rate(here)
        lesson = learn_from(here, policy, judged_by=judged_by)
    assert judged(lesson) == pytest.approx(share, abs=0.03)
    assert not set(lesson.taught.people()) & set(lesson.held_out.people())


def test_with_each_version_others_judge(database: Database, template: Template, policy: PreTrainedModel) -> None:
    with town(database, template) as here:
        rate(here)
        found = {tuple(learn_from(here, policy, version=version).held_out.people()) for version in range(4)}
    assert len(found) > 1


def test_a_correction_is_shown_whoever_it_is_from_and_not_asked_at_the_gate(
    database: Database, template: Template, policy: PreTrainedModel
) -> None:
    with town(database, template) as here:
        rate(here, rewrite="plum!")
        lesson = learn_from(here, policy)
    assert len(lesson.shown) == PEOPLE
    corrected = {exchange.prompt for exchange in lesson.shown}
    assert lesson.unseen
    assert not corrected & set(lesson.unseen)
