"""People, replies and opinions as rows, for tests that ask about many of them."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlmodel import Session

from backtalk.tables import Conversation, Message, Opinion, Person, Policy, Reply, now


def add_policy(session: Session, number: int, state: str = "retired", parent: int | None = None) -> Policy:
    """A version without files."""
    policy = Policy(number=number, parent=parent, state=state, directory=f"{number}-none", digest=str(number))
    policy.live_at = now() if state in ("live", "retired") else None
    session.add(policy)
    session.flush()
    return policy


def add_person(session: Session, consent: bool | None = True) -> Person:
    """Somebody."""
    person = Person(name=f"p{uuid4().hex[:12]}", consent_train=consent)
    session.add(person)
    session.flush()
    return person


def add_reply(
    session: Session,
    person_id: UUID,
    version: int,
    *,
    text: str = "A reply.",
    state: str = "done",
    reason: str = "stop",
    tokens: int = 4,
    began: datetime | None = None,
    ended: datetime | None = None,
) -> UUID:
    """A reply of a version to a question of this person, in a conversation of its own."""
    began = began or now()
    conversation = Conversation(person_id=person_id, message_count=2)
    session.add(conversation)
    session.flush()
    asked = Message(
        conversation_id=conversation.id, person_id=person_id, position=1, role="user", content="?", created_at=began
    )
    session.add(asked)
    session.flush()
    reply = Message(
        conversation_id=conversation.id,
        person_id=person_id,
        parent_id=asked.id,
        position=2,
        role="assistant",
        content=text,
        state=state,
        created_at=began,
        ended_at=None if state == "streaming" else ended or began,
    )
    session.add(reply)
    session.flush()
    session.add(
        Reply(
            id=reply.id,
            policy_version=version,
            seed=1,
            template_digest="",
            engine="test",
            prompt=b"\0\0\0\0",
            tokens=b"\0\0\0\0" * tokens,
            finish_reason=reason,
            completion_tokens=tokens,
        )
    )
    session.flush()
    return reply.id


def add_opinion(
    session: Session,
    person_id: UUID,
    message_id: UUID,
    rating: int | None = 1,
    at: datetime | None = None,
    **more: Any,
) -> Opinion:
    """What this person thinks of a reply."""
    at = at or now()
    opinion = Opinion(person_id=person_id, message_id=message_id, rating=rating, created_at=at, updated_at=at, **more)
    session.add(opinion)
    session.flush()
    return opinion
