"""kill -9 of server, engine, learner and their supervisor at once (F04); the oracle is the client's list of acks."""

import asyncio
import contextlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2 as httpx
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.installation import Installation, Member

KILLS = 3
PEOPLE = 6


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path)
    installation.start()
    yield installation
    installation.stop()


@dataclass
class Acks:
    """What one person was told is safe."""

    questions: dict[str, str] = field(default_factory=dict)  # question id -> text
    shown: dict[str, list[str]] = field(default_factory=dict)  # reply id -> deltas seen, in order
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)  # reply id -> the `ended` message
    ratings: dict[str, int] = field(default_factory=dict)  # reply id -> rating answered with 200
    conversations: dict[str, str] = field(default_factory=dict)  # reply id -> conversation id


async def listen(chat: ClientConnection, acks: Acks, reply_id: str | None = None) -> str:
    """Take events until the reply ends; without an id, until the one that starts next does. Returns its id."""
    while True:
        event = json.loads(await chat.recv())
        kind = event["type"]
        if kind == "started" and reply_id is None:
            reply_id = event["reply_id"]
            acks.shown[reply_id] = []
            acks.conversations[reply_id] = event["conversation_id"]
            acks.questions[event["question_id"]] = ""
        elif reply_id is None or event.get("reply_id") != reply_id:
            assert kind != "refused", event
        elif kind == "delta":
            assert event["seq"] == len(acks.shown[reply_id]) + 1, "a hole, or a double"
            acks.shown[reply_id].append(event["text"])
        elif kind == "ended":
            assert event["seq"] == len(acks.shown[reply_id]) + 1
            acks.ended[reply_id] = event
            return reply_id


async def live(installation: Installation, member: Member, acks: Acks) -> None:
    """Chat and rate until the connection breaks."""
    with contextlib.suppress(ConnectionClosed, httpx.TransportError):
        async with (
            installation.socket(member) as chat,
            httpx.AsyncClient(base_url=installation.base, headers=member.headers) as http,
        ):
            for number in range(20):
                say = {"type": "say", "key": str(uuid4()), "conversation_id": None, "parent_id": None}
                await chat.send(json.dumps(say | {"text": f"Tell me a long story about a dog, part {number}"}))
                reply_id = await listen(chat, acks)
                rating = random.choice([1, -1])
                answer = await http.put(f"/api/messages/{reply_id}/feedback", json={"rating": rating})
                if answer.status_code == 200:
                    acks.ratings[reply_id] = rating


async def find(installation: Installation, member: Member, acks: Acks) -> None:
    """Everything that was acknowledged is there, and replies cut in the middle go on where they were."""
    async with (
        installation.socket(member) as chat,
        httpx.AsyncClient(base_url=installation.base, headers=member.headers) as http,
    ):
        for reply_id in [reply for reply in acks.shown if reply not in acks.ended]:
            await chat.send(json.dumps({"type": "follow", "reply_id": reply_id, "after": len(acks.shown[reply_id])}))
            await listen(chat, acks, reply_id)
        stored: dict[str, dict[str, Any]] = {}
        for conversation_id in set(acks.conversations.values()):
            answer = await http.get(f"/api/conversations/{conversation_id}/messages")
            stored |= {message["id"]: message for message in answer.json()["items"]}
    assert acks.questions.keys() <= stored.keys()
    for reply_id, deltas in acks.shown.items():
        assert stored[reply_id]["content"] == "".join(deltas)
        assert stored[reply_id]["state"] == acks.ended[reply_id]["state"] == "done"
    for reply_id, rating in acks.ratings.items():
        assert stored[reply_id]["feedback"]["rating"] == rating


@pytest.mark.slow
async def test_all_that_was_acknowledged_is_there_after_everything_is_killed(installation: Installation) -> None:
    members = [installation.person() for _ in range(PEOPLE)]
    ledgers = [Acks() for _ in members]
    chance = random.Random(1)
    cut = 0
    for _ in range(KILLS):
        living = [asyncio.create_task(live(installation, m, a)) for m, a in zip(members, ledgers, strict=True)]
        await asyncio.sleep(chance.uniform(0.3, 1.5))
        await asyncio.to_thread(installation.kill_everything)
        await asyncio.gather(*living)
        cut += sum(len(acks.shown) - len(acks.ended) for acks in ledgers)
        await asyncio.to_thread(installation.start)
        for member, acks in zip(members, ledgers, strict=True):
            await find(installation, member, acks)
    assert cut > 0, "no reply was cut in the middle; the test has shown nothing"
    assert sum(len(acks.ended) for acks in ledgers) > cut
