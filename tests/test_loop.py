"""The whole loop in small, over the real processes: people chat and rate, a run learns, the swap happens under running
replies, and the same people like the new version more. Where opinions mean nothing, nothing changes.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from sqlmodel import col, select

from backtalk import instance, runs
from backtalk.database import Database
from backtalk.simulate import Habits, crowd, people_with_keys
from backtalk.starter.prompts import sample_prompts
from backtalk.tables import Message, Metric, Policy, Reply, Run, Sample
from backtalk.tastes import TASTES
from backtalk.temporary import Temporary, temporary
from bench.streams import Timed, talk_together
from learner.sequences import Exchange, collate, load, logprobs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

TASTE = TASTES["brief"]  # a quarter of the first version's replies have it: 300 thumbs are enough to judge by
PEOPLE, THUMBS, ASKED, STREAMS = 15, 300, 200, 20
RECIPE: dict[str, Any] = {
    "distill": {"prompts": 150, "draws": 2},
    "ppo": {"iterations": 2, "episodes": 96, "minibatch": 48},
    "sampling": {"maximum_tokens": 64},
    "gate": {"prompts": 100},
    "steps": [0.7, 0.5, 0.3],  # so small a run loses right answers on the whole way
}
PATIENCE = 900.0  # seconds; no test depends on how long anything takes


async def test_people_like_the_version_that_learned_from_them() -> None:
    async with (
        temporary() as backtalk,
        crowd(backtalk.database, backtalk.url, PEOPLE, Habits(TASTE), seed=7) as visitors,
    ):
        before = (await visitors.chat(THUMBS)).of(0)
        processes = _processes(backtalk)
        with backtalk.database.write() as session:
            runs.queue(session, RECIPE)
        await _until(backtalk.database, "gate")
        streams = asyncio.create_task(_stream_until_swapped(backtalk))
        run = await _until(backtalk.database)
        replies = await streams
        after = (await visitors.chat(ASKED, judge=False)).of(1)

        # It learned, and people see it.
        assert run.state == "promoted", run.error
        assert run.counts["opinions"] == THUMBS
        assert after.replies == ASKED, "the swap had happened, so everybody was answered by version 1"
        assert after.interval()[0] > before.interval()[1], (before, after)
        assert after.right / after.replies > before.right / before.replies - 0.1, (before, after)
        assert _reward_rose(backtalk.database, run)

        # Nobody was interrupted: same processes, no reply lost, torn or of two versions.
        assert _processes(backtalk) == processes
        assert all(reply.is_whole for reply in replies)
        assert {reply.version for reply in replies} == {0, 1}
        for number in (0, 1):
            _check_written_by_one_version(backtalk, number)


async def test_opinions_that_mean_nothing_change_nothing() -> None:
    """The same loop with thumbs by the toss of a coin: the gate says no, and says why."""
    quick = {**RECIPE, "distill": {"rounds": 0}, "ppo": {"iterations": 1}}
    async with (
        temporary() as backtalk,
        crowd(backtalk.database, backtalk.url, PEOPLE, Habits(TASTE, flip=0.5, rewrite=0.0), seed=8) as visitors,
    ):
        await visitors.chat(THUMBS // 2)
        with backtalk.database.write() as session:
            runs.queue(session, quick)
        run = await _until(backtalk.database)
        tally = await visitors.chat(20, judge=False)
    assert run.state == "rejected"
    assert run.error
    assert set(tally.scores) == {0}


async def _until(database: Database, stage: str | None = None) -> Run:
    """Wait until the one run has ended, or has reached a stage."""
    give_up = time.monotonic() + PATIENCE
    while True:
        with database.read() as session:
            run = session.exec(select(Run)).one()
        if run.state in runs.ENDED or (stage and run.stage == stage):
            return run
        assert time.monotonic() < give_up, f"the run is still {run.state} ({run.stage})"
        await asyncio.sleep(0.1)


async def _stream_until_swapped(backtalk: Temporary) -> Sequence[Timed]:
    """Many people write all the time, until the new version has answered some of them or there will be none."""
    replies: list[Timed] = []
    give_up = time.monotonic() + PATIENCE
    with people_with_keys(backtalk.database, STREAMS) as keys:
        for round_ in range(1_000_000):
            prompts = [prompt.text for prompt in sample_prompts(STREAMS, seed=round_)]
            said = await talk_together(
                backtalk.url, list(keys.values()), [[text] for text in prompts], {"max_tokens": 128, "temperature": 1.0}
            )
            replies += said
            with backtalk.database.read() as session:
                state = session.exec(select(Run.state)).one()
            if (state in runs.ENDED and state != "promoted") or any(reply.version == 1 for reply in said):
                return replies
            assert time.monotonic() < give_up, "the new version never answered"
            await asyncio.sleep(2.1)  # thirty prompts a minute and person are allowed
    raise AssertionError


def _processes(backtalk: Temporary) -> dict[str, Any]:
    told = instance.running(backtalk.settings.data_dir)
    assert told is not None
    return dict(told["children"])


def _reward_rose(database: Database, run: Run) -> bool:
    """On held-out questions, and by the curve of PPO's own rollouts against the live version's ordinary reply (0)."""
    with database.read() as session:
        samples = session.exec(select(Sample).where(Sample.run_id == run.id)).all()
        metrics = session.exec(select(Metric).where(Metric.run_id == run.id).order_by(col(Metric.step))).all()
    last = [metric.values["reward"] for metric in metrics if "reward" in metric.values][-1]
    gained = sum(sample.reward_after - sample.reward_before for sample in samples)
    return last > 0.2 and gained > 0 and run.report["gate"]["gain"]["low"] > 0


def _check_written_by_one_version(backtalk: Temporary, number: int) -> None:
    """What was stored as a reply's log-probs is what its version, and no other, gives it."""
    with backtalk.database.read() as session:
        directories = {p.number: backtalk.settings.weights_dir / p.directory for p in session.exec(select(Policy))}
        rows = session.exec(
            select(Message, Reply)
            .join(Reply, col(Reply.id) == col(Message.id))
            .where(col(Reply.policy_version) == number, col(Message.state) == "done")
            .order_by(col(Message.created_at).desc())
            .limit(100)
        ).all()
    assert len(rows) >= 20
    stored = [np.frombuffer(reply.logprobs, "<f4") for _, reply in rows]
    exchanges = [Exchange(_ids(reply.prompt), _ids(reply.tokens), message.content) for message, reply in rows]
    gaps = {}
    for version, directory in directories.items():
        policy = load(directory)
        with torch.no_grad():
            found = [
                logprobs(policy, collate([exchange]), reply.sampling["temperature"])[0].numpy()
                for exchange, (_, reply) in zip(exchanges, rows, strict=True)
            ]
        gaps[version] = [float(np.abs(a - b).max()) for a, b in zip(stored, found, strict=True)]
    assert max(gaps[number]) < 1e-2
    assert np.median(gaps[1 - number]) > 0.1


def _ids(stored: bytes) -> tuple[int, ...]:
    return tuple(np.frombuffer(stored, "<i4").tolist())


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
