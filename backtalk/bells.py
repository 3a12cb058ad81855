"""What one process changes, others hear of at once: on Postgres by NOTIFY, in the transaction that changed it.

A bell only says "look"; the rows are the truth. On SQLite nobody rings: there everybody looks often, which is cheap.
Whoever listens looks now and then as well, since a connection can break between two rings.
"""

import logging
from collections.abc import Callable, Mapping
from threading import Event, Thread
from typing import Literal, get_args

import sqlalchemy as sa
from sqlmodel import Session

from backtalk.database import Database

Bell = Literal["schedule", "run", "policy", "reply", "conversation"]
"""Of what something has changed. `reply` rings with the ids of the replies that another server's people may follow,
`conversation` with the ids of the server, the person and the conversation that looks otherwise now, and the name of the
page where the person did it, if it has one."""
MOST_IDS = 200
"""Ids that fit into one ring: Postgres takes 8000 bytes."""
LOOK_SECONDS = 1.0
LISTEN_AGAIN_SECONDS = 2.0

log = logging.getLogger(__name__)


def ring(session: Session, bell: Bell, *ids: object) -> None:
    """Tell the other processes when this transaction is durable."""
    if session.get_bind().dialect.name != "postgresql":
        return
    statement = sa.text("SELECT pg_notify(:channel, :ids)")
    for start in range(0, len(ids) or 1, MOST_IDS):
        part = " ".join(map(str, ids[start : start + MOST_IDS]))
        session.execute(statement, {"channel": f"backtalk_{bell}", "ids": part})


class Ears:
    """Listens in a thread of its own, from its start to its stop; does nothing on SQLite."""

    def __init__(self, database: Database, heard: Mapping[Bell, Callable[[list[str]], None]]) -> None:
        """
        Args:
            heard: called in the thread, with the ids that were rung; also once, without any, whenever listening begins,
                for what was rung before that.
        """
        self._url = None if database.is_sqlite else database.url.replace("postgresql+psycopg", "postgresql", 1)
        self._heard = heard
        self._stopped = Event()
        self._thread = Thread(target=self._listen, name="bells", daemon=True)
        self._hears = False

    def is_hearing(self) -> bool:
        """Whether what is rung now arrives; otherwise look often."""
        return self._hears

    def start(self) -> None:
        """Begin to listen."""
        if self._url is not None:
            self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _listen(self) -> None:
        import psycopg  # of use on Postgres alone

        assert self._url is not None
        while not self._stopped.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True) as connection:
                    for bell in get_args(Bell):
                        if bell in self._heard:
                            connection.execute(f"LISTEN backtalk_{bell}")
                    self._hears = True
                    for hear in self._heard.values():
                        hear([])
                    while not self._stopped.is_set():
                        for rung in connection.notifies(timeout=LOOK_SECONDS):
                            bell = rung.channel.removeprefix("backtalk_")
                            self._heard[bell](rung.payload.split())  # type: ignore[index]  # we listen to no others
                            if self._stopped.is_set():
                                return
            except psycopg.Error:
                log.warning("Postgres does not tell of changes for a while; they are looked for instead")
                self._hears = False
                self._stopped.wait(LISTEN_AGAIN_SECONDS)
            finally:
                self._hears = False
