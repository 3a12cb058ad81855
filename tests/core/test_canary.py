"""Who gets a version that is tried, step by step, and what it is held against."""

from uuid import uuid4

from sqlmodel import Session, select

from backtalk import canary, policies, release, runs
from backtalk.database import Database
from backtalk.tables import Audit, Canary, Policy
from tests.population import add_person, add_policy, add_reply

CROWD = [uuid4() for _ in range(2000)]


def begin(session: Session, *shares: float) -> Canary:
    add_policy(session, 0, "live")
    add_policy(session, 1, "candidate", parent=0)
    rules = release.set_rules(session, "test", canary=True, canary_shares=list(shares))
    canary.begin(session, 1, "test", rules)
    found = canary.last(session)
    assert found is not None
    found.shares = list(shares)  # a service without people would widen them
    return found


def inside(found: Canary) -> set[object]:
    return {person for person in CROWD if canary.is_inside(found, person)}


def test_the_share_grows_step_by_step_and_nobody_leaves_it(database: Database) -> None:
    with database.write() as session:
        found = begin(session, 0.05, 0.25)
        first = inside(found)
        others = {person for person in CROWD if canary.side(found, person) is False}
        canary.advance(session, found)
        second = inside(found)
        assert session.get_one(Policy, 1).state == "canary"
        canary.advance(session, found)
        assert session.get_one(Policy, 1).state == "live"
        assert found.state == "promoted"
        steps = session.exec(select(Audit).where(Audit.action == "policy.canary_step")).all()
    assert [(one.detail["step"], one.detail["share"]) for one in steps] == [(1, 0.25)]
    assert first < second and not second & others, "whom it is held against never changes sides"
    assert 40 <= len(first) <= 160 and 390 <= len(second) <= 610  # more than five standard deviations


def test_a_version_that_is_new_itself_is_held_against_what_was_usual_before_it(database: Database) -> None:
    with database.write() as session:
        add_policy(session, 0, "live")
        add_policy(session, 1, "candidate", parent=0)
        add_policy(session, 2, "candidate")  # not of this line
        person = add_person(session)
        assert canary.usual(session, 0) == {}, "nothing is usual yet"
        for version in [0] * canary.FEWEST + [2] * 100:
            add_reply(session, person.id, version)
        policies.go_live(session, 1, "test")
        assert canary.usual(session, 1) == canary.usual(session, 0) != {}


def test_a_version_made_while_another_is_tried_has_its_turn_afterwards(database: Database) -> None:
    with database.write() as session:
        begin(session, 0.5)
        run = runs.queue(session, {})
        made = policies.add(session, 2, "2-none", "none", parent=0, run_id=run.id)
        release.release(session, 2, "learner")
        assert made.state == "candidate" and release.next_out(session) is None, "the other is still being tried"
        policies.roll_back(session, "test")
        release.set_rules(session, "test", approval="operator")
        assert release.next_out(session) is None, "it waits for an operator"
        release.set_rules(session, "test", approval="automatic")
        assert release.next_out(session) == made
        release.release(session, 2, "canary")
        assert made.state == "canary" and release.next_out(session) is None


def test_a_version_from_before_the_one_that_won_stays_behind(database: Database) -> None:
    with database.write() as session:
        found = begin(session, 0.5)
        policies.add(session, 2, "2-none", "none", parent=0, run_id=runs.queue(session, {}).id)
        canary.advance(session, found)
        assert session.get_one(Policy, 1).state == "live" and release.next_out(session) is None
