from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

import learner  # noqa: F401  # before torch: what is trained in this process minds it as well
from backtalk.database import Database
from tests import postgres


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests go first: files are shared out between processes, and none shall wait for the last."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A running Postgres."""
    binaries = postgres.find_binaries()
    if binaries is None:
        pytest.skip(f"no PostgreSQL server is installed; {postgres.INSTALL}")
    with postgres.serve(binaries) as url:
        yield url


KINDS = ("sqlite", pytest.param("postgres", marks=pytest.mark.postgres))


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database with every table: the same tests run on SQLite and on Postgres."""
    with empty_database(request, tmp_path) as database:
        yield database


@pytest.fixture(scope="module", params=KINDS)
def shared_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One for all tests of a file, whose processes take long to start."""
    with empty_database(request, tmp_path_factory.mktemp("database")) as database:
        yield database


@contextmanager
def empty_database(request: pytest.FixtureRequest, directory: Path) -> Iterator[Database]:
    """A database of the kind that `request` asks for."""
    if request.param == "sqlite":
        url = f"sqlite:///{directory / 'test.db'}"
    else:
        server: str = request.getfixturevalue("postgres_url")
        name = f"t{uuid4().hex}"
        admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        admin.dispose()
        url = server.replace("/postgres?", f"/{name}?")
    database = Database(url)
    try:
        database.migrate()
        yield database
    finally:
        database.close()
