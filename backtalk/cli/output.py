"""How commands speak: tables for people, JSON for programs, one sentence for errors."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]
Row = Mapping[str, Any]


class CommandError(Exception):
    """A command cannot do what was asked: what was found, what was expected, what to do."""


def console(stderr: bool = False) -> "Console":
    """Standard output, or standard error, with colours where it is a terminal."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, soft_wrap=not stream.isatty())


def show(rows: Sequence[Row], columns: Sequence[str], as_json: bool, empty: str) -> None:
    """Print rows: all of them as JSON, or `columns` of them as a table, or the sentence `empty`."""
    if as_json:
        show_json(rows)
        return
    if not rows:
        print(empty)
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in columns:
        numeric = all(isinstance(row.get(name), int | float | None) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell(row.get(name)) for name in columns))
    console().print(table)


def show_one(row: Row, as_json: bool) -> None:
    """Print one thing: a JSON object, or a line for each of its fields."""
    if as_json:
        show_json(row)
        return
    width = max(len(name) for name in row)
    for name, value in row.items():
        if isinstance(value, Mapping | list):
            value = json.dumps(value, ensure_ascii=False, default=_plain) if value else None
        print(f"{name.replace('_', ' '):<{width}}  {cell(value)}")


def say(row: Row, sentence: str, as_json: bool) -> None:
    """Print what was done: a JSON object, or a sentence."""
    if as_json:
        show_json(row)
    else:
        print(sentence)


def show_json(value: object) -> None:
    """Print JSON with moments in ISO 8601, as the HTTP interface writes them."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=_plain))


def pick(row: object, names: Sequence[str]) -> dict[str, Any]:
    """Some columns of a database row."""
    return {name: getattr(row, name) for name in names}


def _plain(value: object) -> str:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


def cell(value: object) -> str:
    """A value as a table shows it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, datetime):
        # As a person's clock shows it; JSON keeps UTC.
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return str(value)


def fail(message: object, code: int = 1) -> NoReturn:
    """Say on standard error what went wrong and end."""
    print(f"backtalk: {message}", file=sys.stderr)
    raise SystemExit(code)
