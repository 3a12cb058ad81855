"""Figures: what a fault test counts, how many trials a tier makes of it, and where the results are kept.

A figure runs in slices of about a minute, each with a seed of its own; a slice is one line of `docs/reliability.jsonl`.
A run that is cut short goes on where it was. `docs/reliability.md` is made from these lines and from nothing else.
"""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "reliability.jsonl"


@dataclass(slots=True)
class Outcome:
    """What a slice has found. Made by a figure's `run`, written down here."""

    trials: int = 0
    acked: int = 0
    """Operations that a client was told are safe, where there is a client."""
    violations: list[str] = field(default_factory=list)
    measures: dict[str, float] = field(default_factory=dict)
    """More numbers, by name; of several slices the worst (largest) is told."""

    def __iadd__(self, other: "Outcome") -> "Outcome":
        self.trials += other.trials
        self.acked += other.acked
        self.violations += other.violations
        for name, value in other.measures.items():
            self.measures[name] = max(value, self.measures.get(name, value))
        return self


@dataclass(frozen=True, slots=True)
class Figure:
    """One claim, and the test that could refute it."""

    name: str
    """`G2` as in the list of goals; a letter more where a goal has several parts."""
    claim: str
    unit: str
    """What one trial is, in the plural."""
    run: Callable[[int, int], Outcome]
    """`run(seed, trials)`."""
    minimum: int
    """Trials before the product may be shipped."""
    goal: int
    """Trials of a release."""
    slice: int
    """Trials of one slice."""
    parts: int = 0
    """Of a figure that has an end of its own: done after so many slices, however many trials those are."""
    faults: str = ""
    """Which faults of the model it covers."""
    limits: str = ""
    """What it does not show."""
    bounds: Mapping[str, float] = field(default_factory=dict)
    """What some measures may come to at most, by the goal."""
    needs: Callable[[], str | None] = lambda: None
    """Why it cannot run here; None when it can."""
    tier: int = 1
    """1: part of `make faults`; 2: too long for it, part of `make faults-release` alone."""

    def is_done(self, slices: Sequence["Slice"], goal: int) -> bool:
        """Are these slices enough?"""
        if self.parts:
            return len(slices) >= self.parts
        return sum(one.trials for one in slices) >= goal

    def missed(self, slices: Sequence["Slice"]) -> dict[str, float]:
        """Measures beyond their bounds, with the worst of each."""
        found = worst(slices)
        return {name: found[name] for name, most in self.bounds.items() if found.get(name, 0.0) > most}

    def wanted(self, tier: int) -> int:
        """Trials that this tier wants in all."""
        if tier >= 2:
            return self.goal
        return self.minimum if self.tier == 1 else 0


@dataclass(frozen=True, slots=True)
class Slice:
    """One line of the results."""

    figure: str
    series: int
    """Rises when a figure is begun afresh, after a mend; only the newest series counts."""
    seed: int
    trials: int
    acked: int
    violations: list[str]
    measures: dict[str, float]
    seconds: float
    commit: str
    is_clean: bool
    """Were the files at that commit unchanged?"""
    command: str
    at: str
    machine: str


def load(path: Path = RESULTS) -> list[Slice]:
    """All slices that were ever written down."""
    if not path.exists():
        return []
    return [Slice(**json.loads(line)) for line in path.read_text().splitlines() if line.strip()]


def newest(slices: Sequence[Slice], name: str) -> list[Slice]:
    """The slices of a figure's newest series."""
    own = [one for one in slices if one.figure == name]
    last = max((one.series for one in own), default=0)
    return [one for one in own if one.series == last]


def worst(slices: Sequence[Slice]) -> dict[str, float]:
    """Of each measure the largest."""
    found: dict[str, float] = {}
    for one in slices:
        for name, value in one.measures.items():
            found[name] = max(value, found.get(name, value))
    return found


def run_slice(figure: Figure, seed: int, trials: int, series: int, command: str, path: Path = RESULTS) -> Slice:
    """Run and write down."""
    began = time.monotonic()
    outcome = figure.run(seed, trials)
    commit, is_clean = _commit()
    one = Slice(
        figure=figure.name,
        series=series,
        seed=seed,
        trials=outcome.trials,
        acked=outcome.acked,
        violations=outcome.violations[:20],
        measures={name: round(value, 4) for name, value in outcome.measures.items()},
        seconds=round(time.monotonic() - began, 1),
        commit=commit,
        is_clean=is_clean,
        command=command,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine(),
    )
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(asdict(one), ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return one


def machine() -> str:
    """Where the figures come from, in words."""
    version = ".".join(map(str, sys.version_info[:3]))
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {version}"


def _commit() -> tuple[str, bool]:
    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    changed: Any = git("status", "--porcelain", "--untracked-files=no", "--", "backtalk", "server", "learner")
    return git("rev-parse", "--short=10", "HEAD") or "no commit", not changed
