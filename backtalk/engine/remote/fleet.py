"""The replicas of a remote engine as one engine: the least busy one writes, one that fails rests for a while."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import aclosing
from contextvars import Context
from pathlib import Path
from typing import Any

from typing_extensions import override

from backtalk.engine.client import Chunk, Engine, Generation
from backtalk.engine.errors import EngineBusy, EngineError, EngineLost, EngineRefused, LoadFailed
from backtalk.engine.remote.dialect import Ask, Dialect, Drawn, Weights
from backtalk.engine.remote.launch import Launcher
from backtalk.engine.remote.replica import Replica, demand_served
from backtalk.engine.sampling import Priority, Sampling
from backtalk.engine.text import TextStream
from backtalk.template import Turn

LOOK_SECONDS = 1.0
GIVE_UP_SECONDS = 60.0
"""So long may a reply wait for any replica to be there; then it ends as failed instead of hanging."""
FIRST_SECONDS, NEXT_SECONDS = 120.0, 30.0
"""A replica that sends no token for so long is stuck, whatever it says of its health."""
MANY = 1 << 16

log = logging.getLogger(__name__)


class Fleet(Engine):
    """Several servers of one kind. Which of them writes is nobody else's concern."""

    def __init__(
        self,
        kind: str,
        dialects: Sequence[Dialect],
        *,
        launcher: Launcher | None = None,
        on_connected: Callable[[], None] | None = None,
        on_lost: Callable[[], None] | None = None,
        on_first: Callable[[float], None] | None = None,
        on_next: Callable[[float], None] | None = None,
    ) -> None:
        self.kind = kind
        self._replicas = [Replica(dialect) for dialect in dialects]
        self._launcher = launcher
        self._on_connected, self._on_lost = on_connected, on_lost
        self._on_first, self._on_next = on_first, on_next
        self._wanted: dict[int, Weights] = {}
        self._preferred: int | None = None
        self._arranging = asyncio.Lock()
        self._connected = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._settling: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None
        self._tokens = 0

    # The same for every engine ---------------------------------------------------------------------------------------

    @property
    @override
    def is_connected(self) -> bool:
        return self._connected.is_set()

    @property
    @override
    def versions(self) -> frozenset[int]:
        return frozenset(number for replica in self._up() for number in replica.held)

    @property
    @override
    def hello(self) -> dict[str, Any]:
        if not self.is_connected:
            return {}
        notes = [replica.dialect.note for replica in self._replicas if replica.dialect.note]
        slots = sum(replica.dialect.slots for replica in self._up())
        return {"kind": self.kind, "slots": slots, "logprobs": not notes, "note": notes[0] if notes else None}

    @property
    @override
    def last_beat(self) -> dict[str, Any]:
        if not self.is_connected:
            return {}
        running = sum(replica.load for replica in self._replicas)
        return {"running": running, "waiting": 0, "tokens": self._tokens, "versions": sorted(self.versions)}

    @override
    def state(self) -> dict[str, Any]:
        replicas = [
            {
                "url": replica.dialect.url,
                "up": replica.is_up,
                "versions": sorted(replica.held),
                "running": replica.load,
                "resting": not replica.breaker.allows(time.monotonic()),
                "problem": replica.problem,
            }
            for replica in self._replicas
        ]
        return {"connected": self.is_connected, **self.hello, **self.last_beat, "replicas": replicas}

    @property
    @override
    def room(self) -> int:
        holds_many = self._launcher is not None or any(
            all(replica.dialect.can_beside(weights) for replica in self._replicas) for weights in self._wanted.values()
        )
        return MANY if holds_many else min(2, len(self._replicas))

    @override
    def stalled(self, seconds: float) -> bool:
        at, up = time.monotonic(), self._up()
        return bool(up) and not any(replica.breaker.allows(at) for replica in up)

    @override
    async def connect(self) -> None:
        if self._watch is None:
            self._watch = asyncio.create_task(self._keep_watching(), name="watching engines")
        try:
            await asyncio.wait_for(self._connected.wait(), GIVE_UP_SECONDS)
        except TimeoutError as error:
            problems = "; ".join(f"{replica.dialect.url}: {replica.problem}" for replica in self._replicas)
            raise EngineLost(f"no engine is there ({problems})") from error

    @override
    async def close(self) -> None:
        tasks = [*self._tasks, *([self._watch] if self._watch else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._launcher is not None:
            await self._launcher.close()
        for replica in self._replicas:
            await replica.dialect.close()

    # Writing ---------------------------------------------------------------------------------------------------------

    @override
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
        def cancel() -> None:
            writing.cancel()

        generation = Generation(cancel)
        work = self._write(generation, prompt, version, sampling, position, priority, turns)
        # A chat goes with the span that it belongs to; the rollouts of a run would be thousands in one trace.
        writing = asyncio.create_task(work, context=None if priority == "chat" else Context())
        self._tasks.add(writing)
        writing.add_done_callback(self._tasks.discard)
        return generation

    async def _write(
        self,
        generation: Generation,
        prompt: Sequence[int],
        version: int,
        sampling: Sampling,
        position: int,
        priority: Priority,
        turns: Sequence[Turn],
    ) -> None:
        """One reply, from whatever replica holds its version; another one is tried as long as nothing has come."""
        reply: _Reply | None = None
        try:
            weights = self._wanted.get(version)
            if weights is None:
                raise EngineRefused("version", f"version {version} is not loaded; loaded are {sorted(self.versions)}")
            room = sampling.max_tokens - position
            if room < 1:
                raise EngineRefused("bad_request", f"the reply has {position} tokens already, and may have no more")
            ask = Ask(weights, prompt, sampling, room, turns)
            reply = _Reply(generation, ask, position, is_chat=priority == "chat")
            tried: set[Replica] = set()
            while True:
                replica = self._choose(version, tried)
                try:
                    with replica.reply(version):
                        await self._follow(replica, reply)
                    return
                except EngineError as error:
                    await self._blame(replica, error)
                    if reply.has_begun or not isinstance(error, EngineLost | EngineBusy):
                        raise
                    tried.add(replica)
                    if tried.issuperset(self._holding(version)):
                        raise
        except asyncio.CancelledError:
            if reply is not None:
                reply.stop()
            else:
                generation.feed(Chunk("", [], [], "stopped"))
        except EngineError as error:
            generation.fail(error)
        except Exception as error:
            log.exception("a reply broke")
            generation.fail(EngineRefused("error", f"{type(error).__name__}: {error}"))

    async def _follow(self, replica: Replica, reply: "_Reply") -> None:
        """Pass on what a replica draws, to the reply's end."""
        since = time.monotonic()
        is_exact = replica.dialect.is_exact(reply.ask.sampling)
        async with aclosing(replica.dialect.stream(reply.ask)) as stream:
            while not reply.generation.is_finished:
                patience = NEXT_SECONDS if reply.has_begun else FIRST_SECONDS
                try:
                    async with asyncio.timeout(patience):
                        drawn: Drawn = await anext(stream)
                except StopAsyncIteration as error:
                    raise EngineLost(f"{replica.dialect.url} ended a reply without saying why") from error
                except TimeoutError as error:
                    raise EngineLost(f"{replica.dialect.url} has sent nothing for {patience:.0f} s") from error
                demand_served(replica.dialect.url, reply.ask.weights, drawn.served)
                if drawn.tokens or drawn.text:
                    observe = self._on_next if reply.has_begun else self._on_first
                    at = time.monotonic()
                    if reply.is_chat and observe is not None:
                        observe(at - since)
                    since = at
                    replica.breaker.succeed()
                    self._tokens += len(drawn.tokens)
                reply.take(drawn, is_exact)

    async def _blame(self, replica: Replica, error: EngineError) -> None:
        if isinstance(error, EngineLost):
            replica.breaker.fail(time.monotonic())
            await replica.look(self._wanted)  # has it gone, or was it this one reply? Nobody is sent to one that has
            self._note_presence()
        elif isinstance(error, EngineRefused) and error.code in ("wrong_version", "version"):
            log.error("%s", error)
            replica.lose(str(error))  # the next look asks what it serves, and verifies

    def _choose(self, version: int, tried: Collection[Replica]) -> Replica:
        """The least busy replica that holds this version.

        Raises:
            EngineLost: none is there.
            EngineRefused: none holds it.
            EngineBusy: those that hold it take no replies at the moment.
        """
        at, holding = time.monotonic(), self._holding(version)
        able = [one for one in holding if one not in tried and one.is_open and one.breaker.allows(at)]
        if able:
            return min(able, key=lambda one: one.load)
        if not self.is_connected:
            raise EngineLost("no engine is there")
        if not holding:
            raise EngineRefused("version", f"no replica holds version {version}")
        raise EngineBusy("the engine is being updated, or resting after failures; try again in a moment")

    def _holding(self, version: int) -> list[Replica]:
        return [replica for replica in self._up() if version in replica.held]

    def _up(self) -> list[Replica]:
        return [replica for replica in self._replicas if replica.is_up]

    # Versions --------------------------------------------------------------------------------------------------------

    @override
    async def load(self, number: int, path: Path, digest: str | None = None, base: int | None = None) -> float:
        began = time.monotonic()
        weights = Weights(number, path)
        try:
            await asyncio.to_thread(lambda: weights.template)
        except ValueError as error:
            raise LoadFailed(str(error)) from error
        async with self._arranging:
            known, self._wanted[number] = self._wanted.get(number), weights
            try:
                if not self._holding(number):
                    await self._place(weights)
            except BaseException:
                if known is None:
                    del self._wanted[number]
                raise
        self._settle_later()
        return time.monotonic() - began

    async def _place(self, weights: Weights) -> None:
        """Have at least one replica serve these; all that can do so without giving up others."""
        if self._launcher is not None:
            self._replicas.append(await self._launcher.start(weights))
            self._note_presence()
            return
        up = self._up()
        if not up:
            raise EngineLost("no engine is there")
        takers = [one for one in up if one.takes_at_once(weights)] or [self._sparest(up)]
        results = await asyncio.gather(
            *(one.take(weights, is_only=len(up) == 1) for one in takers), return_exceptions=True
        )
        failures = [result for result in results if isinstance(result, BaseException)]
        if len(failures) == len(takers):
            raise failures[0]

    def _sparest(self, up: Sequence[Replica]) -> Replica:
        """Whose weights are missed least."""

        def value(replica: Replica) -> tuple[int, int, int]:
            needed = [number for number in replica.held if number in self._wanted]
            alone = [number for number in needed if len(self._holding(number)) == 1]
            return (self._preferred in alone) + len(alone), len(needed), replica.load

        return min(up, key=value)

    @override
    async def unload(self, number: int) -> None:
        weights = self._wanted.pop(number, None)
        if weights is None:
            return
        for replica in self._holding(number):
            await replica.let_go(weights)
            if self._launcher is not None and not replica.held:
                self._replicas.remove(replica)
                await self._launcher.end(replica)
        self._settle_later()

    @override
    def prefer(self, number: int) -> None:
        self._preferred = number
        self._settle_later()

    async def settled(self) -> None:
        """Wait until the preferred version is wherever it can be now."""
        while self._settling:
            await asyncio.gather(*self._settling)

    def _settle_later(self) -> None:
        task = asyncio.create_task(self._settle(), name="arranging engines")
        for tasks in (self._tasks, self._settling):
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _settle(self) -> None:
        """Where a replica holds one version: give the preferred one all replicas but those that others need."""
        if self._launcher is not None:
            return
        async with self._arranging:
            weights = self._wanted.get(self._preferred) if self._preferred is not None else None
            if weights is None:
                return
            for replica in self._up():
                others = [n for n in replica.held if n in self._wanted and len(self._holding(n)) == 1]
                if weights.number in replica.held or others or replica.problem:
                    continue
                try:
                    await replica.take(weights, is_only=len(self._up()) == 1)
                except EngineError as error:
                    log.warning("%s does not take policy %d: %s", replica.dialect.url, weights.number, error)

    # Watching --------------------------------------------------------------------------------------------------------

    async def _keep_watching(self) -> None:
        while True:
            replicas = list(self._replicas)
            await asyncio.gather(*(replica.look(self._wanted) for replica in replicas))
            if self._launcher is not None:
                for replica in filter(self._launcher.has_ended, replicas):
                    if replica in self._replicas:
                        self._replicas.remove(replica)
                        await self._launcher.end(replica)
            self._note_presence()
            if any(replica.is_up and not replica.held and not replica.problem for replica in self._replicas):
                self._settle_later()
            await asyncio.sleep(LOOK_SECONDS)

    def _note_presence(self) -> None:
        is_there = bool(self._up()) or self._launcher is not None
        if is_there and not self._connected.is_set():
            self._connected.set()
            if self._on_connected is not None:
                self._on_connected()
        elif not is_there and self._connected.is_set():
            self._connected.clear()
            if self._on_lost is not None:
                with contextlib.suppress(Exception):
                    self._on_lost()


class _Reply:
    """One reply on its way from an engine's tokens to our chunks."""

    def __init__(self, generation: Generation, ask: Ask, position: int, *, is_chat: bool) -> None:
        self.generation = generation
        self.ask = ask
        self.is_chat = is_chat
        self.has_begun = False
        self._text = TextStream(ask.weights.template.tokenizer, ask.sampling.stop)
        for token in ask.prompt[len(ask.prompt) - position :] if position else ():
            self._text.push(token)  # said already; what of it was held back comes with what follows

    def take(self, drawn: Drawn, is_exact: bool) -> None:
        """Pass on some more; the last of it ends the reply."""
        text, tokens = drawn.text or "", list(drawn.tokens)
        if drawn.text is None:
            for count, token in enumerate(drawn.tokens, 1):
                text += self._text.push(token)
                if self._text.is_stopped:
                    del tokens[count:]
                    break
        reason = "stop" if self._text.is_stopped else drawn.finish_reason
        if reason is not None:
            text += self._text.finish()
        if not (text or tokens or reason):
            return
        self.has_begun = True
        logprobs = list(drawn.logprobs[: len(tokens)]) if is_exact else []
        self.generation.feed(Chunk(text, tokens, logprobs, reason))

    def stop(self) -> None:
        """Whoever asked wants no more."""
        if not self.generation.is_finished:
            self.generation.feed(Chunk(self._text.finish(), [], [], "stopped"))
