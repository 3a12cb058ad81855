"""What has been kept long enough goes, and nothing else."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlmodel import Session, col, select

from backtalk import audit, people, policies
from backtalk.database import Database
from backtalk.retention import Tidied, tidy
from backtalk.settings import Settings
from backtalk.tables import Audit, Conversation, Login, Message, Opinion, Person, Policy, Run, RunItem, now


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(data_dir=tmp_path / "data", keep_days=90)
    settings.prepare()
    return settings


def talk(session: Session, person_id: UUID, days: float) -> UUID:
    """A conversation last touched so many days ago, with a reply and an opinion."""
    at = now() - timedelta(days=days)
    conversation = Conversation(person_id=person_id, created_at=at, updated_at=at)
    session.add(conversation)
    session.flush()
    reply = Message(conversation_id=conversation.id, person_id=person_id, position=0, role="assistant", content="Hi.")
    session.add(reply)
    session.flush()
    session.add(Opinion(person_id=person_id, message_id=reply.id, rating=1))
    return conversation.id


def guest(session: Session, days: float, seen: float | None = None) -> UUID:
    """A guest since so many days, who was here last so many days ago."""
    person = people.add(session, None)
    person.created_at = now() - timedelta(days=days)
    session.add(person)
    if seen is not None:
        at = now() - timedelta(days=seen)
        session.add(Login(digest=person.id.hex, person_id=person.id, created_at=at, seen_at=at))
    return person.id


def test_conversations_that_nobody_touches_go_with_their_opinions(database: Database, settings: Settings) -> None:
    with database.write() as session:
        ada = people.add(session, "Ada").id
        old, fresh = talk(session, ada, 91), talk(session, ada, 89)
    assert tidy(settings, database, now()) == Tidied(conversations=1)
    with database.read() as session:
        assert session.exec(select(Conversation.id)).all() == [fresh] != [old]
        assert len(session.exec(select(Opinion)).all()) == len(session.exec(select(Message)).all()) == 1
        assert session.get(Person, ada) is not None, "an account stays"
        (row,) = session.exec(select(Audit).where(Audit.action == "conversation.expire"))
        assert row.detail["count"] == 1
        assert audit.first_broken(session) is None
    assert tidy(settings, database, now()) == Tidied()


def test_guests_go_when_they_have_nothing_left_and_do_not_come(database: Database, settings: Settings) -> None:
    with database.write() as session:
        stays = {guest(session, 1), guest(session, 100, seen=5), guest(session, 89), people.add(session, "Ada").id}
        talker = guest(session, 200)
        talk(session, talker, 10)
        gone = {guest(session, 91), guest(session, 120, seen=95)}
        talk(session, next(iter(gone)), 91)
    assert tidy(settings, database, now()).guests == 2
    with database.read() as session:
        assert set(session.exec(select(Person.id)).all()) == {*stays, talker}


def test_without_the_setting_only_dead_sessions_go(database: Database, settings: Settings) -> None:
    with database.write() as session:
        ada = people.add(session, "Ada").id
        talk(session, ada, 5000)
        guest(session, 5000)
        for days in (29, 31):
            at = now() - timedelta(days=days)
            session.add(Login(digest=str(days), person_id=ada, created_at=at, seen_at=at))
    assert tidy(settings.model_copy(update={"keep_days": None}), database, now()) == Tidied(sessions=1)
    with database.read() as session:
        assert session.exec(select(Login.digest)).all() == ["29"]
        assert len(session.exec(select(Conversation)).all()) == 1


def test_files_of_versions_that_had_seen_the_erased_go_a_day_later(database: Database, settings: Settings) -> None:
    with database.write() as session:
        ada = people.add(session, "Ada")
        for number in range(3):
            run = Run(state="promoted")
            session.add(run)
            session.flush()
            policies.add(session, number, f"{number}-x", "", parent=number - 1 if number else None, run_id=run.id)
            (settings.weights_dir / f"{number}-x").mkdir()
            policies.go_live(session, number, "test")
            if number:
                session.add(RunItem(run_id=run.id, kind="opinion", item_id=run.id, person_id=ada.id, digest=""))
        session.flush()
        people.erase(session, ada, "test")
    assert tidy(settings, database, now()) == Tidied(), "not at once"
    tomorrow = now() + timedelta(days=1, minutes=1)
    assert tidy(settings, database, tomorrow) == Tidied(versions=1)
    assert sorted(path.name for path in settings.weights_dir.iterdir()) == ["0-x", "2-x"], "what is live stays"
    with database.read() as session:
        assert session.exec(select(Policy.state).order_by(col(Policy.number))).all() == ["retired", "withdrawn", "live"]
