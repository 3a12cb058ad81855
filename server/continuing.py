"""A reply that was cut off goes on: as another reply to the same question, which begins with what the first one said.

The draws of a reply depend on its seed and each token's place alone, so what comes is what the same version would have
written at once, had it been given the room.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlmodel import Session

from backtalk import tracing
from backtalk.engine.sampling import Sampling
from backtalk.engine.text import TextStream
from backtalk.tables import Delta, Reply
from server import ledger
from server.errors import BadRequest, TooLong
from server.ledger import Entry, Place, Plan, Unfinished
from server.swapper import Version


@dataclass(frozen=True, slots=True)
class Cut:
    """A reply that was cut off, with all that is needed to go on."""

    place: Place
    version: int
    sampling: Sampling
    template_digest: str
    engine: str
    prompt: Sequence[int]
    tokens: Sequence[int]
    logprobs: Sequence[float]


def find(session: Session, person_id: UUID, reply_id: UUID) -> Cut:
    """The reply, if it was cut off.

    Raises:
        NotFound: there is no such reply, or it is not this person's.
        BadRequest: it is still being written, or it came to its own end.
    """
    message = ledger.owned_reply(session, person_id, reply_id)
    reply = session.get_one(Reply, reply_id)
    if message.state == "streaming":
        raise BadRequest("the reply is still being written; only one that was cut off can go on")
    if reply.finish_reason == "stop":
        raise BadRequest("the reply came to its own end; ask for another one, or say something new")
    return Cut(
        place=ledger.place_sibling(session, person_id, reply_id),
        version=reply.policy_version,
        sampling=Sampling.from_dict(reply.sampling),
        template_digest=reply.template_digest,
        engine=reply.engine,
        prompt=ledger.unpack_tokens(reply.prompt),
        tokens=ledger.unpack_tokens(reply.tokens),
        logprobs=ledger.unpack_logprobs(reply.logprobs),
    )


def plan(
    cut: Cut, version: Version, more: int, person_id: UUID, key: str, digest: str, server_id: UUID | None = None
) -> tuple[Plan, str]:
    """The longer reply about to be entered, and the text that it begins with.

    Args:
        more: tokens it may have beyond those that it has.

    Raises:
        TooLong: the model's context is full.
    """
    room = version.template.context - len(cut.prompt) - len(cut.tokens)
    if room < 1:
        raise TooLong(f"the model's context of {version.template.context} tokens is full; begin a new conversation")
    stream = TextStream(version.template.tokenizer, cut.sampling.stop)
    text = "".join(map(stream.push, cut.tokens))  # a half character at the cut waits for its other half
    longer = Plan(
        person_id=person_id,
        place=cut.place,
        asked=[],
        key=key,
        request_digest=digest,
        version=cut.version,
        sampling=replace(cut.sampling, max_tokens=len(cut.tokens) + min(more, room)),
        template_digest=cut.template_digest,
        prompt=cut.prompt,
        engine=cut.engine,
        server_id=server_id,
        traceparent=tracing.traceparent(),
    )
    return longer, text


def enter(session: Session, longer: Plan, cut: Cut, text: str) -> tuple[Unfinished, bool]:
    """Write the longer reply down with what it begins with; whether it is new, as in `ledger.enter`."""
    entry, is_new = ledger.enter(session, longer)
    if is_new and text:
        _keep_beginning(session, entry, cut, text)
    begun = Unfinished(
        entry=entry,
        person_id=longer.person_id,
        sampling=longer.sampling,
        prompt=list(cut.prompt),
        texts=[text] if text else [],
        tokens=list(cut.tokens) if text else [],
        logprobs=list(cut.logprobs) if text else [],
        resumptions=0,
        traceparent=longer.traceparent,
    )
    return begun, is_new


def _keep_beginning(session: Session, entry: Entry, cut: Cut, text: str) -> None:
    tokens, logprobs = ledger.pack_tokens(cut.tokens), ledger.pack_logprobs(cut.logprobs)
    session.add(Delta(reply_id=entry.reply_id, seq=1, text=text, tokens=tokens, logprobs=logprobs))
    session.flush()
