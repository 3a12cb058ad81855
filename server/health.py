"""Is the process alive, can it serve, and what has it counted: for balancers, supervisors and Prometheus."""

import asyncio
import contextlib
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import InterfaceError, OperationalError

from server.access import Caller, anyone
from server.service import Service, get_service

STALL_SECONDS = 10.0
"""An engine that has work and finishes no step for so long is not ready (rule R6)."""

router = APIRouter(tags=["health"])
Anyone = Annotated[Caller | None, anyone]
Serving = Annotated[Service, Depends(get_service)]


@router.get("/livez")
async def alive(caller: Anyone) -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/readyz")
async def ready(caller: Anyone, service: Serving) -> Response:
    """Can people chat? 503 with the reasons when they cannot."""
    reasons = why_not(service)
    version = service.swapper.current.number if service.swapper.current else None
    content: dict[str, Any] = {"ready": not reasons, "reasons": reasons, "policy_version": version}
    if service.swapper.problem:
        content["problem"] = service.swapper.problem
    return JSONResponse(content, 503 if reasons else 200)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(caller: Anyone, service: Serving) -> Response:
    """The counters, in Prometheus' text format."""
    with contextlib.suppress(OperationalError, InterfaceError):  # the counters are wanted most while it is away
        await service.read(service.metrics.delays.look)
    service.metrics.tasks.set(len(asyncio.all_tasks()))
    return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def why_not(service: Service) -> list[str]:
    """Why people cannot chat now; empty when they can."""
    reasons = []
    if not service.engine.is_connected:
        reasons.append("the engine is not there")
    elif service.engine.stalled(STALL_SECONDS):
        reasons.append(f"the engine has made no progress for {STALL_SECONDS:.0f} s")
    elif service.swapper.current is None:
        reasons.append(service.swapper.problem or "no policy version is loaded yet")
    elif service.swapper.current.number not in service.engine.versions:
        reasons.append(f"policy {service.swapper.current.number} is being loaded again")
    if not service.writer.is_healthy:
        reasons.append("the database cannot be written")
    return reasons
