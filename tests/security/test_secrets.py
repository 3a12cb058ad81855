"""What is secret is in no log and on no command line, and in the database only as a digest (SEC-12, 13)."""

import asyncio
import contextlib
import json
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from backtalk import people, release
from tests.faults.rfc6455 import TEXT, Line, frame
from tests.server.stack import PATIENCE, Stack

PASSWORD, WRONG = "planted-password-Aa1", "planted-wrong-password-Bb2"
SAID, NOTE, REWRITE = "planted words of a message", "planted words of a note", "planted words of a rewrite"
QUERY, BEARER, BROKEN = "planted-in-the-query", "bt_planted-bearer-that-is-none", "planted-in-broken-json"
HOOK = "planted-hook-secret"


@pytest.fixture(scope="module")
def lived() -> Iterator[tuple[Stack, dict[str, str]]]:
    """A Backtalk in which everything secret was used, rightly and wrongly; with the secrets by name."""
    stack = Stack()
    stack.log = stack.data_dir / "logs" / "processes.log"
    try:
        stack.start()
        secrets = {"password": PASSWORD, "wrong password": WRONG, "message": SAID, "note": NOTE, "rewrite": REWRITE}
        secrets |= {"query": QUERY, "bearer": BEARER, "broken body": BROKEN, "webhook": HOOK}
        secrets["secret key"] = (stack.settings.keys_dir / "secret.key").read_text().strip()
        asyncio.run(live(stack, secrets))
        yield stack, secrets
    finally:
        stack.close()


async def live(stack: Stack, secrets: dict[str, str]) -> None:
    """Use and misuse each of them."""
    somebody = stack.someone("operator")
    secrets["API key"] = somebody.key
    secrets["claim"] = people.offer_claim(stack.settings, stack.database) or ""
    with stack.database.write() as session:
        secrets["invitation"] = people.invite(session, stack.settings, "test")
        release.set_rules(session, "test", webhook_url=f"http://127.0.0.1:9/{HOOK}", webhook_private=True)
    ours = {"X-Backtalk": "1", "Origin": stack.url}
    async with httpx2.AsyncClient(base_url=stack.url, headers=ours, timeout=PATIENCE) as browser:
        signed_up = await browser.post("/api/people", json={"name": "planted", "password": PASSWORD})
        signed_up.raise_for_status()
        secrets["session"] = browser.cookies["backtalk"]
        await browser.post("/api/session", json={"name": "planted", "password": WRONG})
        await browser.post(
            "/api/operate/claim", json={"name": "taken", "password": PASSWORD, "token": secrets["claim"]}
        )
        secrets["session of the claim"] = browser.cookies["backtalk"]
        await browser.get(f"/api/conversations?query={QUERY}&token={QUERY}")
        await browser.get("/api/me", headers={"Authorization": f"Bearer {BEARER}"})
        await browser.post("/api/session", content=f'{{"name": "{BROKEN}', headers={"Content-Type": "application/json"})
        await browser.post("/api/session", json={"name": "x", "password": [WRONG], BROKEN: BROKEN})
        await browser.post("/api/people", json={"name": "x", "password": WRONG, "invite": secrets["invitation"]})
        reply_id = await chat(stack, secrets["session of the claim"])
        opinion = {"rating": 1, "note": NOTE, "rewrite": REWRITE}
        told = await browser.put(f"/api/messages/{reply_id}/feedback", json=opinion)
        assert told.status_code == 200, told.text
        await browser.put(f"/api/messages/{reply_id}/feedback", json={"rating": NOTE, "rewrite": [REWRITE]})
    line = await Line.open(stack.port, somebody.key)
    line.writer.write(frame(TEXT, f'{{"type": "say", "text": "{SAID}'.encode()) + frame(TEXT, SAID.encode() + b"\xff"))
    with contextlib.suppress(asyncio.IncompleteReadError, OSError):
        while (await asyncio.wait_for(line.receive(), PATIENCE))[0] != 8:
            pass
    await line.hang_up()
    with contextlib.suppress(InvalidStatus):
        await connect(f"ws://127.0.0.1:{stack.port}/ws/chat?token={QUERY}")


async def chat(stack: Stack, session: str) -> str:
    """Say something while the engine dies, and hear the reply to its end."""
    headers = {"Cookie": f"backtalk={session}", "Origin": stack.url}
    async with connect(f"ws://127.0.0.1:{stack.port}/ws/chat", additional_headers=headers) as connection:
        say = {"type": "say", "key": str(uuid4()), "text": SAID, "conversation_id": None, "parent_id": None}
        await connection.send(json.dumps(say))
        killed = False
        with contextlib.suppress(ConnectionClosed):
            while True:
                word = json.loads(await asyncio.wait_for(connection.recv(), PATIENCE))
                if word["type"] == "started" and not killed:
                    killed = True
                    stack.kill_engine()
                    stack.start_engine()
                if word["type"] == "ended":
                    return str(word["reply_id"])
    raise AssertionError("the reply did not end")


def test_no_log_holds_a_secret_or_what_people_said(lived: tuple[Stack, dict[str, str]]) -> None:
    stack, secrets = lived
    logs = {path: path.read_text(errors="replace") for path in (stack.data_dir / "logs").rglob("*") if path.is_file()}
    assert any(logs.values()), "something was logged: an engine was killed"
    assert len(secrets) >= 12
    for name, secret in secrets.items():
        assert len(secret) >= 12
        for path, text in logs.items():
            assert secret not in text, f"{name} in {path.name}"


def test_the_database_holds_digests_of_what_opens_doors(lived: tuple[Stack, dict[str, str]]) -> None:
    stack, secrets = lived
    stack.database.close()
    with closing(sqlite3.connect(stack.data_dir / "backtalk.db")) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        content = "\n".join(raw.iterdump())
    assert SAID in content, "what people said is there: this looks in the right place"
    for name in (
        "password",
        "wrong password",
        "secret key",
        "API key",
        "session",
        "session of the claim",
        "claim",
        "invitation",
        "bearer",
    ):
        assert secrets[name] not in content, name


def test_no_command_line_holds_a_secret(lived: tuple[Stack, dict[str, str]]) -> None:
    stack, secrets = lived
    for process in (stack.server, stack.engine):
        assert process is not None
        words = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode()
        assert "--data-dir" in words
        assert not [name for name, secret in secrets.items() if secret in words]


def test_files_are_for_their_owner_alone(lived: tuple[Stack, dict[str, str]]) -> None:
    """Whatever the umask of the day: what lies in a directory of mode 0700 is nobody else's, and keys are 0600 too."""
    stack, _ = lived
    assert stat.S_IMODE(stack.data_dir.stat().st_mode) == 0o700
    keys = [path for path in stack.settings.keys_dir.iterdir() if not path.name.endswith(".pub")]
    assert keys
    for path in keys:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert stat.S_IMODE(stack.settings.keys_dir.stat().st_mode) == 0o700
    assert stack.data_dir.stat().st_uid == os.getuid()
