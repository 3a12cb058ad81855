"""Schedules over HTTP: triggers, blackouts, what came of each time, and dry runs."""

from datetime import datetime
from uuid import UUID

import pytest

from backtalk import runs
from backtalk.tables import Json, Schedule, now
from tests.server.api.conftest import Home, Somebody, refused

PATH = "/api/operate/schedules"


def test_a_schedule_keeps_its_triggers_windows_and_profile(operator: Somebody) -> None:
    operator.put("/api/operate/rewards/careful", json={"weights": {"preference": 1}})
    body = {
        "name": "eager",
        "cron": "",
        "time_zone": "Asia/Shanghai",
        "reward_profile": "careful",
        "blackouts": ["1-5 08:00-18:00", "2026-12-24/2026-12-27"],
        "after_feedback": 200,
        "on_drift": 0.1,
    }
    made = operator.post(PATH, json=body)
    assert made.status_code == 201, made.text
    schedule = made.json()
    assert {name: schedule[name] for name in body} == body
    assert schedule["next"] == [] and schedule["explain"] == "Not by the clock"
    cleared = operator.patch(f"{PATH}/{schedule['id']}", json={"on_drift": None, "blackouts": []}).json()
    assert (cleared["on_drift"], cleared["blackouts"], cleared["after_feedback"]) == (None, [], 200)
    response = operator.patch(f"{PATH}/{schedule['id']}", json={"after_feedback": None})
    refused(response, 400, "bad_request", "nothing would ever start")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"blackouts": ["at night"]}, "expected weekdays and hours"),
        ({"blackouts": ["* 02:00-04:00"]}, "leave no time"),
        ({"after_feedback": 0}, "after_feedback"),
        ({"on_drift": 2}, "on_drift"),
        ({"reward_profile": "nobody's"}, "no reward profile"),
        ({"cron": ""}, "nothing would ever start"),
    ],
)
def test_what_is_wrong_with_a_trigger_or_window_is_said(home: Home, change: Json, words: str) -> None:
    response = home.person("operator").post(PATH, json={"name": "odd", "cron": "0 3 * * *", **change})
    refused(response, response.status_code, "bad_request", words)


def test_the_preview_leaves_blackouts_out(home: Home) -> None:
    query = {"cron": "0 3 * * *", "blackout": ["0,6 00:00-24:00", "1 00:00-24:00"]}
    times = home.person("operator").get(f"{PATH}/preview", params=query).json()["next"]
    assert len(times) == 5
    assert all(datetime.fromisoformat(time).isoweekday() in (2, 3, 4, 5) for time in times)


def test_every_time_that_came_is_told_with_what_became_of_it(own: Home, operator: Somebody) -> None:
    id = operator.post(PATH, json={"name": "n", "cron": "0 3 * * *", "minimum_feedback": 0}).json()["id"]
    with own.database.write() as session:
        schedule = session.get_one(Schedule, UUID(id))
        runs.fill_slot(session, schedule, now(), missed="the learner was not running")
        run = runs.fill_slot(session, schedule, now(), trigger="feedback")
        assert run is not None
    newest, oldest = operator.get(f"{PATH}/{id}/slots").json()["items"]
    assert (newest["trigger"], newest["run_id"], newest["missed"]) == ("feedback", str(run.id), None)
    assert (oldest["trigger"], oldest["run_id"], oldest["missed"]) == ("clock", None, "the learner was not running")


def test_a_dry_run_tells_what_would_be_used_and_queues_nothing(own: Home, operator: Somebody) -> None:
    person = own.person(consent=True)
    for rating in (1, -1):
        person.put(f"/api/messages/{own.reply(person)}/feedback", json={"rating": rating})
    id = operator.post(PATH, json={"name": "n", "cron": "0 3 * * *", "minimum_feedback": 3}).json()["id"]
    found = operator.get(f"{PATH}/{id}/dry-run").json()
    assert (found["counts"]["opinions"], found["counts"]["liked"], found["people"]) == (2, 1, 1)
    assert (found["would_run"], found["reason"], found["new_feedback"]) == (False, "2 new opinions, 3 wanted", 2)
    assert found["minutes"] > 0
    free = operator.post(f"{PATH}/dry-run", json={"recipe": {"data": {"minimum_opinions": 2}}}).json()
    assert free["would_run"] is True
    refused(operator.post(f"{PATH}/dry-run", json={"recipe": {"magic": 1}}), 400, "bad_request", "magic")
    assert operator.get("/api/operate/runs").json() == {"items": []}


def test_train_now_takes_a_profile(operator: Somebody) -> None:
    operator.put("/api/operate/rewards/careful", json={"weights": {"preference": 3}})
    refused(operator.post("/api/operate/runs", json={"reward_profile": "x"}), 400, "bad_request", "no reward profile")
    run = operator.post("/api/operate/runs", json={"reward_profile": "careful"}).json()
    assert run["recipe"]["rewards"]["preference"] == 3
