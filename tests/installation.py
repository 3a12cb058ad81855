"""A whole Backtalk as people run it: `backtalk up` on its own data directory and port, asked from outside alone."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2 as httpx
from websockets.asyncio.client import ClientConnection, connect

READY_SECONDS = 200.0
BACKTALK = str(Path(sys.executable).with_name("backtalk"))


@dataclass(frozen=True)
class Member:
    """Somebody with an account and a key."""

    id: str
    name: str
    api_key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}


class Installation:
    """Starts, kills and starts again what lives in one data directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.settings: dict[str, str] = {}
        """More settings, by their names in the environment."""
        self.program = [BACKTALK]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("BACKTALK_")}
        return {
            **inherited,
            "BACKTALK_DATA_DIR": str(self.directory / "data"),
            "BACKTALK_PORT": str(self.port),
            "OMP_NUM_THREADS": "1",
            **self.settings,
        }

    def run(self, *words: str) -> str:
        """`backtalk …`: what it printed."""
        command = [BACKTALK, *words]
        done = subprocess.run(command, env=self.environment, cwd=self.directory, capture_output=True, text=True)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def person(self, role: str = "user", consents: bool = True) -> Member:
        """Add a person with a key."""
        name = f"p{uuid4().hex[:8]}"
        made: dict[str, Any] = json.loads(self.run("person", "add", name, "--role", role, "--api-key", "--json"))
        member = Member(made["id"], name, made["api_key"])
        if consents:
            httpx.patch(
                f"{self.base}/api/me", json={"consent": {"train": True}}, headers=member.headers
            ).raise_for_status()
        return member

    def start(self) -> None:
        """`backtalk up`, until it is ready."""
        command = [*self.program, "up"]
        with (self.directory / "up.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=self.environment,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        give_up = time.monotonic() + READY_SECONDS
        while not self._is_ready():
            assert self._process.poll() is None, (self.directory / "up.log").read_text()
            assert time.monotonic() < give_up, (self.directory / "up.log").read_text()
            time.sleep(0.1)

    def kill_everything(self) -> None:
        """SIGKILL to the supervisor and all that descends from it, at one moment."""
        assert self._process is not None
        for pid in [self._process.pid, *_descendants(self._process.pid)]:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                continue
        self._process.wait()

    def stop(self) -> None:
        """SIGTERM, and wait."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=30)

    @asynccontextmanager
    async def socket(self, member: Member) -> AsyncIterator[ClientConnection]:
        """The member's chat socket."""
        url = f"ws://127.0.0.1:{self.port}/ws/chat"
        async with connect(url, additional_headers=member.headers, proxy=None) as chat:
            yield chat

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.base}/readyz", timeout=2).status_code == 200
        except httpx.TransportError:
            return False


def _descendants(pid: int) -> list[int]:
    """All processes below `pid`, from /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rsplit(")", 1)[1].split()[1])
    found: list[int] = []
    level = {pid}
    while level:
        level = {child for child, parent in parents.items() if parent in level}
        found += level
    return found
