"""One process and several compute the same, and go on from each other's checkpoints."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.learner.conftest import make_tiny

Json = dict[str, Any]
pytestmark = pytest.mark.slow
CLOSE = 1e-3
"""Sums in another order, over several steps, relative to the value; in fact it is less than a twentieth of this."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("model")
    make_tiny(directory)
    return directory


def start(processes: int, model: Path, out: Path, *arguments: object) -> int:
    """Run `many.py` in so many processes, under torchrun where there are several; its exit code."""
    torchrun = ("torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m")
    command = [sys.executable, "-m", *(torchrun if processes > 1 else ()), "tests.learner.many", out, model, *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, timeout=250).returncode


def done(processes: int, model: Path, out: Path, *arguments: object) -> Json:
    assert start(processes, model, out, *arguments) == 0
    told: Json = json.loads(out.read_text())
    return told


@pytest.fixture(scope="module")
def alone(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Json:
    return done(1, model, tmp_path_factory.mktemp("alone") / "told.json")


def measures(row: Json) -> Json:
    return {name: value for name, value in row.items() if name not in ("stage", "step")}


def assert_same(found: Json, expected: Json) -> None:
    """The last steps that both have told of, and the policy in the end."""
    rows = expected["rows"][-len(found["rows"]) :]
    for one, other in zip(found["rows"], rows, strict=True):
        assert measures(one) == pytest.approx(measures(other), rel=CLOSE, abs=CLOSE)
    for line, other_line in zip(found["said"], expected["said"], strict=True):
        assert line == pytest.approx(other_line, rel=CLOSE, abs=CLOSE)


def test_two_processes_learn_what_one_does(model: Path, alone: Json, tmp_path: Path) -> None:
    assert_same(done(2, model, tmp_path / "told.json"), alone)


def test_pieces_and_states_computed_anew_change_nothing(model: Path, alone: Json, tmp_path: Path) -> None:
    assert_same(done(3, model, tmp_path / "told.json", "--device-batch", 1), alone)


def test_adapters_learn_the_same_in_two_processes_and_go_on_in_one(model: Path, tmp_path: Path) -> None:
    rank = ("--rank", 4)
    alone = done(1, model, tmp_path / "alone.json", *rank)
    kept, out = tmp_path / "kept", tmp_path / "told.json"
    assert start(2, model, out, *rank, "--checkpoints", kept, "--dies-in", 3) != 0
    told = done(1, model, out, *rank, "--checkpoints", kept)
    assert len(told["rows"]) == len(alone["rows"]) - 2, "two iterations were behind it"
    told["rows"] = told["rows"][-1:]
    assert_same(told, alone)


@pytest.mark.parametrize(("before", "after"), [(2, (1,)), (1, (1, 3))])
def test_what_so_many_processes_began_others_go_on_with(
    before: int, after: tuple[int, ...], model: Path, alone: Json, tmp_path: Path
) -> None:
    kept, out = tmp_path / "kept", tmp_path / "told.json"
    assert start(before, model, out, "--checkpoints", kept, "--dies-in", 3) != 0
    assert not out.exists() and [path.name for path in kept.iterdir()] == ["2"], "the newest is enough"
    for processes in after:
        again = shutil.copytree(kept, tmp_path / f"kept by {processes}")
        told = done(processes, model, out, "--checkpoints", again)
        assert len(told["rows"]) == len(alone["rows"]) - 2, "two iterations were behind it"
        if (before, processes) == (1, 1):
            assert told["said"] == alone["said"], "bit for bit"
        told["rows"] = told["rows"][-1:]
        assert_same(told, alone)
