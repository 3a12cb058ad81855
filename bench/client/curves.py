"""`python -m bench.client.curves [--json FILE]`: what the page of a run costs while its curves grow.

The client must be built (`make install`). The steps are laid into the database of a real server as a learner writes
them, fifty a second, each with the measures of PPO; the page hears of them on its socket.
"""

import argparse
import asyncio
import math
import time
from pathlib import Path
from random import Random
from uuid import UUID

import sqlalchemy as sa
from playwright.sync_api import Page
from sqlmodel import Session

from backtalk import people
from backtalk.database import Database
from backtalk.tables import Metric, Run, now
from bench.client import page as pages
from bench.gateway import lone_server
from bench.report import Row, show
from server.access import sign_in

MEASURES = (
    "reward",
    "kl",
    "length",
    "entropy",
    "policy_loss",
    "value_loss",
    "clipped",
    "ended",
    "ess",
    "explained_variance",
    "reward_spread",
    "change",
    "ppo_gradient",
)
SECONDS, A_SECOND = 20, 50


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.client.curves", description="Measure the page of a run.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the figures to this file")
    show("console, curves of a run", asyncio.run(_bench()), parser.parse_args().json)


async def _bench() -> list[Row]:
    async with lone_server() as (database, url, _, _):
        with database.write() as session:
            secret = sign_in(session, people.add(session, "the operator", "operator"))
        return [await asyncio.to_thread(_measure, database, url, secret, steps) for steps in (200, 20_000)]


def _measure(database: Database, url: str, secret: str, steps: int) -> Row:
    with database.write() as session:
        run = Run(state="running", stage="policy", progress=0.5, from_version=0, started_at=now())
        session.add(run)
        session.flush()
        _lay(session, run.id, range(1, steps + 1))

    def grow(page: Page) -> None:
        began, last = time.monotonic(), steps
        for second in range(1, 2 * SECONDS + 1):
            with database.write() as session:
                _lay(session, run.id, range(last + 1, last + 1 + A_SECOND // 2))
            last += A_SECOND // 2
            page.wait_for_timeout(max(0.0, 1000 * (began + second / 2 - time.monotonic())))
        page.wait_for_function("(last) => document.querySelector('figure').innerText.includes(last)", arg=str(last))

    with pages.chromium() as browser:
        row = pages.growing(browser, url, f"/operate/runs/{run.id}", secret, grow)
    with database.write() as session:
        session.delete(session.get_one(Run, run.id))
    return {"steps before": steps, "steps that come": SECONDS * A_SECOND, **row}


def _lay(session: Session, run_id: UUID, steps: range) -> None:
    random = Random(steps.start)
    rows = [
        {
            "run_id": run_id,
            "step": step,
            "stage": "policy",
            "at": now(),
            "values": {name: math.log(step + 1) + random.gauss(0, 1) for name in MEASURES},
        }
        for step in steps
    ]
    session.execute(sa.insert(Metric), rows)


if __name__ == "__main__":
    main()
