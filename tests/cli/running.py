"""A whole Backtalk, started as an operator starts it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backtalk import instance
from backtalk.database import Database
from backtalk.settings import PREFIX, Settings

START_SECONDS = 90.0


@dataclass
class Running:
    """A `backtalk up` and what it printed."""

    settings: Settings
    process: "subprocess.Popen[bytes]"
    log: Path
    database: Database = field(init=False)

    def __post_init__(self) -> None:
        self.database = Database(self.settings.database)

    @property
    def told(self) -> dict[str, Any]:
        told = instance.running(self.settings.data_dir)
        assert told is not None, self.log.read_text()
        return told

    @property
    def url(self) -> str:
        return str(self.told["url"])

    @property
    def is_ready(self) -> bool:
        return instance.ready(self.url)


def environment(data_dir: Path) -> dict[str, str]:
    """Settings of a Backtalk of its own on a free port."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {**outside, f"{PREFIX}DATA_DIR": str(data_dir), f"{PREFIX}PORT": "0", "OMP_NUM_THREADS": "1"}


@contextmanager
def running(directory: Path) -> Iterator[Running]:
    """Start Backtalk, wait until it says that it is ready, and stop it at the end."""
    data_dir, log = directory / "data", directory / "up.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "backtalk.cli", "up"],
            env=environment(data_dir),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    backtalk = Running(Settings(data_dir=data_dir), process, log)
    try:
        give_up = time.monotonic() + START_SECONDS
        while "Ctrl-C stops it" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.05)
        yield backtalk
    finally:
        backtalk.database.close()
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(40)
