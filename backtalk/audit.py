"""The chain of who did what: each row holds the digest of the one before it, so a changed row is found (SEC-14)."""

import hashlib
import json
from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlmodel import Session, col, select

from backtalk.tables import Audit, Json, now

GENESIS = "0" * 64
PART = 500
"""Rows read at once."""
UNREADABLE = (ValueError, TypeError, sa.exc.DBAPIError)
"""What a row's text raises that is no JSON, no moment or no UTF-8 any more."""


def record(session: Session, actor: object, action: str, target: object = "", **detail: object) -> None:
    """Append one row in the caller's transaction: what is done is written down, or neither is.

    Args:
        actor: a person's id, or the name of the process that acted.
        action: `noun.verb`, such as `policy.promote`.
        target: what it was done to.
        detail: JSON values; never secrets.
    """
    alone(session)
    last = session.exec(select(Audit).order_by(col(Audit.seq).desc()).limit(1)).first()
    row = Audit(
        seq=last.seq + 1 if last else 1,
        at=now(),
        actor=str(actor),
        action=action,
        target=str(target),
        detail=detail,
        previous=last.digest if last else GENESIS,
        digest="",
    )
    row.digest = _digest(row)
    session.add(row)
    session.flush()


def alone(session: Session) -> None:
    """From here to its end no other transaction that writes to the log runs beside this one.

    For whoever looks first and then does what the log will tell: what was seen still holds.
    """
    if session.get_bind().dialect.name == "postgresql":  # on SQLite a writing transaction is alone already
        session.execute(sa.text("LOCK TABLE audit IN SHARE ROW EXCLUSIVE MODE"))


def newest(
    session: Session,
    limit: int,
    *,
    before: int | None = None,
    actor: str | None = None,
    action: str | None = None,
    target: str | None = None,
) -> Sequence[Audit]:
    """Rows of the log, newest first; only those before a number, of an actor, of an action, or on a target."""
    query = select(Audit).order_by(col(Audit.seq).desc()).limit(limit)
    if before is not None:
        query = query.where(Audit.seq < before)
    for column, value in ((Audit.actor, actor), (Audit.action, action), (Audit.target, target)):
        if value is not None:
            query = query.where(column == value)
    return session.exec(query).all()


def first_broken(session: Session) -> int | None:
    """The number of the first row that is not what was written, or None when the chain is whole."""
    previous, expected = GENESIS, 1
    for row in _all(session):
        if row is None or row.seq != expected or row.previous != previous or row.digest != _digest(row):
            return expected
        previous, expected = row.digest, expected + 1
    return None


def _all(session: Session) -> Iterator[Audit | None]:
    """All rows in their order; None in place of one that cannot be read any more."""
    after: int | None = 0
    while after is not None:
        part = select(Audit.seq).where(col(Audit.seq) > after).order_by(col(Audit.seq)).limit(PART)
        numbers = session.exec(part).all()
        after = numbers[-1] if numbers else None
        try:
            found: Sequence[Audit | None] = _read(session, numbers)
        except UNREADABLE:
            found = [_one(session, number) for number in numbers]
        yield from found


def _read(session: Session, numbers: Sequence[int]) -> Sequence[Audit]:
    return session.exec(select(Audit).where(col(Audit.seq).in_(numbers)).order_by(col(Audit.seq))).all()


def _one(session: Session, number: int) -> Audit | None:
    try:
        return _read(session, [number])[0]
    except UNREADABLE:
        return None


def _digest(row: Audit) -> str:
    content: Json = {
        "seq": row.seq,
        "at": row.at.isoformat(),
        "actor": row.actor,
        "action": row.action,
        "target": row.target,
        "detail": row.detail,
        "previous": row.previous,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
