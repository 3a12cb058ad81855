"""Peers installed and started: an environment for each that needs one, a process while it is measured."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import venv
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from bench.peers.job import Outcome

ROOT = Path(__file__).resolve().parent.parent.parent
LIST = ROOT / "bench" / "peers.txt"
MODULES: dict[str, tuple[str, ...]] = {
    "backtalk": ("ours",),
    "vllm": ("vllm",),
    "llama_cpp": ("llama_cpp",),
    "ctranslate2": ("ct2",),
    "transformers one by one": ("transformers_peers", "one_by_one"),
    "transformers static": ("transformers_peers", "static"),
    "transformers batching": ("transformers_peers", "batching"),
}
"""Each peer's module here, and what it is told."""
READY_SECONDS = 600
JOB_SECONDS = 900


class PeerFailed(RuntimeError):
    """A peer cannot be measured; the message says why."""


def listed() -> dict[str, list[str]]:
    """What pip installs for each peer of `peers.txt`."""
    lines = [line.split("#")[0].strip() for line in LIST.read_text().splitlines()]
    pairs = (line.split(":", 1) for line in lines if line)
    return {name.strip(): wanted.split() for name, wanted in pairs}


def home(name: str) -> Path:
    """Where a peer's environment lies."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "backtalk" / "peers" / name


def install(name: str) -> None:
    """Make the environment and install into it. llama.cpp is compiled: that takes many minutes.

    Raises:
        PeerFailed: pip cannot.
    """
    place = home(name)
    if not (place / "bin" / "python").exists():
        venv.create(place, with_pip=True)
    command = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", *listed()[name]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeerFailed(f"{name} was not installed: {done.stderr.strip()[-500:]}")
    if name == "vllm":  # its wheel brings builds of these that do not fit its own torch
        unfit = ["torchvision", "torchaudio", "torchcodec"]
        subprocess.run([str(place / "bin" / "python"), "-m", "pip", "uninstall", "-q", "-y", *unfit], check=False)
    else:  # the weights are converted with our torch and transformers; its own packages go before ours
        (packages,) = place.glob("lib/python*/site-packages")
        own = next(path for path in sys.path if path.endswith("site-packages"))
        (packages / "ours.pth").write_text(own + "\n")


def python_of(name: str) -> Path:
    """The interpreter that runs this peer.

    Raises:
        PeerFailed: it is not installed.
    """
    if name not in listed():
        return Path(sys.executable)
    place = home(name) / "bin" / "python"
    if not place.exists():
        raise PeerFailed(f"{name} is not installed; `backtalk bench peers` installs it")
    return place


class Peer:
    """A running peer."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.about: dict[str, Any] = {}
        self._process, self._log = process, log

    @classmethod
    async def start(cls, name: str, model: Path) -> Self:
        """Start it on the model of a directory, and wait until it is ready.

        Raises:
            PeerFailed: it is not installed or does not start.
        """
        module, *told = MODULES[name]
        log = Path(tempfile.gettempdir()) / f"backtalk-peer-{name.replace(' ', '-')}.log"
        with log.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *(str(python_of(name)), "-m", f"bench.peers.{module}", str(model), *told),
                cwd=ROOT,
                stdin=PIPE,
                stdout=PIPE,
                stderr=file,
                start_new_session=True,
                limit=2**26,  # an answer tells of every gap
            )
        peer = cls(name, process, log)
        peer.about = await peer._hear(READY_SECONDS)
        return peer

    async def complete(self, prompts: Sequence[Sequence[int]], tokens: int) -> Outcome:
        """Have it complete these prompts.

        Raises:
            PeerFailed: it died or took too long.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"prompts": prompts, "tokens": tokens}).encode() + b"\n")
        return Outcome(**await self._hear(JOB_SECONDS))

    async def stop(self) -> None:
        """End it and all that it started."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 15)
        except TimeoutError:
            os.killpg(self._process.pid, 9)
            await self._process.wait()

    async def _hear(self, seconds: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), seconds)
        except TimeoutError:
            line = b""
        if not line:
            await self.stop()
            raise PeerFailed(f"{self.name} gave up: {self._log.read_text(errors='replace').strip()[-400:]}")
        heard: dict[str, Any] = json.loads(line)
        return heard


async def installed_or_not() -> list[dict[str, str]]:
    """Install every peer of `peers.txt`; a row for each."""
    rows = []
    for name in listed():
        try:
            await asyncio.to_thread(install, name)
            rows.append({"peer": name, "installed": "yes", "where": str(home(name)), "why not": ""})
        except (PeerFailed, OSError) as error:
            rows.append({"peer": name, "installed": "no", "where": "", "why not": str(error)})
    return rows
