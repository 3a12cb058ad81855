"""Who may operate, and how lists are cut: what all operator routes share."""

from typing import Annotated

from fastapi import Depends, Query

from server.access import Caller, requires
from server.service import Service, get_service

PREFIX = "/api/operate"

Held = Annotated[Service, Depends(get_service)]
Operator = Annotated[Caller, requires("operator")]
Admin = Annotated[Caller, requires("admin")]
Limit = Annotated[int, Query(ge=1, le=500, description="How many at most.")]
