"""What a look at a canary counts, and what it decides."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlmodel import Session

from backtalk import canary, policies, release
from backtalk.database import Database
from backtalk.tables import Canary, Policy, now
from server.watch import decide, settle, weigh
from tests.population import add_opinion, add_person, add_policy, add_reply


@pytest.fixture
def running(database: Database) -> Canary:
    """Version 1 on half of the people, 0 on the others."""
    with database.write() as session:
        add_policy(session, 0, "live")
        add_policy(session, 1, "candidate", parent=0)
        person = add_person(session)
        for length in range(40, 60):
            add_reply(session, person.id, 0, tokens=length, began=now() - timedelta(days=30))
        release.set_rules(session, "test", canary_shares=[0.5], canary_people=4, canary_replies=2)
        canary.begin(session, 1, "test", release.rules(session))
    with database.read() as session:
        found = policies.running_canary(session)
        assert found is not None
        return found


def people(session: Session, running: Canary, count: int, *, inside: bool) -> list[UUID]:
    """People of one side."""
    found: list[UUID] = []
    while len(found) < count:
        person = add_person(session)
        if canary.side(running, person.id) is inside:
            found.append(person.id)
    return found


def test_replies_and_thumbs_are_counted_on_the_side_of_their_person(database: Database, running: Canary) -> None:
    with database.write() as session:
        (inside,), (outside,) = (people(session, running, 1, inside=side) for side in (True, False))
        disliked = add_reply(session, inside, 1, tokens=50)
        add_opinion(session, inside, disliked, -1)
        add_reply(session, inside, 1, tokens=1)  # empty
        add_reply(session, inside, 1, tokens=200, reason="length")  # goes on and on
        add_reply(session, inside, 1, tokens=50, ended=now() + timedelta(hours=1))  # slow
        add_reply(session, inside, 0, tokens=1)  # began before the canary was loaded: not its doing
        liked = add_reply(session, outside, 0, tokens=50)
        add_opinion(session, outside, liked, 1)
        add_opinion(session, inside, liked, -1)  # a rater's, who did not ask
        add_reply(session, outside, 0, state="failed")
        add_reply(session, outside, 0, state="streaming")
    with database.read() as session:
        content = weigh(session, running).content
    measures = content["measures"]
    assert (content["replies"], content["control_replies"], content["people"]) == (4, 2, 1)
    assert (measures["thumbs_down"]["canary"], measures["thumbs_down"]["control"]) == (1.0, 0.0)
    assert (measures["failed"]["canary"], measures["failed"]["control"]) == (0.25, 0.5)
    assert measures["length"]["canary"] == 0.5
    assert measures["latency"]["canary"] == 0.25


def test_the_evidence_takes_it_back_and_a_second_server_changes_nothing(database: Database, running: Canary) -> None:
    with database.write() as session:
        sides = [people(session, running, 8, inside=inside) for inside in (True, False)]
        for inside, outside in zip(*sides, strict=True):  # as they come: in turn
            for _ in range(4):
                add_reply(session, inside, 1, tokens=1)
                add_reply(session, outside, 0, tokens=50)
    with database.read() as session:
        found = weigh(session, running)
    assert found.decision == "back"
    assert found.reason.startswith("failed: 100% of 32 in the canary, 0% of 32 elsewhere; evidence ")
    for _ in range(2):
        with database.write() as session:
            settle(session, found)
    with database.read() as session:
        assert session.get_one(Policy, 1).state == "withdrawn"
        assert len(canary.looks(session, running)) == 1


def test_enough_people_with_nothing_worse_let_it_go_on_to_all(database: Database, running: Canary) -> None:
    with database.write() as session:
        for person_id in people(session, running, running.people[0], inside=True):
            for _ in range(running.replies):
                add_reply(session, person_id, 1, tokens=50)
    with database.write() as session:
        settle(session, weigh(session, running))
    with database.read() as session:
        assert session.get_one(Policy, 1).state == "live"
        assert session.get_one(Canary, running.id).state == "promoted"


@pytest.mark.parametrize(
    ("state", "evidence", "people", "expected"),
    [
        ("watching", 1.0, 0, "continue"),
        ("watching", 1.0, 4, "advance"),
        ("watching", 4.5, 4, "pause"),
        ("paused", 4.5, 4, "continue"),
        ("paused", 4.4, 4, "resume"),
        ("watching", 20.0, 0, "back"),
        ("paused", 20.0, 4, "back"),
    ],
)
def test_it_goes_on_waits_or_goes_back_by_the_evidence(state: str, evidence: float, people: int, expected: str) -> None:
    row = Canary(number=1, control=0, state=state, shares=[0.5], people=[4], replies=2, alpha=0.05)
    assert decide(row, evidence, people) == expected


def test_a_paused_canary_is_announced_and_goes_on_when_it_looks_well_again(database: Database, running: Canary) -> None:
    with database.write() as session:
        row = session.get_one(Canary, running.id)
        canary.pause(session, row, True, "thumbs down: 80%")
        assert (row.state, row.reason) == ("paused", "thumbs down: 80%")
        assert release.announcements(session, 1)[0].kind == "canary_paused"
        canary.pause(session, row, False, "")
        assert (row.state, row.reason) == ("watching", None)
