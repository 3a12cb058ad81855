"""G21: NaN and infinity, put into every place of a training at a random step: nothing of it is published (F14).

Real runs of a tiny policy. One thing is broken in each: a gradient, the memory of the optimizer, a weight, a reward,
the learning rate, or the tensor that is about to be saved, after the gate has said yes.
"""

import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlmodel import select

from backtalk import runs
from backtalk.database import Database
from backtalk.settings import Settings
from backtalk.tables import Policy, Run
from tests.faults import figures
from tests.faults.figures import ROOT
from tests.faults.learner_kill import Trainer, _claim

KINDS = ("gradient", "optimizer", "weight", "reward", "saved", "learning rate")


class Harm:
    """Breaks one thing at one step of the training in this process."""

    def __init__(self, kind: str, seed: int) -> None:
        self._kind, self._chance = kind, random.Random(seed)
        self._value = self._chance.choice((math.nan, math.inf, -math.inf))
        # The runs here make some forty steps, and score three times.
        self._in = self._chance.randint(1, 3 if kind == "reward" else 12)
        self.done = False

    def _is_time(self) -> bool:
        self._in -= 1
        return self._in == 0

    def install(self) -> None:
        from torch.optim import optimizer

        if self._kind in ("gradient", "optimizer", "learning rate"):
            optimizer.register_optimizer_step_pre_hook(self._before_a_step)
        elif self._kind == "weight":
            optimizer.register_optimizer_step_post_hook(self._after_a_step)
        elif self._kind == "reward":
            from learner.reward_model import RewardModel

            self._wrap(RewardModel, "score", self._spoil)
        else:
            from learner import publish

            self._in = 1
            self._wrap(
                publish, "served_state", lambda state: {**state, next(iter(state)): self._spoil(self._one(state))}
            )

    def _one(self, state: dict[str, Any]) -> Any:
        return next(iter(state.values())).clone()

    def _wrap(self, owner: Any, name: str, spoil: Callable[[Any], Any]) -> None:
        whole = getattr(owner, name)

        def broken(*given: Any, **named: Any) -> Any:
            made = whole(*given, **named)
            return spoil(made) if self._is_time() else made

        setattr(owner, name, broken)

    def _spoil(self, tensor: Any) -> Any:
        self.done = True
        tensor.view(-1)[self._chance.randrange(tensor.numel())] = self._value
        return tensor

    def _before_a_step(self, optimizer: Any, *_: Any) -> None:
        if not self._is_time():
            return
        if self._kind == "learning rate":
            self.done = True
            for group in optimizer.param_groups:
                group["lr"] *= 1000
            return
        parameters = [one for group in optimizer.param_groups for one in group["params"] if one.grad is not None]
        if self._kind == "gradient":
            self._spoil(self._chance.choice(parameters).grad)
            return
        remembered = [state["exp_avg"] for state in optimizer.state.values() if "exp_avg" in state]
        if remembered:
            self._spoil(self._chance.choice(remembered))
        else:
            self._in = 1  # at the very first step it remembers nothing yet

    def _after_a_step(self, optimizer: Any, *_: Any) -> None:
        import torch

        if self._is_time():
            parameters = [one for group in optimizer.param_groups for one in group["params"]]
            with torch.no_grad():
                self._spoil(self._chance.choice(parameters).data)


def main(directory: Path, run_id: UUID, kind: str, seed: int) -> None:
    """One harmed training, and what came of it: the process of a trial."""
    import torch

    from learner import train

    torch.set_num_threads(1)
    settings = Settings(data_dir=directory, learner_device="cpu")
    database = Database(settings.database)
    with database.read() as session:
        run = session.get_one(Run, run_id)
    harm = Harm(kind, seed)
    harm.install()
    try:
        train.train(settings, database, run, run.epoch)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    print(json.dumps({"harmed": harm.done, "wrong": list(_wrong(settings, database, kind if harm.done else "none"))}))


def _wrong(settings: Settings, database: Database, kind: str) -> Iterator[str]:
    from safetensors.torch import load_file

    with database.read() as session:
        run = session.exec(select(Run)).one()
        versions = session.exec(select(Policy)).all()
    for version in versions:
        for path in (settings.weights_dir / version.directory).glob("*.safetensors"):
            if not all(bool(tensor.isfinite().all()) for tensor in load_file(path).values()):
                yield f"{kind}: {path.name} of version {version.number} is not finite"
    if kind not in ("none", "learning rate") and len(versions) > 1:
        yield f"{kind}: a version was published ({run.state})"
    if run.state not in runs.ENDED:
        yield f"{kind}: the run is still {run.state}"
    if run.state != "promoted" and not run.error:
        yield f"{kind}: the run ended as {run.state} without a reason"


def run(seed: int, trials: int) -> figures.Outcome:
    """Do harm `trials` times."""
    outcome, chance = figures.Outcome(), random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        first = Path(place) / "first"
        trainer = Trainer()
        trainer.make(first)
        trainer.close()
        while outcome.trials < trials:
            data = Path(place) / "data"
            shutil.copytree(first, data)
            claimed = _claim(data)
            assert claimed is not None
            kind = KINDS[(seed * trials + outcome.trials) % len(KINDS)]
            command = [sys.executable, "-m", "tests.faults.not_finite", str(data), str(claimed.id), kind]
            done = subprocess.run(
                [*command, str(chance.randrange(10**9))],
                cwd=ROOT,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                capture_output=True,
                text=True,
            )
            told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else {}
            if not told.get("harmed"):
                outcome.violations.append(f"no harm was done: {done.stderr[-300:]}")
            outcome.trials += 1
            outcome.violations += told.get("wrong", [])
            shutil.rmtree(data)
    return outcome


FIGURE = figures.Figure(
    name="G21",
    claim="NaN, infinity or an exploding step in a training: the run ends with its reason, nothing is published",
    unit="injections",
    run=run,
    minimum=50,
    goal=200,
    slice=12,
    faults="F14",
    limits="A tiny policy. An exploding learning rate may still be published if the gate finds the result better.",
)

if __name__ == "__main__":
    main(Path(sys.argv[1]), UUID(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
