"""G4: the training process is killed at any moment, again and again; exactly one version comes of it (F09).

Real runs of a tiny policy that has opinions to learn from. Each is killed a few times at random moments, its lease is
taken to be over, the next process claims it and starts afresh; at last one may end. What it publishes must be, byte for
byte, what an undisturbed run publishes.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlmodel import select

from backtalk import audit, policies, runs, weights
from backtalk.database import Database
from backtalk.settings import Settings
from backtalk.tables import Audit, Policy, Run, now
from tests.faults import figures
from tests.faults.figures import ROOT

MOST_KILLS = 6
"""Of one run, before it may end."""


class Trainer:
    """A process that has torch loaded and does runs in children of its own."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.faults.learner_kill"]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        assert self._out.readline() == "ready\n"

    def make(self, directory: Path) -> None:
        """A data directory with a live version, people, and what they think of its replies."""
        self._ask("make", str(directory))

    def train(self, directory: Path, run: Run, kill_after: float | None = None) -> float:
        """Do a claimed run, or begin it and kill it; seconds it took."""
        began = time.monotonic()
        self._in.write(json.dumps(["train", str(directory), str(run.id), run.epoch]) + "\n")
        self._in.flush()
        child = json.loads(self._out.readline())
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(child, signal.SIGKILL)  # it may have ended already; the parent has not looked yet
        self._in.write("null\n")
        self._in.flush()
        json.loads(self._out.readline())
        return time.monotonic() - began

    def _ask(self, *words: Any) -> Any:
        self._in.write(json.dumps(words) + "\n")
        self._in.flush()
        return json.loads(self._out.readline())

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def serve() -> None:
    """The process of a `Trainer`."""
    import torch

    from learner import train
    from tests.learner.test_train import SMALL

    torch.set_num_threads(1)
    print("ready", flush=True)
    for line in sys.stdin:
        word, directory, *rest = json.loads(line)
        settings = Settings(data_dir=Path(directory), learner_device="cpu")
        if word == "make":
            _make(Path(directory), SMALL)
            print(json.dumps("made"), flush=True)
            continue
        child = os.fork()
        if child == 0:
            database = Database(settings.database)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            with database.read() as session:
                run = session.get_one(Run, UUID(rest[0]))
            train.train(settings, database, run, rest[1], leave=lambda reason: os._exit(1))
            os._exit(0)
        print(json.dumps(child), flush=True)
        sys.stdin.readline()  # so that a child that has ended keeps its number until it was killed
        os.waitpid(child, 0)
        print(json.dumps("ended"), flush=True)


def _make(directory: Path, recipe: dict[str, Any]) -> None:
    from backtalk.template import Template
    from learner.sequences import load
    from tests.learner.conftest import make_speaking, make_tiny
    from tests.learner.planted import exclaims
    from tests.learner.test_train import EACH, PEOPLE, talk

    tiny, speaking = directory.parent / "tiny", directory.parent / "speaking"
    for one in (tiny, speaking):
        one.mkdir()
    make_tiny(tiny)
    make_speaking(tiny, speaking)
    settings = Settings(data_dir=directory, model=str(speaking))
    settings.prepare()
    database = Database(settings.database)
    database.migrate()
    policies.ensure_first(database, settings)
    with database.write() as session:
        talk(session, load(speaking), Template(speaking), exclaims, PEOPLE, EACH)
        runs.queue(session, recipe)
    database.close()


def run(seed: int, trials: int) -> figures.Outcome:
    """Kill `trials` times."""
    outcome, chance = figures.Outcome(), random.Random(seed)
    trainer = Trainer()
    try:
        with tempfile.TemporaryDirectory() as place:
            first = Path(place) / "first"
            trainer.make(first)
            whole = _copy(first, Path(place) / "whole")
            undisturbed = _claim(whole)
            assert undisturbed is not None
            seconds = trainer.train(whole, undisturbed)
            wanted = _published(whole)
            outcome.violations += [f"undisturbed: {wrong}" for wrong in _wrong(whole)]
            while outcome.trials < trials and not outcome.violations:
                data = _copy(first, Path(place) / "data")
                kills = min(trials - outcome.trials, chance.randint(1, MOST_KILLS))
                outcome.trials += kills
                outcome.violations += _one_run(trainer, data, kills, seconds, chance)
                if _published(data) != wanted:
                    outcome.violations.append("what was published is not what an undisturbed run publishes")
                outcome.acked += 1
                shutil.rmtree(data)
    finally:
        trainer.close()
    return outcome


def _one_run(trainer: Trainer, data: Path, kills: int, seconds: float, chance: random.Random) -> list[str]:
    for _ in range(kills):
        run = _claim(data)
        if run is None:
            break  # it came through before the last kill
        # A third of them towards the end, where it publishes.
        after = seconds * (chance.uniform(0.9, 1.05) if chance.random() < 0.35 else chance.uniform(0.0, 1.0))
        trainer.train(data, run, kill_after=after)
        _let_the_lease_run_out(data)
    if (run := _claim(data)) is not None:
        trainer.train(data, run)
    return list(_wrong(data))


def _copy(first: Path, data: Path) -> Path:
    shutil.copytree(first, data)
    return data


def _claim(data: Path) -> Run | None:
    database = Database(Settings(data_dir=data).database)
    try:
        with database.write() as session:
            return runs.claim(session, "test")
    finally:
        database.close()


def _let_the_lease_run_out(data: Path) -> None:
    database = Database(Settings(data_dir=data).database)
    with database.write() as session:
        for run in session.exec(select(Run).where(Run.state == "running")):
            run.lease_until = now() - timedelta(seconds=1)
            session.add(run)
    database.close()


def _published(data: Path) -> str:
    """Digest of the weights that the live version has; empty while that is still the first."""
    database = Database(Settings(data_dir=data).database)
    with database.read() as session:
        live = policies.live(session)
    database.close()
    if live is None or live.number == 0:
        return ""
    return hashlib.sha256((data / "weights" / live.directory / "model.safetensors").read_bytes()).hexdigest()


def _wrong(data: Path) -> Iterator[str]:
    settings = Settings(data_dir=data)
    database = Database(settings.database)
    with database.read() as session:
        (run,) = session.exec(select(Run)).all()
        versions = session.exec(select(Policy)).all()
        told = session.exec(select(Audit).where(Audit.action == "run.promoted")).all()
        broken = audit.first_broken(session)
    database.close()
    if run.state != "promoted":
        yield f"the run ended as {run.state}: {run.error}"
    if len(versions) != 2 or len(told) != 1 or sum(one.state == "live" for one in versions) != 1:
        yield f"{len(versions) - 1} versions, {len(told)} publications told"
    if broken is not None:
        yield "the audit chain is broken"
    public = weights.public_key(settings.keys_dir)
    for version in versions:
        try:
            weights.verify(settings.weights_dir / version.directory, public)
        except weights.WeightsError as error:
            yield f"a version is in the database and not whole: {error}"


FIGURE = figures.Figure(
    name="G4",
    claim="The training is killed at any moment: one version comes of it, the same to the byte, or none",
    unit="kills",
    run=run,
    minimum=200,
    goal=1_000,
    slice=25,
    faults="F09",
    limits=(
        "A tiny policy on one CPU thread. A killed run starts afresh, so all of its work is done again. "
        "The lease is taken to be over at once instead of after half a minute. Acknowledged are runs."
    ),
)

if __name__ == "__main__":
    serve()
