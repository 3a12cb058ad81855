"""G9: versions change again and again under open streams; nobody's reply is dropped, torn, mixed or mislabelled (F15).

Each version says one thing for ever, and neighbours in number say different things, so a reply tells by every character
of it which version it comes from. Every fourth change is a rollback.
"""

import asyncio
import contextlib
import random
import time
from itertools import pairwise

from backtalk import policies
from tests.faults import figures
from tests.faults.crowd import SCRIPT, stack_of
from tests.server.scripted import count_tokens
from tests.server.stack import PATIENCE, Someone, Stack

SCRIPTS = (SCRIPT, "xyz好!")
STREAMS = 200
TOKENS = 40
"""Of what a version says, so often in each reply."""


class Crowd:
    """People who ask one question after the other, each on a socket of their own."""

    def __init__(self, stack: Stack, outcome: figures.Outcome) -> None:
        self._stack = stack
        self._outcome = outcome
        self.begun_with: dict[int, float] = {}
        """By version: when a reply of it was begun last."""
        self.gaps: list[float] = []
        self.is_leaving = False

    async def talk(self, someone: Someone) -> None:
        """Ask until it is time to leave."""
        async with self._stack.chat(someone) as chat:
            while not self.is_leaving:
                asked = time.monotonic()
                started = await chat.say("Go on", sampling={"max_tokens": TOKENS * count_tokens(SCRIPTS[0])})
                if started["type"] == "refused":
                    self._outcome.violations.append(f"refused: {started['message']}")
                    return
                self.begun_with[started["policy_version"]] = time.monotonic()
                heard, text, seq = [time.monotonic()], "", 0
                while (word := await chat.hear())["type"] != "ended":
                    seq += 1
                    heard.append(time.monotonic())
                    if (word["reply_id"], word["seq"]) != (started["reply_id"], seq):
                        self._outcome.violations.append(f"a delta of another reply, or number {word['seq']} for {seq}")
                    text += word["text"]
                self.gaps += [later - earlier for earlier, later in pairwise(heard)]
                self._judge(started["policy_version"], text, word["state"])
                # Everybody may ask thirty times a minute.
                await asyncio.sleep(max(0.0, asked + 2.1 - time.monotonic()))

    def _judge(self, version: int, text: str, state: str) -> None:
        self._outcome.acked += 1
        said, whole = SCRIPTS[version % 2], text.removesuffix("\N{REPLACEMENT CHARACTER}")
        if state != "done":
            self._outcome.violations.append(f"a reply ended as {state}")
        if not whole or not (said * len(whole)).startswith(whole):
            self._outcome.violations.append(f"a reply of version {version} says {text[:40]!r}")


def run(seed: int, trials: int, streams: int = STREAMS) -> figures.Outcome:
    """Change the version `trials` times."""
    with stack_of(streams) as stack:
        return asyncio.run(_swap(stack, random.Random(seed), trials, streams))


async def _swap(stack: Stack, chance: random.Random, trials: int, streams: int) -> figures.Outcome:
    outcome = figures.Outcome()
    crowd = Crowd(stack, outcome)
    talks = [asyncio.create_task(crowd.talk(stack.someone())) for _ in range(streams)]
    took: dict[str, float] = {}
    await _until(crowd, 0, 0.0)
    while outcome.trials < trials and not outcome.violations:
        await asyncio.sleep(chance.uniform(0.1, 2.0))
        outcome.trials += 1
        back = outcome.trials % 4 == 0
        began = time.monotonic()
        number = await asyncio.to_thread(_roll_back if back else _publish, stack)
        told = time.monotonic()
        await _until(crowd, number, told)
        kind = "rollback" if back else "promotion"
        took[kind] = max(took.get(kind, 0.0), time.monotonic() - (told if back else began))
    crowd.is_leaving = True
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(*talks), PATIENCE)
    gaps = sorted(crowd.gaps)
    outcome.measures["streams"] = streams
    outcome.measures["gap between deltas, p99, ms"] = 1000 * gaps[int(len(gaps) * 0.99)]
    outcome.measures["gap between deltas, longest, ms"] = 1000 * gaps[-1]
    for kind, seconds in took.items():
        outcome.measures[f"from {kind} to the first reply of it, longest, ms"] = 1000 * seconds
    return outcome


async def _until(crowd: Crowd, number: int, after: float) -> None:
    deadline = time.monotonic() + PATIENCE
    while crowd.begun_with.get(number, -1.0) < after:
        assert time.monotonic() < deadline, f"version {number} is not served"
        await asyncio.sleep(0.005)


def _publish(stack: Stack) -> int:
    with stack.database.read() as session:
        number = policies.next_number(session)
    assert stack.publish(SCRIPTS[number % 2]) == number
    return number


def _roll_back(stack: Stack) -> int:
    with stack.database.write() as session:
        return policies.roll_back(session, "test").number


FIGURE = figures.Figure(
    name="G9",
    claim="Versions change under open streams: no reply is dropped, torn, mixed, or of another version than it says",
    unit="changes of the version",
    run=run,
    minimum=20,
    goal=100,
    slice=10,
    faults="F15",
    limits=(
        "200 streams instead of a thousand, on a tiny model that says one thing for ever. Clients and server share the "
        "machine, so the gaps hold both. Acknowledged are replies heard to their end."
    ),
    bounds={"gap between deltas, p99, ms": 1000, "from rollback to the first reply of it, longest, ms": 2000},
)
