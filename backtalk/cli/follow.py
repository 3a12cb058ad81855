"""Watching a run while it goes: stages, a bar with the time left, and live numbers, all read from its rows."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from backtalk.cli.output import console

if TYPE_CHECKING:
    from backtalk.database import Database
    from backtalk.tables import Run

PERIOD = 0.5
SHOWN_NUMBERS = 5
PLAIN_PERIOD = 5.0
"""Seconds between two lines where the output is no terminal."""


def follow(
    database: "Database", run_id: UUID, check: Callable[[], None] = lambda: None, *, quietly: bool = False
) -> "Run":
    """Show a run until it has ended; returns it as it ended.

    Args:
        check: called in between; may raise.
        quietly: on standard error.
    """
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from backtalk import runs

    out = console(quietly)
    if not out.is_terminal:
        return _follow_in_lines(database, run_id, check, quietly)
    bar = Progress(
        TextColumn("{task.description:<13}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("·"),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[numbers]}"),
        console=out,
    )
    with bar:
        task = bar.add_task("queued", total=1.0, numbers="")
        while True:
            run, numbers = read(database, run_id)
            bar.update(task, description=_stage(run), completed=run.progress, numbers=_numbers(numbers))
            if run.state in runs.ENDED:
                return run
            check()
            time.sleep(PERIOD)


def _follow_in_lines(database: "Database", run_id: UUID, check: Callable[[], None], quietly: bool) -> "Run":
    from backtalk import runs

    stage, spoken = "", 0.0
    out = sys.stderr if quietly else sys.stdout
    while True:
        run, numbers = read(database, run_id)
        now, current = time.monotonic(), _stage(run)
        if current != stage or now - spoken >= PLAIN_PERIOD:
            stage, spoken = current, now
            print(f"{current:<13} {run.progress:4.0%}  {_numbers(numbers)}", flush=True, file=out)
        if run.state in runs.ENDED:
            return run
        check()
        time.sleep(PERIOD)


def read(database: "Database", run_id: UUID) -> tuple["Run", dict[str, Any]]:
    """A run and its newest measures."""
    from sqlmodel import col, select

    from backtalk.runs import RunError
    from backtalk.tables import Metric, Run

    with database.read() as session:
        run = session.get(Run, run_id)
        if run is None:
            raise RunError(f"there is no run {run_id}; `backtalk run list` shows those there are")
        metric = session.exec(
            select(Metric).where(Metric.run_id == run_id).order_by(col(Metric.step).desc()).limit(1)
        ).first()
    return run, dict(metric.values) if metric else {}


def _stage(run: "Run") -> str:
    return run.stage or ("starting" if run.state == "running" else run.state)


def _numbers(values: dict[str, Any]) -> str:
    shown = [f"{name} {value:.3g}" for name, value in values.items() if isinstance(value, int | float)]
    return "  ".join(shown[:SHOWN_NUMBERS])
