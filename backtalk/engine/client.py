"""How the server and the learner speak to an engine. Imports no torch."""

import asyncio
import contextlib
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from backtalk import tracing
from backtalk.engine import wire
from backtalk.engine.errors import EngineBusy, EngineError, EngineLost, EngineRefused, LoadFailed
from backtalk.engine.sampling import FinishReason, Priority, Sampling
from backtalk.template import Turn

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_DELAY, LAST_DELAY = 0.05, 0.2
"""Seconds between two attempts to connect: doubled from the first to the last."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some more of a reply: one token or, if nobody looked for a while, several. The last one has a finish reason."""

    text: str
    """Whole characters; joined, the chunks' texts are the reply's text exactly."""
    tokens: list[int]
    """As drawn, end token included. May be more or fewer than the text shows: some is held back for a while."""
    logprobs: list[float]
    """Behaviour log-prob of each token, after temperature and filters."""
    finish_reason: FinishReason | None


class Generation:
    """A reply under way: iterate over its chunks. Leaving early (`aclose`, `async with`) cancels it.

    Raises (from the iteration):
        EngineBusy, EngineRefused: instead of a first chunk.
        EngineLost: after the chunks that came in time; resubmit prompt + tokens with `position` to go on.
    """

    def __init__(self, cancel: Callable[[], None]) -> None:
        self._cancel = cancel
        self._chunks: list[Chunk] = []
        self._error: EngineError | None = None
        self._wakeup: asyncio.Future[None] | None = None
        self.is_finished = False
        """The engine has nothing more to send for it."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        while not self._chunks:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self.is_finished:
                raise StopAsyncIteration
            self._wakeup = asyncio.get_running_loop().create_future()
            try:
                await self._wakeup
            finally:
                self._wakeup = None
        chunks, self._chunks = self._chunks, []
        return chunks[0] if len(chunks) == 1 else _join(chunks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def cancel(self) -> None:
        """Stop it within one step. Its last chunk still comes, with `stopped`."""
        if not self.is_finished:
            self._cancel()

    async def aclose(self) -> None:
        """Stop it and look no more."""
        self.cancel()
        self._chunks.clear()

    def feed(self, chunk: Chunk) -> None:
        """(For engines.) More has come."""
        self._chunks.append(chunk)
        self.is_finished = chunk.finish_reason is not None
        self._wake()

    def fail(self, error: EngineError) -> None:
        """(For engines.) Nothing more will come."""
        self._error, self.is_finished = error, True
        self._wake()

    def _wake(self) -> None:
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)


def _join(chunks: list[Chunk]) -> Chunk:
    return Chunk(
        "".join(chunk.text for chunk in chunks),
        [token for chunk in chunks for token in chunk.tokens],
        [logprob for chunk in chunks for logprob in chunk.logprobs],
        chunks[-1].finish_reason,
    )


class Engine(ABC):
    """What every engine offers: our own process, or remote servers of another make (`remote`)."""

    @property
    @abstractmethod
    def is_connected(self) -> bool:
        """Is an engine there?"""

    @property
    @abstractmethod
    def versions(self) -> frozenset[int]:
        """Resident versions."""

    @property
    @abstractmethod
    def hello(self) -> dict[str, Any]:
        """What it said of itself when it came; empty while it is not there."""

    @property
    @abstractmethod
    def last_beat(self) -> dict[str, Any]:
        """What it does at the moment."""

    @property
    def room(self) -> int:
        """How many versions it can hold at once; with one, nobody can try a canary beside the live version."""
        return 1 << 16

    def state(self) -> dict[str, Any]:
        """What is known of it now: whether it is connected, its hello and its newest beat, together."""
        return {"connected": self.is_connected, **self.hello, **self.last_beat}

    @abstractmethod
    def stalled(self, seconds: float) -> bool:
        """Has it made no progress for so long although it has work?"""

    @abstractmethod
    async def connect(self) -> None:
        """Begin to connect, for ever; returns when an engine is there.

        Raises:
            EngineLost: none has come for so long that replies had better fail than wait.
        """

    def prefer(self, number: int) -> None:  # noqa: B027  # where all versions lie side by side there is nothing to do
        """New replies use this version: an engine that holds few gives it most of its room."""

    @abstractmethod
    def generate(
        self,
        prompt: Sequence[int],
        version: int,
        sampling: Sampling,
        *,
        position: int = 0,
        priority: Priority = "chat",
        group: str = "",
        turns: Sequence[Turn] = (),
    ) -> Generation:
        """Start a reply, bound to this version to its end.

        Args:
            prompt: token ids; the last `position` of them are the beginning of this very reply (drawn before the
                engine was lost). With the same seed the rest is what it would have been.
            version: a loaded version's number.
            sampling: how to draw. Without a seed the engine takes a random one; use `sampling.seeded()` to know it.
            position: see `prompt`.
            priority: chats go before rollouts.
            group: groups (people) take turns when many wait.
            turns: the conversation, for engines that take no tokens; empty where it is not known any more.
        """

    @abstractmethod
    async def load(self, number: int, path: Path, digest: str | None = None, base: int | None = None) -> float:
        """Load a version beside the others while they run. Returns the seconds it took.

        Args:
            number: what it shall be called.
            path: its directory.
            digest: what its manifest's digest must be; None asks for no manifest.
            base: the loaded version that an adapter belongs to.

        Raises:
            LoadFailed: with the reason.
            EngineLost: the engine went meanwhile.
        """

    @abstractmethod
    async def unload(self, number: int) -> None:
        """Let a version run dry; returns when its last reply has ended and it is freed."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of the engine. Replies under way are cancelled."""


class LocalEngine(Engine):
    """Our engine process behind its Unix socket. It connects by itself, again and again; callbacks tell when."""

    def __init__(
        self,
        address: Path,
        *,
        on_connected: Callable[[], None] | None = None,
        on_lost: Callable[[], None] | None = None,
        on_first: Callable[[float], None] | None = None,
        on_next: Callable[[float], None] | None = None,
    ) -> None:
        """`on_connected` is called once the engine has said hello (again), `on_lost` when its socket breaks, `on_first`
        with the seconds until a reply's first token, `on_next` with those from one token to the next; both are told of
        chats alone, for those are what people wait for."""
        self.address = address
        self._versions: frozenset[int] = frozenset()
        self._hello: dict[str, Any] = {}
        self._last_beat: dict[str, Any] = {}
        self._on_connected, self._on_lost = on_connected, on_lost
        self._on_first, self._on_next = on_first, on_next
        self._fed: dict[int, tuple[float, bool]] = {}  # chats: when asked for or last fed, and which
        self._writer: asyncio.StreamWriter | None = None
        self._generations: dict[int, Generation] = {}
        self._loads: dict[int, list[asyncio.Future[float]]] = {}
        self._unloads: dict[int, list[asyncio.Future[None]]] = {}
        self._next_id = 0
        self._heard_at = self._moved_at = time.monotonic()
        self._connected = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        """Is the engine there?"""
        return self._connected.is_set()

    @property
    def versions(self) -> frozenset[int]:
        """Resident versions, as of the last word from the engine."""
        return self._versions

    @property
    def hello(self) -> dict[str, Any]:
        """What the engine said of itself: pid, device, dtype, versions, slots. Empty while it is not there."""
        return self._hello

    @property
    def last_beat(self) -> dict[str, Any]:
        """Its newest beat: step, running, waiting, versions, slots."""
        return self._last_beat

    async def connect(self) -> None:
        """Begin to connect, for ever; returns when the engine is there for the first time."""
        if self._task is None:
            self._task = asyncio.create_task(self._keep_connected(), name="engine connection")
        await self._connected.wait()

    async def close(self) -> None:
        """Disconnect; the engine cancels what is under way."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def stalled(self, seconds: float) -> bool:
        """Has it been silent, or at work without finishing a step, for so long? Then it deserves a kill -9."""
        now = time.monotonic()
        return self.is_connected and (now - self._heard_at > seconds or now - self._moved_at > seconds)

    def generate(
        self,
        prompt: Sequence[int],
        version: int,
        sampling: Sampling,
        *,
        position: int = 0,
        priority: Priority = "chat",
        group: str = "",
        turns: Sequence[Turn] = (),
    ) -> Generation:
        """See `Engine`. While the engine is not there, the iteration raises EngineLost at once."""
        self._next_id += 1
        id = self._next_id
        generation = Generation(lambda: self._cancel(id))
        message = {
            "op": "generate",
            "id": id,
            "prompt": list(prompt),
            "version": version,
            "sampling": sampling.to_dict(),
            "position": position,
            "priority": priority,
            "group": group,
        }
        sent = self._send(message | (tracing.headers() if priority == "chat" else {}))
        if sent:
            self._generations[id] = generation
            if priority == "chat":
                self._fed[id] = (time.monotonic(), False)
        else:
            generation.fail(EngineLost("the engine is not there; it is being started again"))
        return generation

    async def load(self, number: int, path: Path, digest: str | None = None, base: int | None = None) -> float:
        """See `Engine`."""
        message = {"op": "load", "number": number, "path": str(path), "digest": digest, "base": base}
        return await self._ask(self._loads.setdefault(number, []), message)

    async def unload(self, number: int) -> None:
        """See `Engine`."""
        await self._ask(self._unloads.setdefault(number, []), {"op": "unload", "number": number})

    def _cancel(self, id: int) -> None:
        self._send({"op": "cancel", "id": id})

    async def _ask(self, line: list[asyncio.Future[T]], message: dict[str, Any]) -> T:
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if not self._send(message):
            raise EngineLost("the engine is not there; it is being started again")
        line.append(answer)
        return await answer

    def _send(self, message: dict[str, Any]) -> bool:
        if self._writer is None or self._writer.is_closing():
            return False
        self._writer.write(wire.pack(message))
        return True

    async def _keep_connected(self) -> None:
        delay = FIRST_DELAY
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(str(self.address))
            except OSError:
                await asyncio.sleep(delay)
                delay = min(2 * delay, LAST_DELAY)
                continue
            delay = FIRST_DELAY
            self._writer = writer
            try:
                while True:
                    self._take(await wire.read(reader))
            except (asyncio.IncompleteReadError, ConnectionError):
                pass  # it went; the next round waits for its return
            except ValueError:
                log.exception("the engine sent something that is not a frame; connecting again")
            finally:
                writer.close()
                self._lose()

    def _lose(self) -> None:
        was_connected = self.is_connected
        self._connected.clear()
        self._writer, self._hello, self._last_beat, self._versions = None, {}, {}, frozenset()
        generations, self._generations = self._generations, {}
        self._fed.clear()
        for generation in generations.values():
            generation.fail(EngineLost("the engine went away in the middle of a reply"))
        for loads in self._loads.values():
            _settle(loads, EngineLost("the engine went away before it answered"))
        for unloads in self._unloads.values():
            _settle(unloads, EngineLost("the engine went away before it answered"))
        self._loads.clear()
        self._unloads.clear()
        if was_connected and self._on_lost is not None:
            self._on_lost()

    def _take(self, message: dict[str, Any]) -> None:
        self._heard_at = time.monotonic()
        match message["event"]:
            case "tokens":
                for id, text, tokens, logprobs, reason in message["items"]:
                    self._feed(id, Chunk(text, tokens, logprobs, reason))
            case "beat":
                self._beat(message)
            case "hello":
                self._hello = {name: value for name, value in message.items() if name != "event"}
                self._versions = frozenset(message["versions"])
                self._moved_at = self._heard_at
                self._connected.set()
                if self._on_connected is not None:
                    self._on_connected()
            case "refused":
                generation = self._generations.pop(message["id"], None)
                self._fed.pop(message["id"], None)
                if generation is not None:
                    generation.fail(_refusal(message["code"], message["message"]))
            case "loaded":
                self._versions |= {message["number"]}
                _settle(self._loads.pop(message["number"], []), message["seconds"])
            case "load_failed":
                _settle(self._loads.pop(message["number"], []), LoadFailed(message["error"]))
            case "unloaded":
                self._versions -= {message["number"]}
                _settle(self._unloads.pop(message["number"], []), None)

    def _feed(self, id: int, chunk: Chunk) -> None:
        generation = self._generations.get(id)
        if generation is None:
            return
        generation.feed(chunk)
        if chunk.tokens:
            self._note_pace(id)
        if chunk.finish_reason is not None:
            del self._generations[id]
            self._fed.pop(id, None)

    def _note_pace(self, id: int) -> None:
        fed = self._fed.get(id)
        if fed is None:
            return
        since, had_one = fed
        observe = self._on_next if had_one else self._on_first
        if observe is not None:
            observe(self._heard_at - since)
        self._fed[id] = (self._heard_at, True)

    def _beat(self, message: dict[str, Any]) -> None:
        is_idle = not message["running"] and not message["waiting"]
        if is_idle or message["step"] != self._last_beat.get("step"):
            self._moved_at = self._heard_at
        self._versions = frozenset(message["versions"])
        self._last_beat = {name: value for name, value in message.items() if name != "event"}


def _refusal(code: str, message: str) -> EngineRefused:
    return EngineBusy(message) if code == "busy" else EngineRefused(code, message)


def _settle(line: list[asyncio.Future[T]], answer: T | EngineError) -> None:
    """Give everybody who waits the same answer."""
    for waiting in line:
        if waiting.done():
            continue
        if isinstance(answer, EngineError):
            waiting.set_exception(answer)
        else:
            waiting.set_result(answer)


async def ask_state(address: Path, seconds: float = 2.0) -> dict[str, Any] | None:
    """What the engine at this address says of itself now (see `LocalEngine.state`); None if none answers in time."""
    engine = LocalEngine(address)
    try:
        async with asyncio.timeout(seconds):
            await engine.connect()
            while not engine.last_beat:  # noqa: ASYNC110
                await asyncio.sleep(wire.BEAT_SECONDS / 5)  # a beat is no event
        return engine.state()
    except TimeoutError:
        return None
    finally:
        await engine.close()
