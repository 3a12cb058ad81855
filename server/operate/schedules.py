"""When to learn: schedules, their meaning in words, and their next times."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session, col, select

from backtalk import forecast, schedules
from backtalk.tables import Json, Schedule, Slot
from server.errors import NotFound
from server.operate.rules import PREFIX, Held, Limit, Operator

router = APIRouter(prefix=f"{PREFIX}/schedules", tags=["schedules"])

Cron = Annotated[
    str, Field(max_length=128, description="Minute, hour, day, month and weekday (Sunday is 0); empty for none.")
]
Zone = Annotated[str, Field(max_length=64, description="The zone the cron text speaks of, such as Asia/Shanghai.")]
Minimum = Annotated[int, Field(ge=0, le=10**9, strict=True, description="With fewer new opinions nothing is learned.")]
Profile = Annotated[str | None, Field(description="Name of the reward profile; the active one when null.")]
Blackouts = Annotated[
    list[str],
    Field(max_length=50, description="Windows without learning: `1-5 08:00-18:00`, or `2026-12-24/2026-12-27`."),
]
AfterFeedback = Annotated[
    int | None, Field(ge=1, le=10**9, strict=True, description="So many new opinions start a run by themselves.")
]
OnDrift = Annotated[
    float | None,
    Field(gt=0, lt=1, description="So does a fall of the live version's share of thumbs up by this much."),
]

MAY_BE_NONE = ("reward_profile", "after_feedback", "on_drift")


class ScheduleIn(BaseModel):
    """A new schedule. With an empty cron text only its other triggers start runs."""

    model_config = ConfigDict(extra="forbid")

    name: str
    cron: Cron
    time_zone: Zone = "UTC"
    minimum_feedback: Minimum = 50
    recipe: Json = Field(default_factory=dict, description="What differs from the default recipe.")
    reward_profile: Profile = None
    blackouts: Blackouts = []
    after_feedback: AfterFeedback = None
    on_drift: OnDrift = None
    enabled: bool = True


class ScheduleChange(BaseModel):
    """What changes; what is left out stays. `enabled` pauses and resumes; null takes a profile or a trigger away."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    cron: Cron | None = None
    time_zone: Zone | None = None
    minimum_feedback: Minimum | None = None
    recipe: Json | None = None
    reward_profile: Profile = None
    blackouts: Blackouts | None = None
    after_feedback: AfterFeedback = None
    on_drift: OnDrift = None
    enabled: bool | None = None

    def changes(self) -> Json:
        """The fields that were given."""
        given = self.model_dump(exclude_unset=True)
        return {name: value for name, value in given.items() if value is not None or name in MAY_BE_NONE}


class Preview(BaseModel):
    """What a cron text means, before there is a schedule."""

    explain: str
    next: list[datetime]


class SlotOut(BaseModel):
    """A time of a schedule and what became of it: a run, or the reason why none."""

    model_config = ConfigDict(from_attributes=True)

    planned_at: datetime
    trigger: Literal["clock", "feedback", "drift"]
    run_id: UUID | None
    missed: str | None


class DryRunIn(BaseModel):
    """A run, or a schedule that is not there yet, to be tried dry."""

    model_config = ConfigDict(extra="forbid")

    recipe: Json = Field(default_factory=dict, description="What differs from the default recipe.")
    reward_profile: Profile = None
    minimum_feedback: Minimum = 0


class DryRun(BaseModel):
    """What a run would learn from if it began now, and about how long it would take. Nothing is trained."""

    model_config = ConfigDict(from_attributes=True)

    counts: Json = Field(description="What would be used, by kind.")
    people: int
    new_feedback: int
    minutes: float = Field(description="Estimated from the runs before; roughly, where there were none.")
    would_run: bool
    reason: str | None = Field(description="Why there would be no run, or no version from it.")


class ScheduleOut(BaseModel):
    """A schedule, what its times mean, and when they come next."""

    id: UUID
    name: str
    cron: str
    time_zone: str
    minimum_feedback: int
    recipe: Json
    reward_profile: str | None
    blackouts: list[str]
    after_feedback: int | None
    on_drift: float | None
    enabled: bool
    explain: str
    next: list[datetime]
    last_run: SlotOut | None


@router.get("")
async def list_schedules(service: Held, caller: Operator) -> dict[str, list[ScheduleOut]]:
    """All schedules, oldest first."""
    return await service.read(lambda session: {"items": _all(session)})


@router.post("", status_code=201)
async def add(given: ScheduleIn, service: Held, caller: Operator) -> ScheduleOut:
    """Make a schedule; the learner's clock follows within two seconds."""
    return await service.writer.write(
        lambda session: _out(session, schedules.add(session, **given.model_dump(), created_by=caller.person_id))
    )


@router.get("/preview")
async def preview(
    cron: Cron,
    caller: Operator,
    blackout: Annotated[list[str], Query(max_length=50, default_factory=list)],
    time_zone: Zone = "UTC",
) -> Preview:
    """A cron text in words, and its next five times in that zone, outside the blackouts."""
    times = schedules.next_times(cron, time_zone, windows=blackout)
    return Preview(explain=schedules.explain(cron), next=times)


@router.post("/dry-run")
async def try_dry(given: DryRunIn, service: Held, caller: Operator) -> DryRun:
    """What a run would use if it began now; without a schedule, and without training."""
    return await service.read(
        lambda session: DryRun.model_validate(
            forecast.forecast(
                session, given.recipe, given.minimum_feedback, given.reward_profile, service.settings.trust
            )
        )
    )


@router.get("/{schedule_id}")
async def show(schedule_id: UUID, service: Held, caller: Operator) -> ScheduleOut:
    """One schedule."""
    return await service.read(lambda session: _out(session, _schedule(session, schedule_id)))


@router.get("/{schedule_id}/dry-run")
async def try_schedule_dry(schedule_id: UUID, service: Held, caller: Operator) -> DryRun:
    """What a run of this schedule would use if it began now; nothing is trained."""

    def query(session: Session) -> DryRun:
        row = _schedule(session, schedule_id)
        trust = service.settings.trust
        found = forecast.forecast(session, row.recipe, row.minimum_feedback, row.reward_profile, trust)
        return DryRun.model_validate(found)

    return await service.read(query)


@router.get("/{schedule_id}/slots")
async def slots(schedule_id: UUID, service: Held, caller: Operator, limit: Limit = 50) -> dict[str, list[SlotOut]]:
    """Times of a schedule that have come, newest first, each with its run or the reason why there was none."""

    def query(session: Session) -> list[SlotOut]:
        _schedule(session, schedule_id)
        rows = select(Slot).where(Slot.schedule_id == schedule_id).order_by(col(Slot.planned_at).desc()).limit(limit)
        return [SlotOut.model_validate(row) for row in session.exec(rows)]

    return {"items": await service.read(query)}


@router.put("/{schedule_id}")
async def replace(schedule_id: UUID, given: ScheduleIn, service: Held, caller: Operator) -> ScheduleOut:
    """Put another schedule in its place: what is left out takes its default. Its past stays."""
    values = given.model_dump()
    return await service.writer.write(
        lambda session: _out(
            session, schedules.edit(session, _schedule(session, schedule_id), caller.person_id, **values)
        )
    )


@router.patch("/{schedule_id}")
async def change(schedule_id: UUID, given: ScheduleChange, service: Held, caller: Operator) -> ScheduleOut:
    """Change a schedule, pause it or resume it."""
    changes = given.changes()
    return await service.writer.write(
        lambda session: _out(
            session, schedules.edit(session, _schedule(session, schedule_id), caller.person_id, **changes)
        )
    )


@router.delete("/{schedule_id}", status_code=204)
async def remove(schedule_id: UUID, service: Held, caller: Operator) -> None:
    """Remove a schedule; its runs stay."""
    await service.writer.write(
        lambda session: schedules.remove(session, _schedule(session, schedule_id), caller.person_id)
    )


def _schedule(session: Session, schedule_id: UUID) -> Schedule:
    schedule = session.get(Schedule, schedule_id)
    if schedule is None:
        raise NotFound(f"there is no schedule {schedule_id}")
    return schedule


def _all(session: Session) -> list[ScheduleOut]:
    return [_out(session, row) for row in session.exec(select(Schedule).order_by(col(Schedule.created_at)))]


def _out(session: Session, schedule: Schedule) -> ScheduleOut:
    last = session.exec(
        select(Slot).where(Slot.schedule_id == schedule.id).order_by(col(Slot.planned_at).desc()).limit(1)
    ).first()
    return ScheduleOut(
        **schedule.model_dump(include=set(ScheduleOut.model_fields) - {"explain", "next", "last_run"}),
        explain=schedules.explain(schedule.cron),
        next=schedules.next_times(schedule.cron, schedule.time_zone, windows=schedule.blackouts),
        last_run=SlotOut.model_validate(last) if last is not None else None,
    )
