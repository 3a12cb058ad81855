"""A canary in a whole Backtalk: who gets it, how it is taken back by itself, and how it wins."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlmodel import select

from backtalk import canary, policies, release, weights
from backtalk.tables import Audit, Canary, Policy
from tests.server.scripted import write_model
from tests.server.stack import PATIENCE, Someone, Stack

GOOD, BAD = "abc", "xyz"
PEOPLE = 12


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    stack = Stack()
    try:
        yield stack.start()
    finally:
        stack.close()


def publish(stack: Stack, script: str, *, go_live: bool = False) -> int:
    """Publish a version that says `script` once and ends."""
    made = weights.workspace(stack.settings.weights_dir)
    write_model(made, script, ends=True)
    with stack.database.write() as session:
        number = policies.next_number(session)
        key = weights.signing_key(stack.settings.keys_dir)
        directory, manifest = weights.publish(made, stack.settings.weights_dir, key, number=number)
        policies.add(session, number, directory.name, manifest.digest)
        if go_live:
            policies.go_live(session, number, "test")
    return number


def loaded(stack: Stack) -> int:
    """The version that new replies of most people use."""
    with urllib.request.urlopen(f"{stack.url}/readyz", timeout=PATIENCE) as answer:
        number: int = json.load(answer)["policy_version"]
        return number


@contextmanager
def tried(stack: Stack, script: str, **rules: object) -> Iterator[int]:
    """A version that is tried on half of the people while the block runs; GOOD is live."""
    good = publish(stack, GOOD, go_live=True)
    until(stack, good)
    number = publish(stack, script)
    with stack.database.write() as session:
        release.set_rules(session, "test", canary=True, canary_shares=[0.5], **rules)
        release.approve(session, number, "test")
    try:
        yield number
    finally:
        with stack.database.write() as session:
            release.set_rules(session, "test", canary=False)
            if policies.running_canary(session) is not None:
                policies.roll_back(session, "test")


def until(stack: Stack, number: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while loaded(stack) != number:
        assert time.monotonic() < deadline, f"version {number} does not become live"
        time.sleep(0.05)


def read(stack: Stack, number: int) -> tuple[Policy, Canary]:
    with stack.database.read() as session:
        found = canary.last(session, number)
        assert found is not None
        return session.get_one(Policy, number), found


async def ask(stack: Stack, someone: Someone) -> tuple[int, str, str]:
    """A question: the version that answered, its reply, and the reply's id."""
    async with stack.chat(someone) as chat:
        started = await chat.say("Hello?")
        text, _ = await chat.listen(started["reply_id"])
        return started["policy_version"], text, started["reply_id"]


async def until_resident(stack: Stack, someone: Someone, number: int) -> None:
    """Until the canary is served to whom it belongs."""
    deadline = time.monotonic() + PATIENCE
    while (await ask(stack, someone))[0] != number:
        assert time.monotonic() < deadline, "the canary is not served"


async def test_everybody_keeps_their_version_while_the_share_stays_the_same(stack: Stack) -> None:
    people = [stack.someone() for _ in range(PEOPLE)]
    with tried(stack, BAD, canary_people=1000) as number:
        _, running = read(stack, number)
        inside = [canary.is_inside(running, person.id) for person in people]
        assert 0 < sum(inside) < PEOPLE
        await until_resident(stack, people[inside.index(True)], number)
        for _ in range(2):
            answers = await asyncio.gather(*(ask(stack, person) for person in people))
            assert [version == number for version, _, _ in answers] == inside
            assert {text for version, text, _ in answers if version == number} == {BAD}
            assert {text for version, text, _ in answers if version != number} == {GOOD}
        assert loaded(stack) != number, "the live version is another one"


def balanced(stack: Stack, running: Canary) -> list[Someone]:
    """As many people with the canary as without, in turn: chance may put all but one of a dozen on one side."""
    sides: dict[bool, list[Someone]] = {True: [], False: []}
    while min(map(len, sides.values())) < PEOPLE // 2:
        someone = stack.someone()
        sides[canary.is_inside(running, someone.id)].append(someone)
    return [someone for pair in zip(sides[True], sides[False], strict=False) for someone in pair][:PEOPLE]


async def test_a_version_that_its_people_dislike_is_taken_back_by_itself(stack: Stack) -> None:
    with tried(stack, BAD, canary_people=1000, canary_replies=1000) as number:  # nothing but evidence ends it
        _, running = read(stack, number)
        people = balanced(stack, running)
        tester = next(person for person in people if canary.is_inside(running, person.id))
        await until_resident(stack, tester, number)
        replies = 0
        async with stack.http() as client:
            while read(stack, number)[0].state == "canary":
                assert replies < 200, "it should have been taken back by now"
                for person in people:
                    version, text, reply_id = await ask(stack, person)
                    replies += version == number
                    rating = {"rating": -1 if text == BAD else 1}
                    path = f"/api/messages/{reply_id}/feedback"
                    assert (await client.put(path, json=rating, headers=person.headers)).status_code == 200
        policy, ended = read(stack, number)
        assert (policy.state, ended.state) == ("withdrawn", "taken_back")
        assert policy.reason is not None and policy.reason.startswith("thumbs down: 100%")
        await until_live_for(stack, tester, loaded(stack))
        with stack.database.read() as session:
            last = canary.looks(session, ended)[-1].content
            assert last["decision"] == "back" and last["evidence"] >= 20
            assert last["measures"]["thumbs_down"]["control"] == 0.0
            actors = session.exec(select(Audit.actor).where(Audit.action == "policy.rollback"))
            assert "canary" in set(actors)


async def until_live_for(stack: Stack, someone: Someone, number: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while (await ask(stack, someone))[0] != number:
        assert time.monotonic() < deadline, "the version that was taken back is still served"


async def test_a_version_that_shows_nothing_worse_goes_live_for_all(stack: Stack) -> None:
    people = [stack.someone() for _ in range(PEOPLE)]
    with tried(stack, GOOD, canary_people=3, canary_replies=2) as number:
        deadline = time.monotonic() + PATIENCE
        while read(stack, number)[0].state == "canary":
            assert time.monotonic() < deadline, "it does not go live"
            for person in people:
                await ask(stack, person)
        policy, ended = read(stack, number)
        assert (policy.state, ended.state) == ("live", "promoted")
        until(stack, number)


async def test_rolling_back_takes_the_canary_back_and_leaves_the_live_version(stack: Stack) -> None:
    operator = stack.someone("operator")
    with tried(stack, BAD, canary_people=1000) as number:
        async with stack.http(operator) as client:
            live = (await client.post("/api/operate/policies/rollback", json={"reason": "no"})).json()
            assert (live["number"], live["state"]) == (loaded(stack), "live")
            shown = (await client.get(f"/api/operate/policies/{number}/canary")).json()
            assert (shown["state"], shown["reason"]) == ("taken_back", "no")
        assert read(stack, number)[0].state == "withdrawn"


async def test_another_version_that_goes_live_ends_the_canary(stack: Stack) -> None:
    with tried(stack, BAD, canary_people=1000) as number:
        other = publish(stack, GOOD, go_live=True)
        until(stack, other)
        policy, ended = read(stack, number)
        assert (policy.state, ended.state) == ("candidate", "ended")
        assert ended.reason == f"policy {other} went live meanwhile"


async def test_a_canary_that_cannot_be_served_is_taken_back_at_once(stack: Stack) -> None:
    good = loaded(stack)
    number = publish(stack, BAD)
    with stack.database.write() as session:
        directory = stack.settings.weights_dir / session.get_one(Policy, number).directory
        (directory / "config.json").write_text("{}")
        canary.begin(session, number, "test", release.rules(session))
    deadline = time.monotonic() + PATIENCE
    while read(stack, number)[0].state == "canary":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert "cannot be served" in (read(stack, number)[0].reason or "")
    assert loaded(stack) == good
