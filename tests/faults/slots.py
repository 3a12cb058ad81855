"""G19: planned times, and clocks that jump: every slot is settled once, by a run or by a reason (F11, F12).

Two learners' clocks look at one database while a script moves the time: by minutes, over nights in which an hour is
missing or comes twice, a day back, while one of them sleeps or runs an hour late. Which times were planned is found in
another way than the product's: by looking at every minute.
"""

import itertools
import random
import re
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError
from sqlmodel import col, select

from backtalk.database import Database
from backtalk.schedules import planned
from backtalk.tables import Audit, Run, Schedule, Slot
from learner.clock import Clock
from tests.faults import figures

PLAIN = ("*/5 * * * *", "7 * * * *", "30 3 * * *", "0 0,12 * * 1-5", "15 6 1 * *", "0 3 * * 0")
"""For these, in UTC, the minutes themselves tell what is planned."""
ZONED = (("30 2 * * *", "America/New_York"), ("*/20 1-3 * * *", "Europe/Berlin"), ("0 3 * * *", "Asia/Shanghai"))
NIGHTS = (datetime(2026, 10, 24, tzinfo=UTC), datetime(2027, 3, 13, tzinfo=UTC), datetime(2027, 3, 27, tzinfo=UTC))
STEPS = 25
TRIES = 20
FOLLOWED = re.compile("nor at the ([0-9]+) times that followed")


class World:
    """One schedule, two learners, and the time that each believes in."""

    def __init__(self, database: Database, chance: random.Random) -> None:
        self._database, self._chance = database, chance
        self.cron, self.zone = self._pick()
        self.since = chance.choice(NIGHTS) + timedelta(minutes=chance.randrange(1440))
        self.time = self.latest = self.since
        self._late = [timedelta(), timedelta()]
        self._clocks = [Clock(database, now=self._now(number)) for number in range(2)]
        with database.write() as session:
            schedule = Schedule(
                name=uuid4().hex,
                cron=self.cron,
                time_zone=self.zone,
                minimum_feedback=0,
                created_at=self.since,
                updated_at=self.since,
            )
            session.add(schedule)
        self.schedule: UUID = schedule.id

    def _pick(self) -> tuple[str, str]:
        return (self._chance.choice(PLAIN), "UTC") if self._chance.random() < 0.7 else self._chance.choice(ZONED)

    def _now(self, number: int) -> Callable[[], datetime]:
        return lambda: self.time - self._late[number]

    def live(self) -> None:
        """Some steps of the script; at the end everybody is awake and on time."""
        for _ in range(STEPS):
            self._chance.choice((self._pass, self._pass, self._pass, self._jump_back, self._oversleep, self._drift))()
            self._look()
        self.time, self._late = max(self.time, self.latest) + timedelta(minutes=1), [timedelta(), timedelta()]
        self._look(everybody=True)

    def _pass(self) -> None:
        self.time += timedelta(
            minutes=self._chance.choice((0, 1, 3, 17, 60, 61, 180)), seconds=self._chance.randrange(60)
        )

    def _jump_back(self) -> None:
        self.time -= self._chance.choice((timedelta(hours=1), timedelta(days=1), timedelta(seconds=1)))

    def _oversleep(self) -> None:
        self.time += self._chance.choice((timedelta(minutes=5), timedelta(hours=3), timedelta(hours=30)))

    def _drift(self) -> None:
        self._late[self._chance.randrange(2)] = self._chance.choice((timedelta(), timedelta(minutes=59), timedelta(-1)))

    def _look(self, everybody: bool = False) -> None:
        awake = self._clocks if everybody else self._chance.choice((self._clocks, self._clocks[:1], self._clocks[1:]))
        times = [self.time - late for clock, late in zip(self._clocks, self._late, strict=True) if clock in awake]
        self.latest = max(self.latest, *times)
        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(self._settle, clock, everybody) for clock in awake]:
                done.result()
        if self._chance.random() < 0.7:  # the run is done before the next look
            with self._database.write() as session:
                session.execute(sa.update(Run).where(col(Run.state) == "queued").values(state="rejected"))

    def _settle(self, clock: Clock, surely: bool) -> None:
        """As the timer does it: what cannot be settled while another holds the database is settled at a later look."""
        for _ in range(TRIES if surely else 1):
            try:
                clock.settle(self.schedule)
                return
            except OperationalError as error:
                if "locked" not in str(error):
                    raise
        assert not surely, "the database stays locked"

    def wrong(self) -> Iterator[str]:
        """What is not as it should be in the end."""
        with self._database.read() as session:
            slots = session.exec(select(Slot).where(Slot.schedule_id == self.schedule)).all()
            asked = session.exec(select(Audit).where(Audit.action == "run.queue")).all()
            runs_of = [run.id for run in session.exec(select(Run).where(Run.schedule_id == self.schedule))]
        found = sorted(slot.planned_at for slot in slots)
        wanted = list(self._planned())
        for slot in slots:  # after a long absence one row tells of many times, and of how many
            if told := FOLLOWED.search(slot.missed or ""):
                place = wanted.index(slot.planned_at) + 1
                found += wanted[place : place + int(told[1])]
        if twice := len(found) - len(set(found)):
            yield f"{self.cron} in {self.zone}: {twice} settled twice"
        for name, times in (("skipped", set(wanted) - set(found)), ("invented", set(found) - set(wanted))):
            if times:
                yield f"{self.cron} in {self.zone}: {len(times)} {name}, such as {min(times)}"
        if undecided := [slot.planned_at for slot in slots if (slot.run_id is None) == (slot.missed is None)]:
            yield f"{len(undecided)} slots have no end, or two, such as {undecided[0]}"
        given = [slot.run_id for slot in slots if slot.run_id is not None]
        if len(given) != len(set(given)) or set(given) != set(runs_of):
            yield f"{len(runs_of)} runs for {len(given)} slots"
        if len({row.target for row in asked}) != len(asked):
            yield "a run was asked for twice"

    def _planned(self) -> Iterator[datetime]:
        if self.zone == "UTC":
            yield from _minutes(self.cron, self.since, self.latest)
        else:
            times = planned(self.cron, self.zone, self.since)
            yield from itertools.takewhile(lambda time: time <= self.latest, times)


def _minutes(cron: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """Every minute that a plain cron text names, by looking at each."""
    minute, hour, day, month, weekday = (_numbers(field) for field in cron.split())
    time = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while time <= until:
        local = time.astimezone(ZoneInfo("UTC"))
        days = local.day in day and local.isoweekday() % 7 in weekday
        if local.minute in minute and local.hour in hour and days and local.month in month:
            yield time
        time += timedelta(minutes=1)


def _numbers(field: str) -> set[int]:
    if field == "*":
        return set(range(60))
    if field.startswith("*/"):
        return set(range(0, 60, int(field[2:])))
    if "-" in field:
        low, high = map(int, field.split("-"))
        return set(range(low, high + 1))
    return set(map(int, field.split(",")))


def run(seed: int, trials: int) -> figures.Outcome:
    """Live through `trials` scripts."""
    outcome = figures.Outcome()
    with tempfile.TemporaryDirectory() as directory:
        database = Database(f"sqlite:///{Path(directory) / 'test.db'}")
        database.migrate()
        for number in range(trials):
            world = World(database, random.Random(f"{seed} {number}"))
            world.live()
            outcome.trials += 1
            outcome.violations += [f"script {number}: {wrong}" for wrong in world.wrong()]
            with database.write() as session:
                outcome.acked += len(session.exec(select(Slot).where(Slot.schedule_id == world.schedule)).all())
                session.execute(sa.delete(Schedule))
                session.execute(sa.delete(Run))
                session.execute(sa.delete(Audit))
        database.close()
    return outcome


FIGURE = figures.Figure(
    name="G19",
    claim="Clocks jump, sleep and disagree: every planned time is settled exactly once, none in silence",
    unit="scripts of a jumping clock",
    run=run,
    minimum=100,
    goal=500,
    slice=50,
    faults="F11, F12",
    limits="The clock is injected. Acknowledged are slots. In zones with summer time, the planned times are cronsim's.",
)
