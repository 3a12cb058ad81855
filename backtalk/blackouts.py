"""When nothing may be learned: windows of a schedule, in its own time zone.

Two ways to write one: hours of weekdays as in cron, `1-5 08:00-18:00` or `* 22:00-06:00` (Sunday is 0), and days of the
calendar with both ends, `2026-12-24/2026-12-27`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

DAY = timedelta(days=1)
HOURS = re.compile(r"(\S+)\s+(\d{1,2}:\d{2})\s*-\s*(\d{1,2}:\d{2})")
DAYS = re.compile(r"(\d{4}-\d{2}-\d{2})\s*/\s*(\d{4}-\d{2}-\d{2})")


class BlackoutError(ValueError):
    """A window that has no meaning; the message says what was found and what was expected."""


@dataclass(frozen=True, slots=True)
class Hours:
    """Some hours on some weekdays; past midnight they belong to the day they began on."""

    weekdays: frozenset[int]  # Sunday is 0
    start: time
    end: time  # excluded; midnight means the end of the day

    def covers(self, at: datetime) -> bool:
        """Is this moment, in the schedule's zone, inside?"""
        if self.start < self.end or self.end == time():
            return at.isoweekday() % 7 in self.weekdays and self.start <= at.time() and self._is_before_end(at)
        began_today = at.isoweekday() % 7 in self.weekdays and at.time() >= self.start
        began_yesterday = (at - DAY).isoweekday() % 7 in self.weekdays and at.time() < self.end
        return began_today or began_yesterday

    def _is_before_end(self, at: datetime) -> bool:
        return self.end == time() or at.time() < self.end


@dataclass(frozen=True, slots=True)
class Days:
    """Whole days of the calendar."""

    first: date
    last: date

    def covers(self, at: datetime) -> bool:
        """Is this moment, in the schedule's zone, inside?"""
        return self.first <= at.date() <= self.last


def parse(text: str) -> Hours | Days:
    """The window that a text means.

    Raises:
        BlackoutError: it means none.
    """
    text = text.strip()
    try:
        if found := DAYS.fullmatch(text):
            first, last = (date.fromisoformat(part) for part in found.groups())
            if first > last:
                raise BlackoutError(f"the blackout {text!r} ends before it begins; write the earlier day first")
            return Days(first, last)
        if found := HOURS.fullmatch(text):
            start, end = (_clock(part) for part in found.groups()[1:])
            return Hours(_weekdays(found[1]), start, end)
    except BlackoutError:
        raise
    except ValueError as error:
        raise BlackoutError(f"the blackout {text[:64]!r} cannot be read ({error}); {_expected()}") from error
    raise BlackoutError(f"the blackout {text[:64]!r} cannot be read; {_expected()}")


def covering(windows: Sequence[str], at: datetime) -> str | None:
    """The first of the windows that this moment, in the schedule's zone, falls into."""
    return next((text for text in windows if parse(text).covers(at)), None)


def _clock(text: str) -> time:
    hours, minutes = map(int, text.split(":"))
    return time() if (hours, minutes) == (24, 0) else time(hours, minutes)


def _weekdays(text: str) -> frozenset[int]:
    if text == "*":
        return frozenset(range(7))
    days = set[int]()
    for part in text.split(","):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if not 0 <= low <= high <= 7:
            raise ValueError(f"weekdays go from 0 to 7, found {part}")
        days.update(day % 7 for day in range(low, high + 1))
    return frozenset(days)


def _expected() -> str:
    return "expected weekdays and hours such as '1-5 08:00-18:00', or days such as '2026-12-24/2026-12-27'"
