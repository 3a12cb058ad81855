"""Is a version much slower than another? Asked of both in turn, before anybody waits for it.

On one engine all versions share the steps, so a slow one slows everybody down alike: people with it and people without
cannot be told apart by how long they wait. Two short replies side by side can.
"""

import statistics
import time
from typing import TYPE_CHECKING

from backtalk.engine.client import Engine
from backtalk.engine.errors import EngineRefused
from backtalk.engine.sampling import Sampling
from backtalk.template import Turn

if TYPE_CHECKING:  # it needs this module
    from server.swapper import Version

PAIRS = 5
TOKENS = 32
FEWEST = 4
QUESTION = "Tell me a short story."


async def times_slower(engine: Engine, version: "Version", than: "Version") -> float | None:
    """How many times longer a token of `version` takes; None when its replies are too short to tell.

    Raises:
        EngineLost: the engine went meanwhile.
    """
    ratios = []
    for number in range(PAIRS):
        own, other = await _seconds(engine, version, number), await _seconds(engine, than, number)
        if own is None or other is None:
            return None
        ratios.append(own / other)
    return statistics.median(ratios)


async def _seconds(engine: Engine, version: "Version", seed: int) -> float | None:
    """Seconds a token of one reply, after its first."""
    prompt = version.template.fit([Turn("user", QUESTION)], TOKENS)
    going_on = tuple((end, -100.0) for end in version.template.ends)  # so that there is something to time
    sampling = Sampling(max_tokens=TOKENS, temperature=1.0, seed=seed, logit_bias=going_on)
    began, tokens = 0.0, -1
    try:
        async for chunk in engine.generate(prompt, version.number, sampling, group="pace"):
            if tokens < 0:
                began, tokens = time.monotonic(), 0
            else:
                tokens += len(chunk.tokens)
    except EngineRefused:
        return None
    return (time.monotonic() - began) / tokens if tokens >= FEWEST else None
