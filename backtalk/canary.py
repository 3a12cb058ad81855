"""A canary: a version that first serves a sticky share of the people, while the others keep the one that is live.

Who belongs to the share is a hash of person and canary, so nobody changes sides except when the share grows. What the
replies show is weighed by `sequential.py` on the server; here is what is stored of it, and how it ends.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from backtalk import audit, bells, policies
from backtalk.announcements import announce
from backtalk.policies import PolicyError
from backtalk.tables import Canary, CanaryLook, Json, Message, Policy, ReleaseRules, Reply, now

LIFE = timedelta(days=7)
"""Whoever asked something within this time is counted among the people of the service."""
EXPECTED = 0.75
"""So much of a share of few people is counted upon; who does not come must not hold a step for ever."""
ROOM = 1.5
"""A share of few people is widened to this many times the people that a step wants."""
WIDEST = 0.5


def last(session: Session, number: int | None = None) -> Canary | None:
    """The newest canary, of this version if one is named."""
    found = select(Canary).order_by(col(Canary.began_at).desc()).limit(1)
    return session.exec(found if number is None else found.where(Canary.number == number)).first()


def begin(session: Session, number: int, actor: object, rules: ReleaseRules, reason: str = "") -> Policy:
    """Give a version to the first share of the people.

    Raises:
        PolicyError: there is no such version, it is live already, or another canary is under way.
    """
    policy, live = session.get(Policy, number), policies.live(session)
    if policy is None or live is None:
        raise PolicyError(f"there is no policy {number}; `backtalk policy list` shows those there are")
    if (other := policies.running_canary(session)) is not None:
        raise PolicyError(f"policy {other.number} is tried on some of the people already; wait for it or roll it back")
    if policy.state == "live":
        raise PolicyError(f"policy {number} is live already; a canary is for a version that is not")
    shares, people = plan(rules.canary_shares, rules.canary_people, active_people(session))
    policy.state, policy.reason = "canary", None
    session.add(policy)
    session.flush()
    session.add(
        Canary(
            number=number,
            control=live.number,
            shares=shares,
            people=people,
            replies=rules.canary_replies,
            alpha=rules.alpha,
            limits=usual(session, live.number),
        )
    )
    audit.record(session, actor, "policy.canary", number, control=live.number, shares=shares, reason=reason)
    bells.ring(session, "policy")
    announce(session, "canary_began", policy=number, control=live.number, shares=shares)
    return policy


def plan(shares: Sequence[float], people: int, active: int) -> tuple[list[float], list[int]]:
    """Shares and wanted people by step: small shares are widened where there are few people, up to half of them."""
    found: list[float] = []
    for share in shares:
        widened = max(share, min(WIDEST, ROOM * people / active)) if active else WIDEST
        if not found or widened > found[-1]:
            found.append(round(widened, 4))
    wanted = [max(1, min(people * (step + 1), int(EXPECTED * share * active))) for step, share in enumerate(found)]
    return found, wanted


def active_people(session: Session) -> int:
    """How many people have asked something lately."""
    asked = sa.select(sa.func.count(sa.distinct(col(Message.person_id)))).where(
        col(Message.created_at) > now() - LIFE, col(Message.role) == "user"
    )
    return int(session.execute(asked).scalar_one())


def place(canary_id: UUID, person_id: UUID) -> float:
    """Where a person stands in this canary, from 0 to 1, for good: inside every share above it."""
    digest = hashlib.sha256(canary_id.bytes + person_id.bytes).digest()
    return int.from_bytes(digest[:8]) / 2**64


def is_inside(canary: Canary, person_id: UUID) -> bool:
    """Does this person get the new version?"""
    return place(canary.id, person_id) < canary.shares[canary.step]


def side(canary: Canary, person_id: UUID) -> bool | None:
    """True for a person of the canary, False for one it is held against, None for who may still change sides."""
    at = place(canary.id, person_id)
    if at < canary.shares[canary.step]:
        return True
    return False if at >= canary.shares[-1] else None


USUAL_FROM = 2000
FEWEST = 20
LONG, SHORT, SLOW = 2.0, 0.5, 3.0
"""A reply is long, short or slow so many times beyond what 95 % of the live version's are."""


def usual(session: Session, number: int) -> Json:
    """What is long, short and slow after the newest replies of a version; while it has given few, after those of the
    versions that it comes from too, and after so few nothing is."""
    rows = _newest(session, [number])
    if len(rows) < FEWEST:
        rows = _newest(session, policies.line(session, number))
    if len(rows) < FEWEST:
        return {}
    lengths = sorted(tokens for tokens, _ in rows)
    paces = sorted(pace(seconds, tokens) for tokens, seconds in rows)
    low, high = lengths[len(rows) // 20], lengths[-1 - len(rows) // 20]
    return {
        "long": max(LONG * high, high + 16),
        "short": SHORT * low,
        "slow": round(SLOW * paces[-1 - len(rows) // 20], 4),
    }


def _newest(session: Session, numbers: Iterable[int]) -> list[tuple[int, float]]:
    """Tokens and seconds of the newest replies of some versions."""
    found = sa.select(col(Reply.completion_tokens), col(Message.created_at), col(Message.ended_at)).join(
        Message, col(Message.id) == col(Reply.id)
    )
    done = (col(Message.state) == "done", col(Message.ended_at).is_not(None))
    newest = found.where(col(Reply.policy_version).in_(numbers), *done).order_by(col(Message.created_at).desc())
    rows = session.execute(newest.limit(USUAL_FROM))
    return [(tokens, (ended - began).total_seconds()) for tokens, began, ended in rows]


def pace(seconds: float, tokens: int) -> float:
    """Seconds a token; what a reply takes before its first token weighs like ten of them."""
    return seconds / (tokens + 10)


def note(session: Session, canary: Canary, content: Json) -> None:
    """Keep what one look has shown."""
    seq = session.exec(select(sa.func.max(CanaryLook.seq)).where(CanaryLook.canary_id == canary.id)).one()
    session.add(CanaryLook(canary_id=canary.id, seq=0 if seq is None else seq + 1, content=content))


def newest_look(session: Session, canary: Canary) -> CanaryLook | None:
    """What is known last."""
    found = select(CanaryLook).where(CanaryLook.canary_id == canary.id).order_by(col(CanaryLook.seq).desc())
    return session.exec(found.limit(1)).first()


def looks(session: Session, canary: Canary) -> list[CanaryLook]:
    """The curve, from the beginning."""
    return list(session.exec(select(CanaryLook).where(CanaryLook.canary_id == canary.id).order_by(col(CanaryLook.seq))))


def advance(session: Session, canary: Canary) -> None:
    """Go on to the next share, or after the last one to everybody."""
    if canary.step + 1 < len(canary.shares):
        canary.step += 1
        session.add(canary)
        bells.ring(session, "policy")
        share = canary.shares[canary.step]
        audit.record(session, "canary", "policy.canary_step", canary.number, step=canary.step, share=share)
        return
    policies.go_live(session, canary.number, "canary", reason="the canary showed nothing worse")


def pause(session: Session, canary: Canary, is_paused: bool, reason: str) -> None:
    """Stay at this share because something looks bad, or go on since it does no longer."""
    canary.state, canary.reason = ("paused", reason) if is_paused else ("watching", None)
    session.add(canary)
    action = "policy.canary_pause" if is_paused else "policy.canary_resume"
    audit.record(session, "canary", action, canary.number, reason=reason)
    if is_paused:
        announce(session, "canary_paused", policy=canary.number, reason=reason)
