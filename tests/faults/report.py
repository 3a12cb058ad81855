"""`docs/reliability.md`, made from `docs/reliability.jsonl`. `python -m tests.faults.report [--check]`."""

import argparse
import sys
from collections.abc import Sequence
from itertools import groupby

from tests.faults.all import FIGURES, NOT_HERE
from tests.faults.figures import RESULTS, ROOT, Figure, Slice, load, newest, worst

PAGE = ROOT / "docs" / "reliability.md"
HEAD = """# Reliability

<!-- Made by `python -m tests.faults.report` from `docs/reliability.jsonl`; do not edit. -->

What is acknowledged stays: a message once `started` was sent, an opinion once its request was answered, a reply once
`ended` was sent. Here stands how often we tried to break this and other promises, with real faults, and what came of
it. The judge is always the client's own list of what it was told, or what lies on disk afterwards, never a log of the
server.

`make test` makes a few trials of most, `make faults` those that a release needs at least, `make faults-release` those
of its goal; each goes on where it was cut short. Of several slices the worst measure is told; a goal is *missed* where
that lies beyond what it allows, however many trials there were.
"""
LIMITS = """
## What cannot be shown here

- Real power loss on real disks. Power cuts are simulated on SQLite's file system; the disk is trusted to keep what it
  has confirmed.
- Containers under an orchestrator, several machines, a network between them.
- The death of a GPU and of engines on it.
- Real crowds of people. Load is made by scripts.
- What a malicious admin, a stolen host or a majority of trusted raters in collusion could do; see `SECURITY.md`.
"""


def page(slices: Sequence[Slice]) -> str:
    """The whole page."""
    rows = [row(figure, newest(slices, figure.name)) for figure in FIGURES]
    text = HEAD
    text += "\n## Figures\n\n| | claim | trials | acknowledged | violations | goal |\n|---|---|---|---|---|---|\n"
    text += "\n".join(rows) + "\n\n## Each figure\n"
    text += "".join(section(figure, newest(slices, figure.name)) for figure in FIGURES)
    text += "\n## Not run\n\n" + "\n".join(f"- **{name}** {why}" for name, why in NOT_HERE) + "\n"
    return text + LIMITS


def row(figure: Figure, slices: Sequence[Slice]) -> str:
    """A figure's line of the table."""
    if not slices:
        return f"| {figure.name} | {figure.claim} | not run | | | {_goal(figure)} |"
    trials, acked = sum(one.trials for one in slices), sum(one.acked for one in slices)
    broken = sum(len(one.violations) for one in slices)
    state = "reached" if figure.is_done(slices, figure.goal) else _goal(figure)
    if missed := figure.missed(slices):
        state = f"missed by {', '.join(missed)}" + ("" if state == "reached" else f"; {state}")
    shown = f"{acked:,}" if acked else ""
    return f"| {figure.name} | {figure.claim} | {trials:,} {figure.unit} | {shown} | **{broken}** | {state} |"


def _goal(figure: Figure) -> str:
    if figure.parts == 1:
        return f"all {figure.unit}"
    if figure.parts:
        return f"all {figure.unit} of {figure.parts} parts"
    return f"{figure.goal:,} {figure.unit}, at least {figure.minimum:,}"


def section(figure: Figure, slices: Sequence[Slice]) -> str:
    """All that is told of a figure."""
    text = f"\n### {figure.name}: {figure.claim}\n\n"
    if not slices:
        return text + f"Not run. `python -m tests.faults --tier 2 --only {figure.name}` runs it.\n"
    trials, acked = sum(one.trials for one in slices), sum(one.acked for one in slices)
    broken = [wrong for one in slices for wrong in one.violations]
    text += f"{trials:,} {figure.unit}" + (f", {acked:,} acknowledged operations" if acked else "")
    text += f", {len(broken)} violations, {_duration(sum(one.seconds for one in slices))}.\n\n"
    text += "".join(f"- {name}: {value:,g}{_bound(figure, name, value)}\n" for name, value in worst(slices).items())
    text += "".join(f"- violation: {wrong}\n" for wrong in broken[:5])
    text += f"- command: `{slices[-1].command}`\n"
    for commit, group in groupby(slices, key=lambda one: (one.commit, one.is_clean)):
        some = list(group)
        changed = "" if commit[1] else " with changes"
        seeds = f"seed {some[0].seed}" if len(some) == 1 else f"seeds {some[0].seed} to {some[-1].seed}"
        when = some[-1].at[:10]
        count = sum(one.trials for one in some)
        text += f"- {count:,} at commit {commit[0]}{changed}, {seeds}, {when}, {some[-1].machine}\n"
    if figure.faults:
        text += f"- faults: {figure.faults}\n"
    if figure.limits:
        text += f"- limits: {figure.limits}\n"
    return text


def _bound(figure: Figure, name: str, value: float) -> str:
    if name not in figure.bounds:
        return ""
    return f", at most {figure.bounds[name]:,g}: {'missed' if value > figure.bounds[name] else 'kept'}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def write() -> None:
    """Make the page."""
    PAGE.write_text(page(load(RESULTS)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.report", description=__doc__)
    parser.add_argument("--check", action="store_true", help="say whether it is fresh, and write nothing")
    if not parser.parse_args().check:
        write()
    elif not PAGE.exists() or PAGE.read_text() != page(load(RESULTS)):
        sys.exit("docs/reliability.md is not what docs/reliability.jsonl says; run python -m tests.faults.report")


if __name__ == "__main__":
    main()
