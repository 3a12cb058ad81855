"""G3: every single write, sync, rename and opening of each critical operation fails, or is where the process dies.

`strace` makes the N-th call of one kind fail (EIO, ENOSPC) or kills the process there, for N = 1, 2, … until the
operation comes through untouched. Afterwards a fresh process looks: what was acknowledged is there, what was not is
there whole or not at all, nothing is corrupt, and the same request again succeeds once (F06).
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from backtalk import audit, opinions, people, policies, runs, weights
from backtalk.database import Database
from backtalk.engine.sampling import Sampling
from backtalk.opinions import Judgement
from backtalk.settings import Settings
from backtalk.tables import Metric, Person, RunItem
from backtalk.template import Turn
from backtalk.writer import StorageError, Writer
from learner.record import RunJournal
from server import access, ledger
from server.ledger import Outcome, Place, Plan
from tests.faults import figures
from tests.faults.figures import ROOT
from tests.server.scripted import write_model

CALLS = ("pwrite64", "write", "fdatasync", "fsync", "ftruncate", "openat", "rename", "link", "unlink", "mkdir", "chmod")
ENDS = {"EIO": "error=EIO", "ENOSPC": "error=ENOSPC", "killed": "signal=SIGKILL"}
PATIENCE = 60.0
TEXT = "What is the capital of France? 法国的首都？"


class World:
    """One data directory, and what the operations are done to."""

    def __init__(self, directory: Path) -> None:
        self.settings = Settings(data_dir=directory)
        self.database = Database(self.settings.database)

    def make(self) -> None:
        """A person with a finished and a running reply, a claimed run, and two versions."""
        self.settings.prepare()
        self.database.migrate()
        key = weights.signing_key(self.settings.keys_dir)
        for number, script in enumerate(("abc", "xyz!")):
            made = weights.workspace(self.settings.weights_dir)
            write_model(made, script)
            directory, manifest = weights.publish(made, self.settings.weights_dir, key, number=number)
            with self.database.write() as session:
                policies.add(session, number, directory.name, manifest.digest)
                if number == 0:
                    policies.go_live(session, number, "test")
        with self.database.write() as session:
            people.add(session, "Ada")
            run = runs.queue(session, {})
        with self.database.write() as session:
            ada = self.ada(session)
            for name in ("done", "running"):
                entry, _ = ledger.enter(session, _plan(ada, name))
                if name == "done":
                    ledger.record(session, [], [Outcome(entry.reply_id, ["Paris."], [1], [-0.1], "done", "stop")])
            runs.claim(session, "learner")
        (self.settings.data_dir / "run").write_text(str(run.id))

    def ada(self, session: Session) -> Person:
        return session.scalars(sa.select(Person).where(col(Person.name) == "Ada")).one()

    def reply(self, session: Session, key: str) -> Any:
        """The reply to the question with this key."""
        return session.execute(
            sa.text(
                "SELECT r.id, r.state, r.content FROM message q JOIN message r ON r.parent_id = q.id WHERE q.key = :key"
            ),
            {"key": key},
        ).first()

    def count(self, session: Session, query: str) -> int:
        return int(session.execute(sa.text(query)).scalar_one())

    def journal(self) -> RunJournal:
        from uuid import UUID

        return RunJournal(self.database, UUID((self.settings.data_dir / "run").read_text()), 1, None)


def _plan(person: Person, key: str) -> Plan:
    return Plan(
        person_id=person.id,
        place=Place(None, None, None, []),
        asked=[Turn("user", f"{key}: {TEXT}")],
        key=key,
        request_digest="the same",
        version=0,
        sampling=Sampling(seed=1),
        template_digest="",
        prompt=[1, 2, 3],
        engine="test",
    )


# The operations ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that is acknowledged, and how to see whether it has happened."""

    do: Callable[[World], None]
    has_happened: Callable[[World, Session], bool]
    is_whole: Callable[[World, Session], bool] = lambda world, session: True
    """Whether no half of it is there."""


def _written(change: Callable[[World, Session], Any]) -> Callable[[World], None]:
    """As the server does it: through the writer."""

    def do(world: World) -> None:
        writer = Writer(world.database)
        try:
            writer.submit(lambda session: change(world, session)).result()
        finally:
            writer.close()

    return do


def _say(world: World, session: Session) -> None:
    ledger.enter(session, _plan(world.ada(session), "new"))


def _finish(world: World, session: Session) -> None:
    reply_id = world.reply(session, "running")[0]
    from uuid import UUID

    ledger.record(session, [], [Outcome(UUID(reply_id), ["Paris", "."], [1, 2], [-0.1, -0.2], "done", "stop")])


def _judge(rewrite: str | None) -> Callable[[World, Session], None]:
    def change(world: World, session: Session) -> None:
        from uuid import UUID

        reply_id = UUID(world.reply(session, "done")[0])
        opinions.judge(
            session, world.ada(session).id, reply_id, Judgement(rating=-1, rewrite=rewrite, reasons=["wrong"])
        )

    return change


def _sign_up(world: World, session: Session) -> None:
    if world.count(session, "SELECT count(*) FROM person WHERE name = 'Grace'"):
        return  # by an attempt that was not told: whoever asks again hears that the name is taken, and signs in
    person = people.add(session, "Grace", "user", "a hash")
    access.sign_in(session, person)


def _erase(world: World, session: Session) -> None:
    found = session.scalars(sa.select(Person).where(col(Person.name) == "Ada")).one_or_none()
    if found is not None:  # erased before, by an attempt that was not told
        people.erase(session, found, "test")


def _swap(world: World, session: Session) -> None:
    policies.go_live(session, 1, "test")


def _snapshot(world: World) -> None:
    from uuid import uuid5

    journal = world.journal()
    with world.database.read() as session:
        ada = world.ada(session).id
        if world.count(session, "SELECT count(*) FROM run_item"):
            return
    items = [
        RunItem(run_id=journal.run_id, kind="opinion", item_id=uuid5(ada, str(n)), person_id=ada, digest="d")
        for n in range(50)
    ]
    journal.begin("snapshot")
    journal.flush(lambda session: session.add_all(items), snapshot_digest="d", counts={"opinions": 50})


def _measure(world: World) -> None:
    journal = world.journal()
    with world.database.read() as session:
        if world.count(session, "SELECT count(*) FROM metric"):
            return
    metrics = [Metric(run_id=journal.run_id, step=step, stage="policy", values={"loss": 0.5}) for step in range(20)]
    journal.flush(lambda session: session.add_all(metrics), progress=0.5)


def _publish(world: World) -> None:
    """As at the end of `learner.train.publish`: the files, then one transaction."""
    with world.database.read() as session:
        if world.count(session, "SELECT count(*) FROM policy WHERE run_id IS NOT NULL"):
            return
        number = policies.next_number(session)
    journal = world.journal()
    made = weights.workspace(world.settings.weights_dir)
    write_model(made, "new")
    key = weights.signing_key(world.settings.keys_dir)
    directory, manifest = weights.publish(made, world.settings.weights_dir, key, number=number, run=str(journal.run_id))

    def enter(session: Session) -> None:
        policies.add(session, number, directory.name, manifest.digest, run_id=journal.run_id)
        policies.go_live(session, number, "learner")

    journal.end("promoted", None, {}, enter, to_version=number)


def _counts(query: str, expected: int = 1) -> Callable[[World, Session], bool]:
    return lambda world, session: world.count(session, query) == expected


NEW_QUESTION = "SELECT count(*) FROM message WHERE key = 'new'"
NEW_REPLY = (
    "SELECT count(*) FROM message r JOIN message q ON q.id = r.parent_id JOIN reply ON reply.id = r.id "
    "WHERE q.key = 'new'"
)
THUMB = "SELECT count(*) FROM opinion WHERE rating = -1 AND rewrite IS {} AND revision = 1"
HISTORY = "SELECT count(*) FROM opinion_history"


def _agree(one: str, other: str, factor: int = 1) -> Callable[[World, Session], bool]:
    return lambda world, session: factor * world.count(session, one) == world.count(session, other)


OPERATIONS: dict[str, Operation] = {
    "a question": Operation(_written(_say), _counts(NEW_QUESTION), _agree(NEW_QUESTION, NEW_REPLY)),
    "the end of a reply": Operation(
        _written(_finish), lambda world, session: tuple(world.reply(session, "running")[1:]) == ("done", "Paris.")
    ),
    "a thumb": Operation(
        _written(_judge(None)), _counts(THUMB.format("NULL")), _agree("SELECT count(*) FROM opinion", HISTORY)
    ),
    "a rewrite": Operation(
        _written(_judge("Paris it is.")),
        _counts(THUMB.format("NOT NULL")),
        _agree("SELECT count(*) FROM opinion", HISTORY),
    ),
    "a new account": Operation(
        _written(_sign_up),
        _counts("SELECT count(*) FROM person WHERE name = 'Grace'"),
        _agree("SELECT count(*) FROM person WHERE name = 'Grace'", "SELECT count(*) FROM login"),
    ),
    "an erasure": Operation(
        _written(_erase),
        _counts("SELECT count(*) FROM person", 0),
        _agree("SELECT count(*) FROM person", "SELECT count(*) FROM message", 4),
    ),
    "a snapshot": Operation(
        _snapshot,
        _counts("SELECT count(*) FROM run_item", 50),
        _agree("SELECT count(*) FROM run WHERE snapshot_digest = 'd'", "SELECT count(*) FROM run_item", 50),
    ),
    "what a run measured": Operation(_measure, _counts("SELECT count(*) FROM metric", 20)),
    "a publication": Operation(
        _publish,
        _counts("SELECT count(*) FROM policy WHERE run_id IS NOT NULL AND state = 'live'"),
        _agree(
            "SELECT count(*) FROM policy WHERE run_id IS NOT NULL", "SELECT count(*) FROM run WHERE state = 'promoted'"
        ),
    ),
    "a swap": Operation(_written(_swap), _counts("SELECT count(*) FROM policy WHERE number = 1 AND state = 'live'")),
}


# The process in which they are done --------------------------------------------------------------------------------


def serve() -> None:
    """Do operations, each in a child that first stops itself until somebody lets it go."""
    print("ready", flush=True)
    for line in sys.stdin:
        name, directory, stops = json.loads(line)
        here, there = socket.socketpair()
        child = os.fork()
        if child == 0:
            here.close()
            _child(OPERATIONS[name], Path(directory), there, stops)
        there.close()
        print(json.dumps(child), flush=True)
        word = here.recv(64)
        _, status = os.waitpid(child, 0)
        here.close()
        print(json.dumps([word.decode(), os.waitstatus_to_exitcode(status)]), flush=True)


def _child(operation: Operation, directory: Path, told: socket.socket, stops: bool) -> None:
    """Never returns. `send` is a system call of its own, which nobody makes fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        world = World(directory)
        with world.database.read() as session:
            world.ada(session) if "erasure" not in str(operation) else None
        if stops:
            os.kill(os.getpid(), signal.SIGSTOP)
        operation.do(world)
        told.send(b"acked")
    except BaseException as error:
        word = "refused" if isinstance(error, StorageError | OSError | sa.exc.SQLAlchemyError) else f"{error!r}"
        told.send(word.encode()[:60])
    finally:
        os._exit(0)


class Process:
    """That process, from outside."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.faults.syscalls"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self._process.stdout is not None and self._process.stdin is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._out.readline()

    def do(self, name: str, directory: Path, inject: str | None = None) -> tuple[str, bool]:
        """Do an operation under a fault; what was told, and whether the fault came."""
        self._in.write(json.dumps([name, str(directory), inject is not None]) + "\n")
        self._in.flush()
        child = int(self._out.readline())
        if inject is None:
            return self._end(), False
        _until_stopped(child)
        log = directory / "strace"
        tracer = subprocess.Popen(
            [
                "strace",
                "-f",
                "-p",
                str(child),
                "-o",
                str(log),
                "-e",
                f"trace={inject.split(':')[0]}",
                "-e",
                f"inject={inject}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert tracer.stderr is not None
        tracer.stderr.readline()  # "attached"
        os.kill(child, signal.SIGCONT)
        said = self._end()
        tracer.wait(PATIENCE)
        tracer.stderr.close()
        came = log.read_text()
        log.unlink()
        return said, "(INJECTED)" in came or "killed by SIGKILL" in came

    def _end(self) -> str:
        word, code = json.loads(self._out.readline())
        return word or f"died: {code}"

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def _until_stopped(pid: int) -> None:
    give_up = time.monotonic() + PATIENCE
    while "T (stopped)" not in Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < give_up, "the child does not come to its stop"
        time.sleep(0.001)


# The points --------------------------------------------------------------------------------------------------------


def run(seed: int, trials: int) -> figures.Outcome:
    """Every point of the operations from number `seed` on; a trial is a point."""
    names = list(OPERATIONS)
    return fail(names[(seed - 1) % len(names) : (seed - 1) % len(names) + 1])


def fail(names: list[str], calls: tuple[str, ...] = CALLS, ends: tuple[str, ...] = tuple(ENDS)) -> figures.Outcome:
    """Every point of these operations."""
    outcome = figures.Outcome()
    place = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as directory:
        first = Path(directory) / "first"
        World(first).make()
        process = Process()
        try:
            for name in names:
                for end in ends:
                    for call in calls:
                        outcome += _all_points(process, first, Path(directory) / "data", name, call, end)
        finally:
            process.close()
    return outcome


def _all_points(process: Process, first: Path, data: Path, name: str, call: str, end: str) -> figures.Outcome:
    outcome = figures.Outcome()
    for number in range(1, 10_000):
        shutil.copytree(first, data, symlinks=True)
        try:
            said, came = process.do(name, data, f"{call}:{ENDS[end]}:when={number}")
            if not came:
                if said != "acked":
                    outcome.violations.append(f"{name} does not come through without a fault: {said}")
                return outcome
            outcome.trials += 1
            outcome.acked += said == "acked"
            where = f"{name}, {call} number {number} {end}"
            outcome.violations += [f"{where}: {wrong}" for wrong in _wrong(process, data, name, said)]
        finally:
            shutil.rmtree(data)
    raise AssertionError("an operation that never ends")


def _wrong(process: Process, data: Path, name: str, said: str) -> Iterator[str]:
    """What is not as it should be after a fault; then the same once more, without one."""
    if not said.startswith(("acked", "refused", "died")):
        yield f"an exception that is no refusal: {said}"
    yield from _look(data, name, must=said == "acked")
    again, _ = process.do(name, data)
    if again != "acked":
        yield f"the same again is not acknowledged: {again}"
    yield from _look(data, name, must=True)


def _look(data: Path, name: str, *, must: bool) -> Iterator[str]:
    world, operation = World(data), OPERATIONS[name]
    try:
        with world.database.read() as session:
            words = session.execute(sa.text("PRAGMA integrity_check")).scalar_one()
            if words != "ok":
                yield f"corrupt: {words}"
            if audit.first_broken(session) is not None:
                yield "the audit chain is broken"
            if must and not operation.has_happened(world, session):
                yield "it was acknowledged and is not there"
            if not operation.is_whole(world, session):
                yield "half of it is there"
            if world.count(session, "SELECT count(*) FROM policy WHERE state = 'live'") != 1:
                yield "not exactly one version is live"
            entered = session.execute(sa.text("SELECT directory FROM policy")).scalars().all()
        public = weights.public_key(world.settings.keys_dir)
        for directory in entered:
            try:
                weights.verify(world.settings.weights_dir / directory, public)
            except weights.WeightsError as error:
                yield f"a version is in the database and not whole: {error}"
    finally:
        world.database.close()


def needs() -> str | None:
    """Why it cannot run here."""
    if shutil.which("strace") is None:
        return "strace is not installed; apt-get install strace"
    done = subprocess.run(["strace", "-e", "inject=fsync:error=EIO", "true"], capture_output=True)
    return None if done.returncode == 0 else "strace may not trace here"


FIGURE = figures.Figure(
    name="G3",
    claim="Any write, sync, rename or opening fails or is the last: no false acknowledgement, no half change",
    unit="fault points",
    run=run,
    minimum=0,
    goal=0,
    slice=0,
    parts=len(OPERATIONS),
    faults="F04, F06, F09",
    limits=f"{len(OPERATIONS)} operations on SQLite, one slice each; one fault at a time.",
    needs=needs,
)

if __name__ == "__main__":
    serve()
