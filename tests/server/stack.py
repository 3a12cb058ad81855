"""A whole Backtalk for tests: a real database, the real engine process, the real server process, real sockets."""

import asyncio
import contextlib
import copy
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2 as httpx
from websockets.asyncio.client import ClientConnection, connect

from backtalk import people, policies, weights
from backtalk.database import Database
from backtalk.settings import Settings
from tests.server.scripted import write_model

PATIENCE = 200  # seconds until a test that waits in vain gives up; no test depends on how long anything takes
Word = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Someone:
    """A person with an API key."""

    id: UUID
    key: str

    @property
    def headers(self) -> dict[str, str]:
        """What identifies them."""
        return {"Authorization": f"Bearer {self.key}"}


class Chat:
    """One open chat socket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, **word: Any) -> None:
        await self.connection.send(json.dumps(word))

    async def hear(self) -> Word:
        """The next word that is not a notice."""
        while (word := await self.hear_all())["type"] == "notice":
            pass
        return word

    async def hear_all(self) -> Word:
        word: Word = json.loads(await asyncio.wait_for(self.connection.recv(), PATIENCE))
        return word

    async def say(self, text: str, **fields: Any) -> Word:
        """Ask something; returns `started` or `refused`."""
        word = {"type": "say", "key": str(uuid4()), "conversation_id": None, "parent_id": None, "text": text}
        await self.send(**(word | fields))
        while (heard := await self.hear())["type"] not in ("started", "refused"):
            pass
        return heard

    async def listen(self, reply_id: str, after: int = 0) -> tuple[str, Word]:
        """Hear a reply to its end: the text of its deltas after `after`, and `ended`. No number may be missing."""
        text = ""
        while True:
            word = await self.hear()
            if word.get("reply_id") != reply_id or word["type"] not in ("delta", "ended"):
                continue
            after += 1
            assert word["seq"] == after
            if word["type"] == "ended":
                return text, word
            assert word["text"]
            text += word["text"]

    async def hear_deltas(self, reply_id: str, count: int) -> str:
        """The text of the next `count` deltas of a reply."""
        text = ""
        while count:
            word = await self.hear()
            assert word["type"] == "delta"
            if word["reply_id"] == reply_id:
                text += word["text"]
                count -= 1
        return text


class Stack:
    """Engine and server on one data directory. Whoever makes it closes it."""

    def __init__(self, model: Path | str = "starter", *, database_url: str | None = None, **environment: str) -> None:
        self.data_dir = Path(tempfile.mkdtemp(prefix="backtalk-"))
        self.environment = {"BACKTALK_MODEL": str(model), "BACKTALK_DEVICE": "cpu", **environment}
        if database_url is not None:
            self.environment["BACKTALK_DATABASE_URL"] = database_url
        self.settings = Settings(data_dir=self.data_dir, model=str(model), database_url=database_url)
        self.settings.prepare()
        self.database = Database(self.settings.database)
        self.database.migrate()
        self.log: Path | None = None
        """Where the processes write what goes wrong; None: to the errors of the tests."""
        self.server: subprocess.Popen[str] | None = None
        self.engine: subprocess.Popen[str] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def another_server(self) -> Iterator["Stack"]:
        """A second server on the same database and the same engine, seen as a stack of its own while the block runs."""
        other = copy.copy(self)
        other.server, other.engine, other.port = None, None, 0
        try:
            other.start_server()
            other.until_ready()
            yield other
        finally:
            other.kill_server()

    # Processes

    def start(self) -> "Stack":
        """Start both and wait until people can chat."""
        self.start_engine()
        self.start_server()
        self.until_ready()
        return self

    def start_engine(self, slots: int = 64) -> None:
        self.engine = self._start("backtalk.engine", "--device", "cpu", "--threads", "1", "--slots", str(slots))

    def start_server(self) -> None:
        """Start the server, on the port that it had before if there was one."""
        self.server = self._start("server", "--port", str(self.port), stdout=subprocess.PIPE)
        assert self.server.stdout is not None
        readable, _, _ = select.select([self.server.stdout], [], [], PATIENCE)
        line = self.server.stdout.readline() if readable else ""
        assert line.startswith("server ready at http://"), f"the server said {line!r}; see its errors above"
        self.port = int(line.rsplit(":", 1)[1])

    def until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self.is_ready():
            assert time.monotonic() < deadline, "the server does not become ready"
            time.sleep(0.05)

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/readyz", timeout=5):
            return True
        return False

    def kill_server(self, number: int = signal.SIGKILL) -> None:
        _kill(self.server, number)
        self.server = None

    def kill_engine(self) -> None:
        _kill(self.engine, signal.SIGKILL)
        self.engine = None

    def close(self) -> None:
        """End both and leave nothing behind."""
        self.kill_server()
        self.kill_engine()
        self.database.close()
        shutil.rmtree(self.data_dir)

    def _start(self, module: str, *arguments: str, stdout: int | None = None) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", module, "--die-with-parent", "--data-dir", str(self.data_dir), *arguments]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BACKTALK_")}
        environment = kept | {"OMP_NUM_THREADS": "1"} | self.environment
        if self.log is None:
            return subprocess.Popen(command, env=environment, stdout=stdout, text=True)
        with self.log.open("ab") as log:
            return subprocess.Popen(command, env=environment, stdout=stdout or log, stderr=log, text=True)

    # What tests need

    def someone(self, role: str = "user") -> Someone:
        """A new person."""
        with self.database.write() as session:
            person = people.add(session, f"somebody {uuid4().hex[:8]}", role)
            return Someone(person.id, people.add_key(session, person).secret)

    def publish(self, script: str, *, go_live: bool = True) -> int:
        """Publish a version that says `script` for ever, and make it live."""
        made = weights.workspace(self.settings.weights_dir)
        write_model(made, script)
        with self.database.write() as session:
            number = policies.next_number(session)
            key = weights.signing_key(self.settings.keys_dir)
            directory, manifest = weights.publish(made, self.settings.weights_dir, key, number=number)
            policies.add(session, number, directory.name, manifest.digest)
            if go_live:
                policies.go_live(session, number, "test")
        return number

    @contextlib.asynccontextmanager
    async def chat(self, someone: Someone, *, changes: bool = False, page: str | None = None) -> AsyncIterator[Chat]:
        """An open chat socket of this person; with `changes` it is told what they do on other pages than this one."""
        address = f"ws://127.0.0.1:{self.port}/ws/chat?changes={changes}" + (f"&page={page}" if page else "")
        async with connect(address, additional_headers=someone.headers) as connection:
            yield Chat(connection)

    @contextlib.asynccontextmanager
    async def http(self, someone: Someone | None = None) -> AsyncIterator[httpx.AsyncClient]:
        """An HTTP client of this person."""
        headers = someone.headers if someone else {}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=PATIENCE) as client:
            yield client

    async def messages(self, someone: Someone, conversation_id: str) -> list[Word]:
        """What is stored of a conversation."""
        async with self.http(someone) as client:
            answer = await client.get(f"/api/conversations/{conversation_id}/messages")
            assert answer.status_code == 200, answer.text
            items: list[Word] = answer.json()["items"]
            return items


def _kill(process: "subprocess.Popen[str] | None", number: int) -> None:
    if process is not None:
        process.send_signal(number)
        process.wait(PATIENCE)
        if process.stdout is not None:
            process.stdout.close()
