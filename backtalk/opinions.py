"""What people think of replies: how an opinion may look, and how it is kept.

One current opinion per person and reply; each state it ever had stays in the history (rule R4). A repeat changes
nothing, so it may be sent again after any failure.
"""

from typing import Annotated, Literal
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from backtalk.asking import MOST_REASONS, asked, unknown
from backtalk.tables import (
    Comparison,
    Json,
    Message,
    Opinion,
    OpinionHistory,
    PairItem,
    RateItem,
    now,
)

MAX_REWRITE_BYTES = 32 * 1024
MAX_NOTE_BYTES = 4 * 1024
REASON_LENGTH = 64
MAX_KEY = 128


class OpinionError(ValueError):
    """The opinion cannot be kept as given; the message says what was found, what was expected and what to do."""


class NoSuchReply(OpinionError):
    """There is no such reply, or it is not this person's to judge: both look the same."""


class OpinionConflict(OpinionError):
    """Not now, or not like this: the reply is still being written, or the key was used for something else."""


def _whole_number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"found {value!r}, expected a whole number")
    return value


def _storable(value: str, what: str, limit: int) -> str:
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise ValueError(f"the {what} holds half of a character (a lone surrogate); send valid text") from error
    if size > limit:
        raise ValueError(f"the {what} has {size} bytes; at most {limit} are taken, so shorten it")
    if "\0" in value:
        raise ValueError(f"the {what} holds the character U+0000, which cannot be stored; leave it out")
    return value


class Judgement(BaseModel):
    """The content of an opinion, as people send it and as the history keeps it."""

    model_config = ConfigDict(extra="forbid")

    rating: Annotated[Literal[1, -1], BeforeValidator(_whole_number)] | None = Field(
        None, description="1 for a thumb up, -1 for a thumb down."
    )
    rewrite: str | None = Field(None, description="What the reply should have been.")
    labels: dict[str, Annotated[int, BeforeValidator(_whole_number)]] = Field(
        default_factory=dict, description="Scores from 1 to 5 by aspect."
    )
    reasons: list[str] = Field(default_factory=list, description="Ids of reasons the operator offers, or own ones.")
    note: str | None = Field(None, description="Anything else, in the person's own words.")

    @field_validator("rewrite")
    @classmethod
    def _rewrite_says_something(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not value.strip():
            raise ValueError("the rewrite is empty; write what the reply should have said, or send null")
        return _storable(value, "rewrite", MAX_REWRITE_BYTES)

    @field_validator("note")
    @classmethod
    def _note_is_short(cls, value: str | None) -> str | None:
        return _storable(value, "note", MAX_NOTE_BYTES) if value and value.strip() else None

    @field_validator("labels")
    @classmethod
    def _scores_are_between_1_and_5(cls, value: dict[str, int]) -> dict[str, int]:
        for name, score in value.items():
            if not 1 <= score <= 5:
                raise ValueError(f"the score of {name[:64]} is {score}; expected 1 to 5")
        return value

    @field_validator("reasons")
    @classmethod
    def _reasons_are_few_short_and_said_once(cls, value: list[str]) -> list[str]:
        said = list(dict.fromkeys(value))
        if len(said) > MOST_REASONS:
            raise ValueError(f"there are {len(said)} reasons; at most {MOST_REASONS} are taken")
        for reason in said:
            if not 0 < len(reason) <= REASON_LENGTH or not reason.isprintable():
                raise ValueError(f"the reason {reason[:64]!r} is not one; give 1 to {REASON_LENGTH} characters")
        return said


class ComparisonIn(BaseModel):
    """Which of two replies to one question is better."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(min_length=1, max_length=MAX_KEY, description="Made by the client; a repeat is one comparison.")
    left_id: UUID
    right_id: UUID
    verdict: Literal["left", "right", "tie", "neither"]

    @field_validator("key")
    @classmethod
    def _key_is_storable(cls, value: str) -> str:
        return _storable(value, "key", 4 * MAX_KEY)


def content(opinion: Opinion) -> Json:
    """An opinion as everybody shows it: in a message, in answers, in exports."""
    return {
        "rating": opinion.rating,
        "rewrite": opinion.rewrite,
        "labels": opinion.labels,
        "reasons": opinion.reasons,
        "note": opinion.note,
        "revision": opinion.revision,
    }


def judge(session: Session, person_id: UUID, message_id: UUID, judgement: Judgement) -> Opinion:
    """Keep what a person thinks of a reply; the same again changes nothing.

    Raises:
        NoSuchReply: not there, not a reply, or neither the person's own nor assigned to them.
        OpinionConflict: the reply is still being written.
        OpinionError: the rewrite is the reply itself, or it names an aspect or a reason that nobody asked for.
    """
    message = _reply_to_judge(session, person_id, message_id)
    if judgement.rewrite is not None and judgement.rewrite.strip() == message.content.strip():
        raise OpinionError("the rewrite is the same as the reply; change it, or send null and a thumb up")
    opinion = _current(session, person_id, message_id)
    wanted = _as_asked(session, judgement, opinion)
    if opinion is None:
        opinion = Opinion(person_id=person_id, message_id=message_id, **wanted)
        try:
            with session.begin_nested():
                session.add(opinion)
        except IntegrityError:  # another server was faster, on Postgres
            opinion = _current(session, person_id, message_id)
            assert opinion is not None
        else:
            _remember(session, opinion)
            return opinion
    if not opinion.withdrawn and all(getattr(opinion, name) == value for name, value in wanted.items()):
        return opinion
    for name, value in wanted.items():
        setattr(opinion, name, value)
    return _revise(session, opinion, withdrawn=False)


def withdraw(session: Session, person_id: UUID, message_id: UUID) -> Opinion:
    """Take an opinion back: it no longer counts and no longer trains; the history keeps that it was there.

    Raises:
        NoSuchReply: this person has never had an opinion on that message.
    """
    opinion = _current(session, person_id, message_id)
    if opinion is None:
        raise NoSuchReply("you have given no opinion on this message")
    return opinion if opinion.withdrawn else _revise(session, opinion, withdrawn=True)


def standing(session: Session, person_id: UUID, message_id: UUID) -> Opinion:
    """The opinion as it stands.

    Raises:
        NoSuchReply: there is none, or it was withdrawn.
    """
    opinion = session.exec(_of(person_id, message_id)).first()
    if opinion is None or opinion.withdrawn:
        raise NoSuchReply("you have given no opinion on this message")
    return opinion


def compare(session: Session, person_id: UUID, given: ComparisonIn, *, may_change: bool = False) -> Comparison:
    """Keep which of two replies a person prefers; the same key with the same content changes nothing.

    Args:
        may_change: another verdict takes the place of the one that was given.

    Raises:
        NoSuchReply: one of the two is not there or not the person's own.
        OpinionConflict: still being written, or the key was used for another comparison.
        OpinionError: the two are not different replies to one question.
    """
    known = _comparison(session, person_id, given.key)
    if known is None:
        left, right = (
            _reply_to_judge(session, person_id, message_id) for message_id in (given.left_id, given.right_id)
        )
        if left.id == right.id or left.parent_id != right.parent_id or left.conversation_id != right.conversation_id:
            raise OpinionError("left_id and right_id must be two different replies to the same question")
        known = Comparison(person_id=person_id, **given.model_dump())
        try:
            with session.begin_nested():
                session.add(known)
            return known
        except IntegrityError:  # another server was faster, on Postgres
            known = _comparison(session, person_id, given.key)
            assert known is not None
    if may_change and known.verdict != given.verdict:
        known.verdict = given.verdict
        session.add(known)
    if any(getattr(known, name) != value for name, value in given.model_dump().items()):
        raise OpinionConflict(f"the key {given.key!r} was used for another comparison; use a new key for a new one")
    return known


def _as_asked(session: Session, judgement: Judgement, before: Opinion | None) -> Json:
    """The opinion's content. Scores are for what is asked for; reasons may be anybody's own, as bots and other clients
    have them."""
    aspects = [one.name for one in asked(session).aspects]
    wrong = unknown("aspect", judgement.labels, aspects, before.labels if before is not None else {})
    if wrong is not None:
        raise OpinionError(wrong)
    return judgement.model_dump()


def _reply_to_judge(session: Session, person_id: UUID, message_id: UUID) -> Message:
    message = session.get(Message, message_id)
    if message is None or not (message.person_id == person_id or _is_assigned(session, person_id, message_id)):
        raise NoSuchReply("there is no such reply among yours")
    if message.role != "assistant":
        raise OpinionError("this is a question; opinions are given on replies")
    if message.state == "streaming":
        raise OpinionConflict("the reply is still being written; give your opinion when it has ended")
    return message


def _is_assigned(session: Session, person_id: UUID, message_id: UUID) -> bool:
    item = select(RateItem.id).where(RateItem.person_id == person_id, RateItem.message_id == message_id)
    is_side = sa.or_(col(PairItem.left_id) == message_id, col(PairItem.right_id) == message_id)
    pair = select(PairItem.id).where(PairItem.person_id == person_id, is_side)
    return session.exec(item).first() is not None or session.exec(pair).first() is not None


def _of(person_id: UUID, message_id: UUID) -> SelectOfScalar[Opinion]:
    return select(Opinion).where(Opinion.person_id == person_id, Opinion.message_id == message_id)


def _current(session: Session, person_id: UUID, message_id: UUID) -> Opinion | None:
    return session.exec(_of(person_id, message_id).with_for_update()).first()


def _comparison(session: Session, person_id: UUID, key: str) -> Comparison | None:
    return session.exec(select(Comparison).where(Comparison.person_id == person_id, Comparison.key == key)).first()


def _revise(session: Session, opinion: Opinion, *, withdrawn: bool) -> Opinion:
    opinion.withdrawn = withdrawn
    opinion.revision += 1
    opinion.updated_at = now()
    session.add(opinion)
    _remember(session, opinion)
    return opinion


def _remember(session: Session, opinion: Opinion) -> None:
    kept = {**content(opinion), "withdrawn": opinion.withdrawn}
    session.add(OpinionHistory(opinion_id=opinion.id, revision=opinion.revision, content=kept, at=opinion.updated_at))
    session.flush()
