"""The labelling queue as operators see it: how items are handed out, which are gold, how far raters can be relied on.

An item is a reply to be judged or a pair to be compared. Gold is one whose right answer an operator knows; raters meet
it unmarked, and how often they answer it rightly is their reliability.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from backtalk import audit
from backtalk.agreement import cohens_kappa, krippendorffs_alpha, wilson
from backtalk.opinions import NoSuchReply, OpinionError
from backtalk.tables import Comparison, Gold, LabellingRules, Opinion, PairItem, Person, RateItem, now

ANSWERS = {"opinion": ("up", "down"), "comparison": ("left", "right")}
"""What can be right, of an opinion's reply and of a comparison's two."""

Key = tuple[UUID, ...]
"""What an item is about: one reply, or two in a fixed order."""


@dataclass(frozen=True, slots=True)
class Rater:
    """How one rater has answered."""

    person_id: UUID
    name: str | None
    answered: int
    gold: int
    """Gold items among them …"""
    gold_right: int
    gold_low: float
    """… and the share answered rightly: 95 % interval (Wilson 1927)."""
    gold_high: float
    shared: int
    """Answers of theirs that can be held against another rater's to the same item …"""
    shared_same: int
    kappa: float | None
    """… with Cohen's κ over all of these pairs; None where there are none."""
    repeated: int
    repeated_same: int
    """Agreement with themselves: replies that they were given twice."""


@dataclass(frozen=True, slots=True)
class Labelling:
    """How the queue does as a whole."""

    answered: int
    items: int
    doubled: int
    """Items that two raters or more have answered."""
    raters: list[Rater]
    kappa: float | None
    """Cohen's κ where just two raters share items."""
    alpha: float | None
    """Krippendorff's α over all of them, for nominal answers."""


def rules(session: Session) -> LabellingRules:
    """The rules as they stand; the defaults where nobody has set any."""
    return session.get(LabellingRules, 1) or LabellingRules()


def set_rules(session: Session, actor: object, **shares: float) -> LabellingRules:
    """Change how items are handed out; what is not named stays."""
    found = rules(session)
    for name, share in shares.items():
        setattr(found, name, share)
    found.updated_at = now()
    session.add(found)
    session.flush()
    audit.record(session, actor, "labelling.set", **shares)
    return found


# Gold --------------------------------------------------------------------------------------------------------------


def mark_gold(session: Session, actor: object, kind: str, item_id: UUID, answer: str, reason: str = "") -> Gold:
    """Make what an opinion or a comparison was about a gold item, with its right answer; again replaces the answer.

    Raises:
        NoSuchReply: there is no such opinion or comparison.
        OpinionError: an answer that such an item cannot have.
    """
    if answer not in ANSWERS[kind]:
        known = " or ".join(ANSWERS[kind])
        raise OpinionError(f"the right answer is {answer[:64]!r}; of an item from this {kind} it is {known}")
    message_id, other_id = _about(session, kind, item_id)
    gold = find_gold(session, message_id, other_id)
    if gold is None:
        gold = Gold(message_id=message_id, other_id=other_id, answer=answer)
    elif gold.message_id != message_id:  # marked before from a comparison that showed them the other way round
        answer = turned(answer)
    gold.answer, gold.reason, gold.made_at = answer, reason, now()
    gold.made_by = actor if isinstance(actor, UUID) else None
    session.add(gold)
    session.flush()
    told = {"other": str(other_id)} if other_id is not None else {}
    audit.record(session, actor, "gold.mark", message_id, answer=answer, reason=reason, **told)
    return gold


def unmark_gold(session: Session, actor: object, kind: str, item_id: UUID) -> None:
    """Make it an item like any other.

    Raises:
        NoSuchReply: there is no such opinion or comparison.
    """
    message_id, other_id = _about(session, kind, item_id)
    gold = find_gold(session, message_id, other_id)
    if gold is not None:
        session.delete(gold)
        audit.record(session, actor, "gold.unmark", message_id)


def find_gold(session: Session, message_id: UUID, other_id: UUID | None) -> Gold | None:
    """The gold item about a reply, or about two of them whichever way round."""
    if other_id is None:
        alone = select(Gold).where(Gold.message_id == message_id, col(Gold.other_id).is_(None))
        return session.exec(alone).first()
    ways = [
        sa.and_(col(Gold.message_id) == one, col(Gold.other_id) == other)
        for one, other in ((message_id, other_id), (other_id, message_id))
    ]
    return session.exec(select(Gold).where(sa.or_(*ways))).first()


def gold_answers(session: Session) -> dict[Key, str]:
    """The right answer to each gold item, as `Key` has it."""
    found: dict[Key, str] = {}
    for gold in session.exec(select(Gold)):
        if gold.other_id is None:
            found[gold.message_id,] = gold.answer
        else:
            found.update([_in_order(gold.message_id, gold.other_id, gold.answer)])
    return found


def _about(session: Session, kind: str, item_id: UUID) -> tuple[UUID, UUID | None]:
    row: Opinion | Comparison | None
    row = session.get(Opinion, item_id) if kind == "opinion" else session.get(Comparison, item_id)
    if row is None:
        raise NoSuchReply(f"there is no {kind} {item_id}")
    return (row.message_id, None) if isinstance(row, Opinion) else (row.left_id, row.right_id)


# Reliability ---------------------------------------------------------------------------------------------------------


def labelling(session: Session) -> Labelling:
    """What raters have answered, how often rightly, and how far they agree."""
    answers = _answers(session)
    gold = gold_answers(session)
    given: dict[UUID, dict[Key, str]] = defaultdict(dict)
    for key, by_rater in answers.items():
        for rater_id, answer in by_rater.items():
            given[rater_id][key] = answer
    shared = [by_rater for by_rater in answers.values() if len(by_rater) > 1]
    sharing = {rater_id for by_rater in shared for rater_id in by_rater}
    names = dict(session.execute(sa.select(col(Person.id), col(Person.name)).where(col(Person.id).in_(given))).all())
    repeated = _repeated(session)
    raters = [
        _rater(rater_id, names.get(rater_id), own, gold, shared, repeated.get(rater_id, (0, 0)))
        for rater_id, own in given.items()
    ]
    return Labelling(
        answered=sum(map(len, given.values())),
        items=len(answers),
        doubled=len(shared),
        raters=sorted(raters, key=lambda one: (-one.answered, one.person_id)),
        kappa=cohens_kappa(_sides(shared, min(sharing))) if len(sharing) == 2 else None,
        alpha=krippendorffs_alpha([list(by_rater.values()) for by_rater in shared]),
    )


def unreliable(session: Session, least: float) -> frozenset[UUID]:
    """Raters who surely answer less than this share of the gold items rightly."""
    if not least:
        return frozenset()
    return frozenset(one.person_id for one in labelling(session).raters if one.gold and one.gold_high < least)


def _rater(
    rater_id: UUID,
    name: str | None,
    own: Mapping[Key, str],
    gold: Mapping[Key, str],
    shared: Sequence[Mapping[UUID, str]],
    repeated: tuple[int, int],
) -> Rater:
    met = [own[key] == right for key, right in gold.items() if key in own]
    low, high = wilson(sum(met), len(met))
    pairs = _sides(shared, rater_id)
    return Rater(
        person_id=rater_id,
        name=name,
        answered=len(own),
        gold=len(met),
        gold_right=sum(met),
        gold_low=low,
        gold_high=high,
        shared=len(pairs),
        shared_same=sum(one == other for one, other in pairs),
        kappa=cohens_kappa(pairs),
        repeated=repeated[0],
        repeated_same=repeated[1],
    )


def _sides(shared: Iterable[Mapping[UUID, str]], rater_id: UUID) -> list[tuple[str, str]]:
    """The rater's answer beside each other one's to the same item."""
    return [
        (by_rater[rater_id], answer)
        for by_rater in shared
        if rater_id in by_rater
        for other, answer in by_rater.items()
        if other != rater_id
    ]


def _answers(session: Session) -> dict[Key, dict[UUID, str]]:
    """What each rater answered to each item of the queue; items that were passed over have no answer."""
    found: dict[Key, dict[UUID, str]] = defaultdict(dict)
    thumbs = session.execute(
        sa.select(col(RateItem.message_id), col(RateItem.person_id), col(Opinion.rating))
        .join(
            Opinion,
            sa.and_(
                col(Opinion.message_id) == col(RateItem.message_id), col(Opinion.person_id) == col(RateItem.person_id)
            ),
        )
        .where(col(RateItem.done_at).is_not(None), col(Opinion.rating).is_not(None), ~col(Opinion.withdrawn))
    )
    for message_id, rater_id, rating in thumbs:
        found[message_id,][rater_id] = "up" if rating > 0 else "down"
    for pair in session.exec(select(PairItem).where(col(PairItem.verdict).is_not(None))):
        assert pair.verdict is not None
        key, answer = _in_order(pair.left_id, pair.right_id, pair.verdict)
        found[key][pair.person_id] = answer
    return found


def _repeated(session: Session) -> dict[UUID, tuple[int, int]]:
    """Replies that each rater was given twice, and how many of them got the same thumb again."""
    same = sa.func.sum(sa.case((col(RateItem.first_rating) == col(RateItem.second_rating), 1), else_=0))
    twice = (
        sa.select(col(RateItem.person_id), sa.func.count(), same)
        .where(col(RateItem.second_rating).is_not(None))
        .group_by(col(RateItem.person_id))
    )
    return {rater_id: (count, int(agreed)) for rater_id, count, agreed in session.execute(twice)}


def _in_order(left: UUID, right: UUID, verdict: str) -> tuple[Key, str]:
    """A pair and its verdict, the smaller id on the left: raters see pairs either way round."""
    return ((left, right), verdict) if left < right else ((right, left), turned(verdict))


def turned(verdict: str) -> str:
    """A verdict as it is with the two the other way round."""
    return {"left": "right", "right": "left"}.get(verdict, verdict)
