"""`backtalk train`: a run in the foreground."""

import contextlib
import os
import signal
import subprocess
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtalk.cli.opened import ACTOR, opened
from backtalk.cli.output import CommandError

if TYPE_CHECKING:
    from backtalk.database import Database
    from backtalk.tables import Run

CANCEL_SECONDS = 15.0


def train_now(recipe: dict[str, Any], reward_profile: str | None = None, *, quietly: bool) -> "Run":
    """Queue a run, take it before a running learner does, and show it until it has ended.

    Args:
        reward_profile: its name; the active one when left out.
        quietly: show progress on standard error, because standard output is for programs.

    Raises:
        RunError: one is waiting or running already.
        CommandError: the training process died.
    """
    from backtalk import lifeline, policies, runs, supervisor
    from backtalk.cli.follow import follow, read

    with opened(make=True) as (settings, database):
        policies.ensure_first(database, settings)
        with database.write() as session:
            runs.queue(session, recipe, reward_profile=reward_profile)
            run = runs.claim(session, f"{ACTOR} {os.getpid()}")
            assert run is not None  # the same transaction has queued it
        log = settings.data_dir / "logs" / "train.log"
        supervisor.rotate(log)
        with log.open("ab") as file:
            process = subprocess.Popen(
                lifeline.command("-m", "learner.train", str(run.id), str(run.epoch)),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,  # Ctrl-C is for us: the training is told through its row
            )
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stop is a stop, whoever asks for it
        try:
            check = partial(_demand_alive, database, process, run, log)
            ended = follow(database, run.id, check, quietly=quietly)
            process.wait(CANCEL_SECONDS)
            return ended
        except KeyboardInterrupt:
            _cancel(database, process, run)
            return read(database, run.id)[0]
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _demand_alive(database: "Database", process: "subprocess.Popen[bytes]", run: "Run", log: Path) -> None:
    from backtalk import runs, trouble
    from backtalk.cli.follow import read

    if process.poll() is None or (current := read(database, run.id)[0]).state in runs.ENDED:
        return
    reason = trouble.of_exit(current.stage, process.returncode)
    with database.write() as session:
        runs.end(session, run.id, run.epoch, "failed", reason)
    raise CommandError(f"{reason}; its log: {log}")


def _cancel(database: "Database", process: "subprocess.Popen[bytes]", run: "Run") -> None:
    from backtalk import runs

    with database.write() as session:
        runs.cancel(session, run.id, ACTOR)
    try:
        process.wait(CANCEL_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # Without a word when it has ended by itself, as it should.
    with contextlib.suppress(runs.LeaseLost), database.write() as session:
        runs.end(session, run.id, run.epoch, "cancelled")
