"""How versions become live: rules, versions that wait, and canaries as operators see them."""

from uuid import uuid4

import pytest

from backtalk import canary, policies, release, runs
from backtalk.tables import Json, Policy, Run
from tests.server.api.conftest import Home, Somebody, actions, refused

RELEASE = "/api/operate/release"


def add_candidate(home: Home, number: int, *, from_run: bool = True) -> None:
    """A version with files, as a run makes them."""
    with home.database.write() as session:
        first = session.get_one(Policy, 0)
        run = Run(state="promoted", to_version=number)
        session.add(run)
        session.flush()
        session.add(
            Policy(
                number=number,
                parent=0,
                state="candidate",
                directory=first.directory,
                digest=first.digest,
                run_id=run.id if from_run else None,
            )
        )


# Rules ---------------------------------------------------------------------------------------------------------------


def test_at_first_everything_goes_live_by_itself_and_at_once(operator: Somebody) -> None:
    rules = operator.get(RELEASE).json()
    assert (rules["approval"], rules["canary"], rules["canary_shares"], rules["alpha"]) == (
        "automatic",
        False,
        [0.05, 0.25],
        0.05,
    )
    assert (rules["webhook_url"], rules["webhook_secret"]) == (None, None)


def test_rules_are_changed_one_by_one_and_written_down(own: Home, operator: Somebody) -> None:
    operator.patch(RELEASE, json={"approval": "operator"})
    rules = operator.patch(RELEASE, json={"canary": True, "canary_shares": [0.1, 0.5], "canary_people": 3}).json()
    assert (rules["approval"], rules["canary"], rules["canary_shares"]) == ("operator", True, [0.1, 0.5])
    assert operator.get(RELEASE).json() == rules
    assert actions(own).count("release.set") == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"approval": "never"}, "approval"),
        ({"canary_shares": []}, "expected one or more"),
        ({"canary_shares": [0.25, 0.05]}, "rising"),
        ({"canary_shares": [0.8]}, "at most 0.5"),
        ({"canary_people": 0}, "canary_people"),
        ({"alpha": 0}, "between 0 and 1"),
        ({"webhook_url": "ftp://example.org"}, "http:// or https://"),
        ({"webhook_url": "https://user:word@example.org"}, "no password"),
        ({"webhook_url": "http://127.0.0.1:9/"}, "private network"),
        ({"webhook_url": "http://localhost/"}, "private network"),
        ({"webhook_url": "http://[::1]/"}, "private network"),
        ({"webhook_url": "http://169.254.169.254/latest/meta-data"}, "private network"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said(home: Home, change: Json, words: str) -> None:
    response = home.person("operator").patch(RELEASE, json=change)
    refused(response, response.status_code, "bad_request", words)


def test_only_operators_see_and_set_the_rules(home: Home) -> None:
    for role in ("user", "rater"):
        somebody = home.person(role)
        for path in ("release", "canary", "announcements"):
            assert somebody.get(f"/api/operate/{path}").status_code == 403
        assert somebody.patch(RELEASE, json={"canary": True}).status_code == 403
        for move in ("approve", "reject", "canary"):
            assert somebody.post(f"/api/operate/policies/0/{move}").status_code == 403


# Versions that wait --------------------------------------------------------------------------------------------------


def test_with_approval_by_operators_a_version_waits_for_their_word(own: Home, operator: Somebody) -> None:
    operator.patch(RELEASE, json={"approval": "operator"})
    for number in (1, 2):
        add_candidate(own, number)
        with own.database.write() as session:
            assert release.release(session, number, "learner").state == "candidate"
    assert [one["number"] for one in operator.get("/api/operate/summary").json()["waiting"]] == [1, 2]
    turned_down = operator.post("/api/operate/policies/1/reject", json={"reason": "too curt"}).json()
    assert (turned_down["state"], turned_down["reason"]) == ("rejected", "too curt")
    refused(operator.post("/api/operate/policies/1/reject"), 409, "conflict", "only a candidate waits")
    assert operator.post("/api/operate/policies/2/approve").json()["state"] == "live"
    assert operator.get("/api/operate/summary").json()["waiting"] == []
    kinds = [one["kind"] for one in operator.get("/api/operate/announcements").json()["items"]]
    assert kinds == ["promoted", "rejected", "candidate_waiting", "candidate_waiting"]
    assert actions(own)[-2:] == ["policy.reject", "policy.promote"]


def test_an_imported_version_does_not_ask_for_a_decision(own: Home, operator: Somebody) -> None:
    add_candidate(own, 1, from_run=False)
    assert operator.get("/api/operate/summary").json()["waiting"] == []


def test_approved_versions_take_the_canary_where_the_rules_say_so(own: Home, operator: Somebody) -> None:
    operator.patch(RELEASE, json={"canary": True})
    add_candidate(own, 1)
    add_candidate(own, 2)
    assert operator.post("/api/operate/policies/1/approve").json()["state"] == "canary"
    assert operator.post("/api/operate/policies/2/approve").json()["state"] == "candidate", "one after the other"
    refused(operator.post("/api/operate/policies/2/canary"), 409, "conflict", "policy 1 is tried")
    shown = operator.get("/api/operate/canary").json()["canary"]
    assert (shown["number"], shown["control"], shown["state"], shown["looks"]) == (1, 0, "watching", [])
    assert operator.get("/api/operate/summary").json()["canary"]["number"] == 1
    assert operator.get("/api/operate/policies/1/canary").json()["id"] == shown["id"]
    refused(operator.get("/api/operate/policies/2/canary"), 404, "not_found", "never been tried")
    with own.database.read() as session:
        assert runs.new_feedback(session) == 0
    assert operator.post("/api/operate/policies/2/promote").json()["state"] == "live", "at once, whatever is tried"
    assert operator.get("/api/operate/policies/1").json()["state"] == "candidate"
    assert operator.get("/api/operate/canary").json()["canary"]["state"] == "ended"


def test_what_a_canary_showed_is_told_look_by_look(own: Home, operator: Somebody) -> None:
    add_candidate(own, 1)
    operator.post("/api/operate/policies/1/canary", json={"reason": "let us see"})
    with own.database.write() as session:
        running = policies.running_canary(session)
        assert running is not None
        for evidence in (1.0, 2.5):
            canary.note(session, running, {"evidence": evidence})
            session.flush()
    shown = operator.get("/api/operate/policies/1/canary").json()
    assert [look["content"]["evidence"] for look in shown["looks"]] == [1.0, 2.5]
    assert shown["last"] == {"evidence": 2.5}


def test_small_services_widen_the_shares_and_wait_for_fewer_people() -> None:
    assert canary.plan([0.05, 0.25], 10, 10_000) == ([0.05, 0.25], [10, 20])
    assert canary.plan([0.05, 0.25], 10, 100) == ([0.15, 0.25], [10, 18])
    assert canary.plan([0.05, 0.25], 10, 12) == ([0.5], [4])
    assert canary.plan([0.05, 0.25], 10, 0) == ([0.5], [1])


def test_a_person_has_one_place_and_a_growing_share_only_adds_people() -> None:
    first, second = uuid4(), uuid4()
    people = [uuid4() for _ in range(4000)]
    places = [canary.place(first, person) for person in people]
    assert places == [canary.place(first, person) for person in people]
    for share in (0.05, 0.25, 0.5):
        inside = sum(place < share for place in places) / len(people)
        assert abs(inside - share) < 0.03
    both = sum(canary.place(first, one) < 0.25 and canary.place(second, one) < 0.25 for one in people) / len(people)
    assert abs(both - 0.0625) < 0.02, "another canary, other people"
