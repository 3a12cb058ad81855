"""A run's journal in the database, and the lease that proves the run is still ours (rule R7).

Everything is written under the run's epoch: a process that lost its lease changes nothing any more.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col

from backtalk import runs, tracing
from backtalk.database import Database
from backtalk.tables import Json, Metric, RunItem, RunLine, RunPerson, Sample
from learner.journal import Journal

log = logging.getLogger(__name__)

RENEW_EVERY = 1.0  # seconds; also how soon a cancellation is noticed
MARGIN = 8.0  # seconds before the lease ends at which its holder gives up; a locked database takes 5 to say so
FLUSH_EVERY = 1.0  # seconds; the curves need not be fresher
STUBBORN = 3.0  # seconds that a cancelled run has to reach its next step
MOST_LINES = 1000  # of its log that a run keeps, the newest

SHARES = {  # of the whole run's time, as measured
    "snapshot": (0.0, 0.03),
    "reward_model": (0.03, 0.1),
    "policy": (0.1, 0.6),
    "gate": (0.6, 0.98),
    "publish": (0.98, 1.0),
}


def _nothing(session: Session) -> None:
    pass


class Cancelled(Exception):
    """An operator asked the run to stop."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is. Made at every step, read by whoever watches in the foreground."""

    stage: str
    done: float  # of the whole run, 0..1
    values: dict[str, float]


class RunJournal(Journal):
    """Writes stage, progress, metrics and samples of one run under its epoch, a few times a second at most."""

    def __init__(
        self, database: Database, run_id: UUID, epoch: int, on_progress: Callable[[Progress], None] | None = None
    ) -> None:
        super().__init__()
        self.run_id, self.epoch = run_id, epoch
        self.cancelled = threading.Event()
        self.span = ExitStack()
        """That of the stage under way; whoever does the run closes it."""
        self.done = 0.0
        self._database = database
        self._on_progress = on_progress
        self._waiting: list[Metric] = []
        self._lines: deque[RunLine] = deque()  # other threads add to it
        self._line = 0
        self._flushed_at = time.monotonic()
        self._seconds: dict[str, float] = {}
        self._cpu_seconds: dict[str, float] = {}
        self._began_at, self._used_at = time.monotonic(), time.process_time()

    def start_over(self) -> None:
        """Forget what an attempt that died has written, save its log: that tells what it died of."""
        with self._database.write() as session:
            runs.update(session, self.run_id, self.epoch, stage=None, progress=0.0)
            for table in (Metric, Sample, RunItem, RunPerson):
                session.execute(sa.delete(table).where(col(table.run_id) == self.run_id))
            last = sa.select(sa.func.max(RunLine.number)).where(col(RunLine.run_id) == self.run_id)
            self._line = session.execute(last).scalar() or 0
        if self._line:
            log.warning("the attempt before this one left without ending the run; it begins again")

    def say(self, level: str, text: str) -> None:
        """A line for the run's log, written with whatever is written next."""
        self._lines.append(RunLine(run_id=self.run_id, number=0, level=level, text=text))

    def begin(self, stage: str) -> None:
        """See `Journal.begin`; also notes what the stage before took."""
        self._note_seconds()
        super().begin(stage)
        self.span.close()
        self.span.enter_context(tracing.span(stage))
        log.info("step %s begins", stage)
        self.done = SHARES[stage][0]
        self.flush()
        self._tell({})

    def write(self, done: float | None, values: dict[str, float]) -> None:
        """See `Journal.write`."""
        self.pulse()
        if done is not None:
            low, high = SHARES[self.stage]
            self.done = low + (high - low) * min(max(done, 0.0), 1.0)
        if values:
            rounded = {name: float(f"{value:.6g}") for name, value in values.items()}
            self._waiting.append(Metric(run_id=self.run_id, step=self.steps, stage=self.stage, values=rounded))
        if time.monotonic() - self._flushed_at > FLUSH_EVERY:
            self.flush()
        self._tell(values)

    def pulse(self) -> None:
        """See `Journal.pulse`.

        Raises:
            Cancelled: an operator asked for it.
        """
        if self.cancelled.is_set():
            raise Cancelled

    def flush(self, add: Callable[[Session], None] = _nothing, **values: object) -> None:
        """Write what waits, in one transaction.

        Args:
            add: more to write in the same transaction.
            values: columns of the run.

        Raises:
            LeaseLost: the run is no longer ours; nothing was written.
        """
        with self._database.write() as session:
            runs.update(
                session, self.run_id, self.epoch, stage=self.stage or None, progress=round(self.done, 4), **values
            )
            session.add_all(self._waiting)
            add(session)
            self._write_lines(session)
        self._waiting = []
        self._flushed_at = time.monotonic()

    def end(
        self, state: str, error: str | None, report: Json, add: Callable[[Session], None] = _nothing, **values: object
    ) -> None:
        """Give the run its terminal state, with all that was measured, in one transaction with what `add` writes."""
        self._note_seconds()
        with self._database.write() as session:
            add(session)
            session.add_all(self._waiting)
            values |= {"report": report | self.timings(), "stage": self.stage or None}
            values["progress"] = 1.0 if state == "promoted" else round(self.done, 4)
            runs.end(session, self.run_id, self.epoch, state, error, **values)
            self._write_lines(session)
        self._waiting = []

    def _write_lines(self, session: Session) -> None:
        """Write what was said, and let go of what is too old. What another thread says meanwhile comes next time."""
        for _ in range(len(self._lines)):
            line = self._lines.popleft()
            self._line += 1
            line.number = self._line
            session.add(line)
        old = sa.delete(RunLine).where(
            col(RunLine.run_id) == self.run_id, col(RunLine.number) <= self._line - MOST_LINES
        )
        session.execute(old)

    def timings(self) -> Json:
        """Seconds of each stage so far, on the clock and of processor time."""
        return {
            name: {stage: round(seconds, 1) for stage, seconds in found.items()}
            for name, found in (("seconds", self._seconds), ("cpu_seconds", self._cpu_seconds))
        }

    def _note_seconds(self) -> None:
        moment, used = time.monotonic(), time.process_time()
        if self.stage:
            self._seconds[self.stage] = self._seconds.get(self.stage, 0.0) + moment - self._began_at
            self._cpu_seconds[self.stage] = self._cpu_seconds.get(self.stage, 0.0) + used - self._used_at
        self._began_at, self._used_at = moment, used

    def _tell(self, values: dict[str, float]) -> None:
        if self._on_progress:
            self._on_progress(Progress(self.stage, self.done, values))


@contextmanager
def lease(
    database: Database, journal: RunJournal, leave: Callable[[str], object], clock: Callable[[], float] = time.monotonic
) -> Iterator[None]:
    """Renew the run's lease from a thread for as long as the block runs.

    Args:
        leave: called in the thread when the run must not go on in this process: the lease is lost or cannot be renewed
            in time (on the monotonic clock: the wall clock may jump), or a cancelled run does not reach its next step.
            A process of its own exits here.
    """
    stop = threading.Event()

    def renew() -> None:
        good_until = clock() + runs.LEASE.total_seconds() - MARGIN
        cancelled_at: float | None = None
        while not stop.wait(RENEW_EVERY):
            try:
                with database.write() as session:
                    cancelled = runs.renew(session, journal.run_id, journal.epoch)
                good_until = clock() + runs.LEASE.total_seconds() - MARGIN
            except runs.LeaseLost as error:
                if not stop.is_set():
                    leave(str(error))
                return
            except SQLAlchemyError as error:  # busy or gone for a moment: the lease holds a while yet
                if clock() > good_until:
                    leave(f"the lease could not be renewed in time: {error}")
                    return
                continue
            if cancelled:
                journal.cancelled.set()
                cancelled_at = cancelled_at or clock()
                if clock() - cancelled_at > STUBBORN and not stop.is_set():
                    with suppress(runs.LeaseLost, SQLAlchemyError):
                        journal.end("cancelled", None, {})
                    leave("the run was cancelled")
                    return

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)
