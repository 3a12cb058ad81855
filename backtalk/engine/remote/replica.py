"""One server of a remote engine: what it holds, who waits for it, and whether it can be relied on."""

import asyncio
import contextlib
import json
import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from backtalk.engine.errors import EngineError, EngineRefused, LoadFailed
from backtalk.engine.remote.dialect import Ask, Dialect, Weights, load_failed
from backtalk.engine.sampling import Sampling

FAILURES = 3
"""So many replies broken off in a row, and a replica gets no more for a while."""
FIRST_PAUSE, LAST_PAUSE = 1.0, 30.0
QUIET_SECONDS = 20.0
"""How long the only replica waits for a moment without replies before new ones have to wait for its update."""
VERIFY_SECONDS = 120.0
CANARY = "canary.json"
TOLERANCE = 0.75
"""The largest difference of a log-prob from what a version's maker wrote down: bfloat16 rounds (see `canary`)."""
PROBE = "Hello, world! 你好，世界。 naïve café 3.14 🙂"
"""Both sides must read the same tokens in it."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Breaker:
    """Opens when replies break off one after the other; lets one through now and then until one succeeds."""

    failures: int = 0
    closed_at: float = 0.0
    """When it lets a reply through again, in seconds of the caller's clock."""

    def allows(self, at: float) -> bool:
        """Whether another reply may be tried now."""
        return at >= self.closed_at

    def fail(self, at: float) -> None:
        """A reply broke off."""
        self.failures += 1
        if self.failures >= FAILURES:
            self.closed_at = at + min(LAST_PAUSE, FIRST_PAUSE * 2.0 ** (self.failures - FAILURES))

    def succeed(self) -> None:
        """A reply made progress."""
        self.failures, self.closed_at = 0, 0.0


class Replica:
    """What a fleet knows of one of its servers."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.held: dict[int, Weights] = {}
        """Versions that it serves, each verified."""
        self.found: Collection[str] = ()
        """What it said it serves when it was last looked at."""
        self.is_up = False
        self.is_open = True
        """Whether it gets new replies; not while it runs dry for new weights."""
        self.problem: str | None = "it has not answered yet"
        self.breaker = Breaker()
        self._writing: Counter[int] = Counter()
        self._left = asyncio.Event()
        self._changing = asyncio.Lock()

    @property
    def load(self) -> int:
        """Replies under way in it."""
        return self._writing.total()

    @contextlib.contextmanager
    def reply(self, number: int) -> Iterator[None]:
        """Count a reply of this version for as long as the block runs."""
        self._writing[number] += 1
        try:
            yield
        finally:
            self._writing[number] -= 1
            self._left.set()

    async def run_dry(self, number: int | None = None) -> None:
        """Wait until no reply (of this version) is under way."""
        while self.load if number is None else self._writing[number]:
            self._left.clear()
            await self._left.wait()

    # Looking -------------------------------------------------------------------------------------------------------

    async def look(self, wanted: Mapping[int, Weights]) -> None:
        """Ask what it serves, and take up or let go of versions accordingly. Never raises."""
        if self._changing.locked():
            return
        async with self._changing:
            try:
                self.found = await self.dialect.look()
            except EngineError as error:
                self.lose(str(error))
                return
            self.held = {number: weights for number, weights in self.held.items() if weights.name in self.found}
            was_up, self.is_up = self.is_up, True
            self.problem = self.problem if was_up else None
            for number, weights in wanted.items():
                if number in self.held or (was_up and weights.name not in self.found):
                    continue
                if weights.name in self.found or self.dialect.can_beside(weights):
                    with contextlib.suppress(EngineError):
                        await self._load(weights)

    def lose(self, problem: str) -> None:
        """It is not there, or not what it should be: nothing of what was known of it counts any more."""
        if self.is_up:
            log.warning("engine %s is lost: %s", self.dialect.url, problem)
        self.is_up, self.held, self.found, self.problem = False, {}, (), problem

    # Changing ------------------------------------------------------------------------------------------------------

    def takes_at_once(self, weights: Weights) -> bool:
        """Whether it can serve these without giving up others."""
        return weights.name in self.found or self.dialect.can_beside(weights)

    async def take(self, weights: Weights, *, is_only: bool) -> None:
        """Serve these weights, verified; where it can hold only one version it runs dry first.

        Args:
            is_only: no other replica can take the replies that come meanwhile.

        Raises:
            LoadFailed, EngineLost: it does not serve them.
        """
        async with self._changing:
            if weights.number in self.held:
                return
            if self.takes_at_once(weights):
                await self._load(weights)
                return
            objection = self.dialect.objection(weights)
            if objection is not None:
                raise LoadFailed(objection)
            if is_only:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(QUIET_SECONDS):
                        await self.run_dry()
            self.is_open = False
            try:
                await self.run_dry()
                self.held = {}
                await self._load(weights)
            except EngineError as error:
                self.lose(str(error))  # who knows what it serves now: the next look asks, and verifies
                raise
            finally:
                self.is_open = True

    async def _load(self, weights: Weights) -> None:
        try:
            await self.dialect.load(weights)
            async with asyncio.timeout(VERIFY_SECONDS):
                await self._verify(weights)
        except EngineRefused as error:
            self.problem = str(error)
            raise load_failed(error) from error
        except TimeoutError as error:
            self.problem = f"it did not answer within {VERIFY_SECONDS:.0f} s"
            raise LoadFailed(f"{self.dialect.url}: {self.problem}") from error
        except EngineError as error:
            self.problem = str(error)
            raise
        beside = self.dialect.can_beside(weights)
        self.held = {**(self.held if beside else {}), weights.number: weights}
        self.found = {*(self.found if beside else ()), weights.name}
        self.problem = None
        self.breaker.succeed()

    async def let_go(self, weights: Weights) -> None:
        """Give a version up once its last reply has ended."""
        await self.run_dry(weights.number)
        async with self._changing:
            if self.held.pop(weights.number, None) is not None:
                with contextlib.suppress(EngineError):  # one that went away has let go, too
                    await self.dialect.unload(weights)

    # Verifying -----------------------------------------------------------------------------------------------------

    async def _verify(self, weights: Weights) -> None:
        """Does it read the same tokens, and say what the version's maker wrote down?

        Raises:
            LoadFailed: it does not.
        """
        if not self.dialect.gives_tokens:
            return
        ours = list(weights.template.tokenizer.encode(PROBE, add_special_tokens=False).ids)
        theirs = await self.dialect.tokens_of(weights, PROBE)
        if theirs is not None and theirs != ours:
            raise LoadFailed(f"{self.dialect.url} reads other tokens than {weights.name}: {theirs[:8]} for {ours[:8]}")
        file = weights.directory / CANARY
        for entry in json.loads(file.read_text()) if file.exists() else ():
            await self._compare(weights, entry["prompt"], entry["tokens"][0], entry["logprobs"][0])

    async def _compare(self, weights: Weights, prompt: list[int], token: int, expected: float) -> None:
        ask = Ask(weights, prompt, Sampling(max_tokens=1, temperature=0), 1)
        try:
            async for drawn in self.dialect.stream(ask):
                demand_served(self.dialect.url, weights, drawn.served)
                if not drawn.tokens:
                    continue
                found = drawn.logprobs[0] if drawn.logprobs else expected
                if drawn.tokens[0] != token or abs(found - expected) > TOLERANCE:
                    raise LoadFailed(
                        f"{self.dialect.url} says something else than {weights.name}: after a prompt of {len(prompt)} "
                        f"it draws {drawn.tokens[0]} ({found:.2f}), expected {token} ({expected:.2f}); it is not served"
                    )
                return
        except EngineRefused as error:
            if error.code != "bad_request":
                raise
            log.info("%s cannot be asked for a canary: %s", self.dialect.url, error)


def demand_served(url: str, weights: Weights, served: str | None) -> None:
    """A reply must come from the weights that it is bound to.

    Raises:
        EngineRefused: it comes from others.
    """
    if served is not None and served != weights.name:
        raise EngineRefused("wrong_version", f"{url} answers with {served} when asked for {weights.name}")
