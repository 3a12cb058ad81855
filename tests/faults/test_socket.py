"""The chat socket under bad links, bad protocol and bad messages; the smallest tiers of their figures."""

import asyncio

from tests.faults import fuzz, link, rfc6455
from tests.server.stack import Stack


async def test_the_websocket_protocol_is_kept_to_the_letter(talkative: Stack) -> None:
    outcome = await rfc6455.try_all(talkative)
    assert outcome.violations == []
    assert outcome.trials > 500


async def test_text_comes_whole_through_links_that_break(talkative: Stack) -> None:
    asyncio.get_running_loop().set_debug(False)  # it would say of every slow step that it is slow
    outcome = await link.cut(talkative, seed=1, trials=40)
    assert outcome.violations == []
    assert outcome.trials >= 40


async def test_messages_that_are_almost_right_break_nothing(talkative: Stack) -> None:
    asyncio.get_running_loop().set_debug(False)
    outcome = await fuzz.say_all(talkative, seed=1, trials=2_000)
    assert outcome.violations == []
    assert talkative.log is not None
    assert "Traceback" not in talkative.log.read_text(errors="replace")
