"""Conversations over HTTP: list and search, rename, archive, delete, and the whole tree of messages."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from sqlmodel import Session, col, select

from backtalk import audit, receipts, sealing
from backtalk.tables import Conversation, Message, Opinion, Reply, now
from server.access import Caller, requires
from server.changes import Page
from server.events import FinishReason, State, whole_text
from server.feedback import LessonOut
from server.ledger import owned_conversation, texts_so_far
from server.service import Service, get_service

LISTED = 500
"""Conversations in one list; a search finds the others."""

router = APIRouter(prefix="/api/conversations", tags=["chat"])

User = Annotated[Caller, requires("user")]
Serving = Annotated[Service, Depends(get_service)]
Title = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(whole_text)]


class ConversationOut(BaseModel):
    """A conversation, without its messages."""

    id: UUID
    title: str
    created_at: datetime
    updated_at: datetime
    archived: bool
    train: bool


class Conversations(BaseModel):
    """Conversations, the newest first."""

    items: list[ConversationOut]


class ConversationChange(BaseModel):
    """What may be changed; what is left out stays."""

    model_config = ConfigDict(extra="forbid")
    title: Title | None = None
    archived: bool | None = None
    train: Annotated[bool, Field(strict=True)] | None = Field(
        None, description="False: nothing that is said in it trains, whatever the person's consent says."
    )


class Feedback(BaseModel):
    """The caller's present opinion on a reply."""

    rating: Literal[1, -1] | None
    rewrite: str | None
    labels: dict[str, int]
    reasons: list[str]
    note: str | None
    revision: int


class MessageOut(BaseModel):
    """One message of the tree. While a reply is streaming, `content` is its durable beginning."""

    id: UUID
    conversation_id: UUID
    parent_id: UUID | None
    role: Literal["user", "assistant"]
    content: str
    state: State
    policy_version: int | None
    finish_reason: FinishReason | None
    created_at: datetime
    ended_at: datetime | None
    feedback: Feedback | None
    learned: list[LessonOut] = Field(description="The versions that learned from the caller's opinion on it.")


class Messages(BaseModel):
    """All messages of a conversation, in the order in which they were made."""

    items: list[MessageOut]


@router.get("")
async def list_conversations(
    caller: User, service: Serving, query: Annotated[str, Query(max_length=200)] = ""
) -> Conversations:
    """The caller's conversations; with `query`, those whose title or text holds it."""

    def find(session: Session) -> list[Conversation]:
        mine = select(Conversation).where(Conversation.person_id == caller.person_id)
        if query.strip() and sealing.ring() is not None:  # the database cannot look into what is sealed
            mine = mine.where(col(Conversation.id).in_(_holding(session, caller.person_id, query.strip())))
        elif query.strip():
            said = select(Message.conversation_id).where(
                Message.person_id == caller.person_id, col(Message.content).icontains(query.strip(), autoescape=True)
            )
            titled = col(Conversation.title).icontains(query.strip(), autoescape=True)
            mine = mine.where(sa.or_(titled, col(Conversation.id).in_(said)))
        return list(session.exec(mine.order_by(col(Conversation.updated_at).desc()).limit(LISTED)))

    return Conversations(items=[_shown(conversation) for conversation in await service.read(find)])


def _holding(session: Session, person_id: UUID, words: str) -> set[UUID]:
    """A person's conversations that hold these words, found by reading them."""
    titles = select(Conversation.id, Conversation.title).where(Conversation.person_id == person_id)
    texts = select(Message.conversation_id, Message.content).where(Message.person_id == person_id)
    found = [*session.exec(titles), *session.exec(texts)]
    return {conversation_id for conversation_id, text in found if words.casefold() in text.casefold()}


@router.get("/{conversation_id}")
async def get_conversation(conversation_id: UUID, caller: User, service: Serving) -> ConversationOut:
    """One conversation."""
    return _shown(await service.read(lambda session: owned_conversation(session, caller.person_id, conversation_id)))


@router.patch("/{conversation_id}")
async def change_conversation(
    conversation_id: UUID, change: ConversationChange, caller: User, page: Page, service: Serving
) -> ConversationOut:
    """Rename it, archive it, or keep it out of training. The last counts from the next snapshot on."""

    def write(session: Session) -> tuple[ConversationOut, UUID]:
        conversation = owned_conversation(session, caller.person_id, conversation_id)
        if change.train is not None and change.train != conversation.train:
            audit.record(session, caller.person_id, "consent.change", conversation_id, train=change.train)
        for name, value in change.model_dump(exclude_none=True).items():
            setattr(conversation, name, value)
        if change.title is not None:
            conversation.titled_by = "person"
        conversation.updated_at = now()
        session.add(conversation)
        session.flush()
        return _shown(conversation), conversation_id

    return await service.changes.write(caller.person_id, page, write)


@router.delete("/{conversation_id}", status_code=204)
async def delete_conversation(conversation_id: UUID, caller: User, page: Page, service: Serving) -> None:
    """Delete it with all that was said in it; replies under way in it end."""

    def write(session: Session) -> tuple[None, UUID]:
        owned_conversation(session, caller.person_id, conversation_id)
        session.execute(sa.delete(Conversation).where(col(Conversation.id) == conversation_id))
        return None, conversation_id

    await service.changes.write(caller.person_id, page, write)
    service.replies.drop(conversation_id=conversation_id)


@router.get("/{conversation_id}/messages")
async def list_messages(conversation_id: UUID, caller: User, service: Serving) -> Messages:
    """The whole tree as a list, each message with the caller's opinion on it."""
    return Messages(items=await service.read(lambda session: _tree(session, caller.person_id, conversation_id)))


def _tree(session: Session, person_id: UUID, conversation_id: UUID) -> list[MessageOut]:
    owned_conversation(session, person_id, conversation_id)
    rows = session.exec(
        select(Message, Reply, Opinion)
        .outerjoin(Reply, col(Reply.id) == col(Message.id))
        .outerjoin(
            Opinion,
            sa.and_(
                col(Opinion.message_id) == col(Message.id),
                col(Opinion.person_id) == person_id,
                sa.not_(col(Opinion.withdrawn)),
            ),
        )
        .where(Message.conversation_id == conversation_id, col(Message.role).in_(("user", "assistant")))
        .order_by(col(Message.position))
    ).all()
    running = texts_so_far(session, [message.id for message, _, _ in rows if message.state == "streaming"])
    shown = {message.id for message, _, _ in rows}
    learned = receipts.on_messages(session, person_id, conversation_id)
    return [
        MessageOut.model_validate(
            {
                **message.model_dump(),
                "parent_id": message.parent_id if message.parent_id in shown else None,
                "content": running.get(message.id, message.content),
                "policy_version": reply.policy_version if reply is not None else None,
                "finish_reason": reply.finish_reason if reply is not None else None,
                "feedback": opinion.model_dump() if opinion is not None else None,
                "learned": learned.get(message.id, []),
            }
        )
        for message, reply, opinion in rows
    ]


def _shown(conversation: Conversation) -> ConversationOut:
    return ConversationOut.model_validate(conversation.model_dump())
