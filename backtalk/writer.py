"""The one writer of a process: many small changes, one commit (rule R1).

`await writer.write(change)` returns what `change(session)` returned, and only after the commit that made it durable.
Changes that arrive while a commit is under way share the next one; each runs in its own savepoint, so that one that
fails takes only itself back.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlmodel import Session

from backtalk.database import Database

T = TypeVar("T")
MAX_GROUP = 64
FAILURES_UNTIL_UNHEALTHY = 3

log = logging.getLogger(__name__)


class StorageError(RuntimeError):
    """The change could not be made durable; nothing of it is stored and nothing may be acknowledged."""


class Writer:
    """A thread that owns the writing connection."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: queue.SimpleQueue[tuple[Callable[[Session], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    @property
    def is_healthy(self) -> bool:
        """False after three commits in a row have failed."""
        return self._failures < FAILURES_UNTIL_UNHEALTHY

    async def write(self, change: Callable[[Session], T]) -> T:
        """Run `change` in the writer and wait until it is durable.

        A cancelled waiter does not undo the change.

        Raises:
            StorageError: the commit failed.
            Exception: whatever `change` raised; its own effects are taken back.
        """
        return await asyncio.wrap_future(self.submit(change))

    def submit(self, change: Callable[[Session], T]) -> "Future[T]":
        """The same from a thread; the future ends when the change is durable."""
        future: Future[T] = Future()
        self._queue.put((change, cast(Future[Any], future)))
        return future

    def close(self) -> None:
        """Commit what is waiting and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            first = self._queue.get()
            if first is None:
                return
            group = [first]
            closing = False
            while len(group) < MAX_GROUP:
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
                if item is None:
                    closing = True
                    break
                group.append(item)
            self._commit(group)
            if closing:
                return

    def _commit(self, group: list[tuple[Callable[[Session], Any], "Future[Any]"]]) -> None:
        done: list[tuple[Future[Any], Any]] = []
        try:
            with self._database.writing_session() as session, session.begin():
                for change, future in group:
                    try:
                        with session.begin_nested():
                            result = change(session)
                    except sa.exc.OperationalError:
                        raise
                    except Exception as error:
                        # Told at once: whatever happens to the others, this change has not happened.
                        _settle(future, error=error)
                    else:
                        done.append((future, result))
        except Exception as error:
            self._failures += 1
            log.exception("commit of %d changes failed", len(group))
            self._database.reopen()  # what a connection remembers after a failed write is not to be relied on
            failure = StorageError("could not be saved; try again")
            failure.__cause__ = error
            for _, future in group:
                _settle(future, error=failure)
            return
        self._failures = 0
        for future, result in done:
            _settle(future, result=result)


def _settle(future: "Future[Any]", result: Any = None, error: Exception | None = None) -> None:
    if future.done():  # told already, or its waiter was cancelled
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
