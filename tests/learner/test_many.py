"""Two learners, as processes, on one database: each planned time is settled once, each run done once."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from backtalk import runs, schedules
from backtalk.database import Database
from backtalk.tables import Audit, Run, Schedule, Slot, now
from tests.cli.running import environment

PATIENCE = 200.0
MINUTES = 12


@pytest.fixture
def learners(database: Database, tmp_path: Path) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Both have missed the same times, and begin at the same moment."""
    with database.write() as session:
        schedule = schedules.add(session, "each minute", "* * * * *", minimum_feedback=0)
        schedule.updated_at = now() - timedelta(minutes=MINUTES)
        session.add(schedule)
    with ExitStack() as stack:
        started = []
        for name in ("one", "two"):
            here = environment(tmp_path / name) | {"BACKTALK_DATABASE_URL": database.url}
            command = [sys.executable, "-m", "learner", "--die-with-parent"]
            process = stack.enter_context(subprocess.Popen(command, env=here, stdout=subprocess.DEVNULL))
            stack.callback(process.kill)
            started.append(process)
        yield started


def ended(database: Database) -> list[Run]:
    """All runs, once there is one and none waits or runs any more."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with database.read() as session:
            found = list(session.exec(select(Run)))
        if found and all(run.state in runs.ENDED for run in found):
            return found
        assert time.monotonic() < deadline, [run.state for run in found]
        time.sleep(0.1)


def test_two_learners_settle_each_time_once_and_do_each_run_once(
    learners: list["subprocess.Popen[bytes]"], database: Database
) -> None:
    ended(database)
    with database.write() as session:
        schedule = schedules.by_name(session, "each minute")
        schedules.edit(session, schedule, "test", enabled=False)
        schedule_id = schedule.id
    ended(database)
    with database.write() as session:
        asked = runs.queue(session, {}).id
    done = ended(database)
    assert all(learner.poll() is None for learner in learners)
    with database.read() as session:
        slots = list(session.exec(select(Slot)))
        queued = Counter(row.target for row in session.exec(select(Audit).where(Audit.action == "run.queue")))
        changed = session.get_one(Schedule, schedule_id).updated_at
    first, last = min(slot.planned_at for slot in slots), max(slot.planned_at for slot in slots)
    assert len(slots) == (last - first) / timedelta(minutes=1) + 1 >= MINUTES, "none is left out, none comes twice"
    assert last <= changed
    assert all((slot.run_id is None) != (slot.missed is None) for slot in slots), "a run, or why there is none"
    given = Counter(slot.run_id for slot in slots if slot.run_id is not None)
    assert set(given.values()) == {1}
    assert {run.id for run in done} == {*given, asked}
    assert all(run.epoch == 1 and run.state == "rejected" for run in done), "each was taken by one of them, once"
    assert set(queued.values()) == {1} and len(queued) == len(done)
