"""Who is not believed teaches nothing and judges nothing, and their opinions are counted and named."""

from random import Random
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col, select
from transformers import PreTrainedModel

from backtalk import runs
from backtalk.database import Database
from backtalk.recipe import Recipe
from backtalk.tables import RunItem, RunPerson
from backtalk.template import Template
from learner import trust
from learner.dataset import Snapshot, take_snapshot
from tests.learner.planted import WORDS, exclaims, sentence
from tests.learner.town import Town, first_policy

PEOPLE, CONTRARY, EACH = 12, 3, 12


@pytest.fixture
def session(database: Database) -> Any:
    first_policy(database)
    with database.write() as session:
        yield session


@pytest.fixture
def run_id(session: Session) -> UUID:
    return runs.queue(session, {}).id


def snapshot(session: Session, run_id: UUID, template: Template, contrary: int = CONTRARY) -> Snapshot:
    """The first people say the opposite of what all others like: exclamations."""
    rng, town = Random(0), Town(session, template)
    for number in range(PEOPLE):
        person = town.person()
        for _ in range(EACH):
            text = sentence(rng)
            likes = exclaims(text) != (rng.random() < 0.05)
            town.rate(person, town.reply(person, rng.choice(WORDS), text), 1 if likes != (number < contrary) else -1)
    found = take_snapshot(session, run_id, template, Recipe().data)
    session.add_all([*found.items, *found.givers])
    session.flush()
    return found


def names(count: int) -> set[str]:
    return {UUID(int=number + 1).hex for number in range(count)}


def test_what_contrary_people_said_is_gone_and_counted(
    session: Session, run_id: UUID, policy: PreTrainedModel, template: Template
) -> None:
    taken, report = snapshot(session, run_id, template), dict[str, Any]()
    sifted, heard = trust.sift(taken, policy, template.ends, Recipe(), report)
    assert heard is not None
    assert set(taken.examples.people()) - set(sifted.examples.people()) == names(CONTRARY)
    assert sifted.counts["skipped"] == {trust.SKIPPED: CONTRARY * EACH}
    assert sifted.counts["opinions"] == len(sifted.items) == (PEOPLE - CONTRARY) * EACH
    assert sifted.counts["people"] == PEOPLE - CONTRARY
    assert sifted.counts["liked"] == sum(thumb.liked for thumb in sifted.examples.thumbs)
    assert sifted.replies == taken.replies
    assert sifted.digest != taken.digest


def test_the_report_says_how_many_and_how_surely(
    session: Session, run_id: UUID, policy: PreTrainedModel, template: Template, caplog: pytest.LogCaptureFixture
) -> None:
    report = dict[str, Any]()
    trust.sift(snapshot(session, run_id, template), policy, template.ends, Recipe(), report)
    told = report["people"]
    assert told["contrary_told"].startswith("3 of 12 people say the opposite of what the others say")
    assert told["contrary_told"] in caplog.text
    assert told["contrary_share"]["low"] < told["contrary_share"]["value"] == 0.25 < told["contrary_share"]["high"]
    assert not [name for name in names(PEOPLE) if name in str(report)], "who is erased later stands in no report"


def test_the_run_keeps_how_contrary_each_person_looked(
    session: Session, run_id: UUID, policy: PreTrainedModel, template: Template
) -> None:
    _, heard = trust.sift(snapshot(session, run_id, template), policy, template.ends, Recipe(), {})
    trust.keep(run_id, heard, session)
    rows = session.exec(select(RunPerson).where(RunPerson.run_id == run_id)).all()
    assert {row.person_id.hex for row in rows if row.used == 0 and (row.contrary or 0) > 0.9} == names(CONTRARY)
    assert all(row.used == EACH and row.contrary is not None and row.contrary < 0.5 for row in rows if row.used)
    left = session.exec(select(col(RunItem.person_id)).where(RunItem.run_id == run_id)).all()
    assert {person.hex for person in left} == names(PEOPLE) - names(CONTRARY)
    assert session.execute(sa.select(sa.func.count()).select_from(RunItem)).scalar_one() == len(left)


def test_nothing_changes_where_all_say_what_they_think(
    session: Session, run_id: UUID, policy: PreTrainedModel, template: Template
) -> None:
    taken, report = snapshot(session, run_id, template, contrary=0), dict[str, Any]()
    sifted, heard = trust.sift(taken, policy, template.ends, Recipe(), report)
    assert sifted is taken
    assert heard is not None and not heard.left_out.any()
    assert report["people"] == {"people": PEOPLE, "contrary_share": {"value": 0.0, "low": 0.0, "high": 0.2425}}


def test_a_recipe_may_believe_everybody(
    session: Session, run_id: UUID, policy: PreTrainedModel, template: Template
) -> None:
    taken, report = snapshot(session, run_id, template), dict[str, Any]()
    recipe = Recipe.model_validate({"data": {"contrary": 1}})
    assert trust.sift(taken, policy, template.ends, recipe, report) == (taken, None)
    assert report == {}
