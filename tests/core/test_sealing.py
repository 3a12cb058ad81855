"""Encrypted columns: nothing readable lies on disk, keys turn beside a running writer, a changed value is noticed."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel, select

from backtalk import opinions, reseal, sealing
from backtalk.database import Database
from backtalk.engine.sampling import Sampling
from backtalk.opinions import Judgement
from backtalk.sealing import MARK, Ring, Sealed, SealingError
from backtalk.settings import Settings
from backtalk.tables import Conversation, Delta, Message, Opinion, OpinionHistory, Person, Policy, Reply
from backtalk.template import Turn
from server import ledger
from server.ledger import Outcome, Piece, Place, Plan

SECRET = "Orinoco 秘密"
TOKENS = [77777, 88888, 99999]


@pytest.fixture(autouse=True)
def keys(tmp_path: Path) -> Iterator[Path]:
    """Columns of this test use keys of their own, and nobody's afterwards."""
    path = tmp_path / "columns.json"
    sealing.use(path, b"a secret", encrypt=True)
    yield path
    sealing.use(path.with_name("none"), b"", encrypt=False)


def talk(database: Database) -> tuple[UUID, UUID]:
    """A person with a finished reply and an opinion, and a running one; the secret is in all of it."""
    with database.write() as session:
        person = Person(name=uuid4().hex)
        session.add(person)
        if session.get(Policy, 0) is None:
            session.add(Policy(number=0, state="live", directory="0-000000000000", digest=""))
        session.flush()
        replies = [ledger.enter(session, plan(person.id))[0].reply_id for _ in range(2)]
        ledger.record(session, [Piece(replies[0], 1, SECRET, TOKENS, [-1.0] * 3)], [])
        ledger.record(session, [], [Outcome(replies[1], [SECRET], TOKENS, [-1.0] * 3, "done", "stop")])
        opinions.judge(session, person.id, replies[1], Judgement(rating=-1, rewrite=f"better {SECRET}", note=SECRET))
    return person.id, replies[1]


def plan(person: UUID) -> Plan:
    place, asked = Place(None, None, None, []), [Turn("user", f"I say {SECRET}")]
    return Plan(person, place, asked, uuid4().hex, "", 0, Sampling(seed=1), "", TOKENS, "test")


def readable(database: Database) -> list[str]:
    """Columns in which the secret can be read by whoever opens the database without the keys."""
    packed = ledger.pack_tokens(TOKENS)
    found = []
    for table in SQLModel.metadata.sorted_tables:
        for column in table.columns:
            raw: Any = sa.type_coerce(column, sa.LargeBinary if isinstance(column.type, sa.LargeBinary) else sa.String)
            if isinstance(column.type, sealing.SealedBytes):
                raw = sa.type_coerce(column, sa.LargeBinary)
            elif isinstance(column.type, sealing.SealedJson | sa.JSON):
                raw = sa.cast(sa.type_coerce(column, sa.JSON), sa.String)
            with database.read() as session:
                for (value,) in session.execute(sa.select(raw)):
                    text = value if isinstance(value, str) else ""
                    content = value if isinstance(value, bytes) else b""
                    if "Orinoco" in text or packed in content:
                        found.append(f"{table.name}.{column.name}")
    return found


def test_nothing_that_people_said_can_be_read_without_the_keys(database: Database) -> None:
    _, reply = talk(database)
    assert readable(database) == []
    with database.read() as session:
        message = session.get_one(Message, reply)
        opinion = session.exec(select(Opinion)).one()
        assert (message.content, opinion.note) == (SECRET, SECRET)
        assert ledger.unpack_tokens(session.get_one(Reply, reply).tokens) == TOKENS
        assert session.exec(select(OpinionHistory)).one().content["note"] == SECRET
        assert SECRET in session.exec(select(Conversation.title)).all()[0]
        assert [delta.text for delta in session.exec(select(Delta))] == [SECRET]


def test_every_column_that_holds_what_people_said_is_sealed() -> None:
    """A new text column must be looked at: is it something that somebody said?"""
    told = {
        f"{table.name}.{column.name}"
        for table in SQLModel.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, Sealed)
    }
    assert told == {
        *("conversation.title", "message.content", "reply.prompt", "reply.tokens", "delta.text", "delta.tokens"),
        *(
            "opinion.rewrite",
            "opinion.note",
            "opinion_history.content",
            "sample.prompt",
            "sample.before",
            "sample.after",
        ),
    }


def test_the_file_itself_holds_nothing_readable(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    database.migrate()
    talk(database)
    database.close()
    content = b"".join(path.read_bytes() for path in tmp_path.glob("test.db*"))
    assert b"Orinoco" not in content
    assert ledger.pack_tokens(TOKENS) not in content


def test_rows_from_before_stay_readable_and_are_sealed_on_demand(database: Database, keys: Path) -> None:
    sealing.use(keys, b"a secret", encrypt=False)
    _, reply = talk(database)
    assert len(readable(database)) >= 10
    sealing.use(keys, b"a secret", encrypt=True)
    with database.read() as session:
        assert session.get_one(Message, reply).content == SECRET
    assert reseal.apply(database) >= 10
    assert readable(database) == []
    assert reseal.apply(database) == 0
    sealing.use(keys, b"a secret", encrypt=False)
    reseal.apply(database)
    assert len(readable(database)) >= 10


def test_keys_turn_while_others_write(database: Database, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "LOOK_AGAIN", 0.05)
    for _ in range(5):
        talk(database)
    stop, broken = threading.Event(), list[BaseException]()

    def write() -> None:
        try:
            while not stop.wait(0.01):
                talk(database)
        except BaseException as error:
            broken.append(error)

    writing = threading.Thread(target=write)
    writing.start()
    try:
        reseal.turn(database)
        reseal.turn(database)
    finally:
        stop.set()
        writing.join()
    ring = sealing.ring()
    assert ring is not None
    assert (broken, ring.numbers()) == ([], {3})
    sealing.use(keys, b"a secret", encrypt=True)  # as another process that has only the file
    with database.read() as session:
        assert {message.content for message in session.exec(select(Message)) if message.state == "done"} == {
            SECRET,
            f"I say {SECRET}",
        }
    assert readable(database) == []


@pytest.mark.parametrize("place", ["text", "key", "other column"])
def test_a_value_changed_outside_is_refused(tmp_path: Path, place: str) -> None:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    database.migrate()
    _, reply = talk(database)
    with sqlite3.connect(tmp_path / "test.db") as raw:
        (content,) = raw.execute("SELECT content FROM message WHERE id = ?", (reply.hex,)).fetchone()
        (title,) = raw.execute("SELECT title FROM conversation").fetchone()
        changed = {
            "text": content[:-6] + "AAAA" + content[-2:],
            "key": MARK + "AAAAZ" + content[6:],
            "other column": title,
        }
        raw.execute("UPDATE message SET content = ? WHERE id = ?", (changed[place], reply.hex))
    raw.close()
    with database.read() as session, pytest.raises(SealingError):
        session.get_one(Message, reply)
    database.close()


def test_another_secret_opens_nothing(keys: Path) -> None:
    with pytest.raises(SealingError, match="secret key"):
        Ring(keys, b"another secret").numbers()


def test_the_keys_are_private_and_never_there_in_the_open(keys: Path) -> None:
    assert keys.stat().st_mode & 0o777 == 0o600
    ring = sealing.ring()
    assert ring is not None
    assert all(key.hex() not in keys.read_text() for key in ring._read().values())


@pytest.mark.parametrize("encrypt", [True, False])
@pytest.mark.parametrize("text", [MARK, MARK + "AAAA", MARK + "=x", "", "  ", "plain", "你好"])
def test_any_text_comes_back_as_it_was(database: Database, keys: Path, text: str, encrypt: bool) -> None:
    sealing.use(keys, b"a secret", encrypt=encrypt)
    with database.write() as session:
        person = Person(name="Ada")
        session.add(person)
        session.flush()
        session.add(Conversation(person_id=person.id, title=text))
    with database.read() as session:
        assert session.exec(select(Conversation.title)).one() == text


def test_the_setting_makes_the_keys_and_reads_them_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: Any = Settings(data_dir=tmp_path / "data", encrypt=True)
    settings.prepare()
    assert (tmp_path / "data" / "keys" / "columns.json").exists()
    first = sealing.ring()
    assert first is not None
    sealed = first.seal(b"x", b"l")
    Settings(data_dir=tmp_path / "data", encrypt=True).prepare()
    again = sealing.ring()
    assert again is not None
    assert again.unseal(sealed, b"l") == b"x"
