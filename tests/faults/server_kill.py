"""G1: the live server is killed at any moment; what its clients were told is there when it is back (F04).

People chat and judge over real sockets and keep a list of what they were told. The server dies at a random time or at
its N-th sync, is started again, and every list is held against the API and against the rows.
"""

import asyncio
import contextlib
import random
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2 as httpx
from sqlmodel import select
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from backtalk.database import Database
from backtalk.tables import Conversation, Message, Opinion
from tests.faults import figures, syscalls
from tests.server.scripted import count_tokens, write_model
from tests.server.stack import PATIENCE, Chat, Someone, Stack

PEOPLE = 8
SCRIPT = "abc字🙂"
GONE = (ConnectionClosed, InvalidHandshake, OSError, httpx.TransportError, EOFError)


@dataclass
class Told:
    """What one person was told is safe, and what they have asked without hearing whether it is."""

    someone: Someone
    started: dict[str, dict[str, Any]] = field(default_factory=dict)  # key -> `started`
    asked: dict[str, dict[str, Any]] = field(default_factory=dict)  # key -> what was sent and not answered
    texts: dict[str, list[str]] = field(default_factory=dict)  # reply -> deltas
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)  # reply -> `ended`
    ratings: dict[str, tuple[int, int]] = field(default_factory=dict)  # reply -> rating, revision
    titles: dict[str, str] = field(default_factory=dict)  # conversation -> title
    unsure: set[str] = field(default_factory=set)  # replies and conversations with a change under way at a kill
    count: int = 0

    @property
    def open(self) -> list[str]:
        return [started["reply_id"] for started in self.started.values() if started["reply_id"] not in self.ended]


class Person:
    """Somebody who chats and judges until the server is gone, and comes back to look."""

    def __init__(self, stack: Stack, chance: random.Random) -> None:
        self._stack, self._chance = stack, chance
        self.told = Told(stack.someone())
        self.violations: list[str] = []

    async def live(self) -> None:
        """Until the connection breaks."""
        with contextlib.suppress(*GONE):
            async with self._stack.chat(self.told.someone) as chat, self._stack.http(self.told.someone) as http:
                while True:
                    await self._talk(chat, http)

    async def _talk(self, chat: Chat, http: httpx.AsyncClient) -> None:
        told = self.told
        key = str(uuid4())
        tokens = self._chance.randint(1, 12) * count_tokens(SCRIPT)
        word = {"type": "say", "key": key, "text": f"Go on {key}", "sampling": {"max_tokens": tokens, "temperature": 0}}
        if told.ended and self._chance.random() < 0.2:
            word = {"type": "regenerate", "key": key, "reply_id": self._chance.choice(list(told.ended))}
            word["sampling"] = {"max_tokens": tokens}
        told.asked[key] = word
        await chat.send(**word)
        reply_id = await self._hear(chat, key)
        if reply_id is None:
            await asyncio.sleep(1)
            return
        rating = self._chance.choice((1, -1))
        told.unsure.add(reply_id)
        answer = await http.put(f"/api/messages/{reply_id}/feedback", json={"rating": rating})
        if answer.status_code == 200:
            told.ratings[reply_id] = rating, answer.json()["revision"]
            told.unsure.discard(reply_id)
            told.count += 1
        conversation_id, title = told.started[key]["conversation_id"], f"title {uuid4()}"
        told.unsure.add(conversation_id)
        answer = await http.patch(f"/api/conversations/{conversation_id}", json={"title": title})
        if answer.status_code == 200:
            told.titles[conversation_id] = title
            told.unsure.discard(conversation_id)
            told.count += 1

    async def _hear(self, chat: Chat, key: str) -> str | None:
        """Take events until the reply to this question has ended; None if it was refused."""
        told = self.told
        while True:
            event = await chat.hear()
            if event["type"] == "started" and event["key"] == key:
                if key in told.started and told.started[key] != event:
                    self.violations.append("one key, two replies")
                told.started[key] = event
                told.asked.pop(key, None)
                told.texts.setdefault(event["reply_id"], [])
                told.count += 1
            elif event["type"] == "refused":
                if event["code"] == "storage" and event["retry_after"]:
                    return None  # it is asked again under the same key
                if event["code"] not in ("rate_limited", "busy"):
                    self.violations.append(f"refused: {event['message']}")
                told.asked.pop(key, None)
                return None
            elif self._take(event) == told.started.get(key, {}).get("reply_id"):
                return str(event["reply_id"])

    def _take(self, event: dict[str, Any]) -> str | None:
        """Note a delta or an end; the reply that has ended."""
        reply_id = event.get("reply_id", "")
        texts = self.told.texts.get(reply_id)
        if texts is None or event["type"] not in ("delta", "ended"):
            return None
        if event["seq"] <= len(texts):  # a repeat, asked for from the start
            return None
        if event["seq"] != len(texts) + 1:
            self.violations.append(f"after event {len(texts)} came {event['seq']}")
        if event["type"] == "delta":
            texts.append(event["text"])
            self.told.count += 1
            return None
        self.told.ended[reply_id] = event
        return str(reply_id)

    async def look(self) -> None:
        """Ask again what was not answered, follow what was cut, and compare with the API."""
        told = self.told
        async with self._stack.chat(told.someone) as chat, self._stack.http(told.someone) as http:
            for reply_id in told.open:
                await chat.send(type="follow", reply_id=reply_id, after=len(told.texts[reply_id]))
                while reply_id not in told.ended:
                    event = await chat.hear()
                    if event["type"] == "refused":
                        self.violations.append(f"a reply cannot be followed: {event['message']}")
                        told.ended[reply_id] = event
                    self._take(event)
            for key, word in list(told.asked.items()):
                await chat.send(**word)
                await self._hear(chat, key)
            newest = list(told.started.values())[-3:]
            for started in newest:
                answer = await http.get(f"/api/conversations/{started['conversation_id']}/messages")
                if answer.status_code == 503:  # the database has gone again
                    raise ConnectionResetError
                messages = {message["id"]: message for message in answer.json()["items"]}
                if started["question_id"] not in messages or started["reply_id"] not in messages:
                    self.violations.append(f"the API does not know reply {started['reply_id']}")
                elif messages[started["reply_id"]]["content"] != "".join(told.texts[started["reply_id"]]):
                    self.violations.append(f"reply {started['reply_id']} reads otherwise than it was shown")

    def compare(self, database: Database) -> None:
        """Everything told so far against the rows."""
        told, id = self.told, self.told.someone.id
        with database.read() as session:
            messages = {
                str(row.id): row
                for row in session.execute(
                    select(Message.id, Message.content, Message.state, Message.key).where(Message.person_id == id)
                )
            }
            opinions = {
                str(row.message_id): (row.rating, row.revision)
                for row in session.execute(
                    select(Opinion.message_id, Opinion.rating, Opinion.revision).where(Opinion.person_id == id)
                )
            }
            mine = select(Conversation.id, Conversation.title).where(Conversation.person_id == id)
            titles = {str(row.id): row.title for row in session.execute(mine)}
        keys = [row.key for row in messages.values() if row.key]
        if len(keys) != len(set(keys)):
            self.violations.append("a question is there twice")
        for started in told.started.values():
            reply = messages.get(started["reply_id"])
            shown = "".join(told.texts[started["reply_id"]])
            if started["question_id"] not in messages:
                self.violations.append(f"question {started['question_id']} is lost")
            if reply is None or (reply.state != "streaming" and not reply.content.startswith(shown)):
                self.violations.append(f"reply {started['reply_id']} is lost")
                continue
            ended = told.ended.get(started["reply_id"])
            if ended is not None and (reply.content, reply.state) != (shown, ended.get("state")):
                self.violations.append(f"reply {reply.id} was shown as {ended.get('state')} and is {reply.state}")
        for reply_id, (rating, revision) in told.ratings.items():
            stored = opinions.get(reply_id, (None, 0))
            if stored != (rating, revision) and not (reply_id in told.unsure and stored[1] > revision):
                self.violations.append(f"an opinion is {stored}; told was {(rating, revision)}")
        for conversation_id, title in told.titles.items():
            if titles.get(conversation_id) != title and conversation_id not in told.unsure:
                self.violations.append(f"a title is lost: {title}")


def run(seed: int, trials: int) -> figures.Outcome:
    """Kill the server `trials` times."""
    with tempfile.TemporaryDirectory() as directory:
        model = Path(directory) / "model"
        write_model(model, SCRIPT)
        stack = Stack(model)
        stack.log = stack.data_dir / "processes.log"
        try:
            return asyncio.run(kill(stack.start(), seed, trials))
        finally:
            stack.close()


async def kill(stack: Stack, seed: int, trials: int) -> figures.Outcome:
    """The same on a stack that runs already."""
    outcome, chance = figures.Outcome(), random.Random(seed)
    people = [Person(stack, random.Random(f"{seed} {number}")) for number in range(PEOPLE)]
    can_trace = syscalls.needs() is None
    back: list[float] = []
    for _ in range(trials):
        living = [asyncio.create_task(person.live()) for person in people]
        await asyncio.sleep(chance.uniform(0.05, 1.2))
        if can_trace and chance.random() < 0.3:
            await asyncio.to_thread(_kill_at_a_call, stack, chance)
        else:
            stack.kill_server()
        await asyncio.wait_for(asyncio.gather(*living), PATIENCE)
        outcome.trials += 1
        began = time.monotonic()
        await asyncio.to_thread(stack.start_server)
        await asyncio.to_thread(stack.until_ready)
        back.append(time.monotonic() - began)
        await asyncio.wait_for(asyncio.gather(*(person.look() for person in people)), PATIENCE)
    with stack.database.read() as session:
        if session.connection().exec_driver_sql("PRAGMA integrity_check").scalar_one() != "ok":
            outcome.violations.append("the database is corrupt")
    for person in people:
        person.compare(stack.database)
    for person in people:
        outcome.acked += person.told.count
        outcome.violations += person.violations
    outcome.measures["ready again after, p50, s"] = sorted(back)[len(back) // 2]
    return outcome


def _kill_at_a_call(stack: Stack, chance: random.Random) -> None:
    """SIGKILL to the server at its N-th sync of or write to the database."""
    assert stack.server is not None
    call, number = chance.choice(("fdatasync", "pwrite64")), chance.randint(1, 60)
    what = ("-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}")
    tracer = subprocess.Popen(
        ["strace", "-f", "-p", str(stack.server.pid), "-o", "/dev/null", *what],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        stack.server.wait(10)
    stack.kill_server()
    tracer.wait()


FIGURE = figures.Figure(
    name="G1",
    claim="The live server is killed at any moment: nothing acknowledged is lost or doubled, what was shown is stored",
    unit="kills",
    run=run,
    minimum=1_000,
    goal=10_000,
    slice=50,
    faults="F04",
    limits="SQLite on one machine; the engine lives on (`tests/faults/test_group_kill.py` kills all at once).",
)
