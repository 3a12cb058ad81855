"""G18: somebody is erased before, during or after a training; what comes of it never saw them, to the byte (SEC-17).

Real runs of a tiny policy. The judge is an installation in which the person has never been: the version that is live in
the end must be, byte for byte, the one that is made there, and no row of the database may name who is gone.
"""

import random
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from backtalk import people, runs
from backtalk.database import Database
from backtalk.settings import Settings
from backtalk.tables import Audit, Json, Person, Policy, Run
from tests.faults import figures
from tests.faults.learner_kill import Trainer, _claim, _copy, _published

PHASES = ("before", "during", "during", "after")


def run(seed: int, trials: int) -> figures.Outcome:
    """Erase `trials` people, each from an installation of its own."""
    from tests.learner.test_forgetting import RECIPE  # imports torch
    from tests.learner.test_train import PEOPLE

    outcome, chance = figures.Outcome(), random.Random(seed)
    trainer = Trainer()
    try:
        with tempfile.TemporaryDirectory() as place:
            first, never = Path(place) / "first", dict[int, str]()
            trainer.make(first)
            _change(first, lambda session: session.execute(sa.update(Run).values(recipe=RECIPE)))
            seconds = _train(trainer, _copy(first, Path(place) / "measured"))
            while outcome.trials < trials:
                gone, phase = 1 + chance.randrange(PEOPLE), PHASES[outcome.trials % len(PHASES)]
                if gone not in never:
                    never[gone] = _without(trainer, _copy(first, Path(place) / f"without {gone}"), UUID(int=gone))
                data = _copy(first, Path(place) / "data")
                moment = chance.uniform(0.0, 1.1) * seconds
                found = list(_one(trainer, data, UUID(int=gone), phase, moment, never[gone], RECIPE))
                outcome.violations += [
                    f"{phase} (person {gone}, {moment:.1f} of {seconds:.1f} s): {one}" for one in found
                ]
                outcome.trials += 1
                outcome.acked += 1
                shutil.rmtree(data)
    finally:
        trainer.close()
    return outcome


def _one(
    trainer: Trainer, data: Path, gone: UUID, phase: str, moment: float, never: str, recipe: Json
) -> Iterator[str]:
    if phase == "before":
        _erase(data, gone)
    eraser = threading.Timer(moment, _erase, (data, gone)) if phase == "during" else None
    if eraser is not None:
        eraser.start()
    _train(trainer, data)
    if eraser is not None:
        eraser.join()
    if phase == "after":
        _erase(data, gone)
    if (before := _published(data)) != never:
        # What learned from them, or gave up over them, is followed by what did not; that none of it lives on until then
        # is not promised: it stays live so that people have something to chat with.
        _change(data, lambda session: runs.queue(session, recipe))
        _train(trainer, data)
    if not never or _published(data) != never:
        yield f"live is not what one is that never saw them ({_told(data)}; before that {before[:8] or 'the first'})"
    with closing(sqlite3.connect(data / "backtalk.db")) as raw:
        lines = [line for line in raw.iterdump() if gone.hex in line or str(gone) in line]
    if named := [line[:80] for line in lines if not line.startswith('INSERT INTO "audit"')]:
        yield f"{len(named)} rows still name them: {named[0]}"
    database = Database(Settings(data_dir=data).database)
    with database.read() as session:
        told = session.exec(select(Audit).where(Audit.action == "person.erase"))
        seen = {number for row in told for number in row.detail.get("versions", [])}
        live = [one.number for one in session.exec(select(Policy)) if one.number in seen and one.state != "withdrawn"]
    database.close()
    if live:
        yield f"versions {live} saw them and are not withdrawn"


def _without(trainer: Trainer, data: Path, gone: UUID) -> str:
    """What is published where the person has never been."""
    _change(data, lambda session: session.execute(sa.delete(Person).where(col(Person.id) == gone)))
    _train(trainer, data)
    return _published(data)


def _train(trainer: Trainer, data: Path) -> float:
    claimed = _claim(data)
    assert claimed is not None, "no run is queued"
    return trainer.train(data, claimed)


def _erase(data: Path, gone: UUID) -> None:
    _change(data, lambda session: people.erase(session, session.get_one(Person, gone), "test"))


def _change(data: Path, change: Callable[[Session], object]) -> None:
    database = Database(Settings(data_dir=data).database)
    with database.write() as session:
        change(session)
    database.close()


def _told(data: Path) -> str:
    database = Database(Settings(data_dir=data).database)
    with database.read() as session:
        found = [f"{one.state}: {one.error}" if one.error else one.state for one in session.exec(select(Run))]
    database.close()
    return ", then ".join(found)


FIGURE = figures.Figure(
    name="G18",
    claim="Somebody is erased before, during or after a training: the version that follows never saw them, to the byte",
    unit="erasures",
    run=run,
    minimum=20,
    goal=100,
    slice=10,
    faults="SEC-17",
    limits=(
        "A tiny policy on one CPU thread, where training is exact; on a GPU it is not, and what is promised there is "
        "that nothing of them is in the data. A version that saw them stays live until the next one. Acknowledged are "
        "erasures."
    ),
)
