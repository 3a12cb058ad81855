"""G8, G11, G12: people who leave in the middle, people who do not read, and ten times as many as can be served.

Load is open where it must be: arrivals do not wait for answers. What is counted is what clients were told, what lies in
the database, and what the processes hold: memory, descriptors, slots of the engine.
"""

import asyncio
import contextlib
import json
import os
import random
import socket
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from backtalk.engine import wire
from tests.faults import figures
from tests.server.scripted import count_tokens, write_model
from tests.server.stack import PATIENCE, Someone, Stack

SCRIPT = "abc字🙂"
MEBIBYTE = 1024 * 1024


@contextlib.contextmanager
def stack_of(slots: int = 64) -> Any:
    """A Backtalk whose replies end at their limit, with so many slots in its engine."""
    with tempfile.TemporaryDirectory() as directory:
        model = Path(directory) / "model"
        write_model(model, SCRIPT)
        stack = Stack(model)
        stack.log = stack.data_dir / "processes.log"
        try:
            stack.start_engine(slots)
            stack.start_server()
            stack.until_ready()
            yield stack
        finally:
            stack.close()


# What the processes hold -------------------------------------------------------------------------------------------


def descriptors(stack: Stack) -> int:
    assert stack.server is not None
    return sum(1 for _ in Path(f"/proc/{stack.server.pid}/fd").iterdir())


def resident(stack: Stack) -> float:
    """Memory of the server in MiB."""
    assert stack.server is not None
    pages = int(Path(f"/proc/{stack.server.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEBIBYTE


async def at_work(stack: Stack) -> int:
    """Replies that the engine runs or has waiting, asked over its own socket."""
    reader, writer = await asyncio.open_unix_connection(str(wire.address(stack.data_dir)))
    try:
        while True:
            message = await asyncio.wait_for(wire.read(reader), PATIENCE)
            if message["event"] == "beat":
                return int(message["running"]) + int(message["waiting"])
    finally:
        writer.close()


async def gauge(stack: Stack, name: str) -> float:
    async with stack.http() as http:
        for line in (await http.get("/metrics")).text.splitlines():
            if line.startswith(f"backtalk_{name} "):
                return float(line.split()[1])
    raise AssertionError(f"no gauge {name}")


async def until_quiet(stack: Stack, sockets: int = 0, patience: float = PATIENCE) -> dict[str, float]:
    """Look until nothing is held beyond so many sockets; what the last look still found.

    One look that finds nothing is proof, for what is leaked stays. A second one would prove less: as soon as nobody
    waits, the server asks the engine for the titles of what was said, one after another, and each takes a slot.
    """
    give_up = time.monotonic() + patience
    while True:
        running, open_ = await gauge(stack, "replies_running"), await gauge(stack, "sockets")
        held = {
            "replies run": running,
            "sockets are counted": 0 if 0 <= open_ <= sockets else open_,
            "slots are taken": await at_work(stack),
        }
        left = {what: count for what, count in held.items() if count}
        if not left or time.monotonic() > give_up:
            return left
        await asyncio.sleep(0.1)


def _address(stack: Stack) -> str:
    return f"ws://127.0.0.1:{stack.port}/ws/chat"


def _say(tokens: int) -> str:
    sampling = {"max_tokens": tokens, "temperature": 0}
    return json.dumps({"type": "say", "key": str(uuid4()), "text": "Go on", "sampling": sampling})


# G8: they leave in the middle --------------------------------------------------------------------------------------


def run_leaving(seed: int, trials: int) -> figures.Outcome:
    """Leave `trials` times."""
    with stack_of() as stack:
        return asyncio.run(leave(stack, seed, trials))


async def leave(stack: Stack, seed: int, trials: int, crowd: int = 12) -> figures.Outcome:
    """The same on a stack that runs already."""
    outcome, took = figures.Outcome(), list[float]()
    await until_quiet(stack)
    before = descriptors(stack)

    async def visit(chance: random.Random) -> None:
        while outcome.trials < trials:
            someone = stack.someone()
            for _ in range(2):  # more would meet the limit of two running replies
                outcome.trials += 1
                begun = await _leave_once(stack, someone, chance, took)
                outcome.acked += begun  # not in one line with the wait: others count meanwhile

    await asyncio.gather(*(visit(random.Random(f"{seed} {number}")) for number in range(crowd)))
    left = await until_quiet(stack)
    left["more descriptors are open"] = max(0, descriptors(stack) - before - 8)
    outcome.violations += [f"afterwards {count:.0f} {what}" for what, count in left.items() if count]
    with closing(sqlite3.connect(stack.data_dir / "backtalk.db")) as database:
        if endless := database.execute("SELECT count(*) FROM message WHERE state = 'streaming'").fetchone()[0]:
            outcome.violations.append(f"{endless} replies never ended")
    took.sort()
    if took:
        outcome.measures["from stop to ended, p50, ms"] = 1000 * took[len(took) // 2]
        outcome.measures["from stop to ended, p99, ms"] = 1000 * took[int(len(took) * 0.99)]
    return outcome


async def _leave_once(stack: Stack, someone: Someone, chance: random.Random, took: list[float]) -> int:
    """Ask something, hear a little, and go: politely, abruptly, or after a stop. How many replies were begun."""
    connection = await connect(_address(stack), additional_headers=someone.headers, close_timeout=1)
    begun = 0
    try:
        await connection.send(_say(chance.randint(1, 60) * count_tokens(SCRIPT)))
        for _ in range(chance.randint(0, 12)):
            word = json.loads(await asyncio.wait_for(connection.recv(), PATIENCE))
            begun += word["type"] == "started"
            if word["type"] in ("ended", "refused"):
                break
            if word["type"] == "delta" and chance.random() < 0.1:
                asked = time.monotonic()
                await connection.send(json.dumps({"type": "stop", "reply_id": word["reply_id"]}))
                while (word := json.loads(await asyncio.wait_for(connection.recv(), PATIENCE)))["type"] != "ended":
                    pass
                took.append(time.monotonic() - asked)
                break
    finally:
        if chance.random() < 0.5:
            await connection.close()
        else:
            connection.transport.abort()
            await connection.wait_closed()
    return begun


# G12: they do not read ---------------------------------------------------------------------------------------------


def run_deaf(seed: int, trials: int) -> figures.Outcome:
    """`trials` sockets, a fifth of which read nothing."""
    with stack_of() as stack:
        return asyncio.run(be_deaf(stack, seed, trials))


async def be_deaf(stack: Stack, seed: int, trials: int) -> figures.Outcome:
    """The same on a stack that runs already."""
    outcome = figures.Outcome(trials=trials)
    deaf = trials // 5
    reading = [stack.someone() for _ in range(trials - deaf)]
    long_reply = await _a_long_reply(stack, loud := stack.someone())
    alone = await _all_talk(stack, reading, outcome)
    before = resident(stack)
    async with AsyncExitStack() as open_:
        closed = [
            asyncio.create_task(_be_deaf(stack, open_, someone, reply))
            for someone, reply in [(loud, long_reply)] * min(5, deaf)
        ]
        others = [stack.someone() for _ in range(max(0, deaf - 5))]
        for someone in others:
            reply = await _a_long_reply(stack, someone)
            closed.append(asyncio.create_task(_be_deaf(stack, open_, someone, reply)))
        among = await _all_talk(stack, reading, outcome)
        grown = resident(stack) - before
        done, late = await asyncio.wait(closed, timeout=PATIENCE)
        outcome.violations += [f"{task.result()}" for task in done if task.result()]
        outcome.violations += ["a deaf socket is still open"] * len(late)
        for task in late:
            task.cancel()
    outcome.measures["memory grown, MiB"] = grown
    outcome.measures["others' p95 among the deaf, of that alone"] = among / alone
    if grown > 64:
        outcome.violations.append(f"the server has grown by {grown:.0f} MiB")
    return outcome


async def _a_long_reply(stack: Stack, someone: Someone) -> str:
    async with stack.chat(someone) as chat:
        started = await chat.say("Go on", sampling={"max_tokens": 4000, "temperature": 0})
        await chat.listen(started["reply_id"])
        return str(started["reply_id"])


async def _be_deaf(stack: Stack, open_: AsyncExitStack, someone: Someone, reply_id: str) -> str | None:
    """Ask for megabytes and read none; returns what is wrong with how it ends."""
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.setblocking(False)
    await asyncio.get_running_loop().sock_connect(small, ("127.0.0.1", stack.port))
    connection = await open_.enter_async_context(
        connect(_address(stack), sock=small, additional_headers=someone.headers, ping_interval=None, close_timeout=1)
    )
    connection.transport.pause_reading()
    for _ in range(200):
        await connection.send(json.dumps({"type": "follow", "reply_id": reply_id, "after": 0}))
        await asyncio.sleep(0.01)
    await asyncio.sleep(15)
    connection.transport.resume_reading()
    try:
        while True:
            await asyncio.wait_for(connection.recv(), 30)
    except ConnectionClosed as error:
        return None if error.rcvd is None or error.rcvd.code == 1013 else f"a deaf socket was closed with {error.rcvd}"
    except TimeoutError:
        return None  # it was told everything in the end: a replay goes at the reader's pace


async def _all_talk(stack: Stack, people: list[Someone], outcome: figures.Outcome) -> float:
    """Everybody asks once, eight at a time; the 95th percentile of seconds to the end."""
    room, took = asyncio.Semaphore(8), list[float]()

    async def talk(someone: Someone) -> None:
        async with room, stack.chat(someone) as chat:
            began = time.monotonic()
            started = await chat.say("Go on", sampling={"max_tokens": 30, "temperature": 0})
            text, ended = await chat.listen(started["reply_id"])
            took.append(time.monotonic() - began)
            _, reply = await stack.messages(someone, started["conversation_id"])
            outcome.acked += 2
            if (reply["content"], ended["state"]) != (text, "done"):
                outcome.violations.append("a reply is not stored as it was shown")

    await asyncio.gather(*(talk(someone) for someone in people))
    return sorted(took)[int(len(took) * 0.95)]


# G11: ten times too many -------------------------------------------------------------------------------------------

SLOTS = 8
TOKENS = 60
POOL = 400
SECONDS = 30.0


def run_overload(seed: int, trials: int) -> figures.Outcome:
    """Overload for `trials` half minutes, tenfold; a slice has its own stack."""
    outcome = figures.Outcome()
    with stack_of(SLOTS) as stack:
        for _ in range(trials):
            outcome += asyncio.run(overload(stack, seed, 10, SECONDS))
    return outcome


class Pool:
    """People with open sockets, and what came of each question."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.done = 0
        self.refused: list[float] = []
        self.violations: list[str] = []
        self._asked: dict[str, float] = {}
        self._sockets: list[ClientConnection] = []
        self.people: list[Someone] = []

    @contextlib.asynccontextmanager
    async def open(self, size: int) -> AsyncIterator["Pool"]:
        async with AsyncExitStack() as stack:
            listening = []
            for _ in range(size):
                someone = self._stack.someone()
                connection = await stack.enter_async_context(
                    connect(_address(self._stack), additional_headers=someone.headers, ping_interval=None)
                )
                self.people.append(someone)
                self._sockets.append(connection)
                listening.append(asyncio.create_task(self._listen(connection)))
            yield self
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)

    async def ask(self, number: int) -> None:
        key = str(uuid4())
        self._asked[key] = time.monotonic()
        word = {"type": "say", "key": key, "text": "Go on", "sampling": {"max_tokens": TOKENS, "temperature": 0}}
        await self._sockets[number % len(self._sockets)].send(json.dumps(word))

    async def _listen(self, connection: ClientConnection) -> None:
        async for frame in connection:
            word = json.loads(frame)
            if word["type"] == "ended":
                self.done += 1
            elif word["type"] == "refused":
                self.refused.append(time.monotonic() - self._asked[word["key"]])
                if word["code"] not in ("busy", "rate_limited") or not word["retry_after"]:
                    self.violations.append(f"refused as {word['code']}: {word['message']}")


async def overload(stack: Stack, seed: int, factor: int, seconds: float) -> figures.Outcome:
    """Find the peak, then let `factor` times as many come, while somebody goes on giving opinions."""
    outcome = figures.Outcome(trials=1)
    async with Pool(stack).open(POOL) as pool:
        began = time.monotonic()
        for number in range(4 * SLOTS):
            await pool.ask(number)
        await _until(lambda: pool.done >= 4 * SLOTS)
        peak = pool.done / (time.monotonic() - began)
        before, done = resident(stack), pool.done
        someone, reply_id = await _somebody_with_a_reply(stack)
        judging = asyncio.create_task(_judge(stack, someone, reply_id, outcome, seconds))
        began, number = time.monotonic(), 0
        while (elapsed := time.monotonic() - began) < seconds:
            while number < elapsed * factor * peak:
                await pool.ask(number)
                number += 1
            await asyncio.sleep(0.01)
        goodput = (pool.done - done) / seconds
        await judging
        ended = time.monotonic()
        await until_quiet(stack, sockets=POOL)
        late = stack.someone()
        async with stack.chat(late) as chat:
            started = await chat.say("Go on", sampling={"max_tokens": 5})
            if started["type"] != "started":
                outcome.violations.append(f"afterwards still refused: {started['message']}")
        outcome.measures["normal again after, s"] = time.monotonic() - ended
        outcome.violations += pool.violations
        outcome.acked += pool.done
        refused = sorted(pool.refused) or [0.0]
        grown = resident(stack) - before
        outcome.measures |= {
            "lost share of the peak's replies": max(0.0, 1 - goodput / peak),
            "refused after, p50, ms": 1000 * refused[len(refused) // 2],
            "refused after, p99, ms": 1000 * refused[int(len(refused) * 0.99)],
            "memory grown, MiB": grown,
        }
        if not pool.refused:
            outcome.violations.append("nobody was refused; it was no overload")
    return outcome


async def _until(is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not is_so():  # what it waits for happens in other processes
        assert time.monotonic() < give_up
        await asyncio.sleep(0.02)


async def _somebody_with_a_reply(stack: Stack) -> tuple[Someone, str]:
    someone = stack.someone()
    async with stack.chat(someone) as chat:
        started = await chat.say("Go on", sampling={"max_tokens": 3})
        await chat.listen(started["reply_id"])
        return someone, str(started["reply_id"])


async def _judge(stack: Stack, someone: Someone, reply_id: str, outcome: figures.Outcome, seconds: float) -> None:
    """Give opinions all the while, and see that each is there."""
    until, given = time.monotonic() + seconds, 0
    async with stack.http(someone) as http:
        while time.monotonic() < until and given < 55:
            rating = 1 if given % 2 else -1
            answer = await http.put(f"/api/messages/{reply_id}/feedback", json={"rating": rating})
            if answer.status_code != 200:
                outcome.violations.append(f"an opinion was refused: {answer.status_code} {answer.text[:100]}")
                continue
            given += 1
            outcome.acked += 1
            await asyncio.sleep(0.5)
        answer = await http.get(f"/api/messages/{reply_id}/feedback")
        if answer.json().get("revision") != given:
            outcome.violations.append(f"{given} opinions were acknowledged, {answer.json().get('revision')} are there")


STEP_MS = 20
"""About a step of the engine while as many chat as two cores can serve; a stop takes effect at the next."""

LEAVING = figures.Figure(
    name="G8",
    claim="Who leaves in the middle leaves nothing behind: no slot, no socket, no descriptor, no reply without end",
    unit="departures",
    run=run_leaving,
    minimum=2_000,
    goal=10_000,
    slice=1_000,
    faults="F19",
    limits="A reply goes on when its listener leaves, as the contract has it; a stop frees its slot.",
    bounds={"from stop to ended, p99, ms": 50 + STEP_MS},
)
DEAF = figures.Figure(
    name="G12",
    claim="Sockets that read nothing cost others nothing, and the server little memory",
    unit="sockets, a fifth of them deaf",
    run=run_deaf,
    minimum=200,
    goal=1_000,
    slice=200,
    faults="F17",
    limits="Client and server share two cores.",
    bounds={"memory grown, MiB": 64, "others' p95 among the deaf, of that alone": 1.1},
)
OVERLOAD = figures.Figure(
    name="G11",
    claim="Ten times more questions than can be answered: the surplus is told to come back, no opinion is lost",
    unit="half minutes at ten times the peak",
    run=run_overload,
    minimum=2,
    goal=20,
    slice=2,
    faults="F21",
    limits=f"An engine of {SLOTS} slots, so that a script can overload it; client and server share two cores.",
    bounds={"lost share of the peak's replies": 0.1, "refused after, p99, ms": 200, "normal again after, s": 10},
)
