"""Turning the column keys: every sealed value is rewritten under the newest key, then the older ones are dropped.

Short transactions beside a running server: a row that somebody else changes meanwhile is left and met again.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlmodel import Session, SQLModel

from backtalk import sealing
from backtalk.database import Database
from backtalk.sealing import Sealed

ROWS = 200
"""Looked at in one transaction."""
TRIES, PAUSE = 10, 0.2

T = TypeVar("T")


def turn(database: Database, say: Callable[[str, int], None] = lambda table, count: None) -> int:
    """Make a fresh key, rewrite everything under it and drop the others; returns the number of values rewritten.

    Raises:
        SealingError: encryption is off, or a value cannot be opened.
    """
    ring = sealing.ring()
    if ring is None or not sealing.seals():
        raise sealing.SealingError("encryption is off; set BACKTALK_ENCRYPT=true, then run `backtalk key apply`")
    number = ring.turn()
    time.sleep(2 * sealing.LOOK_AGAIN)  # until every process seals with it
    count = apply(database, say)
    ring.drop(ring.numbers() - {number})
    return count


def apply(database: Database, say: Callable[[str, int], None] = lambda table, count: None) -> int:
    """Rewrite every value that is not sealed as the setting says now: under the newest key, or not at all."""
    total = 0
    for table in SQLModel.metadata.sorted_tables:
        columns = [column for column in table.columns if isinstance(column.type, Sealed)]
        if columns:
            total += (count := sum(_rewrite(database, table, columns)))
            say(table.name, count)
    return total


def _rewrite(database: Database, table: sa.Table, columns: list[sa.Column[Any]]) -> Iterator[int]:
    """How many values were rewritten, part by part."""
    after: tuple[Any, ...] | None = None
    while True:
        rows, count = _patiently(partial(_rewrite_part, database, table, columns, after))
        yield count
        if not rows:
            return
        after = tuple(rows[-1][: len(table.primary_key.columns)])


def _rewrite_part(
    database: Database, table: sa.Table, columns: list[sa.Column[Any]], after: tuple[Any, ...] | None
) -> tuple[Sequence[Any], int]:
    keys = list(table.primary_key.columns)
    raw = [sa.type_coerce(column, _as_it_lies(column)).label(f"raw_{column.name}") for column in columns]
    query = sa.select(*keys, *columns, *raw).order_by(*keys).limit(ROWS)
    if after is not None:
        last = (sa.literal(value, key.type) for value, key in zip(after, keys, strict=True))
        query = query.where(sa.tuple_(*keys) > sa.tuple_(*last))
    with database.write() as session:
        rows = session.execute(query).all()
        return rows, sum(_rewrite_row(session, table, keys, columns, row) for row in rows)


def _patiently(work: Callable[[], T]) -> T:
    """Do it again when others kept the database locked all the time; nothing of it was done then."""
    for _ in range(TRIES - 1):
        try:
            return work()
        except sa.exc.OperationalError:
            time.sleep(PAUSE)
    return work()


def _rewrite_row(
    session: Session, table: sa.Table, keys: list[sa.Column[Any]], columns: list[sa.Column[Any]], row: Any
) -> int:
    ring = sealing.ring()
    wanted = ring.current if ring is not None and sealing.seals() else None
    changed, found = {}, []
    for place, column in enumerate(columns):
        value, lies = row[len(keys) + place], row[len(keys) + len(columns) + place]
        if value and sealing.sealed_with(lies) != wanted and not (isinstance(value, str) and not value.strip()):
            changed[column.name] = value
            found.append(sa.type_coerce(column, _as_it_lies(column)) == lies if not _is_json(column) else sa.true())
    if not changed:
        return 0
    here = [key == value for key, value in zip(keys, row[: len(keys)], strict=True)]
    session.execute(sa.update(table).where(*here, *found).values(**changed))
    return len(changed)


def _as_it_lies(column: sa.Column[Any]) -> Any:
    return sa.JSON() if _is_json(column) else column.type.impl_instance  # type: ignore[attr-defined]


def _is_json(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, sealing.SealedJson)
