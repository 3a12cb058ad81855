"""People who leave and people who do not read; the smallest tiers of `crowd.py`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from backtalk.engine import wire
from backtalk.engine.client import LocalEngine
from backtalk.engine.sampling import Sampling
from tests.faults import crowd
from tests.server.stack import Stack


async def test_who_leaves_in_the_middle_leaves_nothing_behind(talkative: Stack) -> None:
    asyncio.get_running_loop().set_debug(False)
    outcome = await crowd.leave(talkative, seed=1, trials=30)
    assert outcome.violations == []


async def test_a_slot_that_stays_taken_is_found(talkative: Stack) -> None:
    asyncio.get_running_loop().set_debug(False)
    assert await crowd.until_quiet(talkative) == {}
    async with _engine(talkative) as engine:
        _take_a_slot(engine)
        assert (await crowd.until_quiet(talkative, patience=0))["slots are taken"] >= 1


async def test_a_title_that_is_begun_once_all_have_left_is_not_taken_for_a_slot_that_they_kept(
    talkative: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.get_running_loop().set_debug(False)
    at_work, quiet = crowd.at_work, 0

    async def look_and_begin_a_title(stack: Stack) -> int:
        nonlocal quiet
        if not (taken := await at_work(stack)):
            quiet += 1
            if quiet == 2:  # before they come it is quiet too
                _take_a_slot(engine)
        return taken

    monkeypatch.setattr(crowd, "at_work", look_and_begin_a_title)
    async with _engine(talkative) as engine:
        outcome = await crowd.leave(talkative, seed=1, trials=0)
    assert quiet == 2
    assert outcome.violations == []


async def test_so_many_wait_that_the_next_is_told_to_come_back() -> None:
    asyncio.get_running_loop().set_debug(False)
    with crowd.stack_of(slots=1) as stack:
        async with crowd.Pool(stack).open(6) as pool:
            for number in range(8):
                await pool.ask(number)
            await crowd._until(lambda: len(pool.refused) + pool.done >= 8)
    assert pool.violations == []
    assert pool.done >= 5
    assert len(pool.refused) >= 1


@contextlib.asynccontextmanager
async def _engine(stack: Stack) -> AsyncIterator[LocalEngine]:
    """The stack's engine as the server has it; what was asked of it and has not ended is cancelled at the end."""
    engine = LocalEngine(wire.address(stack.data_dir))
    await engine.connect()
    try:
        yield engine
    finally:
        await engine.close()


def _take_a_slot(engine: LocalEngine) -> None:
    """Begin what takes much longer than a look."""
    engine.generate([1], max(engine.versions), Sampling(max_tokens=8000), priority="rollout", group="titles")
