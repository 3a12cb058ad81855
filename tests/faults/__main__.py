"""`python -m tests.faults`: run the fault tests of a tier, slice by slice, from where the last run stopped.

`--tier 1` makes the trials that are needed to ship, `--tier 2` those of a release; `--only G2,G5` some figures;
`--minutes 10` stops after the slice that is under way then. `--fresh` begins the figures' series anew, after a mend.
"""

import argparse
import sys
import time

from tests.faults import report
from tests.faults.all import FIGURES
from tests.faults.figures import load, newest, run_slice


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--tier", type=int, choices=(1, 2), default=1)
    parser.add_argument("--only", default="", help="names of figures, separated by commas")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--fresh", action="store_true")
    given = parser.parse_args()
    wanted = set(filter(None, given.only.split(",")))
    if unknown := wanted - {figure.name for figure in FIGURES}:
        parser.error(f"unknown figure {sorted(unknown)[0]}; known are {', '.join(one.name for one in FIGURES)}")
    until = time.monotonic() + 60 * given.minutes
    has_failed = False
    for figure in FIGURES:
        if wanted and figure.name not in wanted:
            continue
        if reason := figure.needs():
            print(f"{figure.name:>4}  not run: {reason}")
            continue
        command = f"python -m tests.faults --tier {given.tier} --only {figure.name}"
        known = newest(load(), figure.name)
        series = max((one.series for one in known), default=1) + (1 if given.fresh and known else 0)
        known = [one for one in known if one.series == series]
        done, seed = sum(one.trials for one in known), max((one.seed for one in known), default=0)
        goal = figure.wanted(given.tier) if not wanted or figure.wanted(given.tier) else figure.goal
        while not figure.is_done(known, goal) and time.monotonic() < until:
            seed += 1
            one = run_slice(figure, seed, min(figure.slice, max(0, goal - done)), series, command)
            known.append(one)
            done += one.trials
            has_failed = has_failed or bool(one.violations)
            word = f"{len(one.violations)} VIOLATIONS: {one.violations[0]}" if one.violations else "0 violations"
            of = f" of {goal:,}" if goal else ""
            print(f"{figure.name:>4}  {done:,}{of} {figure.unit}, {one.seconds:.0f} s, {word}", flush=True)
            if one.trials == 0 or len(one.violations) > 3:
                break
    report.write()
    sys.exit(1 if has_failed else 0)


if __name__ == "__main__":
    main()
