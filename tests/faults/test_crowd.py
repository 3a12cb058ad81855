"""People who leave and people who do not read; the smallest tiers of `crowd.py`."""

import asyncio

from tests.faults import crowd
from tests.server.stack import Stack


async def test_who_leaves_in_the_middle_leaves_nothing_behind(talkative: Stack) -> None:
    asyncio.get_running_loop().set_debug(False)
    outcome = await crowd.leave(talkative, seed=1, trials=30)
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
