"""Signing up, in and out; one's own account, its export and its end."""

from collections.abc import Callable
from uuid import UUID

import httpx2
import pytest
from sqlmodel import col, select

from backtalk.tables import (
    Audit,
    Comparison,
    Conversation,
    Login,
    Message,
    Opinion,
    OpinionHistory,
    Person,
    Reply,
    Run,
    RunItem,
)
from tests.server.api.conftest import Home

PASSWORD = "correct horse battery"


def refused(response: httpx2.Response, status: int, code: str, words: str) -> None:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error["code"] == code
    assert words in error["message"]


def test_nobody_is_somebody_without_a_session(home: Home) -> None:
    with home.browser() as browser:
        refused(browser.get("/api/me"), 401, "unauthorised", "sign in")


def test_a_visitor_becomes_a_guest_and_stays_the_same_guest(home: Home) -> None:
    with home.browser() as browser:
        first = browser.post("/api/people", json={"language": "zh"})
        assert first.status_code == 201
        me = browser.get("/api/me").json()
        assert me["id"] == first.json()["id"]
        assert me["guest"] is True and me["role"] == "user" and me["name"] is None and me["language"] == "zh"
        assert me["consent"] == {"train": None}
        assert {aspect["name"] for aspect in me["aspects"]} == {"quality", "fluency", "accuracy"}
        assert {reason["for"] for reason in me["reasons"]} == {"up", "down"}
        again = browser.post("/api/people", json={})
        assert again.status_code == 200 and again.json()["id"] == me["id"]


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(home: Home) -> None:
    with home.browser() as browser:
        cookie = browser.post("/api/people", json={}).headers["set-cookie"]
    assert "HttpOnly" in cookie and "samesite=lax" in cookie.lower() and "Path=/" in cookie


def test_a_guest_who_signs_up_keeps_conversations_and_gets_a_new_session(home: Home) -> None:
    with home.browser() as browser:
        guest = browser.post("/api/people", json={}).json()
        old = dict(browser.cookies)
        reply_id = home.reply(home_id(guest))
        named = browser.post("/api/people", json={"name": "mei", "password": PASSWORD})
        assert named.status_code == 201
        assert named.json()["id"] == guest["id"]
        assert named.json()["guest"] is False
        assert dict(browser.cookies) != old
        assert browser.get("/api/me/export").json()["conversations"][0]["messages"][1]["id"] == str(reply_id)
    with httpx2.Client(base_url=home.url, cookies=old) as thief:
        assert thief.get("/api/me").status_code == 401


def test_name_and_password_open_the_account_again_elsewhere(home: Home) -> None:
    with home.browser() as browser:
        me = browser.post("/api/people", json={"name": "returning", "password": PASSWORD}).json()
    with home.browser() as elsewhere:
        assert elsewhere.post("/api/session", json={"name": " returning ", "password": PASSWORD}).status_code == 200
        assert elsewhere.get("/api/me").json()["id"] == me["id"]
        assert elsewhere.delete("/api/session").status_code == 204
        assert elsewhere.get("/api/me").status_code == 401


def test_a_wrong_password_and_an_unknown_name_look_the_same(home: Home) -> None:
    with home.browser() as browser:
        browser.post("/api/people", json={"name": "careful", "password": PASSWORD})
    with home.browser() as browser:
        wrong = browser.post("/api/session", json={"name": "careful", "password": "wrong horse battery"})
        unknown = browser.post("/api/session", json={"name": "not careful", "password": PASSWORD})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()


def test_the_sixth_attempt_in_a_minute_is_refused_with_the_number(home: Home) -> None:
    with home.browser() as browser:
        for _ in range(5):
            assert browser.post("/api/session", json={"name": "guessed", "password": "x" * 9}).status_code == 401
        sixth = browser.post("/api/session", json={"name": "guessed", "password": "x" * 9})
    refused(sixth, 429, "rate_limited", "5")
    assert int(sixth.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"name": "short", "password": "seven77"}, 400, "8 to 128"),
        ({"name": "long", "password": "x1" * 65}, 400, "8 to 128"),
        ({"name": "common", "password": "password123"}, 400, "first that anybody would try"),
        ({"name": "self-same", "password": "self-same"}, 400, "first that anybody would try"),
        ({"name": "  ", "password": PASSWORD}, 400, "1 to 128 printable characters"),
        ({"name": "tab\tbed", "password": PASSWORD}, 400, "printable"),
        ({"name": "nameonly"}, 400, "a name without a password"),
        ({"password": PASSWORD}, 400, "a password without a name"),
        ({"name": 7, "password": PASSWORD}, 422, "name"),
        ({"nick": "x"}, 422, "nick"),
        ({"language": "<script>"}, 422, "language"),
    ],
)
def test_what_is_wrong_with_a_sign_up_is_said(home: Home, body: dict[str, object], status: int, words: str) -> None:
    with home.browser() as browser:
        refused(browser.post("/api/people", json=body), status, "bad_request", words)


def test_a_taken_name_is_a_conflict(home: Home) -> None:
    with home.browser() as one, home.browser() as other:
        assert one.post("/api/people", json={"name": "taken", "password": PASSWORD}).status_code == 201
        again = other.post("/api/people", json={"name": "taken", "password": PASSWORD})
    refused(again, 409, "conflict", "taken")


def test_somebody_signed_in_cannot_sign_up_once_more(home: Home) -> None:
    with home.browser() as browser:
        browser.post("/api/people", json={"name": "already", "password": PASSWORD})
        second = browser.post("/api/people", json={"name": "twice", "password": PASSWORD})
    refused(second, 409, "conflict", "sign out first")


def test_the_mode_decides_who_may_come_in(start: Callable[..., Home]) -> None:
    account = {"name": "newcomer", "password": PASSWORD}
    for mode, guest, named in (("open", 403, 201), ("closed", 403, 403), ("invite", 403, 403)):
        house = start(signup=mode)
        with house.browser() as browser:
            assert browser.post("/api/people", json={}).status_code == guest, mode
            assert browser.post("/api/people", json=account).status_code == named, mode


def test_an_invitation_lets_one_person_in_once(start: Callable[..., Home]) -> None:
    house = start(signup="invite")
    word = house.person("operator").post("/api/operate/people/invites", json={}).json()["invite"]
    bodies = [{"name": name, "password": PASSWORD, "invite": word} for name in ("first", "second")]
    with house.browser() as browser:
        assert browser.post("/api/people", json=bodies[0]).status_code == 201
    with house.browser() as browser:
        refused(browser.post("/api/people", json=bodies[1]), 409, "conflict", "used already")
        forged = {**bodies[1], "invite": word[:-1] + ("0" if word[-1] != "0" else "1")}
        refused(browser.post("/api/people", json=forged), 400, "bad_request", "not one of ours")
    with house.database.read() as session:
        assert session.exec(select(Person.name).where(col(Person.name).in_(("first", "second")))).all() == ["first"]


def test_a_person_changes_name_and_language_and_nothing_else(home: Home) -> None:
    person = home.person()
    me = person.patch("/api/me", json={"name": "renamed", "language": "zh-Hant"}).json()
    assert me["name"] == "renamed" and me["language"] == "zh-Hant" and me["consent"] == {"train": None}
    refused(person.patch("/api/me", json={"role": "admin"}), 422, "bad_request", "role")
    refused(person.patch("/api/me", json={"consent": {"train": "yes"}}), 422, "bad_request", "consent")
    assert person.get("/api/me").json() == me


def test_each_change_of_consent_is_written_down_once(home: Home) -> None:
    person = home.person()
    for train in (True, True, False, None):
        assert person.patch("/api/me", json={"consent": {"train": train}}).json()["consent"] == {"train": train}
    with home.database.read() as session:
        changes = session.exec(
            select(Audit)
            .where(Audit.action == "consent.change", Audit.actor == str(person.id))
            .order_by(col(Audit.seq))
        ).all()
    assert [change.detail["train"] for change in changes] == [True, False, None]


def test_sessions_can_be_listed_and_ended(home: Home) -> None:
    account = {"name": "many devices", "password": PASSWORD}
    with home.browser() as here, home.browser() as there:
        here.post("/api/people", json=account)
        there.post("/api/session", json=account)
        sessions = here.get("/api/me/sessions").json()["items"]
        assert sorted(one["current"] for one in sessions) == [False, True]
        other = next(one["id"] for one in sessions if not one["current"])
        assert here.delete(f"/api/me/sessions/{other}").status_code == 204
        assert there.get("/api/me").status_code == 401
        assert here.get("/api/me").status_code == 200
        refused(here.delete(f"/api/me/sessions/{other}"), 404, "not_found", "among yours")


def test_the_export_holds_everything_and_no_secret(home: Home) -> None:
    person = home.person(consent=True)
    reply_id = home.reply(person, "Lyon.")
    person.put(f"/api/messages/{reply_id}/feedback", json={"rating": -1, "rewrite": "Paris."})
    person.put(f"/api/messages/{reply_id}/feedback", json={"rating": -1, "rewrite": "It is Paris."})
    response = person.get("/api/me/export")
    assert "attachment" in response.headers["content-disposition"]
    everything = response.json()
    assert everything["person"]["id"] == str(person.id)
    assert [turn["content"] for turn in everything["conversations"][0]["messages"]][1] == "Lyon."
    assert everything["opinions"][0]["rewrite"] == "It is Paris."
    assert [state["rewrite"] for state in everything["opinions"][0]["history"]] == ["Paris.", "It is Paris."]
    assert everything["receipts"][0]["message_id"] == str(reply_id)
    assert person.key not in response.text and "password_hash" not in response.text and "digest" not in response.text


def test_erasing_leaves_no_row_behind_but_the_audit(home: Home) -> None:
    person = home.person(consent=True)
    left = home.reply(person, "Lyon, a secret place.")
    right = home.reply(person, "Paris.", beside=left)
    person.put(f"/api/messages/{left}/feedback", json={"rating": -1, "note": "a secret note"})
    person.post("/api/comparisons", json={"key": "k", "left_id": str(left), "right_id": str(right), "verdict": "right"})
    with home.database.write() as session:
        opinion = session.exec(select(Opinion).where(Opinion.person_id == person.id)).one()
        run = Run(state="rejected")
        session.add(run)
        session.flush()
        session.add(RunItem(run_id=run.id, kind="opinion", item_id=opinion.id, person_id=person.id, digest=""))
    assert person.delete("/api/me").status_code == 204
    assert person.get("/api/me").status_code == 401
    with home.database.read() as session:
        for table in (Login, Conversation, Message, Opinion, Comparison, RunItem):
            assert not session.exec(select(table).where(table.person_id == person.id)).all(), table
        assert session.get(OpinionHistory, (opinion.id, 1)) is None
        assert session.get(Reply, left) is None
        told = session.exec(select(Audit).where(Audit.actor == str(person.id))).all()
    assert told[-1].action == "person.erase"
    assert "secret" not in str([row.detail for row in told])


def test_the_only_admin_cannot_erase_themselves(start: Callable[..., Home]) -> None:
    house = start()
    admin = house.person("admin")
    refused(admin.delete("/api/me"), 409, "conflict", "only admin")
    house.person("admin")
    assert admin.delete("/api/me").status_code == 204


def home_id(me: dict[str, object]) -> UUID:
    return UUID(str(me["id"]))


def test_everybody_may_ask_who_is_let_in(start: Callable[..., Home]) -> None:
    with start(signup="invite").browser() as browser:
        assert browser.get("/api/entrance").json() == {"signup": "invite", "provider": None}


def test_an_admin_chooses_who_is_let_in(start: Callable[..., Home]) -> None:
    house = start()
    admin, operator = house.person("admin"), house.person("operator")
    place = "/api/operate/entrance"
    assert operator.get(place).json() == {"signup": "guest", "fixed": False}
    refused(operator.put(place, json={"signup": "closed"}), 403, "forbidden", "admin")
    assert admin.put(place, json={"signup": "closed"}).json() == {"signup": "closed", "fixed": False}
    refused(admin.put(place, json={"signup": "anybody"}), 422, "bad_request", "guest")
    with house.browser() as browser:
        assert browser.get("/api/entrance").json() == {"signup": "closed", "provider": None}
        refused(browser.post("/api/people", json={}), 403, "forbidden", "guests are not let in")
        named = {"name": "wren", "password": "a heron in the rain"}
        refused(browser.post("/api/people", json=named), 403, "forbidden", "nobody can sign up")
        admin.put(place, json={"signup": "open"}).raise_for_status()
        assert browser.post("/api/people", json=named).status_code == 201


def test_where_the_setting_decides_nobody_chooses(start: Callable[..., Home]) -> None:
    house = start(signup="invite")
    admin = house.person("admin")
    assert admin.get("/api/operate/entrance").json() == {"signup": "invite", "fixed": True}
    refused(admin.put("/api/operate/entrance", json={"signup": "open"}), 409, "conflict", "BACKTALK_SIGNUP")
    assert admin.get("/api/entrance").json() == {"signup": "invite", "provider": None}
