"""`backtalk up`, whole: three real processes on a data directory of their own."""

import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from backtalk import instance
from backtalk.database import Database
from backtalk.settings import Settings
from tests.cli.running import Running, environment, running
from tests.cli.test_supervisor import is_alive

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def backtalk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("up")) as started:
        yield started


def until(claim: Callable[[], bool], seconds: float = 40.0) -> None:
    give_up = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.05)


def test_it_prints_both_addresses_and_a_link_that_works_once(backtalk: Running) -> None:
    printed = backtalk.log.read_text()
    assert f"Chat     {backtalk.url}/\n" in printed
    assert f"Console  {backtalk.url}/operate\n" in printed
    token = re.search(rf"{re.escape(backtalk.url)}/operate/claim#(\S+)", printed)
    assert token is not None
    assert (backtalk.settings.keys_dir / "claim.token").read_text() == token[1]


def test_its_directory_is_for_its_owner_alone(backtalk: Running) -> None:
    data_dir = backtalk.settings.data_dir
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    for log in (data_dir / "logs").iterdir():
        assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_second_one_is_refused_in_one_sentence(backtalk: Running) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "backtalk.cli", "up"],
        env=environment(backtalk.settings.data_dir),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr.startswith("backtalk: Backtalk already runs on ")
    assert second.stderr.count("\n") == 1
    assert backtalk.is_ready


@pytest.mark.parametrize("name", ["engine", "server"])
def test_a_killed_process_comes_back_and_people_can_chat_again(backtalk: Running, name: str) -> None:
    before = backtalk.told["children"]
    os.kill(before[name], signal.SIGKILL)
    until(lambda: backtalk.told["children"][name] != before[name])
    until(lambda: backtalk.is_ready)
    others = {other: pid for other, pid in before.items() if other not in (name, "learner")}
    assert others.items() <= backtalk.told["children"].items()


def test_a_database_of_a_newer_release_ends_the_start_in_one_sentence(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    settings.prepare()
    database = Database(settings.database)
    database.migrate()
    with database.connection() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        connection.commit()
    database.close()
    refused = subprocess.run(
        [sys.executable, "-m", "backtalk.cli", "up"], env=environment(tmp_path), capture_output=True, text=True
    )
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("backtalk: the database is at schema revision 9999")
    assert refused.stderr.count("\n") == 1


def test_an_interrupt_stops_all_cleanly_and_the_next_start_finds_everything(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        children = list(first.told["children"].values())
        first.process.send_signal(signal.SIGINT)
        assert first.process.wait(40) == 0
    assert not any(map(is_alive, children))
    assert first.log.read_text().rstrip().endswith("stopped")
    assert instance.running(first.settings.data_dir) is None
    with running(tmp_path) as second:
        assert second.is_ready
        assert (second.settings.data_dir / "logs" / "engine.log.1").exists()


def test_killed_without_a_chance_it_leaves_no_process_behind(tmp_path: Path) -> None:
    with running(tmp_path) as backtalk:
        children = list(backtalk.told["children"].values())
        backtalk.process.kill()
        backtalk.process.wait(10)
        until(lambda: not any(map(is_alive, children)))
        assert instance.running(backtalk.settings.data_dir) is None
