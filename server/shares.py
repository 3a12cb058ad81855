"""Links by which anybody reads one branch of a conversation as it was then; the owner takes them back."""

import secrets
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session, col, select

from backtalk import audit
from backtalk.branch import branch
from backtalk.tables import Conversation, Message, Reply, Share
from server.access import Caller, anyone, requires
from server.changes import Page
from server.errors import BadRequest, NotFound
from server.ledger import owned_conversation
from server.service import Service, get_service

router = APIRouter(prefix="/api", tags=["chat"])

User = Annotated[Caller, requires("user")]
Anyone = Annotated[Caller | None, anyone]
Serving = Annotated[Service, Depends(get_service)]

TOKEN_BYTES = 24


class ShareIn(BaseModel):
    """What the link shows."""

    model_config = ConfigDict(extra="forbid")

    message_id: UUID | None = Field(None, description="The last message of the branch; null: the newest one.")


class ShareOut(BaseModel):
    """A link: `/s/<token>` on this server."""

    token: str
    conversation_id: UUID
    message_id: UUID
    title: str
    created_at: datetime


class SharedTurn(BaseModel):
    """One message of a shared branch."""

    id: UUID
    role: Literal["user", "assistant"]
    content: str
    policy_version: int | None


class SharedOut(BaseModel):
    """What whoever has the link may read. Whose it is is not told."""

    title: str
    created_at: datetime
    messages: list[SharedTurn]


@router.put("/conversations/{conversation_id}/share")
async def share(conversation_id: UUID, given: ShareIn, caller: User, page: Page, service: Serving) -> ShareOut:
    """Make the conversation's link, or let the one it has show this branch."""

    def write(session: Session) -> tuple[ShareOut, UUID]:
        conversation = owned_conversation(session, caller.person_id, conversation_id)
        inside = select(Message).where(Message.conversation_id == conversation_id)
        if given.message_id is not None:
            inside = inside.where(Message.id == given.message_id)
        message = session.exec(inside.order_by(col(Message.position).desc()).limit(1)).first()
        if message is None:
            raise NotFound(f"there is no message {given.message_id or ''} in this conversation")
        if message.state == "streaming":
            raise BadRequest("the reply is still being written; share it when it has ended")
        link = _link(session, conversation_id)
        if link is None:
            token = secrets.token_urlsafe(TOKEN_BYTES)
            link = Share(token=token, conversation_id=conversation_id, message_id=message.id)
            audit.record(session, caller.person_id, "conversation.share", conversation_id)
        link.message_id = message.id
        session.add(link)
        session.flush()
        return _out(link, conversation), conversation_id

    return await service.changes.write(caller.person_id, page, write)


@router.get("/conversations/{conversation_id}/share")
async def show_share(conversation_id: UUID, caller: User, service: Serving) -> ShareOut:
    """The conversation's link; 404 if it has none."""

    def find(session: Session) -> ShareOut:
        conversation = owned_conversation(session, caller.person_id, conversation_id)
        link = _link(session, conversation_id)
        if link is None:
            raise NotFound(f"there is no link to the conversation {conversation_id}")
        return _out(link, conversation)

    return await service.read(find)


@router.delete("/conversations/{conversation_id}/share", status_code=204)
async def revoke(conversation_id: UUID, caller: User, page: Page, service: Serving) -> None:
    """Take the link back: from now on it leads nowhere, and a later one is another."""

    def write(session: Session) -> tuple[None, UUID | None]:
        owned_conversation(session, caller.person_id, conversation_id)
        if _link(session, conversation_id) is None:
            return None, None
        session.execute(sa.delete(Share).where(col(Share.conversation_id) == conversation_id))
        audit.record(session, caller.person_id, "conversation.unshare", conversation_id)
        return None, conversation_id

    await service.changes.write(caller.person_id, page, write)


@router.get("/me/shares")
async def list_shares(caller: User, service: Serving) -> dict[str, list[ShareOut]]:
    """All links of the caller, the newest first."""
    rows = await service.read(
        lambda session: session.exec(
            select(Share, Conversation)
            .join(Conversation, col(Conversation.id) == col(Share.conversation_id))
            .where(Conversation.person_id == caller.person_id)
            .order_by(col(Share.created_at).desc())
        ).all()
    )
    return {"items": [_out(link, conversation) for link, conversation in rows]}


@router.get("/shared/{token}")
async def read_shared(token: str, response: Response, caller: Anyone, service: Serving) -> SharedOut:
    """What a link shows, to whoever has it."""
    response.headers["X-Robots-Tag"] = "noindex"

    def find(session: Session) -> SharedOut:
        link = session.get(Share, token)
        if link is None:
            raise NotFound("this link leads nowhere: it was never made, or its owner has taken it back")
        title = session.exec(select(Conversation.title).where(Conversation.id == link.conversation_id)).one()
        return SharedOut(title=title, created_at=link.created_at, messages=_shown(session, link.message_id))

    return await service.read(find)


def _link(session: Session, conversation_id: UUID) -> Share | None:
    return session.exec(select(Share).where(Share.conversation_id == conversation_id)).first()


def _out(link: Share, conversation: Conversation) -> ShareOut:
    return ShareOut(title=conversation.title, **link.model_dump())


def _shown(session: Session, last_id: UUID) -> list[SharedTurn]:
    turns: list[SharedTurn] = []
    for message in branch(session, session.get_one(Message, last_id)):
        if message.role in ("user", "assistant"):
            ledger = session.get(Reply, message.id)
            version = ledger.policy_version if ledger is not None else None
            turns.append(SharedTurn.model_validate({**message.model_dump(), "policy_version": version}))
    return turns
