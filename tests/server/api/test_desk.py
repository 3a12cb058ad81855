"""The desk: conversations behind opinions, people kept out of training, exports; and what became of feedback."""

import json
from datetime import timedelta
from uuid import uuid4

from sqlmodel import select

from backtalk import announcements, audit, forecast
from backtalk.tables import Opinion, OpinionHistory, Policy, Run, RunItem, Schedule, Slot, now
from tests.server.api.conftest import Home, Somebody, actions, refused


def test_the_thread_behind_an_opinion_is_read_with_placeholders(own: Home, operator: Somebody) -> None:
    person = own.person(consent=True)
    first = own.reply(person, "Write to ada@example.org.", question="Whom do I ask?")
    second = own.reply(person, "Yes, ada@example.org.", question="Only her?", below=first)
    person.put(f"/api/messages/{second}/feedback", json={"rating": -1, "note": "ask bob@example.org"})
    (item,) = operator.get("/api/operate/feedback").json()["items"]
    assert (item["reply"], item["note"]) == ("Yes, [mail 1].", "ask [mail 2]")
    path = f"/api/operate/feedback/opinion/{item['id']}/thread"
    turns = operator.get(path).json()["items"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user", "assistant"]
    assert [turn["content"] for turn in turns[1::2]] == ["Write to [mail 1].", "Yes, [mail 1]."]
    refused(operator.get(path.replace(item["id"], str(uuid4()))), 404, "not_found", "no opinion")
    person.patch("/api/me", json={"consent": {"train": False}})
    refused(operator.get(path), 400, "bad_request", "does not let it train")
    with own.database.read() as session:
        (read,) = audit.newest(session, 10, action="feedback.read")
    assert (read.actor, read.target) == (str(operator.id), item["id"]), "once, and not what was refused"
    assert read.detail == {"kind": "opinion", "person": str(person.id)}


def test_a_person_is_kept_out_of_training_and_let_in_again(own: Home, operator: Somebody) -> None:
    ann, bob = own.person(consent=True), own.person(consent=True)
    for person in (ann, ann, bob):
        person.put(f"/api/messages/{own.reply(person)}/feedback", json={"rating": 1})
    learned_from(own, 1)
    path = f"/api/operate/feedback/people/{ann.id}"
    touched = operator.get(path).json()
    assert touched["versions"] == [{"number": 1, "opinions": 2, "share": 0.6667}] and touched["excluded"] is False
    assert usable(own) == 3
    out = operator.patch(path, json={"excluded": True, "reason": "a troll"}).json()
    assert out["excluded"] is True and out["versions"] == touched["versions"]
    assert usable(own) == 1
    ann.put(f"/api/messages/{own.reply(ann)}/feedback", json={"rating": 1})
    assert usable(own) == 1, "nor does what they give later"
    flags = [item["person_excluded"] for item in operator.get("/api/operate/feedback").json()["items"]]
    assert flags == [True, False, True, True]
    operator.patch(path, json={"excluded": False})
    assert usable(own) == 4
    assert actions(own)[-2:] == ["person.exclude", "person.include"]
    refused(operator.get(f"/api/operate/feedback/people/{uuid4()}"), 404, "not_found", "no person")


def test_what_is_filtered_is_exported_line_by_line(own: Home, operator: Somebody) -> None:
    person = own.person(consent=True)
    for rating in (1, -1, -1):
        person.put(f"/api/messages/{own.reply(person, 'call 13800138000')}/feedback", json={"rating": rating})
    answer = operator.get("/api/operate/feedback/export?rating=-1")
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["rating"] for row in rows] == [-1, -1]
    assert all("[phone 1]" in row["reply"] for row in rows)
    assert "attachment" in answer.headers["content-disposition"]
    refused(operator.get("/api/operate/feedback/export?kind=comparison&rating=1"), 400, "bad_request", "rating")
    assert actions(own).count("feedback.export") == 1


def test_what_may_train_is_exported_as_trainers_read_it(own: Home, operator: Somebody) -> None:
    willing, unwilling = own.person(consent=True), own.person(consent=False)
    for person in (willing, unwilling):
        reply = own.reply(person, "call 13800138000", question="How?")
        person.put(f"/api/messages/{reply}/feedback", json={"rating": -1, "rewrite": "Write to ada@example.org."})
    answer = operator.get("/api/operate/feedback/export/unpaired")
    (thumb,) = (json.loads(line) for line in answer.text.splitlines())
    assert thumb == {
        "prompt": [{"role": "user", "content": "How?"}],
        "completion": [{"role": "assistant", "content": "call [phone 1]"}],
        "label": False,
    }
    assert 'filename="unpaired.jsonl"' in answer.headers["content-disposition"]
    (pair,) = (json.loads(line) for line in operator.get("/api/operate/feedback/export/preference").text.splitlines())
    assert pair["chosen"][0]["content"] == "Write to [mail 1]." and pair["rejected"] == thumb["completion"]
    answer = operator.get("/api/operate/feedback/export/demonstrations")
    (shown,) = (json.loads(line) for line in answer.text.splitlines())
    assert shown["messages"] == [*thumb["prompt"], *pair["chosen"]]
    assert operator.get("/api/operate/feedback/export/ledger").status_code == 422, "it holds what is private"
    assert willing.get("/api/operate/feedback/export/unpaired").status_code == 403
    assert actions(own).count("feedback.export") == 3


def test_the_desk_is_filtered_by_date(own: Home, operator: Somebody) -> None:
    person = own.person(consent=True)
    person.put(f"/api/messages/{own.reply(person)}/feedback", json={"rating": 1})
    yesterday, soon = now() - timedelta(days=1), now() + timedelta(minutes=1)

    def count(**query: object) -> int:
        shown = operator.get("/api/operate/feedback", params={name: str(value) for name, value in query.items()})
        return len(shown.json()["items"])

    assert count(since=yesterday.isoformat(), until=soon.isoformat()) == 1
    assert count(until=yesterday.isoformat()) == 0
    assert count(since=soon.isoformat()) == 0
    assert count(since=yesterday.date()) == 1


def test_satisfaction_and_feedback_are_told_by_day(own: Home, operator: Somebody) -> None:
    person = own.person(consent=True)
    for rating in (1, 1, -1, None):
        body = {"rating": rating} if rating else {"labels": {"accuracy": 4}}
        person.put(f"/api/messages/{own.reply(person)}/feedback", json=body)
    with own.database.write() as session:
        opinion = session.exec(select(Opinion).where(Opinion.rating == -1)).one()
        opinion.created_at = now() - timedelta(days=2)
        session.add(opinion)
    summary = operator.get("/api/operate/summary").json()
    assert [(day["version"], day["rated"], day["liked"]) for day in summary["days"]] == [(0, 1, 0), (0, 2, 2)]
    assert [day["opinions"] for day in summary["inflow"][-3:]] == [1, 0, 3] and len(summary["inflow"]) == 30
    assert (summary["policies"][0]["rated"], summary["policies"][0]["liked"]) == (3, 2)


def test_the_night_is_told_in_the_morning(own: Home, operator: Somebody) -> None:
    schedule = {"name": "nightly", "cron": "0 3 * * *"}
    operator.post("/api/operate/schedules", json=schedule)
    with own.database.write() as session:
        announcements.announce(session, "promoted", policy=3)
        announcements.announce(session, "test")
        row = session.exec(select(Schedule)).one()
        session.add(Slot(schedule_id=row.id, planned_at=now(), missed="3 new opinions, 50 wanted"))
        session.add(Slot(schedule_id=row.id, planned_at=now() - timedelta(days=3), at=now() - timedelta(days=3)))
    news = operator.get("/api/operate/summary").json()["news"]
    assert [one["kind"] for one in news] == ["missed", "promoted"]
    assert news[0]["content"] == {"schedule": "nightly", "reason": "3 new opinions, 50 wanted"}


def test_the_way_of_feedback_into_a_live_version_is_told_in_its_parts(own: Home, operator: Somebody) -> None:
    person = own.person(consent=True)
    for _ in range(3):
        person.put(f"/api/messages/{own.reply(person)}/feedback", json={"rating": 1})
    learned_from(own, 1)
    learned_from(own, 2)
    told = operator.get("/api/operate/delays").json()
    first, second = told["items"]
    # Given an hour before the run began; 10 s snapshot and reward model, 30 s policy, 20 s gate, 300 s until live.
    assert (first["version"], first["opinions"]) == (1, 3)
    assert abs(first["parts"]["waiting"] - 3600) < 60 and abs(first["p50"] - 3960) < 60
    assert {name: first["parts"][name] for name in ("reward_model", "policy", "gate", "canary")} == {
        "reward_model": 10,
        "policy": 30,
        "gate": 20,
        "canary": 300,
    }
    assert (second["opinions"], second["p50"]) == (0, None), "what version 1 had learned is not on its way any more"
    assert told["opinions"] == 3
    metrics = operator.get("/metrics").text
    assert 'backtalk_feedback_to_deployed_seconds_count{part="total"} 3.0' in metrics
    assert 'backtalk_feedback_to_deployed_seconds_bucket{le="3600.0",part="total"} 0.0' in metrics
    assert 'backtalk_feedback_to_deployed_seconds_bucket{le="10800.0",part="total"} 3.0' in metrics


def test_a_run_that_nobody_saw_begin_counts_from_its_place_in_the_line(own: Home, operator: Somebody) -> None:
    person = own.person(consent=True)
    person.put(f"/api/messages/{own.reply(person)}/feedback", json={"rating": 1})
    learned_from(own, 1)
    with own.database.write() as session:
        run = session.exec(select(Run)).one()
        run.queued_at, run.started_at = run.ended_at or now(), None
        session.add(run)
    (only,) = operator.get("/api/operate/delays").raise_for_status().json()["items"]
    assert only["opinions"] == 1 and abs(only["parts"]["waiting"] - 3660) < 60


def usable(home: Home) -> int:
    """How many opinions a run would use."""
    with home.database.read() as session:
        count: int = forecast.forecast(session, {}).counts["opinions"]
        return count


def learned_from(home: Home, number: int) -> None:
    """A version that learned from all opinions there are: an hour after they were given it took a minute, and then five
    until it was live."""
    with home.database.write() as session:
        began = now() - timedelta(minutes=6) + timedelta(seconds=number)
        run = Run(state="promoted", started_at=began, ended_at=began + timedelta(seconds=60))
        run.report = {"seconds": {"snapshot": 4, "reward_model": 6, "policy": 30, "gate": 19, "publish": 1}}
        session.add(run)
        session.flush()
        for opinion in session.exec(select(Opinion)):
            item = RunItem(run_id=run.id, kind="opinion", item_id=opinion.id, person_id=opinion.person_id, digest="")
            session.add(item)
            history = session.get_one(OpinionHistory, (opinion.id, 1))
            history.at = began - timedelta(hours=1)
            session.add(history)
        policy = Policy(number=number, parent=0, run_id=run.id, state="retired", directory="none", digest="x")
        policy.live_at = began + timedelta(seconds=360)
        session.add(policy)
