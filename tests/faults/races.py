"""G5: learners at once, and learners that come back from the dead, for one run: exactly one publishes (F10).

The learners are real processes on one real database. A zombie is one that is stopped by a signal while it holds the
lease, wakes after another has taken the run over, and tries to publish what it has.
"""

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from backtalk import audit, policies, runs
from backtalk.database import Database
from backtalk.tables import Audit, Policy, Run
from tests import postgres
from tests.faults import figures
from tests.faults.figures import ROOT

CONTENDERS = 4
LEASE = timedelta(milliseconds=150)
"""Of the learners here; the product's is half a minute, and nobody would wait for it a thousand times."""
PATIENCE = 60.0


class Contender:
    """A learner process that does one step of its work at a word."""

    def __init__(self, url: str) -> None:
        command = [sys.executable, "-m", "tests.faults.races", url]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self.hear()

    def tell(self, *words: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, *words: Any) -> Any:
        self.tell(*words)
        return self.hear()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def contend(url: str) -> None:
    """The process of a contender."""
    runs.LEASE = LEASE
    database = Database(url)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        word, *rest = json.loads(line)
        steps: dict[str, Callable[..., Any]] = {"queue": _queue, "claim": _claim, "publish": _publish}
        try:
            answer = steps[word](database, *rest)
        except runs.LeaseLost:
            answer = "lease lost"
        except (runs.RunError, IntegrityError) as error:
            answer = f"refused: {type(error).__name__}"
        print(json.dumps(answer), flush=True)


def _queue(database: Database) -> str:
    with database.write() as session:
        return str(runs.queue(session, {}).id)


def _claim(database: Database, owner: str, begins: float = 0.0) -> Any:
    time.sleep(max(0.0, begins - time.time()))
    with database.write() as session:
        run = runs.claim(session, owner)
        return [str(run.id), run.epoch] if run else None


def _publish(database: Database, run_id: str, epoch: int, begins: float = 0.0) -> str:
    """The transaction at the end of a run, as `learner.train.publish` makes it."""
    with database.read() as session:
        number = policies.next_number(session)
    time.sleep(max(0.0, begins - time.time()))
    with database.write() as session:
        policies.add(session, number, f"{number}-{epoch:012x}", run_id, run_id=UUID(run_id))
        policies.go_live(session, number, "learner", reason=f"run {run_id}")
        runs.end(session, UUID(run_id), epoch, "promoted", to_version=number)
    return f"published {number}"


def run(seed: int, trials: int) -> figures.Outcome:
    """Hold `trials` races: a third of them on Postgres where there is one."""
    outcome = figures.Outcome()
    chance = random.Random(seed)
    binaries = postgres.find_binaries()
    on_postgres = trials // 3 if binaries is not None else 0
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        _hold(f"sqlite:///{directory}/races.db", trials - on_postgres, chance, outcome)
        if on_postgres and binaries is not None:
            _hold(stack.enter_context(postgres.serve(binaries)), on_postgres, chance, outcome)
    return outcome


def _hold(url: str, trials: int, chance: random.Random, outcome: figures.Outcome) -> None:
    database = Database(url)
    database.migrate()
    with database.write() as session:
        policies.add(session, 0, "0-000000000000", "")
        policies.go_live(session, 0, "test")
    with _contenders(url) as contenders:
        for _ in range(trials):
            chance.shuffle(contenders)
            kind = chance.choice((_at_once, _zombie, _zombie_at_once))
            publishers = kind(database, contenders[: chance.randint(2, CONTENDERS)])
            outcome.trials += 1
            outcome.acked += len(publishers)
            outcome.violations += [f"{kind.__name__} on {database.url[:10]}: {wrong}" for wrong in _check(database)]
    with database.read() as session:
        if audit.first_broken(session) is not None:
            outcome.violations.append("the audit chain is broken")
    database.close()


@contextmanager
def _contenders(url: str) -> Iterator[list[Contender]]:
    contenders = [Contender(url) for _ in range(CONTENDERS)]
    try:
        yield contenders
    finally:
        for contender in contenders:
            contender.close()


def _queued(contenders: list[Contender]) -> None:
    """All ask for a run at once; one gets it."""
    for contender in contenders:
        contender.tell("queue")
    answers = [contender.hear() for contender in contenders]
    assert any(not answer.startswith("refused") for answer in answers), answers


def _at_once(database: Database, contenders: list[Contender]) -> list[str]:
    """All claim the run at one moment; whoever has it publishes."""
    _queued(contenders)
    begins = time.time() + 0.01
    for number, contender in enumerate(contenders):
        contender.tell("claim", f"learner {number}", begins)
    claims = [(contender, contender.hear()) for contender in contenders]
    said = [contender.ask("publish", *claim) for contender, claim in claims if claim]
    return [word for word in said if word.startswith("published")]


def _zombie(database: Database, contenders: list[Contender], *, at_once: bool = False) -> list[str]:
    """One is frozen with the lease, the next takes over and publishes, the first wakes and publishes too."""
    _queued(contenders)
    first, *others = contenders
    held = first.ask("claim", "the first", 0)
    assert held, "nobody else wanted it yet"
    first.process.send_signal(signal.SIGSTOP)
    begins = time.time() + LEASE.total_seconds() + 0.02
    first.tell("publish", *held, begins if at_once else 0)  # it reads this when it wakes
    taken = None
    give_up = time.monotonic() + PATIENCE
    while taken is None and time.monotonic() < give_up:
        taken = others[0].ask("claim", "the second", 0)
    assert taken, "a run whose lease is over is free"
    others[0].tell("publish", *taken, begins if at_once else 0)
    said = [] if at_once else [others[0].hear()]
    first.process.send_signal(signal.SIGCONT)
    said += [others[0].hear()] if at_once else []
    said.append(first.hear())
    return [word for word in said if word.startswith("published")]


def _zombie_at_once(database: Database, contenders: list[Contender]) -> list[str]:
    """The same, and both publish at one moment."""
    return _zombie(database, contenders, at_once=True)


def _check(database: Database) -> list[str]:
    """What is wrong with how it ended; leaves the ledger ready for the next race."""
    wrong = []
    with database.write() as session:
        pending = session.exec(select(Run).where(col(Run.state).in_(("queued", "running")))).all()
        if pending:
            wrong.append(f"{len(pending)} runs never ended")
        for run_ in session.exec(select(Run).where(~col(Run.cancel_requested))):
            published = session.exec(select(Policy).where(Policy.run_id == run_.id)).all()
            told = _times_told(session, run_.id)
            if len(published) != 1 or told != 1 or run_.state != "promoted" or run_.to_version != published[0].number:
                wrong.append(f"run {run_.id}: {len(published)} versions, {told} ends told, {run_.state}")
            run_.cancel_requested = True  # looked at
            session.add(run_)
        live = session.exec(select(sa.func.count()).select_from(Policy).where(Policy.state == "live")).one()
        if live != 1:
            wrong.append(f"{live} versions are live")
        for run_ in pending:
            run_.state = "failed"
            session.add(run_)
    return wrong


def _times_told(session: Session, run_id: UUID) -> int:
    told = select(sa.func.count()).select_from(Audit).where(Audit.action == "run.promoted", Audit.target == str(run_id))
    return session.exec(told).one()


FIGURE = figures.Figure(
    name="G5",
    claim="Several learners at once, or one that wakes after its lease: exactly one publishes",
    unit="races",
    run=run,
    minimum=300,
    goal=1_000,
    slice=250,
    faults="F10",
    limits="The lease is shortened to 0.15 s; the transaction that ends a run is the learner's, without its training.",
)

if __name__ == "__main__":
    contend(sys.argv[1])
