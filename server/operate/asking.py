"""What people are asked for: below how many replies a comparison with a second answer is offered."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from backtalk import asking
from server.operate.rules import PREFIX, Held, Operator

router = APIRouter(prefix=PREFIX, tags=["asking"])


class Asking(BaseModel):
    """The rules as they stand, or as they shall be."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    compare_share: Annotated[float, Field(ge=0, le=1, description="Share of the replies; 0: never.")]


@router.get("/asking")
async def show_asking(service: Held, caller: Operator) -> Asking:
    """The rules as they stand."""
    return await service.read(lambda session: Asking.model_validate(asking.rules(session)))


@router.put("/asking")
async def set_asking(given: Asking, service: Held, caller: Operator) -> Asking:
    """Set the rules; pages that are open follow when they are loaded again."""
    return await service.writer.write(
        lambda session: Asking.model_validate(asking.set_compare_share(session, caller.person_id, given.compare_share))
    )
