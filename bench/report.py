"""Rows of figures as a table and as JSON, with what is needed to measure them again."""

import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backtalk import __version__

Row = dict[str, Any]


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed (nearest rank); NaN of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def milliseconds(seconds: float) -> float:
    """Seconds as milliseconds with a digit behind the point."""
    return round(1000 * seconds, 1)


def surroundings() -> Row:
    """Where and on what the figures were measured."""
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "backtalk": __version__,
        "commit": head.stdout.strip() or None,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "command": " ".join(["backtalk", "bench", *sys.argv[1:]]),
    }


def tell(what: str) -> None:
    """Say on standard error how far a bench has come, so that nobody takes a long one for one that hangs."""
    print(time.strftime("%H:%M:%S"), what, file=sys.stderr, flush=True)


def show(name: str, rows: Sequence[Row], out: Path | None) -> None:
    """Print a table and add it to the JSON file."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=name, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in rows[0]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
    if out is not None:
        known = json.loads(out.read_text()) if out.exists() else {}
        out.write_text(json.dumps({**known, name: {"rows": rows, **surroundings()}}, indent=2) + "\n")
