"""One reply under way: what it was asked, what it has made, and how much of that is durable."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from opentelemetry.trace import INVALID_SPAN, Span

from backtalk.engine.client import Chunk, Generation
from backtalk.engine.sampling import Sampling
from backtalk.template import Turn
from server.events import FinishReason
from server.ledger import Entry
from server.log import Log


@dataclass(eq=False, slots=True)
class Running:
    """One reply under way: its log, and what is not yet durable."""

    entry: Entry
    person_id: UUID
    sampling: Sampling
    prompt: list[int]
    log: Log
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    stored: int = 0
    """How many of `tokens` are durable."""
    fresh: str = ""
    """Text that is not yet durable. Tokens without text (half a character) wait for the next that has some."""
    offered: tuple[int, int] | None = None
    """Characters of `fresh` and tokens in a commit that failed but may have been made: the next offers the same."""
    resumptions: int = 0
    finish_reason: FinishReason | None = None
    generation: Generation | None = None
    task: asyncio.Task[None] | None = None
    traceparent: str | None = None
    """What asked for it, if that is traced."""
    began_at: float = field(default_factory=time.monotonic)
    span: Span = INVALID_SPAN
    """The reply, from its beginning here until its end is told."""
    is_stopping: bool = False
    turns: Sequence[Turn] = ()
    """The conversation, for engines that take no tokens; nobody knows it any more after a restart."""

    @property
    def id(self) -> UUID:
        """The reply's id."""
        return self.entry.reply_id

    def take(self, chunk: Chunk) -> None:
        """Add what the engine has made."""
        self.fresh += chunk.text
        self.tokens += chunk.tokens
        self.logprobs += chunk.logprobs
        self.finish_reason = chunk.finish_reason

    def parts(self) -> list[str]:
        """What is not durable, as deltas: one that may have been stored already comes as it was offered."""
        cut = self.offered[0] if self.offered is not None else 0
        return [text for text in (self.fresh[:cut], self.fresh[cut:]) if text]

    def stop(self) -> None:
        """End it within a step."""
        self.is_stopping = True
        if self.generation is not None:
            self.generation.cancel()
        elif self.task is not None:
            self.task.cancel()  # it waits for an engine or a version
