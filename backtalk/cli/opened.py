"""The settings and the database of a command, opened on demand and closed at its end."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from backtalk.cli.output import CommandError

if TYPE_CHECKING:
    from backtalk.database import Database
    from backtalk.settings import Settings

ACTOR = "command line"
"""Who acts, in the audit chain."""


@contextmanager
def opened(*, make: bool = False) -> Iterator[tuple["Settings", "Database"]]:
    """Settings and database, brought to the newest schema.

    Args:
        make: whether a data directory that is not there is made.

    Raises:
        CommandError: there is nothing yet, and `make` was not asked for.
    """
    from backtalk.database import Database
    from backtalk.settings import load_settings

    settings = load_settings()
    if not make and settings.database_url is None and not (settings.data_dir / "backtalk.db").exists():
        raise CommandError(
            f"there is no Backtalk in {settings.data_dir.resolve()}; "
            "start it with `backtalk up`, or point BACKTALK_DATA_DIR to one"
        )
    settings.prepare()
    database = Database(settings.database)
    try:
        database.migrate()
        yield settings, database
    finally:
        database.close()
