"""Is a bad version taken back by itself, and is a good one left alone? A dozen sabotaged ones, and the same one again.

The people have a taste, and the live version has learned it; each sabotaged version is given to a quarter of them. Then
the decision alone is tried two hundred times on versions that are the same.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from backtalk import canary, policies, release, weights
from backtalk.sequential import Evidence
from backtalk.simulate import Crowd, Habits, crowd
from backtalk.tables import Canary, Policy
from backtalk.tastes import TASTES
from backtalk.temporary import Temporary
from bench.report import Row
from bench.sabotage import SABOTAGED

TASTE = "friendly"
PEOPLE = 80
SHARE = 0.25
MOST = 200
"""Replies of the canary within which a bad version must be gone."""
THUMBS = 600
TRIALS = 200
ALPHA = 0.05


async def bench(backtalk: Temporary) -> list[Row]:
    """A row for each sabotaged version, one for the live version once more, and one for the trials of the decision."""
    rows: list[Row] = []
    async with crowd(backtalk.database, backtalk.url, PEOPLE, Habits(TASTES[TASTE], language="en"), seed=1) as visitors:
        await visitors.chat(THUMBS)
        await backtalk.train()
        for name, make in SABOTAGED.items():
            rows.append({"version": name, **await _try(backtalk, visitors, make)})
        rows.append({"version": "the live one again", **await _try(backtalk, visitors, _copy_of_live(backtalk))})
    pulled = sum(trial(seed) for seed in range(TRIALS))
    rows.append({"version": f"{TRIALS} trials of the same, α = {ALPHA}", "taken back": pulled})
    return rows


def trial(seed: int) -> bool:
    """Is a version taken back within 1000 replies although it is the same? People differ, and some rate often."""
    rng = Random(seed)
    evidence = Evidence()
    usual = rng.uniform(0.05, 0.8)
    leaning = [rng.betavariate(2, 2) - 0.5 for _ in range(PEOPLE)]
    busy = [rng.paretovariate(1.2) for _ in range(PEOPLE)]
    inside = [rng.random() < SHARE for _ in range(PEOPLE)]
    for person in rng.choices(range(PEOPLE), busy, k=4000):
        evidence.add("thumbs_down", person, inside[person], rng.random() < usual + leaning[person])
        for measure, rate in (("failed", 0.01), ("length", 0.05), ("latency", 0.05)):
            evidence.add(measure, person, inside[person], rng.random() < rate)
        if evidence.total >= 1 / ALPHA:
            return True
    return False


async def _try(backtalk: Temporary, visitors: Crowd, make: Callable[[Path], None]) -> Row:
    number = await asyncio.to_thread(_publish, backtalk, make)
    with backtalk.database.write() as session:
        # The step is never completed: what ends it is the evidence, or nobody. So few wanted people leave the share as
        # it is.
        release.set_rules(
            session, "bench", canary_shares=[SHARE], canary_people=PEOPLE // 10, canary_replies=10**6, alpha=ALPHA
        )
        canary.begin(session, number, "bench", release.rules(session))
    began = time.monotonic()
    while (row := _read(backtalk, number))[0].state == "canary" and _replies(backtalk, row[1]) < MOST:
        await visitors.chat(PEOPLE)
    decided = time.monotonic()
    policy, ended = _read(backtalk, number)
    last = _last(backtalk, ended)
    if policy.state == "canary":
        with backtalk.database.write() as session:
            policies.roll_back(session, "bench")
    gone = await _until_gone(backtalk, visitors, number)
    return {
        "taken back": policy.state == "withdrawn",
        "canary replies": last.get("replies", 0),
        "people": last.get("people", 0),
        "evidence": round(last.get("evidence", 1.0), 1),
        "seconds": round(decided - began, 1),
        "still served s": round(gone, 2),
        "reason": (policy.reason or "")[:60],
    }


async def _until_gone(backtalk: Temporary, visitors: Crowd, number: int) -> float:
    """Seconds from the decision, or from the rollback by hand, until no new reply comes from the version."""
    with backtalk.database.read() as session:
        found = canary.last(session, number)
        assert found is not None and found.ended_at is not None
        ended = found.ended_at
    await visitors.chat(PEOPLE, judge=False)
    import sqlalchemy as sa
    from sqlmodel import col

    from backtalk.tables import Message, Reply

    with backtalk.database.read() as session:
        last = session.execute(
            sa.select(col(Message.created_at))
            .join(Reply, col(Reply.id) == col(Message.id))
            .where(col(Reply.policy_version) == number)
            .order_by(col(Message.created_at).desc())
            .limit(1)
        ).scalar()
    return max(0.0, (last - ended).total_seconds()) if last is not None else 0.0


def _copy_of_live(backtalk: Temporary) -> Callable[[Path], None]:
    with backtalk.database.read() as session:
        live = policies.live(session)
    assert live is not None
    directory = backtalk.settings.weights_dir / live.directory
    return lambda made: weights.copy_model(directory, made)


def _publish(backtalk: Temporary, make: Callable[[Path], None]) -> int:
    settings = backtalk.settings
    made = weights.workspace(settings.weights_dir)
    make(made)
    with backtalk.database.write() as session:
        number = policies.next_number(session)
        key = weights.signing_key(settings.keys_dir)
        directory, manifest = weights.publish(made, settings.weights_dir, key, number=number)
        policies.add(session, number, directory.name, manifest.digest)
    return number


def _read(backtalk: Temporary, number: int) -> tuple[Policy, Canary]:
    with backtalk.database.read() as session:
        found = canary.last(session, number)
        assert found is not None
        return session.get_one(Policy, number), found


def _last(backtalk: Temporary, found: Canary) -> Row:
    with backtalk.database.read() as session:
        look = canary.newest_look(session, found)
    return dict(look.content) if look is not None else {}


def _replies(backtalk: Temporary, found: Canary) -> int:
    return int(_last(backtalk, found).get("replies", 0))
