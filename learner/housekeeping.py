"""Every hour, what has been kept long enough is erased."""

import logging
from threading import Event, Thread

from sqlalchemy.exc import SQLAlchemyError

from backtalk import retention
from backtalk.database import Database
from backtalk.settings import Settings
from backtalk.tables import now

EVERY = 3600.0  # seconds between two looks

log = logging.getLogger(__name__)


class Housekeeper:
    """Looks in a thread of its own, from its start to its stop."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings, self._database = settings, database
        self._stopped = Event()
        self._thread = Thread(target=self._work, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Look at once, and again every hour."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread when its work at hand is done."""
        self._stopped.set()
        self._thread.join()

    def _work(self) -> None:
        while True:
            try:
                tidied = retention.tidy(self._settings, self._database, now())
                if tidied != retention.Tidied():
                    log.info("kept long enough and gone: %s", tidied)
            except (SQLAlchemyError, OSError):
                log.exception("what was kept long enough could not be erased; trying again in an hour")
            if self._stopped.wait(EVERY):
                return
