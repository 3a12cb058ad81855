"""What we export trains TRL's own trainers as it is: one step of each."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backtalk import exports
from backtalk.database import Database
from backtalk.exports import Format
from backtalk.tables import Policy
from backtalk.template import Template
from bench.peers import house
from tests.learner.conftest import make_tiny
from tests.learner.town import Town

PYTHON = house.home("trl_grpo") / "bin" / "python"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PYTHON.exists(), reason="TRL is not installed; `.venv/bin/python -m bench peers` installs it"
    ),
]


@pytest.fixture
def told(tmp_path: Path) -> Iterator[tuple[Database, Path]]:
    """People who rate and rewrite, and a tiny policy that speaks their letters."""
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    database.migrate()
    model = tmp_path / "model"
    model.mkdir()
    make_tiny(model)
    template = Template(model)
    with database.write() as session:
        session.add(Policy(number=0, state="live", directory="0-abc", digest="abc"))
        session.flush()
        town = Town(session, template)
        for name in range(3):
            who = town.person()
            good = town.reply(who, "go on", f"yes {'abc'[name]}!")
            bad = town.reply(who, "go on", "no.", after=good)
            town.rate(who, good, 1)
            town.rate(who, bad, -1, rewrite="yes and more!")
    yield database, model
    database.close()


@pytest.mark.parametrize(
    ("trainer", "form", "ending"),
    [
        ("reward", "preference", "jsonl"),
        ("dpo", "preference", "jsonl"),
        ("kto", "unpaired", "jsonl"),
        ("reward", "preference", "parquet"),
    ],
)
def test_a_trainer_of_trls_takes_a_step_on_our_export(
    trainer: str, form: Format, ending: str, told: tuple[Database, Path], tmp_path: Path
) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow", reason="parquet is an extra: pip install 'backtalk[parquet]'")
    database, model = told
    file = tmp_path / f"out.{ending}"
    with database.read() as session:
        count = exports.export(session, form, file)
    assert count > 0
    script = Path(__file__).with_name("exchange_trl.py")
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [PYTHON, script, trainer, file, model], capture_output=True, text=True, env=environment, timeout=280
    )
    assert done.returncode == 0, done.stderr[-3000:]
    step = json.loads(done.stdout.splitlines()[-1])
    assert step["rows"] == count and step["moved"] and step["loss"] > 0
