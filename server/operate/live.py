"""`/ws/operate`: runs, their measurements and logs, the versions and the canary, as they change.

The rows are the truth and other processes write them, so one loop for all listeners looks at them twice a second, and
only while somebody listens. What a run has measured and said before is asked for by `GET …/metrics` and `GET …/log`
once the socket is open.
"""

import asyncio
import contextlib
import copy
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, FastAPI, WebSocket
from pydantic import BaseModel
from sqlmodel import Session, col, select

from backtalk import canary, runs
from backtalk.tables import Json, Metric, Policy, Run, RunLine
from server.access import Caller, find, requires
from server.events import Pong
from server.operate.policies import PolicyOut
from server.operate.release import CanaryOut, shown
from server.operate.runs import LineOut, RunOut
from server.service import Service, get_service
from server.sockets import SIGNED_OUT, SIGNED_OUT_REASON, Socket

POLL_SECONDS = 0.5
NEWEST_RUNS = 20
METRICS_A_ROUND = 500
LINES_A_ROUND = 200

log = logging.getLogger(__name__)


class RunEvent(BaseModel):
    """A run is new or has changed."""

    type: Literal["run"] = "run"
    run: RunOut


class MetricEvent(BaseModel):
    """A run has measured something."""

    type: Literal["metric"] = "metric"
    run_id: UUID
    step: int
    stage: str
    values: Json


class PolicyEvent(BaseModel):
    """A version is new or has changed."""

    type: Literal["policy"] = "policy"
    policy: PolicyOut


class CanaryEvent(BaseModel):
    """A canary has begun, more is known of it, or it has ended."""

    type: Literal["canary"] = "canary"
    canary: CanaryOut


class LogEvent(BaseModel):
    """The learner said something about a run."""

    type: Literal["log"] = "log"
    run_id: UUID
    lines: list[LineOut]


OperateEvent = RunEvent | MetricEvent | LogEvent | PolicyEvent | CanaryEvent


@dataclass(slots=True)
class Told:
    """How far the news of one run have been told."""

    step: int
    line: int


class Feed:
    """Everybody who watches, and the loop that looks for them."""

    def __init__(self) -> None:
        self._sockets: set[Socket] = set()
        self._shown: dict[object, str] = {}
        """The last frame told of each run and version."""
        self._told: dict[UUID, Told] = {}
        self._task: asyncio.Task[None] | None = None
        self._joining = asyncio.Lock()

    async def join(self, socket: Socket, service: Service) -> None:
        """Tell a new listener how things stand, and from now on what changes."""
        async with self._joining:
            if self._task is None:
                self._shown, self._told = {}, {}
                await self._look(service)
                self._task = asyncio.create_task(self._follow(service), name="operate feed")
            for frame in self._shown.values():
                socket.send(frame)
            self._sockets.add(socket)

    def leave(self, socket: Socket) -> None:
        """Forget a listener; with the last one the loop ends."""
        self._sockets.discard(socket)
        if not self._sockets:
            self.close()

    def close(self) -> None:
        """End the loop."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _follow(self, service: Service) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self._look(service)
            except Exception:
                log.exception("the operators' feed stumbled; it looks again in a moment")

    async def _look(self, service: Service) -> None:
        digests = [socket.caller.digest for socket in self._sockets]
        told = copy.deepcopy(self._told)
        good, events = await service.read(lambda session: (find(session, digests), _events(session, told)))
        self._told = told
        for socket in list(self._sockets):
            if socket.caller.digest in digests and good.get(socket.caller.digest) != socket.caller:
                socket.close(SIGNED_OUT, SIGNED_OUT_REASON)
        for frame in self._changes(events):
            for socket in self._sockets:
                socket.send(frame)

    def _changes(self, events: list[OperateEvent]) -> list[str]:
        changed = []
        for event in events:
            frame = event.model_dump_json()
            if not isinstance(event, MetricEvent | LogEvent):
                key = _key(event)
                if self._shown.get(key) == frame:
                    continue
                self._shown[key] = frame
            changed.append(frame)
        return changed


def _key(event: RunEvent | PolicyEvent | CanaryEvent) -> object:
    match event:
        case RunEvent():
            return event.run.id
        case PolicyEvent():
            return event.policy.number
        case CanaryEvent():
            return event.canary.id


def _events(session: Session, told: dict[UUID, Told]) -> list[OperateEvent]:
    """All that may have changed; `told` says how far each run's news went, and is brought up to date."""
    newest = session.exec(select(Run).order_by(col(Run.queued_at).desc()).limit(NEWEST_RUNS)).all()[::-1]
    events: list[OperateEvent] = [RunEvent(run=RunOut.model_validate(run)) for run in newest]
    for run in newest:
        if run.id in told:
            events += _news(session, run.id, told[run.id])
        elif run.state not in runs.ENDED:  # the past is not told again
            told[run.id] = Told(_last(session, Metric.step, run.id), _last(session, RunLine.number, run.id))
    versions = session.exec(select(Policy).order_by(col(Policy.number)))
    events += [PolicyEvent(policy=PolicyOut.model_validate(policy)) for policy in versions]
    if (tried := canary.last(session)) is not None:
        events.append(CanaryEvent(canary=shown(session, tried)))
    return events


def _last(session: Session, column: Any, run_id: UUID) -> int:
    found: int | None = session.execute(sa.select(sa.func.max(column)).where(column.class_.run_id == run_id)).scalar()
    return -1 if found is None else found


def _news(session: Session, run_id: UUID, told: Told) -> list[OperateEvent]:
    steps = select(Metric).where(Metric.run_id == run_id, Metric.step > told.step).order_by(col(Metric.step))
    events: list[OperateEvent] = []
    for row in session.exec(steps.limit(METRICS_A_ROUND)):
        events.append(MetricEvent(run_id=run_id, step=row.step, stage=row.stage, values=row.values))
        told.step = row.step
    said = select(RunLine).where(RunLine.run_id == run_id, RunLine.number > told.line).order_by(col(RunLine.number))
    lines = [LineOut.model_validate(row) for row in session.exec(said.limit(LINES_A_ROUND))]
    if lines:
        events.append(LogEvent(run_id=run_id, lines=lines))
        told.line = lines[-1].number
    return events


@contextlib.asynccontextmanager
async def _feed(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    feed = Feed()
    yield {"operate_feed": feed}
    feed.close()


router = APIRouter(lifespan=_feed)


@router.websocket("/ws/operate")
async def operate(websocket: WebSocket, caller: Annotated[Caller, requires("operator")]) -> None:
    """Send how things stand, then what changes; to whatever the other side says the answer is `pong`."""
    service = get_service(websocket)
    feed: Feed = websocket.state.operate_feed
    service.limits.sockets.take(caller.person_id)
    socket = Socket(websocket, caller, service.metrics)
    try:
        await websocket.accept()
        writing = asyncio.create_task(socket.write(), name="operate socket")
        try:
            await feed.join(socket, service)
            while (await websocket.receive())["type"] != "websocket.disconnect":
                socket.say(Pong())
        finally:
            feed.leave(socket)
            writing.cancel()
    finally:
        service.limits.sockets.free(caller.person_id)
