"""Commands as an operator meets them: what they print, what they change, how they refuse."""

import fcntl
import io
import json
import os
import pty
import select as waiting
import stat
import struct
import subprocess
import sys
import tarfile
import termios
import time
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from backtalk import people, runs
from backtalk.database import Database
from backtalk.settings import PREFIX, Settings
from backtalk.tables import ApiKey, Audit, Metric, Person, Policy, Run, RunLine, Sample, Schedule, now
from tests.cli.conftest import Command
from tests.cli.running import environment

Laid = tuple[Settings, Database]


# The command line itself ------------------------------------------------------------------------------------------


def test_help_is_instant_because_nothing_heavy_is_imported() -> None:
    program = """
import sys
sys.argv = ["backtalk", "--help"]
from backtalk.cli import main
try:
    main()
except SystemExit:
    print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "simulate" in done.stdout
    loaded = set(done.stdout.split())
    assert not loaded & {"torch", "transformers", "sqlalchemy", "pydantic", "fastapi", "numpy", "matplotlib", "httpx2"}


def test_a_closed_standard_input_is_no_obstacle(tmp_path: Path) -> None:
    command = f"{sys.executable} -m backtalk.cli person add ada --json <&-"
    environment = {**os.environ, f"{PREFIX}DATA_DIR": str(tmp_path)}
    done = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["name"] == "ada"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("fly", "no such command 'fly'; `backtalk --help` tells how it is used"),
        ("schedule add nightly", "missing option '--cron'; `backtalk schedule add --help` tells how it is used"),
        ("schedule edit nightly", "nothing to change was named; `backtalk schedule edit --help` tells how it is used"),
    ],
)
def test_wrong_usage_is_said_in_one_sentence(backtalk: Command, words: str, sentence: str) -> None:
    result = backtalk(*words.split())
    assert (result.code, result.out, result.err) == (2, "", f"backtalk: {sentence}\n")


def test_a_group_alone_shows_what_it_can_do(backtalk: Command) -> None:
    result = backtalk("schedule")
    assert result.code == 2
    assert "pause" in result.err


def test_an_unknown_setting_is_named(backtalk: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKTALK_COLOUR", "green")
    result = backtalk("status")
    assert result.code == 1
    assert result.err.startswith("backtalk: unknown setting BACKTALK_COLOUR")


def test_a_data_directory_without_backtalk_is_said_in_one_sentence(backtalk: Command, data_dir: Path) -> None:
    result = backtalk("policy", "list")
    assert result.code == 1
    assert result.err == (
        f"backtalk: there is no Backtalk in {data_dir}; "
        "start it with `backtalk up`, or point BACKTALK_DATA_DIR to one\n"
    )
    assert not data_dir.exists()


def test_a_database_of_a_newer_backtalk_is_refused(backtalk: Command, laid: Laid) -> None:
    import sqlalchemy as sa

    with laid[1].write() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    result = backtalk("person", "list")
    assert result.code == 1
    assert "9999" in result.err


# People -----------------------------------------------------------------------------------------------------------


def test_a_person_is_made_with_role_consent_and_a_key_that_is_shown_once(backtalk: Command, laid: Laid) -> None:
    made = backtalk("person", "add", "ada", "--role", "operator", "--api-key", "--consent", "yes", "--json")
    assert made.code == 0
    assert set(made.json) == {"id", "name", "role", "api_key"}
    assert (made.json["name"], made.json["role"]) == ("ada", "operator")
    with laid[1].read() as session:
        person = session.exec(select(Person)).one()
        key = session.exec(select(ApiKey)).one()
    assert str(person.id) == made.json["id"]
    assert person.consent_train is True
    assert key.digest == people.digest(made.json["api_key"])


def test_without_a_key_the_json_says_null(backtalk: Command, laid: Laid) -> None:
    assert backtalk("person", "add", "bob", "--json").json["api_key"] is None


def test_a_password_is_read_from_a_pipe(backtalk: Command, laid: Laid, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse battery\n"))
    assert backtalk("person", "add", "ada", "--password").code == 0
    with laid[1].read() as session:
        stored = session.exec(select(Person)).one().password_hash
    assert people.password_fits("correct horse battery", stored)


def test_a_missing_password_makes_nobody(backtalk: Command, laid: Laid, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    result = backtalk("person", "add", "ada", "--password")
    assert result.code == 1
    assert "holds no password" in result.err
    assert backtalk("person", "list", "--json").json == []


def test_a_taken_name_is_refused_and_nothing_changes(backtalk: Command, laid: Laid) -> None:
    backtalk("person", "add", "ada")
    again = backtalk("person", "add", "ada", "--api-key")
    assert (again.code, again.out) == (1, "")
    assert "taken" in again.err
    with laid[1].read() as session:
        assert session.exec(select(ApiKey)).all() == []


@pytest.mark.parametrize("wrong", [("--role", "king"), ("--consent", "maybe"), ("--colour", "red")])
def test_wrong_usage_has_its_own_exit_code(backtalk: Command, wrong: tuple[str, str]) -> None:
    assert backtalk("person", "add", "ada", *wrong).code == 2


def test_an_invitation_lets_one_person_in(backtalk: Command, laid: Laid) -> None:
    word = backtalk("person", "invite", "--json").json["invite"]
    with laid[1].write() as session:
        people.use_invite(session, laid[0], word, people.add(session, "bob"))
    with laid[1].write() as session, pytest.raises(people.PersonError, match="used already"):
        people.use_invite(session, laid[0], word, people.add(session, "eve"))


def test_people_are_listed(backtalk: Command, laid: Laid) -> None:
    backtalk("person", "add", "ada", "--role", "rater")
    assert [(row["name"], row["role"]) for row in backtalk("person", "list", "--json").json] == [("ada", "rater")]
    assert "ada" in backtalk("person", "list").out


# Schedules ----------------------------------------------------------------------------------------------------------


def test_a_schedule_lives_through_all_its_commands(backtalk: Command, laid: Laid) -> None:
    made = backtalk(
        *("schedule", "add", "nightly", "--cron", "0 3 * * *", "--time-zone", "Asia/Shanghai"),
        *("--minimum-feedback", 7, "--json"),
    )
    assert made.code == 0
    assert len(made.json["next"]) == 5
    assert all(time.endswith("03:00:00+08:00") for time in made.json["next"])
    assert backtalk("schedule", "edit", "nightly", "--cron", "30 4 * * 1", "--json").json["cron"] == "30 4 * * 1"
    assert backtalk("schedule", "pause", "nightly", "--json").json["enabled"] is False
    assert backtalk("schedule", "resume", "nightly", "--json").json["enabled"] is True
    (listed,) = backtalk("schedule", "list", "--json").json
    assert (listed["name"], listed["minimum_feedback"], listed["time_zone"]) == ("nightly", 7, "Asia/Shanghai")
    assert backtalk("schedule", "remove", "nightly").code == 0
    assert backtalk("schedule", "list", "--json").json == []


def test_a_schedule_has_triggers_and_windows_and_tells_what_came_of_its_times(backtalk: Command, laid: Laid) -> None:
    made = backtalk(
        *("schedule", "add", "eager", "--cron", "", "--after-feedback", 20, "--on-drift", "0.1"),
        *("--blackout", "1-5 08:00-18:00", "--blackout", "2026-12-24/2026-12-27", "--json"),
    ).json
    assert (made["after_feedback"], made["on_drift"], made["next"]) == (20, 0.1, [])
    assert made["blackouts"] == ["1-5 08:00-18:00", "2026-12-24/2026-12-27"]
    cleared = backtalk("schedule", "edit", "eager", "--clear", "blackout", "--clear", "on-drift", "--json").json
    assert (cleared["blackouts"], cleared["on_drift"]) == ([], None)
    assert backtalk("schedule", "edit", "eager", "--clear", "recipe").code == 2
    assert "no time of eager has come" in backtalk("schedule", "slots", "eager").out
    with laid[1].write() as session:
        runs.fill_slot(session, session.exec(select(Schedule)).one(), now(), missed="a reason")
    assert backtalk("schedule", "slots", "eager", "--json").json[0]["missed"] == "a reason"
    assert "a reason" in backtalk("schedule", "slots", "eager").out
    tried = backtalk("schedule", "dry-run", "eager", "--json").json
    assert (tried["would_run"], tried["reason"]) == (False, "0 new opinions, 50 wanted")
    assert "0 new opinions" in backtalk("schedule", "dry-run", "eager").out
    assert "eager" in backtalk("schedule", "list").out


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--cron", "0 3 * * *", "--blackout", "at night"), "expected weekdays and hours"),
        (("--cron", ""), "nothing would ever start"),
        (("--cron", "0 3 * * *", "--profile", "x"), "no reward profile 'x'"),
        (("--cron", "soon"), "has 1 fields"),
        (("--cron", "99 * * * *"), "Bad minute"),
        (("--cron", "0 3 * * *", "--time-zone", "Mars/Olympus"), "time zone 'Mars/Olympus' is unknown"),
    ],
)
def test_times_that_make_no_sense_are_refused(
    backtalk: Command, laid: Laid, options: tuple[str, ...], reason: str
) -> None:
    result = backtalk("schedule", "add", "odd", *options)
    assert result.code == 1
    assert reason in result.err


def test_a_recipe_is_checked_before_it_is_kept(backtalk: Command, laid: Laid, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.json"
    good.write_text("[ppo]\niterations = 3\n")
    bad.write_text('{"ppo": {"speed": 9}}')
    made = backtalk("schedule", "add", "x", "--cron", "0 3 * * *", "--recipe", good, "--json")
    assert made.json["recipe"] == {"ppo": {"iterations": 3}}
    refused = backtalk("schedule", "edit", "x", "--recipe", bad)
    assert refused.code == 1
    assert "ppo.speed" in refused.err


# Runs ---------------------------------------------------------------------------------------------------------------


def test_runs_are_listed_shown_by_a_beginning_of_their_id_and_cancelled(backtalk: Command, laid: Laid) -> None:
    with laid[1].write() as session:
        run = runs.queue(session, {})
    (listed,) = backtalk("run", "list", "--json").json
    assert listed["id"] == str(run.id)
    assert {"state", "stage", "progress", "from_version", "to_version", "counts", "report", "error"} < set(listed)
    assert backtalk("run", "show", str(run.id)[:6], "--json").json == listed
    assert backtalk("run", "cancel").code == 0
    assert backtalk("run", "show", "--json").json["state"] == "cancelled"
    again = backtalk("run", "cancel")
    assert again.code == 1
    assert "ended already" in again.err


def test_a_run_that_is_not_there_is_named(backtalk: Command, laid: Laid) -> None:
    result = backtalk("run", "show", "beef")
    assert result.code == 1
    assert "'beef'" in result.err


def test_following_a_run_ends_with_it(backtalk: Command, laid: Laid) -> None:
    with laid[1].write() as session:
        run = runs.queue(session, {})
        session.add(Metric(run_id=run.id, step=1, stage="policy", values={"reward": 0.5}))
        session.add(RunLine(run_id=run.id, number=1, level="info", text="ppo took 3 s [of CPU]"))
        run.state, run.stage, run.progress = "rejected", "gate", 1.0
    followed = backtalk("run", "show", "--follow")
    assert followed.code == 0
    assert "reward 0.5" in followed.out and "ppo took 3 s [of CPU]" in followed.out


def test_a_terminal_shows_a_bar_the_counts_and_the_log_of_a_run(backtalk: Command, laid: Laid) -> None:
    """In a terminal of its own: the bar moves while the run does, and goes with it."""
    settings, database = laid
    with database.write() as session:
        run = runs.queue(session, {})
        run.state, run.stage, run.progress, run.counts = "running", "policy", 0.4, {"opinions": 312, "people": 9}
        session.add(Metric(run_id=run.id, step=1, stage="policy", values={"reward": 0.5}))
    command, size = [sys.executable, "-m", "backtalk.cli", "run", "show", "--follow"], struct.pack("4H", 30, 120, 0, 0)
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, size)
    around = environment(settings.data_dir) | {"TERM": "xterm-256color"}
    process = subprocess.Popen(command, stdin=there, stdout=there, stderr=there, env=around)
    os.close(there)
    try:
        shown = _read_until(here, "40%")
        assert "learns from: opinions 312, people 9" in shown and "policy" in shown and "reward 0.5" in shown
        with database.write() as session:
            session.add(RunLine(run_id=run.id, number=1, level="warning", text="the lease was late [once]"))
            now_running = session.get_one(Run, run.id)
            now_running.stage, now_running.progress = "gate", 0.8
        shown = _read_until(here, "80%")
        assert "the lease was late [once]" in shown and "\x1b[33m" in shown, "a warning is yellow"
        with database.write() as session:
            session.get_one(Run, run.id).state = "rejected"
        assert "rejected" in _read_until(here, "rejected")
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        os.close(here)


def _read_until(terminal: int, word: str) -> str:
    shown, deadline = "", time.monotonic() + 60
    while word not in shown:
        assert time.monotonic() < deadline, shown[-500:]
        if waiting.select([terminal], [], [], 1)[0]:
            shown += os.read(terminal, 65536).decode(errors="replace")
    return shown


def test_what_a_run_changed_is_shown_on_the_same_questions(backtalk: Command, laid: Laid) -> None:
    with laid[1].write() as session:
        run = runs.queue(session, {})
    assert "nothing yet" in backtalk("run", "samples").out
    with laid[1].write() as session:
        told: dict[str, Any] = {
            "prompt": "Hi?",
            "before": "Yes.",
            "after": "Hello!",
            "reward_before": -0.5,
            "reward_after": 1.25,
        }
        session.add(Sample(run_id=run.id, number=1, **told))
    assert backtalk("run", "samples", "--json").json == [told]
    assert "Hello!" in backtalk("run", "samples").out


# Policies -----------------------------------------------------------------------------------------------------------


def test_a_version_goes_out_and_comes_back_as_a_candidate_and_can_go_live_and_back(
    backtalk: Command, laid: Laid, tmp_path: Path
) -> None:
    assert backtalk("policy", "export", 0, tmp_path / "model").code == 0
    assert (tmp_path / "model" / "model.safetensors").exists()
    imported = backtalk("policy", "import", tmp_path / "model", "--json")
    assert (imported.json["number"], imported.json["state"]) == (1, "candidate")
    assert backtalk("policy", "promote", 1, "--reason", "why not").code == 0
    assert [(row["number"], row["state"]) for row in backtalk("policy", "list", "--json").json] == [
        (0, "retired"),
        (1, "live"),
    ]
    assert backtalk("policy", "rollback").code == 0
    assert backtalk("policy", "show", 0, "--json").json["state"] == "live"
    assert backtalk("policy", "show", 1, "--json").json["state"] == "withdrawn"
    with laid[1].read() as session:
        actors = {row.actor for row in session.exec(select(Audit).where(col(Audit.action).startswith("policy.p")))}
    assert actors == {"command line"}


def test_a_damaged_version_is_neither_promoted_nor_exported(backtalk: Command, laid: Laid, tmp_path: Path) -> None:
    settings, database = laid
    backtalk("policy", "export", 0, tmp_path / "model")
    backtalk("policy", "import", tmp_path / "model")
    with database.read() as session:
        directory = settings.weights_dir / session.get_one(Policy, 1).directory
    with (directory / "model.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    for command in (("promote", 1), ("export", 1, tmp_path / "other")):
        refused = backtalk("policy", *command)
        assert refused.code == 1
        assert "not those that were published" in refused.err
    assert backtalk("policy", "show", 0, "--json").json["state"] == "live"


def test_an_import_that_is_no_model_leaves_nothing_behind(backtalk: Command, laid: Laid, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    before = sorted(laid[0].weights_dir.iterdir())
    assert backtalk("policy", "import", tmp_path / "empty").code == 1
    assert sorted(laid[0].weights_dir.iterdir()) == before


def test_an_export_does_not_mix_with_what_is_there(backtalk: Command, laid: Laid, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").write_text("mine")
    assert "not empty" in backtalk("policy", "export", 0, tmp_path / "full").err


def test_nothing_to_roll_back_to_is_an_error(backtalk: Command, laid: Laid) -> None:
    result = backtalk("policy", "rollback")
    assert result.code == 1
    assert "nothing to roll back to" in result.err


# Keeping ------------------------------------------------------------------------------------------------------------


def test_a_backup_is_a_data_directory_that_proves_whole(
    backtalk: Command, laid: Laid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backtalk("person", "add", "ada")
    assert backtalk("backup", tmp_path / "copy").code == 0
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o700
    monkeypatch.setenv(f"{PREFIX}DATA_DIR", str(tmp_path / "copy"))
    findings = backtalk("verify", "--json")
    assert findings.code == 0
    assert all(row["whole"] for row in findings.json)
    assert {"database", "audit chain", "policy 0"} <= {row["what"] for row in findings.json}
    assert [row["name"] for row in backtalk("person", "list", "--json").json] == ["ada"]


def test_a_packed_backup_is_readable_by_its_owner_alone(backtalk: Command, laid: Laid, tmp_path: Path) -> None:
    assert backtalk("backup", tmp_path / "copy.tar.gz").code == 0
    assert stat.S_IMODE((tmp_path / "copy.tar.gz").stat().st_mode) == 0o600
    with tarfile.open(tmp_path / "copy.tar.gz") as tar:
        names = tar.getnames()
    assert "copy/backtalk.db" in names
    assert "copy/keys/signing.key" in names
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.tar.gz", "data"]


def test_a_backup_never_overwrites(backtalk: Command, laid: Laid, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    assert "there already" in backtalk("backup", tmp_path / "copy").err


def test_a_changed_audit_row_is_found(backtalk: Command, laid: Laid) -> None:
    import sqlalchemy as sa

    backtalk("person", "add", "ada")
    with laid[1].write() as session:
        session.execute(sa.text("UPDATE audit SET actor = 'nobody' WHERE seq = 2"))
    result = backtalk("verify", "--json")
    assert result.code == 1
    (finding,) = [row for row in result.json if not row["whole"]]
    assert finding == {"what": "audit chain", "whole": False, "detail": "row 2 is not what was written"}


def test_status_tells_what_there_is(backtalk: Command, laid: Laid) -> None:
    status = backtalk("status", "--json").json
    assert (status["running"], status["ready"], status["live"], status["policies"]) == (None, False, 0, 1)
    assert "not running" in backtalk("status").out


def test_a_run_in_the_ledger_is_counted_by_status(backtalk: Command, laid: Laid) -> None:
    with laid[1].write() as session:
        session.add(Run(state="promoted"))
    assert backtalk("status", "--json").json["runs"] == 1


# Simulated people ---------------------------------------------------------------------------------------------------


def test_simulating_without_a_server_says_so(backtalk: Command, laid: Laid) -> None:
    result = backtalk("simulate", "--thumbs", 1)
    assert result.code == 1
    assert "backtalk up" in result.err


def test_an_unknown_taste_is_wrong_usage_and_the_known_are_listed(backtalk: Command, laid: Laid) -> None:
    assert backtalk("simulate", "--taste", "sweet").code == 2
    assert "friendly" in backtalk("simulate", "--taste", "list").out
