"""G6: the engine is killed, or frozen so that it only looks alive; every reply goes on where it was (F01, F02).

`backtalk up` runs with a model whose text is known, people stream from it, and what they hear is compared letter by
letter. The supervisor forgets earlier deaths at once here, so that a hundred kills are a hundred first ones.
"""

import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from websockets.asyncio.client import connect

from backtalk import people
from backtalk.database import Database
from backtalk.settings import Settings
from tests.faults import figures
from tests.installation import Installation
from tests.server.scripted import count_tokens, write_model

SCRIPT = "abc字🙂"
STREAMS = 6
PATIENCE = 300.0
FORGETFUL = "import backtalk.supervisor as s; s.STEADY_SECONDS = 0.0; from backtalk.cli import main; main()"


class Listener:
    """Somebody who always has a reply under way."""

    def __init__(self, address: str, key: str, chance: random.Random) -> None:
        self._address, self._headers, self._chance = address, {"Authorization": f"Bearer {key}"}, chance
        self.heard = asyncio.Event()
        self.restarting: list[float] = []
        self.ready: list[float] = []
        self.replies = 0
        self.interrupted = False
        self.violations: list[str] = []

    async def run(self) -> None:
        async with connect(self._address, additional_headers=self._headers, max_queue=None) as connection:
            while True:
                tokens = self._chance.randint(40, 120) * count_tokens(SCRIPT)
                word = {"type": "say", "key": str(uuid4()), "text": "Go on", "sampling": {"max_tokens": tokens}}
                await connection.send(json.dumps(word))
                await self._listen(connection, SCRIPT * (tokens // count_tokens(SCRIPT)))

    async def _listen(self, connection: Any, whole: str) -> None:
        text, seq, reply_id = "", 0, None
        while True:
            word = json.loads(await asyncio.wait_for(connection.recv(), PATIENCE))
            self.heard.set()
            match word["type"]:
                case "notice":
                    times = self.restarting if word["kind"] == "engine_restarting" else self.ready
                    times.append(time.monotonic())
                case "started":
                    reply_id = word["reply_id"]
                case "refused":
                    if word["code"] not in ("busy", "rate_limited"):
                        self.violations.append(f"refused: {word['message']}")
                    await asyncio.sleep(min(2.0, word["retry_after"] or 1.0))
                    return
                case "delta" if word["reply_id"] == reply_id:
                    seq += 1
                    text += word["text"]
                    if word["seq"] != seq:
                        self.violations.append(f"after event {seq - 1} came {word['seq']}")
                case "ended" if word["reply_id"] == reply_id:
                    self.replies += 1
                    if word["state"] != "done" or text != whole:
                        self.violations.append(f"a reply ended as {word['state']} with {len(text)} of {len(whole)}")
                    return


@asynccontextmanager
async def listening(installation: Installation, seed: int) -> AsyncIterator[list[Listener]]:
    """People who stream while the block runs; a listener that breaks is a violation."""
    database = Database(Settings(data_dir=installation.directory / "data").database)
    listeners = []
    for number in range(STREAMS):
        with database.write() as session:
            person = people.add(session, f"somebody {uuid4().hex[:8]}")
            key = people.add_key(session, person).secret
        address = f"ws://127.0.0.1:{installation.port}/ws/chat"
        listeners.append(Listener(address, key, random.Random(f"{seed} {number}")))
    database.close()
    tasks = [asyncio.create_task(listener.run()) for listener in listeners]
    yield listeners
    for listener, task in zip(listeners, tasks, strict=True):
        if task.done():
            listener.violations.append(f"a listener broke: {task.exception()!r}")
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _run(seed: int, trials: int, number: signal.Signals) -> figures.Outcome:
    with tempfile.TemporaryDirectory() as directory:
        model = Path(directory) / "model"
        write_model(model, SCRIPT)
        installation = Installation(Path(directory))
        installation.settings["BACKTALK_MODEL"] = str(model)
        installation.program = [sys.executable, "-c", FORGETFUL]
        installation.start()
        try:
            return asyncio.run(harm(installation, seed, trials, number))
        finally:
            installation.stop()


async def harm(installation: Installation, seed: int, trials: int, number: signal.Signals) -> figures.Outcome:
    """Send the engine a signal `trials` times, each time when everybody streams again."""
    outcome, chance = figures.Outcome(), random.Random(seed)
    noticed, back = list[float](), list[float]()
    async with listening(installation, seed) as listeners:
        for _ in range(trials):
            for listener in listeners:
                listener.heard.clear()
            await asyncio.wait_for(asyncio.gather(*(one.heard.wait() for one in listeners)), PATIENCE)
            await asyncio.sleep(chance.uniform(0, 1.5))
            counts = [(len(one.restarting), len(one.ready)) for one in listeners]
            lock = json.loads((installation.directory / "data" / "up.lock").read_text())
            began = time.monotonic()
            os.kill(lock["children"]["engine"], number)
            give_up = began + PATIENCE
            while any(len(one.ready) == ready for one, (_, ready) in zip(listeners, counts, strict=True)):
                if time.monotonic() > give_up:
                    outcome.violations.append("the engine does not come back")
                    return outcome
                await asyncio.sleep(0.02)
            outcome.trials += 1
            noticed += [one.restarting[-1] - began for one in listeners]
            back += [one.ready[-1] - began for one in listeners]
    outcome.acked = sum(listener.replies for listener in listeners)
    for listener in listeners:
        outcome.violations += listener.violations
    for name, times in (("noticed after", sorted(noticed)), ("ready again after", sorted(back))):
        outcome.measures[f"{name}, p50, s"] = times[len(times) // 2]
        outcome.measures[f"{name}, p95, s"] = times[int(len(times) * 0.95)]
        outcome.measures[f"{name}, p99, s"] = times[int(len(times) * 0.99)]
    return outcome


def run_kills(seed: int, trials: int) -> figures.Outcome:
    """SIGKILL."""
    return _run(seed, trials, signal.SIGKILL)


def run_freezes(seed: int, trials: int) -> figures.Outcome:
    """SIGSTOP: it has work, and makes no step."""
    return _run(seed, trials, signal.SIGSTOP)


KILLS = figures.Figure(
    name="G6",
    claim="The engine is killed in mid-stream: every reply goes on where it was, to its end",
    unit="kills",
    run=run_kills,
    minimum=200,
    goal=1_000,
    slice=25,
    faults="F01",
    limits="On the CPU, with a small model. Acknowledged are whole replies, each compared letter by letter.",
    bounds={"noticed after, p99, s": 1},
)
FREEZES = figures.Figure(
    name="G6b",
    claim="The engine is frozen and only looks alive: it is noticed, replaced, and every reply goes on",
    unit="freezes",
    run=run_freezes,
    minimum=50,
    goal=200,
    slice=10,
    faults="F02",
    limits="The supervisor waits ten seconds for a step before it acts.",
    bounds={"noticed after, p99, s": 12},
)
