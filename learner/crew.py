"""A run done by several processes: the first one holds the run and writes, the others follow it step by step.

`torchrun --standalone --nproc-per-node 2 -m learner.train next` does the oldest queued run on two devices.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session
from typing_extensions import override

from backtalk import runs
from backtalk.database import Database
from backtalk.tables import Json, Run
from learner import parallel
from learner.journal import Journal
from learner.record import RunJournal


class Follower(RunJournal):
    """The journal of a process that is not the first: it checks measures as every journal does, and writes nothing."""

    @override
    def start_over(self) -> None:
        pass

    @override
    def begin(self, stage: str) -> None:
        Journal.begin(self, stage)

    @override
    def write(self, done: float | None, values: dict[str, float]) -> None:
        pass

    @override
    def flush(self, add: Callable[[Session], None] = lambda session: None, **values: object) -> None:
        pass

    @override
    def end(
        self,
        state: str,
        error: str | None,
        report: Json,
        add: Callable[[Session], None] = lambda session: None,
        **values: object,
    ) -> None:
        pass


def claim(database: Database, owner: str) -> Run | None:
    """The next run, claimed by the first process for all of them; None when there is nothing to do."""
    found = b""
    if parallel.rank() == 0:
        with database.write() as session:
            run = runs.claim(session, owner)
        found = str(run.id).encode() if run is not None else b""
    found = parallel.told(found)
    return held(database, UUID(found.decode())) if found else None


def held(database: Database, run_id: UUID) -> Run | None:
    """A run as it stands."""
    with database.read() as session:
        return session.get(Run, run_id)


@contextmanager
def same_view(database: Database) -> Iterator[Session]:
    """A session in which every process reads the same rows, whatever is written meanwhile."""
    if parallel.size() == 1:
        with database.read() as session:
            yield session
    elif database.is_sqlite:
        with database.read() as session:
            with _nobody_writes(database):
                session.execute(sa.text("SELECT version_num FROM alembic_version")).all()  # the view begins here
            yield session
    else:
        with database.read() as session:
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            if parallel.rank() == 0:
                name = str(session.execute(sa.text("SELECT pg_export_snapshot()")).scalar_one())
                parallel.told(name.encode())
            else:
                name = parallel.told(b"").decode()
                session.execute(sa.text(f"SET TRANSACTION SNAPSHOT '{name}'"))
            parallel.wait()  # the first one's transaction is open until all have taken its view
            yield session


@contextmanager
def _nobody_writes(database: Database) -> Iterator[Any]:
    """For the moment in which all processes begin to read."""
    if parallel.rank() != 0:
        parallel.wait()
        yield
        parallel.wait()
        return
    with database.write() as session:
        session.execute(sa.text("SELECT version_num FROM alembic_version")).all()
        parallel.wait()
        yield
        parallel.wait()
