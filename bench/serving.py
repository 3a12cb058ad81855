"""How fast replies come when one, several or many are written at once: through the chat socket and from the engine
alone; with `--peers` beside other engines on the same weights.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import mean

from backtalk.engine import wire
from backtalk.engine.client import LocalEngine
from backtalk.engine.sampling import Sampling
from backtalk.simulate import people_with_keys
from backtalk.starter.prompts import sample_prompts
from backtalk.template import Template, Turn
from backtalk.temporary import Temporary
from bench.peers.house import MODULES, Peer, PeerFailed
from bench.peers.job import Outcome
from bench.report import Row, milliseconds, percentile
from bench.shapes import SHAPES, make
from bench.streams import talk_together

CROWDS = (1, 8, 32, 128)
QUESTIONS = 5
LENGTH = 64
SAMPLING = {"max_tokens": LENGTH, "temperature": 0.6}


async def bench(backtalk: Temporary) -> list[Row]:
    """Two rows for each number of people: the bare engine over its own socket, then whole chats. Both ask the same
    questions of the same engine, one right after the other."""
    engine = LocalEngine(wire.address(backtalk.settings.data_dir))
    await engine.connect()
    rows = []
    try:
        for count in CROWDS:
            prompts = [prompt.text for prompt in sample_prompts(count * QUESTIONS, seed=count)]
            questions = [prompts[at::count] for at in range(count)]
            bare = await _bare(backtalk, engine, questions)
            chat = await _chat(backtalk, questions)
            rows += [_row("engine", count, bare), _row("chat", count, chat, bare)]
    finally:
        await engine.close()
    return rows


async def _bare(backtalk: Temporary, engine: LocalEngine, questions: list[list[str]]) -> Outcome:
    (version,) = engine.versions
    (directory,) = (path for path in backtalk.settings.weights_dir.iterdir() if path.name.startswith(f"{version}-"))
    template = Template(directory)
    prompts = [[template.fit([Turn("user", text)], LENGTH) for text in own] for own in questions]
    began, outcome = time.perf_counter(), Outcome(0, 0, 0)

    async def ask(own: list[list[int]]) -> None:
        for prompt in own:
            asked, arrivals = time.perf_counter(), list[float]()
            async for chunk in engine.generate(prompt, version, Sampling.from_dict(SAMPLING)):
                outcome.tokens += len(chunk.tokens)
                if chunk.text:
                    arrivals.append(time.perf_counter())
            outcome.first += [arrival - asked for arrival in arrivals[:1]]
            outcome.gaps += [later - earlier for earlier, later in pairwise(arrivals)]

    await asyncio.gather(*map(ask, prompts))
    outcome.seconds = time.perf_counter() - began
    return outcome


async def _chat(backtalk: Temporary, questions: list[list[str]]) -> Outcome:
    with people_with_keys(backtalk.database, len(questions)) as keys:
        began = time.perf_counter()
        replies = await talk_together(backtalk.url, list(keys.values()), questions, SAMPLING)
        seconds = time.perf_counter() - began
    assert all(reply.is_whole for reply in replies)
    return Outcome(
        seconds,
        0,
        sum(reply.tokens for reply in replies),
        [reply.first for reply in replies],
        [gap for reply in replies for gap in reply.gaps],
    )


def _row(way: str, streams: int, outcome: Outcome, against: Outcome | None = None) -> Row:
    rate = outcome.tokens / outcome.seconds
    return {
        "through": way,
        "streams": streams,
        "tokens/s": round(rate),
        "of the engine's": f"{rate / (against.tokens / against.seconds):.2f}" if against else "",
        "first text p50 ms": milliseconds(percentile(outcome.first, 0.5)),
        "first p99 ms": milliseconds(percentile(outcome.first, 0.99)),
        "between texts p50 ms": milliseconds(percentile(outcome.gaps, 0.5)),
        "between p99 ms": milliseconds(percentile(outcome.gaps, 0.99)),
    }


# Peers ---------------------------------------------------------------------------------------------------------------


async def beside_peers(shape: str, peers: Sequence[str], crowds: Sequence[int], tokens: int, rounds: int) -> list[Row]:
    """Ours and the others on one core, in turn: every engine does a job before any does the next.

    All run at the same time but only one works at a time. Rates are by CPU seconds of the engine, so that other work
    on the machine counts as little as it can; ratios are of the means of all rounds.

    Args:
        shape: of `shapes.SHAPES`, or a directory of a Hugging Face model.
        peers: names of `house.MODULES`; one that cannot be measured gets a row that says why.
        crowds: numbers of streams.
        tokens: of each reply.
        rounds: how often each job is done.
    """
    done: dict[tuple[str, int], list[Outcome]] = {}
    failed: dict[str, str] = {}
    running: list[Peer] = []
    with tempfile.TemporaryDirectory(prefix="backtalk-shape-") as directory:
        model = Path(shape)
        if shape in SHAPES:
            model = Path(directory)
            await asyncio.to_thread(make, shape, model)
        try:
            for name in peers:
                try:
                    running.append(await Peer.start(name, model))
                    await running[-1].complete(_prompts(2, 0), 8)  # what is compiled at first use is compiled now
                except PeerFailed as error:
                    failed[name] = str(error)
            for number in range(rounds):
                for count in crowds:
                    for peer in running:
                        if peer.name in failed or (count > 32 and peer.name in SLOW):
                            continue
                        try:
                            outcome = await peer.complete(_prompts(count, number), tokens)
                        except PeerFailed as error:
                            failed[peer.name] = str(error)
                        else:
                            done.setdefault((peer.name, count), []).append(outcome)
        finally:
            for peer in running:
                await peer.stop()
    about = {peer.name: peer.about.get("dtype", "") for peer in running}
    return _compare(peers, crowds, done, about, failed)


SLOW = frozenset({"transformers one by one", "transformers batching"})
"""Not asked for more than 32 replies at once: minutes each."""
PEERS = tuple(MODULES)


def _prompts(count: int, seed: int) -> list[list[int]]:
    chance = random.Random(seed)
    return [[chance.randrange(2, 2000) for _ in range(chance.randrange(64, 257))] for _ in range(count)]


def _compare(
    peers: Sequence[str],
    crowds: Sequence[int],
    done: dict[tuple[str, int], list[Outcome]],
    about: dict[str, str],
    failed: dict[str, str],
) -> list[Row]:
    rows = []
    for name in peers:
        row: Row = {"engine": name, "dtype": about.get(name, "")}
        for count in crowds:
            outcomes, ours = done.get((name, count)), done.get(("backtalk", count))
            row[f"tok/cpu-s at {count}"] = round(_rate(outcomes)) if outcomes else ""
            row[f"ours/theirs at {count}"] = f"{_rate(ours) / _rate(outcomes):.2f}" if outcomes and ours else ""
        last = [gap for outcome in done.get((name, max(crowds)), []) for gap in outcome.gaps]
        row["between p50 ms"] = milliseconds(percentile(last, 0.5)) if last else ""
        row["p99 ms"] = milliseconds(percentile(last, 0.99)) if last else ""
        row["why not"] = failed.get(name, "")
        rows.append(row)
    return rows


def _rate(outcomes: Sequence[Outcome]) -> float:
    return mean(outcome.tokens / outcome.cpu for outcome in outcomes)
