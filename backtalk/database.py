"""Short transactions on SQLite or Postgres.

SQLite runs in WAL with `synchronous=FULL`, so that a commit survives a power cut; every writing transaction begins with
`BEGIN IMMEDIATE`, because a read that turns into a write fails at once whatever the busy timeout.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

MIGRATIONS = Path(__file__).parent / "migrations"


class DatabaseError(RuntimeError):
    """The database cannot be used as it is; the message says what to do."""


class Database:
    """One database, opened once a process. Sessions are for one thread and one short piece of work."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        if self.is_sqlite:
            # The default pool hands a file database one connection a thread at a time.
            self._engine = sa.create_engine(url, connect_args={"timeout": 5, "check_same_thread": False})
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
            sa.event.listen(self._engine, "begin", _begin_sqlite)
        else:
            self._engine = sa.create_engine(url, pool_pre_ping=True)
        self._writing = self._engine.execution_options(backtalk_immediate=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session whose changes are thrown away."""
        with Session(self._engine, expire_on_commit=False, autoflush=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that commits when the block ends well; on return the changes are durable."""
        with Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    def writing_session(self) -> Session:
        """A session that commits when told to; for the group writer."""
        return Session(self._writing, expire_on_commit=False)

    def migrate(self) -> None:
        """Bring the schema to the newest revision; instant when it is already there.

        Raises:
            DatabaseError: the database belongs to a newer Backtalk.
        """
        current = self.revision()
        if current == newest_revision():
            return
        from alembic.script import ScriptDirectory
        from alembic.util.exc import CommandError

        config = self._alembic()
        try:
            if current is not None:
                ScriptDirectory.from_config(config).get_revision(current)
        except CommandError as error:
            raise DatabaseError(
                f"the database is at schema revision {current}, which this Backtalk does not know; "
                "run the newer Backtalk that wrote it, or restore a backup"
            ) from error
        from alembic import command

        command.upgrade(config, "head")

    def revision(self) -> str | None:
        """The schema revision the database is at; None when it is empty."""
        with self._engine.connect() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()

    def connection(self) -> sa.Connection:
        """A connection that writes; for migrations."""
        return self._writing.connect()

    def reopen(self) -> None:
        """Throw the pooled connections away; the next session opens the database anew."""
        self._engine.dispose()

    def close(self) -> None:
        """Close all pooled connections."""
        self._engine.dispose()

    def _alembic(self) -> Any:
        from alembic.config import Config

        config = Config(stdout=sys.stdout)  # its default is what the standard output was at the first import
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["database"] = self
        return config


def newest_revision() -> str:
    """The revision that migrating leads to, from the files' names: Alembic takes a second to load and to read them."""
    return max(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("*.py"))


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get("backtalk_immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
