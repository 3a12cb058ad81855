"""The run ledger, the live pointer and the audit chain."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlmodel import select

from backtalk import audit, people, policies, runs
from backtalk.database import Database
from backtalk.tables import Audit, Opinion, Run, Schedule, Slot, now


def test_only_one_run_waits_or_runs(database: Database) -> None:
    with database.write() as session:
        runs.queue(session, {})
        with pytest.raises(runs.RunError, match="queued"):
            runs.queue(session, {})


def test_a_claimed_run_is_nobody_elses(database: Database) -> None:
    with database.write() as session:
        runs.queue(session, {})
    with database.write() as session:
        assert runs.claim(session, "one") is not None
        assert runs.claim(session, "two") is None


def test_a_zombie_whose_lease_ran_out_changes_nothing(database: Database) -> None:
    with database.write() as session:
        run_id = runs.queue(session, {}).id
        first = runs.claim(session, "one")
        assert first is not None
        session.execute(sa.update(Run).values(lease_until=now() - timedelta(seconds=1)))
        second = runs.claim(session, "two")
        assert second is not None and (second.owner, second.epoch) == ("two", 2)
        with pytest.raises(runs.LeaseLost):
            runs.renew(session, run_id, 1)
        with pytest.raises(runs.LeaseLost):
            runs.update(session, run_id, 1, progress=0.5)
        with pytest.raises(runs.LeaseLost):
            runs.end(session, run_id, 1, "promoted")
        runs.end(session, run_id, 2, "rejected")


def test_the_holder_learns_that_it_shall_stop(database: Database) -> None:
    with database.write() as session:
        run_id = runs.queue(session, {}).id
        runs.claim(session, "one")
        assert not runs.renew(session, run_id, 1)
        runs.cancel(session, run_id, "ann")
        assert runs.renew(session, run_id, 1)


def test_a_queued_run_is_cancelled_at_once(database: Database) -> None:
    with database.write() as session:
        run = runs.queue(session, {})
        assert runs.cancel(session, run.id, "ann").state == "cancelled"
        with pytest.raises(runs.RunError, match="ended already"):
            runs.cancel(session, run.id, "ann")


def test_a_slot_is_settled_once(database: Database) -> None:
    moment = now()
    with database.write() as session:
        schedule = Schedule(name="nightly", cron="0 3 * * *", minimum_feedback=0)
        session.add(schedule)
        session.flush()
        assert runs.fill_slot(session, schedule, moment) is not None
        assert runs.fill_slot(session, schedule, moment) is None
        assert len(session.exec(select(Slot)).all()) == 1


def test_a_slot_without_enough_new_opinions_says_so(database: Database) -> None:
    with database.write() as session:
        schedule = Schedule(name="nightly", cron="0 3 * * *", minimum_feedback=5)
        session.add(schedule)
        session.flush()
        assert runs.fill_slot(session, schedule, now()) is None
        assert session.exec(select(Slot)).one().missed == "0 new opinions, 5 wanted"


def test_one_version_is_live(database: Database) -> None:
    with database.write() as session:
        for number in range(3):
            policies.add(session, number, f"{number}-x", "x")
            policies.go_live(session, number, "test")
        live = policies.live(session)
        assert live is not None and live.number == 2


def test_rolling_back_returns_to_the_version_before(database: Database) -> None:
    with database.write() as session:
        for number in range(3):
            policies.add(session, number, f"{number}-x", "x")
            policies.go_live(session, number, "test")
        assert policies.roll_back(session, "ann", "ruder").number == 1
        assert policies.roll_back(session, "ann").number == 0
        with pytest.raises(policies.PolicyError, match="nothing to roll back to"):
            policies.roll_back(session, "ann")


def test_a_changed_audit_row_is_found(database: Database) -> None:
    with database.write() as session:
        for number in range(5):
            audit.record(session, "ann", "test.act", number)
        assert audit.first_broken(session) is None
        session.execute(sa.update(Audit).where(sa.column("seq") == 3).values(target="other"))
        session.expire_all()
        assert audit.first_broken(session) == 3


def test_a_removed_audit_row_is_found(database: Database) -> None:
    with database.write() as session:
        for number in range(5):
            audit.record(session, "ann", "test.act", number)
        session.execute(sa.delete(Audit).where(sa.column("seq") == 2))
        session.expire_all()
        assert audit.first_broken(session) == 2


def test_a_changed_opinion_is_new_feedback_again(database: Database) -> None:
    from uuid import uuid4

    from backtalk.tables import Conversation, Message, RunItem

    with database.write() as session:
        person = people.add(session, "ann")
        conversation = Conversation(person_id=person.id)
        session.add(conversation)
        session.flush()
        message = Message(conversation_id=conversation.id, person_id=person.id, position=1, role="assistant")
        session.add(message)
        session.flush()
        opinion = Opinion(person_id=person.id, message_id=message.id, rating=1)
        session.add(opinion)
        session.flush()
        assert runs.new_feedback(session) == 1
        run = Run(id=uuid4(), state="promoted")
        session.add(run)
        session.flush()
        session.add(RunItem(run_id=run.id, kind="opinion", item_id=opinion.id, person_id=person.id, digest="x"))
        session.flush()
        assert runs.new_feedback(session) == 0
        opinion.revision = 2
        session.add(opinion)
        session.flush()
        assert runs.new_feedback(session) == 1


def test_a_name_is_taken_once(database: Database) -> None:
    with database.write() as session:
        people.add(session, "ann")
        with pytest.raises(people.PersonError, match="taken"):
            people.add(session, " ann ")


def test_a_key_is_never_stored(database: Database) -> None:
    with database.write() as session:
        key = people.add_key(session, people.add(session, "ann"))
        session.flush()
        rows = session.execute(sa.text("SELECT * FROM api_key")).all()
        assert key.secret not in repr(rows) and people.digest(key.secret) in repr(rows)


def test_a_password_fits_itself_alone() -> None:
    stored = people.hash_password("correct horse")
    assert people.password_fits("correct horse", stored)
    assert not people.password_fits("correct horsf", stored)
    assert not people.password_fits("anything", None)
    with pytest.raises(people.PersonError, match="7 characters"):
        people.hash_password("seven77")
