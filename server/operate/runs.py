"""Trainings: ask for one, watch it, cancel it."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session, col, select

from backtalk import givers, runs
from backtalk.recipe import load_recipe
from backtalk.tables import Json, Metric, Run, RunLine, Sample
from server.errors import NotFound
from server.operate.rules import PREFIX, Held, Limit, Operator

router = APIRouter(prefix=f"{PREFIX}/runs", tags=["runs"])

MOST_METRICS = 20_000


class RunIn(BaseModel):
    """Train now."""

    model_config = ConfigDict(extra="forbid")

    recipe: Json = Field(default_factory=dict, description="What differs from the default recipe.")
    reward_profile: str | None = Field(None, description="Name of the reward profile; the active one when null.")


class RunOut(BaseModel):
    """One training from snapshot to publication."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    schedule_id: UUID | None
    requested_by: UUID | None
    state: str
    stage: str | None
    progress: float
    from_version: int | None
    to_version: int | None
    recipe: Json
    counts: Json
    report: Json
    error: str | None
    cancel_requested: bool
    queued_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class MetricOut(BaseModel):
    """What a run measured at one step."""

    model_config = ConfigDict(from_attributes=True)

    step: int
    stage: str
    at: datetime
    values: Json


class LineOut(BaseModel):
    """A line of a run's log."""

    model_config = ConfigDict(from_attributes=True)

    number: int
    level: str
    text: str
    at: datetime


class GiverOut(BaseModel):
    """Somebody whose opinions a run used."""

    model_config = ConfigDict(from_attributes=True)

    person_id: UUID
    name: str | None
    given: int
    used: int = Field(description="Within the cap of one person; none of somebody who contradicts all others.")
    share: float = Field(description="Of all that the run used.")
    influence: float | None = Field(
        description="How far the linear reward moves without them, in its spreads; null: they only judged."
    )
    leaning: float | None = Field(description="What of the version's gain in that reward is owed to them.")
    contrary: float | None = Field(
        description="The chance that they say the opposite of what the others say, of everything; null: not known."
    )


class SampleOut(BaseModel):
    """The same prompt answered before and after."""

    model_config = ConfigDict(from_attributes=True)

    prompt: str
    before: str
    after: str
    reward_before: float
    reward_after: float


@router.get("")
async def list_runs(service: Held, caller: Operator, limit: Limit = 50) -> dict[str, list[RunOut]]:
    """Runs, newest first."""
    newest = select(Run).order_by(col(Run.queued_at).desc()).limit(limit)
    found = await service.read(lambda session: session.exec(newest).all())
    return {"items": [RunOut.model_validate(run) for run in found]}


@router.post("", status_code=202)
async def train(service: Held, caller: Operator, given: RunIn | None = None) -> RunOut:
    """Queue a training; a learner takes it up within seconds. 409 while another waits or runs."""
    asked = given if given is not None else RunIn()
    load_recipe(asked.recipe)
    return await service.writer.write(
        lambda session: RunOut.model_validate(
            runs.queue(session, asked.recipe, requested_by=caller.person_id, reward_profile=asked.reward_profile)
        )
    )


@router.get("/{run_id}")
async def show(run_id: UUID, service: Held, caller: Operator) -> RunOut:
    """One run."""
    return await service.read(lambda session: RunOut.model_validate(_run(session, run_id)))


@router.post("/{run_id}/cancel")
async def cancel(run_id: UUID, service: Held, caller: Operator) -> RunOut:
    """Ask a run to stop; 409 when it has ended."""

    def change(session: Session) -> RunOut:
        _run(session, run_id)
        return RunOut.model_validate(runs.cancel(session, run_id, caller.person_id))

    return await service.writer.write(change)


@router.get("/{run_id}/metrics")
async def metrics(
    run_id: UUID,
    service: Held,
    caller: Operator,
    after: Annotated[int, Query(description="Only steps after this one.")] = -1,
) -> dict[str, list[MetricOut]]:
    """What a run has measured, in the order of its steps."""

    def query(session: Session) -> list[MetricOut]:
        _run(session, run_id)
        steps = select(Metric).where(Metric.run_id == run_id, Metric.step > after).order_by(col(Metric.step))
        return [MetricOut.model_validate(row) for row in session.exec(steps.limit(MOST_METRICS))]

    return {"items": await service.read(query)}


@router.get("/{run_id}/log")
async def log(
    run_id: UUID,
    service: Held,
    caller: Operator,
    after: Annotated[int, Query(description="Only lines after this one.")] = 0,
) -> dict[str, list[LineOut]]:
    """What the learner said while it did the run; the newest thousand lines are kept."""

    def query(session: Session) -> list[LineOut]:
        _run(session, run_id)
        lines = select(RunLine).where(RunLine.run_id == run_id, RunLine.number > after).order_by(col(RunLine.number))
        return [LineOut.model_validate(row) for row in session.exec(lines)]

    return {"items": await service.read(query)}


@router.get("/{run_id}/people")
async def people(run_id: UUID, service: Held, caller: Operator, limit: Limit = 50) -> dict[str, list[GiverOut]]:
    """Whose opinions a run used, those first whom its reward hangs on most."""

    def query(session: Session) -> list[GiverOut]:
        _run(session, run_id)
        return [GiverOut.model_validate(one) for one in givers.of_run(session, run_id, limit)]

    return {"items": await service.read(query)}


@router.get("/{run_id}/samples")
async def samples(run_id: UUID, service: Held, caller: Operator) -> dict[str, list[SampleOut]]:
    """The same prompts before and after a run."""

    def query(session: Session) -> list[SampleOut]:
        _run(session, run_id)
        rows = session.exec(select(Sample).where(Sample.run_id == run_id).order_by(col(Sample.number)))
        return [SampleOut.model_validate(row) for row in rows]

    return {"items": await service.read(query)}


def _run(session: Session, run_id: UUID) -> Run:
    run = session.get(Run, run_id)
    if run is None:
        raise NotFound(f"there is no run {run_id}")
    return run
