"""Which version is live: one pointer, moved in one transaction by a run, an operator or the command line alike."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from backtalk import admission, audit, bells, weights
from backtalk.announcements import announce
from backtalk.database import Database
from backtalk.settings import Settings
from backtalk.tables import Audit, Canary, Json, Policy, RunItem, now

ERASED = "person.erase"
"""The audit's word for it; its rows name the versions that had learned from whoever was erased."""
FORGOTTEN = "somebody it had learned from was erased"


class PolicyError(ValueError):
    """The pointer cannot be moved as asked; the message says why."""


def live(session: Session) -> Policy | None:
    """The live version; None only before the first start."""
    return session.exec(select(Policy).where(Policy.state == "live")).first()


def running_canary(session: Session) -> Canary | None:
    """The canary under way, if there is one."""
    return session.exec(select(Canary).where(col(Canary.state).in_(("watching", "paused")))).first()


def line(session: Session, number: int) -> frozenset[int]:
    """A version and all that it comes from."""
    current, found = session.get(Policy, number), set[int]()
    while current is not None and current.number not in found:
        found.add(current.number)
        current = session.get(Policy, current.parent) if current.parent is not None else None
    return frozenset(found)


def first_live(session: Session) -> dict[int, datetime]:
    """When each version went live for the first time: `policy.live_at` is the last time."""
    moves = select(Audit.target, Audit.at).where(col(Audit.action).in_(("policy.promote", "policy.rollback")))
    found: dict[int, datetime] = {}
    for target, at in session.exec(moves.order_by(col(Audit.seq))):
        if target.isdigit():
            found.setdefault(int(target), at)
    return found


def next_number(session: Session) -> int:
    """The number the next version will have; numbers are never used twice."""
    highest = session.exec(select(sa.func.max(Policy.number))).first()
    return 0 if highest is None else highest + 1


def add(
    session: Session,
    number: int,
    directory: str,
    digest: str,
    *,
    parent: int | None = None,
    run_id: UUID | None = None,
    state: str = "candidate",
    report: Json | None = None,
    reason: str | None = None,
) -> Policy:
    """Enter a version whose files are already in place."""
    policy = Policy(
        number=number,
        parent=parent,
        run_id=run_id,
        state=state,
        directory=directory,
        digest=digest,
        report=report or {},
        reason=reason,
    )
    session.add(policy)
    session.flush()
    return policy


def go_live(session: Session, number: int, actor: object, action: str = "policy.promote", reason: str = "") -> Policy:
    """Make `number` the live version; the one before it retires. The server follows within its polling interval.

    A canary ends with it: as the winner, or because there is nothing left to hold it against.

    Raises:
        PolicyError: there is no such version, or it is not fit to go live.
    """
    policy = session.get(Policy, number)
    if policy is None:
        raise PolicyError(f"there is no policy {number}; `backtalk policy list` shows those there are")
    if policy.state == "live":
        return policy
    marked = saw_erased(session)
    if number in marked:
        raise PolicyError(f"policy {number} learned from somebody who was erased since; train anew instead")
    _end_canary(session, number)
    before = live(session)
    if before is not None:
        before.state = "withdrawn" if before.number in marked else "retired"
        before.reason = FORGOTTEN if before.number in marked else before.reason
        session.add(before)
        session.flush()  # the index allows one live version, also for a moment
    policy.state, policy.reason = "live", None
    policy.live_at = now()
    session.add(policy)
    previous = before.number if before else None
    audit.record(session, actor, action, number, previous=previous, reason=reason)
    bells.ring(session, "policy")
    if action == "policy.promote":
        announce(session, "promoted", policy=number, previous=previous, by=str(actor), reason=reason)
    return policy


def roll_back(session: Session, actor: object, reason: str = "") -> Policy:
    """Take the newest change back: a canary if one is under way, otherwise the live version.

    Returns:
        The version that is live then.

    Raises:
        PolicyError: nothing was live before.
    """
    current = live(session)
    tried = session.exec(select(Policy).where(Policy.state == "canary")).first()
    if tried is not None and current is not None:
        take_back(session, tried, actor, reason or "rolled back")
        return current
    earlier = session.exec(
        select(Policy)
        .where(Policy.state == "retired", col(Policy.live_at).is_not(None))
        .order_by(col(Policy.live_at).desc())
        .limit(1)
    ).first()
    if current is None or earlier is None:
        raise PolicyError("no version was live before this one; there is nothing to roll back to")
    current.state = "withdrawn"
    current.reason = reason or "rolled back"
    session.add(current)
    session.flush()
    announce(session, "rolled_back", policy=current.number, live=earlier.number, by=str(actor), reason=current.reason)
    return go_live(session, earlier.number, actor, "policy.rollback", reason)


def take_back(session: Session, policy: Policy, actor: object, reason: str) -> None:
    """Withdraw a canary; everybody gets the live version again."""
    policy.state, policy.reason = "withdrawn", reason
    session.add(policy)
    running = running_canary(session)
    if running is not None:
        running.state, running.reason, running.ended_at = "taken_back", reason, now()
        session.add(running)
    current = live(session)
    number = current.number if current else None
    audit.record(session, actor, "policy.rollback", policy.number, previous=policy.number, live=number, reason=reason)
    bells.ring(session, "policy")
    announce(session, "rolled_back", policy=policy.number, live=number, by=str(actor), reason=reason)


def waiting(session: Session, number: int) -> Policy:
    """A version that has not been decided upon.

    Raises:
        PolicyError: there is no such version, or it does not wait.
    """
    policy = session.get(Policy, number)
    if policy is None:
        raise PolicyError(f"there is no policy {number}; `backtalk policy list` shows those there are")
    if policy.state != "candidate":
        raise PolicyError(f"policy {number} is {policy.state}; only a candidate waits for a decision")
    return policy


def _end_canary(session: Session, number: int) -> None:
    """End the canary under way because `number` goes live."""
    running = running_canary(session)
    if running is None:
        return
    running.ended_at = now()
    if running.number == number:
        running.state = "promoted"
    else:
        running.state, running.reason = "ended", f"policy {number} went live meanwhile"
        tried = session.get_one(Policy, running.number)
        tried.state = "candidate"
        session.add(tried)
    session.add(running)
    session.flush()


# Those who were erased (SEC-17) --------------------------------------------------------------------------------------


def forget(session: Session, person_id: UUID, actor: object) -> list[int]:
    """Withdraw every version that learned from this person, itself or through one that it comes from.

    The live one stays until another takes its place: the next run begins before it (`start`).

    Returns:
        The numbers of all of them, for the audit.
    """
    taught = select(RunItem.run_id).where(RunItem.person_id == person_id)
    seen = _descendants(session, session.exec(select(Policy.number).where(col(Policy.run_id).in_(taught))).all())
    for number in seen:
        policy = session.get_one(Policy, number)
        if policy.state == "canary":
            take_back(session, policy, actor, FORGOTTEN)
        elif policy.state in ("candidate", "retired"):
            policy.state, policy.reason = "withdrawn", FORGOTTEN
            session.add(policy)
    session.flush()
    return seen


def saw_erased(session: Session) -> frozenset[int]:
    """Versions that learned from somebody who was erased since."""
    return frozenset(
        number
        for detail in session.exec(select(Audit.detail).where(Audit.action == ERASED))
        for number in detail.get("versions", ())
    )


def start(session: Session) -> Policy | None:
    """Where the next run begins: at the live version, or at the newest before it that saw nobody who was erased."""
    policy, marked = live(session), saw_erased(session)
    while policy is not None and policy.number in marked and policy.parent is not None:
        policy = session.get(Policy, policy.parent)
    return policy


def _descendants(session: Session, numbers: Iterable[int]) -> list[int]:
    """These and all that come from them, in their order."""
    found = set(numbers)
    for number, parent in session.exec(select(Policy.number, Policy.parent).order_by(col(Policy.number))):
        if parent in found:
            found.add(number)
    return sorted(found)


def ensure_first(database: Database, settings: Settings) -> None:
    """Make version 0 from the model that the settings name, unless there is one."""
    with database.read() as session:
        if live(session) is not None:
            return
    made = weights.workspace(settings.weights_dir)
    weights.copy_model(weights.fetch_model(settings.model), made)
    if settings.model != "starter":
        admission.admit(made)
    directory, manifest = weights.publish(made, settings.weights_dir, weights.signing_key(settings.keys_dir), number=0)
    with database.write() as session:
        if live(session) is None:
            add(session, 0, directory.name, manifest.digest)
            go_live(session, 0, "start", "policy.first")
