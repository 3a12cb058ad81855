"""`backtalk up`: engine, server and learner as children that are restarted when they die and never outlive us.

The engine is also asked for progress: one that has work and makes no step is killed and restarted (rule R6), because a
process that hangs looks alive to everybody who only asks whether it runs.
"""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

from backtalk import lifeline
from backtalk.engine import wire
from backtalk.instance import InstanceError, claim_port, demand_free, local_url, only_one, ready
from backtalk.settings import PREFIX, Settings

STALL_SECONDS = 10.0
FIRST_DELAY, LAST_DELAY = 0.5, 30.0
"""Seconds before a dead child is started again: doubled with each death …"""
STEADY_SECONDS = 60.0
"""… and forgotten once it has lived this long."""
EARLY_DEATHS = 3
"""A child that dies this often before everything was ready once has a fault that no restart mends."""
READY_SECONDS = 120.0
KEPT_LOGS = 5
PATIENCE = {"server": 10.0, "learner": 10.0, "engine": 5.0}
"""Stopping goes in this order: the server ends its replies while it still has an engine. Seconds each may take."""

T = TypeVar("T")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Welcome:
    """What a person wants to know once everything is ready. Made here, shown by the command line."""

    chat: str
    console: str
    claim: str | None  # the link that makes the first operator; None when there is one
    seconds: float  # from the start to ready


# What is decided, without a process --------------------------------------------------------------------------------


@dataclass(slots=True)
class Backoff:
    """How long to wait before the next start of a child."""

    deaths: int = 0

    def after(self, lived: float) -> float:
        """Seconds to wait after a life of `lived` seconds."""
        if lived >= STEADY_SECONDS:
            self.deaths = 0
        self.deaths += 1
        return min(LAST_DELAY, FIRST_DELAY * 2.0 ** (self.deaths - 1))


@dataclass(slots=True)
class Progress:
    """Whether an engine moves: fed with every beat, in seconds of one steady clock."""

    stall_seconds: float = STALL_SECONDS
    slowest: float = 0.0  # step seen so far
    _step: int = -1
    _since: float = 0.0
    _idle: bool = True

    def is_stalled(self, step: int, pending: int, at: float) -> bool:
        """True when there has been work and no step for `stall_seconds`, or for three times the slowest step."""
        if step != self._step or pending == 0 or self._idle:
            if step != self._step and not self._idle:
                self.slowest = max(self.slowest, at - self._since)
            self._step, self._since, self._idle = step, at, pending == 0
            return False
        return at - self._since >= max(self.stall_seconds, 3 * self.slowest)


# Children ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Child:
    """One process that shall run, and the log it writes to."""

    name: str
    arguments: Sequence[str]  # of Python, such as ("-m", "server")
    log: Path
    is_vital: bool = True  # without it nobody can chat
    telling: int | None = None  # while it has to tell how it lays the ground: the end of a pipe that it writes to
    process: asyncio.subprocess.Process | None = None
    started: float = 0.0
    backoff: Backoff = field(default_factory=Backoff)

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.returncode is None

    def signal(self, number: int) -> None:
        """Send a signal to the child and whatever it has started."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def last_words(self, lines: int = 5) -> str:
        """The end of its log."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - 8192))
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


class Supervisor:
    """Owns the children from their start to their end."""

    def __init__(
        self,
        settings: Settings,
        port: int,
        lock: IO[str],
        say: Say,
        *,
        verbose: bool = False,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self.settings = settings
        self.url = local_url(settings.host, port)
        self._lock = lock
        self._say = say
        self._verbose = verbose
        self._stall_seconds = stall_seconds
        self._environment = {
            **os.environ,
            f"{PREFIX}PORT": str(port),
            # Whoever reads a log wants its last line; a buffer would keep it.
            "PYTHONUNBUFFERED": "1",
        }
        self._started_at = time.time()
        self._children: dict[str, Child] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._was_ready = False
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self, name: str, *arguments: str, vital: bool = True, telling: int | None = None) -> None:
        """Start a child and keep it running. One that is not vital may fail for ever without ending the others."""
        log = self.settings.data_dir / "logs" / f"{name}.log"
        rotate(log)
        child = Child(name, arguments, log, vital, telling)
        self._children[name] = child
        await self._spawn(child)
        self._tasks.append(asyncio.create_task(self._keep(child)))
        if self._verbose:
            self._tasks.append(asyncio.create_task(_tail(child, self._say)))

    async def ground(self, name: str, *arguments: str) -> str | None:
        """Start a child that lays the ground, and say what it tells of it.

        One that dies before it has told all is started again with the same pipe; later ones have nothing to tell.

        Returns:
            The token that makes the first operator; None when there is one.

        Raises:
            InstanceError: the ground cannot be laid, or the child cannot live.
        """
        hearing, telling = os.pipe()
        words = asyncio.StreamReader()
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(words), os.fdopen(hearing, "rb")
        )
        await self.start(name, *arguments, telling=telling)
        try:
            while True:
                word = json.loads(await self._unless_failed(words.readline()))
                if "said" in word:
                    self._say(word["said"])
                elif "failed" in word:
                    raise InstanceError(word["failed"])
                else:
                    token: str | None = word["claim"]
                    return token
        finally:
            self._children[name].telling = None
            os.close(telling)
            pipe.close()

    def watch_engine(self) -> None:
        """Begin to ask the engine for progress."""
        self._tasks.append(asyncio.create_task(self._watch_engine(self._children["engine"])))

    async def until_ready(self) -> None:
        """Wait until people can chat.

        Raises:
            InstanceError: a child cannot live, or nothing was ready in time.
        """
        give_up = time.monotonic() + READY_SECONDS
        while not await asyncio.to_thread(ready, self.url):
            if self._failed.done():
                self._failed.result()
            if time.monotonic() > give_up:
                words = "; ".join(f"{child.name}: {child.last_words(1)}" for child in self._children.values())
                raise InstanceError(
                    f"not ready after {READY_SECONDS:.0f} s ({words}); "
                    f"look into {self.settings.data_dir / 'logs'} or start with --verbose"
                )
            await asyncio.sleep(0.05)
        self._was_ready = True

    async def _unless_failed(self, wanted: Coroutine[Any, Any, T]) -> T:
        """What is waited for, or what made waiting senseless."""
        waiting = asyncio.ensure_future(wanted)
        try:
            await asyncio.wait((waiting, self._failed), return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                self._failed.result()
            return await waiting
        finally:
            waiting.cancel()

    async def until_failed(self) -> None:
        """Wait for ever, or raise what made going on senseless."""
        await asyncio.shield(self._failed)

    async def stop(self) -> None:
        """Stop the children in order; each gets its time to end well."""
        self._stopping = True
        for name, patience in PATIENCE.items():
            child = self._children.get(name)
            if child is None or child.process is None or not child.is_alive:
                continue
            child.signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(child.process.wait(), patience)
            except TimeoutError:
                self._say(f"{name} did not stop within {patience:.0f} s; killed")
        await self._end()

    async def kill(self) -> None:
        """Kill the children at once."""
        self._stopping = True
        await self._end()

    async def _end(self) -> None:
        for child in self._children.values():
            child.signal(signal.SIGKILL)
            if child.process is not None:
                await child.process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _spawn(self, child: Child) -> None:
        pipes = [child.telling] if child.telling is not None else []
        with child.log.open("ab") as log:
            child.process = await asyncio.create_subprocess_exec(
                *lifeline.command(*child.arguments, *(f"--ground={pipe}" for pipe in pipes)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                pass_fds=pipes,
                start_new_session=True,  # Ctrl-C is for us alone: we stop the children in order
            )
        child.started = time.monotonic()
        self._tell()

    async def _keep(self, child: Child) -> None:
        while True:
            assert child.process is not None
            code = await child.process.wait()
            child.signal(signal.SIGKILL)  # what it has started and left behind
            if self._stopping:
                return
            delay = child.backoff.after(time.monotonic() - child.started)
            is_hopeless = child.is_vital and not self._was_ready and child.backoff.deaths >= EARLY_DEATHS
            if is_hopeless and not self._failed.done():
                self._failed.set_exception(
                    InstanceError(f"the {child.name} ends as soon as it starts ({_how(code)}):\n{child.last_words()}")
                )
                return
            self._say(f"{child.name} ended ({_how(code)}); starting it again in {delay:g} s; its log: {child.log}")
            await asyncio.sleep(delay)
            if self._stopping:
                return
            await self._spawn(child)

    async def _watch_engine(self, child: Child) -> None:
        address = wire.address(self.settings.data_dir)
        while not self._stopping:
            try:
                reader, writer = await asyncio.open_unix_connection(str(address))
            except OSError:
                await asyncio.sleep(0.2)
                continue
            process = child.process
            try:
                reason = await self._stall(reader)
            except (OSError, ValueError, asyncio.IncompleteReadError):
                reason = None
            finally:
                writer.close()
            if reason and child.process is process and child.is_alive:
                self._say(f"the engine {reason}; it is killed and started again")
                child.signal(signal.SIGKILL)
            await asyncio.sleep(0.2)

    async def _stall(self, reader: asyncio.StreamReader) -> str | None:
        """Read beats until the engine stalls; says how. None when the reading itself was late (a machine asleep)."""
        progress = Progress(self._stall_seconds)
        while True:
            asked = time.monotonic()
            try:
                message = await asyncio.wait_for(wire.read(reader), self._stall_seconds)
            except TimeoutError:
                if time.monotonic() - asked > self._stall_seconds + 2:
                    return None
                return f"has said nothing for {self._stall_seconds:g} s"
            if message.get("event") != "beat":
                continue
            pending = int(message["running"]) + int(message["waiting"])
            if progress.is_stalled(int(message["step"]), pending, time.monotonic()):
                return f"has {pending} replies to write and has made no step for {self._stall_seconds:g} s"

    def _tell(self) -> None:
        """Write down what runs, for `backtalk status`."""
        content = {
            "pid": os.getpid(),
            "url": self.url,
            "started_at": self._started_at,
            "children": {name: child.process.pid for name, child in self._children.items() if child.process},
        }
        self._lock.seek(0)
        self._lock.truncate()
        self._lock.write(json.dumps(content))
        self._lock.flush()


def rotate(log: Path) -> None:
    """Move the logs of earlier starts one number up and forget the oldest."""
    for number in range(KEPT_LOGS - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.rename(log.with_name(f"{log.name}.{number + 1}"))
    if log.exists():
        log.rename(log.with_name(f"{log.name}.1"))
    os.close(os.open(log, os.O_WRONLY | os.O_CREAT, 0o600))


async def _tail(child: Child, say: Say) -> None:
    with child.log.open(errors="replace") as file:
        while True:
            line = file.readline()
            if line:
                say(f"{child.name:>8} | {line.rstrip()}")
            else:
                await asyncio.sleep(0.1)


def _how(code: int) -> str:
    if code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"
    return f"exit code {code}"


# The whole ---------------------------------------------------------------------------------------------------------


async def up(settings: Settings, say: Say, welcome: Callable[[Welcome], None], *, verbose: bool = False) -> None:
    """Run Backtalk until a signal stops it. `say` gets each line that a person should see, `welcome` the addresses.

    Raises:
        InstanceError: it cannot be started, or cannot go on; nothing is left running.
    """
    began = time.monotonic()
    demand_free(settings.data_dir)
    port = claim_port(settings)
    settings.make_directories()
    with only_one(settings.data_dir) as lock:
        supervisor = Supervisor(settings, port, lock, say, verbose=verbose)
        stop, hurry = asyncio.Event(), asyncio.Event()

        def interrupted() -> None:
            (hurry if stop.is_set() else stop).set()

        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup backtalk up` outlives its terminal
            numbers.append(signal.SIGHUP)
        for number in numbers:
            asyncio.get_running_loop().add_signal_handler(number, interrupted)
        working = asyncio.create_task(_start(supervisor, settings, say, welcome, began))
        await _first(working, asyncio.create_task(stop.wait()))
        if not working.done():
            say("stopping; another Ctrl-C kills")
            working.cancel()
        stopping = asyncio.create_task(supervisor.stop())
        await _first(stopping, asyncio.create_task(hurry.wait()))
        if not stopping.done():
            stopping.cancel()
            await asyncio.gather(stopping, return_exceptions=True)
            await supervisor.kill()
        with contextlib.suppress(asyncio.CancelledError):
            await working
        say("stopped")


async def _first(work: asyncio.Task[None], signal_: asyncio.Task[Any]) -> None:
    """Wait until the work is done or the signal has come."""
    await asyncio.wait({work, signal_}, return_when=asyncio.FIRST_COMPLETED)
    signal_.cancel()


async def _start(
    supervisor: Supervisor, settings: Settings, say: Say, welcome: Callable[[Welcome], None], began: float
) -> None:
    if settings.is_local:  # its libraries take longest to load, and it needs no database: it goes first
        await supervisor.start("engine", "-m", "backtalk.engine")
    token = await supervisor.ground("server", "-m", "server")
    if settings.is_local:
        supervisor.watch_engine()
    say("engine and server are starting" if settings.is_local else "the server is starting")
    await supervisor.until_ready()
    seconds = time.monotonic() - began
    # Nobody waits for it, and two processors have enough to load without it.
    await supervisor.start("learner", "-m", "learner", vital=False)
    address = settings.public_url or supervisor.url
    welcome(
        Welcome(
            chat=f"{address}/",
            console=f"{address}/operate",
            claim=f"{address}/operate/claim#{token}" if token else None,
            seconds=seconds,
        )
    )
    await supervisor.until_failed()


def run(settings: Settings, say: Say, welcome: Callable[[Welcome], None], *, verbose: bool = False) -> None:
    """`up` for a caller without an event loop."""
    asyncio.run(up(settings, say, welcome, verbose=verbose))
