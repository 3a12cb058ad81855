"""What operators do: schedules, runs, versions, profiles, the desk, people; and that all of it is written down."""

from datetime import datetime
from uuid import UUID, uuid4

import httpx2
import pytest
from sqlmodel import select

from backtalk import runs
from backtalk.tables import Json, Metric, Policy, Reply, Run, RunItem, RunLine, Sample, Slot, now
from tests.server.api.conftest import Home, Somebody, actions, refused

# Schedules -----------------------------------------------------------------------------------------------------------


def test_a_schedule_says_what_it_means_and_when_it_comes(own: Home, operator: Somebody) -> None:
    body = {"name": "weekly", "cron": "0 3 * * 0", "time_zone": "Europe/Berlin", "minimum_feedback": 10}
    made = operator.post("/api/operate/schedules", json=body)
    assert made.status_code == 201
    schedule = made.json()
    assert schedule["explain"] == "At 03:00 on Sunday"
    times = [datetime.fromisoformat(text) for text in schedule["next"]]
    assert len(times) == 5 and times == sorted(times)
    assert {(time.weekday(), time.hour) for time in times} == {(6, 3)}, "Sunday is 0, the hour is Berlin's"
    assert schedule["last_run"] is None and schedule["enabled"] is True
    assert operator.get("/api/operate/schedules").json()["items"] == [schedule]
    assert "schedule.add" in actions(own)


def test_a_cron_text_tells_its_meaning_before_there_is_a_schedule(operator: Somebody) -> None:
    path = "/api/operate/schedules/preview"
    told = operator.get(path, params={"cron": "0 3 * * 0", "time_zone": "Asia/Shanghai"}).json()
    assert told["explain"] == "At 03:00 on Sunday"
    assert len(told["next"]) == 5 and all("T03:00:00+08:00" in time for time in told["next"])
    refused = operator.get(path, params={"cron": "0 3 * *"})
    assert refused.status_code == 400 and "expected five" in refused.json()["error"]["message"]


def test_a_schedule_is_paused_resumed_changed_and_removed(own: Home, operator: Somebody) -> None:
    id = operator.post("/api/operate/schedules", json={"name": "nightly", "cron": "0 3 * * *"}).json()["id"]
    path = f"/api/operate/schedules/{id}"
    assert operator.patch(path, json={"enabled": False}).json()["enabled"] is False
    changed = operator.patch(path, json={"enabled": True, "cron": "30 2 * * *", "recipe": {"seed": 7}}).json()
    assert changed["enabled"] is True and changed["cron"] == "30 2 * * *" and changed["recipe"] == {"seed": 7}
    replaced = operator.put(path, json={"name": "nightly", "cron": "0 4 * * *"}).json()
    assert replaced["cron"] == "0 4 * * *" and replaced["recipe"] == {} and replaced["id"] == id
    with own.database.write() as session:
        session.add(Slot(schedule_id=UUID(id), planned_at=now(), missed="3 new opinions, 50 wanted"))
    assert operator.get(path).json()["last_run"]["missed"] == "3 new opinions, 50 wanted"
    assert operator.delete(path).status_code == 204
    refused(operator.get(path), 404, "not_found", "no schedule")
    assert actions(own)[-1] == "schedule.remove"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cron": "0 3 * *"}, "4 fields; expected five"),
        ({"cron": "61 3 * * *"}, "is not one"),
        ({"cron": "0 3 31 2 *"}, "is not one"),
        ({"time_zone": "Mars/Base"}, "expected a name such as UTC"),
        ({"minimum_feedback": -1}, "minimum_feedback"),
        ({"recipe": {"ppo": {"clip": 7}}}, "ppo.clip"),
        ({"recipe": {"magic": 1}}, "magic"),
        ({"name": " "}, "1 to 128"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_wrong_with_a_schedule_is_said(home: Home, change: Json, words: str) -> None:
    operator = home.person("operator")
    body = {"name": f"s{uuid4().hex}", "cron": "0 3 * * *", **change}
    response = operator.post("/api/operate/schedules", json=body)
    refused(response, response.status_code, "bad_request", words)
    assert response.status_code in (400, 422)


def test_two_schedules_have_two_names(home: Home) -> None:
    operator = home.person("operator")
    body = {"name": "once", "cron": "0 3 * * *"}
    assert operator.post("/api/operate/schedules", json=body).status_code == 201
    refused(operator.post("/api/operate/schedules", json=body), 409, "conflict", "taken")


# Runs ----------------------------------------------------------------------------------------------------------------


def test_train_now_queues_one_run_and_a_second_is_a_conflict(own: Home, operator: Somebody) -> None:
    queued = operator.post("/api/operate/runs", json={"recipe": {"seed": 5}})
    assert queued.status_code == 202
    run = queued.json()
    assert run["state"] == "queued" and run["recipe"]["seed"] == 5 and run["requested_by"] == str(operator.id)
    assert {"id", "state", "stage", "progress", "from_version", "to_version", "counts", "report", "error"} <= set(run)
    refused(operator.post("/api/operate/runs"), 409, "conflict", "is queued")
    cancelled = operator.post(f"/api/operate/runs/{run['id']}/cancel").json()
    assert cancelled["state"] == "cancelled" and cancelled["ended_at"] is not None
    refused(operator.post(f"/api/operate/runs/{run['id']}/cancel"), 409, "conflict", "ended already")
    assert operator.post("/api/operate/runs").status_code == 202, "without a body too"
    newest = operator.get("/api/operate/runs").json()["items"]
    assert [one["state"] for one in newest] == ["queued", "cancelled"]
    assert [action for action in actions(own) if action.startswith("run.")] == ["run.queue", "run.cancel", "run.queue"]


def test_a_recipe_that_cannot_be_used_queues_nothing(own: Home, operator: Somebody) -> None:
    refused(operator.post("/api/operate/runs", json={"recipe": {"ppo": {"clip": 2}}}), 400, "bad_request", "ppo.clip")
    assert operator.get("/api/operate/runs").json() == {"items": []}


def test_what_a_run_measured_is_told_from_a_step_on(own: Home, operator: Somebody) -> None:
    with own.database.write() as session:
        run = Run(state="running")
        session.add(run)
        session.flush()
        for step in range(5):
            session.add(Metric(run_id=run.id, step=step, stage="policy", values={"reward": step / 10}))
        session.add(
            Sample(run_id=run.id, number=0, prompt="Hi", before="…", after="Hello!", reward_before=0, reward_after=1)
        )
        session.add_all(RunLine(run_id=run.id, number=number, level="info", text=f"line {number}") for number in (3, 4))
    path = f"/api/operate/runs/{run.id}"
    assert [row["step"] for row in operator.get(f"{path}/metrics").json()["items"]] == [0, 1, 2, 3, 4]
    rest = operator.get(f"{path}/metrics?after=2").json()["items"]
    assert [(row["step"], row["values"]) for row in rest] == [(3, {"reward": 0.3}), (4, {"reward": 0.4})]
    assert operator.get(f"{path}/samples").json()["items"][0]["after"] == "Hello!"
    assert [row["text"] for row in operator.get(f"{path}/log").json()["items"]] == ["line 3", "line 4"]
    assert [row["number"] for row in operator.get(f"{path}/log?after=3").json()["items"]] == [4]
    assert operator.post(f"{path}/cancel").json()["cancel_requested"] is True
    for missing in ("", "/metrics", "/samples", "/log", "/people"):
        refused(operator.get(f"/api/operate/runs/{uuid4()}{missing}"), 404, "not_found", "no run")


# Versions ------------------------------------------------------------------------------------------------------------


def add_version(home: Home, number: int) -> None:
    with home.database.write() as session:
        first = session.get_one(Policy, 0)
        session.add(Policy(number=number, parent=0, state="candidate", directory=first.directory, digest=first.digest))


def test_promote_and_roll_back_move_the_one_live_pointer(own: Home, operator: Somebody) -> None:
    add_version(own, 1)
    assert operator.get("/api/operate/policies/1").json()["state"] == "candidate"
    promoted = operator.post("/api/operate/policies/1/promote", json={"reason": "looks good"})
    assert promoted.status_code == 200 and promoted.json()["state"] == "live"
    states = {one["number"]: one["state"] for one in operator.get("/api/operate/policies").json()["items"]}
    assert states == {0: "retired", 1: "live"}
    back = operator.post("/api/operate/policies/rollback", json={"reason": "people disliked it"}).json()
    assert (back["number"], back["state"]) == (0, "live")
    withdrawn = operator.get("/api/operate/policies/1").json()
    assert (withdrawn["state"], withdrawn["reason"]) == ("withdrawn", "people disliked it")
    refused(operator.post("/api/operate/policies/rollback"), 409, "conflict", "nothing to roll back to")
    assert [action for action in actions(own) if action.startswith("policy.")] == [
        "policy.first",
        "policy.promote",
        "policy.rollback",
    ]


def test_a_version_that_is_not_there_cannot_go_live(own: Home, operator: Somebody) -> None:
    refused(operator.post("/api/operate/policies/9/promote"), 404, "not_found", "no policy 9")
    with own.database.write() as session:
        session.add(Policy(number=2, state="candidate", directory="2-gone", digest="x"))
    refused(operator.post("/api/operate/policies/2/promote"), 409, "conflict", "no longer on disk")
    assert operator.get("/api/operate/policies/0").json()["state"] == "live"


# Rewards -------------------------------------------------------------------------------------------------------------


def test_the_active_profile_goes_into_the_next_run(own: Home, operator: Somebody) -> None:
    profile = {"weights": {"preference": 0.5, "accuracy": 2}, "limits": {"maximum_kl": 1.5}, "active": True}
    put = operator.put("/api/operate/rewards/careful", json=profile)
    assert put.status_code == 200 and put.json()["name"] == "careful"
    operator.put("/api/operate/rewards/plain", json={"weights": {"preference": 1}, "active": False})
    recipe = operator.post("/api/operate/runs", json={"recipe": {"seed": 3}}).json()["recipe"]
    assert recipe["rewards"] == {"preference": 0.5, "aspects": {"accuracy": 2.0}, "profile": "careful@1"}
    assert recipe["gate"]["maximum_kl"] == 1.5 and recipe["seed"] == 3
    operator.put("/api/operate/rewards/plain", json={"weights": {"preference": 1}, "active": True})
    shown = operator.get("/api/operate/rewards").json()
    assert {one["name"]: one["active"] for one in shown["items"]} == {"careful": False, "plain": True}
    assert "preference" in shown["rewards"] and "maximum_kl" in shown["limits"]


def test_words_that_a_version_may_not_say_go_into_the_next_run_and_into_the_history(
    own: Home, operator: Somebody
) -> None:
    profile = {"weights": {"preference": 1}, "forbidden": ["darn", " heck ", "darn"], "active": True}
    profile["limits"] = {"maximum_forbidden": 0.01, "minimum_refused": 0.9}
    assert operator.put("/api/operate/rewards/polite", json=profile).json()["forbidden"] == ["darn", "heck"]
    gate = operator.post("/api/operate/runs", json={}).json()["recipe"]["gate"]
    assert gate == {"maximum_forbidden": 0.01, "minimum_refused": 0.9, "forbidden": ["darn", "heck"]}
    operator.put("/api/operate/rewards/polite", json=profile | {"forbidden": []})
    revisions = operator.get("/api/operate/rewards/polite/revisions").json()["items"]
    assert [(one["revision"], one["forbidden"]) for one in revisions] == [(2, []), (1, ["darn", "heck"])]


def test_a_profile_is_deleted_unless_a_schedule_names_it(own: Home, operator: Somebody) -> None:
    path = "/api/operate/rewards/plain"
    operator.put(path, json={"weights": {"preference": 1}})
    schedule = {"name": "nightly", "cron": "0 3 * * *", "reward_profile": "plain"}
    made = operator.post("/api/operate/schedules", json=schedule).json()
    refused(operator.delete(path), 400, "bad_request", "the schedule 'nightly' uses the reward profile")
    operator.patch(f"/api/operate/schedules/{made['id']}", json={"reward_profile": None})
    assert operator.delete(path).status_code == 204
    assert operator.get("/api/operate/rewards").json()["items"] == []
    refused(operator.get(f"{path}/revisions"), 400, "bad_request", "no reward profile 'plain'")
    refused(operator.delete(path), 400, "bad_request", "no reward profile 'plain'")
    assert actions(own)[-1] == "profile.remove"
    refused(own.person("rater").delete(path), 403, "forbidden", "operator")


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ({"weights": {"fame": 1}}, "known are preference, quality"),
        ({"weights": {"preference": 0}}, "some weight is not 0"),
        ({"weights": {"preference": -1}}, "0 or more"),
        ({"weights": {"preference": 1000}}, "rewards.preference"),
        ({"weights": {"preference": 1}, "limits": {"sky": 1}}, "the limit 'sky' is unknown"),
        ({"weights": {"preference": 1}, "limits": {"maximum_endless": 2}}, "gate.maximum_endless"),
        ({"weights": {"preference": "much"}}, "weights.preference"),
        ({"weights": {"preference": 1}, "forbidden": ["x" * 65]}, "expected 1 to 64 characters"),
    ],
)
def test_what_is_wrong_with_a_profile_is_said(home: Home, profile: Json, words: str) -> None:
    response = home.person("operator").put("/api/operate/rewards/odd", json=profile)
    refused(response, response.status_code, "bad_request", words)


def test_the_recipe_is_shown_with_what_each_field_means(home: Home) -> None:
    shown = home.person("operator").get("/api/operate/recipes").json()
    assert shown["default"]["ppo"]["clip"] == 0.2
    assert "description" in shown["json_schema"]["$defs"]["Ppo"]["properties"]["clip"]


# The desk ------------------------------------------------------------------------------------------------------------


def test_text_is_shown_only_of_those_who_consent(own: Home, operator: Somebody) -> None:
    for consent, words in ((True, "open"), (False, "closed"), (None, "unasked")):
        person = own.person(consent=consent)
        reply_id = own.reply(person, f"{words} reply", question=f"{words} question")
        person.put(f"/api/messages/{reply_id}/feedback", json={"rating": -1, "note": f"{words} note"})
    page = operator.get("/api/operate/feedback")
    assert [item["note"] for item in page.json()["items"]] == [None, None, "open note"]
    assert page.json()["items"][2]["reply"] == "open reply" and page.json()["items"][2]["question"] == "open question"
    assert "closed" not in page.text and "unasked" not in page.text
    assert [item["rating"] for item in page.json()["items"]] == [-1, -1, -1], "that there is an opinion, all can see"


def test_what_is_said_in_a_conversation_kept_out_of_training_is_not_shown(own: Home, operator: Somebody) -> None:
    person = own.person(consent=True)
    reply_id = own.reply(person, "secret reply", question="secret question")
    person.put(f"/api/messages/{reply_id}/feedback", json={"rating": -1, "note": "secret note"})
    assert "secret note" in operator.get("/api/operate/feedback").text
    (conversation,) = person.get("/api/conversations").json()["items"]
    person.patch(f"/api/conversations/{conversation['id']}", json={"train": False})
    page = operator.get("/api/operate/feedback")
    assert page.json()["items"][0]["rating"] == -1 and "secret" not in page.text


def test_a_rater_who_consents_does_not_open_the_reply_of_somebody_who_does_not(own: Home, operator: Somebody) -> None:
    author, rater = own.person(consent=True), own.person("rater", consent=True)
    own.reply(author, "private words")
    item = rater.get("/api/rate/next").json()
    rater.post(f"/api/rate/{item['id']}", json={"rating": 1, "note": "fine"})
    author.patch("/api/me", json={"consent": {"train": False}})
    shown = operator.get("/api/operate/feedback").json()["items"][0]
    assert shown["note"] == "fine" and shown["reply"] is None and shown["question"] is None


def test_the_desk_is_filtered(own: Home, operator: Somebody) -> None:
    person = own.person(consent=True)
    add_version(own, 1)
    bodies: list[tuple[Json, int]] = [
        ({"rating": 1, "reasons": ["clear"]}, 0),
        ({"rating": -1, "reasons": ["unclear"], "labels": {"accuracy": 1}}, 0),
        ({"rating": -1, "rewrite": "better"}, 1),
    ]
    for body, version in bodies:
        person.put(f"/api/messages/{own.reply(person, version=version)}/feedback", json=body)

    def found(query: str) -> list[int | None]:
        return [item["rating"] for item in operator.get(f"/api/operate/feedback?{query}").json()["items"]]

    assert found("") == [-1, -1, 1]
    assert found("rating=1") == [1]
    assert found("reason=clear") == [1], "not those that were unclear"
    assert found("aspect=accuracy") == [-1]
    assert found("version=1") == [-1]
    assert found("rewritten=true") == [-1] and found("rewritten=false") == [-1, 1]
    assert found("excluded=true") == []
    assert found(f"person_id={uuid4()}") == []
    refused(operator.get("/api/operate/feedback?mood=sunny"), 422, "bad_request", "mood")
    refused(operator.get("/api/operate/feedback?kind=comparison&rating=1"), 400, "bad_request", "rating")
    refused(operator.get("/api/operate/feedback?before=yesterday"), 400, "bad_request", "next")


def test_pages_follow_each_other_without_gap_or_repeat(own: Home, operator: Somebody) -> None:
    person = own.person(consent=True)
    for _ in range(7):
        person.put(f"/api/messages/{own.reply(person)}/feedback", json={"rating": 1})
    everything = [item["id"] for item in operator.get("/api/operate/feedback?limit=500").json()["items"]]
    pages, cursor = [], None
    while True:
        query = {"limit": "3"} | ({"before": cursor} if cursor else {})
        page = operator.get("/api/operate/feedback", params=query).json()
        pages += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert pages == everything and len(set(pages)) == 7


def test_an_excluded_opinion_no_longer_counts_as_new_and_tells_which_versions_saw_it(
    own: Home, operator: Somebody
) -> None:
    person = own.person(consent=True)
    person.put(f"/api/messages/{own.reply(person)}/feedback", json={"rating": 1})
    item = operator.get("/api/operate/feedback").json()["items"][0]
    with own.database.write() as session:
        run = Run(state="promoted")
        session.add(run)
        session.flush()
        session.add(Policy(number=4, run_id=run.id, state="retired", directory="", digest=""))
        session.add(
            RunItem(run_id=run.id, kind="opinion", item_id=UUID(item["id"]), person_id=person.id, revision=9, digest="")
        )
    with own.database.read() as session:
        assert runs.new_feedback(session) == 1
    path = f"/api/operate/feedback/opinion/{item['id']}"
    for _ in range(2):
        excluded = operator.patch(path, json={"excluded": True, "reason": "spam"}).json()
        assert excluded["excluded"] is True and excluded["versions"] == [4]
    with own.database.read() as session:
        assert runs.new_feedback(session) == 0
    assert operator.patch(path, json={"excluded": False}).json()["excluded"] is False
    assert [action for action in actions(own) if action.startswith("feedback.")] == [
        "feedback.exclude",
        "feedback.include",
    ]
    refused(operator.patch(f"/api/operate/feedback/opinion/{uuid4()}", json={"excluded": True}), 404, "not_found", "no")
    assert operator.patch(f"/api/operate/feedback/mood/{uuid4()}", json={"excluded": True}).status_code == 422


def test_comparisons_lie_on_the_desk_too(own: Home, operator: Somebody) -> None:
    person = own.person(consent=True)
    left = own.reply(person, "Lyon.")
    right = own.reply(person, "Paris.", beside=left)
    person.post("/api/comparisons", json={"key": "k", "left_id": str(left), "right_id": str(right), "verdict": "right"})
    item = operator.get("/api/operate/feedback?kind=comparison").json()["items"][0]
    assert (item["reply"], item["other_reply"], item["verdict"]) == ("Lyon.", "Paris.", "right")
    path = f"/api/operate/feedback/comparison/{item['id']}"
    assert operator.patch(path, json={"excluded": True}).json()["excluded"] is True


# People --------------------------------------------------------------------------------------------------------------


def test_an_operator_adds_users_and_raters_and_only_an_admin_adds_more(own: Home, operator: Somebody) -> None:
    added = operator.post("/api/operate/people", json={"name": "rita", "role": "rater", "api_key": True})
    assert added.status_code == 201 and added.json()["api_key"].startswith("bt_")
    with httpx2.Client(base_url=own.url, headers={"Authorization": f"Bearer {added.json()['api_key']}"}) as rita:
        assert rita.get("/api/me").json()["role"] == "rater"
    body = {"name": "olga", "role": "operator", "password": "correct horse battery"}
    refused(operator.post("/api/operate/people", json=body), 403, "forbidden", "only an admin")
    admin = own.person("admin")
    assert admin.post("/api/operate/people", json=body).status_code == 201
    with own.browser() as browser:
        signed_in = browser.post("/api/session", json={"name": "olga", "password": body["password"]})
        assert signed_in.json()["role"] == "operator"
    refused(admin.post("/api/operate/people", json=body), 409, "conflict", "taken")
    page = operator.get("/api/operate/people?query=RIT").json()
    assert [person["name"] for person in page["items"]] == ["rita"] and page["next"] is None


def test_a_new_role_holds_at_once(own: Home, operator: Somebody) -> None:
    admin, person = own.person("admin"), own.person()
    assert person.get("/api/operate/summary").status_code == 403
    path = f"/api/operate/people/{person.id}"
    assert operator.patch(path, json={"role": "operator"}).status_code == 403
    assert admin.patch(path, json={"role": "operator"}).json()["role"] == "operator"
    assert person.get("/api/operate/summary").status_code == 200
    admin.patch(path, json={"role": "user"})
    assert person.get("/api/operate/summary").status_code == 403
    refused(admin.patch(path, json={"role": "emperor"}), 422, "bad_request", "role")
    refused(admin.patch(f"/api/operate/people/{uuid4()}", json={"role": "user"}), 404, "not_found", "no person")
    refused(admin.patch(f"/api/operate/people/{admin.id}", json={"role": "user"}), 409, "conflict", "only admin")
    with own.browser() as browser:
        guest = browser.post("/api/people", json={}).json()
    refused(admin.patch(f"/api/operate/people/{guest['id']}", json={"role": "rater"}), 400, "bad_request", "guest")


def test_an_admin_erases_a_person(own: Home, operator: Somebody) -> None:
    admin, person = own.person("admin"), own.person()
    path = f"/api/operate/people/{person.id}"
    assert operator.delete(path).status_code == 403
    assert admin.delete(path).status_code == 204
    assert person.get("/api/me").status_code == 401
    assert admin.delete(path).status_code == 404


# Audit and summary ---------------------------------------------------------------------------------------------------


def test_the_audit_is_read_page_by_page(own: Home, operator: Somebody) -> None:
    for _ in range(5):
        own.person()
    first = operator.get("/api/operate/audit?limit=3").json()
    second = operator.get(f"/api/operate/audit?limit=500&before={first['next']}").json()
    seqs = [row["seq"] for row in first["items"] + second["items"]]
    assert seqs == list(range(seqs[0], 0, -1)) and second["next"] is None
    only = operator.get("/api/operate/audit?action=policy.first").json()["items"]
    assert [row["action"] for row in only] == ["policy.first"]


def test_the_summary_says_how_it_goes(own: Home, operator: Somebody) -> None:
    add_version(own, 1)
    operator.post("/api/operate/policies/1/promote")
    for version, ratings in ((0, (1, -1, -1)), (1, (1, 1, -1, None))):
        person = own.person(consent=True)
        for rating in ratings:
            body = {"rating": rating, "note": "n"}
            person.put(f"/api/messages/{own.reply(person, version=version)}/feedback", json=body)
    operator.post("/api/operate/schedules", json={"name": "later", "cron": "0 3 1 1 *"})
    operator.post("/api/operate/schedules", json={"name": "sooner", "cron": "* * * * *"})
    operator.post("/api/operate/schedules", json={"name": "paused", "cron": "* * * * *", "enabled": False})
    summary = operator.get("/api/operate/summary").json()
    assert summary["live"]["number"] == 1 and summary["live"]["live_at"]
    by_number = {one["number"]: (one["replies"], one["rated"], one["liked"]) for one in summary["policies"]}
    assert by_number == {0: (3, 3, 1), 1: (4, 3, 2)}
    assert summary["opinions_since_last_run"] == 7
    assert summary["next_schedule"]["name"] == "sooner"
    assert summary["running_run"] is None and summary["people"] == 3
    assert summary["engine"]["connected"] is False
    operator.post("/api/operate/runs")
    assert operator.get("/api/operate/summary").json()["running_run"]["state"] == "queued"
    with own.database.read() as session:
        assert len(session.exec(select(Reply)).all()) == 7
