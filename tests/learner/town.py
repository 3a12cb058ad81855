"""People, their talks and their opinions, written into a database as the server would have left them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from sqlmodel import Session, col, func, select

from backtalk import opinions, policies
from backtalk.database import Database
from backtalk.opinions import ComparisonIn, Judgement
from backtalk.tables import Conversation, Message, Person, Policy, RateItem, Reply
from backtalk.template import Template, Turn

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(slots=True)
class Town:
    """One session's people and what they say; every reply is a second younger than the one before."""

    session: Session
    template: Template
    version: int = 0
    clock: datetime = field(default=BEGIN)

    def person(self, consents: bool | None = True) -> UUID:
        """Somebody new; the same people in the same order have the same ids, so that the same of them are held out."""
        number = self.session.exec(select(func.count()).select_from(Person)).one() + 1
        person = Person(id=UUID(int=number), name=uuid4().hex, consent_train=consents)
        self.session.add(person)
        self.session.flush()
        return person.id

    def reply(
        self,
        owner: UUID,
        question: str,
        answer: str,
        *,
        after: UUID | None = None,
        state: str = "done",
        finish_reason: str = "stop",
        logprobs: Sequence[float] | None = None,
        sampling: dict[str, Any] | None = None,
        template_digest: str | None = None,
    ) -> UUID:
        """A reply to a question; `after` is the reply that it is a sibling of."""
        self.clock += timedelta(seconds=1)
        if after is None:
            talk = Conversation(person_id=owner, message_count=2)
            self.session.add(talk)
            self.session.flush()
            parent = self._message(talk.id, owner, None, 0, "user", question)
            position = 1
        else:
            sibling = self.session.get_one(Message, after)
            talk = self.session.get_one(Conversation, sibling.conversation_id)
            assert sibling.parent_id is not None
            parent, position = sibling.parent_id, talk.message_count
            talk.message_count += 1
        id = self._message(talk.id, owner, parent, position, "assistant", answer, state)
        tokens = self.template.reply(answer)
        prompt = self.template.render([Turn("user", question)])
        self.session.add(
            Reply(
                id=id,
                policy_version=self.version,
                sampling={"temperature": 0.6, "top_p": 1.0} if sampling is None else sampling,
                seed=1,
                template_digest=template_digest or self.template.digest,
                engine="test",
                prompt=np.array(prompt, "<i4").tobytes(),
                tokens=np.array(tokens, "<i4").tobytes(),
                logprobs=np.array([-1.0] * len(tokens) if logprobs is None else logprobs, "<f4").tobytes(),
                finish_reason=finish_reason,
                prompt_tokens=len(prompt),
                completion_tokens=len(tokens),
            )
        )
        self.session.flush()
        return id

    def rate(self, person: UUID, reply: UUID, rating: int | None = None, **said: Any) -> UUID:
        """An opinion, through the front door; somebody else's reply is assigned to the person first."""
        if self.session.get_one(Message, reply).person_id != person:
            self.session.add(RateItem(person_id=person, message_id=reply))
            self.session.flush()
        opinion = opinions.judge(self.session, person, reply, Judgement(rating=rating, **said))
        opinion.created_at = self.clock
        self.session.add(opinion)
        self.session.flush()
        return opinion.id

    def compare(self, person: UUID, left: UUID, right: UUID, verdict: str) -> UUID:
        """A comparison, through the front door."""
        given = ComparisonIn(key=uuid4().hex, left_id=left, right_id=right, verdict=verdict)
        comparison = opinions.compare(self.session, person, given)
        comparison.created_at = self.clock
        self.session.flush()
        return comparison.id

    def _message(
        self, talk: UUID, owner: UUID, parent: UUID | None, position: int, role: str, text: str, state: str = "done"
    ) -> UUID:
        message = Message(
            conversation_id=talk,
            person_id=owner,
            parent_id=parent,
            position=position,
            role=role,
            content=text,
            state=state,
            created_at=self.clock,
            ended_at=self.clock,
        )
        self.session.add(message)
        self.session.flush()
        return message.id


def first_policy(database: Database, directory: str = "0-none", digest: str = "none") -> None:
    """A live version 0, so that replies have one they come from."""
    with database.write() as session:
        policies.add(session, 0, directory, digest)
        policies.go_live(session, 0, "test")


def live_number(database: Database) -> int:
    """The number of the live version."""
    with database.read() as session:
        return session.exec(select(Policy.number).where(col(Policy.state) == "live")).one()
