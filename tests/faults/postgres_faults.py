"""F08: Postgres goes away under the running server, or in the moment after a COMMIT: nothing told is lost or doubled.

Two faults. The database is stopped in an instant and started again; or the connection is cut after a COMMIT has been
handed over and before its answer, so that nobody knows whether it was made. The server lives on and recovers by itself.
"""

import asyncio
import contextlib
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import sqlalchemy as sa

from backtalk.database import Database
from backtalk.settings import Settings
from tests import postgres
from tests.faults import figures
from tests.faults.server_kill import GONE, PEOPLE, SCRIPT, Person
from tests.server.scripted import write_model
from tests.server.stack import PATIENCE, Stack

SOCKET = ".s.PGSQL.5432"


class Line:
    """A socket between server and Postgres, which can be cut right after a COMMIT has gone over it."""

    def __init__(self, there: Path, here: Path) -> None:
        self._there, self._here = there / SOCKET, here / SOCKET
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_armed = False
        self.cut = asyncio.Event()
        self.cuts = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Line"]:
        server = await asyncio.start_unix_server(self._serve, str(self._here))
        try:
            yield self
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            there, back = await asyncio.open_unix_connection(str(self._there))
        except OSError:
            writer.close()
            return
        answering = asyncio.create_task(self._pass_on(there, writer))
        try:
            while content := await reader.read(65536):
                is_cut = self.is_armed and b"COMMIT\x00" in content
                if is_cut:
                    answering.cancel()
                    await asyncio.gather(answering, return_exceptions=True)
                back.write(content)
                await back.drain()
                if is_cut:
                    self.is_armed, self.cuts = False, self.cuts + 1
                    self.cut.set()
                    await there.read(1)  # it was made, and nobody is told
                    return
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            answering.cancel()
            for stream in (writer, back):
                stream.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while content := await reader.read(65536):
                writer.write(content)
                await writer.drain()
        writer.close()


def run(seed: int, trials: int) -> figures.Outcome:
    """Take the database away `trials` times, half of them after a COMMIT."""
    binaries = postgres.find_binaries()
    assert binaries is not None
    with postgres.serve(binaries) as url, tempfile.TemporaryDirectory() as place:
        there, here = Path(str(sa.make_url(url).query["host"])), Path(place)
        model = here / "model"
        write_model(model, SCRIPT)
        stack = Stack(model, BACKTALK_DATABASE_URL=url.replace(str(there), str(here)))
        stack.log = stack.data_dir / "processes.log"
        stack.database.close()
        stack.settings = Settings(data_dir=stack.data_dir, model=str(model), database_url=url)
        stack.database = Database(url)
        try:
            return asyncio.run(_take_away(stack, binaries, there, here, seed, trials))
        finally:
            stack.close()


async def _take_away(stack: Stack, binaries: Path, there: Path, here: Path, seed: int, trials: int) -> figures.Outcome:
    outcome, chance = figures.Outcome(), random.Random(seed)
    back: list[float] = []
    async with Line(there, here).open() as line:
        await asyncio.to_thread(stack.start)
        people = [Person(stack, random.Random(f"{seed} {number}")) for number in range(PEOPLE)]
        for _ in range(trials):
            living = [asyncio.create_task(person.live()) for person in people]
            await asyncio.sleep(chance.uniform(0.2, 1.5))
            if chance.random() < 0.5:
                line.cut.clear()
                line.is_armed = True
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(line.cut.wait(), 10)
                line.is_armed = False
            else:
                await asyncio.to_thread(_restart, binaries, there)
            began = time.monotonic()
            await asyncio.sleep(0.5)
            for one in living:
                one.cancel()
            await asyncio.gather(*living, return_exceptions=True)
            await asyncio.to_thread(stack.until_ready)
            back.append(time.monotonic() - began)
            outcome.trials += 1
            await _look(people)
    outcome.measures["commits that nobody was told of"] = line.cuts
    outcome.measures["ready again after, p50, s"] = sorted(back)[len(back) // 2]
    assert stack.server is not None
    if stack.server.poll() is not None:
        outcome.violations.append("the server has ended")
    for person in people:
        person.compare(stack.database)
        outcome.acked += person.told.count
        outcome.violations += person.violations
    return outcome


async def _look(people: list[Person]) -> None:
    """Everybody comes back until all that they asked has an answer."""
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        done = await asyncio.gather(*(person.look() for person in people), return_exceptions=True)
        broken = [one for one in done if isinstance(one, BaseException)]
        if odd := [one for one in broken if not isinstance(one, (*GONE, TimeoutError))]:
            raise odd[0]
        if not broken and not any(person.told.asked for person in people):
            return
        await asyncio.sleep(0.5)
    people[0].violations.append("not everybody gets an answer again")


def _restart(binaries: Path, directory: Path) -> None:
    """As a crash: no checkpoint, no farewell."""
    as_user = ["runuser", "-u", "postgres", "--"] if shutil.which("runuser") else []
    options = f"-c listen_addresses='' -c unix_socket_directories={directory}"
    command = [*as_user, str(binaries / "pg_ctl"), "-D", str(directory / "data"), "-o", options]
    command += ["-l", str(directory / "log"), "-m", "immediate", "-w", "restart"]
    subprocess.run(command, check=True, capture_output=True, cwd=directory)


def needs() -> str | None:
    """Why it cannot run here."""
    return None if postgres.find_binaries() is not None else f"no PostgreSQL is installed; {postgres.INSTALL}"


FIGURE = figures.Figure(
    name="F08",
    claim="Postgres goes away, or cuts after a COMMIT: nothing told is lost or doubled, the server recovers by itself",
    unit="losses of the database",
    run=run,
    minimum=50,
    goal=200,
    slice=25,
    faults="F08",
    limits="One Postgres on the same machine, without replicas.",
    needs=needs,
)
