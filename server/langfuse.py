"""Tells a Langfuse what people think of replies: thumbs and scores, each at the trace of its reply. Off unless set.

Only what may train is told: of people who said yes, of replies whose owners did. Who withdraws an opinion or their
consent, or is erased, takes it back there too. Never a text: no note, no rewrite, no reason.

There is no outbox to fill: what is to be told is the difference between the opinions and the table of what was told.
Langfuse keeps one score an id, so that the same told twice is one (https://langfuse.com/docs/scores/custom).
"""

import asyncio
import logging
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col

from backtalk.consent import consents, may_train
from backtalk.database import Database
from backtalk.settings import Settings
from backtalk.tables import LangfuseScore, Message, Opinion, Reply, now
from backtalk.writer import StorageError, Writer

LOOK_SECONDS = 10.0
RESTS = 50
"""Times as long as a look took is the rest after it: all opinions are compared, and people's replies go first."""
AT_ONCE = 1000
"""Opinions that are told of after one look."""
PATIENCE = 10.0  # seconds that Langfuse has
HELD = timedelta(seconds=60)  # who tells of an opinion has this long before another server may
DELAYS = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 600, 3600))
"""Between two attempts, some more each time; it is never given up, for something may have to be taken back."""
THUMB = "thumb"

log = logging.getLogger(__name__)


class Untold(Exception):
    """Langfuse did not take it; the message says why."""


@dataclass(frozen=True, slots=True)
class News:
    """What is to be told of one opinion."""

    opinion_id: UUID
    revision: int
    trace: str
    scores: dict[str, int]
    """By name; those that stand."""
    gone: Collection[str]
    """Names of those that may be there, and no longer stand."""


class Scores:
    """Looks for opinions that Langfuse knows otherwise, and tells it."""

    def __init__(self, settings: Settings, database: Database, writer: Writer) -> None:
        self._url = (settings.langfuse_url or "").rstrip("/")
        self._keys = (settings.langfuse_public_key or "", settings.langfuse_secret() or "")
        self._database = database
        self._writer = writer

    async def follow(self) -> None:
        """Runs for ever, where there is a Langfuse to be told."""
        while self._url:
            began = looked = time.monotonic()
            try:
                found = await asyncio.to_thread(self.look)
                looked = time.monotonic()
                for id in found:
                    if not await self.tell(id):
                        break  # Langfuse does not listen
            except StorageError:
                pass  # told by the writer; the same is told again
            except Exception:
                log.exception("telling Langfuse stumbled; it goes on in a moment")
            await asyncio.sleep(max(LOOK_SECONDS, RESTS * (looked - began)))

    def look(self) -> list[UUID]:
        """Some opinions that Langfuse knows otherwise than they are."""
        with self._database.read() as session:
            return [*session.execute(_new()).scalars(), *session.execute(_gone()).scalars()]

    async def tell(self, id: UUID) -> bool:
        """Tell of an opinion what is to be told; False when Langfuse did not take it."""
        news = await self._writer.write(lambda session: _take(session, id))
        if news is None:
            return True  # another server tells of it
        error: str | None = None
        try:
            await self._tell(news)
        except (Untold, httpx2.HTTPError) as reason:
            error = str(reason) or type(reason).__name__
            log.warning("Langfuse was not told of an opinion, and will be again: %s", error)
        await self._writer.write(lambda session: _settle(session, news, is_told=error is None))
        return error is None

    async def _tell(self, news: News) -> None:
        address = f"{self._url}/api/public/scores"
        async with httpx2.AsyncClient(auth=self._keys, timeout=PATIENCE, follow_redirects=False) as client:
            for name in news.gone:
                answer = await client.delete(f"{address}/{_id(news, name)}")
                if not answer.is_success and answer.status_code != 404:
                    raise Untold(f"{self._url} answered {answer.status_code} to taking a score back")
            for name, value in news.scores.items():
                score = {"id": _id(news, name), "traceId": news.trace, "name": name, "value": value}
                answer = await client.post(address, json=score | {"dataType": "NUMERIC"})
                if not answer.is_success:
                    raise Untold(f"{self._url} answered {answer.status_code} to a score")


def _id(news: News, name: str) -> str:
    return f"{news.opinion_id}-{name}"


def _standing() -> sa.Select[Opinion, str | None]:
    """Opinions that may be told, with the trace that each belongs to."""
    return (
        sa.select(Opinion, col(Reply.traceparent))
        .join(Reply, col(Reply.id) == col(Opinion.message_id))
        .join(Message, col(Message.id) == col(Opinion.message_id))
        .where(
            col(Reply.traceparent).is_not(None),
            ~col(Opinion.withdrawn),
            ~col(Opinion.excluded),
            consents(col(Opinion.person_id)),
            may_train(Message),
        )
    )


def _new() -> sa.Select[Any]:
    """Opinions of which another state was told, or none."""
    told = col(LangfuseScore.opinion_id) == col(Opinion.id)
    is_other = sa.and_(
        col(LangfuseScore.revision) != col(Opinion.revision),
        col(LangfuseScore.next_at) <= now(),
    )
    of = _standing().outerjoin(LangfuseScore, told).where(sa.or_(col(LangfuseScore.opinion_id).is_(None), is_other))
    return of.with_only_columns(col(Opinion.id)).limit(AT_ONCE)


def _gone() -> sa.Select[Any]:
    """Opinions that were told, and do not stand any more."""
    stands = _standing().where(col(Opinion.id) == col(LangfuseScore.opinion_id)).with_only_columns(col(Opinion.id))
    told = sa.select(col(LangfuseScore.opinion_id)).where(col(LangfuseScore.next_at) <= now())
    return told.where(~stands.exists()).limit(AT_ONCE)


def _take(session: Session, id: UUID) -> News | None:
    """What is to be told of this opinion; None if another server tells of it.

    Names are noted before they are told: whatever may be there can be taken back.
    """
    told = session.get(LangfuseScore, id, with_for_update=True)
    if told is None:
        told = LangfuseScore(opinion_id=id, next_at=now())
        try:
            with session.begin_nested():
                session.add(told)
        except IntegrityError:
            return None
    if told.next_at > now():
        return None
    found = session.execute(_standing().where(col(Opinion.id) == id)).first()
    scores: dict[str, int] = {}
    revision, trace = 0, ""
    if found is not None:
        opinion, traceparent = found
        scores = opinion.labels | ({THUMB: opinion.rating} if opinion.rating is not None else {})
        revision, trace = opinion.revision, traceparent.split("-")[1]
    gone = sorted(set(told.names) - scores.keys())
    told.names = sorted({*told.names, *scores})
    told.next_at = now() + HELD
    session.add(told)
    return News(id, revision, trace, scores, gone)


def _settle(session: Session, news: News, *, is_told: bool) -> None:
    told = session.get(LangfuseScore, news.opinion_id)
    if told is None:
        return
    if not is_told:
        told.next_at = now() + DELAYS[min(told.attempts, len(DELAYS) - 1)]
        told.attempts += 1
    elif news.revision == 0:
        session.delete(told)
        return
    else:
        told.names, told.revision, told.attempts, told.next_at = sorted(news.scores), news.revision, 0, now()
    session.add(told)
