"""A moment as programs give it: ISO 8601, and no number of seconds, which pydantic would take as well."""

import re
from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator


def _written_out(given: object) -> object:
    if isinstance(given, int | float) or (isinstance(given, str) and re.fullmatch(r"\s*[-+]?[\d.]+\s*", given)):
        raise ValueError(f"{given!r} is a number; expected a moment in ISO 8601, such as 2026-11-26T18:00:00Z")
    return given


Moment = Annotated[datetime, BeforeValidator(_written_out)]
