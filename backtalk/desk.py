"""The feedback desk: what people said of replies, the conversations around it, and what shall never train.

Text is shown only where everybody who wrote it lets it train, and with placeholders for what is private in it; of the
others one sees that there is an opinion, not what it says.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from backtalk import audit
from backtalk.branch import branch
from backtalk.labelling import turned
from backtalk.moment import Moment
from backtalk.opinions import NoSuchReply, OpinionError
from backtalk.privacy import Redactor, Rule
from backtalk.tables import Comparison, Conversation, Gold, Message, Opinion, Person, Policy, Reply, RunItem

Kind = Literal["opinion", "comparison"]
Given = Opinion | Comparison
T = TypeVar("T", Message, Reply, Person)
AT_ONCE = 500


class DeskError(OpinionError):
    """The desk cannot show or do what was asked; the message says why."""


def _number(text: object) -> object:
    """An address holds only text, and `Literal` does not turn it into numbers."""
    return {"1": 1, "-1": -1}.get(str(text), text)


class Filters(BaseModel):
    """Which opinions are wanted."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind = "opinion"
    version: int | None = Field(None, description="On replies of this policy version.")
    rating: Annotated[Literal[1, -1], BeforeValidator(_number)] | None = None
    reason: str | None = None
    aspect: str | None = Field(None, description="With a score for this aspect.")
    rewritten: bool | None = Field(None, description="With, or without, a rewrite.")
    excluded: bool | None = None
    gold: bool | None = Field(None, description="On gold items, or on others.")
    person_id: UUID | None = None
    since: Moment | None = Field(None, description="Given, or changed, at this moment or later.")
    until: Moment | None = Field(None, description="Given, or last changed, before this moment.")
    before: str | None = Field(None, description="Only older ones: the `next` of the page before.")


class Feedback(BaseModel):
    """An opinion or a comparison, with its text where its writers let it train."""

    kind: Kind
    id: UUID
    person_id: UUID
    person: str | None
    consent: bool
    person_excluded: bool = Field(False, description="Nothing of this person trains.")
    message_id: UUID
    other_id: UUID | None = Field(None, description="The right-hand reply of a comparison.")
    policy_version: int
    rating: int | None = None
    verdict: str | None = None
    labels: dict[str, int] = {}
    reasons: list[str] = []
    withdrawn: bool = False
    excluded: bool
    revision: int = 1
    at: datetime
    question: str | None = None
    reply: str | None = None
    other_reply: str | None = None
    rewrite: str | None = None
    note: str | None = None
    versions: list[int] = Field([], description="Versions that learned from it.")
    gold: str | None = Field(None, description="The right answer, where what it is about is a gold item.")


class Page(BaseModel):
    """Some of them, newest first; `next` goes into `before` for older ones."""

    items: list[Feedback]
    next: str | None


class ThreadTurn(BaseModel):
    """One turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Touched:
    """A version that learned from somebody, and how much of what it learned from was theirs."""

    number: int
    opinions: int
    share: float


def page(session: Session, filters: Filters, limit: int, own: Sequence[Rule] = ()) -> Page:
    """Opinions or comparisons, newest first.

    Args:
        own: the operators' patterns of what is private.

    Raises:
        DeskError: filters that do not fit each other.
    """
    rows = session.exec(_wanted(filters).limit(limit + 1)).all()
    shown = rows[:limit]
    following = f"{_at(shown[-1]).isoformat()}/{shown[-1].id}" if len(rows) > limit else None
    return Page(items=_shown(session, shown, own), next=following)


def everything(session: Session, filters: Filters, own: Sequence[Rule] = ()) -> Iterator[Feedback]:
    """All that pass the filters, newest first, read a few at a time."""
    while True:
        found = page(session, filters, AT_ONCE, own)
        yield from found.items
        if found.next is None:
            return
        filters = filters.model_copy(update={"before": found.next})


def thread(session: Session, actor: object, kind: Kind, item_id: UUID, own: Sequence[Rule] = ()) -> list[ThreadTurn]:
    """The conversation up to the reply that an opinion is about, with placeholders for what is private.

    The log keeps who read it: it is somebody's own conversation.

    Raises:
        NoSuchReply: there is no such opinion.
        DeskError: its owner does not let it train, so nobody else reads it.
    """
    row = _row(session, kind, item_id)
    message = session.get_one(Message, row.message_id if isinstance(row, Opinion) else row.left_id)
    owner, conversation = session.get_one(Person, message.person_id), session.get(Conversation, message.conversation_id)
    if not owner.consent_train or conversation is None or not conversation.train:
        raise DeskError("whoever wrote this conversation does not let it train, so it is not shown")
    audit.record(session, actor, "feedback.read", item_id, kind=kind, person=str(owner.id))
    redact = Redactor(own)
    return [ThreadTurn(role=turn.role, content=redact(turn.content)) for turn in branch(session, message)]


def exclude(session: Session, actor: object, kind: Kind, item_id: UUID, excluded: bool, reason: str) -> Given:
    """Keep an opinion out of training, or let it in again.

    Raises:
        NoSuchReply: there is no such opinion.
    """
    row = _row(session, kind, item_id)
    if row.excluded != excluded:
        row.excluded = excluded
        session.add(row)
        action = "feedback.exclude" if excluded else "feedback.include"
        audit.record(session, actor, action, item_id, kind=kind, reason=reason)
    return row


def exclude_person(session: Session, actor: object, person_id: UUID, excluded: bool, reason: str) -> Person:
    """Keep everything of a person out of training, what they gave and what they will give; or let it in again.

    Raises:
        NoSuchReply: there is no such person.
    """
    person = giver(session, person_id)
    if person.excluded != excluded:
        person.excluded = excluded
        session.add(person)
        action = "person.exclude" if excluded else "person.include"
        audit.record(session, actor, action, person_id, reason=reason)
    return person


def giver(session: Session, person_id: UUID) -> Person:
    """Somebody who gives feedback.

    Raises:
        NoSuchReply: there is no such person.
    """
    person = session.get(Person, person_id)
    if person is None:
        raise NoSuchReply(f"there is no person {person_id}")
    return person


def touched(session: Session, person_id: UUID) -> list[Touched]:
    """The versions that learned from a person, oldest first."""
    theirs = sa.func.sum(sa.case((col(RunItem.person_id) == person_id, 1), else_=0))
    rows = session.execute(
        sa.select(col(Policy.number), theirs, sa.func.count())
        .join(RunItem, col(RunItem.run_id) == col(Policy.run_id))
        .where(
            col(RunItem.run_id).in_(
                sa.select(col(RunItem.run_id)).where(col(RunItem.person_id) == person_id).distinct()
            )
        )
        .group_by(col(Policy.number))
        .order_by(col(Policy.number))
    )
    return [Touched(number, int(own), round(own / count, 4)) for number, own, count in rows]


def one(session: Session, kind: Kind, item_id: UUID, own: Sequence[Rule] = ()) -> Feedback:
    """One of them by its id.

    Raises:
        NoSuchReply: there is no such opinion.
    """
    return shown(session, _row(session, kind, item_id), own)


def shown(session: Session, row: Given, own: Sequence[Rule] = ()) -> Feedback:
    """One opinion or comparison as the desk shows it."""
    return _shown(session, [row], own)[0]


def _row(session: Session, kind: Kind, item_id: UUID) -> Given:
    row: Given | None = session.get(Opinion, item_id) if kind == "opinion" else session.get(Comparison, item_id)
    if row is None:
        raise NoSuchReply(f"there is no {kind} {item_id}")
    return row


def _at(row: Given) -> datetime:
    return row.updated_at if isinstance(row, Opinion) else row.created_at


def _wanted(filters: Filters) -> SelectOfScalar[Any]:
    of_opinions = [name for name in ("rating", "reason", "aspect", "rewritten") if getattr(filters, name) is not None]
    if filters.kind == "comparison" and of_opinions:
        raise DeskError(f"comparisons have no {of_opinions[0]}; leave it out, or ask for kind=opinion")
    table: Any = Opinion if filters.kind == "opinion" else Comparison
    reply_id = Opinion.message_id if filters.kind == "opinion" else Comparison.left_id
    at = col(Opinion.updated_at if filters.kind == "opinion" else Comparison.created_at)
    query = select(table).order_by(at.desc(), col(table.id).desc())
    if filters.version is not None:
        query = query.join(Reply, col(Reply.id) == reply_id).where(Reply.policy_version == filters.version)
    if filters.excluded is not None:
        query = query.where(col(table.excluded) == filters.excluded)
    if filters.gold is not None:
        query = query.where(_is_gold(filters.kind) == filters.gold)
    if filters.person_id is not None:
        query = query.where(table.person_id == filters.person_id)
    if filters.rating is not None:
        query = query.where(Opinion.rating == filters.rating)
    if filters.reason is not None:
        reasons = sa.cast(col(Opinion.reasons), sa.Text)
        query = query.where(reasons.contains(json.dumps(filters.reason), autoescape=True))
    if filters.aspect is not None:
        query = query.where(col(Opinion.labels)[filters.aspect].as_integer().is_not(None))
    if filters.rewritten is not None:
        query = query.where(col(Opinion.rewrite).is_not(None) == filters.rewritten)
    for moment, is_in in ((filters.since, at.__ge__), (filters.until, at.__lt__)):
        if moment is not None:
            query = query.where(is_in(moment if moment.tzinfo else moment.replace(tzinfo=UTC)))
    if filters.before is not None:
        moment, item_id = _cursor(filters.before)
        query = query.where(sa.or_(at < moment, sa.and_(at == moment, col(table.id) < item_id)))
    return query


def _is_gold(kind: Kind) -> sa.ColumnElement[bool]:
    if kind == "opinion":
        return sa.exists().where(col(Gold.message_id) == col(Opinion.message_id), col(Gold.other_id).is_(None))
    sides = (col(Comparison.left_id), col(Comparison.right_id))
    ways = [sa.and_(col(Gold.message_id) == one, col(Gold.other_id) == other) for one, other in (sides, sides[::-1])]
    return sa.exists().where(sa.or_(*ways))


def _cursor(text: str) -> tuple[datetime, UUID]:
    moment, _, item_id = text.partition("/")
    try:
        at = datetime.fromisoformat(moment.replace(" ", "+"))  # a plus sign that was not escaped in the address
        return at if at.tzinfo else at.replace(tzinfo=UTC), UUID(item_id)
    except ValueError as error:
        raise DeskError(f"before is {text[:64]!r}; expected the `next` of an earlier page") from error


def _shown(session: Session, rows: Sequence[Given], own: Sequence[Rule]) -> list[Feedback]:
    reply_ids = {row.message_id for row in rows if isinstance(row, Opinion)}
    reply_ids |= {side for row in rows if isinstance(row, Comparison) for side in (row.left_id, row.right_id)}
    replies = _by_id(session, Message, reply_ids)
    questions = _by_id(session, Message, {reply.parent_id for reply in replies.values() if reply.parent_id})
    ledger = _by_id(session, Reply, reply_ids)
    people_ids = {row.person_id for row in rows} | {reply.person_id for reply in replies.values()}
    people = _by_id(session, Person, people_ids)
    talked_in = {reply.conversation_id for reply in replies.values()}
    kept_out = session.exec(
        select(Conversation.id).where(col(Conversation.id).in_(talked_in), ~col(Conversation.train))
    ).all()
    learned = _learned(session, {row.id for row in rows})
    gold = _gold(session, rows)
    items = []
    for row in rows:
        redact = Redactor(own)
        reply = replies[row.message_id if isinstance(row, Opinion) else row.left_id]
        giver, author = people[row.person_id], people[reply.person_id]
        is_kept_out = reply.conversation_id in kept_out
        is_readable = author.consent_train and not is_kept_out
        item = Feedback(
            kind="opinion" if isinstance(row, Opinion) else "comparison",
            id=row.id,
            person_id=row.person_id,
            person=giver.name,
            consent=bool(giver.consent_train),
            person_excluded=giver.excluded,
            message_id=reply.id,
            policy_version=ledger[reply.id].policy_version,
            excluded=row.excluded,
            at=_at(row),
            versions=learned.get(row.id, []),
            gold=gold.get(row.id),
        )
        if is_readable and reply.parent_id:
            item.question, item.reply = redact(questions[reply.parent_id].content), redact(reply.content)
        if isinstance(row, Opinion):
            item.rating, item.labels, item.reasons = row.rating, row.labels, row.reasons
            item.withdrawn, item.revision = row.withdrawn, row.revision
            if giver.consent_train and not is_kept_out:
                item.rewrite, item.note = (text and redact(text) for text in (row.rewrite, row.note))
        else:
            item.verdict, item.other_id = row.verdict, row.right_id
            item.other_reply = redact(replies[row.right_id].content) if is_readable else None
        items.append(item)
    return items


def _by_id(session: Session, table: type[T], ids: set[Any]) -> dict[Any, T]:
    found: Any = select(table).where(col(table.id).in_(ids))
    return {row.id: row for row in session.exec(found)}


def _gold(session: Session, rows: Sequence[Given]) -> dict[UUID, str]:
    """The right answers by opinion or comparison; of a comparison, the way round that it is."""
    about: dict[UUID, tuple[UUID, ...]] = {
        row.id: (row.message_id,) if isinstance(row, Opinion) else (row.left_id, row.right_id) for row in rows
    }
    wanted = {message_id for sides in about.values() for message_id in sides}
    ways = sa.or_(col(Gold.message_id).in_(wanted), col(Gold.other_id).in_(wanted))
    known: dict[tuple[UUID, ...], str] = {}
    for gold in session.exec(select(Gold).where(ways)):
        if gold.other_id is None:
            known[gold.message_id,] = gold.answer
        else:
            known[gold.message_id, gold.other_id] = gold.answer
            known[gold.other_id, gold.message_id] = turned(gold.answer)
    return {row_id: known[sides] for row_id, sides in about.items() if sides in known}


def _learned(session: Session, item_ids: set[UUID]) -> dict[UUID, list[int]]:
    versions = dict(session.execute(sa.select(col(Policy.run_id), col(Policy.number))).all())
    learned: dict[UUID, list[int]] = {}
    for item in session.exec(select(RunItem).where(col(RunItem.item_id).in_(item_ids))):
        if item.run_id in versions:
            learned.setdefault(item.item_id, []).append(versions[item.run_id])
    return {item_id: sorted(numbers) for item_id, numbers in learned.items()}
