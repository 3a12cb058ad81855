"""What came of opinions: the versions that learned from each, whether people chat with one of these, and which opinions
nothing will learn from."""

from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from backtalk import policies
from backtalk.consent import may_train
from backtalk.tables import Comparison, Json, Message, Opinion, Person, Policy, Run, RunItem

Idle = Literal["withdrawn", "no_consent", "excluded", "kept_out"]
"""Why no run will learn from an opinion: its giver took it back or does not let theirs train, an operator keeps it, or
all of its giver, out, or the conversation that it is about does not train."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A version that learned from an opinion, and in which state of the opinion."""

    number: int
    revision: int
    state: str
    live_at: datetime | None
    """When it went live for the first time."""
    is_in_live: bool
    """The live version has learned it: it is this one, or comes from it."""


def of_person(session: Session, person_id: UUID) -> list[Json]:
    """Each opinion and comparison of a person, newest first, with its lessons in the order of the versions."""
    person, given = session.get_one(Person, person_id), list[Json]()
    own = sa.select(Opinion, may_train(Message)).join(Message, col(Message.id) == col(Opinion.message_id))
    for one, trains in session.execute(own.where(col(Opinion.person_id) == person_id)):
        idle = "withdrawn" if one.withdrawn else _idle(person, one, trains)
        said = {"rating": one.rating, "rewritten": one.rewrite is not None}
        told = {"message_id": one.message_id, "at": one.updated_at, "idle": idle}
        given.append({"kind": "opinion", "id": one.id, **said, **told})
    compared = sa.select(Comparison, may_train(Message)).join(Message, col(Message.id) == col(Comparison.left_id))
    for one, trains in session.execute(compared.where(col(Comparison.person_id) == person_id)):
        preferred = one.right_id if one.verdict == "right" else one.left_id
        told = {"message_id": preferred, "at": one.created_at, "idle": _idle(person, one, trains)}
        given.append({"kind": "comparison", "id": one.id, "rating": None, "rewritten": False, **told})
    given.sort(key=lambda one: one["at"], reverse=True)
    learned = lessons(session, person_id)
    return [{**one, "versions": [asdict(lesson) for lesson in learned.get(one["id"], [])]} for one in given]


def on_messages(session: Session, person_id: UUID, conversation_id: UUID) -> Mapping[UUID, list[Lesson]]:
    """The lessons of a person's opinions on the messages of a conversation, by message."""
    own = select(Opinion.id, Opinion.message_id).join(Message, col(Message.id) == col(Opinion.message_id))
    there = own.where(Opinion.person_id == person_id, Message.conversation_id == conversation_id)
    given = dict(session.exec(there.where(~col(Opinion.withdrawn))).all())
    learned = lessons(session, person_id, col(RunItem.item_id).in_(given)) if given else {}
    return {given[item]: found for item, found in learned.items()}


def lessons(session: Session, person_id: UUID, *which: sa.ColumnElement[bool]) -> Mapping[UUID, list[Lesson]]:
    """The lessons of a person's opinions and comparisons, by their ids; a version that the gate refused is none.

    Args:
        which: only of run items that fulfil this.
    """
    made = select(RunItem, Policy).join(Run, col(Run.id) == col(RunItem.run_id))
    made = made.join(Policy, col(Policy.run_id) == col(Run.id)).where(Run.state == "promoted")
    rows = session.exec(made.where(RunItem.person_id == person_id, *which).order_by(col(Policy.number))).all()
    if not rows:
        return {}
    began, live = policies.first_live(session), policies.live(session)
    line = policies.line(session, live.number) if live is not None else frozenset[int]()
    found: dict[UUID, list[Lesson]] = {}
    for item, policy in rows:
        live_at = began.get(policy.number, policy.live_at)
        lesson = Lesson(policy.number, item.revision, policy.state, live_at, policy.number in line)
        found.setdefault(item.item_id, []).append(lesson)
    return found


def of_version(session: Session, number: int, person_id: UUID) -> tuple[int, int] | None:
    """How many opinions a version learned from, and how many of them are this person's; None: there is none such."""
    policy = session.get(Policy, number)
    return None if policy is None else _count(session, {number}, person_id)


def of_live(session: Session, known: int, person_id: UUID) -> tuple[int, int, int] | None:
    """What is new to somebody who knows a version: the live one, how many opinions it and those that it comes from have
    learned from since, and how many of them are this person's; None: no version is live."""
    live = policies.live(session)
    if live is None:
        return None
    news = {number for number in policies.line(session, live.number) if number > known}
    return live.number, *_count(session, news, person_id)


def _idle(person: Person, given: Opinion | Comparison, trains: bool) -> Idle | None:
    """Why nothing learns from what a person gave; None: it may train.

    Args:
        trains: whether the conversation that it is about does.
    """
    if not person.consent_train:
        return "no_consent"
    if person.excluded or given.excluded:
        return "excluded"
    return None if trains else "kept_out"


def _count(session: Session, numbers: Set[int], person_id: UUID) -> tuple[int, int]:
    """From how many opinions these versions learned, each counted once, and how many are this person's."""
    mine = sa.case((col(RunItem.person_id) == person_id, col(RunItem.item_id)))
    counts = sa.select(sa.func.count(sa.distinct(col(RunItem.item_id))), sa.func.count(sa.distinct(mine)))
    made = counts.join(Policy, col(Policy.run_id) == col(RunItem.run_id)).where(col(Policy.number).in_(numbers))
    total, own = session.execute(made).one()
    return total, own
