"""What a run writes down as it goes: stage, progress and the measures of every step.

The training core speaks only to this base, which keeps everything in memory; `record.py` writes it to the database.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from backtalk.tables import Json

Part = Callable[[float], float]
"""From the share of a piece of work that is done to the share of its stage."""


def whole(done: float) -> float:
    """A piece of work that is all of its stage."""
    return done


def part(of: Part, low: float, high: float) -> Part:
    """A piece of a piece, from `low` to `high` of it."""
    return lambda done: of(low + (high - low) * done)


class NotFinite(ArithmeticError):
    """A measure became NaN or infinite; the message says where. The run must not publish."""


@dataclass(slots=True)
class Journal:
    """Steps of one run, counted through."""

    stage: str = ""
    steps: int = 0
    rows: list[Json] = field(default_factory=list)

    def begin(self, stage: str) -> None:
        """A stage of `runs.STAGES` begins."""
        self.stage = stage

    def step(self, done: float | None = None, /, **values: float) -> None:
        """Something was measured.

        Args:
            done: share of the stage that is behind us; None leaves it as it is.
            values: measure by name.

        Raises:
            NotFinite: one of them is NaN or infinite.
        """
        for name, value in values.items():
            if not math.isfinite(value):
                raise NotFinite(f"{name} became {value} in step {self.steps + 1} ({self.stage})")
        self.steps += 1
        self.write(done, values)

    def write(self, done: float | None, values: dict[str, float]) -> None:
        """Keep what `step` has checked."""
        self.rows.append({"stage": self.stage, "step": self.steps} | values)

    def pulse(self) -> None:
        """Called often within long steps; a run that shall stop stops here."""
