"""Peers in processes of their own, and fleets of them."""

import contextlib
import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backtalk.engine.remote import dialects
from backtalk.engine.remote.address import Kind
from backtalk.engine.remote.fleet import Fleet
from backtalk.lifeline import command
from tests.server.scripted import write_model

FIRST, SECOND = "abc🙂", "xyz✅"
"""What the two versions say for ever."""
PATIENCE = 120.0


@dataclass
class Running:
    """A peer under way."""

    kind: Kind
    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fault(self, **faults: Any) -> None:
        """Have it misbehave from now on; without a name it behaves."""
        body = json.dumps(faults).encode()
        request = urllib.request.Request(f"{self.url}/fault", body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=PATIENCE).read()

    def tell(self) -> dict[str, Any]:
        """What it says of itself."""
        told: dict[str, Any] = json.load(urllib.request.urlopen(f"{self.url}/peer", timeout=PATIENCE))
        return told

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_peer(kind: Kind, directory: Path, port: int | None = None) -> Running:
    """Start it and wait until it answers."""
    port = port or free_port()
    process = subprocess.Popen(command("-m", "tests.engine.remote.peer", kind, str(port), str(directory)))
    running, deadline = Running(kind, port, process), time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None and time.monotonic() < deadline, "the peer does not start"
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{running.url}/health", timeout=5).read()
            return running
        time.sleep(0.05)


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """0 and 1 are full weights, 2 is an adapter (as far as a peer knows)."""
    home = tmp_path_factory.mktemp("weights")
    directories = {0: home / "0-aaaaaaaaaaaa", 1: home / "1-bbbbbbbbbbbb", 2: home / "2-cccccccccccc"}
    write_model(directories[0], FIRST)
    write_model(directories[1], SECOND)
    write_model(directories[2], SECOND)
    (directories[2] / "adapter_config.json").write_text("{}")
    return directories


@pytest.fixture(scope="session")
def _peers() -> Iterator[dict[Any, Running]]:
    known: dict[Any, Running] = {}
    yield known
    for running in known.values():
        running.kill()


@pytest.fixture
def peer(_peers: dict[Any, Running], versions: dict[int, Path]) -> Callable[..., Running]:
    """A peer of this kind that serves this version; started once, well behaved again for each test."""

    def started(kind: Kind, number: int = 0, copy: int = 0, *, fresh: bool = False) -> Running:
        key = (kind, number, copy)
        if fresh and key in _peers:
            _peers.pop(key).kill()
        if key not in _peers or _peers[key].process.poll() is not None:
            _peers[key] = start_peer(kind, versions[number])
        _peers[key].fault()
        return _peers[key]

    return started


@contextlib.asynccontextmanager
async def fleet(*peers: Running, **callbacks: Any) -> AsyncIterator[Fleet]:
    """A connected fleet of these."""
    make = dialects.of(peers[0].kind)
    engine = Fleet(peers[0].kind, [make(running.url) for running in peers], **callbacks)
    try:
        await engine.connect()
        yield engine
    finally:
        await engine.close()
