"""The audit log is a chain: whatever is changed in it, verification finds it (SEC-14)."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlmodel import select

from backtalk import audit, people, safekeeping
from backtalk.database import Database
from backtalk.settings import Settings
from backtalk.tables import Audit

ROWS, CHANGES = 6, 500
COLUMNS = ("at", "actor", "action", "target", "detail", "previous", "digest")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation whose log holds what people may write into it."""
    settings = Settings(data_dir=tmp_path / "data")
    settings.prepare()
    database = Database(settings.database)
    database.migrate()
    with database.write() as session:
        ada = people.add(session, "Ada")
        for number in range(ROWS - 1):
            audit.record(session, ada.id, "person.rename", ada.id, name=f'"{number}"\n\x1b[2J 你好', n=number)
    database.close()
    return settings


def broken(settings: Settings) -> str:
    """What verification says of the log; empty when it is whole."""
    database = Database(settings.database)
    try:
        found = {finding.what: finding for finding in safekeeping.verify(settings, database)}["audit chain"]
    finally:
        database.close()
    return "" if found.is_whole else found.detail


def test_any_bit_that_is_flipped_is_found(settings: Settings) -> None:
    assert not broken(settings)
    chance, missed = random.Random(1), []
    database = Database(settings.database)
    with database.read() as session:
        written = {row.seq: row.model_dump() for row in session.exec(select(Audit))}
    with closing(sqlite3.connect(settings.data_dir / "backtalk.db", isolation_level=None)) as raw:
        raw.execute("PRAGMA synchronous=OFF")
        for _ in range(CHANGES):
            seq, column = chance.randint(1, ROWS), chance.choice(COLUMNS)
            (was,) = raw.execute(f"SELECT CAST({column} AS BLOB) FROM audit WHERE seq = ?", (seq,)).fetchone()
            changed = bytearray(was)
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
            write = f"UPDATE audit SET {column} = CAST(? AS TEXT) WHERE seq = ?"
            raw.execute(write, (bytes(changed), seq))
            with database.read() as session:
                found = audit.first_broken(session)
                if found is None and session.get_one(Audit, seq).model_dump() != written[seq]:
                    missed.append((seq, column, bytes(was), bytes(changed)))
            assert found in (None, seq, seq + 1)
            raw.execute(write, (was, seq))
    database.close()
    assert missed == []
    assert not broken(settings), "and put back it is whole again"


@pytest.mark.parametrize(
    ("change", "row"),
    [
        ("DELETE FROM audit WHERE seq = 5", 5),
        ("UPDATE audit SET seq = 99 WHERE seq = 5", 5),
        ("UPDATE audit SET actor = (SELECT actor FROM audit WHERE seq = 1) || ' ' WHERE seq = 6", 6),
        ("UPDATE audit SET previous = (SELECT previous FROM audit WHERE seq = 3) WHERE seq = 4", 4),
        ("UPDATE audit SET detail = 'not json' WHERE seq = 1", 1),
        ("UPDATE audit SET at = 'yesterday' WHERE seq = 2", 2),
    ],
)
def test_rows_that_are_gone_moved_or_unreadable_are_named(settings: Settings, change: str, row: int) -> None:
    with closing(sqlite3.connect(settings.data_dir / "backtalk.db")) as raw, raw:
        raw.execute(change)
    assert f"row {row} is not what was written" in broken(settings)
