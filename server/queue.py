"""Which item of the labelling queue a rater is given next.

What is open comes first. Then lots decide: a gold item, a pair that the reward heads disagree on, a reply that one
other rater has judged; otherwise the reply with the fewest opinions. Now and then it is a reply that the rater has
judged before: how often the two thumbs are the same is the rater's agreement with themselves, the most that agreement
with others can be expected to reach.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from backtalk import labelling
from backtalk.consent import may_train
from backtalk.tables import Comparison, Contested, Gold, Message, Opinion, PairItem, RateItem

CANDIDATES = 1000
"""So many of the newest replies are looked at for the one with the fewest opinions."""
REPEAT_EVERY = 10
"""After so many new items comes one from before, not from among the last so many."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to put before a rater: a reply, or two of them."""

    message_id: UUID
    other_id: UUID | None = None


def following(session: Session, rater_id: UUID, after: Sequence[UUID], chance: Callable[[], float]) -> Wanted | None:
    """What a rater is given next; None when nothing waits.

    Args:
        after: open items that the rater has at hand already.
        chance: draws from 0 to 1.
    """
    known = _open(session, rater_id, after) or _again(session, rater_id)
    if known is not None:
        return known
    rules = labelling.rules(session)
    if chance() < rules.gold_share and (gold := _gold(session, rater_id)) is not None:
        return gold
    if chance() < rules.pair_share and (pair := _contested(session, rater_id)) is not None:
        return pair
    # Of n replies n·d are given twice, so of the n + n·d times that one is given, this share is a second time.
    second = rules.double_share / (1 + rules.double_share)
    if chance() < second and (half := _reply(session, rater_id, given=1)) is not None:
        return half
    return _reply(session, rater_id) or _contested(session, rater_id)


def waiting(session: Session, rater_id: UUID) -> int:
    """How many replies this rater could still judge; counted up to `CANDIDATES`."""
    counted: int = session.execute(sa.select(sa.func.count()).select_from(_judgeable(rater_id))).scalar_one()
    return counted


def _open(session: Session, rater_id: UUID, after: Sequence[UUID]) -> Wanted | None:
    """The rater's oldest open item other than those in `after`, as long as its author still consents."""
    alone = session.execute(
        sa.select(col(RateItem.created_at), col(RateItem.message_id))
        .join(Message, col(Message.id) == col(RateItem.message_id))
        .where(col(RateItem.person_id) == rater_id, col(RateItem.done_at).is_(None), may_train(Message))
        .where(col(RateItem.id).not_in(after))
        .order_by(col(RateItem.created_at))
        .limit(1)
    ).first()
    pair = session.execute(
        sa.select(col(PairItem.created_at), col(PairItem.left_id), col(PairItem.right_id))
        .join(Message, col(Message.id) == col(PairItem.left_id))
        .where(col(PairItem.person_id) == rater_id, col(PairItem.done_at).is_(None), may_train(Message))
        .where(col(PairItem.id).not_in(after))
        .order_by(col(PairItem.created_at))
        .limit(1)
    ).first()
    if pair is not None and (alone is None or pair.created_at < alone.created_at):
        return Wanted(pair.left_id, pair.right_id)
    return Wanted(alone.message_id) if alone is not None else None


def _again(session: Session, rater_id: UUID) -> Wanted | None:
    """The reply that it is time to show the rater once more: the first of those with a thumb, not shown twice yet."""
    items = session.exec(select(RateItem).where(RateItem.person_id == rater_id).order_by(col(RateItem.done_at))).all()
    done = [item for item in items if item.done_at is not None]
    if len(done) < REPEAT_EVERY * (sum(item.first_rating is not None for item in items) + 2):
        return None
    candidates = [item.message_id for item in done[:-REPEAT_EVERY] if item.first_rating is None]
    found = session.exec(
        select(RateItem.message_id)
        .join(Message, col(Message.id) == col(RateItem.message_id))
        .join(Opinion, sa.and_(col(Opinion.message_id) == col(Message.id), col(Opinion.person_id) == rater_id))
        .where(RateItem.person_id == rater_id, col(RateItem.message_id).in_(candidates), may_train(Message))
        .where(col(Opinion.rating).is_not(None), ~col(Opinion.withdrawn))
        .order_by(col(RateItem.done_at))
        .limit(1)
    ).first()
    return Wanted(found) if found is not None else None


def _gold(session: Session, rater_id: UUID) -> Wanted | None:
    """The first gold item that this rater has not met."""
    met = sa.or_(
        sa.and_(col(Gold.other_id).is_(None), _has_judged(rater_id, col(Gold.message_id))),
        _has_compared(rater_id, col(Gold.message_id), col(Gold.other_id)),
    )
    found = session.execute(
        sa.select(col(Gold.message_id), col(Gold.other_id))
        .join(Message, col(Message.id) == col(Gold.message_id))
        .where(col(Message.person_id) != rater_id, may_train(Message), ~met)
        .order_by(col(Gold.made_at))
        .limit(1)
    ).first()
    return Wanted(*found) if found is not None else None


def _contested(session: Session, rater_id: UUID) -> Wanted | None:
    """The pair that the heads of the reward model disagree on most and this rater has not compared."""
    other = aliased(Message)
    found = session.execute(
        sa.select(col(Contested.left_id), col(Contested.right_id))
        .join(Message, col(Message.id) == col(Contested.left_id))
        .join(other, col(other.id) == col(Contested.right_id))
        .where(col(Message.person_id) != rater_id, may_train(Message), may_train(other))
        .where(~_has_compared(rater_id, col(Contested.left_id), col(Contested.right_id)))
        .order_by(col(Contested.disagreement).desc(), col(Contested.left_id))
        .limit(1)
    ).first()
    return Wanted(*found) if found is not None else None


def _reply(session: Session, rater_id: UUID, given: int | None = None) -> Wanted | None:
    """Of the newest finished replies that this rater may judge and has not: the newest with the fewest opinions.

    Args:
        given: only replies that so many raters were given; the oldest of them first, so that they are settled.
    """
    newest = _judgeable(rater_id)
    judged = (
        sa.select(sa.func.count())
        .where(col(Opinion.message_id) == newest.c.id, ~col(Opinion.withdrawn))
        .scalar_subquery()
    )
    query = sa.select(newest.c.id)
    if given is not None:
        raters = sa.select(sa.func.count()).where(col(RateItem.message_id) == newest.c.id).scalar_subquery()
        query = query.where(raters == given).order_by(newest.c.created_at)
    else:
        query = query.order_by(judged, newest.c.created_at.desc())
    picked: UUID | None = session.execute(query.limit(1)).scalar()
    return Wanted(picked) if picked is not None else None


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
            ~_has_judged(rater_id, col(Message.id)),
        )
        .order_by(col(Message.created_at).desc())
        .limit(CANDIDATES)
        .subquery()
    )


def _has_judged(rater_id: UUID, message_id: Any) -> sa.ColumnElement[bool]:
    """Was the reply in this column given to the rater, or has the rater an opinion on it?"""
    return sa.or_(
        sa.exists().where(col(RateItem.message_id) == message_id, col(RateItem.person_id) == rater_id),
        sa.exists().where(col(Opinion.message_id) == message_id, col(Opinion.person_id) == rater_id),
    )


def _has_compared(rater_id: UUID, left_id: Any, right_id: Any) -> sa.ColumnElement[bool]:
    """Were the two in these columns given to the rater, or has the rater compared them, whichever way round?"""
    return sa.or_(
        *(
            sa.exists().where(col(table.person_id) == rater_id, col(table.left_id) == one, col(table.right_id) == other)
            for table in (PairItem, Comparison)
            for one, other in ((left_id, right_id), (right_id, left_id))
        )
    )
