"""A run's journal in the database and its lease: lost, cancelled, or out of reach."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError
from sqlmodel import col, select

from backtalk import runs
from backtalk.database import Database
from backtalk.tables import Metric, Run, RunLine, Sample, now
from learner import record
from learner.lines import told_to
from learner.record import Cancelled, Progress, RunJournal, lease


def claim(database: Database) -> Run:
    with database.write() as session:
        runs.queue(session, {})
        run = runs.claim(session, "test")
    assert run is not None
    return run


def stored(database: Database, run: Run) -> Run:
    with database.read() as session:
        return session.get_one(Run, run.id)


def metrics(database: Database, run: Run) -> list[Metric]:
    with database.read() as session:
        return list(session.exec(select(Metric).where(Metric.run_id == run.id).order_by(col(Metric.step))))


def lines(database: Database, run: Run) -> list[RunLine]:
    with database.read() as session:
        return list(session.exec(select(RunLine).where(RunLine.run_id == run.id).order_by(col(RunLine.number))))


def wait(claim: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not claim():
        assert time.monotonic() < give_up
        time.sleep(0.02)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease's thread looks twenty times a second, so that no test has to wait."""
    monkeypatch.setattr(record, "RENEW_EVERY", 0.05)


def test_steps_become_rows_with_their_stage(database: Database) -> None:
    run = claim(database)
    seen: list[Progress] = []
    journal = RunJournal(database, run.id, run.epoch, seen.append)
    journal.begin("policy")
    journal.step(0.5, reward=0.123456789, kl=1e-9)
    journal.begin("gate")
    journal.step(1.0, gain=0.2)
    journal.end("promoted", None, {"gate": {}})
    assert [(m.step, m.stage, m.values) for m in metrics(database, run)] == [
        (1, "policy", {"reward": 0.123457, "kl": 1e-9}),
        (2, "gate", {"gain": 0.2}),
    ]
    ended = stored(database, run)
    assert (ended.state, ended.stage, ended.progress, ended.lease_until) == ("promoted", "gate", 1.0, None)
    assert set(ended.report["seconds"]) == set(ended.report["cpu_seconds"]) == {"policy", "gate"}
    assert [(p.stage, round(p.done, 3)) for p in seen] == [
        ("policy", 0.1),
        ("policy", 0.35),
        ("gate", 0.6),
        ("gate", 0.98),
    ]


def test_the_newest_lines_of_the_log_are_kept_with_the_run_and_outlive_an_attempt_that_died(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "MOST_LINES", 4)
    run = claim(database)
    journal = RunJournal(database, run.id, run.epoch)
    with told_to(journal.say):
        for number in range(6):
            logging.getLogger("learner.anything").info("line %s", number)
        logging.getLogger("another").info("chatter")
        logging.getLogger("another").warning("x" * 5000)
        journal.flush()
    logging.getLogger("learner.anything").warning("after the run")
    kept = lines(database, run)
    assert [(line.number, line.text[:6]) for line in kept] == [
        (4, "line 3"),
        (5, "line 4"),
        (6, "line 5"),
        (7, "xxxxxx"),
    ]
    assert (kept[-1].level, len(kept[-1].text)) == ("warning", 4000)
    again = RunJournal(database, run.id, run.epoch)
    with told_to(again.say):
        again.start_over()
        again.end("cancelled", None, {})
    assert [line.number for line in lines(database, run)] == [5, 6, 7, 8]
    assert "begins again" in lines(database, run)[-1].text


def test_what_another_thread_says_while_a_run_writes_is_not_lost(database: Database) -> None:
    run = claim(database)
    journal = RunJournal(database, run.id, run.epoch)

    def chat() -> None:
        for number in range(300):
            journal.say("info", str(number))

    chatty = threading.Thread(target=chat)
    chatty.start()
    while chatty.is_alive():
        journal.flush()
    chatty.join()
    journal.flush()
    assert [line.text for line in lines(database, run)] == [str(number) for number in range(300)]


def test_progress_never_leaves_its_stage(database: Database) -> None:
    run = claim(database)
    journal = RunJournal(database, run.id, run.epoch)
    journal.begin("policy")
    journal.step(7.0)
    assert journal.done == 0.6
    journal.step(-1.0)
    assert journal.done == 0.1


def test_an_attempt_begins_with_a_clean_slate(database: Database) -> None:
    run = claim(database)
    journal = RunJournal(database, run.id, run.epoch)
    journal.begin("policy")
    journal.step(0.5, reward=1.0)
    sample = Sample(run_id=run.id, number=0, prompt="", before="", after="", reward_before=0, reward_after=1)
    journal.flush(lambda session: session.add(sample))
    with database.write() as session:
        session.execute(sa.update(Run).values(lease_until=now() - timedelta(seconds=1)))
    with database.write() as session:
        again = runs.claim(session, "another")
    assert again is not None
    RunJournal(database, run.id, again.epoch).start_over()
    assert metrics(database, run) == []
    assert stored(database, run).stage is None


def test_who_lost_the_lease_writes_nothing(database: Database) -> None:
    run = claim(database)
    journal = RunJournal(database, run.id, run.epoch)
    journal.begin("policy")
    journal.step(0.5, reward=1.0)
    with database.write() as session:
        session.execute(sa.update(Run).values(epoch=run.epoch + 1))
    with pytest.raises(runs.LeaseLost):
        journal.flush()
    with pytest.raises(runs.LeaseLost):
        journal.end("promoted", None, {})
    assert metrics(database, run) == []
    assert stored(database, run).state == "running"


def test_what_is_entered_with_the_end_is_entered_with_it_or_not_at_all(database: Database) -> None:
    run = claim(database)
    journal = RunJournal(database, run.id, run.epoch)
    journal.begin("publish")

    def enter(session: object) -> None:
        raise ValueError("somebody changed their mind")

    with pytest.raises(ValueError, match="changed their mind"):
        journal.end("promoted", None, {}, enter)
    assert stored(database, run).state == "running"


def test_a_lease_is_renewed_while_the_block_runs_and_not_after(database: Database, quick: None) -> None:
    run = claim(database)
    left: list[str] = []
    first = stored(database, run).lease_until
    assert first is not None
    with lease(database, RunJournal(database, run.id, run.epoch), left.append):
        wait(lambda: (until := stored(database, run).lease_until) is not None and until > first)
    last = stored(database, run).lease_until
    assert not [thread for thread in threading.enumerate() if thread.name == "lease"]
    assert stored(database, run).lease_until == last
    assert left == []


def test_a_lost_lease_is_told_at_once(database: Database, quick: None) -> None:
    run = claim(database)
    left: list[str] = []
    with lease(database, RunJournal(database, run.id, run.epoch), left.append):
        with database.write() as session:
            session.execute(sa.update(Run).values(epoch=run.epoch + 1))
        wait(lambda: bool(left))
    assert "no longer held" in left[0]


def test_a_cancelled_run_stops_at_its_next_step(database: Database, quick: None) -> None:
    run = claim(database)
    journal = RunJournal(database, run.id, run.epoch)
    journal.begin("policy")
    with lease(database, journal, lambda reason: None):
        with database.write() as session:
            runs.cancel(session, run.id, "test")
        wait(journal.cancelled.is_set)
        with pytest.raises(Cancelled):
            journal.step(0.5, reward=1.0)
        with pytest.raises(Cancelled):
            journal.pulse()


def test_a_cancelled_run_that_does_not_stop_is_ended_and_left(
    database: Database, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "STUBBORN", 0.1)
    run = claim(database)
    left: list[str] = []
    with lease(database, RunJournal(database, run.id, run.epoch), left.append):
        with database.write() as session:
            runs.cancel(session, run.id, "test")
        wait(lambda: bool(left))
    assert left == ["the run was cancelled"]
    assert stored(database, run).state == "cancelled"


def test_a_database_that_is_gone_for_a_moment_costs_nothing(
    database: Database, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = claim(database)
    left: list[str] = []
    renewals = []
    real = runs.renew

    def flaky(*arguments: object) -> bool:
        renewals.append(arguments)
        if len(renewals) < 4:
            raise OperationalError("UPDATE", {}, Exception("database is locked"))
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(runs, "renew", flaky)
    with lease(database, RunJournal(database, run.id, run.epoch), left.append):
        wait(lambda: len(renewals) > 5)
    assert left == []


def test_a_database_that_stays_gone_ends_it_before_the_lease_does(
    database: Database, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the monotonic clock: nobody else can have claimed the run when its holder lets go."""
    run = claim(database)
    left: list[str] = []
    moment = [0.0]

    def gone(*arguments: object) -> bool:
        moment[0] += 6.0
        raise OperationalError("UPDATE", {}, Exception("no route to host"))

    monkeypatch.setattr(runs, "renew", gone)
    with lease(database, RunJournal(database, run.id, run.epoch), left.append, clock=lambda: moment[0]):
        wait(lambda: bool(left))
    assert "could not be renewed in time" in left[0]
    assert moment[0] < runs.LEASE.total_seconds()
