"""Children that are watched, restarted and ended, with real processes."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from backtalk.instance import InstanceError, claim_port, local_url, only_one, running
from backtalk.settings import Settings
from backtalk.supervisor import KEPT_LOGS, Backoff, Child, Progress, Supervisor, rotate

SLEEPER = ("-c", "import time; print('awake', flush=True); time.sleep(600)")
TELLER = """
import json, os, sys, time
def tell(**word):
    os.write(int(sys.argv[1].removeprefix("--ground=")), json.dumps(word).encode() + b"\\n")
"""
"""A child that lays the ground begins so."""


@asynccontextmanager
async def supervising(data_dir: Path, said: list[str]) -> AsyncIterator[Supervisor]:
    settings = Settings(data_dir=data_dir)
    settings.prepare()
    with only_one(data_dir) as lock:
        supervisor = Supervisor(settings, 1, lock, said.append, stall_seconds=1.0)
        try:
            yield supervisor
        finally:
            await supervisor.stop()


async def until(claim: Callable[[], bool], seconds: float = 20.0) -> None:
    give_up = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < give_up, "it did not happen in time"
        await asyncio.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def child(supervisor: Supervisor, name: str) -> Child:
    return supervisor._children[name]


def pid_of(supervisor: Supervisor, name: str) -> int:
    process = child(supervisor, name).process
    assert process is not None
    return process.pid


async def test_a_killed_child_is_started_again(tmp_path: Path) -> None:
    said: list[str] = []
    async with supervising(tmp_path, said) as supervisor:
        await supervisor.start("sleeper", *SLEEPER)
        first = pid_of(supervisor, "sleeper")
        os.kill(first, signal.SIGKILL)
        await until(lambda: pid_of(supervisor, "sleeper") != first)
        assert child(supervisor, "sleeper").is_alive
        assert any("SIGKILL" in line for line in said)
    assert not is_alive(pid_of(supervisor, "sleeper"))


async def test_what_a_dead_child_had_started_is_ended_too(tmp_path: Path) -> None:
    mother = "import subprocess, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)"
    async with supervising(tmp_path, []) as supervisor:
        await supervisor.start("mother", "-c", mother)
        log = child(supervisor, "mother").log
        await until(lambda: log.read_text().strip().isdigit())
        grandchild = int(log.read_text())
        os.kill(pid_of(supervisor, "mother"), signal.SIGKILL)
        await until(lambda: not is_alive(grandchild))


def test_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = f"""
import asyncio, json, os, sys
from pathlib import Path
from tests.cli.test_supervisor import SLEEPER, supervising, pid_of
async def main():
    async with supervising(Path({str(tmp_path)!r}), []) as supervisor:
        await supervisor.start("one", *SLEEPER)
        await supervisor.start("two", *SLEEPER)
        print(json.dumps([pid_of(supervisor, "one"), pid_of(supervisor, "two")]), flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        children: list[int] = json.loads(parent.stdout.readline())
    # The lifeline must hold from the first instruction on, so there is no waiting for the children here.
    assert all(map(is_alive, children))
    parent.kill()
    parent.wait()
    give_up = time.monotonic() + 10
    while any(map(is_alive, children)) and time.monotonic() < give_up:
        time.sleep(0.02)
    assert not any(map(is_alive, children))


async def test_a_child_that_cannot_live_ends_the_start_with_its_last_words(tmp_path: Path) -> None:
    async with supervising(tmp_path, []) as supervisor:
        await supervisor.start("broken", "-c", "raise SystemExit('the disk is made of cheese')")
        with pytest.raises(InstanceError, match="made of cheese"):
            await supervisor.until_failed()


async def test_the_ground_is_told_line_by_line_and_ends_in_the_token(tmp_path: Path) -> None:
    said: list[str] = []
    async with supervising(tmp_path, said) as supervisor:
        program = TELLER + "tell(said='water'); tell(said='earth'); tell(claim='secret'); time.sleep(600)"
        assert await supervisor.ground("server", "-c", program) == "secret"
        assert said == ["water", "earth"]
        assert child(supervisor, "server").is_alive
        assert "secret" not in child(supervisor, "server").log.read_text()


async def test_a_child_that_dies_before_it_has_told_all_is_started_again_and_told_of(tmp_path: Path) -> None:
    said: list[str] = []
    program = f"""{TELLER}
from pathlib import Path
tell(said='water')
if not (once := Path({str(tmp_path / "once")!r})).exists():
    once.touch()
    os.kill(os.getpid(), 9)
tell(claim=None)
time.sleep(600)
"""
    async with supervising(tmp_path, said) as supervisor:
        assert await supervisor.ground("server", "-c", program) is None
        assert [said[0], said[-1]] == ["water", "water"]
        assert any("SIGKILL" in line for line in said)


async def test_a_child_that_is_started_later_has_no_ground_to_tell_of(tmp_path: Path) -> None:
    program = f"""{TELLER}
print(len(sys.argv) - 1, len(os.listdir("/proc/self/fd")), flush=True)
if len(sys.argv) > 1:
    tell(claim=None)
time.sleep(600)
"""
    async with supervising(tmp_path, []) as supervisor:
        await supervisor.ground("server", "-c", program)
        os.kill(pid_of(supervisor, "server"), signal.SIGKILL)
        log = child(supervisor, "server").log
        await until(lambda: len(log.read_text().splitlines()) == 2)
        (arguments, files), (later, fewer) = (map(int, line.split()) for line in log.read_text().splitlines())
        assert (arguments, later) == (1, 0)
        assert fewer == files - 1


async def test_a_ground_that_cannot_be_laid_ends_the_start_in_words(tmp_path: Path) -> None:
    said: list[str] = []
    async with supervising(tmp_path, said) as supervisor:
        program = TELLER + "tell(said='water'); tell(failed='the earth is flat'); time.sleep(600)"
        with pytest.raises(InstanceError, match="the earth is flat"):
            await supervisor.ground("server", "-c", program)
    assert said == ["water"]


async def test_a_child_that_never_tells_ends_the_start_with_its_last_words(tmp_path: Path) -> None:
    async with supervising(tmp_path, []) as supervisor:
        with pytest.raises(InstanceError, match="made of cheese"):
            await supervisor.ground("server", "-c", "raise SystemExit('the disk is made of cheese')")


async def test_what_runs_is_told_to_others(tmp_path: Path) -> None:
    assert running(tmp_path) is None
    async with supervising(tmp_path, []) as supervisor:
        await supervisor.start("sleeper", *SLEEPER)
        told = running(tmp_path)
        assert told is not None
        assert told["pid"] == os.getpid()
        assert told["children"] == {"sleeper": pid_of(supervisor, "sleeper")}
    assert running(tmp_path) is None


def test_a_second_one_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(InstanceError, match="already runs on"), only_one(tmp_path):
        pass
    with only_one(tmp_path):  # and the first one's end lets others in
        pass


def test_a_port_in_use_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InstanceError, match=f"port {port} on 127.0.0.1 is in use"):
            claim_port(Settings(data_dir=tmp_path, port=port))


def test_port_zero_takes_a_free_one(tmp_path: Path) -> None:
    assert claim_port(Settings(data_dir=tmp_path, port=0)) > 0


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://localhost:8000"),
        ("::", "http://localhost:8000"),
        ("::1", "http://[::1]:8000"),
    ],
)
def test_the_address_is_one_that_a_browser_here_can_open(host: str, address: str) -> None:
    assert local_url(host, 8000) == address


def test_waiting_doubles_with_each_death_and_is_forgotten_after_a_steady_life() -> None:
    backoff = Backoff()
    assert [backoff.after(0.1) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert backoff.after(60.0) == 0.5


def test_an_engine_with_work_and_no_step_is_stalled() -> None:
    progress = Progress(stall_seconds=10)
    assert not progress.is_stalled(step=1, pending=1, at=0)
    assert not progress.is_stalled(step=1, pending=1, at=9.9)
    assert progress.is_stalled(step=1, pending=1, at=10)


def test_an_idle_engine_is_not_stalled_and_its_time_counts_from_the_first_work() -> None:
    progress = Progress(stall_seconds=10)
    assert not progress.is_stalled(step=1, pending=0, at=0)
    assert not progress.is_stalled(step=1, pending=0, at=100)
    assert not progress.is_stalled(step=1, pending=1, at=101)
    assert not progress.is_stalled(step=1, pending=1, at=110)
    assert progress.is_stalled(step=1, pending=1, at=111)


def test_a_slow_machine_gets_three_times_its_slowest_step() -> None:
    progress = Progress(stall_seconds=10)
    progress.is_stalled(step=1, pending=1, at=0)
    progress.is_stalled(step=2, pending=1, at=8)
    assert not progress.is_stalled(step=2, pending=1, at=8 + 23)
    assert progress.is_stalled(step=2, pending=1, at=8 + 24)


def test_logs_of_earlier_starts_are_kept_up_to_a_number(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    for start in range(KEPT_LOGS + 3):
        rotate(log)
        log.write_text(str(start))
    newest = KEPT_LOGS + 2
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {"x.log": str(newest)} | {f"x.log.{n}": str(newest - n) for n in range(1, KEPT_LOGS + 1)}


@pytest.mark.slow
async def test_an_engine_that_is_alive_and_says_nothing_is_killed_and_started_again(tmp_path: Path) -> None:
    said: list[str] = []
    async with supervising(tmp_path, said) as supervisor:
        await supervisor.start("engine", "-m", "backtalk.engine", "--data-dir", str(tmp_path), "--threads", "1")
        supervisor.watch_engine()
        log = child(supervisor, "engine").log
        await until(lambda: "engine ready" in log.read_text(), 60)
        await asyncio.sleep(0.5)  # a beat or two: the watch is listening
        frozen = pid_of(supervisor, "engine")
        os.kill(frozen, signal.SIGSTOP)
        await until(lambda: pid_of(supervisor, "engine") != frozen)
        assert any("said nothing" in line for line in said)
        await until(lambda: log.read_text().count("engine ready") == 2, 60)
