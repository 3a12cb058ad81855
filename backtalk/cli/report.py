"""A report (any JSON the learner writes) as lines for a terminal: one a figure, indented by what it belongs to."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from unicodedata import east_asian_width

from backtalk.cli.output import cell

INDENT = "  "
MOST_TOGETHER = 6
"""More numbers than these have a line each."""
LONG = 40
"""Texts that are longer stand last in their table."""


def lines(report: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """The lines of a report. What is told by several numbers stands in one line, what is a list has a line for each."""
    told = {name: value for name, value in report.items() if value not in (None, {}, [])}
    width = max((len(_name(name)) for name, value in told.items() if _is_short(value)), default=0)
    for name, value in told.items():
        start = INDENT * depth + f"{_name(name):<{width}}"
        if _is_short(value):
            yield f"{start}  {_short(value)}"
        elif isinstance(value, Mapping):
            yield start.rstrip()
            yield from lines(value, depth + 1)
        else:
            yield start.rstrip()
            yield from (INDENT * (depth + 1) + line for line in _table(value))


def _is_short(value: object) -> bool:
    """Whether it fits beside its name: one value, an interval, or a few numbers of one thing."""
    if isinstance(value, Mapping):
        numbers = [one for one in value.values() if isinstance(one, int | float)]
        return _is_interval(value) or len(numbers) == len(value) <= MOST_TOGETHER
    return not isinstance(value, list) or not any(isinstance(one, Mapping) for one in value)


def _short(value: object) -> str:
    if isinstance(value, Mapping):
        if _is_interval(value):
            return f"{cell(value['value'])} ({cell(value['low'])} to {cell(value['high'])})"
        return ", ".join(f"{_name(name)} {cell(one)}" for name, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else cell(value)


def _is_interval(value: Mapping[str, Any]) -> bool:
    return set(value) == {"value", "low", "high"}


def _table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A head and a line for each row, in columns."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    names.sort(key=lambda name: any(isinstance(row.get(name), str) and len(row[name]) > LONG for row in rows))
    told = [[_name(name) for name in names], *([_short(row.get(name)) for name in names] for row in rows)]
    widths = [max(_width(line[place]) for line in told) for place in range(len(names))]
    for line in told:
        yield "  ".join(text + " " * (width - _width(text)) for text, width in zip(line, widths, strict=True)).rstrip()


def _width(text: str) -> int:
    """Columns that a text takes in a terminal: Chinese characters take two."""
    return sum(1 + (east_asian_width(letter) in "WF") for letter in text)


def _name(name: str) -> str:
    return name.replace("_", " ")
