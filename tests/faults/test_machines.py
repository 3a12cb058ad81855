"""Opinions and runs as state machines: whatever happens in whatever order, the database says what the model says.

The model of opinions is a dictionary, that of runs a few numbers; hypothesis looks for an order of events in which they
and the database part (F10 to F12, F20).
"""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlmodel import Session, col, select

from backtalk import audit, opinions, people, policies, runs
from backtalk.database import Database
from backtalk.opinions import ComparisonIn, Judgement, NoSuchReply, OpinionConflict
from backtalk.runs import LeaseLost, RunError
from backtalk.tables import Audit, Comparison, Conversation, Message, Opinion, OpinionHistory, Policy, Run

MACHINES = settings(
    max_examples=6, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


class Machine(RuleBasedStateMachine):
    """One that has a database of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.database = Database(f"sqlite:///{self.directory / 'test.db'}")
        self.database.migrate()

    def teardown(self) -> None:
        self.database.close()
        shutil.rmtree(self.directory)

    @rule()
    def open_anew(self) -> None:
        """As after a crash of the process: nothing is remembered but what is stored."""
        self.database.reopen()


class Lost(Exception):
    """The process dies before the commit."""


# Opinions ------------------------------------------------------------------------------------------------------------

PEOPLE, REPLIES = st.integers(0, 1), st.integers(0, 2)
JUDGEMENTS = st.builds(
    Judgement,
    rating=st.sampled_from([1, -1, None]),
    note=st.sampled_from([None, "because", "因为"]),
    labels=st.sampled_from([{}, {"quality": 4}]),
)


class Opinions(Machine):
    """People judge, judge anew, take back, compare; requests come twice, late, and are lost on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.now_stands: dict[tuple[int, int], tuple[Judgement | None, int]] = {}
        """Of a person on a reply: what they think (None: taken back), and its revision."""
        self.history: dict[tuple[int, int], list[Any]] = {}
        self.compared: dict[tuple[int, str], ComparisonIn] = {}

    @initialize()
    def settle(self) -> None:
        self.people: list[UUID] = []
        self.replies: list[list[UUID]] = []
        with self.database.write() as session:
            for number in range(2):
                person = people.add(session, f"somebody {number}")
                self.people.append(person.id)
                talk = Conversation(person_id=person.id)
                session.add(talk)
                session.flush()
                asked = Message(conversation_id=talk.id, person_id=person.id, position=0, role="user", content="?")
                session.add(asked)
                session.flush()
                own = [
                    Message(
                        conversation_id=talk.id,
                        person_id=person.id,
                        parent_id=asked.id,
                        position=place + 1,
                        role="assistant",
                        content="!",
                    )
                    for place in range(3)
                ]
                session.add_all(own)
                session.flush()
                self.replies.append([reply.id for reply in own])

    @rule(person=PEOPLE, reply=REPLIES, judgement=JUDGEMENTS, times=st.integers(1, 3))
    def judge(self, person: int, reply: int, judgement: Judgement, times: int) -> None:
        """The same request comes once or again and again."""
        for _ in range(times):
            with self.database.write() as session:
                kept = opinions.judge(session, self.people[person], self.replies[person][reply], judgement)
            self._expect(person, reply, judgement)
            assert kept.revision == self.now_stands[person, reply][1]

    @rule(person=PEOPLE, reply=REPLIES, times=st.integers(1, 3))
    def withdraw(self, person: int, reply: int, times: int) -> None:
        with self.database.write() as session:
            if (person, reply) not in self.now_stands:
                with suppress(NoSuchReply):
                    opinions.withdraw(session, self.people[person], self.replies[person][reply])
                    raise AssertionError("there was nothing to take back")
                return
            for _ in range(times):
                opinions.withdraw(session, self.people[person], self.replies[person][reply])
        self._expect(person, reply, None)

    def _expect(self, person: int, reply: int, judgement: Judgement | None) -> None:
        before, revision = self.now_stands.get((person, reply), (None, 0))
        if (person, reply) not in self.now_stands or before != judgement:
            self.now_stands[person, reply] = judgement, revision + 1
            self.history.setdefault((person, reply), []).append(judgement)

    @rule(person=PEOPLE, reply=REPLIES, judgement=JUDGEMENTS)
    def judge_and_die(self, person: int, reply: int, judgement: Judgement) -> None:
        """Killed before the commit: it never happened."""
        with suppress(Lost), self.database.write() as session:
            opinions.judge(session, self.people[person], self.replies[person][reply], judgement)
            raise Lost

    @rule(person=PEOPLE, reply=REPLIES, judgement=JUDGEMENTS)
    def judge_anothers(self, person: int, reply: int, judgement: Judgement) -> None:
        with self.database.write() as session, suppress(NoSuchReply):
            opinions.judge(session, self.people[person], self.replies[1 - person][reply], judgement)
            raise AssertionError("it was not theirs")

    @rule(person=PEOPLE, key=st.sampled_from("ab"), left=REPLIES, verdict=st.sampled_from(["left", "right", "tie"]))
    def compare(self, person: int, key: str, left: int, verdict: str) -> None:
        """One key, one comparison, however often it comes."""
        own = self.replies[person]
        given = ComparisonIn(key=key, left_id=own[left], right_id=own[(left + 1) % 3], verdict=verdict)
        known = self.compared.get((person, key))
        try:
            with self.database.write() as session:
                opinions.compare(session, self.people[person], given)
            assert known in (None, given), "the key was used for another one"
            self.compared[person, key] = given
        except OpinionConflict:
            assert known not in (None, given)

    @invariant()
    def as_the_model_says(self) -> None:
        with self.database.read() as session:
            stored = session.exec(select(Opinion)).all()
            assert len(stored) == len(self.now_stands)
            for opinion in stored:
                person = self.people.index(opinion.person_id)
                reply = self.replies[person].index(opinion.message_id)
                judgement, revision = self.now_stands[person, reply]
                assert (opinion.withdrawn, opinion.revision) == (judgement is None, revision)
                if judgement is not None:
                    assert (opinion.rating, opinion.note) == (judgement.rating, judgement.note)
                kept = session.exec(
                    select(OpinionHistory.content)
                    .where(OpinionHistory.opinion_id == opinion.id)
                    .order_by(col(OpinionHistory.revision))
                ).all()
                assert [row["withdrawn"] for row in kept] == [said is None for said in self.history[person, reply]]
            assert len(session.exec(select(Comparison)).all()) == len(self.compared)


# Runs ----------------------------------------------------------------------------------------------------------------

LEARNERS = st.integers(0, 1)
JUMPS = st.sampled_from([timedelta(seconds=s) for s in (1, 10, 31, 3600, 86_400, -1, -31, -3600, -86_400)])


class Runs(Machine):
    """Two learners on one ledger, under a clock that jumps; each believes in what it once claimed."""

    def __init__(self) -> None:
        super().__init__()
        self.time = datetime(2026, 11, 1, tzinfo=UTC)
        self.clock = mock.patch.object(runs, "now", lambda: self.time)
        self.clock.start()
        self.run: UUID | None = None
        """The one that waits or runs."""
        self.epoch = 0
        self.lease: datetime | None = None
        self.held: dict[int, tuple[UUID, int]] = {}
        """What each learner believes to hold; the other may have taken it over."""
        self.ended: dict[UUID, str] = {}

    def teardown(self) -> None:
        self.clock.stop()
        super().teardown()

    @rule(jump=JUMPS)
    def jump(self, jump: timedelta) -> None:
        self.time += jump

    @rule()
    def queue(self) -> None:
        try:
            with self.database.write() as session:
                found = runs.queue(session, {}).id
            assert self.run is None, "one is under way"
            self.run, self.epoch, self.lease = found, 0, None
        except RunError:
            assert self.run is not None

    @rule(learner=LEARNERS)
    def claim(self, learner: int) -> None:
        is_free = self.run is not None and (self.lease is None or self.lease < self.time)
        with self.database.write() as session:
            found = runs.claim(session, f"learner {learner}")
            if found is None:
                assert not is_free
                return
            assert is_free and found.id == self.run
            assert found.epoch == self.epoch + 1, "an epoch rises with every claim"
            self.epoch, self.lease = found.epoch, self.time + runs.LEASE
            self.held[learner] = found.id, found.epoch

    def _write(self, learner: int, change: Callable[[Session, UUID, int], Any]) -> bool:
        """Whether it was let; it must be exactly for the one who claimed last."""
        run_id, epoch = self.held[learner]
        is_holder = run_id == self.run and epoch == self.epoch
        try:
            with self.database.write() as session:
                change(session, run_id, epoch)
        except LeaseLost:
            assert not is_holder
            return False
        assert is_holder, "a zombie wrote"
        return True

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        if self._write(data.draw(st.sampled_from(sorted(self.held))), runs.renew):
            self.lease = self.time + runs.LEASE

    @precondition(lambda self: self.held)
    @rule(data=st.data(), progress=st.floats(0, 1))
    def report(self, data: st.DataObject, progress: float) -> None:
        self._write(
            data.draw(st.sampled_from(sorted(self.held))),
            lambda session, run_id, epoch: runs.update(session, run_id, epoch, progress=progress),
        )

    @precondition(lambda self: self.held)
    @rule(data=st.data(), state=st.sampled_from(["promoted", "rejected", "failed"]), dies=st.booleans())
    def end(self, data: st.DataObject, state: str, dies: bool) -> None:
        """With what comes with it in one transaction: a version, or nothing; a death before the commit undoes both."""
        learner = data.draw(st.sampled_from(sorted(self.held)))

        def change(session: Session, run_id: UUID, epoch: int) -> None:
            if state == "promoted":
                number = policies.next_number(session)
                policies.add(session, number, f"{number}-x", "", run_id=run_id)
                policies.go_live(session, number, "learner")
            runs.end(session, run_id, epoch, state)
            if dies:
                raise Lost

        with suppress(Lost):
            if self._write(learner, change):
                assert self.run is not None
                self.ended[self.run] = state
                self.run = None

    @precondition(lambda self: self.run)
    @rule()
    def cancel(self) -> None:
        with self.database.write() as session:
            assert self.run is not None
            if runs.cancel(session, self.run, "ann").state == "cancelled":
                assert self.lease is None, "one that runs ends within its next step, by its own hand"
                self.ended[self.run] = "cancelled"
                self.run = None

    @invariant()
    def as_the_model_says(self) -> None:
        with self.database.read() as session:
            stored = {run.id: run.state for run in session.exec(select(Run))}
            pending = {id for id, state in stored.items() if state in ("queued", "running")}
            assert pending == ({self.run} if self.run else set())
            assert {id: state for id, state in stored.items() if id not in pending} == self.ended
            promoted = [id for id, state in self.ended.items() if state == "promoted"]
            made = [policy.run_id for policy in session.exec(select(Policy))]
            assert sorted(map(str, made)) == sorted(map(str, promoted)), "each has one version, no other run has"
            told = session.exec(
                select(Audit.target).where(col(Audit.action).in_([f"run.{s}" for s in runs.ENDED]))
            ).all()
            assert len(told) == len(set(told)), "an end is told once"
            assert audit.first_broken(session) is None


TestOpinions = Opinions.TestCase
TestOpinions.settings = MACHINES
TestRuns = Runs.TestCase
TestRuns.settings = MACHINES
