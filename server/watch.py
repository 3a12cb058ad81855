"""Watches a canary: what its people and the others got and thought, weighed after every reply; it goes on, waits or is
taken back by itself.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col

from backtalk import canary, policies, release
from backtalk.database import Database
from backtalk.sequential import Evidence
from backtalk.tables import Canary, Json, Message, Opinion, Policy, Reply
from backtalk.writer import StorageError, Writer

LOOK_SECONDS = 1.0
REST = 20
"""A look that takes long is followed by a rest of so many times its length: watching must not slow down the chat."""

Decision = Literal["continue", "pause", "resume", "advance", "back"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Something that a reply, or a thumb on it, has shown."""

    at: Any  # when it was known
    person_id: UUID
    version: int
    measure: str
    is_bad: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look has shown and what follows from it."""

    canary: Canary
    content: Json
    decision: Decision
    reason: str


class Watch:
    """Looks again and again while there is a canary."""

    def __init__(self, database: Database, writer: Writer, on_decision: Callable[[], None]) -> None:
        self._database = database
        self._writer = writer
        self._on_decision = on_decision
        self._noted: Json = {}

    async def follow(self) -> None:
        """Runs for ever."""
        while True:
            began = time.monotonic()
            try:
                await self.look()
            except StorageError:
                pass  # told by the writer; the next look decides the same
            except Exception:
                log.exception("the watch over the canary stumbled; it looks again in a moment")
            await asyncio.sleep(max(LOOK_SECONDS, REST * (time.monotonic() - began)))

    async def look(self) -> None:
        """Weigh once what is known, keep it, and do what follows."""
        found = await asyncio.to_thread(self._read)
        if found == "next":
            await self._writer.write(_let_out)
            self._on_decision()
            return
        if found is None or (found.decision == "continue" and found.content == self._noted):
            return
        await self._writer.write(lambda session: settle(session, found))
        self._noted = found.content
        if found.decision in ("advance", "back"):
            log.warning("canary of policy %d: %s (%s)", found.canary.number, found.decision, found.reason)
            self._on_decision()

    def _read(self) -> Finding | Literal["next"] | None:
        """What the canary shows; where there is none, whether a version has waited for its end."""
        with self._database.read() as session:
            running = policies.running_canary(session)
            if running is not None:
                return weigh(session, running)
            return "next" if release.next_out(session) is not None else None


def _let_out(session: Session) -> None:
    policy = release.next_out(session)
    if policy is not None:
        release.release(session, policy.number, "canary", "the version that was tried before it has had its turn")


def weigh(session: Session, running: Canary) -> Finding:
    """What is known of a canary, and what follows."""
    evidence = Evidence()
    reached: dict[UUID, int] = {}
    control_replies = 0
    for outcome in sorted(_outcomes(session, running), key=lambda outcome: outcome.at):
        side = canary.side(running, outcome.person_id)
        if side is None or outcome.version != (running.number if side else running.control):
            continue
        evidence.add(outcome.measure, outcome.person_id, side, outcome.is_bad)
        if outcome.measure == "failed":
            if side:
                reached[outcome.person_id] = reached.get(outcome.person_id, 0) + 1
            else:
                control_replies += 1
    people = sum(replies >= running.replies for replies in reached.values())
    total = evidence.total
    decision = decide(running, total, people)
    content: Json = {
        "evidence": round(total, 4),
        "needed": round(1 / running.alpha, 2),
        "step": running.step,
        "share": running.shares[running.step],
        "people": people,
        "wanted": running.people[running.step],
        "replies": sum(reached.values()),
        "control_replies": control_replies,
        "decision": decision,
        "measures": {
            name: {
                "evidence": round(measure.evidence, 4),
                "canary": _rounded(measure.rate(True)),
                "control": _rounded(measure.rate(False)),
                "canary_count": len(measure.outcomes[True]),
                "control_count": len(measure.outcomes[False]),
            }
            for name, measure in evidence.measures.items()
        },
    }
    return Finding(running, content, decision, reason(content))


def decide(running: Canary, evidence: float, people: int) -> Decision:
    """Go on, wait, or go back: by the evidence that the canary is worse, and by how many people it has reached."""
    if evidence >= 1 / running.alpha:
        return "back"
    if evidence >= running.alpha**-0.5:  # half way, as evidence multiplies
        return "continue" if running.state == "paused" else "pause"
    if running.state == "paused":
        return "resume"
    return "advance" if people >= running.people[running.step] else "continue"


def reason(content: Json) -> str:
    """The measure that speaks loudest, in one sentence."""
    name, worst = max(content["measures"].items(), key=lambda item: item[1]["evidence"])
    if worst["canary"] is None or worst["control"] is None:
        return "nothing is known yet"
    return (
        f"{name.replace('_', ' ')}: {worst['canary']:.0%} of {worst['canary_count']} in the canary, "
        f"{worst['control']:.0%} of {worst['control_count']} elsewhere; "
        f"evidence {content['evidence']:.3g}, taken back at {content['needed']:.3g}"
    )


def settle(session: Session, found: Finding) -> None:
    """Keep a finding and do what follows, unless somebody else was faster."""
    running = session.get(Canary, found.canary.id)
    if running is None or (running.state, running.step) != (found.canary.state, found.canary.step):
        return
    try:
        with session.begin_nested():
            canary.note(session, running, found.content)
    except IntegrityError:  # another server has looked at the same moment
        return
    match found.decision:
        case "back":
            policies.take_back(session, session.get_one(Policy, running.number), "canary", found.reason)
        case "pause" | "resume":
            canary.pause(session, running, found.decision == "pause", found.reason)
        case "advance":
            canary.advance(session, running)


def _outcomes(session: Session, running: Canary) -> Iterator[Outcome]:
    """All that the replies since the beginning have shown, and the thumbs that their own readers gave."""
    # An expression and not the column: the index of versions would lead through all replies the live one ever gave.
    version = col(Reply.policy_version) + 0
    since = sa.and_(
        col(Message.created_at) >= running.began_at,
        col(Message.role) == "assistant",
        version.in_((running.number, running.control)),
    )
    replies = (
        sa.select(
            col(Message.person_id),
            version.label("version"),
            col(Message.state),
            col(Message.created_at),
            col(Message.ended_at),
            col(Reply.completion_tokens),
            col(Reply.finish_reason),
        )
        .join(Reply, col(Reply.id) == col(Message.id))
        .where(since, col(Message.ended_at).is_not(None))
    )
    limits = running.limits
    for row in session.execute(replies):
        # A reply that holds nothing but its end is as good as none.
        failed = row.state == "failed" or (row.state == "done" and row.completion_tokens <= 1)
        yield Outcome(row.ended_at, row.person_id, row.version, "failed", failed)
        if not limits or row.state == "failed":
            continue
        tokens = row.completion_tokens
        is_odd = row.finish_reason == "length" or tokens > limits["long"] or tokens < limits["short"]
        yield Outcome(row.ended_at, row.person_id, row.version, "length", is_odd)
        seconds = (row.ended_at - row.created_at).total_seconds()
        is_slow = canary.pace(seconds, tokens) > limits["slow"]
        yield Outcome(row.ended_at, row.person_id, row.version, "latency", is_slow)
    thumbs: Any = (
        sa.select(
            col(Message.person_id), version.label("version"), col(Opinion.rating), col(Opinion.created_at).label("at")
        )
        .join(Reply, col(Reply.id) == col(Message.id))
        .join(Opinion, col(Opinion.message_id) == col(Message.id))
        .where(
            since,
            col(Opinion.person_id) == col(Message.person_id),
            col(Opinion.rating).is_not(None),
            ~col(Opinion.withdrawn),
            ~col(Opinion.excluded),
        )
    )
    for row in session.execute(thumbs):
        yield Outcome(row.at, row.person_id, row.version, "thumbs_down", row.rating < 0)


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 4)
