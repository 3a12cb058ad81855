"""The command line as a person types it, in this process for speed."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backtalk.cli import main
from backtalk.database import Database
from backtalk.settings import PREFIX, Settings


@dataclass(frozen=True)
class Result:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Result]


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of this test's own; the commands find it in the environment."""
    monkeypatch.setenv(f"{PREFIX}DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


@pytest.fixture
def backtalk(data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command: `backtalk("person", "add", "ada")`."""

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["backtalk", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def laid(data_dir: Path) -> tuple[Settings, Database]:
    """The same data directory with its database and first policy, as `up` makes them."""
    from backtalk import policies

    settings = Settings(data_dir=data_dir)
    settings.prepare()
    database = Database(settings.database)
    database.migrate()
    policies.ensure_first(database, settings)
    return settings, database
