"""How soon what an operator does takes effect: versions, schedules, a run that is cancelled, a changed mixture.

Versions count as changed once somebody who asks gets a reply of the other one; people chat meanwhile.
"""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle
from uuid import UUID

import httpx2
from sqlmodel import select

from backtalk import people
from backtalk.simulate import Crowd, Habits, Tally, crowd, people_with_keys
from backtalk.tables import Json, Run, Slot
from backtalk.tastes import TASTES
from backtalk.temporary import Temporary
from bench.report import Row, percentile, tell
from bench.swap import publish_copy

PEOPLE = 20
THUMBS = 300
ASKERS = 100
"""They ask in turn, without a pause, which version there is; each may ask only so often."""
MOVES = 10
"""Versions that are promoted, and as many that are taken back."""
_HASTY: Json = {"reward_model": {"steps": 1}}
STAGES: dict[str, Json] = {
    "reward_model": {},
    "policy": _HASTY,
    "gate": {**_HASTY, "algorithm": "distill", "distill": {"prompts": 20, "epochs": 1}},
}
"""A run is cancelled in each of them. Its recipe makes short what comes before: nobody looks at what it has learned."""
BEFORE = 2.0
"""Seconds before a full minute at which a schedule is changed so that it shall fire then."""
DRAWS = 8
"""Replies drawn to each of the twenty questions of a preview."""
PREVIEWS = 3
PATIENCE = 600.0
"""Seconds after which what has not come will not come."""


async def bench(backtalk: Temporary) -> list[Row]:
    """A row for each thing that operators do."""
    with backtalk.database.write() as session:
        operator = people.add(session, "the operator", "operator")
        key = people.add_key(session, operator).secret
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        crowd(backtalk.database, backtalk.url, PEOPLE, Habits(TASTES["friendly"]), seed=1) as visitors,
        httpx2.AsyncClient(base_url=backtalk.url, headers=headers, timeout=120) as client,
    ):
        await visitors.chat(THUMBS, progress=_count)
        chatting = asyncio.create_task(_chat(visitors))
        with people_with_keys(backtalk.database, ASKERS) as keys:
            rows = await _versions(backtalk, client, cycle(keys.values()))
        chatting.cancel()
        previewed = [await _preview(client) for _ in range(PREVIEWS)]
        rows.append(_row("a mixture is previewed on 20 questions", previewed, None))
        rows.append(_row("a schedule is changed: its time comes, to its run", [await _schedule(backtalk, client)], 2.0))
        rows.append(_row("a run is cancelled", [await _cancel(backtalk, client, stage) for stage in STAGES], 5.0))
        return rows


def _count(_: Tally, replies: int) -> None:
    if replies % 50 == 0:
        tell(f"{replies} of {THUMBS} replies have their thumb")


def _row(what: str, seconds: list[float], goal: float | None) -> Row:
    return {
        "what": what,
        "times": len(seconds),
        "p50 s": round(percentile(seconds, 0.5), 2),
        "longest s": round(max(seconds), 2),
        "goal s": goal,
    }


async def _chat(visitors: Crowd) -> None:
    while True:
        await visitors.chat(PEOPLE, judge=False)


async def _versions(backtalk: Temporary, client: httpx2.AsyncClient, keys: Iterator[str]) -> list[Row]:
    promoted, rolled_back = [], []
    for number in range(1, MOVES + 1):
        await asyncio.to_thread(publish_copy, backtalk, number)
        began = time.monotonic()
        (await client.post(f"/api/operate/policies/{number}/promote", json={"reason": "bench"})).raise_for_status()
        promoted.append(await _until_served(client, keys, number) - began)
        began = time.monotonic()
        (await client.post("/api/operate/policies/rollback", json={"reason": "bench"})).raise_for_status()
        rolled_back.append(await _until_served(client, keys, 0) - began)
        tell(f"{number} of {MOVES} versions were promoted and taken back")
    return [_row("a version is promoted", promoted, 2.0), _row("a version is rolled back", rolled_back, 2.0)]


async def _until_served(client: httpx2.AsyncClient, keys: Iterator[str], number: int) -> float:
    """When a reply of this version came that was asked for after that."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
        headers = {"Authorization": f"Bearer {next(keys)}"}
        response = await client.post("/v1/chat/completions", json=body, headers=headers)
        if response.status_code != 200:
            raise RuntimeError(f"nobody answered while versions changed: {response.text}")
        answer = response.json()
        if answer["backtalk"]["policy_version"] == number:
            return time.monotonic()
    raise RuntimeError(f"nobody got a reply of version {number} within {PATIENCE:.0f} s")


async def _preview(client: httpx2.AsyncClient) -> float:
    began = time.monotonic()
    asked = {"weights": {"preference": 1.0, "brevity": 1.0}, "draws": DRAWS}
    (await client.post("/api/operate/rewards/preview", json=asked)).raise_for_status()
    tell("a mixture was previewed")
    return time.monotonic() - began


async def _schedule(backtalk: Temporary, client: httpx2.AsyncClient) -> float:
    """Seconds from the planned time to the slot's row; the schedule names that time only since just before."""
    given = {"name": "bench", "cron": "0 0 1 1 *", "minimum_feedback": 10**6}
    made = (await client.post("/api/operate/schedules", json=given)).raise_for_status().json()
    wait = 60 - (time.time() + BEFORE) % 60
    tell(f"a schedule is changed in {wait:.0f} s, just before a full minute")
    await asyncio.sleep(wait)
    planned = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    changed = {"cron": f"{planned.minute} {planned.hour} * * *"}
    (await client.patch(f"/api/operate/schedules/{made['id']}", json=changed)).raise_for_status()
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with backtalk.database.read() as session:
            slot = session.exec(select(Slot).where(Slot.planned_at == planned)).first()
        if slot is not None:
            return (slot.at - planned).total_seconds()
        await asyncio.sleep(0.05)
    raise RuntimeError(f"{planned:%H:%M} went by without a slot of the schedule that named it; was the machine busy?")


async def _cancel(backtalk: Temporary, client: httpx2.AsyncClient, stage: str) -> float:
    """Seconds from the word until the run has ended, in a stage of it."""
    run = (await client.post("/api/operate/runs", json={"recipe": STAGES[stage]})).raise_for_status().json()["id"]
    until, told = time.monotonic() + PATIENCE, None
    while (found := _run(backtalk, run)).stage != stage:
        if found.state not in ("queued", "running") or time.monotonic() > until:
            raise RuntimeError(f"the run did not come to its {stage}, it is {found.state}: {found.error}")
        if found.stage != told:
            told = found.stage
            tell(f"the run that shall be cancelled in its {stage} is in its {told}")
        await asyncio.sleep(0.05)
    began = time.monotonic()
    (await client.post(f"/api/operate/runs/{run}/cancel")).raise_for_status()
    while _run(backtalk, run).state == "running":
        if time.monotonic() > began + PATIENCE:
            raise RuntimeError(f"the run was not cancelled within {PATIENCE:.0f} s")
        await asyncio.sleep(0.02)
    seconds = time.monotonic() - began
    tell(f"a run was cancelled in its {stage} within {seconds:.1f} s")
    return seconds


def _run(backtalk: Temporary, run: str) -> Run:
    with backtalk.database.read() as session:
        return session.get_one(Run, UUID(run))
