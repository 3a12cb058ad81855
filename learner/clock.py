"""When to learn: the `schedule` rows are the truth, APScheduler is only the timer of this process, kept in step.

Every planned time is settled once, whoever comes first (rule R7): by a queued run, or by a reason why there is none.
Cron text means what `cronsim` says it means: weekdays as in cron, and clocks that change. On Postgres a changed
schedule is told of at once (NOTIFY); on SQLite the rows are looked at every second.
"""

import logging
from collections.abc import Callable, Set
from datetime import UTC, datetime, timedelta
from uuid import UUID

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from cronsim import CronSimError
from sqlmodel import col, select
from typing_extensions import override

from backtalk import schedules
from backtalk.bells import Ears
from backtalk.database import Database
from backtalk.schedules import planned
from backtalk.tables import Schedule, now

LOOK_EVERY = 1  # seconds between two looks at the rows
TRIGGERS_EVERY = timedelta(seconds=5)  # new feedback and drift are looked for less often: they cost more

log = logging.getLogger(__name__)


class CronTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler 3 has no types
    """Cron as APScheduler asks for it."""

    def __init__(self, cron: str, time_zone: str) -> None:
        self.cron, self.time_zone = cron, time_zone

    @override
    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        return next(planned(self.cron, self.time_zone, previous_fire_time or now), None)


class Clock:
    """Turns the planned times of schedules into queued runs."""

    def __init__(self, database: Database, now: Callable[[], datetime] = now) -> None:
        self._database = database
        self._now = now
        self._timer = BackgroundScheduler(timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1})
        self._known: dict[UUID, tuple[str, str]] = {}
        self._triggers_at: datetime | None = None
        self._ears = Ears(database, {"schedule": self._look_soon})

    def start(self) -> None:
        """Settle what was missed, then keep time in a thread."""
        self.look()
        self._timer.add_job(self.look, "interval", seconds=LOOK_EVERY, id="look")
        self._timer.start()
        self._ears.start()

    def stop(self) -> None:
        """End the threads."""
        self._ears.stop()
        self._timer.shutdown()

    @property
    def known(self) -> Set[UUID]:
        """The schedules that the timer keeps."""
        return self._known.keys()

    def look(self) -> None:
        """Bring the timer's jobs in step with the rows, settle what is due, and see what triggers say."""
        with self._database.read() as session:
            rows = session.exec(select(Schedule).where(col(Schedule.enabled))).all()
        wanted = {row.id: (row.cron, row.time_zone) for row in rows if _has_meaning(row, self._now())}
        for id in self._known.keys() - wanted.keys():
            self._timer.remove_job(id.hex)
        for id, (cron, time_zone) in wanted.items():
            if self._known.get(id) != (cron, time_zone):
                trigger = CronTrigger(cron, time_zone)
                self._timer.add_job(
                    self.settle, trigger, args=[id], id=id.hex, replace_existing=True, misfire_grace_time=None
                )
        self._known = wanted
        for id in wanted:
            self.settle(id)
        if self._are_triggers_due():
            for row in rows:
                self.pull(row.id)

    def settle(self, schedule_id: UUID) -> None:
        """Settle every planned time up to now; those long past were missed."""
        moment = self._now()
        with self._database.read() as session:
            schedule = session.get(Schedule, schedule_id)
            if schedule is None or not schedule.enabled or not schedules.due(session, schedule, moment):
                return
        with self._database.write() as session:
            schedule = session.get(Schedule, schedule_id)
            if schedule is not None and schedule.enabled:
                schedules.settle(session, schedule, moment)

    def pull(self, schedule_id: UUID) -> None:
        """Queue a run if there is enough new feedback or a drift for this schedule."""
        moment = self._now()
        with self._database.read() as session:
            schedule = session.get(Schedule, schedule_id)
            if schedule is None or schedules.pulled(session, schedule, moment) is None:
                return
        with self._database.write() as session:
            schedule = session.get(Schedule, schedule_id)
            if schedule is not None and schedule.enabled:
                schedules.pull(session, schedule, moment)

    def _are_triggers_due(self) -> bool:
        moment = self._now()
        # A clock that was set back must not silence them.
        if self._triggers_at is not None and timedelta() <= moment - self._triggers_at < TRIGGERS_EVERY:
            return False
        self._triggers_at = moment
        return True

    def _look_soon(self, _: list[str]) -> None:
        self._timer.modify_job("look", next_run_time=datetime.now(UTC))


def _has_meaning(schedule: Schedule, moment: datetime) -> bool:
    """Does it go by the clock? Whoever writes schedules checks them; a bad one must not stop the others."""
    try:
        return next(planned(schedule.cron, schedule.time_zone, moment), None) is not None
    except (CronSimError, KeyError, ValueError):
        return False
