import asyncio
import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from sqlmodel import Session, select

from backtalk.database import Database, DatabaseError, newest_revision
from backtalk.tables import Person
from backtalk.writer import StorageError, Writer


def test_the_migrations_make_exactly_the_tables(database: Database) -> None:
    command.check(database._alembic())


def test_the_newest_revision_is_the_one_that_migrating_leads_to(database: Database) -> None:
    assert ScriptDirectory.from_config(database._alembic()).get_current_head() == newest_revision()
    assert database.revision() == newest_revision()


def test_migrating_twice_changes_nothing(database: Database) -> None:
    before = database.revision()
    database.migrate()
    assert database.revision() == before


def test_a_database_of_a_newer_release_is_refused(database: Database) -> None:
    with database.connection() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        connection.commit()
    with pytest.raises(DatabaseError, match="9999"):
        database.migrate()


def test_a_commit_survives_a_power_cut(database: Database) -> None:
    with database.connection() as connection:
        if not database.is_sqlite:
            assert connection.execute(sa.text("SHOW synchronous_commit")).scalar() == "on"
            return
        assert connection.execute(sa.text("PRAGMA synchronous")).scalar() == 2  # FULL
        assert connection.execute(sa.text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(sa.text("PRAGMA foreign_keys")).scalar() == 1


def test_a_failed_block_leaves_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as session:
        session.add(Person(name="ann"))
        session.flush()
        raise ZeroDivisionError
    with database.read() as session:
        assert session.exec(select(Person)).all() == []


def test_a_moment_keeps_its_time_zone(database: Database) -> None:
    with database.write() as session:
        person = Person(name="ann")
        session.add(person)
    with database.read() as session:
        assert session.exec(select(Person)).one().created_at == person.created_at


async def test_a_change_is_stored_when_its_write_returns(database: Database) -> None:
    writer = Writer(database)

    def adding(number: int) -> Callable[[Session], None]:
        return lambda session: session.add(Person(name=f"p{number}"))

    await asyncio.gather(*(writer.write(adding(number)) for number in range(200)))
    with database.read() as session:
        assert len(session.exec(select(Person)).all()) == 200
    writer.close()


async def test_a_change_that_fails_takes_only_itself_back(database: Database) -> None:
    writer = Writer(database)
    gate = threading.Event()
    writer.submit(lambda _: gate.wait())  # holds the writer, so that the next three share a commit

    def broken(session: Session) -> None:
        session.add(Person(name="broken"))
        session.flush()
        raise LookupError("no")

    waiting = [
        asyncio.ensure_future(writer.write(change))
        for change in (lambda s: s.add(Person(name="a")), broken, lambda s: s.add(Person(name="b")))
    ]
    await asyncio.sleep(0.05)
    gate.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), LookupError, type(None)]
    with database.read() as session:
        assert sorted(p.name or "" for p in session.exec(select(Person))) == ["a", "b"]
    writer.close()


async def test_nothing_is_acknowledged_when_the_commit_fails(database: Database) -> None:
    writer = Writer(database)

    def full(_: Session) -> None:
        raise sa.exc.OperationalError("INSERT", {}, Exception("database or disk is full"))

    for _ in range(3):
        assert writer.is_healthy
        with pytest.raises(StorageError):
            await writer.write(full)
    assert not writer.is_healthy
    await writer.write(lambda s: s.add(Person(name="after")))
    assert writer.is_healthy
    writer.close()
