"""What a peer is asked and what it answers: one JSON object a line on its standard input and output.

Asked: `{"prompts": [[token, …], …], "tokens": n}`: complete all of them at once, greedily, each with exactly n tokens.
Answered: an `Outcome`. The first line a peer writes says that it is ready, and with what.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

CORE = max(os.sched_getaffinity(0))
"""Everything that computes is pinned to this one core."""


@dataclass(slots=True)
class Outcome:
    """One job done. Moments are seconds from its start."""

    seconds: float
    cpu: float
    """CPU seconds of the engine, all its processes together, without whoever asks it."""
    tokens: int
    first: list[float] = field(default_factory=list)
    """Until each reply's first token; empty if the peer does not stream."""
    gaps: list[float] = field(default_factory=list)
    """Between one token and the next of a reply."""


def answer(run: Callable[[list[list[int]], int], Outcome], **about: Any) -> None:
    """Answer jobs until there are no more."""
    out, sys.stdout = sys.stdout, sys.stderr  # whatever libraries print is not an answer
    print(json.dumps({"ready": True, **about}), file=out, flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(asdict(run(job["prompts"], job["tokens"]))), file=out, flush=True)


def alone(work: Callable[[list[list[int]], int], int]) -> Callable[[list[list[int]], int], Outcome]:
    """A job done inside this process; `work` returns how many tokens it made."""

    def run(prompts: list[list[int]], count: int) -> Outcome:
        began, cpu = time.perf_counter(), time.process_time()
        tokens = work(prompts, count)
        return Outcome(time.perf_counter() - began, time.process_time() - cpu, tokens)

    return run


def pin() -> None:
    """Keep this process on the one core."""
    os.sched_setaffinity(0, {CORE})


def cpu_of(process: int) -> float:
    """CPU seconds that a process and all below it have used."""
    return sum(_cpu_of_one(each) for each in family(process))


def family(process: int) -> list[int]:
    """A process and all below it."""
    below = [child for task in Path(f"/proc/{process}/task").glob("*/children") for child in task.read_text().split()]
    return [process, *(each for child in below for each in family(int(child)))]


def pin_family(process: int) -> None:
    """Keep a process, its threads and all below it on the one core."""
    for each in family(process):
        for task in Path(f"/proc/{each}/task").iterdir():
            os.sched_setaffinity(int(task.name), {CORE})


def _cpu_of_one(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(arrivals: Sequence[Sequence[float]], seconds: float, cpu: float) -> Outcome:
    """The outcome of replies whose tokens arrived at these moments."""
    gaps = [later - earlier for reply in arrivals for earlier, later in pairwise(reply)]
    tokens = sum(len(reply) for reply in arrivals)
    return Outcome(seconds, cpu, tokens, [reply[0] for reply in arrivals], gaps)
