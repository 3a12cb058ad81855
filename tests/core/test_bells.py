"""What one process changes, another hears of."""

from collections.abc import Iterator
from queue import Empty, Queue
from uuid import uuid4

import pytest

from backtalk import bells
from backtalk.database import Database

PATIENCE = 60.0


@pytest.fixture
def heard(database: Database) -> Iterator["Queue[list[str]]"]:
    """What was rung of replies, in the order of hearing."""
    rung: Queue[list[str]] = Queue()
    ears = bells.Ears(database, {"reply": rung.put})
    ears.start()
    yield rung
    ears.stop()


def test_what_is_rung_is_heard_once_it_is_durable(database: Database, heard: "Queue[list[str]]") -> None:
    if database.is_sqlite:
        with database.write() as session:
            bells.ring(session, "reply", uuid4())
        assert heard.empty(), "on SQLite everybody looks"
        return
    assert heard.get(timeout=PATIENCE) == [], "listening begins with a look"
    ids = [str(uuid4()) for _ in range(bells.MOST_IDS + 1)]
    with database.write() as session:
        bells.ring(session, "schedule")  # nobody listens to these here
        bells.ring(session, "reply", *ids)
        with pytest.raises(Empty):
            heard.get(timeout=0.3)  # not before it is durable
    assert heard.get(timeout=PATIENCE) + heard.get(timeout=PATIENCE) == ids


def test_what_is_taken_back_was_never_rung(database: Database, heard: "Queue[list[str]]") -> None:
    if database.is_sqlite:
        return
    heard.get(timeout=PATIENCE)
    with pytest.raises(ZeroDivisionError), database.write() as session:
        bells.ring(session, "reply", "lost")
        raise ZeroDivisionError
    with database.write() as session:
        bells.ring(session, "reply", "kept")
    assert heard.get(timeout=PATIENCE) == ["kept"]
