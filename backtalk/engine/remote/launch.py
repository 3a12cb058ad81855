"""Replicas started by a command of the operator's: how a version goes live on engines that cannot change theirs.

`BACKTALK_ENGINE_LAUNCH='text-generation-launcher --model-id {directory} --port {port}'`: the new version's replica
is started, joins when it says what it should, and the old one is ended when its last reply has. A replica dies with us.
"""

import asyncio
import contextlib
import os
import shlex
import signal
import socket
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

from backtalk import lifeline
from backtalk.engine.errors import EngineError, LoadFailed
from backtalk.engine.remote.dialect import LOAD_SECONDS, Dialect, Weights
from backtalk.engine.remote.replica import Replica

LOOK_SECONDS = 0.2
END_SECONDS = 10.0


class Launcher:
    """Starts and ends replicas."""

    def __init__(self, command: str, url: str, make: Callable[[str], Dialect]) -> None:
        """Where to start them: the host is that of `url`, the port a free one.

        Raises:
            ValueError: the command does not say where the weights and the port belong.
        """
        for name in ("{directory}", "{port}"):
            if name not in command:
                raise ValueError(f"engine_launch is {command!r}; it must hold {name}")
        self._command = shlex.split(command)
        self._url = urlsplit(url)
        self._make = make
        self._processes: dict[Replica, asyncio.subprocess.Process] = {}

    async def start(self, weights: Weights) -> Replica:
        """A new replica that serves these weights, verified.

        Raises:
            LoadFailed: it ended, or did not come.
        """
        port = _free_port()
        words = {"{directory}": str(weights.directory), "{name}": weights.name, "{port}": str(port)}
        command = [_filled(part, words) for part in self._command]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "backtalk.engine.remote.launch", str(os.getpid()), *command),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        replica = Replica(self._make(f"{self._url.scheme}://{self._url.hostname}:{port}"))
        self._processes[replica] = process
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                while weights.number not in replica.held:
                    if process.returncode is not None:
                        raise LoadFailed(f"the replica for {weights.name} ended with {process.returncode} at its start")
                    if replica.is_up and replica.problem:
                        raise LoadFailed(replica.problem)
                    await replica.look({weights.number: weights})
                    await asyncio.sleep(0 if replica.held else LOOK_SECONDS)
        except BaseException as error:
            await self.end(replica)
            if isinstance(error, TimeoutError):
                raise LoadFailed(f"the replica for {weights.name} did not come in {LOAD_SECONDS:.0f} s") from error
            raise
        return replica

    def has_ended(self, replica: Replica) -> bool:
        """Whether it is one of ours and its process is no more."""
        process = self._processes.get(replica)
        return process is not None and process.returncode is not None

    async def end(self, replica: Replica) -> None:
        """Stop its process, politely first."""
        process = self._processes.pop(replica, None)
        with contextlib.suppress(EngineError):
            await replica.dialect.close()
        if process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), END_SECONDS)
                break

    async def close(self) -> None:
        """End all of them."""
        for replica in list(self._processes):
            await self.end(replica)


def _filled(part: str, words: dict[str, str]) -> str:
    for name, word in words.items():
        part = part.replace(name, word)
    return part


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    lifeline.hold(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606  # no shell is the point
