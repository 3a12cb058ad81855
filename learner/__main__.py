"""The learner: a clock that queues runs and a worker that does them. `python -m learner` or `backtalk learner`."""

import argparse
import logging
import os
import signal
import sys
from pathlib import Path
from threading import Event

from backtalk import lifeline
from backtalk.database import Database
from backtalk.settings import SettingsError, load_settings
from learner.clock import Clock
from learner.giveway import give_way
from learner.housekeeping import Housekeeper
from learner.worker import Worker


def main(arguments: list[str] | None = None) -> None:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="backtalk learner", description="Learn from people's opinions, on schedule.")
    parser.add_argument("--data-dir", type=Path, help="instead of the setting's")
    parser.add_argument("--die-with-parent", action="store_true", help="end when the process that started it ends")
    given = parser.parse_args(arguments)
    if given.die_with_parent:
        lifeline.hold(os.getppid())
    give_way()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for noisy in ("apscheduler", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        settings = load_settings(**({"data_dir": given.data_dir} if given.data_dir else {}))
    except SettingsError as error:
        sys.exit(f"backtalk learner: {error}")
    settings.prepare()
    database = Database(settings.database)
    database.migrate()
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    clock = Clock(database)
    clock.start()
    housekeeper = Housekeeper(settings, database)
    housekeeper.start()
    print("learner ready", flush=True)
    try:
        Worker(settings, database).work(stop)
    finally:
        housekeeper.stop()
        clock.stop()
        database.close()


if __name__ == "__main__":
    main()
