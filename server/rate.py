"""The labelling queue: replies and pairs of consenting people, one at a time to a rater (`queue.py` says which).

Who asked is not told, nor which items are gold.
"""

import random
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from backtalk import opinions, privacy
from backtalk.asking import asked
from backtalk.branch import branch
from backtalk.moment import Moment
from backtalk.opinions import ComparisonIn, Judgement
from backtalk.privacy import Redactor, Rule
from backtalk.tables import Message, Opinion, PairItem, RateItem, Reply, now
from server import queue
from server.access import Caller, requires
from server.changes import Page
from server.errors import BadRequest, NotFound
from server.feedback import ComparisonOut, OpinionOut, keep
from server.queue import Wanted
from server.service import Service, get_service

router = APIRouter(prefix="/api/rate", tags=["rate"])

Held = Annotated[Service, Depends(get_service)]
Rater = Annotated[Caller, requires("rater")]


class Turn(BaseModel):
    """One turn of the conversation that led to the reply."""

    role: str
    content: str


class Item(BaseModel):
    """A reply to be judged."""

    kind: Literal["reply"] = "reply"
    id: UUID
    message_id: UUID
    content: str
    policy_version: int
    turns: list[Turn]
    created_at: datetime
    aspects: list[str]
    reasons: list[str]


class Side(BaseModel):
    """One of two replies to be compared."""

    message_id: UUID
    content: str
    policy_version: int


class Pair(BaseModel):
    """Two replies to one question, to be compared."""

    kind: Literal["pair"] = "pair"
    id: UUID
    left: Side
    right: Side
    turns: list[Turn]
    created_at: datetime


class Verdict(BaseModel):
    """Which of the two is better."""

    model_config = ConfigDict(extra="forbid")

    verdict: Literal["left", "right", "tie", "neither"]


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


@router.get("/next", response_model=Item | Pair, responses={204: {"description": "nothing waits to be judged"}})
async def following(
    service: Held, caller: Rater, after: Annotated[list[UUID], Query(default_factory=list, max_length=50)]
) -> Item | Pair | Response:
    """The caller's open item, or a new one, without what is private in it; 204 when nothing waits.

    `after`: the one that comes after these open items, so that a page can have it ready.
    """
    own = privacy.load(service.settings.data_dir)
    chance = random.random
    for _ in range(3):  # another rater request of the same person may take the same reply in between
        wanted = await service.read(lambda session: queue.following(session, caller.person_id, after, chance))
        if wanted is None:
            break
        assign = _assign if wanted.other_id is None else _assign_pair
        item = await service.writer.write(partial(assign, rater_id=caller.person_id, wanted=wanted, own=own))
        if item is not None:
            return item
    return Response(status_code=204)


@router.get("/progress")
async def progress(service: Held, caller: Rater, since: Moment | None = None) -> Progress:
    """How much the caller has judged, how much waits, and how often they agreed with themselves."""

    def count(session: Session) -> Progress:
        mine = col(RateItem.person_id) == caller.person_id
        is_done = col(RateItem.done_at).is_not(None)
        lately = sa.and_(is_done, col(RateItem.done_at) >= since) if since is not None else is_done
        is_repeated = col(RateItem.second_rating).is_not(None)
        is_same = sa.and_(is_repeated, col(RateItem.second_rating) == col(RateItem.first_rating))
        counts = [sa.func.sum(sa.case((one, 1), else_=0)) for one in (is_done, lately, is_repeated, is_same)]
        done, recent, repeated, agreed = session.execute(sa.select(*counts).where(mine)).one()
        pairs = sa.select(sa.func.count(col(PairItem.done_at))).where(col(PairItem.person_id) == caller.person_id)
        compared = session.execute(pairs).scalar_one()
        if since is not None:
            pairs = pairs.where(col(PairItem.done_at) >= since)
        return Progress(
            done=(done or 0) + compared,
            since=(recent or 0) + session.execute(pairs).scalar_one(),
            waiting=queue.waiting(session, caller.person_id),
            repeated=repeated or 0,
            agreed=agreed or 0,
        )

    return await service.read(count)


@router.post("/{item_id}")
async def rate(
    item_id: UUID, given: Judgement | Verdict, service: Held, caller: Rater, page: Page
) -> OpinionOut | ComparisonOut:
    """Judge a reply that was given to the caller (the same body as feedback), or compare a pair (its `verdict`)."""
    item, pair = await service.read(lambda session: (session.get(RateItem, item_id), session.get(PairItem, item_id)))
    found = item or pair
    if found is None or found.person_id != caller.person_id:
        raise NotFound("there is no such item among yours; ask for the next one")
    if isinstance(found, PairItem):
        if not isinstance(given, Verdict):
            raise BadRequest("this item is a pair; send its verdict: left, right, tie or neither")
        return await _compare(service, found, given)
    if isinstance(given, Verdict):
        raise BadRequest("this item is one reply; send an opinion on it, not a verdict")
    if found.first_rating is not None and given.rewrite is None:  # the question was whether the thumb is the same
        given = given.model_copy(update={"rewrite": await service.read(partial(_rewrite, item=found))})

    def done(session: Session) -> None:
        waiting = sa.update(RateItem).where(col(RateItem.id) == item_id, col(RateItem.done_at).is_(None))
        session.execute(waiting.values(done_at=now()))
        second = sa.update(RateItem).where(col(RateItem.id) == item_id, col(RateItem.first_rating).is_not(None))
        session.execute(second.values(second_rating=given.rating))

    return await keep(service, caller.person_id, found.message_id, given, page, done)


async def _compare(service: Service, pair: PairItem, given: Verdict) -> ComparisonOut:
    """Keep it as the rater's comparison; its key makes a repeat harmless, and a rater may go back to it."""
    service.limits.opinions.use(pair.person_id)
    said = ComparisonIn(key=f"rate {pair.id}", left_id=pair.left_id, right_id=pair.right_id, verdict=given.verdict)

    def change(session: Session) -> ComparisonOut:
        kept = ComparisonOut.model_validate(opinions.compare(session, pair.person_id, said, may_change=True))
        item = session.get_one(PairItem, pair.id)
        item.done_at, item.verdict = item.done_at or now(), given.verdict
        session.add(item)
        return kept

    kept = await service.writer.write(change)
    service.metrics.opinions.labels("comparison").inc()
    return kept


def _rewrite(session: Session, item: RateItem) -> str | None:
    owned = select(Opinion).where(Opinion.person_id == item.person_id, Opinion.message_id == item.message_id)
    opinion = session.exec(owned).first()
    return opinion.rewrite if opinion is not None else None


def _assign(session: Session, rater_id: UUID, wanted: Wanted, own: Sequence[Rule]) -> Item | None:
    message_id = wanted.message_id
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


def _assign_pair(session: Session, rater_id: UUID, wanted: Wanted, own: Sequence[Rule]) -> Pair | None:
    assert wanted.other_id is not None
    owned = select(PairItem).where(
        PairItem.person_id == rater_id, PairItem.left_id == wanted.message_id, PairItem.right_id == wanted.other_id
    )
    item = session.exec(owned).first()
    if item is None:
        left_id, right_id = wanted.message_id, wanted.other_id
        if random.random() < 0.5:  # so that habit does not decide
            left_id, right_id = right_id, left_id
        item = PairItem(person_id=rater_id, left_id=left_id, right_id=right_id)
        try:
            with session.begin_nested():
                session.add(item)
        except IntegrityError:  # another server was faster, or one of the two was erased a moment ago
            return None
    redact = Redactor(own)
    messages = [session.get(Message, side) for side in (item.left_id, item.right_id)]
    replies = [session.get(Reply, side) for side in (item.left_id, item.right_id)]
    left, right = messages
    if left is None or right is None or None in replies:  # erased a moment ago
        return None
    turns = [Turn(role=turn.role, content=redact(turn.content)) for turn in branch(session, left)[:-1]]
    sides = [
        Side(message_id=message.id, content=redact(message.content), policy_version=reply.policy_version)
        for message, reply in zip((left, right), replies, strict=True)
        if reply is not None
    ]
    return Pair(id=item.id, left=sides[0], right=sides[1], turns=turns, created_at=left.created_at)
