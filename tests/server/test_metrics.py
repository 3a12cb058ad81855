"""What the engine says of itself is there for Prometheus, and for whoever asks for the status."""

import asyncio
import re
from typing import Any, NoReturn, cast

from sqlalchemy.exc import OperationalError

from server import health
from server.metrics import Metrics
from tests.server.stack import Someone, Stack


def value(text: str, name: str) -> float:
    found = re.search(rf"^{name} ([0-9.e+-]+)$", text, re.MULTILINE)
    assert found, f"{name} is not among the metrics"
    return float(found[1])


async def test_replies_and_the_engine_are_measured(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat, running.http() as client:
        before = (await client.get("/metrics")).text
        started = await chat.say("Hello", sampling={"max_tokens": 8})
        await chat.listen(started["reply_id"])
        for _ in range(200):
            after = (await client.get("/metrics")).text
            if value(after, "backtalk_engine_tokens_total") > value(before, "backtalk_engine_tokens_total"):
                break
            await asyncio.sleep(0.05)
    counts = [value(text, "backtalk_first_token_seconds_count") for text in (before, after)]
    assert counts[1] == counts[0] + 1
    assert value(after, "backtalk_engine_tokens_total") > value(before, "backtalk_engine_tokens_total")
    assert value(after, "backtalk_engine_step_total") > value(before, "backtalk_engine_step_total")
    assert value(after, "backtalk_engine_slots") == 64
    assert value(after, "backtalk_engine_pages") >= value(after, "backtalk_engine_pages_kept")


class Cut:
    """A service whose database cannot be asked."""

    def __init__(self) -> None:
        self.metrics = Metrics()

    async def read(self, query: Any) -> NoReturn:
        raise OperationalError("SELECT 1", {}, OSError("gone"))


async def test_the_counters_are_told_while_the_database_is_away() -> None:
    answer = await health.metrics(None, cast(Any, Cut()))
    assert value(bytes(answer.body).decode(), "backtalk_replies_running") == 0
