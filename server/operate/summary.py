"""How it goes: what an operator sees first."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session, col, select

from backtalk import policies, release, runs, satisfaction, schedules
from backtalk.tables import Announcement, Json, Person, Policy, Reply, Run, Schedule, Slot, now
from server.operate.release import CanaryOut, shown
from server.operate.rules import PREFIX, Held, Operator
from server.operate.runs import RunOut

router = APIRouter(prefix=PREFIX, tags=["summary"])

DAYS = 30
"""So many days of thumbs and feedback are shown."""
NEWS = timedelta(hours=24)
"""What happened within this time is news to whoever opens the console in the morning."""
MOST_NEWS = 12


class Live(BaseModel):
    """The version that new replies use."""

    number: int
    live_at: datetime | None
    digest: str


class VersionCounts(BaseModel):
    """How a version was liked: `liked` of `rated` thumbs on its `replies`."""

    number: int
    state: str
    live_at: datetime | None
    replies: int
    rated: int
    liked: int


class NextSchedule(BaseModel):
    """The schedule that fires next."""

    id: UUID
    name: str
    at: datetime


class Waiting(BaseModel):
    """A version that passed the gate and waits for an operator."""

    number: int
    run_id: UUID | None
    created_at: datetime


class Day(BaseModel):
    """The thumbs of one version on one day (UTC)."""

    model_config = ConfigDict(from_attributes=True)

    day: date
    version: int
    rated: int
    liked: int


class Inflow(BaseModel):
    """What came in on one day (UTC)."""

    model_config = ConfigDict(from_attributes=True)

    day: date
    opinions: int
    comparisons: int


class News(BaseModel):
    """Something that happened lately without the operator."""

    kind: str = Field(description="Kind of an announcement, or `missed` for a time of a schedule without a run.")
    at: datetime
    content: Json


class Summary(BaseModel):
    """How it goes."""

    live: Live | None
    policies: list[VersionCounts]
    opinions_since_last_run: int
    next_schedule: NextSchedule | None
    running_run: RunOut | None
    last_run: RunOut | None
    canary: CanaryOut | None
    waiting: list[Waiting]
    days: list[Day]
    inflow: list[Inflow]
    news: list[News]
    people: int
    guests: int
    engine: dict[str, Any]


@router.get("/summary")
async def show(service: Held, caller: Operator) -> Summary:
    """The live version, satisfaction by version, what is new, what runs, and what comes next."""
    state = {**service.engine.state(), "problem": service.swapper.problem}
    return await service.read(lambda session: _summary(session, state))


def _summary(session: Session, engine: dict[str, Any]) -> Summary:
    live = policies.live(session)
    thumbs, days = satisfaction.by_version(session), satisfaction.by_day(session, DAYS)
    # Not grouped: SQLite counts a version's stretch of the index in a third of the time that it takes to group it.
    replies = sa.select(sa.func.count()).where(col(Reply.policy_version) == col(Policy.number)).scalar_subquery()
    versions = [
        VersionCounts(
            number=policy.number,
            state=policy.state,
            live_at=policy.live_at,
            replies=count,
            rated=thumbs.get(policy.number, (0, 0))[0],
            liked=thumbs.get(policy.number, (0, 0))[1],
        )
        for policy, count in session.exec(select(Policy, replies).order_by(col(Policy.number)))
    ]
    newest = select(Run).order_by(col(Run.queued_at).desc()).limit(1)
    running = session.exec(newest.where(col(Run.state).in_(("queued", "running")))).first()
    ended = session.exec(newest.where(col(Run.state).in_(runs.ENDED))).first()
    everybody, guests = session.exec(
        select(sa.func.count(), sa.func.count(sa.case((col(Person.guest), 1)))).select_from(Person)
    ).one()
    return Summary(
        live=Live(**live.model_dump(include={"number", "live_at", "digest"})) if live is not None else None,
        policies=versions,
        opinions_since_last_run=runs.new_feedback(session),
        next_schedule=_next(session),
        running_run=RunOut.model_validate(running) if running is not None else None,
        last_run=RunOut.model_validate(ended) if ended is not None else None,
        canary=shown(session, tried) if (tried := policies.running_canary(session)) is not None else None,
        waiting=[Waiting(**row.model_dump()) for row in release.waiting(session)],
        days=[Day.model_validate(day) for day in days if day.rated],
        inflow=[Inflow.model_validate(day) for day in satisfaction.inflow(session, DAYS, days)],
        news=_news(session),
        people=everybody - guests,
        guests=guests,
        engine=engine,
    )


def _next(session: Session) -> NextSchedule | None:
    coming = [
        NextSchedule(id=row.id, name=row.name, at=at)
        for row in session.exec(select(Schedule).where(col(Schedule.enabled)))
        for at in schedules.next_times(row.cron, row.time_zone, count=1, windows=row.blackouts)
    ]
    return min(coming, key=lambda one: one.at, default=None)


def _news(session: Session) -> list[News]:
    """What was announced, and which times of schedules brought no run; newest first."""
    since = now() - NEWS
    told = select(Announcement).where(col(Announcement.at) > since, Announcement.kind != "test")
    found = [
        News(kind=one.kind, at=one.at, content=one.content)
        for one in session.exec(told.order_by(col(Announcement.at).desc()).limit(MOST_NEWS))
    ]
    missed = (
        select(Slot, Schedule.name)
        .join(Schedule, col(Schedule.id) == col(Slot.schedule_id))
        .where(col(Slot.at) > since, col(Slot.missed).is_not(None))
        .order_by(col(Slot.at).desc())
        .limit(MOST_NEWS)
    )
    for slot, name in session.exec(missed):
        found.append(News(kind="missed", at=slot.at, content={"schedule": name, "reason": slot.missed}))
    return sorted(found, key=lambda one: one.at, reverse=True)[:MOST_NEWS]
