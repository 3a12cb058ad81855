"""Who is erased is forgotten by what comes next: it is, to the bit, what a run makes that never saw them (SEC-17)."""

import hashlib
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from backtalk import people, policies, release, runs
from backtalk.database import Database
from backtalk.policies import PolicyError
from backtalk.settings import Settings
from backtalk.tables import Audit, Person, Policy, Run, RunItem, Schedule, now
from tests.learner.test_train import SMALL, House, Settle
from tests.learner.test_train import settle as settle  # the fixture
from tests.learner.town import live_number

# What is held against each other here are bytes: the gate need not be sure that people like them better.
LENIENT = {"confidence": 0.5, "minimum_auc": 0.0, "maximum_kl": 1000.0, "maximum_growth": 1000.0}
RECIPE = SMALL | {"gate": SMALL["gate"] | LENIENT | {"maximum_endless": 1.0, "maximum_lost": 1.0}}


def erase(house: House, person_id: UUID) -> None:
    with house.database.write() as session:
        people.erase(session, session.get_one(Person, person_id), "test")


def weights_of(house: House, number: int) -> str:
    with house.database.read() as session:
        directory = house.settings.weights_dir / session.get_one(Policy, number).directory
    return hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest()


def never_there(house: House, person_id: UUID, directory: Path) -> House:
    """The same installation, in which this person has never been."""
    house.database.close()
    shutil.copytree(house.settings.data_dir, directory)
    settings = Settings(data_dir=directory, model=house.settings.model, learner_device="cpu")
    database = Database(settings.database)
    with database.write() as session:
        session.execute(sa.delete(Person).where(col(Person.id) == person_id))
    database.close()
    with closing(sqlite3.connect(directory / "backtalk.db")) as raw:
        assert person_id.hex not in "\n".join(raw.iterdump()), "no row says that there was anybody"
    return replace(house, settings=settings, database=database)


def test_the_next_version_is_to_the_bit_what_one_is_that_never_saw_the_person(settle: Settle, tmp_path: Path) -> None:
    house = settle()
    gone = house.people[3]
    elsewhere = never_there(house, gone, tmp_path / "elsewhere")

    first = house.train(RECIPE)
    assert (first.state, first.to_version) == ("promoted", 1), first.error
    erase(house, gone)
    second = house.train(RECIPE)
    assert (second.state, second.from_version, second.to_version) == ("promoted", 0, 2), second.error
    assert second.report["forgets"] == {"live": 1, "begins_at": 0}
    assert live_number(house.database) == 2

    never = elsewhere.train(RECIPE)
    elsewhere.database.close()
    assert (never.state, never.from_version, never.to_version) == ("promoted", 0, 1)
    assert never.snapshot_digest == second.snapshot_digest != first.snapshot_digest
    assert weights_of(elsewhere, 1) == weights_of(house, 2)
    assert weights_of(house, 1) != weights_of(house, 2), "and the person had made a difference"

    with house.database.read() as session:
        assert session.get_one(Policy, 1).state == "withdrawn"
        assert session.exec(select(RunItem).where(RunItem.person_id == gone)).all() == []
        (erased,) = session.exec(select(Audit).where(Audit.action == "person.erase"))
        assert erased.detail == {"versions": [1]}
    with house.database.write() as session, pytest.raises(PolicyError, match="erased since"):
        policies.go_live(session, 1, "test")


@pytest.fixture
def taught(settle: Settle) -> House:
    """Versions 1 to 3, one from the other; the first run learned from everybody, the others from the first person."""
    house = settle(people=5, each=2)
    with house.database.write() as session:
        for number in (1, 2, 3):
            run = Run(state="promoted", started_at=now() - timedelta(hours=1))
            session.add(run)
            session.flush()
            policies.add(session, number, f"{number}-none", "none", parent=number - 1, run_id=run.id)
            for place, person_id in enumerate(house.people if number == 1 else house.people[:1]):
                item = RunItem(run_id=run.id, kind="opinion", item_id=UUID(int=place), person_id=person_id, digest="")
                session.add(item)
            policies.go_live(session, number, "test")
    return house


def states(house: House) -> dict[int, str]:
    with house.database.read() as session:
        return {policy.number: policy.state for policy in session.exec(select(Policy).order_by(col(Policy.number)))}


def test_versions_that_come_from_one_that_saw_the_person_saw_them_too(taught: House) -> None:
    erase(taught, taught.people[2])
    assert states(taught) == {0: "retired", 1: "withdrawn", 2: "withdrawn", 3: "live"}
    with taught.database.write() as session:
        start = policies.start(session)
        assert start is not None and start.number == 0
        assert policies.roll_back(session, "test").number == 0, "there is no other way back"
        assert session.get_one(Policy, 3).state == "withdrawn"


def test_somebody_whom_nobody_learned_from_leaves_the_versions_as_they_are(taught: House) -> None:
    with taught.database.write() as session:
        stranger = people.add(session, "stranger").id
    erase(taught, stranger)
    assert states(taught) == {0: "retired", 1: "retired", 2: "retired", 3: "live"}
    with taught.database.read() as session:
        assert policies.start(session) == policies.live(session)


def test_a_candidate_that_learned_from_them_no_longer_waits(taught: House) -> None:
    with taught.database.write() as session:
        release.set_rules(session, "test", approval="operator")
        policies.add(session, 4, "4-none", "none", parent=3, run_id=session.get_one(Policy, 3).run_id)
        assert [policy.number for policy in release.waiting(session)] == [4]
    erase(taught, taught.people[0])
    with taught.database.write() as session:
        assert release.waiting(session) == []
        policies.add(session, 5, "5-none", "none", parent=0, run_id=session.get_one(Policy, 3).run_id)
        assert [policy.number for policy in release.waiting(session)] == [5], "one that begins before them does"


def test_a_schedule_forgets_without_waiting_for_new_opinions(taught: House) -> None:
    with taught.database.write() as session:
        session.execute(sa.update(Run).values(started_at=now() + timedelta(hours=1)))
        schedule = Schedule(name="nightly", cron="0 3 * * *", minimum_feedback=50)
        session.add(schedule)
        session.flush()
        assert runs.fill_slot(session, schedule, now()) is None
    erase(taught, taught.people[1])
    with taught.database.write() as session:
        found = session.exec(select(Schedule)).one()
        run = runs.fill_slot(session, found, now() + timedelta(minutes=1))
        assert run is not None and run.state == "queued"
