"""The replies under way. Each belongs to the server, not to the socket that asked: tabs close, the reply goes on.

What the engine makes is written down first and told afterwards (rule R3). One loop does both for all replies together:
it collects what has come since its last round, commits it, numbers it, and tells whoever listens. While a commit is
under way more comes, and goes with the next.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar
from uuid import UUID, uuid4
from weakref import WeakValueDictionary

from opentelemetry.trace import Span, use_span
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlmodel import Session

from backtalk import tracing
from backtalk.database import Database
from backtalk.engine.client import Engine
from backtalk.engine.errors import EngineBusy, EngineLost, EngineRefused, LoadFailed
from backtalk.template import Turn
from backtalk.weights import WeightsError
from backtalk.writer import StorageError, Writer
from server import continuing, ledger, presence, rendering
from server.errors import NotFound, Unavailable
from server.events import Continue, EndState, FinishReason, Regenerate, SamplingWish, Say, Usage
from server.ledger import Entry, Outcome, Piece, Place, Plan, Unfinished
from server.limits import Limits
from server.log import Log
from server.metrics import Metrics
from server.mirror import Mirrors
from server.presence import LeaseLost
from server.running import Running
from server.swapper import Swapper, Version

LINE = 5
"""Replies under way for each slot of the engine, those that wait included; whoever comes then is asked to come back."""
RESUMPTIONS = 2
"""How often in a row a reply may be taken up again without getting any further."""
RETRY_SECONDS = 0.5
TICK_SECONDS = 0.02
"""The least time between two rounds of writing down: smooth to the eye, and fifty commits a second at most."""
STATES: dict[FinishReason, EndState] = {"stop": "done", "length": "done", "stopped": "stopped", "error": "failed"}

log = logging.getLogger(__name__)
T = TypeVar("T")
Placing = Callable[[Session], Place]


class Replies:
    """All replies under way on this server."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        engine: Engine,
        swapper: Swapper,
        limits: Limits,
        metrics: Metrics,
        mirrors: Mirrors,
        on_begun: Callable[[], None] = lambda: None,
        on_done: Callable[[Running], None] = lambda running: None,
    ) -> None:
        self._id = uuid4()
        """Of this server, until others take it for dead."""
        self._has_left = False
        self._mirrors = mirrors
        self._on_begun = on_begun
        self._on_done = on_done
        self._database = database
        self._writer = writer
        self._engine = engine
        self._swapper = swapper
        self._limits = limits
        self._metrics = metrics
        self._running: dict[UUID, Running] = {}
        self._changed: set[Running] = set()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._locks: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_in_doubt = False
        """A commit has failed, and may have been made all the same: a database can go before it says so."""

    # Asking ----------------------------------------------------------------------------------------------------------

    async def say(self, person_id: UUID, say: Say) -> Entry:
        """Store a question and start its reply. The same request again finds the reply that it started first.

        Raises:
            Refusal: with what was found, expected and to do.
            StorageError: nothing is stored.
        """

        def place(session: Session) -> Place:
            return ledger.place_question(session, person_id, say.conversation_id, say.parent_id)

        digest = ledger.digest_request(say.model_dump(mode="json", exclude={"key"}))
        asked = [Turn("user", say.text)]
        return await self._whole(self._begin(person_id, place, asked, say.sampling, say.key, digest))

    async def regenerate(self, person_id: UUID, regenerate: Regenerate) -> Entry:
        """Start another reply to the same question; otherwise like `say`."""

        def place(session: Session) -> Place:
            return ledger.place_sibling(session, person_id, regenerate.reply_id)

        digest = ledger.digest_request(regenerate.model_dump(mode="json", exclude={"key"}))
        return await self._whole(self._begin(person_id, place, [], regenerate.sampling, regenerate.key, digest))

    async def go_on(self, person_id: UUID, longer: Continue) -> Entry:
        """Let a reply that was cut off go on, as another reply to the same question; otherwise like `say`."""
        return await self._whole(self._go_on(person_id, longer))

    async def answer(self, person_id: UUID, turns: Sequence[Turn], wish: SamplingWish | None = None) -> Entry:
        """Store a whole conversation that came from elsewhere and start the reply to it; otherwise like `say`.

        Args:
            turns: from the first to the question; the last one is the user's.
        """
        place = Place(None, None, None, [])
        return await self._whole(self._begin(person_id, lambda _: place, list(turns), wish, None, None))

    async def _begin(
        self,
        person_id: UUID,
        placing: Placing,
        asked: Sequence[Turn],
        wish: SamplingWish | None,
        key: str | None,
        digest: str | None,
    ) -> Entry:
        async with self._locks.setdefault(person_id, asyncio.Lock()):  # one after the other, as the person said them
            if key is not None and digest is not None:
                known = await self._read(lambda session: ledger.entry_by_key(session, person_id, key, digest))
                if known is not None:
                    await self._settle_doubts()
                    return known
            place = await self._read(placing)
            sampling = rendering.settle(wish)
            version = self._version(person_id)
            self._demand_room()
            self._limits.replies.take(person_id)
            self._swapper.pin(version.number)
            try:
                self._limits.prompts.use(person_id)  # before the work of rendering, which is what a flood would cost
                turns = ledger.alternating([*place.turns, *asked])
                prompt, sampling = await asyncio.to_thread(rendering.render, version, turns, sampling)
                plan = Plan(
                    person_id=person_id,
                    place=place,
                    asked=asked,
                    key=key,
                    request_digest=digest,
                    version=version.number,
                    sampling=sampling,
                    template_digest=version.template.digest,
                    prompt=prompt,
                    engine=self._engine_name,
                    server_id=self._id,
                    traceparent=tracing.traceparent(),
                )
                entry, is_new = await self._enter(lambda session: ledger.enter(session, plan))
            except BaseException as error:
                self._is_in_doubt = self._is_in_doubt or isinstance(error, StorageError)
                self._release(person_id, version.number)
                raise
            if is_new and entry.reply_id not in self._running:
                running = Running(entry, person_id, sampling, list(prompt), Log(entry.reply_id), turns=turns)
                running.traceparent = plan.traceparent
                self._start(running)
            else:
                self._release(person_id, version.number)  # another server entered the same request just before us
            await self._settle_doubts()
            return entry

    async def _go_on(self, person_id: UUID, longer: Continue) -> Entry:
        digest = ledger.digest_request(longer.model_dump(mode="json", exclude={"key"}))
        async with self._locks.setdefault(person_id, asyncio.Lock()):
            known = await self._read(lambda session: ledger.entry_by_key(session, person_id, longer.key, digest))
            if known is not None:
                return known
            cut = await self._read(lambda session: continuing.find(session, person_id, longer.reply_id))
            self._version(person_id)
            self._demand_room()
            self._limits.replies.take(person_id)
            self._swapper.pin(cut.version)
            try:
                self._limits.prompts.use(person_id)
                version = await self._swapper.hold(cut.version)
                more = longer.max_tokens or rendering.DEFAULT.max_tokens
                plan, text = await asyncio.to_thread(
                    continuing.plan, cut, version, more, person_id, longer.key, digest, self._id
                )
                begun, is_new = await self._enter(lambda session: continuing.enter(session, plan, cut, text))
            except (WeightsError, LoadFailed) as error:
                self._release(person_id, cut.version)
                raise Unavailable(f"version {cut.version}, which wrote the reply, cannot be loaded: {error}") from error
            except BaseException:
                self._release(person_id, cut.version)
                raise
            if is_new:
                self._start(_running(begun))
            else:
                self._release(person_id, cut.version)
            return begun.entry

    async def _enter(self, change: Callable[[Session], T]) -> T:
        """Enter a reply. Of two servers that enter one request at once, the later one finds what the other wrote."""
        try:
            return await self._writer.write(change)
        except IntegrityError:
            return await self._writer.write(change)

    def _version(self, person_id: UUID) -> Version:
        if not self._engine.is_connected:
            raise Unavailable("the engine is being started again; try again in a moment", retry_after=2)
        version = self._swapper.version_for(person_id)
        if version is None:
            raise Unavailable(self._swapper.problem or "the model is being loaded; try again in a moment", 2)
        return version

    def _demand_room(self) -> None:
        """A line that nobody reaches the end of helps nobody (rule R11).

        Raises:
            Unavailable: so many replies are under way already that this one would wait too long.
        """
        slots, taken = int(self._engine.hello.get("slots", 0)), self._limits.replies.taken  # those being entered too
        if slots and taken >= LINE * slots:
            raise Unavailable(f"{taken} replies are being written, the most at once; try again soon", 2)

    @property
    def _engine_name(self) -> str:
        hello = self._engine.hello
        kind = str(hello.get("kind", "local"))
        return " ".join([kind, *(str(hello[name]) for name in ("device", "dtype") if name in hello)])

    # Listening -------------------------------------------------------------------------------------------------------

    def running(self, reply_id: UUID) -> Running | None:
        """The reply, if it is under way here."""
        return self._running.get(reply_id)

    async def log(self, person_id: UUID, reply_id: UUID) -> Log:
        """The log of a reply of this person, under way or ended.

        Raises:
            NotFound: there is no such reply, or it is not this person's.
        """
        running = self._running.get(reply_id)
        if running is None:
            return await self._mirrors.log(person_id, reply_id)
        if running.person_id != person_id:
            raise NotFound(f"there is no reply {reply_id}")
        return running.log

    # Ending ----------------------------------------------------------------------------------------------------------

    async def stop(self, person_id: UUID, reply_id: UUID) -> None:
        """End a reply within a step; one that has ended already is left as it is.

        Raises:
            NotFound: there is no such reply, or it is not this person's.
        """
        running = self._running.get(reply_id)
        if running is None:
            await self._writer.write(lambda session: ledger.want_stop(session, person_id, reply_id))
        elif running.person_id != person_id:
            raise NotFound(f"there is no reply {reply_id}")
        else:
            running.stop()

    def drop(self, *, conversation_id: UUID | None = None, person_id: UUID | None = None) -> None:
        """Stop the replies of a conversation or a person that is being deleted; what they made goes with it."""
        for running in self._running.values():
            if conversation_id == running.entry.conversation_id or person_id == running.person_id:
                running.stop()

    # Running ---------------------------------------------------------------------------------------------------------

    async def resume(self) -> None:
        """Say that this server is here, and take up the replies that nobody writes any more."""
        await self._writer.write(lambda session: presence.enrol(session, self._id))
        await self._inherit()

    async def stay(self) -> None:
        """Keep this server's lease, and take up what other servers leave. Runs for ever."""
        while True:
            await asyncio.sleep(presence.RENEW_SECONDS)
            try:
                await self._writer.write(lambda session: presence.renew(session, self._id))
                await self._inherit()
            except LeaseLost as lost:
                await self._give_up(lost)
            except (StorageError, SQLAlchemyError):
                log.warning("the lease of this server could not be renewed; trying again")

    async def _inherit(self) -> None:
        """Take up the replies of servers that are no more."""

        def inherit(session: Session) -> int:
            presence.bury(session, self._id, presence.is_alive)
            return ledger.take_over(session, self._id)

        if await self._writer.write(inherit):
            for left in (await self._orphans()).values():
                self._take_up(left)

    async def _give_up(self, lost: LeaseLost) -> None:
        """Others have taken this server for dead: leave them its replies, tell what they write, and begin anew."""
        if lost.id != self._id or self._has_left:
            return  # the lease before this one, which was seen to already; or the server ends
        log.error("%s", lost)
        left = list(self._running.values())
        self._id = uuid4()
        for running in left:
            if running.task is not None:
                running.task.cancel()
            self._forget(running)
            self._mirrors.keep_up(running.person_id, running.log)
        await self._writer.write(lambda session: presence.enrol(session, self._id))

    async def _settle_doubts(self) -> None:
        """After commits that failed: take up replies that were stored although nobody was told so."""
        if self._is_in_doubt:
            self._is_in_doubt = False
            first = await self._orphans()
            second = await self._orphans() if first else {}  # one that began and ended during a look is in one at most
            for reply_id in first.keys() & second.keys():
                self._take_up(second[reply_id])

    async def _orphans(self) -> dict[UUID, Unfinished]:
        """Replies that the ledger calls this server's, and that it does not write."""
        before, id = set(self._running), self._id
        left = await self._read(lambda session: ledger.unfinished(session, id))
        return {one.entry.reply_id: one for one in left if one.entry.reply_id not in before | self._running.keys()}

    def _take_up(self, left: Unfinished) -> None:
        self._swapper.pin(left.entry.version)
        self._limits.replies.take_back(left.person_id)
        self._start(_running(left), is_resumed=True)

    def _start(self, running: Running, is_resumed: bool = False) -> None:
        self._running[running.id] = running
        running.span = _span(running)
        self._idle.clear()
        self._on_begun()
        self._metrics.running.set(len(self._running))
        running.task = asyncio.create_task(self._run(running, is_resumed), name=f"reply {running.id}")

    async def _run(self, running: Running, is_resumed: bool) -> None:
        """Generate until the reply ends, on whatever engine is there."""
        try:
            with use_span(running.span, record_exception=False, set_status_on_exception=False):
                while running.finish_reason is None:
                    if is_resumed:
                        await self._count_resumption(running)
                    await self._generate(running)
                    is_resumed = True
        except asyncio.CancelledError:
            if not running.is_stopping:
                raise  # the server ends; the next one takes it up
            running.finish_reason = "stopped"
        except (EngineRefused, LoadFailed, WeightsError, OSError, ValueError, _GivenUp) as error:
            log.error("reply %s failed: %s", running.id, error)
            running.finish_reason = "error"
        except Exception:
            log.exception("reply %s broke", running.id)
            running.finish_reason = "error"
        self._note(running)

    async def _generate(self, running: Running) -> None:
        """Take chunks until the reply ends or the engine is lost."""
        while True:
            await self._swapper.hold(running.entry.version)
            running.span.add_event("handed to the engine", {"backtalk.tokens_so_far": len(running.tokens)})
            running.generation = self._engine.generate(
                [*running.prompt, *running.tokens],
                running.entry.version,
                running.sampling,
                position=len(running.tokens),
                group=str(running.person_id),
                turns=running.turns,
            )
            try:
                async for chunk in running.generation:
                    running.take(chunk)
                    self._note(running)
                return
            except EngineLost:
                log.info("reply %s goes on when the engine is back", running.id)
                if running.is_stopping:
                    running.finish_reason = "stopped"
                return
            except EngineRefused as refused:
                if not isinstance(refused, EngineBusy) and refused.code != "version":
                    raise
                # The line is full, or the engine was replaced a moment ago: the same again will do.
                await running.generation.aclose()
            finally:
                running.generation = None
            await asyncio.sleep(RETRY_SECONDS)

    async def _count_resumption(self, running: Running) -> None:
        running.resumptions += 1
        reply_id, count = running.id, running.resumptions
        if count > RESUMPTIONS:
            raise _GivenUp(f"the engine was lost {count} times in a row without a word of it")
        self._metrics.resumed.inc()
        with contextlib.suppress(StorageError):
            await self._writer.write(lambda session: ledger.count_resumptions(session, reply_id, count))

    # Writing down, then telling --------------------------------------------------------------------------------------

    def _note(self, running: Running) -> None:
        self._changed.add(running)
        self._wake.set()

    async def write_down(self) -> None:
        """Make durable what the replies have made, then tell it. Runs for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            changed, self._changed = self._changed, set()
            try:
                await self._round(changed)
            except LeaseLost as lost:
                await self._give_up(lost)
            except StorageError:
                # Nothing was told and nothing is lost: it is all still here, and goes with the next round.
                self._changed |= changed
                await asyncio.sleep(RETRY_SECONDS)
                self._wake.set()
            except Exception:
                log.exception("a round of %d replies broke; each is tried alone", len(changed))
                for running in changed:
                    await self._alone(running)
            await asyncio.sleep(TICK_SECONDS)

    async def _alone(self, running: Running) -> None:
        try:
            await self._round({running})
        except StorageError:
            self._note(running)
        except LeaseLost as lost:
            await self._give_up(lost)
        except Exception:
            log.exception("reply %s cannot be written down; it is dropped", running.id)
            running.stop()
            self._forget(running)

    async def _round(self, changed: set[Running]) -> None:
        pieces: list[Piece] = []
        outcomes: list[Outcome] = []
        news: list[tuple[Running, list[str], int, FinishReason | None]] = []
        for running in changed:
            if running.id not in self._running or not (running.fresh or running.finish_reason):
                continue
            texts, count, reason = running.parts(), len(running.tokens), running.finish_reason
            if reason is not None:
                whole = [*running.log.texts, *texts]
                outcomes.append(Outcome(running.id, whole, running.tokens, running.logprobs, STATES[reason], reason))
            else:
                count = running.offered[1] if running.offered is not None else count
                texts, seq, part = texts[:1], len(running.log.texts) + 1, slice(running.stored, count)
                pieces.append(Piece(running.id, seq, texts[0], running.tokens[part], running.logprobs[part]))
            news.append((running, texts, count, reason))
        if not news:
            return
        began, id = time.monotonic(), self._id
        try:
            stopped = await self._writer.write(lambda session: ledger.record(session, pieces, outcomes, id))
        except StorageError:
            for running, texts, count, reason in news:
                if reason is None:
                    running.offered = len(texts[0]), count
            raise
        self._metrics.commits.observe(time.monotonic() - began)
        for running, texts, count, reason in news:
            running.fresh = running.fresh[sum(map(len, texts)) :]
            running.stored, running.offered = count, None
            if texts and not running.log.texts:
                running.span.add_event("first text")
                running.span.set_attribute("gen_ai.response.time_to_first_chunk", time.monotonic() - running.began_at)
            for text in texts:
                running.log.add(text)
            if texts:
                self._count_progress(running)
            if running.fresh:
                self._note(running)  # it came while the same piece was offered again
            if reason is not None:
                self._end(running, reason)
            elif running.id in stopped:
                running.stop()

    def _count_progress(self, running: Running) -> None:
        if running.resumptions:
            running.resumptions = 0
            reply_id = running.id
            self._writer.submit(lambda session: ledger.count_resumptions(session, reply_id, 0))

    def _end(self, running: Running, reason: FinishReason) -> None:
        running.span.set_attribute("gen_ai.usage.output_tokens", len(running.tokens))
        running.span.set_attribute("gen_ai.response.finish_reasons", [reason])
        if reason == "error":
            tracing.fail(running.span, "reply")
        self._forget(running)
        version = running.entry.version
        self._metrics.replies.labels(STATES[reason], version).inc()
        self._metrics.tokens.labels(version).inc(len(running.tokens))
        usage = Usage(prompt_tokens=len(running.prompt), completion_tokens=len(running.tokens))
        running.log.end(STATES[reason], reason, usage)
        if STATES[reason] == "done":
            self._on_done(running)

    def _forget(self, running: Running) -> None:
        running.span.end()
        if self._running.pop(running.id, None) is not None:
            self._release(running.person_id, running.entry.version)
            self._metrics.running.set(len(self._running))
            if not self._running:
                self._idle.set()

    def _release(self, person_id: UUID, version: int) -> None:
        self._limits.replies.free(person_id)
        self._swapper.unpin(version)

    # The server ------------------------------------------------------------------------------------------------------

    @property
    def id(self) -> UUID:
        """Of this server."""
        return self._id

    @property
    def is_busy(self) -> bool:
        """Is any reply under way?"""
        return bool(self._running)

    async def finished(self) -> None:
        """Wait until no reply is under way."""
        await self._idle.wait()

    async def close(self) -> None:
        """Leave the replies under way to the other servers, or to the next; what was told of them is durable."""
        tasks = [running.task for running in self._running.values() if running.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *self._tasks, return_exceptions=True)
        for running in self._running.values():
            running.span.end()
        await self._mirrors.close()
        self._has_left = True
        with contextlib.suppress(StorageError):
            await self._writer.write(lambda session: presence.leave(session, self._id))

    async def _whole(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it to its end even if whoever asked goes away: half a beginning would be a reply that nobody runs."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._is_done)
        return await asyncio.shield(task)

    def _is_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # heeded, even if whoever asked has gone

    async def _read(self, query: Callable[[Session], T]) -> T:
        return await asyncio.to_thread(self._query, query)

    def _query(self, query: Callable[[Session], T]) -> T:
        with self._database.read() as session:
            return query(session)


def _running(left: Unfinished) -> Running:
    return Running(
        entry=left.entry,
        person_id=left.person_id,
        sampling=left.sampling,
        prompt=left.prompt,
        log=Log(left.entry.reply_id, left.texts),
        tokens=left.tokens,
        logprobs=left.logprobs,
        stored=len(left.tokens),
        resumptions=left.resumptions,
        traceparent=left.traceparent,
    )


def _span(running: Running) -> Span:
    """What is told of a reply to those who trace: figures, never a word of it."""
    model, sampling = f"backtalk-{running.entry.version}", running.sampling
    known: dict[str, tracing.Value] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "backtalk",
        "gen_ai.request.model": model,
        "gen_ai.response.model": model,
        "gen_ai.request.max_tokens": sampling.max_tokens,
        "gen_ai.request.temperature": sampling.temperature,
        "gen_ai.request.top_p": sampling.top_p,
        "gen_ai.conversation.id": str(running.entry.conversation_id),
        "gen_ai.response.id": str(running.id),
        "gen_ai.usage.input_tokens": len(running.prompt),
        "backtalk.policy.version": running.entry.version,
        "backtalk.resumptions": running.resumptions,
    }
    return tracing.start(f"chat {model}", known, traceparent=running.traceparent)


class _GivenUp(Exception):
    """A reply that loses its engine again and again, and gets no further."""
