"""How long things are kept: conversations that nobody touches any more, guests without one, dead sessions, versions
that had seen somebody who was erased. The learner looks every hour (setting `keep_days`).
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col, select

from backtalk import audit, people, policies
from backtalk.database import Database
from backtalk.settings import Settings
from backtalk.tables import Audit, Conversation, Login, Person, Policy

DEAD = timedelta(days=30)
"""Age at which no session opens anything any more, whoever's it is."""
FILES_LEFT = timedelta(days=1)
"""The files of a version that somebody was erased from stay so long: replies that it has begun may need them."""
MOST = 500
"""Rows that one transaction erases: others wait for it."""


@dataclass(frozen=True, slots=True)
class Tidied:
    """What went, by number. Made by `tidy`, logged by the learner."""

    conversations: int = 0
    guests: int = 0
    sessions: int = 0
    versions: int = 0


def tidy(settings: Settings, database: Database, moment: datetime) -> Tidied:
    """Erase what has been kept long enough; what is erased is gone from backups made later, and from no earlier one."""
    conversations = guests = 0
    if settings.keep_days is not None:
        before = moment - timedelta(days=settings.keep_days)
        conversations = _again(database, lambda session: _expire_conversations(session, before))
        guests = _again(database, lambda session: _expire_guests(session, before))
    with database.write() as session:
        old = sa.delete(Login).where(col(Login.created_at) < moment - DEAD).returning(col(Login.digest))
        dead = len(session.execute(old).all())
    return Tidied(conversations, guests, dead, _remove_files(settings, database, moment))


def _again(database: Database, part: Callable[[Session], int]) -> int:
    """Do a part of the work in transactions of their own, until nothing is left."""
    total = 0
    while True:
        with database.write() as session:
            count = part(session)
        total += count
        if count < MOST:
            return total


def _expire_conversations(session: Session, before: datetime) -> int:
    old = select(Conversation.id).where(col(Conversation.updated_at) < before).limit(MOST)
    ids = session.exec(old).all()
    if ids:
        session.execute(sa.delete(Conversation).where(col(Conversation.id).in_(ids)))
        audit.record(session, "retention", "conversation.expire", count=len(ids), before=before.isoformat())
    return len(ids)


def _expire_guests(session: Session, before: datetime) -> int:
    talks = sa.exists().where(col(Conversation.person_id) == col(Person.id))
    comes = sa.exists().where(col(Login.person_id) == col(Person.id), col(Login.seen_at) >= before)
    old = select(Person).where(col(Person.guest), col(Person.created_at) < before, ~talks, ~comes).limit(MOST)
    guests = session.exec(old).all()
    for guest in guests:
        people.erase(session, guest, "retention")
    return len(guests)


def _remove_files(settings: Settings, database: Database, moment: datetime) -> int:
    """Of withdrawn versions that had seen somebody who was erased more than a day ago."""
    with database.read() as session:
        rows = session.exec(
            select(Audit.detail).where(Audit.action == policies.ERASED, col(Audit.at) < moment - FILES_LEFT)
        )
        seen = {number for detail in rows for number in detail.get("versions", ())}
        gone = select(Policy.directory).where(col(Policy.number).in_(seen), Policy.state == "withdrawn")
        directories = [settings.weights_dir / name for name in session.exec(gone)]
    there = [directory for directory in directories if directory.is_dir()]
    for directory in there:
        shutil.rmtree(directory)
    return len(there)
