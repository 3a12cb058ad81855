"""What a reply writes down: its question, its pieces while it runs, and the whole of it when it has ended.

Plain functions on a session; the writer calls those that change something. Nothing is said before it stands here.
"""

import hashlib
import json
import struct
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from backtalk import bells
from backtalk.engine.sampling import Sampling
from backtalk.tables import Conversation, Delta, Message, Reply, Server, now
from backtalk.template import Turn
from server import presence
from server.errors import BadRequest, NotFound
from server.events import EndState, FinishReason, Usage
from server.log import Log

TITLE_LENGTH = 60
TICK = timedelta(microseconds=1)


class KeyReused(BadRequest):
    """The key came before, with another body."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a conversation a reply will stand, and what leads up to it."""

    conversation_id: UUID | None
    """None: a new conversation."""
    parent_id: UUID | None
    """Of the question; None at the root."""
    question_id: UUID | None
    """None: the question is new."""
    turns: list[Turn]
    """What was said before the new turns, the question of a `regenerate` included."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A reply about to be entered: everything that is settled before its first token."""

    person_id: UUID
    place: Place
    asked: Sequence[Turn]
    """The new turns; empty for another reply to the same question."""
    key: str | None
    request_digest: str | None
    version: int
    sampling: Sampling
    template_digest: str
    prompt: Sequence[int]
    engine: str
    server_id: UUID | None = None
    """Who will write it."""
    traceparent: str | None = None
    """The span of what asked for it, if that is traced."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A reply that stands in the ledger: what `started` says."""

    reply_id: UUID
    question_id: UUID
    conversation_id: UUID
    version: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A delta to be stored."""

    reply_id: UUID
    seq: int
    text: str
    tokens: Sequence[int]
    logprobs: Sequence[float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A whole reply to be stored."""

    reply_id: UUID
    texts: Sequence[str]
    tokens: Sequence[int]
    logprobs: Sequence[float]
    state: EndState
    finish_reason: FinishReason


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A reply that a server left in the middle, as its last durable piece left it."""

    entry: Entry
    person_id: UUID
    sampling: Sampling
    prompt: list[int]
    texts: list[str]
    tokens: list[int]
    logprobs: list[float]
    resumptions: int
    traceparent: str | None = None


def digest_request(content: dict[str, Any]) -> str:
    """What tells two bodies under one key apart."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


# Before ------------------------------------------------------------------------------------------------------------


def entry_by_key(session: Session, person_id: UUID, key: str, request_digest: str) -> Entry | None:
    """The reply that this very request has started before, if it has.

    Raises:
        KeyReused: the key came with another body.
    """
    message = session.exec(select(Message).where(Message.person_id == person_id, Message.key == key)).first()
    if message is None:
        return None
    if message.request_digest != request_digest:
        raise KeyReused(f"the key {key[:64]!r} was used for another message; make a new key for each message")
    reply = message
    if message.role == "user":
        first = select(Message).where(Message.parent_id == message.id, Message.role == "assistant")
        reply = session.exec(first.order_by(col(Message.position)).limit(1)).one()
    assert reply.parent_id is not None
    ledger = session.get(Reply, reply.id)
    assert ledger is not None
    return Entry(reply.id, reply.parent_id, reply.conversation_id, ledger.policy_version)


def place_question(session: Session, person_id: UUID, conversation_id: UUID | None, parent_id: UUID | None) -> Place:
    """Where a new question goes: after `parent_id`, at the root if that names the conversation, else at the end.

    Raises:
        NotFound: the conversation or the parent is missing, or not this person's.
        BadRequest: a parent without its conversation.
    """
    if conversation_id is None:
        if parent_id is not None:
            raise BadRequest("parent_id is given without conversation_id; give both, or neither for a new conversation")
        return Place(None, None, None, [])
    owned_conversation(session, person_id, conversation_id)
    if parent_id == conversation_id:
        return Place(conversation_id, None, None, [])
    messages = _messages(session, conversation_id)
    if parent_id is None:
        parent_id = next(reversed(messages), None)
    elif parent_id not in messages:
        raise NotFound(f"there is no message {parent_id} in this conversation")
    return Place(conversation_id, parent_id, None, _thread(session, messages, parent_id))


def place_sibling(session: Session, person_id: UUID, reply_id: UUID) -> Place:
    """Where another reply to the same question goes: beside `reply_id`.

    Raises:
        NotFound: there is no such reply, or it is not this person's.
    """
    reply = owned_reply(session, person_id, reply_id)
    messages = _messages(session, reply.conversation_id)
    assert reply.parent_id is not None
    parent_id = messages[reply.parent_id].parent_id
    return Place(reply.conversation_id, parent_id, reply.parent_id, _thread(session, messages, reply.parent_id))


def owned_conversation(session: Session, person_id: UUID, conversation_id: UUID) -> Conversation:
    """This person's conversation.

    Raises:
        NotFound: it is missing or somebody else's.
    """
    conversation = session.get(Conversation, conversation_id)
    if conversation is None or conversation.person_id != person_id:
        raise NotFound(f"there is no conversation {conversation_id}")
    return conversation


def owned_reply(session: Session, person_id: UUID, reply_id: UUID) -> Message:
    """This person's reply.

    Raises:
        NotFound: it is missing, somebody else's, or not a reply.
    """
    message = session.get(Message, reply_id)
    if message is None or message.person_id != person_id or message.role != "assistant":
        raise NotFound(f"there is no reply {reply_id}")
    return message


def texts_so_far(session: Session, reply_ids: Iterable[UUID]) -> dict[UUID, str]:
    """The durable beginning of replies that are still running."""
    texts: dict[UUID, str] = defaultdict(str)
    wanted = select(Delta).where(col(Delta.reply_id).in_(list(reply_ids)))
    for delta in session.exec(wanted.order_by(col(Delta.reply_id), col(Delta.seq))):
        texts[delta.reply_id] += delta.text
    return texts


def _messages(session: Session, conversation_id: UUID) -> dict[UUID, Message]:
    """The conversation's messages in their order."""
    all_of_it = select(Message).where(Message.conversation_id == conversation_id).order_by(col(Message.position))
    return {message.id: message for message in session.exec(all_of_it)}


def _thread(session: Session, messages: dict[UUID, Message], last: UUID | None) -> list[Turn]:
    """What was said from the root to `last`."""
    path: list[Message] = []
    while last is not None:
        path.append(messages[last])
        last = messages[last].parent_id
    running = texts_so_far(session, [message.id for message in path if message.state == "streaming"])
    return [
        Turn(message.role, running[message.id] if message.state == "streaming" else message.content)
        for message in reversed(path)
    ]


def alternating(turns: Sequence[Turn]) -> list[Turn]:
    """The turns without empty ones, neighbours of one role joined: many templates want roles to change."""
    joined: list[Turn] = []
    for turn in turns:
        if not turn.content:  # a reply that failed, or was stopped, before its first word
            continue
        if joined and joined[-1].role == turn.role:
            turn = Turn(turn.role, f"{joined.pop().content}\n\n{turn.content}")
        joined.append(turn)
    return joined


# The beginning -----------------------------------------------------------------------------------------------------


def enter(session: Session, plan: Plan) -> tuple[Entry, bool]:
    """Write the question and its empty reply, bound to its version: after this commit they are there for ever.

    Returns:
        The entry, and whether it is new: a repeat of the same request finds the first one.

    Raises:
        KeyReused: the key came with another body.
        NotFound: the conversation was deleted meanwhile.
    """
    if plan.key is not None and plan.request_digest is not None:
        known = entry_by_key(session, plan.person_id, plan.key, plan.request_digest)
        if known is not None:
            return known, False
    at = now()
    conversation = _conversation(session, plan, at)
    parent_id, question_id = plan.place.parent_id, plan.place.question_id
    if parent_id is not None and session.get(Message, parent_id) is None:
        raise NotFound(f"there is no message {parent_id} in this conversation")
    on_question = question_id is None
    for number, turn in enumerate(plan.asked):
        is_last = number == len(plan.asked) - 1
        message = Message(
            conversation_id=conversation.id,
            person_id=plan.person_id,
            parent_id=parent_id,
            position=conversation.message_count,
            role=turn.role,
            content=turn.content,
            key=plan.key if is_last and on_question else None,
            request_digest=plan.request_digest if is_last and on_question else None,
            created_at=at,
            ended_at=at,
        )
        conversation.message_count += 1
        session.add(message)
        session.flush()
        parent_id = question_id = message.id
    assert question_id is not None
    reply = Message(
        conversation_id=conversation.id,
        person_id=plan.person_id,
        parent_id=question_id,
        position=conversation.message_count,
        role="assistant",
        state="streaming",
        key=None if on_question else plan.key,
        request_digest=None if on_question else plan.request_digest,
        created_at=at + TICK,
    )
    conversation.message_count += 1
    conversation.updated_at = at
    session.add(conversation)
    session.add(reply)
    session.flush()
    assert plan.sampling.seed is not None
    session.add(
        Reply(
            id=reply.id,
            policy_version=plan.version,
            sampling=plan.sampling.to_dict(),
            seed=plan.sampling.seed,
            template_digest=plan.template_digest,
            engine=plan.engine,
            prompt=pack_tokens(plan.prompt),
            prompt_tokens=len(plan.prompt),
            server_id=plan.server_id,
            traceparent=plan.traceparent,
        )
    )
    session.flush()
    if plan.key is not None:
        bells.ring(session, "conversation", plan.server_id, plan.person_id, conversation.id)
    return Entry(reply.id, question_id, conversation.id, plan.version), True


def _conversation(session: Session, plan: Plan, at: datetime) -> Conversation:
    if plan.place.conversation_id is not None:
        # Another server may add to the same conversation: who counts its messages keeps the others waiting.
        session.exec(select(Conversation.id).where(Conversation.id == plan.place.conversation_id).with_for_update())
        conversation = owned_conversation(session, plan.person_id, plan.place.conversation_id)
        session.refresh(conversation)
        return conversation
    words = next((turn.content for turn in plan.asked if turn.role == "user"), "")
    conversation = Conversation(person_id=plan.person_id, title=title(words), created_at=at)
    session.add(conversation)
    session.flush()
    return conversation


def title(text: str) -> str:
    """A conversation's name: the first words of its first message."""
    line = " ".join(text.split())
    if len(line) <= TITLE_LENGTH:
        return line
    cut = line[:TITLE_LENGTH]
    return (cut.rsplit(" ", 1)[0] if " " in cut[TITLE_LENGTH // 2 :] else cut) + "…"


# The middle and the end --------------------------------------------------------------------------------------------


def record(
    session: Session, pieces: Sequence[Piece], outcomes: Sequence[Outcome], server_id: UUID | None = None
) -> set[UUID]:
    """Write what all running replies of a server have made since the last time, and the whole of those that have ended.

    Returns:
        Replies that shall stop: somebody deleted their conversation, or asked another server to stop them.

    Raises:
        LeaseLost: they are no longer this server's; nothing was written.
    """
    if server_id is not None:
        presence.demand(session, server_id)
    concerned = {piece.reply_id for piece in pieces} | {outcome.reply_id for outcome in outcomes}
    own = select(Reply.id, Reply.stop_wanted).where(col(Reply.id).in_(concerned), Reply.server_id == server_id)
    there = dict(session.exec(own).all())
    rows = [
        {
            "reply_id": piece.reply_id,
            "seq": piece.seq,
            "text": piece.text,
            "tokens": pack_tokens(piece.tokens),
            "logprobs": pack_logprobs(piece.logprobs),
        }
        for piece in pieces
        if piece.reply_id in there
    ]
    if rows:
        _insert_or_replace(session, rows)
    for outcome in outcomes:
        if outcome.reply_id in there:
            _fold(session, outcome)
    if there:
        bells.ring(session, "reply", *there)
    return {id for id in concerned if there.get(id, True)}


def _insert_or_replace(session: Session, rows: list[dict[str, Any]]) -> None:
    """Write deltas. One that is there already was stored by a commit that seemed to fail, and is the same."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    insert = dialect.insert(Delta)
    replaced = {name: insert.excluded[name] for name in ("text", "tokens", "logprobs")}
    session.execute(insert.on_conflict_do_update(index_elements=["reply_id", "seq"], set_=replaced), rows)


def _fold(session: Session, outcome: Outcome) -> None:
    ends, end = [], 0
    for text in outcome.texts:
        end += len(text)
        ends.append(end)
    session.execute(
        sa.update(Message)
        .where(col(Message.id) == outcome.reply_id)
        .values(content="".join(outcome.texts), state=outcome.state, ended_at=now())
    )
    session.execute(
        sa.update(Reply)
        .where(col(Reply.id) == outcome.reply_id)
        .values(
            tokens=pack_tokens(outcome.tokens),
            logprobs=pack_logprobs(outcome.logprobs),
            delta_ends=pack_tokens(ends),
            finish_reason=outcome.finish_reason,
            completion_tokens=len(outcome.tokens),
        )
    )
    session.execute(sa.delete(Delta).where(col(Delta.reply_id) == outcome.reply_id))


def count_resumptions(session: Session, reply_id: UUID, resumptions: int) -> None:
    """Write down how often in a row a reply was taken up again without getting any further."""
    session.execute(sa.update(Reply).where(col(Reply.id) == reply_id).values(resumptions=resumptions))


# Afterwards --------------------------------------------------------------------------------------------------------


def unfinished(session: Session, server_id: UUID | None = None) -> list[Unfinished]:
    """Replies that this server is writing, as far as the ledger knows."""
    found: list[Unfinished] = []
    running = _running().where(Reply.server_id == server_id)
    for message, reply in session.exec(running.order_by(col(Message.created_at))):
        deltas = session.exec(select(Delta).where(Delta.reply_id == message.id).order_by(col(Delta.seq))).all()
        assert message.parent_id is not None
        found.append(
            Unfinished(
                entry=Entry(message.id, message.parent_id, message.conversation_id, reply.policy_version),
                person_id=message.person_id,
                sampling=Sampling.from_dict(reply.sampling),
                prompt=unpack_tokens(reply.prompt),
                texts=[delta.text for delta in deltas],
                tokens=[token for delta in deltas for token in unpack_tokens(delta.tokens)],
                logprobs=[logprob for delta in deltas for logprob in unpack_logprobs(delta.logprobs)],
                resumptions=reply.resumptions,
                traceparent=reply.traceparent,
            )
        )
    return found


def take_over(session: Session, server_id: UUID) -> int:
    """Give this server the replies that nobody writes any more, and say how many.

    Of several servers that do so at once, each reply goes to one.
    """
    orphans = _running().where(
        sa.or_(col(Reply.server_id).is_(None), col(Reply.server_id).not_in(select(Server.id))),
    )
    taken = 0
    for _, reply in session.exec(orphans).all():
        same = sa.update(Reply).where(col(Reply.id) == reply.id, Reply.server_id == reply.server_id)
        taken += len(session.execute(same.values(server_id=server_id).returning(col(Reply.id))).all())
    return taken


def want_stop(session: Session, person_id: UUID, reply_id: UUID) -> None:
    """Ask whichever server writes this reply to stop it; it sees so when it writes the next piece down.

    Raises:
        NotFound: there is no such reply, or it is not this person's.
    """
    if owned_reply(session, person_id, reply_id).state == "streaming":
        session.execute(sa.update(Reply).where(col(Reply.id) == reply_id).values(stop_wanted=True))


def _running() -> Any:
    return select(Message, Reply).join(Reply, col(Reply.id) == col(Message.id)).where(Message.state == "streaming")


def rest_of(session: Session, person_id: UUID, reply_id: UUID, after: int) -> tuple[list[str], Log | None]:
    """What another server has written of a reply: the deltas after so many, or the whole log once it has ended.

    Raises:
        NotFound: there is no such reply, or it is not this person's.
    """
    ended = ended_log(session, person_id, reply_id)
    if ended is not None:
        return [], ended
    later = select(Delta).where(Delta.reply_id == reply_id, Delta.seq > after).order_by(col(Delta.seq))
    return [delta.text for delta in session.exec(later)], None


def ended_log(session: Session, person_id: UUID, reply_id: UUID) -> Log | None:
    """The events of a reply that has ended; None while it is running.

    Raises:
        NotFound: there is no such reply, or it is not this person's.
    """
    message = owned_reply(session, person_id, reply_id)
    if message.state == "streaming":
        return None
    reply = session.get(Reply, reply_id)
    assert reply is not None
    log, start = Log(reply_id), 0
    for end in unpack_tokens(reply.delta_ends):
        log.add(message.content[start:end])
        start = end
    state, reason = cast(EndState, message.state), cast(FinishReason, reply.finish_reason)
    log.end(state, reason, Usage(prompt_tokens=reply.prompt_tokens, completion_tokens=reply.completion_tokens))
    return log


def pack_tokens(tokens: Sequence[int]) -> bytes:
    """Whole numbers as little-endian int32."""
    return struct.pack(f"<{len(tokens)}i", *tokens)


def unpack_tokens(packed: bytes) -> list[int]:
    """The numbers again."""
    return list(struct.unpack(f"<{len(packed) // 4}i", packed))


def pack_logprobs(logprobs: Sequence[float]) -> bytes:
    """Log-probs as little-endian float32."""
    return struct.pack(f"<{len(logprobs)}f", *logprobs)


def unpack_logprobs(packed: bytes) -> list[float]:
    """The log-probs again."""
    return list(struct.unpack(f"<{len(packed) // 4}f", packed))
