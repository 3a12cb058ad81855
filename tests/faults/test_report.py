"""The page of figures says what its results say, and no figure hides a violation."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.faults import report
from tests.faults.all import FIGURES
from tests.faults.figures import Figure, Outcome, Slice, load, newest, run_slice


def test_the_page_is_what_the_results_say() -> None:
    assert report.PAGE.read_text() == report.page(load()), "run `python -m tests.faults.report`"


def a_slice(path: Path, series: int, violations: Sequence[str] = ()) -> Slice:
    """One slice of the first figure, written to a file."""
    outcome = Outcome(trials=7, acked=3, violations=list(violations))
    return run_slice(replace(FIGURES[0], run=lambda seed, trials: outcome), 1, 7, series, "a command", path)


def test_a_violation_stands_on_the_page_until_a_series_begun_afresh_is_without_it(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    a_slice(path, series=1, violations=["a message is lost"])
    assert "violation: a message is lost" in report.page(load(path))
    mended = a_slice(path, series=2)
    assert "a message is lost" not in report.page(load(path))
    assert newest(load(path), FIGURES[0].name) == [mended]
    assert len(load(path)) == 2, "what was found once stays in the file"


def _found(outcome: Outcome, seed: int, trials: int) -> Outcome:
    return outcome


def test_a_goal_is_missed_by_a_measure_beyond_its_bound_however_many_trials_there_were(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    for seed, seconds in ((1, 0.5), (2, 2.5)):
        outcome = Outcome(trials=10**6, measures={"back after, s": seconds})
        run_slice(replace(FIGURES[0], run=partial(_found, outcome)), seed, 10**6, 1, "a command", path)
    strict, lenient = (replace(FIGURES[0], bounds={"back after, s": most}) for most in (2, 3))
    assert strict.missed(load(path)) == {"back after, s": 2.5} and not lenient.missed(load(path))
    assert "| missed by back after, s |" in report.row(strict, load(path))
    assert "back after, s: 2.5, at most 2: missed" in report.section(strict, load(path))
    assert "| reached |" in report.row(lenient, load(path))


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: str(figure.name))
def test_a_figure_that_was_not_run_is_listed_as_such(figure: Figure) -> None:
    assert f"| {figure.name} | {figure.claim} | not run |" in report.page([])
