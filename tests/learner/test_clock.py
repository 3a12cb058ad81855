"""Schedules: planned times mean what cron says, and each is settled once."""

from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice, takewhile
from operator import ge
from pathlib import Path
from random import Random
from threading import Barrier, Thread
from time import monotonic, sleep

import pytest
import sqlalchemy as sa
from sqlmodel import select

from backtalk import runs, schedules
from backtalk.database import Database
from backtalk.schedules import planned
from backtalk.tables import Run, Schedule, Slot
from learner.clock import Clock


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def add_schedule(database: Database, since: datetime, cron: str = "0 3 * * *", minimum: int = 0) -> Schedule:
    with database.write() as session:
        schedule = Schedule(name=cron, cron=cron, minimum_feedback=minimum, created_at=since, updated_at=since)
        session.add(schedule)
    return schedule


def slots(database: Database) -> list[Slot]:
    with database.read() as session:
        return list(session.exec(select(Slot).order_by("planned_at")))


def test_sunday_is_sunday() -> None:
    (first,) = islice(planned("0 3 * * 0", "UTC", at("2026-11-24T12:00")), 1)
    assert first == at("2026-11-29T03:00")
    assert first.strftime("%A") == "Sunday"


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        # Clocks go forward: 02:30 does not exist on 2027-03-14 in New York and is met at 03:00, 07:00 UTC.
        ("2027-03-13T12:00", ["2027-03-14T07:00", "2027-03-15T06:30"]),
        # Clocks go back: 02:30 comes once a day, also on 2026-11-01.
        ("2026-10-31T12:00", ["2026-11-01T07:30", "2026-11-02T07:30"]),
    ],
)
def test_changing_clocks_neither_skip_nor_repeat_a_day(after: str, expected: list[str]) -> None:
    found = list(islice(planned("30 2 * * *", "America/New_York", at(after)), 2))
    assert found == [at(moment) for moment in expected]


def test_a_planned_time_becomes_a_queued_run(database: Database) -> None:
    schedule = add_schedule(database, at("2026-11-23T12:00"))
    Clock(database, now=lambda: at("2026-11-24T03:00")).settle(schedule.id)
    (slot,) = slots(database)
    assert slot.planned_at == at("2026-11-24T03:00")
    with database.read() as session:
        (run,) = session.exec(select(Run))
    assert (slot.run_id, run.state, run.schedule_id) == (run.id, "queued", schedule.id)


def test_before_its_time_nothing_happens(database: Database) -> None:
    schedule = add_schedule(database, at("2026-11-23T12:00"))
    Clock(database, now=lambda: at("2026-11-24T02:59:59")).settle(schedule.id)
    assert slots(database) == []


def test_times_missed_while_down_are_written_down_with_the_reason(database: Database) -> None:
    schedule = add_schedule(database, at("2026-11-20T12:00"))
    Clock(database, now=lambda: at("2026-11-23T09:00")).settle(schedule.id)
    assert [(slot.planned_at.day, slot.missed, slot.run_id) for slot in slots(database)] == [
        (day, "the learner was not running", None) for day in (21, 22, 23)
    ]


def test_too_little_that_is_new_is_a_reason(database: Database) -> None:
    schedule = add_schedule(database, at("2026-11-23T12:00"), minimum=50)
    Clock(database, now=lambda: at("2026-11-24T03:00:01")).settle(schedule.id)
    assert [slot.missed for slot in slots(database)] == ["0 new opinions, 50 wanted"]


def test_a_run_in_progress_is_a_reason(database: Database) -> None:
    with database.write() as session:
        busy = runs.queue(session, {})
    schedule = add_schedule(database, at("2026-11-23T12:00"))
    Clock(database, now=lambda: at("2026-11-24T03:00:01")).settle(schedule.id)
    assert str(busy.id) in (slots(database)[0].missed or "")


def test_settling_twice_settles_once(database: Database) -> None:
    schedule = add_schedule(database, at("2026-11-23T12:00"))
    for _ in range(2):
        Clock(database, now=lambda: at("2026-11-24T03:00:02")).settle(schedule.id)
    assert len(slots(database)) == 1


def test_two_clocks_at_the_same_moment_settle_a_time_once(database: Database) -> None:
    schedule = add_schedule(database, at("2026-11-23T12:00"))
    together = Barrier(2)

    def tick() -> None:
        clock = Clock(database, now=lambda: at("2026-11-24T03:00:00"))
        together.wait()
        clock.settle(schedule.id)

    threads = [Thread(target=tick) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(slots(database)) == 1
    with database.read() as session:
        assert len(session.exec(select(Run)).all()) == 1


def test_what_was_paused_was_not_planned(database: Database) -> None:
    """A schedule changed on the 23rd owes nothing for the 21st and 22nd."""
    schedule = add_schedule(database, at("2026-11-20T12:00"))
    with database.write() as session:
        changed = session.get_one(Schedule, schedule.id)
        changed.updated_at = at("2026-11-23T12:00")
        session.add(changed)
    Clock(database, now=lambda: at("2026-11-24T03:00")).settle(schedule.id)
    assert [slot.planned_at.day for slot in slots(database)] == [24]


def test_a_disabled_schedule_rests(database: Database) -> None:
    schedule = add_schedule(database, at("2026-11-20T12:00"))
    with database.write() as session:
        resting = session.get_one(Schedule, schedule.id)
        resting.enabled = False
        session.add(resting)
    Clock(database, now=lambda: at("2026-11-24T03:00")).settle(schedule.id)
    assert slots(database) == []


def test_a_bad_schedule_does_not_stop_the_good_ones(database: Database) -> None:
    since = at("2026-11-23T12:00")
    add_schedule(database, since, cron="not cron at all")
    good = add_schedule(database, since)
    Clock(database, now=lambda: at("2026-11-24T03:00")).look()
    assert [slot.schedule_id for slot in slots(database)] == [good.id]


# Clocks that jump ----------------------------------------------------------------------------------------------------

MOVES = (  # how far the wall clock goes between two looks
    *[timedelta(seconds=seconds) for seconds in (1, 2, 30, 59, 61, 300)],
    *[timedelta(hours=1), timedelta(hours=-1), timedelta(days=1), timedelta(days=-1)],
)


class Wall:
    """A clock on the wall that a test sets."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def read(self) -> datetime:
        return self.moment


@pytest.mark.parametrize("seed", range(10))
def test_whatever_the_clock_does_each_time_is_settled_once_and_none_is_silent(tmp_path: Path, seed: int) -> None:
    """A hundred scripts of jumps, freezes and restarts, over the hour that a zone skips and the one it repeats."""
    rng = Random(seed)
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    database.migrate()
    for begins in ("2027-03-14T05:00", "2026-11-01T04:00") * 5:
        start = latest = at(begins)
        wall = Wall(start)
        with database.write() as session:
            session.execute(sa.delete(Slot))
            session.execute(sa.delete(Schedule))
            schedule = Schedule(
                name="often", cron="*/20 * * * *", time_zone="America/New_York", minimum_feedback=0, updated_at=start
            )
            session.add(schedule)
        clock = Clock(database, now=wall.read)
        for _ in range(12):
            wall.moment += rng.choice(MOVES)
            latest = max(latest, wall.moment)
            if rng.random() < 0.2:  # the learner is started again
                clock = Clock(database, now=wall.read)
            clock.settle(schedule.id)
        times = planned("*/20 * * * *", "America/New_York", start)
        expected = list(takewhile(partial(ge, latest), times))
        settled = slots(database)
        assert [slot.planned_at for slot in settled] == expected
        assert all((slot.run_id is None) != (slot.missed is None) for slot in settled)
    database.close()


def test_a_long_absence_is_told_in_one_row_for_the_oldest_times(database: Database) -> None:
    schedule = add_schedule(database, at("2026-11-20T00:00"), cron="* * * * *")
    Clock(database, now=lambda: at("2026-11-20T10:00")).settle(schedule.id)
    first, *rest = slots(database)
    assert len(rest) == schedules.REMEMBERED - 1
    assert first.missed == f"the learner was not running, nor at the {600 - schedules.REMEMBERED} times that followed"


def test_a_changed_schedule_reaches_a_running_clock(database: Database) -> None:
    """On Postgres it is told of; on SQLite the rows are looked at."""
    add_schedule(database, at("2026-11-20T00:00"), cron="0 3 1 1 *")
    clock = Clock(database)
    clock.start()
    try:
        with database.write() as session:
            schedule = schedules.add(session, "soon", "0 3 * * *", minimum_feedback=0)
        deadline = monotonic() + 60
        while schedule.id not in clock.known:
            assert monotonic() < deadline, "the clock has not heard of it"
            sleep(0.05)
    finally:
        clock.stop()
