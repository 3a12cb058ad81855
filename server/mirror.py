"""Replies that other servers write: their logs, kept up from the database for those who listen here.

A delta is durable before anybody hears it (rule R3), so the database has all that there is to tell. On Postgres the
server that writes rings; without a bell the rows are looked at often.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from backtalk.database import Database
from server import ledger
from server.errors import NotFound
from server.events import Usage
from server.log import Log

RUNG_SECONDS = 1.0
"""Between two looks while bells are heard: one may have been missed."""
SILENT_SECONDS = 0.05
"""Between two looks where there are none."""
LINGER_SECONDS = 5.0
"""A log that nobody listens to is kept up for so long; whoever comes later gets a new one."""

log = logging.getLogger(__name__)


class Mirrors:
    """All replies of other servers that somebody follows on this one."""

    def __init__(self, database: Database, hears: Callable[[], bool]) -> None:
        """
        Args:
            hears: whether bells are heard at the moment.
        """
        self._database, self._hears = database, hears
        self._kept: dict[UUID, _Kept] = {}

    async def log(self, person_id: UUID, reply_id: UUID) -> Log:
        """The log of a reply that is written elsewhere, with all that anybody can have been told of it.

        Raises:
            NotFound: there is no such reply, or it is not this person's.
        """
        kept = self._kept.get(reply_id)
        shown = kept.log if kept is not None else Log(reply_id)
        await self._catch_up(person_id, shown)
        kept = self._kept.get(reply_id)
        if kept is not None:
            return kept.log
        return shown if shown.ended is not None else self.keep_up(person_id, shown)

    def keep_up(self, person_id: UUID, shown: Log) -> Log:
        """Go on with a log from the database: its reply is another server's now."""
        bell = asyncio.Event()
        task = asyncio.create_task(self._keep_up(person_id, shown, bell), name=f"mirror of {shown.reply_id}")
        self._kept[shown.reply_id] = _Kept(shown, bell, task)
        task.add_done_callback(lambda _: self._kept.pop(shown.reply_id, None))
        return shown

    def hear(self, reply_ids: list[str]) -> None:
        """These replies have got further."""
        for reply_id in reply_ids:
            kept = self._kept.get(UUID(reply_id))
            if kept is not None:
                kept.bell.set()

    async def close(self) -> None:
        """Keep none up any more."""
        tasks = [kept.task for kept in self._kept.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_up(self, person_id: UUID, shown: Log, bell: asyncio.Event) -> None:
        heard_at = time.monotonic()
        while time.monotonic() - heard_at < LINGER_SECONDS:
            bell.clear()
            try:
                await self._catch_up(person_id, shown)
            except SQLAlchemyError:
                log.warning("the rest of reply %s cannot be read; trying again", shown.reply_id)
            except NotFound:  # deleted with its conversation
                shown.end("stopped", "stopped", Usage(prompt_tokens=0, completion_tokens=0))
            if shown.ended is not None:
                return
            if shown.listeners:
                heard_at = time.monotonic()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(bell.wait(), RUNG_SECONDS if self._hears() else SILENT_SECONDS)

    async def _catch_up(self, person_id: UUID, shown: Log) -> None:
        after = len(shown.texts)
        texts, ended = await asyncio.to_thread(self._read, person_id, shown.reply_id, after)
        if shown.ended is not None:
            return
        if ended is not None:
            texts = ended.texts[after:]
        for text in texts[len(shown.texts) - after :]:  # somebody else may have caught up meanwhile
            shown.add(text)
        if ended is not None and ended.ended is not None:
            shown.end(ended.ended.state, ended.ended.finish_reason, ended.ended.usage)

    def _read(self, person_id: UUID, reply_id: UUID, after: int) -> tuple[list[str], Log | None]:
        with self._database.read() as session:
            return ledger.rest_of(session, person_id, reply_id, after)


@dataclass(frozen=True, slots=True)
class _Kept:
    log: Log
    bell: asyncio.Event
    task: asyncio.Task[None]
