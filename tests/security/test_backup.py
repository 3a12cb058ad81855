"""A backup made while people chat is a whole Backtalk again: everything acknowledged before it is there (SEC-18)."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlmodel import select

from backtalk import audit, people, policies, safekeeping
from backtalk.database import Database
from backtalk.settings import PREFIX, Settings
from backtalk.tables import Audit, Person
from tests import postgres
from tests.server.scripted import write_model
from tests.server.stack import PATIENCE, Someone, Stack

SAID = "words that only the keys can open"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Stack]]:
    """A Backtalk that encrypts, and another that waits for its backup."""
    model = tmp_path_factory.mktemp("model")
    write_model(model, "abc", ends=True)
    stacks = Stack(model, BACKTALK_ENCRYPT="true"), Stack(model, BACKTALK_ENCRYPT="true")
    try:
        yield stacks
    finally:
        for stack in stacks:
            stack.close()


def backtalk(data_dir: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line, on this data directory."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environment |= {f"{PREFIX}DATA_DIR": str(data_dir), f"{PREFIX}ENCRYPT": "true"}
    command = [sys.executable, "-m", "backtalk.cli", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)


async def talk(
    stack: Stack, someone: Someone, acked: dict[str, str], enough: asyncio.Event, until: asyncio.Event
) -> None:
    """Say something again and again, and note what was acknowledged."""
    async with stack.chat(someone) as chat, stack.http(someone) as http:
        while not until.is_set():
            started = await chat.say(f"{SAID} {uuid4()}", sampling={"max_tokens": 4})
            if started["type"] == "refused":  # so many at once, or in a minute, are enough
                await asyncio.sleep(min(started["retry_after"] or 0.1, 1))
                continue
            text, _ = await chat.listen(started["reply_id"])
            told = await http.put(f"/api/messages/{started['reply_id']}/feedback", json={"rating": 1, "note": SAID})
            assert told.status_code == 200
            acked[started["conversation_id"]] = text
            if len(acked) >= 3:
                enough.set()


async def back_up(stack: Stack, someone: Someone, out: Path) -> dict[str, str]:
    """Make a backup while somebody talks; returns what was acknowledged before it began."""
    acked, enough, until = dict[str, str](), asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(talk(stack, someone, acked, enough, until))
        await enough.wait()
        before = dict(acked)
        done = await asyncio.to_thread(backtalk, stack.data_dir, "backup", str(out))
        until.set()
    assert done.returncode == 0, done.stderr
    return before


async def test_a_backup_is_unpacked_started_and_has_it_all(pair: tuple[Stack, Stack], tmp_path: Path) -> None:
    asyncio.get_running_loop().set_debug(False)
    stack, restored = pair
    someone = stack.start().someone()
    before = await back_up(stack, someone, tmp_path / "copy.tar.gz")
    stack.kill_server()
    stack.kill_engine()

    restored.database.close()
    shutil.rmtree(restored.data_dir)
    with tarfile.open(tmp_path / "copy.tar.gz") as tar:
        tar.extractall(tmp_path, filter="data")
    (tmp_path / "copy").rename(restored.data_dir)
    found = backtalk(restored.data_dir, "verify", "--json")
    assert found.returncode == 0, found.stderr
    rows: list[dict[str, Any]] = json.loads(found.stdout)
    assert {"database", "references", "audit chain", "policy 0"} <= {row["what"] for row in rows if row["whole"]}

    restored.start()
    for conversation_id, text in before.items():
        question, reply = await restored.messages(someone, conversation_id)
        assert question["content"].startswith(SAID)
        assert (reply["content"], reply["state"]) == (text, "done")
        assert (reply["feedback"]["rating"], reply["feedback"]["note"]) == (1, SAID)
    async with restored.chat(someone) as chat:
        started = await chat.say("and on it goes", sampling={"max_tokens": 4})
        assert (await chat.listen(started["reply_id"]))[1]["state"] == "done"


async def test_a_backup_whose_secret_lies_elsewhere_opens_nothing(pair: tuple[Stack, Stack], tmp_path: Path) -> None:
    stack, _ = pair
    shutil.copytree(stack.data_dir, tmp_path / "copy", ignore=shutil.ignore_patterns("*.sock"))
    assert SAID.encode() not in b"".join(path.read_bytes() for path in (tmp_path / "copy").glob("backtalk.db*"))
    (tmp_path / "copy" / "keys" / "secret.key").write_text("00" * 32)
    found = backtalk(tmp_path / "copy", "verify")
    assert found.returncode == 1
    assert "Traceback" not in found.stderr
    assert "key" in found.stderr


@pytest.mark.postgres
def test_a_backup_of_postgres_is_restored_and_whole(postgres_url: str, tmp_path: Path) -> None:
    binaries = postgres.find_binaries()
    if shutil.which("pg_dump") is None and binaries is not None:
        os.environ["PATH"] += os.pathsep + str(binaries)
    names = [f"b{uuid4().hex}" for _ in range(2)]
    admin = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        for name in names:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
    admin.dispose()
    first, second = (postgres_url.replace("/postgres?", f"/{name}?") for name in names)
    settings = Settings(data_dir=tmp_path / "data", database_url=first)
    settings.prepare()
    database = Database(first)
    database.migrate()
    policies.ensure_first(database, settings)
    with database.write() as session:
        people.add(session, "Ada 你好")
    safekeeping.backup(settings, database, tmp_path / "copy")
    database.close()

    plain = sa.make_url(second).set(drivername="postgresql").render_as_string(hide_password=False)
    command = ["pg_restore", "--no-owner", f"--dbname={plain}", str(tmp_path / "copy" / safekeeping.DUMP)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    restored = Database(second)
    with restored.read() as session:
        assert session.exec(select(Person.name)).all() == ["Ada 你好"]
        assert audit.first_broken(session) is None
        assert len(session.exec(select(Audit)).all()) >= 2
    copy = Settings(data_dir=tmp_path / "copy", database_url=second)
    assert all(finding.is_whole for finding in safekeeping.verify(copy, restored))
    restored.close()
    with suppress(OSError):
        shutil.rmtree(tmp_path / "copy")
