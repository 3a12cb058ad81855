"""The engine as a process: one thread steps, the main thread speaks to clients, and neither waits for the other.

clients ── Unix socket ── asyncio (main thread) ── inbox ──> Stepper (thread, owns the Core and the device)
                                    <── call_soon_threadsafe ──
"""

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, cast

import torch

from backtalk import lifeline, tracing
from backtalk.engine import courses, loading, wire
from backtalk.engine.adapter import is_adapter
from backtalk.engine.core import Core, Output, Resident
from backtalk.engine.errors import EngineRefused, InvalidSampling, LoadFailed
from backtalk.engine.sampling import Sampling
from backtalk.engine.scheduler import Limits
from backtalk.settings import Settings, SettingsError, load_settings

log = logging.getLogger("backtalk.engine")

MAX_OUTBOX = 8 * 1024 * 1024
"""Bytes a client may leave unread before it is dropped: the engine never waits for anybody."""

Command = Callable[[Core], None]
P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A version that a client wants loaded."""

    number: int
    path: Path
    digest: str | None = None
    base: int | None = None
    """The version that it is an adapter on."""


class Stepper(threading.Thread):
    """Owns the core. Everything that touches it comes through `inbox`, and is done between two steps."""

    def __init__(self, core: Core, hand_out: Callable[[list[Output]], None], freed: Callable[[int], None]) -> None:
        super().__init__(name="stepper", daemon=True)
        self.core = core
        self.inbox: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._hand_out, self._freed = hand_out, freed
        self._is_stopping = False

    def stop(self) -> None:
        """End after the step under way."""

        def stop(_: Core) -> None:
            self._is_stopping = True

        self.inbox.put(stop)

    def run(self) -> None:
        """Step while there is work, sleep while there is none."""
        try:
            while not self._is_stopping:
                self._obey()
                if self.core.has_work:
                    self._hand_out(self.core.step())
                for number in self.core.sweep():
                    self._freed(number)
        except BaseException:
            log.exception("the step loop failed; the process ends, to be started again")
            os._exit(70)  # no other thread can mend this, and a process without its loop only looks alive

    def _obey(self) -> None:
        """Do what has come in; with nothing else to do, wait for it."""
        with contextlib.suppress(queue.Empty):
            self.inbox.get(block=not self.core.has_work)(self.core)
            while not self._is_stopping:
                self.inbox.get_nowait()(self.core)


class Connection:
    """One client, and what it has under way."""

    def __init__(self, number: int, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.requests: set[int] = set()
        self._transport = writer.transport

    def send(self, message: dict[str, Any]) -> None:
        """Send without waiting. A client that does not read is dropped; its reader then sees the end."""
        if self._transport.is_closing():
            return
        self._transport.write(wire.pack(message))
        if self._transport.get_write_buffer_size() > MAX_OUTBOX:
            log.warning("client %d has left %d bytes unread and is dropped", self.number, MAX_OUTBOX)
            self._transport.abort()


class EngineProcess:
    """Clients, versions and the stepper, held together."""

    def __init__(
        self, limits: Limits, device: torch.device, load: Callable[[Wanted, Resident | None], Resident]
    ) -> None:
        self._load = load
        self._device = device
        self._dtype = self._how = "unknown until a version is loaded"
        self._core = Core(limits)
        self._loop = asyncio.get_running_loop()
        self._stepper = Stepper(self._core, self._post(self._deliver), self._post(self._announce_unloaded))
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="loader")
        self._loading: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: dict[int, Connection] = {}
        self._accepted = 0

    def _post(self, callback: Callable[P, None]) -> Callable[P, None]:
        """The callback, to be called from any thread and run in the event loop."""

        def post(*arguments: P.args, **named: P.kwargs) -> None:
            self._loop.call_soon_threadsafe(partial(callback, *arguments, **named))

        return post

    async def serve(self, address: Path, ready: Callable[[], None], model: Path | None = None) -> None:
        """Serve until SIGTERM or SIGINT."""
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, stopping.set)
        self._stepper.start()
        if model is not None:
            self._core.install(0, await self._loop.run_in_executor(self._loader, self._load_ready, Wanted(0, model)))
            self._note_dtype()
        old_mask = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(self._serve_client, str(address))
        finally:
            os.umask(old_mask)
        beating = asyncio.create_task(self._beat())
        ready()
        await stopping.wait()
        beating.cancel()
        server.close()
        self._stepper.stop()
        await asyncio.to_thread(self._stepper.join, 2.0)
        self._loader.shutdown(wait=False, cancel_futures=True)

    async def _serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._accepted += 1
        connection = Connection(self._accepted, writer)
        self._connections[connection.number] = connection
        connection.send(
            {
                "event": "hello",
                "pid": os.getpid(),
                "device": str(self._device),
                "dtype": self._dtype,
                "how": self._how,
                "versions": self._versions(),
                "slots": self._core.scheduler.limits.slots,
            }
        )
        try:
            while True:
                self._take(connection, await wire.read(reader))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # it has gone, as clients do
        except asyncio.CancelledError:
            pass  # this process stops; Python 3.11 logs a reader that ends cancelled as an error
        except (ValueError, KeyError, TypeError) as error:
            log.warning("client %d sent what is not a request (%r) and is dropped", connection.number, error)
        finally:
            del self._connections[connection.number]
            for id in connection.requests:
                self._do(partial(_cancel_quietly, id=(connection.number, id)))
            writer.close()

    def _take(self, connection: Connection, message: dict[str, Any]) -> None:
        match message["op"]:
            case "generate":
                connection.requests.add(message["id"])
                self._do(partial(self._submit, connection.number, message))
            case "cancel":
                self._do(partial(self._cancel, (connection.number, message["id"])))
            case "load":
                wanted = Wanted(message["number"], Path(message["path"]), message.get("digest"), message.get("base"))
                self._begin_load(wanted)
            case "unload":
                self._do(partial(self._retire, message["number"]))
            case "state":
                connection.send(self._state())
            case other:
                raise ValueError(f"unknown op {other!r}")

    def _do(self, command: Command) -> None:
        self._stepper.inbox.put(command)

    # In the stepper's thread

    def _submit(self, connection: int, message: dict[str, Any], core: Core) -> None:
        try:
            core.submit(
                (connection, message["id"]),
                message["prompt"],
                Sampling.from_dict(message.get("sampling", {})),
                version=message["version"],
                priority="rollout" if message.get("priority") == "rollout" else "chat",
                group=message.get("group", ""),
                position=message.get("position", 0),
                traceparent=message.get("traceparent"),
            )
        except EngineRefused as refusal:
            self._post(self._refuse)(connection, message["id"], refusal.code, str(refusal))
        except (InvalidSampling, TypeError, KeyError) as error:
            self._post(self._refuse)(connection, message["id"], "bad_request", str(error))

    def _cancel(self, id: tuple[int, int], core: Core) -> None:
        output = core.cancel(id)
        if output is not None:
            self._post(self._deliver)([output])

    def _retire(self, number: int, core: Core) -> None:
        if number in core.versions:
            core.retire(number)  # `sweep` tells when it is gone
        else:
            self._post(self._announce_unloaded)(number)

    def _install(self, number: int, resident: Resident, seconds: float, core: Core) -> None:
        core.install(number, resident)
        self._post(self._announce_loaded)(number, seconds)

    def _keep(self, wanted: Wanted, core: Core) -> None:
        """Answer a load: at once if the version is still here (a rollback finds it so), else from disk."""
        if wanted.number in core.versions:
            core.versions[wanted.number].is_leaving = False
            self._post(self._announce_loaded)(wanted.number, 0.0)
        else:
            base = None if wanted.base is None else core.versions.get(wanted.base)
            beside = next(iter(core.versions.values()), None)
            self._post(self._start_load)(wanted, base, beside)

    # In the event loop's thread

    def _begin_load(self, wanted: Wanted) -> None:
        if wanted.number not in self._loading:
            self._loading.add(wanted.number)
            self._do(partial(self._keep, wanted))

    def _start_load(self, wanted: Wanted, base: Resident | None, beside: Resident | None) -> None:
        task = asyncio.create_task(self._load_beside(wanted, base, beside), name=f"load {wanted.number}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load_beside(self, wanted: Wanted, base: Resident | None, beside: Resident | None) -> None:
        start, number = time.monotonic(), wanted.number
        try:
            resident = await self._loop.run_in_executor(self._loader, self._load_ready, wanted, base, beside)
        except LoadFailed as error:
            log.warning("version %d was not loaded: %s", number, error)
            self._loading.discard(number)
            self._broadcast({"event": "load_failed", "number": number, "error": str(error)})
        else:
            self._do(partial(self._install, number, resident, time.monotonic() - start))

    # In the loader's thread

    def _load_ready(self, wanted: Wanted, base: Resident | None = None, beside: Resident | None = None) -> Resident:
        """Load a version so that nothing is left to do when it is installed: with its room, and all steps captured."""
        with loading.aside(self._device):
            resident = self._load(wanted, base)
            runner, limits = resident.runner, self._core.scheduler.limits
            if base is None and self._device.type != "cpu":
                if beside is None or not runner.share_room(beside.runner):
                    runner.make_room(self._core.scheduler.pages.count)
                runner.prepare(limits.slots)
        return resident

    # In the event loop's thread again

    def _announce_loaded(self, number: int, seconds: float) -> None:
        log.info("version %d is loaded after %.2f s", number, seconds)
        self._loading.discard(number)
        self._note_dtype()
        self._broadcast({"event": "loaded", "number": number, "seconds": seconds})

    def _announce_unloaded(self, number: int) -> None:
        log.info("version %d is unloaded", number)
        self._broadcast({"event": "unloaded", "number": number})

    def _refuse(self, connection: int, id: int, code: str, message: str) -> None:
        if (client := self._connections.get(connection)) is not None:
            client.requests.discard(id)
            client.send({"event": "refused", "id": id, "code": code, "message": message})

    def _deliver(self, outputs: Iterable[Output]) -> None:
        """One message for each client, whatever the number of its streams."""
        items: dict[int, list[list[Any]]] = {}
        for output in outputs:
            number, id = cast(tuple[int, int], output.request.id)
            if output.finish_reason is not None and output.request.course is not None:
                courses.tell(output.request.course, output.request, output.finish_reason)
            tokens = [] if output.token is None else [output.token]
            logprobs = [output.logprob] if tokens else []
            items.setdefault(number, []).append([id, output.text, tokens, logprobs, output.finish_reason])
        for number, batch in items.items():
            if (client := self._connections.get(number)) is not None:
                client.requests.difference_update(item[0] for item in batch if item[4] is not None)
                client.send({"event": "tokens", "items": batch})

    def _broadcast(self, message: dict[str, Any]) -> None:
        for client in list(self._connections.values()):
            client.send(message)

    async def _beat(self) -> None:
        while True:
            self._broadcast(self._state())
            await asyncio.sleep(wire.BEAT_SECONDS)

    def _state(self) -> dict[str, Any]:
        # Read from another thread than the owner's: single numbers, each right for some moment.
        scheduler = self._core.scheduler
        return {
            "event": "beat",
            "step": self._core.steps,
            "running": len(scheduler.running),
            "waiting": scheduler.waiting,
            "versions": self._versions(),
            "slots": scheduler.limits.slots,
            "dtype": self._dtype,
            "how": self._how,
            "tokens": self._core.tokens,
            "prompt_tokens": self._core.prompt_tokens,
            "pages": scheduler.pages.count,
            "pages_used": scheduler.pages.used,
            "pages_kept": scheduler.pages.kept,
        }

    def _versions(self) -> list[int]:
        return sorted(number for number, resident in self._core.versions.copy().items() if not resident.is_leaving)

    def _note_dtype(self) -> None:
        for resident in self._core.versions.copy().values():
            self._dtype = str(resident.runner.dtype).removeprefix("torch.")
            self._how = f"{resident.runner.how} ({resident.runner.why})"


def _cancel_quietly(core: Core, id: tuple[int, int]) -> None:
    core.cancel(id)


@contextlib.contextmanager
def listening_at(address: Path) -> Iterator[None]:
    """Hold an address for this process.

    Raises:
        SystemExit: another engine holds it.
    """
    address.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with address.with_suffix(".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            _give_up(f"another engine listens at {address}; stop it, or choose another data directory")
        address.unlink(missing_ok=True)
        try:
            yield
        finally:
            address.unlink(missing_ok=True)


def main(arguments: list[str] | None = None) -> None:
    """Run the engine until it is told to stop."""
    given = _parse(arguments)
    if given.die_with_parent:
        lifeline.hold(os.getppid())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        settings = load_settings(**({"data_dir": given.data_dir} if given.data_dir else {}))
    except SettingsError as error:
        _give_up(str(error))
    torch.set_num_threads(given.threads)
    device = loading.pick_device(given.device or settings.device)
    address = wire.address(settings.data_dir)
    start = time.monotonic()

    def ready() -> None:
        print(f"engine ready on {device} at {address} after {time.monotonic() - start:.1f} s", flush=True)

    async def serve() -> None:
        load = partial(_load, settings=settings, device=device)
        await EngineProcess(Limits(slots=given.slots, waiting=given.waiting), device, load).serve(
            address, ready, given.model
        )

    with listening_at(address), tracing.exporting("engine"):
        try:
            asyncio.run(serve())
        except LoadFailed as error:
            _give_up(str(error))
    # Threads that are still in a torch call would hold the exit up; nothing here needs a farewell.
    sys.stdout.flush()
    os._exit(0)


def _load(wanted: Wanted, base: Resident | None, *, settings: Settings, device: torch.device) -> Resident:
    path, digest = wanted.path, wanted.digest
    keys_dir = settings.keys_dir if (settings.keys_dir / "signing.pub").exists() else None
    if not is_adapter(path):
        return loading.from_directory(path, device, keys_dir=keys_dir, digest=digest)
    if base is None:
        raise LoadFailed(f"{path} holds an adapter, and its base, version {wanted.base}, is not loaded")
    return loading.adapter_from_directory(path, base, wanted.number, keys_dir=keys_dir, digest=digest)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="backtalk engine", description="Generate text for server and learner.")
    parser.add_argument("--data-dir", type=Path, help="instead of the setting's; the socket lies in it")
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:1 …; instead of the setting's")
    parser.add_argument("--model", type=Path, metavar="DIR", help="load this directory as version 0 before listening")
    parser.add_argument("--slots", type=int, default=64, help="replies that run at once (%(default)s)")
    parser.add_argument("--waiting", type=int, default=256, help="replies that may wait (%(default)s)")
    half = max(1, (os.cpu_count() or 2) // 2)
    parser.add_argument(
        "--threads", type=int, default=half, help="CPU threads for one step (half of them: %(default)s)"
    )
    parser.add_argument("--die-with-parent", action="store_true", help="end when the process that started it ends")
    return parser.parse_args(arguments)


def _give_up(message: str) -> NoReturn:
    sys.exit(f"backtalk engine: {message}")
