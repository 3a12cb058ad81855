"""Follows the live pointer: loads the new version beside the old, turns one reference, lets the old run dry (R10).

A canary is loaded beside the live one, and its share of the people gets it.
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sqlmodel import Session

from backtalk import audit, canary, policies, weights
from backtalk.database import Database
from backtalk.engine.client import Engine
from backtalk.engine.errors import EngineLost, LoadFailed
from backtalk.settings import Settings
from backtalk.tables import Canary, Policy
from backtalk.template import Template
from backtalk.writer import StorageError, Writer
from server.events import Notice
from server.metrics import Metrics
from server.pace import times_slower

POLL_SECONDS = 0.5
RUNG_SECONDS = 5.0
"""Between two looks where a bell tells of a moved pointer."""
TRY_AGAIN_SECONDS = 30.0
"""A version that could not be loaded is tried again after this time: a disk may have been full."""

SLOWEST = 3.0
"""A canary may take so many times as long for a token as the live version; on one engine it slows everybody down."""

log = logging.getLogger(__name__)


class _Slow(Exception):
    """The version is much slower than the live one; the message says how much."""


@dataclass(frozen=True, slots=True)
class Version:
    """A policy version that the engine holds. Made here, read by every reply that is bound to it."""

    number: int
    directory: Path
    template: Template
    """How this version is spoken to: a version may bring a tokenizer and template of its own."""


class Swapper:
    """Owns which versions the engine holds and which one new replies use."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        database: Database,
        writer: Writer,
        metrics: Metrics,
        tell_all: Callable[[Notice], None],
        hears: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Args:
            hears: whether a bell rings for a moved pointer at the moment (see `bells`), and `wake` is called then.
        """
        self.current: Version | None = None
        """What new replies use."""
        self.problem: str | None = None
        """Why the live version is not the one in use, if it is not."""
        self._settings = settings
        self._engine = engine
        self._writer = writer
        self._metrics = metrics
        self._database = database
        self._tell_all = tell_all
        self._hears = hears
        self._tried: tuple[Canary, Version] | None = None
        """The canary, once the engine holds it."""
        self._resident: dict[int, Version] = {}
        self._previous: int | None = None
        self._pins: Counter[int] = Counter()
        self._loading = asyncio.Lock()
        self._failed: dict[int, tuple[float, str]] = {}
        self._reported: set[int] = set()
        self._wake = asyncio.Event()
        self._is_away = False

    def version_for(self, person_id: UUID) -> Version | None:
        """What a new reply to this person uses: the canary for its share of the people, otherwise the live version."""
        if self._tried is not None:
            running, version = self._tried
            if version.number in self._engine.versions and canary.is_inside(running, person_id):
                return version
        return self.current

    # Replies hold on to their version ------------------------------------------------------------------------------

    def pin(self, version: int) -> None:
        """A reply is bound to this version: it stays until `unpin`."""
        self._pins[version] += 1

    def unpin(self, version: int) -> None:
        """That reply has ended."""
        self._pins[version] -= 1
        if self._pins[version] <= 0:
            del self._pins[version]
            self._wake.set()

    async def hold(self, number: int) -> Version:
        """This version, loaded in the engine that is there now; waits for an engine if there is none.

        Raises:
            WeightsError, LoadFailed: it cannot be served (any more).
        """
        while True:
            await self._engine.connect()
            if number in self._resident and number in self._engine.versions:
                return self._resident[number]
            with contextlib.suppress(EngineLost):
                return await self._load(number)

    def wake(self) -> None:
        """Look at the pointers now: somebody has moved one."""
        self._wake.set()

    @contextlib.asynccontextmanager
    async def borrow(self, number: int) -> AsyncIterator[Version]:
        """Any version, held by the engine for as long as the block runs.

        Raises:
            WeightsError, LoadFailed: it cannot be served (any more).
        """
        self.pin(number)
        try:
            yield await self.hold(number)
        finally:
            self.unpin(number)

    # The engine comes and goes ---------------------------------------------------------------------------------------

    def engine_lost(self) -> None:
        """Called when the engine's socket breaks."""
        self._metrics.engine.set(0)
        self._is_away = True
        self._tell_all(Notice(kind="engine_restarting", policy_version=self._number))

    def engine_connected(self) -> None:
        """Called when an engine has said hello; it may be a new one that holds nothing."""
        self._metrics.engine.set(1)
        self._wake.set()

    @property
    def _number(self) -> int | None:
        return self.current.number if self.current else None

    # Following the pointer -------------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Keep what is loaded and what is live the same. Runs for ever."""
        while True:
            self._wake.clear()
            try:
                await self.look()
            except EngineLost:
                pass  # it will be connected again, and this loop woken
            except Exception:
                log.exception("the swapper stumbled; it looks again in a moment")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), RUNG_SECONDS if self._hears() else POLL_SECONDS)

    async def look(self) -> None:
        """Look at the pointer once, and do what it takes."""
        if not self._engine.is_connected:
            return
        live, running = await asyncio.to_thread(self._pointers)
        if live is None:
            self.problem = "no policy version is live; `backtalk up` makes the first one"
            return
        if self._number != live.number or live.number not in self._engine.versions:
            await self._turn_to(live.number)
        else:
            self.problem = None
        if self._is_away and self.current and self.current.number in self._engine.versions:
            self._is_away = False
            self._tell_all(Notice(kind="engine_ready", policy_version=self.current.number))
        await self._try(running)
        await self._let_go()

    async def _try(self, running: Canary | None) -> None:
        """Give the canary to its people once the engine holds it; one that cannot be served is taken back at once."""
        if running is None:
            self._tried = None
            return
        try:
            if self._engine.room < 2:
                raise LoadFailed("the engine holds one version at a time; a canary needs a second replica")
            version = await self._load(running.number)
            if self._tried is None or self._tried[0].id != running.id:
                await self._demand_pace(version)
            self._tried = running, version
        except (weights.WeightsError, LoadFailed, OSError, ValueError, _Slow) as error:
            self._tried = None
            reason = f"it cannot be served: {error}"
            log.error("policy %d is taken back: %s", running.number, reason)

            def take_back(session: Session) -> None:
                tried = session.get_one(Policy, running.number)
                if tried.state == "canary":
                    policies.take_back(session, tried, "server", reason)

            with contextlib.suppress(StorageError):  # the next look tries again
                await self._writer.write(take_back)

    async def _demand_pace(self, version: Version) -> None:
        if self.current is None or self.current.number not in self._engine.versions:
            return
        times = await times_slower(self._engine, version, self.current)
        if times is not None and times > SLOWEST:
            raise _Slow(f"a token takes {times:.1f} times as long as with policy {self.current.number}")

    async def _turn_to(self, number: int) -> None:
        failed_at, reason = self._failed.get(number, (float("-inf"), ""))
        if time.monotonic() - failed_at < TRY_AGAIN_SECONDS:
            self.problem = reason
            await self._restore()
            return
        began = time.monotonic()
        try:
            version = await self._load(number)
        except (weights.WeightsError, LoadFailed, OSError, ValueError) as error:
            await self._report(number, f"policy {number} is live but cannot be served: {error}")
            await self._restore()
            return
        self._failed.pop(number, None)
        self._reported.discard(number)
        self.problem = None
        before, self.current = self.current, version
        self._engine.prefer(number)
        self._metrics.version.set(number)
        if before is not None and before.number != number:
            self._previous = before.number
            self._metrics.swaps.observe(time.monotonic() - began)
            self._tell_all(Notice(kind="policy_live", policy_version=number))
            log.info("policy %d is in use, after policy %d", number, before.number)

    async def _restore(self) -> None:
        """Go on serving the version in use when the live one cannot be: a new engine needs it loaded again."""
        if self.current is not None and self.current.number not in self._engine.versions:
            await self._load(self.current.number)

    async def _load(self, number: int) -> Version:
        async with self._loading:
            if number in self._resident and number in self._engine.versions:
                return self._resident[number]
            version = self._resident.get(number)
            if version is None:
                version = await asyncio.to_thread(self._open, number)
            await self._engine.load(number, version.directory)
            self._resident[number] = version
            return version

    def _pointers(self) -> tuple[Policy | None, Canary | None]:
        with self._database.read() as session:
            return policies.live(session), policies.running_canary(session)

    def _open(self, number: int) -> Version:
        with self._database.read() as session:
            policy = session.get(Policy, number)
        if policy is None:
            raise weights.WeightsError(f"there is no policy {number}")
        directory = self._settings.weights_dir.resolve() / policy.directory
        manifest = weights.verify(directory, weights.public_key(self._settings.keys_dir))
        if manifest.digest != policy.digest:
            raise weights.WeightsError(f"{policy.directory}: these are not the weights that were published")
        return Version(number, directory, Template(directory))

    async def _let_go(self) -> None:
        """Unload what nobody needs. The version before this one stays, so that going back to it is instant."""
        tried = self._tried[1].number if self._tried is not None else None
        previous = self._previous if self._engine.room > 2 else None
        kept = {self._number, previous, tried, *self._pins}
        for number in [number for number in self._resident if number not in kept]:
            del self._resident[number]
            if number in self._engine.versions:
                await self._engine.unload(number)
                log.info("policy %d is unloaded", number)

    async def _report(self, number: int, problem: str) -> None:
        self._failed[number] = (time.monotonic(), problem)
        self.problem = problem
        if number in self._reported:
            return
        self._reported.add(number)
        log.error("%s", problem)

        def write_down(session: Session) -> None:
            audit.record(session, "server", "policy.load_failed", number, problem=problem)

        with contextlib.suppress(StorageError):  # it is in the log and at /readyz all the same
            await self._writer.write(write_down)
