"""The feedback desk over HTTP: what people said of replies, and what shall never train."""

import json
from collections.abc import Iterator
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session

from backtalk import audit, desk, exports, labelling, privacy
from backtalk.desk import Feedback, Filters, Kind, Page, ThreadTurn
from server.operate.rules import PREFIX, Held, Limit, Operator

router = APIRouter(prefix=f"{PREFIX}/feedback", tags=["feedback desk"])

TrainingFormat = Literal["preference", "unpaired", "demonstrations"]


class Browsing(Filters):
    """Which opinions are wanted, and how many."""

    limit: Limit = 50


class Exclusion(BaseModel):
    """Whether an opinion, or all of a person, may train."""

    model_config = ConfigDict(extra="forbid")

    excluded: bool = Field(strict=True)
    reason: str = Field("", max_length=1000)


class RightAnswer(BaseModel):
    """What a gold item should be answered with."""

    model_config = ConfigDict(extra="forbid")

    answer: Literal["up", "down", "left", "right"] = Field(
        description="Of an opinion's reply up or down, of a comparison's two left or right."
    )
    reason: str = Field("", max_length=1000)


class TouchedOut(BaseModel):
    """A version that learned from somebody."""

    model_config = ConfigDict(from_attributes=True)

    number: int
    opinions: int
    share: float = Field(description="Of all that the version learned from.")


class Giver(BaseModel):
    """Somebody who gives feedback, and the versions that learned from it."""

    person_id: UUID
    name: str | None
    excluded: bool
    versions: list[TouchedOut]


@router.get("")
async def browse(service: Held, caller: Operator, filters: Annotated[Browsing, Query()]) -> Page:
    """Opinions or comparisons, newest first, with placeholders for what is private in them."""
    own = privacy.load(service.settings.data_dir)
    return await service.read(lambda session: desk.page(session, filters, filters.limit, own))


@router.get("/export", response_class=StreamingResponse)
async def export(service: Held, caller: Operator, filters: Annotated[Filters, Query()]) -> StreamingResponse:
    """All that pass the filters, one JSON object a line, as the desk shows them."""
    own = privacy.load(service.settings.data_dir)
    await service.read(lambda session: desk.page(session, filters, 1, own))  # what is wrong is said before it begins
    chosen = filters.model_dump(mode="json", exclude_none=True)
    await service.writer.write(
        lambda session: audit.record(session, caller.person_id, "feedback.export", "desk", **chosen)
    )

    def lines() -> Iterator[str]:
        with service.database.read() as session:
            for item in desk.everything(session, filters, own):
                yield item.model_dump_json() + "\n"

    named = {"Content-Disposition": 'attachment; filename="feedback.jsonl"'}
    return StreamingResponse(lines(), media_type="application/x-ndjson", headers=named)


@router.get("/export/{form}", response_class=StreamingResponse)
async def export_for_training(form: TrainingFormat, service: Held, caller: Operator) -> StreamingResponse:
    """The opinions of all who agreed that they may train, as TRL's trainers read them, with placeholders.

    What keeps private things as they were (`ledger`) is for the command line, on the machine where they lie.
    """
    own = privacy.load(service.settings.data_dir)
    await service.writer.write(lambda session: audit.record(session, caller.person_id, "feedback.export", form))

    def lines() -> Iterator[str]:
        with service.database.read() as session:
            for row in exports.rows(session, form, own):
                yield json.dumps(row, ensure_ascii=False) + "\n"

    named = {"Content-Disposition": f'attachment; filename="{form}.jsonl"'}
    return StreamingResponse(lines(), media_type="application/x-ndjson", headers=named)


@router.get("/people/{person_id}")
async def show_person(person_id: UUID, service: Held, caller: Operator) -> Giver:
    """Which versions learned from a person, and whether they still may."""
    return await service.read(lambda session: _giver(session, person_id))


@router.patch("/people/{person_id}")
async def exclude_person(person_id: UUID, given: Exclusion, service: Held, caller: Operator) -> Giver:
    """Keep everything of a person out of training, or let it in again; the answer says which versions they touched."""

    def change(session: Session) -> Giver:
        desk.exclude_person(session, caller.person_id, person_id, given.excluded, given.reason)
        return _giver(session, person_id)

    return await service.writer.write(change)


@router.get("/{kind}/{item_id}/thread")
async def read_thread(kind: Kind, item_id: UUID, service: Held, caller: Operator) -> dict[str, list[ThreadTurn]]:
    """The conversation up to the reply, with placeholders for what is private in it; the log keeps who read it."""
    own = privacy.load(service.settings.data_dir)
    turns = await service.writer.write(lambda session: desk.thread(session, caller.person_id, kind, item_id, own))
    return {"items": turns}


@router.put("/{kind}/{item_id}/gold")
async def mark_gold(kind: Kind, item_id: UUID, given: RightAnswer, service: Held, caller: Operator) -> Feedback:
    """Make what it is about a gold item: raters meet it unmarked, and are known by how often they answer it rightly."""
    own = privacy.load(service.settings.data_dir)

    def change(session: Session) -> Feedback:
        labelling.mark_gold(session, caller.person_id, kind, item_id, given.answer, given.reason)
        return desk.one(session, kind, item_id, own)

    return await service.writer.write(change)


@router.delete("/{kind}/{item_id}/gold")
async def unmark_gold(kind: Kind, item_id: UUID, service: Held, caller: Operator) -> Feedback:
    """Make it an item like any other."""
    own = privacy.load(service.settings.data_dir)

    def change(session: Session) -> Feedback:
        labelling.unmark_gold(session, caller.person_id, kind, item_id)
        return desk.one(session, kind, item_id, own)

    return await service.writer.write(change)


@router.patch("/{kind}/{item_id}")
async def exclude(kind: Kind, item_id: UUID, given: Exclusion, service: Held, caller: Operator) -> Feedback:
    """Keep an opinion out of training, or let it in again; the answer says which versions learned from it."""
    own = privacy.load(service.settings.data_dir)

    def change(session: Session) -> Feedback:
        row = desk.exclude(session, caller.person_id, kind, item_id, given.excluded, given.reason)
        return desk.shown(session, row, own)

    return await service.writer.write(change)


def _giver(session: Session, person_id: UUID) -> Giver:
    person = desk.giver(session, person_id)
    versions = [TouchedOut.model_validate(one) for one in desk.touched(session, person_id)]
    return Giver(person_id=person_id, name=person.name, excluded=person.excluded, versions=versions)
