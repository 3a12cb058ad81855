"""The loop's own service level: how long opinions are on their way into a version that is live."""

from datetime import datetime
from itertools import chain

from fastapi import APIRouter
from pydantic import BaseModel, Field

from backtalk.delays import Deployed, quantile
from server.operate.rules import PREFIX, Held, Operator

router = APIRouter(prefix=PREFIX, tags=["summary"])

NEWEST = 20


class DeployedOut(BaseModel):
    """One version, and how long what it was the first to learn from had been on its way, in seconds."""

    version: int
    live_at: datetime = Field(description="For the first time.")
    opinions: int
    p50: float | None
    p95: float | None
    parts: dict[str, float | None] = Field(description="Seconds of each part of the way; of waiting, the median.")


class DelaysOut(BaseModel):
    """The newest versions, oldest first, and all their opinions together."""

    items: list[DeployedOut]
    opinions: int
    p50: float | None
    p95: float | None


@router.get("/delays")
async def show(service: Held, caller: Operator) -> DelaysOut:
    """From opinion to deployed version: median, 95th percentile and parts, by version."""
    newest = (await service.read(service.metrics.delays.look))[-NEWEST:]
    everything = sorted(chain.from_iterable(one.totals for one in newest))
    return DelaysOut(
        items=[_shown(one) for one in newest],
        opinions=len(everything),
        p50=quantile(everything, 0.5),
        p95=quantile(everything, 0.95),
    )


def _shown(one: Deployed) -> DeployedOut:
    return DeployedOut(
        version=one.version,
        live_at=one.live_at,
        opinions=len(one.waits),
        p50=quantile(one.totals, 0.5),
        p95=quantile(one.totals, 0.95),
        parts={"waiting": quantile(one.waits, 0.5), **one.parts},
    )
