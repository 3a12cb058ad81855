"""The power fails (F05); the smallest tier of `power.py`."""

from typing import Any

import pytest

from backtalk import database
from tests.faults import power


def test_what_was_acknowledged_survives_power_cuts() -> None:
    outcome = power.run(seed=1, trials=2_000)
    assert outcome.violations == []
    assert (outcome.trials, outcome.acked > 20_000) == (2_000, True)


def test_a_database_that_syncs_less_would_be_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = database._prepare_sqlite

    def weaker(connection: Any, record: object) -> None:
        prepare(connection, record)
        connection.execute("PRAGMA synchronous=NORMAL")

    monkeypatch.setattr(database, "_prepare_sqlite", weaker)
    assert any("lost" in wrong for wrong in power.run(seed=1, trials=300).violations)
