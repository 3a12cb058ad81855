"""What starts a run beside the clock, what a run would use, and that no time is lost over a change."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from backtalk import canary, drift, forecast, policies, profiles, release, runs, schedules
from backtalk.database import Database
from backtalk.tables import Audit, Comparison, Run, Schedule, Slot, now
from tests.population import add_opinion, add_person, add_policy, add_reply


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def slots(database: Database) -> list[Slot]:
    with database.read() as session:
        return list(session.exec(select(Slot).order_by("planned_at")))


# Blackouts -----------------------------------------------------------------------------------------------------------


def test_the_next_times_lie_outside_the_blackouts() -> None:
    times = schedules.next_times("0 * * * *", "UTC", at("2026-11-27T07:30"), 2, ["1-5 08:00-18:00"])
    assert times == [at("2026-11-27T18:00"), at("2026-11-27T19:00")]


def test_a_time_in_a_blackout_is_missed_and_says_so(database: Database) -> None:
    with database.write() as session:
        schedule = schedules.add(session, "daily", "0 3 * * *", minimum_feedback=0, blackouts=["0 02:00-04:00"])
        schedule.updated_at = at("2026-11-21T12:00")  # a Saturday
    with database.write() as session:
        schedules.settle(session, session.get_one(Schedule, schedule.id), at("2026-11-22T03:00:01"))
        schedules.settle(session, session.get_one(Schedule, schedule.id), at("2026-11-23T03:00:01"))
    sunday, monday = slots(database)
    assert (sunday.run_id, sunday.missed) == (None, "blackout 0 02:00-04:00")
    assert monday.run_id is not None


def test_windows_that_leave_no_time_are_refused(database: Database) -> None:
    with database.write() as session, pytest.raises(schedules.ScheduleError, match="leave no time"):
        schedules.add(session, "never", "0 3 * * *", blackouts=["* 02:00-04:00"])


# Triggers ------------------------------------------------------------------------------------------------------------


def test_something_must_be_able_to_start_a_schedule(database: Database) -> None:
    with database.write() as session, pytest.raises(schedules.ScheduleError, match="nothing would ever start"):
        schedules.add(session, "idle", "")


def test_enough_new_feedback_starts_a_run_once(database: Database) -> None:
    with database.write() as session:
        schedule = schedules.add(session, "eager", "", minimum_feedback=0, after_feedback=3)
        add_policy(session, 0, "live")
        person = add_person(session)
        for _ in range(2):
            add_opinion(session, person.id, add_reply(session, person.id, 0))
        assert schedules.pulled(session, schedule, now()) is None
        add_opinion(session, person.id, add_reply(session, person.id, 0))
        schedules.pull(session, schedule, now())
        assert schedules.pulled(session, schedule, now()) is None, "one is queued"
        run = session.exec(select(Run)).one()
        run.state, run.ended_at = "failed", now()
        session.add(run)
        session.flush()
        assert schedules.pulled(session, schedule, now()) is None, "a failed run is not tried again with the same"
        for _ in range(3):
            add_opinion(session, person.id, add_reply(session, person.id, 0))
        assert schedules.pulled(session, schedule, now()) == "feedback"
    (slot,) = slots(database)
    assert (slot.trigger, slot.run_id) == ("feedback", run.id)


def test_a_trigger_waits_for_the_end_of_a_blackout(database: Database) -> None:
    with database.write() as session:
        schedule = schedules.add(
            session, "eager", "", time_zone="Asia/Shanghai", after_feedback=1, blackouts=["* 08:00-18:00"]
        )
        add_policy(session, 0, "live")
        person = add_person(session)
        add_opinion(session, person.id, add_reply(session, person.id, 0))
        assert schedules.pulled(session, schedule, at("2026-11-27T01:00")) is None, "nine in the morning in Shanghai"
        assert schedules.pulled(session, schedule, at("2026-11-27T11:00")) == "feedback"


def test_a_fall_of_the_live_share_of_thumbs_up_starts_a_run_once(database: Database) -> None:
    began = now() - timedelta(hours=10)
    with database.write() as session:
        schedule = schedules.add(session, "watchful", "", minimum_feedback=0, on_drift=0.2)
        add_policy(session, 0, "live")
        person = add_person(session)
        for number in range(2 * drift.WINDOW):
            liked = number % 5 > 0 if number < drift.WINDOW else number % 2 == 0  # 80 % at first, 50 % of late
            reply = add_reply(session, person.id, 0)
            add_opinion(session, person.id, reply, 1 if liked else -1, began + timedelta(seconds=number))
        found = drift.look(session)
        assert found is not None
        assert (found.earlier, found.newest) == (0.8, 0.5)
        assert schedules.pulled(session, schedule, now()) == "drift"
        schedule.on_drift = 0.4
        assert schedules.pulled(session, schedule, now()) is None
        schedule.on_drift = 0.2
        schedules.pull(session, schedule, now())
        session.exec(select(Run)).one().state = "failed"
        assert schedules.pulled(session, schedule, now()) is None, "the same fall is not learned from twice"


def test_chance_is_no_drift() -> None:
    assert not drift.Drift(0.80, 0.72, 100, 100).is_beyond_chance
    assert drift.Drift(0.80, 0.65, 100, 100).is_beyond_chance


# Changes -------------------------------------------------------------------------------------------------------------


def test_a_time_that_came_just_before_a_change_is_not_lost(database: Database) -> None:
    with database.write() as session:
        schedule = schedules.add(session, "minutely", "* * * * *", minimum_feedback=0)
        schedule.updated_at = now() - timedelta(seconds=70)
        session.add(schedule)
        session.flush()
        schedules.edit(session, schedule, "test", cron="0 3 * * *")
    times = slots(database)
    assert 1 <= len(times) <= 2
    assert times[0].run_id is not None or times[0].missed


def test_a_time_that_came_just_before_the_removal_is_not_lost(database: Database) -> None:
    with database.write() as session:
        schedule = schedules.add(session, "minutely", "* * * * *", minimum_feedback=0)
        schedule.updated_at = now() - timedelta(seconds=150)
        session.add(schedule)
        session.flush()
        schedules.remove(session, schedule, "test")
        assert session.exec(select(Run)).one().state == "queued", "the newest time had come, so its run stays"
        told = session.exec(select(Audit).where(Audit.action == "schedule.remove")).one().detail
    assert told["runs"] == 1 and told["missed"] >= 1
    assert not slots(database)


def test_a_profile_that_is_not_there_cannot_be_scheduled(database: Database) -> None:
    with database.write() as session:
        with pytest.raises(profiles.ProfileError, match="no reward profile"):
            schedules.add(session, "odd", "0 3 * * *", reward_profile="careful")
        profiles.put(session, "test", "careful", {"preference": 2.0}, {}, active=False)
        schedule = schedules.add(session, "even", "* * * * *", minimum_feedback=0, reward_profile="careful")
        run = runs.fill_slot(session, schedule, now())
        assert run is not None
        assert run.recipe["rewards"]["preference"] == 2.0


def test_a_scheduled_run_waits_for_the_outcome_of_a_canary(database: Database) -> None:
    with database.write() as session:
        add_policy(session, 0, "live")
        add_policy(session, 1, "candidate", parent=0)
        canary.begin(session, 1, "test", release.rules(session))
        schedule = schedules.add(session, "daily", "0 3 * * *", minimum_feedback=0)
        assert runs.fill_slot(session, schedule, now()) is None
        policies.roll_back(session, "test")
        assert runs.fill_slot(session, schedule, now()) is not None
    waited, _ = slots(database)
    assert "policy 1 is being tried" in (waited.missed or "")


def test_a_trigger_that_waits_for_a_canary_is_not_lost(database: Database) -> None:
    with database.write() as session:
        schedule = schedules.add(session, "eager", "", minimum_feedback=0, after_feedback=1)
        add_policy(session, 0, "live")
        add_policy(session, 1, "candidate", parent=0)
        person = add_person(session)
        add_opinion(session, person.id, add_reply(session, person.id, 0))
        canary.begin(session, 1, "test", release.rules(session))
        schedules.pull(session, schedule, now())
        assert schedules.pulled(session, schedule, now()) is None
        policies.roll_back(session, "test")
        schedules.pull(session, schedule, now())
    (slot,) = slots(database)
    assert slot.run_id is not None


# Dry runs ------------------------------------------------------------------------------------------------------------


def test_a_dry_run_counts_what_may_train_and_how_many_people_gave_it(database: Database) -> None:
    with database.write() as session:
        add_policy(session, 0, "live")
        ann, bob, shy = add_person(session), add_person(session), add_person(session, consent=None)
        for rating in (1, 1, -1):
            add_opinion(session, ann.id, add_reply(session, ann.id, 0), rating)
        add_opinion(session, bob.id, add_reply(session, bob.id, 0), -1, rewrite="Better.", labels={"quality": 2})
        add_opinion(session, bob.id, add_reply(session, bob.id, 0), None)  # says nothing
        add_opinion(session, bob.id, add_reply(session, bob.id, 0), 1, withdrawn=True)
        add_opinion(session, bob.id, add_reply(session, bob.id, 0), 1, excluded=True)
        add_opinion(session, shy.id, add_reply(session, shy.id, 0), 1)
        add_opinion(session, ann.id, add_reply(session, shy.id, 0), 1)  # on a reply of who has not agreed
        left, right = add_reply(session, bob.id, 0), add_reply(session, bob.id, 0)
        session.add(Comparison(person_id=bob.id, key="k", left_id=left, right_id=right, verdict="left"))
        session.flush()
        found = forecast.forecast(session, {"data": {"minimum_opinions": 5}})
    assert found.counts == {
        "opinions": 5,
        "liked": 2,
        "disliked": 2,
        "rewrites": 1,
        "scored": 1,
        "comparisons": 1,
        "over_the_cap": 0,
    }
    assert found.people == 2
    assert (found.would_run, found.reason) == (True, None)


def test_one_person_counts_no_more_than_the_cap(database: Database) -> None:
    with database.write() as session:
        add_policy(session, 0, "live")
        for given in (9, 1, 1):
            person = add_person(session)
            for _ in range(given):
                add_opinion(session, person.id, add_reply(session, person.id, 0))
        found = forecast.forecast(session, {"data": {"cap": 2, "cap_factor": 4.0}})
    assert (found.counts["opinions"], found.counts["over_the_cap"]) == (6, 5)
    assert found.reason == "6 opinions of people who let theirs train, 20 needed"


def test_the_minutes_come_from_the_runs_before(database: Database) -> None:
    with database.write() as session:
        usual = forecast.forecast(session, {}).minutes
        began = now() - timedelta(hours=1)
        for minutes in (20, 30, 40):
            run = Run(state="promoted", stage="publish", counts={"opinions": 600}, started_at=began)
            run.ended_at = began + timedelta(minutes=minutes)
            session.add(run)
        session.flush()
        assert forecast.forecast(session, {}).minutes == 15.0, "half the opinions' worth of the middle one"
    assert 1 <= usual <= 3
