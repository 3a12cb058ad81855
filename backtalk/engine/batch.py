"""What one step computes, as tensors: single tokens first (those of decoding requests), then prompt chunks.

Shapes: T packed tokens, t of them single, B pages of the longest of these.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from backtalk.engine.adapter import Adapter


@dataclass(frozen=True, slots=True)
class Piece:
    """A prompt chunk in a batch: tokens `offset … offset + count - 1` of it stand at places `start …` of their text."""

    start: int
    count: int
    offset: int
    table: Tensor
    """Its request's pages, int64."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's work."""

    tokens: Tensor  # [T] int64
    positions: Tensor  # [T] int64: place in its own text
    tables: Tensor
    """[t, B] int64: the pages of each single token's text, 0 where there are no more."""
    longest: int
    """The most keys that any token of this step sees."""
    longest_single: int
    """The most that any single token sees."""
    pieces: Sequence[Piece]
    adapted: Sequence[tuple[Tensor, Adapter]] = ()
    """Adapters, each with the tokens that are its own: [k] int64 into T."""
