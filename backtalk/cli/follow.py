"""Watching a run while it goes: stages, a bar with the time left, live numbers and its log, all read from its rows."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from backtalk.cli.output import console

if TYPE_CHECKING:
    from backtalk.database import Database
    from backtalk.tables import Run, RunLine

PERIOD = 0.5
STYLES = {"warning": "yellow", "error": "red"}
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
        last, counts = 0, ""
        while True:
            run, numbers = read(database, run_id)
            if (found := _counted(run)) != counts:
                counts = found
                bar.console.print(counts, markup=False)
            for line in lines(database, run_id, last):
                last = line.number
                bar.console.print(spoken(line), style=STYLES.get(line.level, "dim"), markup=False)
            bar.update(task, description=_stage(run), completed=run.progress, numbers=_numbers(numbers))
            if run.state in runs.ENDED:
                return run
            check()
            time.sleep(PERIOD)


def _follow_in_lines(database: "Database", run_id: UUID, check: Callable[[], None], quietly: bool) -> "Run":
    from backtalk import runs

    stage, told_at, last, counts = "", 0.0, 0, ""
    out = sys.stderr if quietly else sys.stdout
    while True:
        run, numbers = read(database, run_id)
        if (found := _counted(run)) != counts:
            counts = found
            print(counts, flush=True, file=out)
        for line in lines(database, run_id, last):
            last = line.number
            print(spoken(line), flush=True, file=out)
        now, current = time.monotonic(), _stage(run)
        if current != stage or now - told_at >= PLAIN_PERIOD:
            stage, told_at = current, now
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


def lines(database: "Database", run_id: UUID, after: int = 0) -> "list[RunLine]":
    """The lines of a run's log after that one."""
    from sqlmodel import col, select

    from backtalk.tables import RunLine

    with database.read() as session:
        said = select(RunLine).where(RunLine.run_id == run_id, RunLine.number > after)
        return list(session.exec(said.order_by(col(RunLine.number))))


def spoken(line: "RunLine") -> str:
    """A line of the log as a terminal shows it."""
    return f"{line.at.astimezone():%H:%M:%S}  {line.text}"


def _stage(run: "Run") -> str:
    return run.stage or ("starting" if run.state == "running" else run.state)


def _counted(run: "Run") -> str:
    """What a run learns from, once it has looked."""
    counted = [f"{name.replace('_', ' ')} {count:,}" for name, count in run.counts.items() if isinstance(count, int)]
    return f"learns from: {', '.join(counted)}" if counted else ""


def _numbers(values: dict[str, Any]) -> str:
    shown = [f"{name} {value:.3g}" for name, value in values.items() if isinstance(value, int | float)]
    return "  ".join(shown[:SHOWN_NUMBERS])
