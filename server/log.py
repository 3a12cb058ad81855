"""A reply as a numbered log: whoever listens gets every event after the last one they saw, once, in order (rule R3)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from server.errors import BadRequest
from server.events import Delta, Ended, EndState, FinishReason, ReplyEvent, Usage

BATCH = 64
"""Frames of a replay handed over before waiting for the reader."""


class Listener(Protocol):
    """Whoever wants a reply's events as they come."""

    def send(self, frame: str) -> None:
        """Take one event as JSON. Must not wait."""


class Reader(Listener, Protocol):
    """A listener that can also take a long replay at its own pace."""

    is_open: bool

    async def drained(self) -> None:
        """Wait until everything sent is on its way."""


@dataclass(eq=False, slots=True)
class Log:
    """The durable events of one reply; nothing is added that is not stored."""

    reply_id: UUID
    texts: list[str] = field(default_factory=list)
    """Text of delta 1, 2, 3 …"""
    ended: Ended | None = None
    listeners: set[Listener] = field(default_factory=set)

    def add(self, text: str) -> None:
        """Number the next delta and tell it."""
        self.texts.append(text)
        if self.listeners:
            self._tell(self.delta(len(self.texts)))

    def end(self, state: EndState, reason: FinishReason, usage: Usage) -> None:
        """Number the end and tell it."""
        seq = len(self.texts) + 1
        self.ended = Ended(reply_id=self.reply_id, seq=seq, state=state, finish_reason=reason, usage=usage)
        self._tell(self.ended)
        self.listeners.clear()

    def delta(self, seq: int) -> Delta:
        """Delta number `seq`, from 1."""
        return Delta(reply_id=self.reply_id, seq=seq, text=self.texts[seq - 1])

    async def follow(self, reader: Reader, after: int) -> None:
        """Tell `reader` everything after event `after`, then let it listen on. It gets no event twice.

        Raises:
            BadRequest: there is no event `after` yet.
        """
        last = self.ended.seq if self.ended else len(self.texts)
        if after > last:
            raise BadRequest(f"after is {after}, but the reply's last event is {last}; give the last seq you have seen")
        self.listeners.discard(reader)
        seq = after
        while seq < len(self.texts):
            for _ in range(min(BATCH, len(self.texts) - seq)):
                seq += 1
                reader.send(self.delta(seq).model_dump_json())
            await reader.drained()
            if not reader.is_open:
                return
        if self.ended is not None:
            reader.send(self.ended.model_dump_json())
        else:
            self.listeners.add(reader)

    async def events(self, after: int = 0) -> AsyncIterator[ReplyEvent]:
        """Every event after `after`, those to come included; ends with the reply."""
        bell = _Bell()
        self.listeners.add(bell)
        try:
            while True:
                bell.rung.clear()
                while after < len(self.texts):
                    after += 1
                    yield self.delta(after)
                if self.ended is not None:
                    yield self.ended
                    return
                await bell.rung.wait()
        finally:
            self.listeners.discard(bell)

    def _tell(self, event: ReplyEvent) -> None:
        frame = event.model_dump_json()
        for listener in list(self.listeners):
            listener.send(frame)


class _Bell:
    """A listener that looks for itself when something has come."""

    def __init__(self) -> None:
        self.rung = asyncio.Event()

    def send(self, frame: str) -> None:
        self.rung.set()
