"""What lies between an engine and its readers: latency added, tokens a second, memory of a socket that waits.

The server is real and alone; the engine is a script in this process that says the time of day, so that a reader knows
how long each word was on its way.
"""

import asyncio
import contextlib
import json
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from websockets.asyncio.client import connect

from backtalk import lifeline, policies
from backtalk.database import Database
from backtalk.engine import wire
from backtalk.instance import claim_port, local_url, ready
from backtalk.settings import PREFIX, Settings
from backtalk.simulate import people_with_keys
from bench.peers.job import cpu_of
from bench.report import Row, milliseconds, percentile

LOADS = ((32, 50), (32, 100), (128, 50), (256, 50))
"""Streams, and tokens a second of each."""
SECONDS = 4.0
IDLE = 2000
SOCKETS_A_PERSON = 5
READY_SECONDS = 60


class Clock:
    """An engine whose every token is the moment at which it was sent."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._writer: asyncio.StreamWriter | None = None
        self._streams: dict[int, int] = {}  # id -> tokens left
        self._step = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one server, as an engine does."""
        self._say(writer, event="hello", pid=os.getpid(), device="cpu", dtype="none", versions=[], slots=1024)
        ticking = asyncio.create_task(self._tick(writer))
        loaded = []
        try:
            while True:
                message = await wire.read(reader)
                match message["op"]:
                    case "load":
                        loaded.append(message["number"])
                        self._say(writer, event="loaded", number=message["number"], seconds=0.0)
                    case "generate":
                        self._streams[message["id"]] = message["sampling"]["max_tokens"]
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            ticking.cancel()
            writer.close()

    async def _tick(self, writer: asyncio.StreamWriter) -> None:
        due = time.perf_counter()
        while True:
            due += 1 / self.rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self._step += 1
            items: list[list[Any]] = []
            for id, left in list(self._streams.items()):
                reason = "length" if left == 1 else None
                items.append([id, f"{time.perf_counter():.6f} ", [7], [-1.0], reason])
                self._streams[id] = left - 1
                if reason:
                    del self._streams[id]
            if items:
                self._say(writer, event="tokens", items=items)
            running = len(self._streams)
            self._say(writer, event="beat", step=self._step, running=running, waiting=0, versions=[0], slots=1024)

    def _say(self, writer: asyncio.StreamWriter, **message: Any) -> None:
        writer.write(wire.pack(message))


async def bench() -> list[Row]:
    """A row for each load, and one for sockets that wait."""
    async with lone_server() as (database, url, clock, process):
        rows = [await _loaded(database, url, clock, process, streams, rate) for streams, rate in LOADS]
        return [*rows, await _idle(database, url, process)]


@asynccontextmanager
async def lone_server(
    prepare: Callable[[Settings], None] = lambda settings: None,
) -> AsyncIterator[tuple[Database, str, Clock, int]]:
    """A server without people, its database, the script that is its engine, and its process; all end with the block.

    Args:
        prepare: called before the server starts, once there are a database and a first version.
    """
    with tempfile.TemporaryDirectory(prefix="bt-") as directory:
        settings = Settings(data_dir=Path(directory), host="127.0.0.1", port=0, database_url=None, public_url=None)
        settings.prepare()
        database = Database(settings.database)
        database.migrate()
        policies.ensure_first(database, settings)
        database.close()  # whoever prepares it may want the file alone; it opens again when it is asked
        await asyncio.to_thread(prepare, settings)
        port, clock = claim_port(settings), Clock(50)
        engine = await asyncio.start_unix_server(clock.serve, str(wire.address(settings.data_dir)))
        here = {"DATA_DIR": directory, "HOST": "127.0.0.1", "PORT": str(port), "DATABASE_URL": "", "PUBLIC_URL": ""}
        log = Path(directory) / "server.log"
        process = _start(log, {PREFIX + name: value for name, value in here.items()})
        url, end = local_url("127.0.0.1", port), time.monotonic() + READY_SECONDS
        try:
            while not await asyncio.to_thread(ready, url):
                assert process.poll() is None and time.monotonic() < end, log.read_text()[-2000:]
                await asyncio.sleep(0.1)
            yield database, url, clock, process.pid
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, 20)
            engine.close()
            database.close()


def _start(log: Path, settings: dict[str, str]) -> "subprocess.Popen[bytes]":
    with log.open("wb") as file:
        command = lifeline.command("-m", "server")
        return subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ, **settings})


async def _loaded(database: Database, url: str, clock: Clock, process: int, streams: int, rate: int) -> Row:
    clock.rate = rate
    with people_with_keys(database, streams) as keys:
        began, cpu = time.perf_counter(), cpu_of(process)
        heard = await asyncio.gather(*(_read(url, key, round(rate * SECONDS)) for key in keys.values()))
        seconds, cpu = time.perf_counter() - began, cpu_of(process) - cpu
    delays = [delay for own in heard for delay in own]
    return {
        "what": f"{streams} streams at {rate} tokens/s",
        "tokens/s": round(len(delays) / seconds),
        "added p50 ms": milliseconds(percentile(delays, 0.5)),
        "added p99 ms": milliseconds(percentile(delays, 0.99)),
        "server CPU": f"{cpu / seconds:.0%}",
        "tokens per CPU-s": round(len(delays) / cpu),
        "kB a socket": "",
    }


async def _read(url: str, key: str, count: int) -> list[float]:
    """How long each token of one reply was on its way, in seconds."""
    delays: list[float] = []
    async with _socket(url, key) as socket:
        say = {"type": "say", "key": str(uuid4()), "text": "What time is it?", "sampling": {"max_tokens": count}}
        await socket.send(json.dumps(say))
        while (word := json.loads(await socket.recv()))["type"] != "ended":
            now = time.perf_counter()
            if word["type"] == "delta":
                delays += [now - float(sent) for sent in word["text"].split()]
            elif word["type"] == "refused":
                raise RuntimeError(f"refused: {word['message']}")
    return delays


async def _idle(database: Database, url: str, process: int) -> Row:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with people_with_keys(database, IDLE // SOCKETS_A_PERSON) as keys:
        before = _resident(process)
        async with contextlib.AsyncExitStack() as stack:
            for key in keys.values():
                opening = (stack.enter_async_context(_socket(url, key)) for _ in range(SOCKETS_A_PERSON))
                await asyncio.gather(*opening)
            await asyncio.sleep(1)
            each = (_resident(process) - before) / IDLE
    empty = dict.fromkeys(("tokens/s", "added p50 ms", "added p99 ms", "server CPU", "tokens per CPU-s"), "")
    return {"what": f"{IDLE} idle sockets", **empty, "kB a socket": round(each / 1000)}


def _socket(url: str, key: str) -> connect:
    address = url.replace("http", "ws", 1) + "/ws/chat"
    return connect(address, additional_headers={"Authorization": f"Bearer {key}"}, proxy=None, compression=None)


def _resident(process: int) -> int:
    """Bytes of memory that a process has."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
