"""The labelling queue: replies of consenting people, those with the fewest opinions first, one at a time to a rater.

Now and then an item is one that the rater has judged before: how often the two thumbs are the same is the rater's
agreement with themselves, the most that agreement with others can be expected to reach.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from backtalk import privacy
from backtalk.asking import asked
from backtalk.branch import branch
from backtalk.consent import may_train
from backtalk.opinions import Judgement
from backtalk.privacy import Redactor, Rule
from backtalk.tables import Message, Opinion, RateItem, Reply, now
from server.access import Caller, requires
from server.errors import NotFound
from server.feedback import OpinionOut, keep
from server.service import Service, get_service

router = APIRouter(prefix="/api/rate", tags=["rate"])

CANDIDATES = 1000
"""So many of the newest replies are looked at for the one with the fewest opinions."""
REPEAT_EVERY = 10
"""After so many new items comes one from before, not from among the last so many."""

Held = Annotated[Service, Depends(get_service)]
Rater = Annotated[Caller, requires("rater")]


class Turn(BaseModel):
    """One turn of the conversation that led to the reply."""

    role: str
    content: str


class Item(BaseModel):
    """A reply to be judged; who asked is not told."""

    id: UUID
    message_id: UUID
    content: str
    policy_version: int
    turns: list[Turn]
    created_at: datetime
    aspects: list[str]
    reasons: list[str]


class Progress(BaseModel):
    """How far a rater has come."""

    done: int
    since: int
    """Of these, since the moment that was asked about."""
    waiting: int
    """Replies that the rater could still judge; counted up to a thousand."""
    repeated: int
    """Replies with a thumb that were shown to the rater again and got another one …"""
    agreed: int
    """… and of these, those that got the same thumb."""


@router.get("/next", response_model=Item, responses={204: {"description": "nothing waits to be judged"}})
async def following(
    service: Held, caller: Rater, after: Annotated[list[UUID], Query(default_factory=list, max_length=50)]
) -> Item | Response:
    """The caller's open item, or a new one, without what is private in it; 204 when nothing waits.

    `after`: the one that comes after these open items, so that a page can have it ready.
    """
    own = privacy.load(service.settings.data_dir)

    def find(session: Session) -> UUID | None:
        rater_id = caller.person_id
        return _open(session, rater_id, after) or _again(session, rater_id) or _pick(session, rater_id)

    for _ in range(3):  # another rater request of the same person may take the same reply in between
        found = await service.read(find)
        if found is None:
            break
        item = await service.writer.write(partial(_assign, rater_id=caller.person_id, message_id=found, own=own))
        if item is not None:
            return item
    return Response(status_code=204)


@router.get("/progress")
async def progress(service: Held, caller: Rater, since: datetime | None = None) -> Progress:
    """How much the caller has judged, how much waits, and how often they agreed with themselves."""

    def count(session: Session) -> Progress:
        mine = col(RateItem.person_id) == caller.person_id
        is_done = col(RateItem.done_at).is_not(None)
        lately = sa.and_(is_done, col(RateItem.done_at) >= since) if since is not None else is_done
        is_repeated = col(RateItem.second_rating).is_not(None)
        is_same = sa.and_(is_repeated, col(RateItem.second_rating) == col(RateItem.first_rating))
        counts = [sa.func.sum(sa.case((one, 1), else_=0)) for one in (is_done, lately, is_repeated, is_same)]
        done, recent, repeated, agreed = session.execute(sa.select(*counts).where(mine)).one()
        waiting = session.execute(sa.select(sa.func.count()).select_from(_judgeable(caller.person_id))).scalar_one()
        return Progress(done=done or 0, since=recent or 0, waiting=waiting, repeated=repeated or 0, agreed=agreed or 0)

    return await service.read(count)


@router.post("/{item_id}")
async def rate(item_id: UUID, given: Judgement, service: Held, caller: Rater) -> OpinionOut:
    """Judge an item that was given to the caller: the same body as feedback, kept as the caller's opinion."""
    item = await service.read(lambda session: session.get(RateItem, item_id))
    if item is None or item.person_id != caller.person_id:
        raise NotFound("there is no such item among yours; ask for the next one")
    if item.first_rating is not None and given.rewrite is None:  # the question was whether the thumb is the same
        given = given.model_copy(update={"rewrite": await service.read(partial(_rewrite, item=item))})

    def done(session: Session) -> None:
        waiting = sa.update(RateItem).where(col(RateItem.id) == item_id, col(RateItem.done_at).is_(None))
        session.execute(waiting.values(done_at=now()))
        second = sa.update(RateItem).where(col(RateItem.id) == item_id, col(RateItem.first_rating).is_not(None))
        session.execute(second.values(second_rating=given.rating))

    return await keep(service, caller.person_id, item.message_id, given, done)


def _open(session: Session, rater_id: UUID, after: Sequence[UUID]) -> UUID | None:
    """The reply of the rater's open item other than those in `after`, as long as its author still consents."""
    return session.exec(
        select(RateItem.message_id)
        .join(Message, col(Message.id) == col(RateItem.message_id))
        .where(RateItem.person_id == rater_id, col(RateItem.done_at).is_(None), may_train(Message))
        .where(col(RateItem.id).not_in(after))
        .order_by(col(RateItem.created_at))
        .limit(1)
    ).first()


def _rewrite(session: Session, item: RateItem) -> str | None:
    owned = select(Opinion).where(Opinion.person_id == item.person_id, Opinion.message_id == item.message_id)
    opinion = session.exec(owned).first()
    return opinion.rewrite if opinion is not None else None


def _again(session: Session, rater_id: UUID) -> UUID | None:
    """The reply that it is time to show the rater once more: the first of those with a thumb, not shown twice yet."""
    items = session.exec(select(RateItem).where(RateItem.person_id == rater_id).order_by(col(RateItem.done_at))).all()
    done = [item for item in items if item.done_at is not None]
    if len(done) < REPEAT_EVERY * (sum(item.first_rating is not None for item in items) + 2):
        return None
    candidates = [item.message_id for item in done[:-REPEAT_EVERY] if item.first_rating is None]
    return session.exec(
        select(RateItem.message_id)
        .join(Message, col(Message.id) == col(RateItem.message_id))
        .join(Opinion, sa.and_(col(Opinion.message_id) == col(Message.id), col(Opinion.person_id) == rater_id))
        .where(RateItem.person_id == rater_id, col(RateItem.message_id).in_(candidates), may_train(Message))
        .where(col(Opinion.rating).is_not(None), ~col(Opinion.withdrawn))
        .order_by(col(RateItem.done_at))
        .limit(1)
    ).first()


def _pick(session: Session, rater_id: UUID) -> UUID | None:
    """Of the newest finished replies that this rater may judge and has not: the newest with the fewest opinions."""
    newest = _judgeable(rater_id)
    judged = (
        sa.select(sa.func.count())
        .where(col(Opinion.message_id) == newest.c.id, ~col(Opinion.withdrawn))
        .scalar_subquery()
    )
    picked: UUID | None = session.execute(
        sa.select(newest.c.id).order_by(judged, newest.c.created_at.desc()).limit(1)
    ).scalar()
    return picked


def _judgeable(rater_id: UUID) -> sa.Subquery:
    """The newest finished replies that this rater may judge and has not."""
    return (
        select(Message.id, Message.created_at)
        .where(
            Message.role == "assistant",
            col(Message.state).not_in(("streaming", "failed")),
            Message.content != "",
            Message.person_id != rater_id,
            may_train(Message),
            ~sa.exists().where(col(RateItem.message_id) == col(Message.id), col(RateItem.person_id) == rater_id),
            ~sa.exists().where(col(Opinion.message_id) == col(Message.id), col(Opinion.person_id) == rater_id),
        )
        .order_by(col(Message.created_at).desc())
        .limit(CANDIDATES)
        .subquery()
    )


def _assign(session: Session, rater_id: UUID, message_id: UUID, own: Sequence[Rule]) -> Item | None:
    message, reply = session.get(Message, message_id), session.get(Reply, message_id)
    if message is None or reply is None:  # erased a moment ago
        return None
    owned = select(RateItem).where(RateItem.person_id == rater_id, RateItem.message_id == message_id)
    item = session.exec(owned).first()
    if item is not None and item.done_at is not None:  # once more
        opinion = session.exec(select(Opinion).where(Opinion.person_id == rater_id, Opinion.message_id == message_id))
        item.first_rating, item.done_at = opinion.one().rating, None
        session.add(item)
    if item is None:
        item = RateItem(person_id=rater_id, message_id=message_id)
        try:
            with session.begin_nested():
                session.add(item)
        except IntegrityError:  # another server was faster, on Postgres
            item = session.exec(owned).one()
    redact, asking = Redactor(own), asked(session)
    turns = [Turn(role=turn.role, content=redact(turn.content)) for turn in branch(session, message)[:-1]]
    return Item(
        id=item.id,
        message_id=message_id,
        content=redact(message.content),
        policy_version=reply.policy_version,
        turns=turns,
        created_at=message.created_at,
        aspects=[aspect.name for aspect in asking.aspects],
        reasons=[reason.id for reason in asking.reasons],
    )
