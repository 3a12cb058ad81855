"""Opinions and comparisons: kept once, changed by the last word, never given on what is not one's own."""

from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import col, select

from backtalk import policies
from backtalk.asking import ASPECTS, REASONS
from backtalk.tables import Comparison, Json, Message, Opinion, OpinionHistory, Person, Policy, Run, RunItem
from tests.server.api.conftest import Home, Somebody

EMPTY: Json = {"rating": None, "rewrite": None, "labels": {}, "reasons": [], "note": None}


def refused(response: httpx2.Response, status: int, code: str, words: str) -> None:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error["code"] == code
    assert words in error["message"], error["message"]


def content(opinion: Json) -> Json:
    return {name: opinion[name] for name in EMPTY}


def give(person: Somebody, reply_id: UUID, opinion: Json) -> httpx2.Response:
    return person.put(f"/api/messages/{reply_id}/feedback", json=opinion)


def test_an_opinion_is_stored_as_it_was_given(home: Home) -> None:
    person = home.person()
    reply_id = home.reply(person)
    opinion = {
        "rating": -1,
        "rewrite": "Paris, of course. 巴黎。",
        "labels": {"quality": 2, "fluency": 5},
        "reasons": ["too_short", "wrong"],
        "note": "hm",
    }
    stored = give(person, reply_id, opinion)
    assert stored.status_code == 200
    assert stored.json()["revision"] == 1 and stored.json()["message_id"] == str(reply_id)
    assert content(stored.json()) == opinion
    assert person.get(f"/api/messages/{reply_id}/feedback").json() == stored.json()


def test_the_same_opinion_twice_is_one_opinion(home: Home) -> None:
    person = home.person()
    reply_id = home.reply(person)
    first = give(person, reply_id, {"rating": 1, "reasons": ["clear", "correct"]}).json()
    again = give(person, reply_id, {"rating": 1, "reasons": ["clear", "correct", "clear"]}).json()
    assert again == first


def test_a_new_opinion_replaces_the_old_one_and_the_history_keeps_both(home: Home) -> None:
    person = home.person()
    reply_id = home.reply(person)
    give(person, reply_id, {"rating": 1, "note": "good"})
    changed = give(person, reply_id, {"rating": -1}).json()
    assert changed["revision"] == 2 and content(changed) == {**EMPTY, "rating": -1}
    with home.database.read() as session:
        opinion = session.exec(select(Opinion).where(Opinion.message_id == reply_id)).one()
        states = session.exec(select(OpinionHistory).where(OpinionHistory.opinion_id == opinion.id)).all()
    assert [(state.revision, state.content["rating"], state.content["note"]) for state in states] == [
        (1, 1, "good"),
        (2, -1, None),
    ]


def test_a_withdrawn_opinion_is_gone_but_not_forgotten(home: Home) -> None:
    person = home.person()
    reply_id = home.reply(person)
    path = f"/api/messages/{reply_id}/feedback"
    give(person, reply_id, {"rating": 1})
    first, second = person.delete(path), person.delete(path)
    assert first.status_code == 200 and first.json()["withdrawn"] is True and first.json()["revision"] == 2
    assert second.json() == first.json()
    refused(person.get(path), 404, "not_found", "no opinion")
    back = give(person, reply_id, {"rating": 1}).json()
    assert back["revision"] == 3 and back["withdrawn"] is False


def test_where_no_opinion_was_given_there_is_none_to_show_or_withdraw(home: Home) -> None:
    person = home.person()
    path = f"/api/messages/{home.reply(person)}/feedback"
    refused(person.get(path), 404, "not_found", "no opinion")
    refused(person.delete(path), 404, "not_found", "no opinion")


@pytest.mark.parametrize(
    ("opinion", "words"),
    [
        ({"rating": 0}, "1 or -1"),
        ({"rating": 2}, "1 or -1"),
        ({"rating": True}, "whole number"),
        ({"rating": 1.0}, "whole number"),
        ({"rating": "1"}, "whole number"),
        ({"rewrite": " \n"}, "rewrite is empty"),
        ({"rewrite": "x" * (32 * 1024 + 1)}, "32769 bytes; at most 32768"),
        ({"rewrite": "语" * 11_000}, "33000 bytes"),
        ({"rewrite": "a\0b"}, "U+0000"),
        ({"note": "n" * 5000}, "at most 4096"),
        ({"labels": {"quality": 0}}, "expected 1 to 5"),
        ({"labels": {"quality": 6}}, "expected 1 to 5"),
        ({"labels": {"quality": 2.5}}, "whole number"),
        ({"labels": {"quality": True}}, "whole number"),
        ({"reasons": "wrong"}, "reasons"),
        ({"reasons": ["w" * 65]}, "1 to 64 characters"),
        ({"reasons": ["wrong", ""]}, "1 to 64 characters"),
        ({"reasons": ["two\nlines"]}, "1 to 64 characters"),
        ({"reasons": [f"r{number}" for number in range(25)]}, "at most 24"),
        ({"mood": "sunny"}, "mood"),
        ([], "dictionary"),
    ],
)
def test_what_is_wrong_with_an_opinion_is_said(home: Home, opinion: Json, words: str) -> None:
    person = home.person()
    reply_id = home.reply(person)
    refused(give(person, reply_id, opinion), 422, "bad_request", words)
    assert person.get(f"/api/messages/{reply_id}/feedback").status_code == 404


def test_what_nobody_asked_for_is_refused(home: Home) -> None:
    person = home.person()
    reply_id = home.reply(person)
    words = "known are quality, fluency, accuracy"
    refused(give(person, reply_id, {"labels": {"beauty": 3}}), 400, "bad_request", words)
    assert person.get(f"/api/messages/{reply_id}/feedback").status_code == 404


def test_a_reason_may_be_ones_own(home: Home) -> None:
    person = home.person()
    stored = give(person, home.reply(person), {"rating": -1, "reasons": ["made up by my bot", "wrong"]}).json()
    assert stored["reasons"] == ["made up by my bot", "wrong"]


def test_half_a_character_is_refused_and_not_stored(home: Home) -> None:
    person = home.person()
    response = person.put(
        f"/api/messages/{home.reply(person)}/feedback",
        content=b'{"rewrite": "\\ud800"}',
        headers={"Content-Type": "application/json"},
    )
    assert response.status_code == 422 and response.json()["error"]["code"] == "bad_request"


def test_limits_hold_to_the_byte(home: Home) -> None:
    person = home.person()
    assert give(person, home.reply(person), {"rewrite": "x" * 32 * 1024}).status_code == 200


def test_a_rewrite_must_differ_from_the_reply(home: Home) -> None:
    person = home.person()
    refused(
        give(person, home.reply(person, "Paris."), {"rewrite": " Paris. "}), 400, "bad_request", "same as the reply"
    )


def test_a_reply_still_being_written_takes_no_opinion_yet(home: Home) -> None:
    person = home.person()
    reply_id = home.reply(person, "", state="streaming")
    refused(give(person, reply_id, {"rating": 1}), 409, "conflict", "still being written")


def test_a_question_takes_no_opinion(home: Home) -> None:
    person = home.person()
    reply_id = home.reply(person)
    turns = person.get("/api/me/export").json()["conversations"][0]["messages"]
    question_id = next(UUID(turn["id"]) for turn in turns if turn["id"] != str(reply_id))
    refused(give(person, question_id, {"rating": 1}), 400, "bad_request", "question")


def test_somebody_elses_reply_looks_like_one_that_is_not_there(home: Home) -> None:
    reply_id = home.reply(home.person())
    for curious in (home.person(), home.person("rater"), home.person("admin")):
        other, missing = give(curious, reply_id, {"rating": 1}), give(curious, uuid4(), {"rating": 1})
        refused(other, 404, "not_found", "no such reply")
        assert other.json() == missing.json()


def test_the_61st_opinion_in_a_minute_is_refused_with_the_number(home: Home) -> None:
    person = home.person()
    reply_id = home.reply(person)
    for _ in range(60):
        assert give(person, reply_id, {"rating": 1}).status_code == 200
    refused(give(person, reply_id, {"rating": 1}), 429, "rate_limited", "at most 60 opinions a minute")


texts = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
judgements = st.fixed_dictionaries(
    {},
    optional={
        "rating": st.sampled_from([1, -1, None]),
        "rewrite": texts.filter(lambda text: text is None or text.strip() not in ("", "Paris.")),
        "labels": st.dictionaries(st.sampled_from([one.name for one in ASPECTS]), st.integers(1, 5)),
        "reasons": st.lists(st.sampled_from([one.id for one in REASONS]), max_size=4),
        "note": texts,
    },
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(judgements | st.just("withdraw"), min_size=1, max_size=5), repeats=st.integers(1, 2))
def test_whatever_is_said_the_last_word_stands_and_repeats_change_nothing(
    home: Home, words: list[Json | str], repeats: int
) -> None:
    """Upserts are idempotent: a sequence with every word repeated ends like the sequence itself."""
    person = home.person()
    reply_id = home.reply(person)
    path = f"/api/messages/{reply_id}/feedback"
    before: Json | None = None
    revision = 0
    for word in words:
        if word == "withdraw":
            answers = [person.delete(path) for _ in range(repeats + 1)]
            if before is None and revision == 0:
                assert {answer.status_code for answer in answers} == {404}
                continue
            revision += before is not None
            before = None
        else:
            assert isinstance(word, dict)
            answers = [give(person, reply_id, word) for _ in range(repeats + 1)]
            now_stands = content(answers[-1].json())
            revision += now_stands != before
            before = now_stands
        assert [answer.status_code for answer in answers] == [200] * (repeats + 1)
        assert {answer.json()["revision"] for answer in answers} == {revision}
    shown = person.get(path)
    assert (content(shown.json()) if shown.status_code == 200 else None) == before
    with home.database.read() as session:
        kept = session.exec(
            select(OpinionHistory.revision)
            .join(Opinion, col(Opinion.id) == col(OpinionHistory.opinion_id))
            .where(Opinion.message_id == reply_id)
            .order_by(col(OpinionHistory.revision))
        ).all()
    assert list(kept) == list(range(1, revision + 1))


def test_a_comparison_is_stored_once_for_its_key(home: Home) -> None:
    person = home.person()
    left = home.reply(person, "Lyon.")
    right = home.reply(person, "Paris.", beside=left)
    body = {"key": "k1", "left_id": str(left), "right_id": str(right), "verdict": "right"}
    first, again = person.post("/api/comparisons", json=body), person.post("/api/comparisons", json=body)
    assert first.status_code == 200 and first.json() == again.json()
    refused(person.post("/api/comparisons", json={**body, "verdict": "tie"}), 409, "conflict", "another comparison")
    with home.database.read() as session:
        assert len(session.exec(select(Comparison).where(Comparison.person_id == person.id)).all()) == 1
    other = home.person()
    theirs = home.reply(other, "Lyon.")
    body = {"key": "k1", "left_id": str(theirs), "right_id": str(home.reply(other, beside=theirs)), "verdict": "tie"}
    assert other.post("/api/comparisons", json=body).status_code == 200, "a key is unique for one person only"


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"verdict": "both"}, 422, "verdict"),
        ({"key": ""}, 422, "key"),
        ({"key": "k" * 129}, 422, "key"),
        ({"left_id": "x"}, 422, "left_id"),
        ({"extra": 1}, 422, "extra"),
        ({"left_id": str(uuid4())}, 404, "no such reply"),
        ({"right_id": None}, 422, "right_id"),
    ],
)
def test_what_is_wrong_with_a_comparison_is_said(home: Home, change: Json, status: int, words: str) -> None:
    person = home.person()
    left = home.reply(person)
    body = {"key": "k", "left_id": str(left), "right_id": str(home.reply(person, beside=left)), "verdict": "left"}
    response = person.post("/api/comparisons", json={**body, **change})
    refused(response, status, "not_found" if status == 404 else "bad_request", words)


def test_only_different_replies_to_one_question_of_ones_own_can_be_compared(home: Home) -> None:
    person = home.person()
    left, elsewhere, theirs = home.reply(person), home.reply(person), home.reply(home.person())
    later = home.reply(person, below=left)
    running = home.reply(person, "", beside=left, state="streaming")
    for right, status, code, words in (
        (left, 400, "bad_request", "different replies"),
        (elsewhere, 400, "bad_request", "same question"),
        (later, 400, "bad_request", "same question"),
        (theirs, 404, "not_found", "no such reply"),
        (running, 409, "conflict", "still being written"),
    ):
        body = {"key": str(right), "left_id": str(left), "right_id": str(right), "verdict": "left"}
        refused(person.post("/api/comparisons", json=body), status, code, words)


def test_a_receipt_names_the_versions_that_learned_from_an_opinion(own: Home) -> None:
    person = own.person(consent=True)
    learned, waiting = own.reply(person), own.reply(person)
    give(person, learned, {"rating": 1})
    give(person, waiting, {"rating": -1})
    with own.database.write() as session:
        opinion = session.exec(select(Opinion).where(Opinion.message_id == learned)).one()
        for number, state, parent in ((7, "promoted", None), (8, "rejected", 7), (9, "promoted", 7)):
            run = Run(state=state, to_version=number)
            session.add(run)
            session.flush()
            version = Policy(number=number, parent=parent, run_id=run.id, state="candidate", directory="", digest="")
            session.add(version)
            session.add(RunItem(run_id=run.id, kind="opinion", item_id=opinion.id, person_id=person.id, digest=""))
        session.flush()
        policies.go_live(session, 7, "test")

    def told() -> dict[str, Any]:
        return {one["message_id"]: one for one in person.get("/api/me/receipts").json()["items"]}

    receipts = told()
    first, second = receipts[str(learned)]["versions"]
    assert (first["number"], first["state"], first["is_in_live"]) == (7, "live", True)
    assert (second["number"], second["live_at"], second["is_in_live"]) == (9, None, False), "8 was rejected"
    since = first["live_at"]
    assert since is not None
    with own.database.write() as session:
        policies.go_live(session, 9, "test")
    first, second = told()[str(learned)]["versions"]
    assert (first["state"], first["is_in_live"], second["is_in_live"]) == ("retired", True, True), "9 comes from 7"
    with own.database.write() as session:
        policies.roll_back(session, "test")
    conversation = person.get("/api/conversations").json()["items"][-1]["id"]
    replies = {one["id"]: one for one in person.get(f"/api/conversations/{conversation}/messages").json()["items"]}
    assert [one["number"] for one in replies[str(learned)]["learned"]] == [7, 9]
    first, second = told()[str(learned)]["versions"]
    assert (first["live_at"], first["is_in_live"]) == (since, True), "the first time is when it went live"
    assert (second["state"], second["is_in_live"]) == ("withdrawn", False)
    assert receipts[str(learned)]["rating"] == 1
    assert receipts[str(waiting)]["versions"] == []
    assert person.get("/api/me/receipts/7").json() == {"number": 7, "opinions": 1, "mine": 1}
    assert own.person().get("/api/me/receipts/7").json() == {"number": 7, "opinions": 1, "mine": 0}
    assert person.get("/api/me/receipts/70").status_code == 404
    assert person.get(f"/api/me/receipts/{2**63}").status_code == 422


def test_a_receipt_says_why_nothing_will_learn_from_an_opinion(own: Home) -> None:
    person, other = own.person(consent=True), own.person()
    replies = [own.reply(person) for _ in range(4)]
    trains, withdrawn, excluded, kept_out = replies
    for reply_id in replies:
        give(person, reply_id, {"rating": 1})
    left, right = kept_out, own.reply(person, "another", beside=kept_out)
    compared = {"key": "1", "left_id": str(left), "right_id": str(right), "verdict": "right"}
    assert person.post("/api/comparisons", json=compared).status_code == 200
    give(other, own.reply(other), {"rating": 1})

    def idle(of: Somebody = person) -> dict[str, str | None]:
        return {one["message_id"]: one["idle"] for one in of.get("/api/me/receipts").json()["items"]}

    assert set(idle().values()) == {None}
    give(person, trains, {"rewrite": "Paris, of course."})
    told = {one["message_id"]: one["rewritten"] for one in person.get("/api/me/receipts").json()["items"]}
    assert [reply_id for reply_id, is_rewritten in told.items() if is_rewritten] == [str(trains)]
    assert set(idle(other).values()) == {"no_consent"}, "nobody has asked them yet"
    person.delete(f"/api/messages/{withdrawn}/feedback")
    with own.database.write() as session:
        session.exec(select(Opinion).where(Opinion.message_id == excluded)).one().excluded = True
        conversation_id = session.get_one(Message, kept_out).conversation_id
    person.patch(f"/api/conversations/{conversation_id}", json={"train": False})
    expected = {trains: None, withdrawn: "withdrawn", excluded: "excluded", kept_out: "kept_out", right: "kept_out"}
    assert idle() == {str(reply_id): why for reply_id, why in expected.items()}
    with own.database.write() as session:
        session.get_one(Person, person.id).excluded = True
    assert idle()[str(trains)] == "excluded"
    assert idle()[str(withdrawn)] == "withdrawn", "one's own doing comes first"


def test_who_was_away_hears_what_was_learned_meanwhile_each_opinion_once(own: Home) -> None:
    person, other = own.person(), own.person()
    mine, others = uuid4(), [uuid4() for _ in range(3)]
    with own.database.write() as session:
        for number, parent, learned in ((7, None, [mine, others[0]]), (8, 7, [mine, *others]), (9, None, [uuid4()])):
            run = Run(state="promoted", to_version=number)
            session.add(run)
            session.flush()
            version = Policy(number=number, parent=parent, run_id=run.id, state="candidate", directory="", digest="")
            session.add(version)
            for item in learned:
                owner = person if item == mine else other
                row = RunItem(run_id=run.id, kind="opinion", item_id=item, person_id=owner.id, digest="")
                session.add(row)
        session.flush()
        policies.go_live(session, 8, "test")

    def told(known: int) -> Json:
        news: Json = person.get(f"/api/me/receipts/live?known={known}").json()
        return news

    assert told(6) == {"number": 8, "opinions": 4, "mine": 1}, "8 comes from 7, and not from 9"
    assert told(7) == {"number": 8, "opinions": 4, "mine": 1}
    assert told(8) == {"number": 8, "opinions": 0, "mine": 0}
