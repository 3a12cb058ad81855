"""What people notice of a swap: fifty streams run while the live version changes under them, again and again."""

import asyncio
from collections.abc import Sequence

from backtalk import policies, weights
from backtalk.simulate import people_with_keys
from backtalk.starter.prompts import sample_prompts
from backtalk.temporary import Temporary
from bench.report import Row, milliseconds, percentile
from bench.streams import Timed, talk_together

STREAMS = 50
QUESTIONS = 12
SWAPS = 3
EVERY = 1.5
"""Seconds between two swaps."""
SAMPLING = {"max_tokens": 128, "temperature": 1.0}


async def bench(backtalk: Temporary) -> list[Row]:
    """A row without swaps and one with them, in the same run."""
    calm = await _stream(backtalk, seed=1)
    for number in range(1, SWAPS + 1):
        publish_copy(backtalk, number)
    swapping = asyncio.create_task(_swap(backtalk))
    moved = await _stream(backtalk, seed=2)
    await swapping
    return [_row("none", calm), _row(str(SWAPS), moved)]


async def _stream(backtalk: Temporary, seed: int) -> list[Timed]:
    with people_with_keys(backtalk.database, STREAMS) as keys:
        prompts = [prompt.text for prompt in sample_prompts(STREAMS * QUESTIONS, seed=seed)]
        questions = [prompts[at::STREAMS] for at in range(STREAMS)]
        return await talk_together(backtalk.url, list(keys.values()), questions, SAMPLING)


async def _swap(backtalk: Temporary) -> None:
    for number in range(1, SWAPS + 1):
        await asyncio.sleep(EVERY)
        await asyncio.to_thread(_promote, backtalk, number)


def _promote(backtalk: Temporary, number: int) -> None:
    with backtalk.database.write() as session:
        policies.go_live(session, number, "bench")


def publish_copy(backtalk: Temporary, number: int) -> None:
    """Enter a copy of the live version as a version of its own."""
    settings = backtalk.settings
    with backtalk.database.read() as session:
        live = policies.live(session)
    assert live is not None  # the whole Backtalk is ready
    made = weights.workspace(settings.weights_dir)
    weights.copy_model(settings.weights_dir / live.directory, made)
    key = weights.signing_key(settings.keys_dir)
    directory, manifest = weights.publish(made, settings.weights_dir, key, number=number)
    with backtalk.database.write() as session:
        policies.add(session, number, directory.name, manifest.digest)


def _row(swaps: str, replies: Sequence[Timed]) -> Row:
    gaps = [gap for reply in replies for gap in reply.gaps]
    return {
        "swaps": swaps,
        "replies": len(replies),
        "lost or torn": sum(not reply.is_whole for reply in replies),
        "versions": len({reply.version for reply in replies}),
        "between texts p50 ms": milliseconds(percentile(gaps, 0.5)),
        "p99 ms": milliseconds(percentile(gaps, 0.99)),
        "longest ms": milliseconds(max(gaps)),
        "seconds": round(max(reply.ended for reply in replies) - min(reply.asked for reply in replies), 1),
    }
