"""Claims runs and has each done by a process of its own: a training that crashes takes nothing else with it."""

import logging
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from datetime import timedelta
from threading import Event

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from backtalk import lifeline, runs, trouble, weights
from backtalk.bells import Ears
from backtalk.database import Database
from backtalk.settings import Settings
from backtalk.tables import Policy, Run, now

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0  # seconds between two looks for a run
RUNG_EVERY = 10.0  # where a bell tells of a queued one
PATIENCE = 4.5  # seconds a cancelled or stopped training has to leave by itself
STARTING = 120.0  # seconds in which a training gets to renew its lease by itself
HOLD_EVERY = 5.0  # seconds between two renewals until then
ABANDONED = timedelta(hours=1)  # age at which an unfinished version's workspace is nobody's any more


def training(processes: int) -> Sequence[str]:
    """What starts a training: a process, or torchrun with several."""
    if processes <= 1:
        return ("-m", "learner.train")
    return ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m", "learner.train")


class Worker:
    """Does one run after the other."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        command: Sequence[str] | None = None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._command = tuple(command or training(settings.learner_processes))
        self._rung = Event()
        self._ears = Ears(database, {"run": lambda _: self._rung.set()})
        self._owner = f"{socket.gethostname()}:{os.getpid()}"

    def work(self, stop: Event) -> None:
        """Look for runs until told to stop."""
        self.tidy()
        self._ears.start()
        try:
            while not stop.is_set():
                self._rung.clear()
                try:
                    run = self.claim() if self._settings.learner_processes else None
                except SQLAlchemyError:
                    log.exception("the database cannot be asked for runs; trying again")
                    run = None
                if run is None:
                    self._rest(stop)
                else:
                    self.do(run, stop)
        finally:
            self._ears.stop()

    def _rest(self, stop: Event) -> None:
        """Until the next look: a bell ends it, and so does the order to stop."""
        until = time.monotonic() + (RUNG_EVERY if self._ears.is_hearing() else LOOK_EVERY)
        while not (stop.is_set() or self._rung.is_set()) and time.monotonic() < until:
            self._rung.wait(0.1)

    def claim(self) -> Run | None:
        """The next run, claimed under a new epoch."""
        with self._database.write() as session:
            return runs.claim(session, self._owner)

    def do(self, run: Run, stop: Event) -> None:
        """Have a claimed run done by a child, and see to it that it does not stay `running` when the child is gone."""
        log.info("run %s begins (epoch %s)", run.id, run.epoch)
        arguments = (*self._command, str(run.id), str(run.epoch))
        environment = os.environ | {
            "BACKTALK_DATA_DIR": str(self._settings.data_dir.resolve()),
            "PYTHONHASHSEED": "0",  # processes that train together must walk through sets in one order
        }
        child = subprocess.Popen(lifeline.command(*arguments), stdin=subprocess.DEVNULL, env=environment)
        asked_at: float | None = None
        began_at = held_at = time.monotonic()
        while (code := child.poll()) is None:
            if asked_at is None and (stop.is_set() or self._is_cancelled(run)):
                asked_at = time.monotonic()
                if stop.is_set():
                    child.terminate()
            if asked_at is not None and time.monotonic() - asked_at > PATIENCE:
                child.kill()
            if time.monotonic() - began_at < STARTING and time.monotonic() - held_at > HOLD_EVERY:
                self._hold(run)
                held_at = time.monotonic()
            stop.wait(0.2) if not stop.is_set() else time.sleep(0.2)
        if stop.is_set() and code != 0:
            return  # the run stays `running`; when its lease is over, the next learner starts it afresh
        self._bury(run, code)
        self.tidy()

    def _hold(self, run: Run) -> None:
        """Keep the lease for a training that is only starting: on a busy machine that takes longer than the lease."""
        try:
            with self._database.write() as session:
                runs.renew(session, run.id, run.epoch)
        except (runs.LeaseLost, SQLAlchemyError):
            pass  # the training finds out by itself

    def _bury(self, run: Run, code: int) -> None:
        """End a run whose process left without doing so."""
        try:
            with self._database.write() as session:
                current = session.get(Run, run.id)
                if current is None or current.state != "running" or current.epoch != run.epoch:
                    return
                if current.cancel_requested:
                    runs.end(session, run.id, run.epoch, "cancelled")
                else:
                    runs.end(session, run.id, run.epoch, "failed", trouble.of_exit(current.stage, code))
        except runs.LeaseLost:
            pass  # somebody else holds the run by now

    def _is_cancelled(self, run: Run) -> bool:
        try:
            with self._database.read() as session:
                current = session.get(Run, run.id)
            return current is not None and current.cancel_requested
        except SQLAlchemyError:
            return False

    def tidy(self) -> None:
        """Remove what trainings left behind that were killed, and what others did long ago."""
        with self._database.read() as session:
            under_way = set(map(str, session.exec(select(Run.id).where(col(Run.state).in_(("queued", "running"))))))
            ended = set(map(str, session.exec(select(Run.id).where(col(Run.state).in_(runs.ENDED)))))
            entered = set(session.exec(select(Policy.directory)))  # asked last: a run ends when its version is entered
        for path in self._settings.weights_dir.glob(f"{weights.WORKSPACE}*"):
            run = path.name.removeprefix(weights.WORKSPACE).rpartition("-")[0]
            age = now().timestamp() - path.stat().st_mtime
            if run in ended or (run not in under_way and age > ABANDONED.total_seconds()):
                shutil.rmtree(path, ignore_errors=True)
        for path in self._settings.weights_dir.glob("[0-9]*-*"):
            if path.name not in entered and weights.run_of(path) in ended:
                shutil.rmtree(path, ignore_errors=True)
        for path in self._settings.checkpoints_dir.glob("*"):
            if path.name not in under_way:
                shutil.rmtree(path, ignore_errors=True)
