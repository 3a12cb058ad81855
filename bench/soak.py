"""A long time at a steady load: people come, ask, judge and go, versions change under them; does anything grow?

First some ask without a pause: what they get is the peak. Then people come one by one, at 70 % of it, each on a
connection of their own, and leave with an opinion. Every quarter of an hour a training runs beside them, and a version
goes live. What grows from the end of the first quarter on is told as a slope, an hour.
"""

import asyncio
import contextlib
import itertools
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from websockets.exceptions import WebSocketException

from backtalk import instance, policies, runs
from backtalk.simulate import people_with_keys
from backtalk.starter.prompts import sample_prompts
from backtalk.tables import Run
from backtalk.temporary import Temporary
from bench.report import Row, milliseconds, percentile
from bench.streams import talk_together
from bench.swap import publish_copy

LOAD = 0.7
CROWD = 8
PROBE_QUESTIONS = 6
SAMPLING = {"max_tokens": 64, "temperature": 1.0}
LOOK_SECONDS = 5.0
A_MINUTE = 15
"""Questions of one person in a minute at most: half of what the limits allow."""
QUICK: dict[str, Any] = {
    "algorithm": "distill",
    "reward_model": {"steps": 40},
    "distill": {"draws": 1, "prompts": 100, "epochs": 1},
    "gate": {"prompts": 60},
}
"""A training that does all that one does, in a minute or two."""


@dataclass(slots=True)
class Load:
    """What came of those who came."""

    visits: int = 0
    wrong: list[str] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    """Seconds from each question to the first text."""
    trained: list[str] = field(default_factory=list)
    """How each training ended."""
    swaps: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """One process at one moment."""

    at: float  # seconds
    mib: float  # resident
    descriptors: int
    tasks: int  # threads; in the server also the tasks of its event loop


async def bench(backtalk: Temporary, minutes: float, every: float) -> tuple[list[Row], list[Row]]:
    """What came of the load, and how each process fared.

    Args:
        minutes: how long.
        every: minutes from one training to the next.
    """
    rate = LOAD * await _peak(backtalk)
    load, looks = Load(), dict[str, list[Look]]()
    with people_with_keys(backtalk.database, max(CROWD, round(rate * 60 / A_MINUTE) + 1)) as keys:
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            learning = group.create_task(_learn(backtalk, load, 60 * every))
            looking = group.create_task(_look(backtalk, looks))
            await _come(backtalk.url, list(keys.values()), rate, 60 * minutes, load)
            learning.cancel()
            await asyncio.sleep(LOOK_SECONDS)  # a last look, when all have gone
            looking.cancel()
    hours = (time.monotonic() - began) / 3600
    return [_came(load, rate, hours)], [_grew(name, found, began) for name, found in looks.items()]


# The load ------------------------------------------------------------------------------------------------------------


async def _peak(backtalk: Temporary) -> float:
    """Replies a second when nobody pauses."""
    with people_with_keys(backtalk.database, CROWD) as keys:
        prompts = [prompt.text for prompt in sample_prompts(CROWD * PROBE_QUESTIONS, seed=1)]
        questions = [prompts[at::CROWD] for at in range(CROWD)]
        replies = await talk_together(backtalk.url, list(keys.values()), questions, SAMPLING)
    return len(replies) / (max(reply.ended for reply in replies) - min(reply.asked for reply in replies))


async def _come(url: str, keys: Sequence[str], rate: float, seconds: float, load: Load) -> None:
    """Have somebody come at every beat, whether those before have left or not."""
    began, questions = time.monotonic(), _questions()
    alone = httpx2.Limits(max_keepalive_connections=0)  # nobody finds a connection that somebody left open
    async with httpx2.AsyncClient(base_url=url, timeout=60, limits=alone) as client, asyncio.TaskGroup() as visits:
        for number, key in enumerate(itertools.cycle(keys)):
            at = began + number / rate
            if at - began > seconds:
                break
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            visits.create_task(_visit(client, key, next(questions), number, load))


async def _visit(client: httpx2.AsyncClient, key: str, text: str, number: int, load: Load) -> None:
    """Come, ask, judge, go."""
    load.visits += 1
    try:
        (reply,) = await talk_together(str(client.base_url), [key], [[text]], SAMPLING)
        if not reply.is_whole:
            load.wrong.append(f"a reply was {reply.state}, with {len(reply.numbers)} pieces")
        load.firsts.append(reply.first if reply.arrivals else reply.ended - reply.asked)
        opinion: Row = {"rating": 1 if number % 3 else -1, "reasons": []}
        headers = {"Authorization": f"Bearer {key}"}
        told = await client.put(f"/api/messages/{reply.id}/feedback", json=opinion, headers=headers)
        if told.status_code != 200:
            load.wrong.append(f"an opinion was answered with {told.status_code}")
    except (OSError, RuntimeError, WebSocketException, httpx2.HTTPError) as error:
        load.wrong.append(f"{type(error).__name__}: {error}")


def _questions() -> Iterator[str]:
    for seed in itertools.count(2):
        yield from (prompt.text for prompt in sample_prompts(500, seed=seed))


async def _learn(backtalk: Temporary, load: Load, every: float) -> None:
    """Train again and again; where nothing comes of it, a copy of the live version goes live."""
    while True:
        await asyncio.sleep(every / 2)  # so that there are opinions to learn from
        began = time.monotonic()
        run_id = await asyncio.to_thread(_queue, backtalk)
        state = ""
        while state not in runs.ENDED:
            await asyncio.sleep(1)
            state = await asyncio.to_thread(_state, backtalk, run_id)
        load.trained.append(state)
        if state != "promoted":
            await asyncio.to_thread(_swap, backtalk)
        load.swaps += 1
        await asyncio.sleep(max(0.0, every / 2 - (time.monotonic() - began)))


def _queue(backtalk: Temporary) -> UUID:
    with backtalk.database.write() as session:
        return runs.queue(session, QUICK).id


def _state(backtalk: Temporary, run_id: UUID) -> str:
    with backtalk.database.read() as session:
        return session.get_one(Run, run_id).state


def _swap(backtalk: Temporary) -> None:
    with backtalk.database.read() as session:
        number = policies.next_number(session)
    publish_copy(backtalk, number)
    with backtalk.database.write() as session:
        policies.go_live(session, number, "bench")


# What it costs -------------------------------------------------------------------------------------------------------


async def _look(backtalk: Temporary, looks: dict[str, list[Look]]) -> None:
    """Look at every process again and again."""
    async with httpx2.AsyncClient(base_url=backtalk.url, timeout=60) as client:
        while True:
            found = instance.running(backtalk.settings.data_dir) or {}
            for name, pid in {"supervisor": found.get("pid"), **found.get("children", {})}.items():
                with contextlib.suppress(OSError):
                    tasks = await _loop_tasks(client) if name == "server" else 0
                    looks.setdefault(name, []).append(_process(pid, tasks))
            await asyncio.sleep(LOOK_SECONDS)


async def _loop_tasks(client: httpx2.AsyncClient) -> int:
    found = re.search(r"^backtalk_tasks ([0-9.]+)", (await client.get("/metrics")).text, re.MULTILINE)
    return int(float(found[1])) if found else 0


def _process(pid: int, tasks: int) -> Look:
    place = Path(f"/proc/{pid}")
    status = dict(line.split(":\t", 1) for line in (place / "status").read_text().splitlines() if ":\t" in line)
    mib = int(status["VmRSS"].split()[0]) / 1024
    return Look(time.monotonic(), mib, sum(1 for _ in (place / "fd").iterdir()), int(status["Threads"]) + tasks)


def _came(load: Load, rate: float, hours: float) -> Row:
    return {
        "minutes": round(60 * hours, 1),
        "replies/s": round(rate, 2),
        "visits": load.visits,
        "wrong": len(load.wrong),
        "first text p50 ms": milliseconds(percentile(load.firsts, 0.5)),
        "p95 ms": milliseconds(percentile(load.firsts, 0.95)),
        "trainings": len(load.trained),
        "promoted": load.trained.count("promoted"),
        "swaps": load.swaps,
        "such as": load.wrong[0][:80] if load.wrong else "",
    }


def _grew(name: str, looks: Sequence[Look], began: float) -> Row:
    """First, last and slope of each, after the first quarter of the time."""
    warm = [look for look in looks if look.at - began > (looks[-1].at - began) / 4]
    row: Row = {"process": name}
    for title, values in (
        ("MiB", [look.mib for look in warm]),
        ("descriptors", [float(look.descriptors) for look in warm]),
        ("tasks", [float(look.tasks) for look in warm]),
    ):
        hours = [look.at / 3600 for look in warm]
        slope = statistics.linear_regression(hours, values).slope if len(set(hours)) > 1 else float("nan")
        row |= {title: f"{values[0]:.0f} to {values[-1]:.0f}", f"{title} an hour": round(slope, 1)}
    return row
