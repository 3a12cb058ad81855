"""How runs end, and who is told."""

import pytest
from sqlmodel import select

from backtalk import runs
from backtalk.database import Database
from backtalk.tables import Announcement
from tests.population import add_policy


@pytest.mark.parametrize(
    ("state", "told"), [("failed", ["run_failed"]), ("rejected", ["rejected"]), ("cancelled", []), ("promoted", [])]
)
def test_what_ends_badly_is_announced_with_its_reason(database: Database, state: str, told: list[str]) -> None:
    with database.write() as session:
        add_policy(session, 0, "live")
        run = runs.queue(session, {})
        assert runs.claim(session, "test") is not None
        runs.end(session, run.id, run.epoch, state, "the reason")
    with database.read() as session:
        found = session.exec(select(Announcement)).all()
    assert [one.kind for one in found] == told
    assert all(one.content["run"] == str(run.id) and one.content["reason"] == "the reason" for one in found)


def test_who_lost_the_lease_announces_nothing(database: Database) -> None:
    with database.write() as session:
        add_policy(session, 0, "live")
        run = runs.queue(session, {})
        assert runs.claim(session, "test") is not None
    with pytest.raises(runs.LeaseLost), database.write() as session:
        runs.end(session, run.id, run.epoch - 1, "failed", "late")
    with database.read() as session:
        assert session.exec(select(Announcement)).first() is None
