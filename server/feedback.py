"""What people think of replies: thumbs, scores, reasons, rewrites, comparisons, and what came of them.

`GET` of an opinion that was never given, or was withdrawn, is 404. `DELETE` withdraws: the answer is the opinion as it
was, its revision one higher; the history stays.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session

from backtalk import opinions, receipts
from backtalk.opinions import ComparisonIn, Judgement
from backtalk.receipts import Idle
from backtalk.tables import Message, Opinion
from server.access import Caller, requires
from server.changes import Page
from server.errors import NotFound
from server.service import Service, get_service

router = APIRouter(prefix="/api", tags=["feedback"])

Held = Annotated[Service, Depends(get_service)]
User = Annotated[Caller, requires("user")]


class OpinionOut(BaseModel):
    """The stored opinion of one person on one reply."""

    model_config = ConfigDict(from_attributes=True)

    message_id: UUID
    rating: int | None
    rewrite: str | None
    labels: dict[str, int]
    reasons: list[str]
    note: str | None
    revision: int
    withdrawn: bool
    created_at: datetime
    updated_at: datetime


class ComparisonOut(BaseModel):
    """The stored comparison of two replies."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    key: str
    left_id: UUID
    right_id: UUID
    verdict: str
    created_at: datetime


class LessonOut(BaseModel):
    """A version that learned from an opinion, in which state of the opinion, and whether people chat with it."""

    model_config = ConfigDict(from_attributes=True)

    number: int
    revision: int
    state: str
    live_at: datetime | None = Field(description="When it went live for the first time.")
    is_in_live: bool = Field(description="The live version has learned it: it is this one, or comes from it.")


class Receipt(BaseModel):
    """One opinion or comparison and the versions that learned from it."""

    kind: str
    id: UUID
    message_id: UUID
    rating: int | None
    rewritten: bool
    at: datetime
    idle: Idle | None = Field(description="Why no run will learn from it, whatever did before; null: one may.")
    versions: list[LessonOut]


class Learned(BaseModel):
    """What a version learned from."""

    number: int
    opinions: int
    mine: int
    """So many of them are the caller's."""


@router.put("/messages/{reply_id}/feedback")
async def give(reply_id: UUID, given: Judgement, service: Held, caller: User, page: Page) -> OpinionOut:
    """Keep the caller's opinion on a reply; the same again changes nothing."""
    return await keep(service, caller.person_id, reply_id, given, page)


@router.get("/messages/{reply_id}/feedback")
async def show(reply_id: UUID, service: Held, caller: User) -> OpinionOut:
    """The caller's opinion on a reply."""
    return await service.read(lambda session: _out(opinions.standing(session, caller.person_id, reply_id)))


@router.delete("/messages/{reply_id}/feedback")
async def withdraw(reply_id: UUID, service: Held, caller: User, page: Page) -> OpinionOut:
    """Take the caller's opinion back: it counts and trains no longer."""
    service.limits.opinions.use(caller.person_id)

    def change(session: Session) -> tuple[OpinionOut, UUID | None]:
        withdrawn = _out(opinions.withdraw(session, caller.person_id, reply_id))
        return withdrawn, _where(session, caller.person_id, reply_id)

    return await service.changes.write(caller.person_id, page, change)


@router.post("/comparisons")
async def compare(given: ComparisonIn, service: Held, caller: User, page: Page) -> ComparisonOut:
    """Keep which of two replies to one question is better; the same key again changes nothing."""
    service.limits.opinions.use(caller.person_id)

    def change(session: Session) -> tuple[ComparisonOut, UUID | None]:
        kept = ComparisonOut.model_validate(opinions.compare(session, caller.person_id, given))
        return kept, _where(session, caller.person_id, given.left_id)

    kept = await service.changes.write(caller.person_id, page, change)
    service.metrics.opinions.labels("comparison").inc()
    return kept


@router.get("/me/receipts")
async def mine(service: Held, caller: User) -> dict[str, list[Receipt]]:
    """Each opinion of the caller and the versions that learned from it."""
    items = await service.read(lambda session: receipts.of_person(session, caller.person_id))
    return {"items": [Receipt.model_validate(item) for item in items]}


@router.get("/me/receipts/live")
async def learned_since(known: int, service: Held, caller: User) -> Learned:
    """The live version, and from how many opinions it learned since the version that the caller knows."""
    found = await service.read(lambda session: receipts.of_live(session, known, caller.person_id))
    if found is None:
        raise NotFound("no version is live yet")
    number, total, mine = found
    return Learned(number=number, opinions=total, mine=mine)


@router.get("/me/receipts/{number}")
async def learned(number: Annotated[int, Path(ge=0, le=2**31 - 1)], service: Held, caller: User) -> Learned:
    """From how many opinions a version learned, and how many of them were the caller's."""
    found = await service.read(lambda session: receipts.of_version(session, number, caller.person_id))
    if found is None:
        raise NotFound(f"there is no version {number}")
    total, mine = found
    return Learned(number=number, opinions=total, mine=mine)


async def keep(
    service: Service,
    person_id: UUID,
    reply_id: UUID,
    given: Judgement,
    page: str | None,
    also: Callable[[Session], None] = lambda session: None,
) -> OpinionOut:
    """Keep an opinion, and do something else in the same transaction, within the limit of opinions a minute."""
    service.limits.opinions.use(person_id)

    def change(session: Session) -> tuple[OpinionOut, UUID | None]:
        also(session)
        kept = _out(opinions.judge(session, person_id, reply_id, given))  # told as it is in this transaction
        return kept, _where(session, person_id, reply_id)

    kept = await service.changes.write(person_id, page, change)
    service.metrics.opinions.labels("opinion").inc()
    return kept


def _where(session: Session, person_id: UUID, reply_id: UUID) -> UUID | None:
    """The conversation in which the person finds this reply; raters judge replies of others, and find them nowhere."""
    message = session.get(Message, reply_id)
    return message.conversation_id if message is not None and message.person_id == person_id else None


def _out(opinion: Opinion) -> OpinionOut:
    return OpinionOut.model_validate(opinion)
