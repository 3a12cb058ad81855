"""Who did what, when."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from backtalk import audit
from backtalk.tables import Json
from server.operate.rules import PREFIX, Held, Limit, Operator

router = APIRouter(prefix=PREFIX, tags=["audit"])


class AuditOut(BaseModel):
    """One row of the log."""

    model_config = ConfigDict(from_attributes=True)

    seq: int
    at: datetime
    actor: str
    action: str
    target: str
    detail: Json
    digest: str


class AuditPage(BaseModel):
    """Some rows, newest first; `next` goes into `before` for those before them."""

    items: list[AuditOut]
    next: int | None


@router.get("/audit")
async def list_audit(
    service: Held,
    caller: Operator,
    before: Annotated[int | None, Query(description="Only rows before this number.")] = None,
    actor: str | None = None,
    action: str | None = None,
    target: str | None = None,
    limit: Limit = 100,
) -> AuditPage:
    """The audit log, newest first. `backtalk verify` proves that nothing in it was changed."""
    rows = await service.read(
        lambda session: audit.newest(session, limit + 1, before=before, actor=actor, action=action, target=target)
    )
    items = [AuditOut.model_validate(row) for row in rows[:limit]]
    return AuditPage(items=items, next=items[-1].seq if len(rows) > limit else None)
