"""How people like the versions: thumbs by version and by day, and how much feedback comes in.

Everything is counted from one index (`ix_opinion_thumbs`), so it is quick whatever the number of replies.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from backtalk.tables import Comparison, Opinion, Policy, now


@dataclass(frozen=True, slots=True)
class Day:
    """One day (UTC) of one version: opinions given, thumbs that count, and those of them that point up."""

    day: date
    version: int
    given: int
    rated: int
    liked: int


@dataclass(frozen=True, slots=True)
class Inflow:
    """What came in on one day (UTC)."""

    day: date
    opinions: int
    comparisons: int


def by_version(session: Session) -> Mapping[int, tuple[int, int]]:
    """How many thumbs each version got and how many of them point up: number -> (rated, liked)."""
    version = col(Opinion.policy_version)
    counts = sa.select(version, _count(_COUNTS), _count(_LIKED)).where(version.is_not(None))
    rows = session.execute(counts.group_by(version)).all()
    return {number: (rated, liked) for number, rated, liked in rows if rated}


def by_day(session: Session, days: int) -> list[Day]:
    """Opinions of the last `days` days, today among them, by day and version, oldest first."""
    version, day = col(Opinion.policy_version), _day(session, col(Opinion.created_at))
    counts = sa.select(day, version, sa.func.count(), _count(_COUNTS), _count(_LIKED))
    # Named one by one, the versions' recent stretches of the index are read, and not all that came before.
    recent = counts.where(version.in_(sa.select(col(Policy.number))), col(Opinion.created_at) >= _since(days))
    rows = session.execute(recent.group_by(day, version).order_by(day, version))
    return [Day(_date(when), *numbers) for when, *numbers in rows]


def inflow(session: Session, days: int, given: Sequence[Day]) -> list[Inflow]:
    """What came in on each of the last `days` days, oldest first; a day on which nothing came is there as well.

    Args:
        given: what `by_day` found.
    """
    opinions: Counter[date] = Counter()
    for one in given:
        opinions[one.day] += one.given
    day = _day(session, col(Comparison.created_at))
    recent = sa.select(day, sa.func.count()).where(col(Comparison.created_at) >= _since(days)).group_by(day)
    comparisons = {_date(when): count for when, count in session.execute(recent)}
    first = _since(days).date()
    every = [first + timedelta(days=number) for number in range(days)]
    return [Inflow(day, opinions[day], comparisons.get(day, 0)) for day in every]


_COUNTS = sa.and_(col(Opinion.rating).is_not(None), ~col(Opinion.withdrawn), ~col(Opinion.excluded))
_LIKED = sa.and_(col(Opinion.rating) == 1, ~col(Opinion.withdrawn), ~col(Opinion.excluded))


def _count(condition: sa.ColumnElement[bool]) -> Any:
    return sa.func.sum(sa.case((condition, 1), else_=0))


def _since(days: int) -> datetime:
    """Midnight (UTC) before the first of the last `days` days, today among them."""
    return datetime.combine(now().date() - timedelta(days=days - 1), datetime.min.time(), UTC)


def _day(session: Session, moment: Any) -> Any:
    """The day of a moment in UTC. Moments of SQLite are texts in UTC; Postgres would go by its own time zone."""
    if session.get_bind().dialect.name == "postgresql":
        return sa.func.date(sa.func.timezone("UTC", moment))
    return sa.func.substr(moment, 1, 10)


def _date(found: Any) -> date:
    return found if isinstance(found, date) else date.fromisoformat(found)
