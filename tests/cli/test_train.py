"""`backtalk train` with the real learner."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlmodel import select

from backtalk import imports, policies
from backtalk.database import Database
from backtalk.settings import Settings
from backtalk.tables import Run
from backtalk.template import Template
from tests.cli.conftest import Command
from tests.cli.running import environment

pytestmark = pytest.mark.slow
Laid = tuple[Settings, Database]


def the_run(database: Database) -> Run | None:
    with database.read() as session:
        return session.exec(select(Run)).first()


@contextmanager
def training(settings: Settings) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "backtalk.cli", "train"],
        env=environment(settings.data_dir),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts what it puts in the background deaf to SIGINT, and so may these tests have been.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(claim: Callable[[], bool], seconds: float = 60.0) -> None:
    give_up = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.05)


def test_too_few_opinions_end_in_a_sentence_and_exit_code_one(backtalk: Command, laid: Laid) -> None:
    result = backtalk("train", "--json")
    assert result.code == 1
    assert result.json["state"] == "rejected"
    assert result.json["to_version"] is None
    assert "too few opinions" in result.err and "step snapshot begins" in result.err
    log = backtalk("run", "log", "--json").json
    assert log[0]["text"] == "step snapshot begins" and log[-1]["text"].startswith("rejected: too few opinions")
    assert backtalk("run", "log").out.count("\n") == len(log)
    assert backtalk("run", "people").out == "the run has used nobody's opinions\n"
    assert backtalk("policy", "list", "--json").json[0]["state"] == "live"


def test_a_second_training_waits_for_the_first(backtalk: Command, laid: Laid) -> None:
    with laid[1].write() as session:
        session.add(Run(state="running"))
    result = backtalk("train")
    assert result.code == 1
    assert "wait for it or cancel it" in result.err


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_cancels_the_run_and_leaves_no_process(laid: Laid, stop: int) -> None:
    settings, database = laid
    _many_opinions(settings, database)
    with training(settings) as process:
        until(lambda: (run := the_run(database)) is not None and run.stage is not None)
        child = _child_of(process.pid)
        process.send_signal(stop)
        process.communicate(timeout=60)
        assert process.returncode == 1
    ended = the_run(database)
    assert ended is not None
    assert ended.state == "cancelled"
    assert not Path(f"/proc/{child}").exists()


def test_a_training_process_that_dies_is_a_failed_run(laid: Laid) -> None:
    settings, database = laid
    _many_opinions(settings, database)
    with training(settings) as process:
        until(lambda: (run := the_run(database)) is not None and run.stage is not None)
        os.kill(_child_of(process.pid), signal.SIGKILL)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1
    assert "killed by signal 9" in err
    ended = the_run(database)
    assert ended is not None
    assert ended.state == "failed"


def _child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _many_opinions(settings: Settings, database: Database) -> None:
    rows = [
        {
            "person_id": f"person {number}",
            "prompt": [{"role": "user", "content": f"What is {at} + {at}?"}],
            "reply": f"Well, {at + at}.",
            "rating": 1 if at % 2 else -1,
        }
        for number in range(6)
        for at in range(8)
    ]
    source = settings.data_dir / "opinions.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)))
    with database.write() as session:
        live = policies.live(session)
        assert live is not None
        imports.take_in(session, "ledger", source, Template(settings.weights_dir / live.directory), live.number)
