"""Schedules: when to learn. What the console and the command line both do to them, and what their cron texts mean.

Besides the clock two things can start a run: so much new feedback, and people liking the live version less than they
did. Every time that comes, from whichever, is settled once (`settle`): a queued run, or a reason why there is none.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

import sqlalchemy as sa
from cronsim import CronSim, CronSimError
from sqlmodel import Session, col, select

from backtalk import audit, bells, blackouts, drift, policies, profiles, runs
from backtalk.blackouts import BlackoutError
from backtalk.recipe import load_recipe
from backtalk.tables import Comparison, Json, Opinion, Run, Schedule, Slot, now

NAME_LENGTH = 128
GRACE = timedelta(seconds=60)  # a planned time may be met this much late
REMEMBERED = 500  # times missed in a row that are written down one by one; one row tells of all before them
SOUGHT = 5000  # planned times looked at for one outside the blackouts
NOT_BY_THE_CLOCK = "Not by the clock"


class ScheduleError(ValueError):
    """A schedule that cannot be had; the message says what was found, what was expected and what to do."""


def planned(cron: str, time_zone: str, after: datetime) -> Iterator[datetime]:
    """The planned times after a moment, in UTC; none without a cron text.

    Raises:
        CronSimError: the cron text has no meaning.
        ZoneInfoNotFoundError: nor has the time zone.
    """
    if cron:
        for moment in CronSim(cron, after.astimezone(ZoneInfo(time_zone))):
            yield moment.astimezone(UTC)


def next_times(
    cron: str, time_zone: str, after: datetime | None = None, count: int = 5, windows: Sequence[str] = ()
) -> list[datetime]:
    """The next planned times outside the blackout windows, in the schedule's own zone; none without a cron text.

    Raises:
        ScheduleError: the cron text or the zone is not one, or its time never comes.
    """
    if time_zone not in available_timezones():
        raise ScheduleError(f"the time zone {time_zone!r} is unknown; expected a name such as UTC or Asia/Shanghai")
    if not cron:
        return []
    if len(cron.split()) != 5:
        raise ScheduleError(
            f"the cron text {cron!r} has {len(cron.split())} fields; expected five: "
            "minute, hour, day, month and weekday, such as 0 3 * * *"
        )
    zone = ZoneInfo(time_zone)
    try:
        times = islice(CronSim(cron, (after or now()).astimezone(zone)), SOUGHT)
        return list(islice((time for time in times if blackouts.covering(windows, time) is None), count))
    except CronSimError as error:
        raise ScheduleError(
            f"the cron text {cron!r} is not one ({error}); "
            "expected minute, hour, day, month and weekday, such as 0 3 * * *"
        ) from error
    except BlackoutError as error:
        raise ScheduleError(str(error)) from error


def explain(cron: str) -> str:
    """A cron text in English."""
    return CronSim(cron, datetime.now(UTC)).explain() if cron else NOT_BY_THE_CLOCK


def by_name(session: Session, name: str) -> Schedule:
    """The schedule of that name.

    Raises:
        ScheduleError: there is none.
    """
    schedule = session.exec(select(Schedule).where(Schedule.name == name)).first()
    if schedule is None:
        raise ScheduleError(f"there is no schedule {name!r}; `backtalk schedule list` shows those there are")
    return schedule


def add(
    session: Session,
    name: str,
    cron: str,
    *,
    time_zone: str = "UTC",
    minimum_feedback: int = 50,
    recipe: Json | None = None,
    reward_profile: str | None = None,
    blackouts: Sequence[str] = (),
    after_feedback: int | None = None,
    on_drift: float | None = None,
    enabled: bool = True,
    created_by: UUID | None = None,
) -> Schedule:
    """Make a schedule.

    Raises:
        ScheduleError: a name that is taken or empty, or times that make no sense.
        RecipeError: the recipe cannot be used.
    """
    schedule = Schedule(
        name=_check_name(session, name),
        cron=cron.strip(),
        time_zone=time_zone,
        minimum_feedback=minimum_feedback,
        recipe=recipe or {},
        reward_profile=reward_profile,
        blackouts=list(blackouts),
        after_feedback=after_feedback,
        on_drift=on_drift,
        enabled=enabled,
        created_by=created_by,
    )
    _check(session, schedule)
    session.add(schedule)
    session.flush()
    audit.record(session, created_by or "command line", "schedule.add", schedule.id, name=schedule.name, cron=cron)
    bells.ring(session, "schedule")
    return schedule


def edit(session: Session, schedule: Schedule, actor: object, **changes: Any) -> Schedule:
    """Change fields of a schedule. What was planned up to now is settled first, so that no time is lost over it.

    Raises:
        ScheduleError: a name that is taken or empty, or times that make no sense.
        RecipeError: the recipe cannot be used.
    """
    if "name" in changes and changes["name"] != schedule.name:
        changes["name"] = _check_name(session, changes["name"])
    if schedule.enabled:
        settle(session, schedule, now())
    for name, value in changes.items():
        setattr(schedule, name, value.strip() if name == "cron" else value)
    _check(session, schedule)
    schedule.updated_at = now()
    session.add(schedule)
    audit.record(session, actor, "schedule.edit", schedule.id, **changes)
    bells.ring(session, "schedule")
    return schedule


def remove(session: Session, schedule: Schedule, actor: object) -> None:
    """Remove a schedule; its runs stay. A time that came before is settled first; the audit log keeps how many were."""
    if schedule.enabled:
        settle(session, schedule, now())
    met = sa.func.count(col(Slot.run_id))
    settled, met_count = session.exec(select(sa.func.count(), met).where(Slot.schedule_id == schedule.id)).one()
    counts = {"runs": met_count, "missed": settled - met_count}
    audit.record(session, actor, "schedule.remove", schedule.id, name=schedule.name, **counts)
    session.delete(schedule)
    bells.ring(session, "schedule")


# Times that have come ----------------------------------------------------------------------------------------------


def due(session: Session, schedule: Schedule, moment: datetime) -> list[datetime]:
    """Planned times up to `moment` that are not settled yet, oldest first. Writes nothing."""
    last = session.exec(
        select(sa.func.max(Slot.planned_at)).where(Slot.schedule_id == schedule.id, Slot.trigger == "clock")
    ).one()
    # Nothing was planned before the schedule had its present form.
    after = max(last, schedule.updated_at) if last else schedule.updated_at
    found = []
    for planned_at in planned(schedule.cron, schedule.time_zone, after):
        if planned_at > moment:
            break
        found.append(planned_at)
    return found


def settle(session: Session, schedule: Schedule, moment: datetime) -> None:
    """Settle every planned time up to `moment`: those long past were missed, and so were those in a blackout."""
    times = due(session, schedule, moment)
    untold = len(times) - REMEMBERED
    if untold > 0:
        words = f"the learner was not running, nor at the {untold} times that followed"
        runs.fill_slot(session, schedule, times[0], words)
        times = times[untold + 1 :]
    for planned_at in times:
        window = blackouts.covering(schedule.blackouts, planned_at.astimezone(ZoneInfo(schedule.time_zone)))
        missed: str | None = None
        if window is not None:
            missed = f"blackout {window}"
        elif moment - planned_at > GRACE:
            missed = "the learner was not running"
        runs.fill_slot(session, schedule, planned_at, missed)


def pulled(session: Session, schedule: Schedule, moment: datetime) -> str | None:
    """Which trigger beside the clock asks for a run now; in a blackout, and while a run or a canary is under way, none
    does: it asks afterwards."""
    if schedule.after_feedback is None and schedule.on_drift is None:
        return None
    if blackouts.covering(schedule.blackouts, moment.astimezone(ZoneInfo(schedule.time_zone))) is not None:
        return None
    if session.exec(select(Run.id).where(col(Run.state).in_(("queued", "running"))).limit(1)).first() is not None:
        return None
    if policies.running_canary(session) is not None:
        return None
    if schedule.after_feedback is not None and _has_new_feedback(session, schedule, schedule.after_feedback):
        return "feedback"
    if schedule.on_drift is not None:
        found = drift.look(session, _last_pulled(session, schedule, "drift"))
        if found is not None and found.fall >= schedule.on_drift and found.is_beyond_chance:
            return "drift"
    return None


def pull(session: Session, schedule: Schedule, moment: datetime) -> None:
    """Ask for a run if a trigger beside the clock says so."""
    trigger = pulled(session, schedule, moment)
    if trigger is not None:
        runs.fill_slot(session, schedule, moment, trigger=trigger)


def _has_new_feedback(session: Session, schedule: Schedule, wanted: int) -> bool:
    """Is there enough that no run has seen, and has as much come in since this trigger was pulled before?"""
    if runs.new_feedback(session) < wanted:
        return False
    last = _last_pulled(session, schedule, "feedback")
    if last is None:
        return True
    counts = [
        session.exec(select(sa.func.count()).select_from(table).where(at > last)).one()
        for table, at in ((Opinion, col(Opinion.updated_at)), (Comparison, col(Comparison.created_at)))
    ]
    return sum(counts) >= wanted


def _last_pulled(session: Session, schedule: Schedule, trigger: str) -> datetime | None:
    return session.exec(
        select(sa.func.max(Slot.planned_at)).where(Slot.schedule_id == schedule.id, Slot.trigger == trigger)
    ).one()


# What may be kept --------------------------------------------------------------------------------------------------


def _check_name(session: Session, name: str) -> str:
    name = name.strip()
    if not name or len(name) > NAME_LENGTH or not name.isprintable():
        raise ScheduleError(f"a schedule's name has 1 to {NAME_LENGTH} printable characters; {name[:32]!r} does not")
    if session.exec(select(Schedule.id).where(Schedule.name == name)).first():
        raise ScheduleError(f"the name {name!r} is taken; choose another or edit that schedule")
    return name


def _check(session: Session, schedule: Schedule) -> None:
    windows = schedule.blackouts
    if schedule.cron and not next_times(schedule.cron, schedule.time_zone, count=1):
        raise ScheduleError(f"the cron text {schedule.cron!r} names a time that never comes")
    if schedule.cron and not next_times(schedule.cron, schedule.time_zone, count=1, windows=windows):
        raise ScheduleError(f"the blackout windows leave no time of the cron text {schedule.cron!r}; shorten one")
    if not schedule.cron:
        next_times("", schedule.time_zone)
        if schedule.after_feedback is None and schedule.on_drift is None:
            raise ScheduleError("nothing would ever start this schedule; give a cron text, after_feedback or on_drift")
    try:
        for window in windows:
            blackouts.parse(window)
    except BlackoutError as error:
        raise ScheduleError(str(error)) from error
    if schedule.minimum_feedback < 0:
        raise ScheduleError(f"minimum feedback is {schedule.minimum_feedback}; expected 0 or more")
    if schedule.after_feedback is not None and schedule.after_feedback < 1:
        raise ScheduleError(f"after_feedback is {schedule.after_feedback}; expected 1 or more new opinions")
    if schedule.on_drift is not None and not 0 < schedule.on_drift < 1:
        raise ScheduleError(
            f"on_drift is {schedule.on_drift}; expected a fall of the share between 0 and 1, such as 0.1"
        )
    if schedule.reward_profile is not None:
        profiles.by_name(session, schedule.reward_profile)
    load_recipe(schedule.recipe)
