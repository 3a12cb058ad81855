"""G7: the link is cut, stalls, drips or is reset at any byte, and the text comes whole all the same (F18).

Between client and server stands a proxy on the loopback that does one bad thing to each connection. The client keeps
its own count and follows from there with a new connection, as the page does.
"""

import asyncio
import contextlib
import json
import random
import socket
import struct
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.faults import figures
from tests.server.scripted import count_tokens, write_model
from tests.server.stack import PATIENCE, Someone, Stack

SCRIPT = "abc字🙂"
REPEATS = 40
TALKERS = 8
FAULTS = ("close", "reset", "stall", "drip", "half")
STALL_SECONDS = 0.2
"""A client that hears nothing for so long gives the connection up; a page waits longer."""


@dataclass(slots=True)
class Proxy:
    """Passes bytes on, until `spare` of them have come from the server; then the fault."""

    upstream: int
    fault: str = "close"
    spare: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Proxy"]:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield self
        finally:
            self._server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        fault, spare = self.fault, self.spare
        there, back = await asyncio.open_connection("127.0.0.1", self.upstream)
        upwards = asyncio.create_task(_pass_on(reader, back))
        try:
            await self._downwards(there, writer, fault, spare)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            upwards.cancel()
            for stream in (writer, back):
                stream.close()
            self._tasks.discard(task)

    async def _downwards(
        self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: str, spare: int
    ) -> None:
        """Pass on what the server says, and do the bad thing when the count is full."""
        while content := await there.read(4096):
            if fault == "drip":
                for letter in content[:spare]:
                    writer.write(bytes([letter]))
                    await writer.drain()
            else:
                writer.write(content[:spare])
                await writer.drain()
            spare -= len(content)
            if spare > 0:
                continue
            if fault == "reset":  # unread bytes on the way are lost with it
                raw: socket.socket = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            elif fault in ("stall", "half"):  # half: what the client says still gets through
                await asyncio.sleep(20)
            return


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while content := await reader.read(4096):
            writer.write(content)
            await writer.drain()


class Talk:
    """One reply, heard through a bad link."""

    def __init__(self, stack: Stack, someone: Someone, proxy: Proxy, chance: random.Random) -> None:
        self._stack, self._someone, self._proxy, self._chance = stack, someone, proxy, chance
        self.key = str(uuid4())
        self.texts: list[str] = []
        self.cuts = 0
        self.reply_id = ""
        self.conversation_id = ""
        self.ended = False
        self.violations: list[str] = []
        self.resumed: list[float] = []

    async def run(self, most: int) -> None:
        """Ask, and go on asking where it broke until the reply has ended; after `most` cuts the link is good."""
        while not self.ended:
            bad = self.cuts < most
            self._proxy.fault = self._chance.choice(FAULTS)
            # The handshake is some 700 bytes; a delta about 100.
            self._proxy.spare = self._chance.randrange(200, 2500) if bad else 1 << 40
            try:
                async with self._connected() as connection:
                    await self._listen(connection)
            except (OSError, ConnectionClosed, WebSocketException, TimeoutError, EOFError):
                self.cuts += 1

    def _connected(self) -> connect:
        address = f"ws://127.0.0.1:{self._proxy.port}/ws/chat"
        headers = self._someone.headers
        return connect(address, additional_headers=headers, open_timeout=2, close_timeout=0.05, ping_interval=None)

    async def _listen(self, connection: ClientConnection) -> None:
        if not self.reply_id:  # not acknowledged yet: the same again, under the same key
            say = {"type": "say", "key": self.key, "text": "Go on", "conversation_id": None, "parent_id": None}
            tokens = REPEATS * count_tokens(SCRIPT)
            await connection.send(json.dumps(say | {"sampling": {"max_tokens": tokens, "temperature": 0}}))
        else:
            follow = {"type": "follow", "reply_id": self.reply_id, "after": len(self.texts)}
            asked = time.monotonic()
            await connection.send(json.dumps(follow))
        first = True
        while not self.ended:
            patience = PATIENCE if self._proxy.spare > 1 << 30 else STALL_SECONDS
            word = json.loads(await asyncio.wait_for(connection.recv(), patience))
            if word["type"] == "started":
                if self.reply_id not in ("", word["reply_id"]):
                    self.violations.append("one key, two replies")
                self.reply_id, self.conversation_id = word["reply_id"], word["conversation_id"]
            elif word["type"] in ("delta", "ended"):
                if first and self.texts:
                    self.resumed.append(time.monotonic() - asked)
                first = False
                self._take(word)
            elif word["type"] == "refused":
                self.violations.append(f"refused: {word['message']}")
                self.ended = True

    def _take(self, word: dict[str, object]) -> None:
        if word["seq"] != len(self.texts) + 1:
            self.violations.append(f"after event {len(self.texts)} came {word['seq']}")
        if word["type"] == "ended":
            self.ended = True
        else:
            self.texts.append(str(word["text"]))


def run(seed: int, trials: int) -> figures.Outcome:
    """Cut the link `trials` times."""
    with tempfile.TemporaryDirectory() as directory:
        model = Path(directory) / "model"
        write_model(model, SCRIPT)
        stack = Stack(model)
        try:
            return asyncio.run(cut(stack.start(), seed, trials))
        finally:
            stack.close()


async def cut(stack: Stack, seed: int, trials: int) -> figures.Outcome:
    """The same on a stack that runs already and says `SCRIPT` for ever."""
    outcome, resumed = figures.Outcome(), list[float]()

    async def talk(chance: random.Random) -> None:
        async with Proxy(stack.port).open() as proxy:
            while outcome.trials < trials:
                someone = stack.someone()
                one = Talk(stack, someone, proxy, chance)
                await one.run(most=min(30, trials - outcome.trials))
                outcome.trials += one.cuts
                outcome.acked += len(one.texts) + 2
                outcome.violations += one.violations
                resumed.extend(one.resumed)
                stored = (await stack.messages(someone, one.conversation_id))[1] if one.conversation_id else {}
                shown, whole = "".join(one.texts), SCRIPT * REPEATS
                if shown != stored.get("content") or shown != whole:
                    outcome.violations.append(f"shown {len(shown)} characters, stored {len(stored.get('content', ''))}")

    await asyncio.gather(*(talk(random.Random(f"{seed} {number}")) for number in range(TALKERS)))
    resumed.sort()
    if resumed:
        outcome.measures["resumed after, p50, ms"] = 1000 * resumed[len(resumed) // 2]
        outcome.measures["resumed after, p95, ms"] = 1000 * resumed[int(len(resumed) * 0.95)]
    return outcome


FIGURE = figures.Figure(
    name="G7",
    claim="The link breaks in the middle of a reply: no character is missing, none comes twice",
    unit="cuts",
    run=run,
    minimum=2_000,
    goal=10_000,
    slice=2_000,
    faults="F18",
    limits=(
        "Closed, reset, stalled, dripping and half-open connections on the loopback, not a real network. "
        "Resumed after: from asking to follow to the first event, on a machine that runs client and server alike."
    ),
    bounds={"resumed after, p95, ms": 300},
)
