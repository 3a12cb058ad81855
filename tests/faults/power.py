"""G2: the power fails at any moment, and what was acknowledged is there (F05).

The product's own database, writer and ledger work on a disk that remembers what was synced. Its log is cut at random
moments, each cut leaves a directory of files, and SQLite of the standard library opens them as the next server would.
"""

import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlmodel import Session

from backtalk import opinions
from backtalk.database import Database
from backtalk.engine.sampling import Sampling
from backtalk.opinions import Judgement
from backtalk.tables import Person, Policy
from backtalk.template import Turn
from backtalk.writer import Writer
from server import ledger
from server.ledger import Entry, Outcome, Piece, Place, Plan
from tests.faults import figures
from tests.faults.powered import Disk, PoweredDatabase, crashes

CUTS_A_DISK = 250
ROUNDS = 12
CHECKPOINT_PAGES = 25
"""SQLite's default is 1000; smaller, so that checkpoints are cut too."""
Ack = tuple[Any, ...]


def run(seed: int, trials: int) -> figures.Outcome:
    """Cut the power `trials` times."""
    chance = random.Random(seed)
    outcome = figures.Outcome()
    with tempfile.TemporaryDirectory(dir=_fast()) as directory:
        first = Path(directory) / "first"
        person = _make(first)
        while outcome.trials < trials:
            cuts = min(CUTS_A_DISK, trials - outcome.trials)
            outcome += _one_disk(first, Path(directory) / "disk", person, chance, cuts)
    return outcome


def _fast() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _make(directory: Path) -> UUID:
    """A data directory with a database, a person and a version."""
    directory.mkdir()
    database = Database(f"sqlite:///{directory / 'backtalk.db'}")
    database.migrate()
    with database.write() as session:
        person = Person(name="Ada")
        session.add(person)
        session.add(Policy(number=0, state="live", directory="0-000000000000", digest=""))
    database.close()
    return person.id


def _one_disk(first: Path, directory: Path, person: UUID, chance: random.Random, cuts: int) -> figures.Outcome:
    outcome = figures.Outcome()
    shutil.copytree(first, directory)
    disk = Disk(directory)
    base = disk.base()
    database = PoweredDatabase(disk)
    with database.read() as session:
        session.connection().exec_driver_sql(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    writer = Writer(database)
    try:
        Workload(writer, disk, person, chance).run()
    finally:
        writer.close()
        log = list(disk.log)
        database.close()
        shutil.rmtree(directory)
    for acked, files in crashes(base, log, cuts, chance):
        directory.mkdir()
        for name, content in files.items():
            (directory / name).write_bytes(content)
        outcome.trials += 1
        outcome.acked += len(acked)
        outcome.violations += [f"{wrong}" for wrong in check(directory / "backtalk.db", acked)]
        shutil.rmtree(directory)
    return outcome


class Workload:
    """Somebody chats and judges, several things at once, as the server has its writer do it."""

    def __init__(self, writer: Writer, disk: Disk, person: UUID, chance: random.Random) -> None:
        self._writer, self._disk, self._person, self._chance = writer, disk, person, chance
        self._texts: dict[UUID, list[str]] = {}
        self._done: list[UUID] = []
        self._revisions: dict[UUID, int] = {}

    def run(self) -> None:
        for _ in range(ROUNDS):
            waiting = [self._one() for _ in range(self._chance.randint(1, 5))]
            for future in waiting:
                future.result()

    def _one(self) -> "Future[Any]":
        options: list[Callable[[], Future[Any]]] = [self._say]
        options += [self._tell] * 3 + [self._end] if self._texts else []
        options += [self._judge] * 2 if self._done else []
        return self._chance.choice(options)()

    def _submit(self, change: Callable[[Session], Any], ack: Callable[[Any], Ack]) -> "Future[Any]":
        future = self._writer.submit(change)
        future.add_done_callback(lambda done: self._disk.ack(ack(done.result())))
        return future

    def _say(self) -> "Future[Any]":
        text = f"question {self._chance.random()} 你好 " + "x" * self._chance.randrange(3000)
        plan = Plan(
            person_id=self._person,
            place=Place(None, None, None, []),
            asked=[Turn("user", text)],
            key=str(uuid4()),
            request_digest="",
            version=0,
            sampling=Sampling(seed=1),
            template_digest="",
            prompt=list(range(self._chance.randrange(1, 300))),
            engine="test",
        )
        future = self._submit(
            lambda session: ledger.enter(session, plan),
            lambda entered: ("said", entered[0].question_id, text, entered[0].reply_id),
        )
        entry: Entry = future.result()[0]
        self._texts[entry.reply_id] = []
        return future

    def _tell(self) -> "Future[Any]":
        reply_id = self._chance.choice(list(self._texts))
        texts = self._texts[reply_id]
        texts.append(f"{self._chance.random()} 字 " * self._chance.randint(1, 20))
        piece = Piece(reply_id, len(texts), texts[-1], [1, 2, 3], [-0.5, -0.5, -0.5])
        whole = "".join(texts)
        return self._submit(lambda session: ledger.record(session, [piece], []), lambda _: ("told", reply_id, whole))

    def _end(self) -> "Future[Any]":
        reply_id = self._chance.choice(list(self._texts))
        texts = self._texts.pop(reply_id)
        self._done.append(reply_id)
        outcome = Outcome(reply_id, texts, [1] * len(texts), [-0.1] * len(texts), "done", "stop")
        whole = "".join(texts)
        return self._submit(lambda session: ledger.record(session, [], [outcome]), lambda _: ("ended", reply_id, whole))

    def _judge(self) -> "Future[Any]":
        reply_id = self._chance.choice(self._done)
        judgement = Judgement(rating=self._chance.choice((1, -1)), note=str(self._chance.random()), rewrite="better")
        rating = judgement.rating

        def told(revision: int) -> Ack:
            return ("judged", reply_id, revision, rating)

        return self._submit(lambda session: opinions.judge(session, self._person, reply_id, judgement).revision, told)


def check(path: Path, acked: list[Ack]) -> list[str]:
    """What of that is not as it was told to be."""
    wrong: list[str] = []
    try:
        with closing(sqlite3.connect(path)) as database:
            words = database.execute("PRAGMA integrity_check").fetchone()[0]
            if words != "ok":
                return [f"corrupt: {words}"]
            contents = {row[0]: row[1:] for row in database.execute("SELECT id, content, state FROM message")}
            told: dict[str, str] = {}
            for reply_id, text in database.execute("SELECT reply_id, text FROM delta ORDER BY reply_id, seq"):
                told[reply_id] = told.get(reply_id, "") + text
            opinions_ = dict(database.execute("SELECT message_id, revision FROM opinion"))
            history = {
                (message, revision): content
                for message, revision, content in database.execute(
                    "SELECT message_id, h.revision, content FROM opinion_history h JOIN opinion o ON o.id = opinion_id"
                )
            }
    except sqlite3.DatabaseError as error:
        return [f"cannot be opened: {error}"]
    for ack in acked:
        match ack:
            case ("said", question_id, text, reply_id):
                if contents.get(question_id.hex, ("",))[0] != text or reply_id.hex not in contents:
                    wrong.append(f"question {question_id} is lost")
            case ("told", reply_id, text):
                content, state = contents.get(reply_id.hex, ("", "missing"))
                if not (told.get(reply_id.hex, "") if state == "streaming" else content).startswith(text):
                    wrong.append(f"shown text of {reply_id} is lost")
            case ("ended", reply_id, text):
                if contents.get(reply_id.hex) != (text, "done"):
                    wrong.append(f"reply {reply_id} was shown as done and is not stored")
            case ("judged", reply_id, revision, rating):
                kept = history.get((reply_id.hex, revision), "")
                if opinions_.get(reply_id.hex, 0) < revision or f'"rating": {rating}' not in kept:
                    wrong.append(f"revision {revision} of the opinion on {reply_id} is lost")
    return wrong


FIGURE = figures.Figure(
    name="G2",
    claim="The power fails at any moment: nothing acknowledged is lost, no database is corrupt",
    unit="power cuts",
    run=run,
    minimum=10_000,
    goal=100_000,
    slice=10_000,
    faults="F05",
    limits=(
        "Simulated: writes that were not synced are dropped, reordered and torn at 512 bytes. A real disk that "
        "confirms a sync it has not made is not covered, nor is Postgres."
    ),
)
