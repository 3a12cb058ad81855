"""Who is let in, for operators: to see it, and to choose it where no setting decides."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session

from backtalk import entrance
from backtalk.entrance import EntranceMode
from server.operate.rules import PREFIX, Admin, Held, Operator
from server.service import Service

router = APIRouter(prefix=PREFIX, tags=["people"])


class EntranceOut(BaseModel):
    """Who is let in now."""

    signup: EntranceMode
    fixed: bool = Field(description="The setting BACKTALK_SIGNUP decides; it cannot be chosen here.")


class EntranceIn(BaseModel):
    """Who shall be let in."""

    model_config = ConfigDict(extra="forbid")

    signup: EntranceMode


@router.get("/entrance")
async def show_entrance(service: Held, caller: Operator) -> EntranceOut:
    """Who is let in now."""
    return await service.read(lambda session: _shown(session, service))


@router.put("/entrance")
async def choose_entrance(given: EntranceIn, service: Held, caller: Admin) -> EntranceOut:
    """Choose who is let in from now on; whoever is in stays in."""

    def change(session: Session) -> EntranceOut:
        entrance.choose(session, service.settings, caller.person_id, given.signup)
        session.flush()
        return _shown(session, service)

    return await service.writer.write(change)


def _shown(session: Session, service: Service) -> EntranceOut:
    return EntranceOut(signup=entrance.mode(session, service.settings), fixed=entrance.is_fixed(service.settings))
