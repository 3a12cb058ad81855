"""The labelling queue over HTTP: how items are handed to raters, and how far raters can be relied on."""

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from backtalk import labelling
from server.operate.rules import PREFIX, Held, Operator

router = APIRouter(prefix=f"{PREFIX}/labelling", tags=["labelling"])

Share = Annotated[float, Field(ge=0, le=1)]


class RulesOut(BaseModel):
    """How items are handed out."""

    model_config = ConfigDict(from_attributes=True)

    gold_share: float = Field(description="Of what a rater is given: items whose right answer is known.")
    double_share: float = Field(description="Of the replies: given to two raters, as long as there are fresh ones.")
    pair_share: float = Field(description="Of what a rater is given: pairs that the reward heads disagree on.")


class RulesChange(BaseModel):
    """How they shall be handed out; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    gold_share: Share | None = None
    double_share: Share | None = None
    pair_share: Share | None = None


class RaterOut(BaseModel):
    """How one rater has answered."""

    person_id: UUID
    name: str | None
    answered: int
    gold: int = Field(description="Gold items among them.")
    gold_right: int
    gold_low: float = Field(description="Lower end of the share answered rightly, at 95 % (Wilson).")
    gold_high: float
    shared: int = Field(description="Answers that can be held against another rater's to the same item.")
    shared_same: int
    kappa: float | None = Field(description="Cohen's kappa over these.")
    repeated: int = Field(description="Replies that they were given twice.")
    repeated_same: int


class LabellingOut(BaseModel):
    """How the queue does."""

    rules: RulesOut
    gold: int = Field(description="Gold items that there are.")
    answered: int
    items: int
    doubled: int = Field(description="Items that two raters or more have answered.")
    kappa: float | None = Field(description="Cohen's kappa, where just two raters share items.")
    alpha: float | None = Field(description="Krippendorff's alpha over all raters, for nominal answers.")
    raters: list[RaterOut]


@router.get("")
async def show(service: Held, caller: Operator) -> LabellingOut:
    """Agreement, reliability, and the rules as they stand."""
    return await service.read(
        lambda session: LabellingOut(
            rules=RulesOut.model_validate(labelling.rules(session)),
            gold=len(labelling.gold_answers(session)),
            **asdict(labelling.labelling(session)),
        )
    )


@router.put("")
async def set_rules(given: RulesChange, service: Held, caller: Operator) -> RulesOut:
    """Change how items are handed out."""
    shares = given.model_dump(exclude_none=True)
    return await service.writer.write(
        lambda session: RulesOut.model_validate(labelling.set_rules(session, caller.person_id, **shares))
    )
