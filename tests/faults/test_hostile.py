"""Changed weights and hostile models; the smallest tier of `hostile.py`."""

import pickle
import subprocess
import sys
from pathlib import Path

from tests.faults import hostile


def test_changed_weights_are_refused() -> None:
    outcome = hostile.mutate(seed=1, trials=400)
    assert outcome.violations == []


def test_the_payload_would_run_if_anything_unpickled_it(tmp_path: Path) -> None:
    mark = hostile._mark(tmp_path, "a pickle")
    hostile._bad_pickle(tmp_path, mark, "model.bin")
    pickle.loads((tmp_path / "model.bin").read_bytes())
    assert mark.exists()


def test_the_payload_of_a_template_would_run_outside_the_sandbox(tmp_path: Path) -> None:
    mark = hostile._mark(tmp_path, "a template")
    source = hostile.SYSTEM.replace("MARK", str(mark))
    program = f"import jinja2; jinja2.Environment().from_string({source!r}).render()"
    subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert mark.exists()


def test_hostile_models_are_not_served_and_nothing_of_them_runs() -> None:
    names = list(hostile._packages())
    quick = [name for name in names if name not in SLOW]
    assert len(names) >= 30
    outcome = hostile.unpack_these(quick)
    assert outcome.violations == []


SLOW = {"a template that never ends", "a template that counts for ever"}
"""These take the ten seconds that a template has; the larger tiers try them."""
