"""The worker: each run in a process of its own, and none stays `running` when its process is gone."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
import sqlalchemy as sa
from sqlmodel import select

from backtalk import runs
from backtalk.database import Database
from backtalk.settings import PREFIX, Settings
from backtalk.tables import Run, now
from learner.worker import ABANDONED, Worker
from tests.cli.running import environment
from tests.learner.town import first_policy


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(data_dir=tmp_path / "data")
    settings.prepare()
    return settings


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    database = Database(settings.database)
    database.migrate()
    yield database
    database.close()


def queue(database: Database) -> None:
    with database.write() as session:
        runs.queue(session, {})


def stored(database: Database) -> Run:
    with database.read() as session:
        return session.exec(select(Run)).one()


def wait(claim: Callable[[], bool], seconds: float = 60) -> None:
    give_up = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def do(settings: Settings, database: Database, code: str, stop: Event | None = None) -> None:
    """Have the worker do the queued run with this Python in the place of a training."""
    worker = Worker(settings, database, ("-c", code))
    queue(database)
    run = worker.claim()
    assert run is not None
    worker.do(run, stop or Event())


def test_a_child_that_crashes_is_a_failed_run(settings: Settings, database: Database) -> None:
    do(settings, database, "raise SystemExit(3)")
    run = stored(database)
    assert run.state == "failed"
    expected = "in step start: the training process ended with exit code 3; see the run's log and the learner's"
    assert run.error is not None and run.error.startswith(expected)


def test_a_child_that_is_killed_is_a_failed_run_that_names_the_signal(settings: Settings, database: Database) -> None:
    do(settings, database, "import os; os.kill(os.getpid(), 9)")
    error = stored(database).error
    assert error is not None and "killed by signal 9; that is how a system that is out of memory takes some" in error


def test_a_child_that_ended_its_run_itself_has_the_last_word(settings: Settings, database: Database) -> None:
    url = settings.database
    do(
        settings,
        database,
        f"""if True:
        import sys, uuid
        from backtalk import runs
        from backtalk.database import Database
        with Database({url!r}).write() as session:
            runs.end(session, uuid.UUID(sys.argv[1]), int(sys.argv[2]), "rejected", "nothing to learn")
        sys.exit(1)""",
    )
    run = stored(database)
    assert (run.state, run.error) == ("rejected", "nothing to learn")


def test_a_child_is_told_where_things_are(settings: Settings, database: Database, tmp_path: Path) -> None:
    out = tmp_path / "told"
    code = f"import os, pathlib; pathlib.Path({str(out)!r}).write_text(os.environ['{PREFIX}DATA_DIR'])"
    do(settings, database, code)
    assert Path(out.read_text()) == settings.data_dir.resolve()


def test_a_cancelled_child_that_does_not_hear_is_killed_and_leaves_nothing_half(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    first_policy(database)
    code = f"""if True:
        import pathlib, sys, time
        from backtalk import weights
        run, home = sys.argv[1], pathlib.Path({str(settings.weights_dir)!r})
        (weights.workspace(home, run) / "model.safetensors").touch()
        made = weights.workspace(home, run)
        (made / "config.json").write_text("{{}}")
        key = weights.signing_key(pathlib.Path({str(settings.keys_dir)!r}))
        weights.publish(made, home, key, number=1, run=run)  # and never entered
        (pathlib.Path({str(settings.checkpoints_dir)!r}) / run).mkdir(parents=True)
        pathlib.Path({str(begun)!r}).touch()
        time.sleep(600)"""
    thread = threading.Thread(target=do, args=(settings, database, code))
    thread.start()
    wait(begun.exists)
    with database.write() as session:
        runs.cancel(session, stored(database).id, "test")
    thread.join(120)
    assert not thread.is_alive()
    assert stored(database).state == "cancelled"
    assert not list(settings.weights_dir.iterdir()) and not list(settings.checkpoints_dir.iterdir())


def test_a_stopped_worker_leaves_the_run_to_the_next_one(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    begun, stop = tmp_path / "begun", Event()
    code = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(600)"
    thread = threading.Thread(target=do, args=(settings, database, code, stop))
    thread.start()
    wait(begun.exists)
    stop.set()
    thread.join(120)
    assert not thread.is_alive()
    assert stored(database).state == "running"
    assert Worker(settings, database).claim() is None  # its lease is not over yet
    with database.write() as session:
        session.execute(sa.update(Run).values(lease_until=now() - timedelta(seconds=1)))
    again = Worker(settings, database).claim()
    assert again is not None
    assert again.epoch == 2


def test_whoever_lost_the_run_does_not_bury_it(settings: Settings, database: Database) -> None:
    url = settings.database
    do(
        settings,
        database,
        f"""if True:
        import sqlalchemy as sa
        from backtalk.database import Database
        from backtalk.tables import Run
        with Database({url!r}).write() as session:
            session.execute(sa.update(Run).values(epoch=9))
        raise SystemExit(1)""",
    )
    assert stored(database).state == "running"


def test_what_killed_trainings_left_behind_is_removed_once_it_is_old(settings: Settings, database: Database) -> None:
    import os

    old, fresh = settings.weights_dir / ".making-old", settings.weights_dir / ".making-fresh"
    for path in (old, fresh):
        path.mkdir()
        (path / "model.safetensors").touch()
    past = now().timestamp() - ABANDONED.total_seconds() - 1
    os.utime(old, (past, past))
    Worker(settings, database).tidy()
    assert [path.name for path in settings.weights_dir.iterdir()] == [".making-fresh"]


@pytest.mark.slow
def test_the_learner_process_does_what_is_queued_and_ends_when_told(settings: Settings, database: Database) -> None:
    first_policy(database)
    queue(database)
    process = subprocess.Popen(
        [sys.executable, "-m", "learner"],
        env=environment(settings.data_dir),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait(lambda: stored(database).state in runs.ENDED, 200)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0
    finally:
        process.kill()
    assert stored(database).state == "failed"  # version 0 has no files here


def test_threads_of_a_training_sleep_while_they_wait() -> None:
    """Whatever runs it, the threads of torch are told before they begin; their library tells what it understood."""
    environ = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    told = subprocess.run(
        [sys.executable, "-c", "import learner.train"],
        env=environ | {"OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    assert "GOMP_SPINCOUNT = '0'" in told
