"""What people are asked for: reasons, aspects, and how often a comparison with a second answer is offered."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from backtalk import asking
from backtalk.asking import Aspect, Reason
from server.operate.rules import PREFIX, Held, Operator
from server.people import AspectOut, ReasonOut

router = APIRouter(prefix=PREFIX, tags=["asking"])

Share = Annotated[float, Field(ge=0, le=1, description="Share of the replies; 0: never.")]


class Asking(BaseModel):
    """What people are asked for now."""

    compare_share: Share
    aspects: list[AspectOut]
    reasons: list[ReasonOut]


class AskingChange(BaseModel):
    """What they shall be asked for; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    compare_share: Share | None = None
    aspects: list[AspectOut] | None = None
    reasons: list[ReasonOut] | None = None


@router.get("/asking")
async def show_asking(service: Held, caller: Operator) -> Asking:
    """What people are asked for now."""
    return await service.read(lambda session: _shown(asking.asked(session)))


@router.put("/asking")
async def set_asking(given: AskingChange, service: Held, caller: Operator) -> Asking:
    """Set it; pages that are open follow when they are loaded again. Opinions keep what they were given."""
    aspects = None if given.aspects is None else [Aspect(**one.model_dump()) for one in given.aspects]
    reasons = None if given.reasons is None else [Reason(**one.model_dump()) for one in given.reasons]
    return await service.writer.write(
        lambda session: _shown(asking.ask_for(session, caller.person_id, given.compare_share, aspects, reasons))
    )


def _shown(asked: asking.Asking) -> Asking:
    return Asking.model_validate(asdict(asked))
