"""Replies for programs: one conversation in, one reply out, by the same path as the chat (`replies.py`).

Where the chat shows text, programs also want tokens and log-probs; here they come together, piece by piece.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from fastapi import Request

from backtalk.tables import Reply
from backtalk.template import Turn
from server import ledger
from server.errors import Refusal
from server.events import Ended, SamplingWish
from server.ledger import Entry
from server.log import Log
from server.running import Running
from server.service import Service
from server.swapper import Version

T = TypeVar("T")


class ClientGone(Refusal):
    """Whoever asked is no longer there to hear the answer."""

    status, code = 499, "bad_request"


class Wish(SamplingWish):
    """How a program wants its reply drawn: more than the chat offers."""

    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Some more of a reply: its text, and the tokens that have come with it."""

    text: str
    tokens: Sequence[int]
    logprobs: Sequence[float]


class Answer:
    """A reply under way for a program."""

    def __init__(self, entry: Entry, version: Version, log: Log, running: Running | None, service: Service) -> None:
        self.entry = entry
        self.version = version
        self._log = log
        self._running = running
        self._service = service

    @property
    def ended(self) -> Ended | None:
        """How it ended; None as long as it runs."""
        return self._log.ended

    @property
    def seed(self) -> int | None:
        """What its chance was drawn from."""
        return self._running.sampling.seed if self._running is not None else None

    async def parts(self) -> AsyncIterator[Part]:
        """The reply as it comes; leaving early stops it."""
        text, told = "", 0
        try:
            async for event in self._log.events():
                is_end = isinstance(event, Ended)
                text += "" if isinstance(event, Ended) else event.text
                if not is_end and event.seq < len(self._log.texts):
                    continue  # more is here already, and the tokens are counted up to its end
                tokens, logprobs = await self._drawn(is_end)
                if text or len(tokens) > told:
                    yield Part(text, tokens[told:], logprobs[told:])
                text, told = "", len(tokens)
        finally:
            self.stop()

    async def whole(self) -> Part:
        """All of the reply, when it has ended; cancelling this stops it."""
        text = ""
        tokens: list[int] = []
        logprobs: list[float] = []
        async for part in self.parts():
            text += part.text
            tokens += part.tokens
            logprobs += part.logprobs
        return Part(text, tokens, logprobs)

    def stop(self) -> None:
        """End it, if it has not ended."""
        if self._running is not None and self._log.ended is None:
            self._running.stop()

    async def _drawn(self, is_end: bool) -> tuple[Sequence[int], Sequence[float]]:
        """Tokens and log-probs that are durable by now."""
        if self._running is not None:
            upto = len(self._running.tokens) if is_end else self._running.stored
            return self._running.tokens[:upto], self._running.logprobs[:upto]
        reply_id = self.entry.reply_id
        reply = await self._service.read(lambda session: session.get(Reply, reply_id))
        return (
            ([], [])
            if reply is None
            else (
                ledger.unpack_tokens(reply.tokens),
                ledger.unpack_logprobs(reply.logprobs),
            )
        )


async def begin(service: Service, person_id: UUID, turns: Sequence[Turn], wish: SamplingWish | None) -> Answer:
    """Store the conversation and start the reply to its last turn.

    Raises:
        Refusal: with what was found, expected and to do.
        StorageError: nothing is stored.
    """
    entry = await service.replies.answer(person_id, turns, wish)
    running = service.replies.running(entry.reply_id)
    log = await service.replies.log(person_id, entry.reply_id)
    return Answer(entry, await service.swapper.hold(entry.version), log, running, service)


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do it, but stop when whoever asked goes away.

    Raises:
        ClientGone: they went.
    """
    doing, leaving = asyncio.create_task(work), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        raise ClientGone("the client went away")
    finally:
        for task in (doing, leaving):
            task.cancel()
        await asyncio.gather(doing, leaving, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
