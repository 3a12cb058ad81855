"""Two versions side by side: what each answers to the same questions, and where a version comes from."""

import contextlib
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session

from backtalk import card, drafts, privacy
from backtalk.drafts import Speaker
from backtalk.engine.errors import EngineLost, EngineRefused, LoadFailed
from backtalk.engine.sampling import Sampling
from backtalk.tables import Json, Policy
from backtalk.template import TemplateError
from backtalk.weights import WeightsError
from server.errors import BadRequest, Conflict, NotFound, Unavailable
from server.operate.policies import Number, PolicyOut
from server.operate.rules import PREFIX, Held, Operator
from server.operate.runs import GiverOut
from server.swapper import Version

router = APIRouter(prefix=f"{PREFIX}/policies", tags=["policies"])

Question = Annotated[str, Field(min_length=1, max_length=4000)]


class SnapshotOut(BaseModel):
    """What a version learned from."""

    digest: str | None
    counts: Json
    people: int
    opinions: int
    givers: list[GiverOut] = Field(description="The ten people whom its reward hangs on most.")


class Thumbs(BaseModel):
    """How a version was liked since people had it."""

    replies: int
    rated: int
    liked: int


class Files(BaseModel):
    """Whether the weights on disk are those that were published here."""

    signature: str = Field(description="valid, broken or missing")
    problem: str | None
    count: int
    bytes: int


class Card(BaseModel):
    """All that is known of one version."""

    policy: PolicyOut
    snapshot: SnapshotOut | None = Field(description="Null for a version that no run has made.")
    recipe: Json
    rewards: Json
    thumbs: Thumbs
    files: Files


class CompareIn(BaseModel):
    """Which two versions, and what to ask them."""

    model_config = ConfigDict(extra="forbid")

    left: Annotated[int, Field(ge=0, le=2**31 - 1)]
    right: Annotated[int, Field(ge=0, le=2**31 - 1)]
    prompts: list[Question] | None = Field(
        None, min_length=1, max_length=drafts.MOST, description="Real questions of late when left out."
    )
    temperature: float = Field(0.6, ge=0, le=2)
    max_tokens: int = Field(256, ge=1, le=1024)
    seed: int = Field(0, ge=0, le=2**31)


class Pair(BaseModel):
    """One question and both replies."""

    prompt: str
    left: str
    right: str


class Compared(BaseModel):
    """Two versions side by side."""

    left: PolicyOut
    right: PolicyOut
    items: list[Pair]


class Questions(BaseModel):
    """Questions that people really asked."""

    items: list[str]


@router.get("/questions")
async def questions(
    service: Held,
    caller: Operator,
    count: Annotated[int, Query(ge=1, le=drafts.MOST)] = 5,
    seed: Annotated[int, Query(ge=0, description="Another number, other questions.")] = 0,
) -> Questions:
    """Real questions of late, of people who let theirs train, to compare versions by."""
    own = privacy.load(service.settings.data_dir)
    return Questions(items=await service.read(lambda session: drafts.real_questions(session, count, seed, own)))


@router.post("/compare")
async def compare(given: CompareIn, service: Held, caller: Operator) -> Compared:
    """Ask two versions the same, with the same sampling and seed; nothing of it is kept."""

    own = privacy.load(service.settings.data_dir)

    def read(session: Session) -> tuple[PolicyOut, PolicyOut, list[str]]:
        found = [session.get(Policy, number) for number in (given.left, given.right)]
        for number, policy in zip((given.left, given.right), found, strict=True):
            if policy is None:
                raise NotFound(f"there is no policy {number}")
        left, right = (PolicyOut.model_validate(policy) for policy in found)
        return left, right, given.prompts or drafts.real_questions(session, 5, given.seed, own)

    left, right, prompts = await service.read(read)
    if not prompts:
        raise Conflict("nobody who lets theirs train has asked anything yet; give prompts of your own")
    sampling = Sampling(max_tokens=given.max_tokens, temperature=given.temperature, seed=given.seed)
    try:
        async with contextlib.AsyncExitStack() as held:
            sides = []
            for number in (given.left, given.right):
                version: Version = await held.enter_async_context(service.swapper.borrow(number))
                sides.append(await drafts.answers(service.engine, Speaker(number, version.template), prompts, sampling))
    except TemplateError as error:
        raise BadRequest(str(error)) from error
    except (WeightsError, LoadFailed) as error:
        raise Conflict(f"a version cannot be served: {error}") from error
    except (EngineLost, EngineRefused) as error:
        raise Unavailable(f"the engine did not answer ({error}); try again in a moment", retry_after=2) from error
    items = [
        Pair(prompt=prompt, left=own[0], right=other[0]) for prompt, own, other in zip(prompts, *sides, strict=True)
    ]
    return Compared(left=left, right=right, items=items)


@router.get("/{number}/card")
async def show_card(number: Number, service: Held, caller: Operator) -> Card:
    """All that is known of one version; its files are read whole, so that its signature is a fact."""

    def read(session: Session) -> Card:
        policy = session.get(Policy, number)
        if policy is None:
            raise NotFound(f"there is no policy {number}")
        return Card(policy=PolicyOut.model_validate(policy), **card.card(session, service.settings, policy))

    return await service.read(read)
