"""What a message, a socket and an opinion cost a server, and what that means for many people: `python -m bench.scale`.

The costs are measured on one server with a scripted engine, so that they are the server's alone. The sizes come from a
simulation of the busiest hour, step by step as an engine steps: each step takes a fixed time and some more for each
reply in it, and gives every reply one token. It is checked against the scripted engine, whose steps are known.
"""

import argparse
import asyncio
import contextlib
import heapq
import random
import sqlite3
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import httpx2 as httpx

from backtalk.simulate import people_with_keys
from bench.gateway import _read, _resident, _socket, lone_server
from bench.peers.job import cpu_of
from bench.report import Row, percentile, show

MESSAGES_A_DAY = 10
"""Of one person. One hour of the day has an eighth of them."""
PEAK = 1 / 8
TOKENS = 200
"""Of a reply, on the average; their lengths are spread geometrically."""
PROMPT = 400
OPINION_SHARE = 0.1
SIZES = (10, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)


@dataclass(frozen=True, slots=True)
class Engine:
    """How fast one replica steps: `fixed + each * replies` seconds, with at most `seats` replies in it."""

    name: str
    fixed: float
    each: float
    seats: int

    @classmethod
    def from_roofline(cls, name: str, parameters: float, bandwidth: float, flops: float, seats: int) -> "Engine":
        """bf16 weights are read once a step; each reply adds its arithmetic and the reading of its cache.

        Args:
            bandwidth: bytes a second of its memory. Half of it and a third of `flops` are reached.
        """
        cache = PROMPT * 1.3e5 * parameters / 8e9  # bytes: some 130 kB a token of an 8B model with grouped queries
        return cls(name, 2 * parameters / (0.5 * bandwidth), cache / (0.5 * bandwidth) + 6 * parameters / flops, seats)


ENGINES = (
    Engine("shape S on one CPU core", 0.0036, 0.00086, 64),  # fitted to the figures of docs/performance.md
    Engine.from_roofline("8B on an L4 (24 GB)", 8e9, 0.3e12, 121e12, 16),
    Engine.from_roofline("8B on an H100 (80 GB)", 8e9, 3.35e12, 989e12, 256),
)


@dataclass(order=True, slots=True)
class Asked:
    """A message on its way."""

    at: float
    tokens: int = field(compare=False)
    first: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Hour:
    """How a busy hour went for one replica."""

    first: float
    """Seconds until the first token, of 95 in 100."""
    between: float
    """Seconds from one token to the next, of 95 in 100."""
    busy: float
    """Share of the time with work."""


def hour(engine: Engine, messages: float, seed: int = 0, seconds: float = 3600.0) -> Hour:
    """One replica in an hour with so many messages a second, at random moments."""
    chance = random.Random(seed)
    arrivals, at = [], 0.0
    while messages > 0 and (at := at + chance.expovariate(messages)) < seconds:
        length = max(1, round(chance.expovariate(1 / TOKENS)))
        arrivals.append(Asked(at, length))
    return run(engine, arrivals, seconds)


def run(engine: Engine, arrivals: Iterable[Asked], seconds: float) -> Hour:
    """Step through these messages, first come first served."""
    coming, running = list(arrivals), list[Asked]()
    heapq.heapify(coming)
    now = busy = 0.0
    firsts, gaps = list[float](), list[tuple[float, int]]()
    while coming or running:
        if not running and coming[0].at > now:
            now = coming[0].at
        while coming and coming[0].at <= now and len(running) < engine.seats:
            running.append(heapq.heappop(coming))
        step = engine.fixed + engine.each * len(running)
        now, busy = now + step, busy + step
        gaps.append((step, len(running)))
        for asked in running:
            if not asked.first:
                asked.first = now
                firsts.append(now - asked.at)
            asked.tokens -= 1
        running = [asked for asked in running if asked.tokens > 0]
    return Hour(percentile(firsts, 0.95) if firsts else 0.0, _weighted(gaps, 0.95), busy / max(now, seconds))


def _weighted(gaps: list[tuple[float, int]], share: float) -> float:
    total, passed = share * sum(count for _, count in gaps), 0
    for gap, count in sorted(gaps):
        passed += count
        if passed >= total:
            return gap
    return 0.0


def carries(engine: Engine) -> float:
    """Messages a second that one replica answers, with a first token in a second and 8 tokens a second, 95 in 100."""
    low, high = 0.0, engine.seats / (TOKENS * engine.fixed)
    for _ in range(9):
        middle = (low + high) / 2
        found = hour(engine, middle, seconds=600.0)
        low, high = (middle, high) if found.first <= 1.0 and found.between <= 0.125 else (low, middle)
    return low


def sizes(message_cpu: float, opinion_cpu: float, message_bytes: float) -> list[Row]:
    """What so many people a day need in their busiest hour; a server is kept at half of one core."""
    able = {engine.name: carries(engine) for engine in ENGINES}
    rows: list[Row] = []
    for people in SIZES:
        rate = people * MESSAGES_A_DAY * PEAK / 3600
        cpu = rate * (message_cpu + OPINION_SHARE * opinion_cpu)
        row: Row = {"people a day": people, "messages/s": round(rate, 2), "server cores": max(1, _up(cpu / 0.5))}
        row |= {f"replicas: {name}": _up(rate / one) if one else "-" for name, one in able.items()}
        rows.append({**row, "GB a year": round(people * MESSAGES_A_DAY * 365 * message_bytes / 1e9, 1)})
    return rows


def _up(value: float) -> int:
    return max(1, -(-int(value * 1000) // 1000))


async def costs(streams: int = 8, replies: int = 8, tokens: int = 100) -> tuple[list[Row], float, float, float]:
    """CPU and disk of the server for each thing that people do; also the three numbers that `sizes` asks for."""
    async with lone_server() as (database, url, clock, process):
        clock.rate = 100
        with people_with_keys(database, streams) as keys:
            await asyncio.gather(*(_read(url, key, 4) for key in keys.values()))  # warm
            file = database.url.removeprefix("sqlite:///")
            size, cpu, began = _size(file), cpu_of(process), time.perf_counter()
            for _ in range(replies):
                await asyncio.gather(*(_read(url, key, tokens) for key in keys.values()))
            seconds, count = time.perf_counter() - began, streams * replies
            message = (cpu_of(process) - cpu) / count
            stored = (_size(file) - size) / count
            opinion = await _opinions(url, list(keys.values()), process)
            before = _resident(process)
            sockets = [await _socket(url, key) for key in keys.values() for _ in range(4)]
            socket = (_resident(process) - before) / len(sockets)
            for one in sockets:
                await one.close()
    foretold = run(Engine("script", 0.01, 0.0, 1 << 10), [Asked(0.0, tokens) for _ in range(streams)], 1.0)
    rows: list[Row] = [
        {
            "what": f"message with a reply of {tokens} tokens",
            "CPU ms": round(1000 * message, 2),
            "bytes": round(stored),
        },
        {"what": "opinion", "CPU ms": round(1000 * opinion, 1), "bytes": ""},
        {"what": "idle socket", "CPU ms": "", "bytes": round(socket)},
        {"what": "seconds of a reply, measured", "CPU ms": "", "bytes": round(seconds / replies, 3)},
        {"what": "seconds of a reply, simulated", "CPU ms": "", "bytes": round(tokens * foretold.between, 3)},
    ]
    return rows, message, opinion, stored


async def _opinions(url: str, keys: list[str], process: int) -> float:
    """CPU seconds of one opinion: a thumb with a score on a reply, stored and acknowledged."""
    times = []
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for key in keys:
            headers = {"Authorization": f"Bearer {key}"}
            talks = (await client.get("/api/conversations", headers=headers)).json()["items"][:5]
            cpu = cpu_of(process)
            for talk in talks:
                messages = (await client.get(f"/api/conversations/{talk['id']}/messages", headers=headers)).json()[
                    "items"
                ]
                path = f"/api/messages/{messages[-1]['id']}/feedback"
                for rating in (1, -1, 1, -1):
                    given = {"rating": rating, "labels": {"quality": 4}}
                    (await client.put(path, json=given, headers=headers)).raise_for_status()
            times.append(
                (cpu_of(process) - cpu) / max(1, 5 * len(talks))
            )  # one of the five is the look at the messages
    return statistics.median(times)


def _size(file: str) -> int:
    """Bytes of a database whose log has been written into it."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return Path(file).stat().st_size


def main() -> None:
    """Measure, then size."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.parse_args()
    rows, message, opinion, stored = asyncio.run(costs())
    show("costs of one server", rows, None)
    show("replicas in the busiest hour", sizes(message, opinion, stored), None)


if __name__ == "__main__":
    main()
