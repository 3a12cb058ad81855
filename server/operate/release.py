"""How versions become live: the rules, the canary under way, and what was announced."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session

from backtalk import canary, release
from backtalk.announcements import secret
from backtalk.release import ReleaseError
from backtalk.settings import Settings
from backtalk.tables import Canary, Json, ReleaseRules
from server.errors import Conflict
from server.operate.rules import PREFIX, Held, Limit, Operator

router = APIRouter(prefix=PREFIX, tags=["release"])

Approval = Literal["automatic", "operator"]


class RulesChange(BaseModel):
    """What changes; what is left out stays. A null `webhook_url` takes the webhook away."""

    model_config = ConfigDict(extra="forbid")

    approval: Approval | None = Field(None, description="`operator`: a version that passed the gate waits for one.")
    canary: Annotated[bool, Field(strict=True)] | None = Field(
        None, description="Whether a new version first serves a share of the people."
    )
    canary_shares: list[float] | None = Field(
        None, max_length=10, description="Of the people, step by step; everybody comes after the last."
    )
    canary_people: Annotated[int, Field(ge=1, strict=True)] | None = Field(
        None, description="That each step must have reached before the next one."
    )
    canary_replies: Annotated[int, Field(ge=1, strict=True)] | None = Field(None, description="Each of them.")
    alpha: float | None = Field(None, description="Chance of taking back a version that is no worse.")
    webhook_url: str | None = Field(None, max_length=2000)
    webhook_private: Annotated[bool, Field(strict=True)] | None = Field(
        None, description="Whether the webhook may lead into a private network."
    )

    def changes(self) -> Json:
        """The fields that were given."""
        given = self.model_dump(exclude_unset=True)
        return {name: value for name, value in given.items() if value is not None or name == "webhook_url"}


class RulesOut(BaseModel):
    """The rules as they stand."""

    model_config = ConfigDict(from_attributes=True)

    approval: Approval
    canary: bool
    canary_shares: list[float]
    canary_people: int
    canary_replies: int
    alpha: float
    webhook_url: str | None
    webhook_private: bool
    webhook_secret: str | None = Field(None, description="What the receiver checks signatures with.")
    updated_at: datetime


class LookOut(BaseModel):
    """What was known of a canary at one look."""

    model_config = ConfigDict(from_attributes=True)

    seq: int
    at: datetime
    content: Json


class CanaryOut(BaseModel):
    """A version tried on some of the people, and how that goes or ended."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    number: int
    control: int
    state: Literal["watching", "paused", "promoted", "taken_back", "ended"]
    step: int
    shares: list[float]
    people: list[int]
    replies: int
    alpha: float
    limits: Json
    reason: str | None
    began_at: datetime
    ended_at: datetime | None
    last: Json | None = Field(None, description="What the newest look has shown.")


class CanaryCurve(CanaryOut):
    """The same with every look since it began."""

    looks: list[LookOut]


class AnnouncementOut(BaseModel):
    """Something that was announced, and whether the webhook has taken it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    kind: str
    content: Json
    at: datetime
    attempts: int
    next_at: datetime | None = Field(description="When it is sent (again); null when nothing is left to do.")
    delivered_at: datetime | None
    error: str | None


@router.get("/release")
async def show(service: Held, caller: Operator) -> RulesOut:
    """How a version that passed the gate becomes live, and who is told."""
    return await service.read(lambda session: _rules(release.rules(session), service.settings))


@router.patch("/release")
async def change(given: RulesChange, service: Held, caller: Operator) -> RulesOut:
    """Change some of the rules; they hold from the next version on."""
    changes = given.changes()
    return await service.writer.write(
        lambda session: _rules(release.set_rules(session, caller.person_id, **changes), service.settings)
    )


@router.post("/release/test", status_code=202)
async def test(service: Held, caller: Operator) -> AnnouncementOut:
    """Send the webhook something harmless; how it went is told by the announcements."""

    def send(session: Session) -> AnnouncementOut:
        try:
            return AnnouncementOut.model_validate(release.test(session, caller.person_id))
        except ReleaseError as error:
            raise Conflict(str(error)) from error

    return await service.writer.write(send)


@router.get("/announcements")
async def announcements(service: Held, caller: Operator, limit: Limit = 50) -> dict[str, list[AnnouncementOut]]:
    """What was announced, newest first."""
    rows = await service.read(lambda session: release.announcements(session, limit))
    return {"items": [AnnouncementOut.model_validate(row) for row in rows]}


@router.get("/canary")
async def newest_canary(service: Held, caller: Operator) -> dict[str, CanaryCurve | None]:
    """The canary under way, or the last one, with its curve."""

    def query(session: Session) -> CanaryCurve | None:
        last = canary.last(session)
        return curve(session, last) if last is not None else None

    return {"canary": await service.read(query)}


def shown(session: Session, row: Canary) -> CanaryOut:
    """A canary with what is known of it last."""
    last = canary.newest_look(session, row)
    out = CanaryOut.model_validate(row)
    out.last = last.content if last is not None else None
    return out


def curve(session: Session, row: Canary) -> CanaryCurve:
    """A canary with all its looks."""
    looks = [LookOut.model_validate(look) for look in canary.looks(session, row)]
    last = looks[-1].content if looks else None
    return CanaryCurve(**CanaryOut.model_validate(row).model_dump(exclude={"last"}), last=last, looks=looks)


def _rules(found: ReleaseRules, settings: Settings) -> RulesOut:
    out = RulesOut.model_validate(found)
    out.webhook_secret = secret(settings) if found.webhook_url is not None else None
    return out
