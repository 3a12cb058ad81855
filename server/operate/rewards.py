"""Reward profiles: which rewards count and how much, what they would prefer today, and whether they contradict."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat
from sqlmodel import Session, col, select

from backtalk import drafts, privacy, profiles, rules
from backtalk import preview as trying
from backtalk.appraisal import Appraiser
from backtalk.drafts import Speaker
from backtalk.engine.errors import EngineLost, EngineRefused, LoadFailed
from backtalk.engine.sampling import Sampling
from backtalk.tables import RewardProfile
from backtalk.template import TemplateError
from server.errors import BadRequest, Conflict, Unavailable
from server.operate.rules import PREFIX, Held, Operator

router = APIRouter(prefix=f"{PREFIX}/rewards", tags=["rewards"])

Name = Annotated[str, Path(max_length=profiles.NAME_LENGTH)]
Words = Annotated[list[str], Field(max_length=rules.MOST_WORDS)]


class Content(BaseModel):
    """Which rewards count and how much."""

    model_config = ConfigDict(extra="forbid")

    weights: dict[str, FiniteFloat] = Field(
        description="Weight by reward; of styles and own rules also below 0, for less of it."
    )
    rules: dict[str, str | Words] = Field(
        default_factory=dict,
        max_length=rules.MOST_RULES,
        description="The operators' own rules: an expression over measures of the text, or words to be counted.",
    )
    limits: dict[str, FiniteFloat] = Field(default_factory=dict, description="What the gate demands, by its names.")
    forbidden: Words = Field(
        [], description="Words that a version's replies may not hold; `maximum_forbidden` limits it."
    )


class ProfileIn(Content):
    """A profile; the active one goes into every next run."""

    active: bool = False


class ProfileOut(ProfileIn):
    """A stored profile."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    revision: int
    updated_at: datetime


class RevisionOut(Content):
    """What a profile once was."""

    model_config = ConfigDict(from_attributes=True)

    revision: int
    at: datetime


class Profiles(BaseModel):
    """All profiles, and the names that they may use."""

    items: list[ProfileOut]
    rewards: list[str] = Field(description="Learned ones, then styles.")
    styles: dict[str, str] = Field(description="What each style counts.")
    limits: list[str]
    measures: list[str] = Field(description="What expressions may speak of.")


class Validation(BaseModel):
    """How well a reward foretells people whom it was not fitted on."""

    model_config = ConfigDict(from_attributes=True)

    measure: str
    value: float | None
    folds: list[float]
    opinions: int
    people: int


class Clash(BaseModel):
    """Two rewards that count and oppose each other further than the profile lets them."""

    model_config = ConfigDict(from_attributes=True)

    left: str
    right: str
    correlation: float


class Checked(BaseModel):
    """What is known of a mixture of rewards before anything is trained, from the newest opinions and replies."""

    model_config = ConfigDict(from_attributes=True)

    replies: int
    missing: list[str] = Field(description="Rewards that count and that too few opinions have taught.")
    validation: dict[str, Validation] = Field(description="Learned rewards, cross-validated by person.")
    correlation: dict[str, dict[str, float | None]] = Field(description="Rank correlation between rewards.")
    clashes: list[Clash] = Field(description="A run refuses a profile that has any.")
    forbidden: float = Field(description="Share of these replies that hold a forbidden word as things are.")


class PreviewIn(Content):
    """Which mixture to try, and on what."""

    prompts: list[Annotated[str, Field(min_length=1, max_length=4000)]] | None = Field(
        None, min_length=1, max_length=drafts.MOST, description="Real questions of late when left out."
    )
    draws: int = Field(trying.DRAWS, ge=2, le=32, description="Replies drawn for each question, today's among them.")
    max_tokens: int = Field(96, ge=1, le=512)
    seed: int = Field(0, ge=0, le=2**31, description="Another number, other questions and replies.")


class Choice(BaseModel):
    """What the live version says today, and what the mixture likes best of several tries."""

    model_config = ConfigDict(from_attributes=True)

    prompt: str
    today: str
    best: str
    reward_today: float
    reward_best: float


class Previewed(Checked):
    """Best of n under the mixture, beside today's replies."""

    version: int
    draws: int
    items: list[Choice]
    shift: dict[str, float] = Field(description="How far the chosen replies lie from today's, in spreads, by reward.")


@router.get("")
async def list_profiles(service: Held, caller: Operator) -> Profiles:
    """All reward profiles."""
    by_name = select(RewardProfile).order_by(col(RewardProfile.name))
    rows = await service.read(lambda session: session.exec(by_name).all())
    return Profiles(
        items=[ProfileOut.model_validate(row) for row in rows],
        rewards=list(profiles.REWARDS),
        styles=rules.STYLES,
        limits=list(profiles.LIMITS),
        measures=list(rules.MEASURES),
    )


@router.put("/{name}")
async def put_profile(name: Name, given: ProfileIn, service: Held, caller: Operator) -> ProfileOut:
    """Make or change a profile; a change is a new revision, and making one active makes the others inactive."""
    return await service.writer.write(
        lambda session: ProfileOut.model_validate(profiles.put(session, caller.person_id, name, **given.model_dump()))
    )


@router.delete("/{name}", status_code=204)
async def remove_profile(name: Name, service: Held, caller: Operator) -> Response:
    """Delete a profile that no schedule names; runs keep what they were given."""
    await service.writer.write(lambda session: profiles.remove(session, caller.person_id, name))
    return Response(status_code=204)


@router.get("/{name}/revisions")
async def list_revisions(name: Name, service: Held, caller: Operator) -> dict[str, list[RevisionOut]]:
    """What a profile was, newest first."""
    found = await service.read(lambda session: profiles.history(session, name))
    return {"items": [RevisionOut.model_validate(row) for row in found]}


@router.post("/check")
async def check(given: Content, service: Held, caller: Operator) -> Checked:
    """Cross-validation by person, rank correlation between rewards, and clashes; nothing is drawn or trained."""
    found = await service.read(lambda session: trying.check(session, **given.model_dump()))
    return Checked.model_validate(found[1])


@router.post("/preview")
async def preview(given: PreviewIn, service: Held, caller: Operator) -> Previewed:
    """What a mixture would prefer: the live version draws several replies to real questions, the best is shown."""
    own = privacy.load(service.settings.data_dir)

    def look(session: Session) -> tuple[Appraiser, trying.Checked, list[str]]:
        found = trying.check(session, given.weights, given.rules, given.limits, given.forbidden)
        return *found, given.prompts or drafts.real_questions(session, drafts.MOST, given.seed, own)

    appraiser, checked, prompts = await service.read(look)
    version = service.swapper.current
    if version is None:
        raise Unavailable("no version is loaded yet; try again in a moment", retry_after=2)
    if not prompts:
        raise Conflict("nobody who lets theirs train has asked anything yet; give prompts of your own")
    sampling = Sampling(max_tokens=given.max_tokens, seed=given.seed)
    try:
        async with service.swapper.borrow(version.number) as live:
            speaker = Speaker(live.number, live.template)
            drawn = await drafts.answers(service.engine, speaker, prompts, sampling, given.draws)
    except TemplateError as error:
        raise BadRequest(str(error)) from error
    except (EngineLost, EngineRefused, LoadFailed) as error:
        raise Unavailable(f"the engine did not answer ({error}); try again in a moment", retry_after=2) from error
    choices, shift = await service.read(lambda session: trying.choose(appraiser, prompts, drawn))
    return Previewed(
        **Checked.model_validate(checked).model_dump(),
        version=version.number,
        draws=given.draws,
        items=[Choice.model_validate(one) for one in choices],
        shift=shift,
    )
