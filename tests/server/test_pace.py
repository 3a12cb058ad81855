"""Is a version much slower than another? Asked of an engine whose pace is known."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from backtalk.engine.client import Chunk, LocalEngine
from backtalk.engine.errors import EngineRefused
from backtalk.starter import FILES
from backtalk.template import Template
from server.pace import times_slower
from server.swapper import Version


class Paced:
    """An engine that takes so many seconds for a token of each version."""

    def __init__(self, seconds: dict[int, float], tokens: int = 12) -> None:
        self.seconds = seconds
        self.tokens = tokens

    async def generate(self, prompt: list[int], version: int, sampling: Any, **_: Any) -> AsyncIterator[Chunk]:
        if version not in self.seconds:
            raise EngineRefused("version", "not here")
        for number in range(self.tokens):
            await asyncio.sleep(self.seconds[version])
            yield Chunk("a", [1], [0.0], "length" if number == self.tokens - 1 else None)


def version(number: int) -> Version:
    return Version(number, Path(FILES), Template(Path(FILES)))


async def test_a_version_is_as_many_times_slower_as_its_tokens_take() -> None:
    engine = cast(LocalEngine, Paced({0: 0.01, 1: 0.1}))
    times = await times_slower(engine, version(1), version(0))
    assert times is not None
    assert times > 3


@pytest.mark.parametrize("engine", [Paced({0: 0.0, 1: 0.0}, tokens=3), Paced({0: 0.0})])
async def test_replies_too_short_to_time_and_refusals_tell_nothing(engine: Paced) -> None:
    assert await times_slower(cast(LocalEngine, engine), version(1), version(0)) is None
