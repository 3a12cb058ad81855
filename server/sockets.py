"""The open chat sockets: a bounded outbox each, so that nobody ever waits for a slow reader (rule R4)."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from uuid import UUID, uuid4

from fastapi import WebSocket, WebSocketDisconnect
from pydantic import BaseModel

from server.access import Caller, find
from server.events import Changed
from server.metrics import Metrics
from server.service import Service

log = logging.getLogger(__name__)

OUTBOX_BYTES = 256 * 1024
CHECK_SECONDS = 0.5
"""How often open sockets are asked for their right to be open."""
CHECKED_AT_ONCE = 500
SLOW, SLOW_REASON = 1013, "slow_consumer, resume=yes"
SIGNED_OUT, SIGNED_OUT_REASON = 4401, "signed out"
LINGER_SECONDS = 10.0
"""How long a socket that is being closed may take to read what is on its way."""


class Socket:
    """One open socket. `send` never waits; a task of its own writes."""

    def __init__(
        self,
        websocket: WebSocket,
        caller: Caller,
        metrics: Metrics,
        *,
        page: str | None = None,
        hears_changes: bool = False,
    ) -> None:
        self.caller = caller
        self.page = page or uuid4().hex
        """The name of the page that it belongs to; one that has none is a page of its own."""
        self.hears_changes = hears_changes
        """Is it told what its person does on other pages?"""
        self._websocket = websocket
        self._metrics = metrics
        self._outbox: deque[tuple[str, int]] = deque()
        self._bytes = 0
        self._closing: tuple[int, str] | None = None
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._writing: asyncio.Task[None] | None = None
        self.is_open = True

    def send(self, frame: str) -> None:
        """Queue a frame. A reader so slow that the outbox is full loses the socket, never the reply."""
        if not self.is_open:
            return
        size = len(frame.encode())
        self._bytes += size
        if self._bytes > OUTBOX_BYTES:
            self._metrics.slow.inc()
            self.close(SLOW, SLOW_REASON)
            return
        self._outbox.append((frame, size))
        self._emptied.clear()
        self._filled.set()

    def say(self, word: BaseModel) -> None:
        """Queue a word of the contract."""
        self.send(word.model_dump_json())

    def close(self, code: int, reason: str) -> None:
        """Drop what is queued and close."""
        if self.is_open:
            self.is_open = False
            self._outbox.clear()
            self._closing = (code, reason)
            self._filled.set()
            self._emptied.set()
            if self._writing is not None:  # it may be stuck in a reader that reads no more
                asyncio.get_running_loop().call_later(LINGER_SECONDS, self._writing.cancel)

    @property
    def is_closing(self) -> bool:
        """Is it being closed from here?"""
        return self._closing is not None

    async def drained(self) -> None:
        """Wait until everything queued is handed to the network."""
        await self._emptied.wait()

    async def write(self) -> None:
        """Write the outbox to the network until the socket closes."""
        self._writing = asyncio.current_task()
        try:
            while True:
                await self._filled.wait()
                self._filled.clear()
                while self._outbox:
                    frame, size = self._outbox.popleft()
                    await self._websocket.send_text(frame)
                    self._bytes -= size
                if self._closing is not None:
                    await self._websocket.close(*self._closing)
                    return
                self._bytes = 0
                self._emptied.set()
        except (WebSocketDisconnect, RuntimeError):  # starlette's two ways to say that the other side has gone
            self.is_open = False
            self._emptied.set()


class Sockets:
    """All open chat sockets of this server."""

    def __init__(self, metrics: Metrics) -> None:
        self._open: set[Socket] = set()
        self._of: dict[UUID, set[Socket]] = {}
        """The same, by person."""
        self._metrics = metrics

    def __iter__(self) -> Iterator[Socket]:
        return iter(self._open)

    @contextmanager
    def opened(self, socket: Socket) -> Iterator[None]:
        """Count the socket in while the block runs."""
        own = self._of.setdefault(socket.caller.person_id, set())
        own.add(socket)
        self._open.add(socket)
        self._metrics.sockets.set(len(self._open))
        try:
            yield
        finally:
            self._open.discard(socket)
            own.discard(socket)
            if not own:
                del self._of[socket.caller.person_id]
            self._metrics.sockets.set(len(self._open))

    def tell_all(self, word: BaseModel) -> None:
        """Say something to everybody."""
        frame = word.model_dump_json()
        for socket in list(self._open):
            socket.send(frame)

    def tell(self, person_id: UUID, word: BaseModel) -> None:
        """Say something to one person, on every socket they have open here."""
        for socket in self._of.get(person_id, ()):
            socket.say(word)

    def tell_of_change(self, person_id: UUID, conversation_id: UUID, page: str | None) -> None:
        """Say to a person's open pages, but for the one where it was done, that a conversation looks otherwise now."""
        for socket in self._of.get(person_id, ()):
            if socket.hears_changes and socket.page != page:
                socket.say(Changed(conversation_id=conversation_id))

    async def watch(self, service: Service) -> None:
        """Close the sockets whose session or key is no longer good, or whose role has changed (SEC-05). Runs for ever.

        The database is asked, so it does not matter which process revoked.
        """
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                await self._check(service)
            except Exception:
                log.exception("open sockets could not be checked; the next round tries again")

    async def _check(self, service: Service) -> None:
        digests = sorted({socket.caller.digest for socket in self._open})
        for start in range(0, len(digests), CHECKED_AT_ONCE):
            asked = digests[start : start + CHECKED_AT_ONCE]
            good = await service.read(partial(find, digests=asked))
            for socket in list(self._open):
                if socket.caller.digest in asked and good.get(socket.caller.digest) != socket.caller:
                    socket.close(SIGNED_OUT, SIGNED_OUT_REASON)
