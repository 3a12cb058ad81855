"""Versions: their lineage, and which one is live."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session, col, select

from backtalk import canary, policies, release, weights
from backtalk.tables import Json, Policy
from server.errors import Conflict, NotFound
from server.operate.release import CanaryCurve, curve
from server.operate.rules import PREFIX, Held, Operator
from server.service import Service

router = APIRouter(prefix=f"{PREFIX}/policies", tags=["policies"])

Number = Annotated[int, Path(ge=0, le=2**31 - 1)]


class Reason(BaseModel):
    """Why the pointer moves; it goes into the audit log."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field("", max_length=1000)


class PolicyOut(BaseModel):
    """A version of the weights."""

    model_config = ConfigDict(from_attributes=True)

    number: int
    parent: int | None
    run_id: UUID | None
    state: str
    directory: str
    digest: str
    report: Json
    reason: str | None
    created_at: datetime
    live_at: datetime | None


@router.get("")
async def list_policies(service: Held, caller: Operator) -> dict[str, list[PolicyOut]]:
    """All versions, newest first."""
    rows = await service.read(lambda session: session.exec(select(Policy).order_by(col(Policy.number).desc())).all())
    return {"items": [PolicyOut.model_validate(row) for row in rows]}


@router.post("/rollback")
async def roll_back(service: Held, caller: Operator, given: Reason | None = None) -> PolicyOut:
    """Take the newest change back, a canary or else the live version; answers with the version that is live then."""
    reason = given.reason if given is not None else ""
    live = await service.writer.write(
        lambda session: PolicyOut.model_validate(policies.roll_back(session, caller.person_id, reason))
    )
    service.swapper.wake()
    return live


@router.get("/{number}")
async def show(number: Number, service: Held, caller: Operator) -> PolicyOut:
    """One version."""
    return await service.read(lambda session: PolicyOut.model_validate(_policy(session, number)))


@router.post("/{number}/promote")
async def promote(number: Number, service: Held, caller: Operator, given: Reason | None = None) -> PolicyOut:
    """Make a version live for everybody at once, without a canary even where the rules want one of those that go out by
    themselves; from there on the way is the same."""
    return await _moved(
        number, service, given, lambda session, why: policies.go_live(session, number, caller.person_id, reason=why)
    )


@router.post("/{number}/approve")
async def approve(number: Number, service: Held, caller: Operator, given: Reason | None = None) -> PolicyOut:
    """Let a waiting version out as the rules say: to a share of the people first, or to all at once."""
    return await _moved(
        number, service, given, lambda session, why: release.approve(session, number, caller.person_id, why)
    )


@router.post("/{number}/reject")
async def reject(number: Number, service: Held, caller: Operator, given: Reason | None = None) -> PolicyOut:
    """Turn a waiting version down; it stays on disk and does not go live."""
    return await _moved(
        number, service, given, lambda session, why: release.reject(session, number, caller.person_id, why)
    )


@router.post("/{number}/canary")
async def begin_canary(number: Number, service: Held, caller: Operator, given: Reason | None = None) -> PolicyOut:
    """Give a version to a share of the people first, whatever the rules say of others."""

    def begin(session: Session, why: str) -> Policy:
        return canary.begin(session, number, caller.person_id, release.rules(session), why)

    return await _moved(number, service, given, begin)


@router.get("/{number}/canary")
async def show_canary(number: Number, service: Held, caller: Operator) -> CanaryCurve:
    """How this version did when some of the people had it, look by look."""

    def query(session: Session) -> CanaryCurve:
        _policy(session, number)
        last = canary.last(session, number)
        if last is None:
            raise NotFound(f"policy {number} has never been tried on some of the people")
        return curve(session, last)

    return await service.read(query)


async def _moved(
    number: int, service: Service, given: Reason | None, move: Callable[[Session, str], Policy]
) -> PolicyOut:
    """Move a version whose files are there; the swapper follows at once."""
    reason = given.reason if given is not None else ""
    policy = await service.read(lambda session: _policy(session, number))
    _check_files(service, policy)
    moved = await service.writer.write(lambda session: PolicyOut.model_validate(move(session, reason)))
    service.swapper.wake()
    return moved


def _policy(session: Session, number: int) -> Policy:
    policy = session.get(Policy, number)
    if policy is None:
        raise NotFound(f"there is no policy {number}")
    return policy


def _check_files(service: Service, policy: Policy) -> None:
    if not (service.settings.weights_dir / policy.directory / weights.MANIFEST).exists():
        raise Conflict(f"the weights of policy {policy.number} are no longer on disk; choose another version")
