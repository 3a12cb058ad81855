"""A whole Backtalk for a while: for the demo and the benches, for trying something without leaving a trace."""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from backtalk import lifeline, policies
from backtalk.database import Database
from backtalk.instance import InstanceError, claim_port, local_url, ready, served
from backtalk.settings import PREFIX, Settings

STOP_SECONDS = 40.0


@dataclass(frozen=True, slots=True)
class Temporary:
    """A Backtalk that runs for a while. Made here, used by the demo and the benches."""

    settings: Settings
    database: Database
    url: str
    seconds: float  # until it was ready

    async def train(self) -> int:
        """Train once, in a process of its own. Returns its exit code: 0 where a version was promoted, and is served."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "backtalk.cli", "train", "--json"),
            env={**os.environ, f"{PREFIX}DATA_DIR": str(self.settings.data_dir), f"{PREFIX}DATABASE_URL": ""},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )
        code = await process.wait()
        await self.follows()
        return code

    async def follows(self) -> None:
        """Wait until the server serves the live version."""
        with self.database.read() as session:
            live = policies.live(session)
        while live is not None and await asyncio.to_thread(served, self.url) != live.number:  # noqa: ASYNC110  # no event of ours
            await asyncio.sleep(0.05)


@asynccontextmanager
async def temporary() -> AsyncIterator[Temporary]:
    """Run a whole Backtalk on a data directory and a free port of its own; both are gone at the end.

    What is set for models and devices holds here too; where things are does not.

    Raises:
        InstanceError: it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="backtalk-") as directory:
        settings = Settings(data_dir=Path(directory), host="127.0.0.1", port=0, database_url=None, public_url=None)
        port = claim_port(settings)
        url, log, began = local_url("127.0.0.1", port), Path(directory) / "up.log", time.monotonic()
        process = _start_up(log, {"DATA_DIR": directory, "HOST": "127.0.0.1", "PORT": str(port)})
        try:
            while not await asyncio.to_thread(ready, url):
                if process.poll() is not None:
                    raise InstanceError(f"Backtalk did not start: {log.read_text(errors='replace').strip()[-2000:]}")
                await asyncio.sleep(0.1)
            database = Database(settings.database)
            try:
                yield Temporary(settings, database, url, time.monotonic() - began)
            finally:
                database.close()
        finally:
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _start_up(log: Path, apart: dict[str, str]) -> "subprocess.Popen[bytes]":
    here = {"DATABASE_URL": "", "PUBLIC_URL": ""} | apart  # empty: as if backtalk.toml did not say it either
    with log.open("wb") as file:
        return subprocess.Popen(
            lifeline.command("-m", "backtalk.cli", "up"),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**os.environ, **{PREFIX + name: value for name, value in here.items()}},
            start_new_session=True,
        )
