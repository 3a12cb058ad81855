"""The Backtalk that the browser visits: the stack of the server's tests, with people who can sign in."""

import json
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from sqlmodel import Session, col, select

from backtalk import canary, imports, people, policies
from backtalk.opinions import Judgement, judge
from backtalk.tables import Canary, Conversation, Message, Person, ReleaseRules, Reply, now
from backtalk.template import Template
from server import access
from server.ledger import title
from tests.server.stack import PATIENCE, Stack

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Laid:
    """A conversation that stands in the database as if it had been held."""

    id: UUID
    replies: list[UUID]

    @property
    def path(self) -> str:
        """Its address."""
        return f"/c/{self.id}"


class Backtalk(Stack):
    """Engine and server, and what tests lay into their database."""

    def __init__(self) -> None:
        super().__init__()
        self._scripted: dict[str, int] = {}

    def start(self) -> "Backtalk":
        super().start()
        return self

    @contextmanager
    def saying(self, script: str) -> Iterator[None]:
        """While the block runs, a version is live that says this, over and over; then the first one again."""
        self.go_live(self.saying_version(script))
        try:
            yield
        finally:
            self.go_live(0)

    def saying_version(self, script: str) -> int:
        """Number of the version that says this; it is there, and not live."""
        if script not in self._scripted:
            self._scripted[script] = self.publish(script, go_live=False)
        return self._scripted[script]

    def go_live(self, number: int) -> None:
        with self.database.write() as session:
            policies.go_live(session, number, "test")
        self.until_live(number)

    def until_live(self, number: int) -> None:
        """Wait until the engine answers as this version."""
        deadline = time.monotonic() + PATIENCE
        while self._loaded() != number:
            assert time.monotonic() < deadline, f"version {number} does not become live"
            time.sleep(0.05)

    def _loaded(self) -> int:
        with urllib.request.urlopen(f"{self.url}/readyz", timeout=PATIENCE) as answer:
            number: int = json.load(answer)["policy_version"]
            return number

    @contextmanager
    def paused_engine(self) -> Iterator[None]:
        """While the block runs, the engine stands still in the middle of whatever it was at."""
        assert self.engine is not None
        self.engine.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.engine.send_signal(signal.SIGCONT)

    @contextmanager
    def learning(self) -> Iterator[None]:
        """While the block runs, there is a learner."""
        learner = self._start("learner")
        try:
            yield
        finally:
            learner.terminate()
            learner.wait(PATIENCE)

    def lay_opinions(self, people: int, each: int) -> None:
        """Thumbs of people who like odd sums and dislike even ones."""
        rows = [
            {
                "person_id": f"person {person}",
                "prompt": [{"role": "user", "content": f"What is {number} + {number}?"}],
                "reply": f"Well, {number + number}.",
                "rating": 1 if number % 2 else -1,
            }
            for person in range(people)
            for number in range(each)
        ]
        self.take_in(rows)

    def take_in(self, rows: list[dict[str, Any]]) -> None:
        """Take opinions in as `backtalk feedback import` does."""
        source = self.data_dir / "opinions.jsonl"
        source.write_text("\n".join(map(json.dumps, rows)))
        with self.database.write() as session:
            live = policies.live(session)
            assert live is not None
            imports.take_in(
                session, "ledger", source, Template(self.settings.weights_dir / live.directory), live.number
            )

    @contextmanager
    def beside(self, **environment: str) -> Iterator[str]:
        """A second server on the same data with other settings, while the block runs; its address."""
        first, port, inherited = self.server, self.port, self.environment
        self.server, self.port, self.environment = None, 0, inherited | environment
        try:
            self.start_server()
            yield self.url
        finally:
            self.kill_server()
            self.server, self.port, self.environment = first, port, inherited

    def person(self, role: str = "user", *, consent: bool | None = None, language: str = "en") -> UUID:
        """A new person."""
        with self.database.write() as session:
            person = people.add(session, f"{role} {uuid4().hex[:6]}", role, language=language)
            person.consent_train = consent
            return person.id

    def sign_in(self, person_id: UUID) -> str:
        """A session of this person: the secret for the cookie."""
        with self.database.write() as session:
            return access.sign_in(session, session.get_one(Person, person_id))

    def lay(self, person_id: UUID, turns: Sequence[str], *, days_ago: float = 0, version: int = 0) -> Laid:
        """A conversation: question, reply, question, reply …."""
        with self.database.write() as session:
            return held(session, person_id, turns, now() - timedelta(days=days_ago), version)

    def lay_beside(self, reply_id: UUID, content: str, *, version: int = 0) -> UUID:
        """Another reply to the same question."""
        with self.database.write() as session:
            first = session.get_one(Message, reply_id)
            conversation = session.get_one(Conversation, first.conversation_id)
            message = Message(
                conversation_id=first.conversation_id,
                person_id=first.person_id,
                parent_id=first.parent_id,
                position=conversation.message_count,
                role="assistant",
                content=content,
                created_at=first.created_at,
                ended_at=first.ended_at,
            )
            conversation.message_count += 1
            session.add(message)
            session.flush()
            session.add(ledger_of(message, version))
            return message.id

    def read(self, query: Callable[[Session], T]) -> T:
        """What the database says."""
        with self.database.read() as session:
            return query(session)

    def message(self, message_id: UUID | str) -> Message:
        """A message as it is stored."""
        return self.read(lambda session: session.get_one(Message, UUID(str(message_id))))

    def stored(self, conversation_id: UUID | str) -> list[Message]:
        """All messages of a conversation, in their order."""
        whole = select(Message).where(Message.conversation_id == UUID(str(conversation_id)))
        return self.read(lambda session: list(session.exec(whole.order_by(col(Message.position)))))

    def judge(self, person_id: UUID, reply_id: UUID, judgement: Judgement) -> None:
        """An opinion that was given before."""
        with self.database.write() as session:
            judge(session, person_id, reply_id, judgement)

    def try_on(self, number: int) -> Canary:
        """Give a version to half of the people; two hundred must have been reached before it goes on."""
        with self.database.write() as session:
            canary.begin(session, number, "test", ReleaseRules(canary_shares=[0.5], canary_replies=1))
            running = canary.last(session, number)
            assert running is not None
            running.people = [200]
            return running

    def dislike(self, running: Canary, people: int) -> None:
        """So many people of either side get a reply in turn; those with the version on trial dislike it."""
        somebody = iter(lambda: self.person(consent=True), None)
        for inside in (True, False) * people:
            person_id = next(one for one in somebody if canary.is_inside(running, one) == inside)
            turns = ["Tell me a story.", "Once a heron stood in the rain."]
            laid = self.lay(person_id, turns, version=running.number if inside else running.control)
            self.judge(person_id, laid.replies[0], Judgement(rating=-1 if inside else 1))


def held(session: Session, person_id: UUID, turns: Sequence[str], at: datetime, version: int) -> Laid:
    """A conversation as if it had been held then: question, reply, question, reply …."""
    conversation = Conversation(person_id=person_id, title=title(turns[0]), created_at=at, updated_at=at)
    conversation.message_count = len(turns)
    session.add(conversation)
    session.flush()
    parent_id, replies = None, list[UUID]()
    for position, content in enumerate(turns):
        role = "assistant" if position % 2 else "user"
        message = Message(
            conversation_id=conversation.id,
            person_id=person_id,
            parent_id=parent_id,
            position=position,
            role=role,
            content=content,
            created_at=at,
            ended_at=at,
        )
        session.add(message)
        session.flush()
        parent_id = message.id
        if role == "assistant":
            replies.append(message.id)
            session.add(ledger_of(message, version))
    return Laid(conversation.id, replies)


def ledger_of(reply: Message, version: int) -> Reply:
    """The ledger of a reply that was never sampled."""
    return Reply(
        id=reply.id,
        policy_version=version,
        seed=1,
        template_digest="",
        engine="test",
        prompt=b"",
        finish_reason="stop",
        completion_tokens=1 + len(reply.content.split()),
    )
