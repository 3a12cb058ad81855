"""The run ledger: who may work on a run, proved by a fenced lease (rules R7, R8).

A run is claimed by one conditional update that raises its epoch. Every later write names the epoch it was claimed
under; a learner that lost its lease changes nothing any more.
"""

from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from backtalk import audit, bells, policies, profiles
from backtalk.announcements import announce
from backtalk.profiles import ProfileError
from backtalk.tables import Comparison, Json, Opinion, Run, RunItem, Schedule, Slot, now

LEASE = timedelta(seconds=30)
ENDED = ("promoted", "rejected", "failed", "cancelled")
STAGES = ("snapshot", "reward_model", "policy", "gate", "publish")


class RunError(ValueError):
    """A run cannot be made or changed as asked; the message says why."""


class LeaseLost(RuntimeError):
    """Another learner holds the run now, or it was cancelled from outside: stop without writing."""


def queue(
    session: Session,
    recipe: Json,
    *,
    schedule_id: UUID | None = None,
    requested_by: UUID | None = None,
    reward_profile: str | None = None,
) -> Run:
    """Ask for a training with `recipe`, under the named reward profile or else the active one.

    Raises:
        RunError: one is waiting or running already.
        ProfileError: there is no such profile.
    """
    audit.alone(session)
    busy = session.exec(select(Run).where(col(Run.state).in_(("queued", "running")))).first()
    if busy is not None:
        raise RunError(f"run {busy.id} is {busy.state}; wait for it or cancel it")
    recipe = profiles.applied(session, recipe, reward_profile)
    run = Run(recipe=recipe, schedule_id=schedule_id, requested_by=requested_by)
    session.add(run)
    session.flush()
    audit.record(session, requested_by or "clock", "run.queue", run.id)
    bells.ring(session, "run")
    return run


def fill_slot(
    session: Session, schedule: Schedule, planned_at: datetime, missed: str | None = None, trigger: str = "clock"
) -> Run | None:
    """Settle one time of a schedule: a queued run, or why there is none. None too if it was settled before.

    Where the live version has seen somebody who was erased, no new opinion is needed: the run is there to forget.
    """
    slot = Slot(schedule_id=schedule.id, planned_at=planned_at, trigger=trigger)
    try:
        with session.begin_nested():
            session.add(slot)
    except IntegrityError:
        return None
    run: Run | None = None
    if missed is None:
        fresh = new_feedback(session)
        tried = policies.running_canary(session)
        if tried is not None:
            missed = f"policy {tried.number} is being tried on some of the people; its outcome is where to go on from"
        elif fresh < schedule.minimum_feedback and policies.start(session) == policies.live(session):
            missed = f"{fresh} new opinions, {schedule.minimum_feedback} wanted"
        else:
            try:
                run = queue(session, schedule.recipe, schedule_id=schedule.id, reward_profile=schedule.reward_profile)
            except (RunError, ProfileError) as error:
                missed = str(error)
    slot.run_id = run.id if run else None
    slot.missed = missed
    session.add(slot)
    return run


def new_feedback(session: Session) -> int:
    """Opinions and comparisons that came in or changed since the last promoted or rejected run began.

    Those that it has seen in their present state are not new, however late the clock of their server.
    """
    ended = col(Run.state).in_(("promoted", "rejected"))
    began = session.exec(select(sa.func.max(Run.started_at)).where(ended)).one()
    seen = (
        select(RunItem.item_id, RunItem.revision).join(Run, col(Run.id) == col(RunItem.run_id)).where(ended).subquery()
    )
    opinions = select(sa.func.count()).select_from(Opinion)
    opinions = opinions.where(
        ~col(Opinion.withdrawn),
        ~col(Opinion.excluded),
        ~sa.exists().where(seen.c.item_id == col(Opinion.id), seen.c.revision == col(Opinion.revision)),
    )
    comparisons = select(sa.func.count()).select_from(Comparison)
    comparisons = comparisons.where(~col(Comparison.excluded), ~sa.exists().where(seen.c.item_id == col(Comparison.id)))
    if began is not None:
        opinions = opinions.where(col(Opinion.updated_at) > began)
        comparisons = comparisons.where(col(Comparison.created_at) > began)
    return session.exec(opinions).one() + session.exec(comparisons).one()


def claim(session: Session, owner: str) -> Run | None:
    """Take the oldest queued run, or one whose holder's lease has run out; None when there is nothing to do."""
    moment = now()
    free = sa.or_(
        col(Run.state) == "queued",
        sa.and_(col(Run.state) == "running", col(Run.lease_until) < moment),
    )
    run_id = session.exec(select(Run.id).where(free).order_by(col(Run.queued_at)).limit(1)).first()
    if run_id is None:
        return None
    claimed = session.execute(
        sa.update(Run)
        .where(col(Run.id) == run_id, free)
        .values(
            state="running",
            owner=owner,
            epoch=Run.epoch + 1,
            lease_until=moment + LEASE,
            started_at=sa.func.coalesce(Run.started_at, moment),
        )
        .returning(col(Run.id))
    ).scalar()
    if claimed is None:
        return None
    session.expire_all()
    return session.get(Run, run_id)


def renew(session: Session, run_id: UUID, epoch: int) -> bool:
    """Prolong the lease; True when the run shall be cancelled.

    Raises:
        LeaseLost: the run is no longer ours.
    """
    cancel = session.execute(
        sa.update(Run)
        .where(col(Run.id) == run_id, col(Run.epoch) == epoch, col(Run.state) == "running")
        .values(lease_until=now() + LEASE)
        .returning(col(Run.cancel_requested))
    ).scalar()
    if cancel is None:
        raise LeaseLost(f"run {run_id} is no longer held under epoch {epoch}")
    return bool(cancel)


def update(session: Session, run_id: UUID, epoch: int, **values: object) -> None:
    """Write what a run has come to, under its epoch.

    Raises:
        LeaseLost: the run is no longer ours; nothing was written.
    """
    held = session.execute(
        sa.update(Run)
        .where(col(Run.id) == run_id, col(Run.epoch) == epoch, col(Run.state) == "running")
        .values(**values)
        .returning(col(Run.id))
    ).scalar()
    if held is None:
        raise LeaseLost(f"run {run_id} is no longer held under epoch {epoch}")


def end(session: Session, run_id: UUID, epoch: int, state: str, error: str | None = None, **values: object) -> None:
    """Give a run its terminal state.

    Raises:
        LeaseLost: the run is no longer ours; nothing was written.
    """
    update(session, run_id, epoch, state=state, error=error, ended_at=now(), lease_until=None, **values)
    audit.record(session, "learner", f"run.{state}", run_id, error=error)
    if state in ("rejected", "failed"):
        announce(session, "rejected" if state == "rejected" else "run_failed", run=str(run_id), reason=error)


def cancel(session: Session, run_id: UUID, actor: object) -> Run:
    """Ask a run to stop: a queued one ends at once, a running one within its next step.

    Raises:
        RunError: there is no such run, or it has ended.
    """
    run = session.get(Run, run_id)
    if run is None:
        raise RunError(f"there is no run {run_id}; `backtalk run list` shows those there are")
    if run.state in ENDED:
        raise RunError(f"run {run_id} has ended already ({run.state})")
    run.cancel_requested = True
    if run.state == "queued":
        run.state = "cancelled"
        run.ended_at = now()
    session.add(run)
    audit.record(session, actor, "run.cancel", run_id)
    bells.ring(session, "run")
    return run
