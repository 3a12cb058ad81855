"""The recipe of the bundled first policy, from nothing to files: dialogues, tokenizer, template, Llama, pretraining,
report.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from backtalk.starter.card import card

if TYPE_CHECKING:
    from rich.progress import Progress

    from backtalk.starter.pretrain import Recipe

Told = Callable[[int, int, float], None]  # step, steps, loss


class NoDevice(Exception):
    """The device that was asked for is unknown or not there."""


def build(
    out: Path,
    progress: Told | None = None,
    *,
    steps: int | None = None,
    seed: int = 0,
    recipe: Recipe | None = None,
    examine: bool = True,
    device: str = "cpu",
) -> None:
    """Make the first policy in the directory `out`: the same bytes each time on one machine.

    `progress(step, steps, loss)` is called after every step; without one a bar is drawn on the terminal. `steps`
    shortens the training and `recipe` changes more than that (for tests); without `examine` there is no report and no
    card, which saves some minutes. On the `device` "cuda" it takes some minutes instead of a good twenty; what comes of
    it differs as it does between two processors.

    Raises:
        NoDevice: before anything is made.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in the learner
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else a GPU may sum in another order each time
    import torch

    from backtalk.starter.pretrain import Recipe, new_model, pretrain
    from backtalk.starter.tokenizer import train_tokenizer

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the second where torch was built without the device
        reason = str(error).splitlines()[0]
        raise NoDevice(f"nothing can be trained on {device!r} ({reason}); take cpu, or cuda with a GPU") from error
    recipe = recipe or Recipe()
    recipe = replace(recipe, steps=recipe.steps if steps is None else steps)
    out.mkdir(parents=True, exist_ok=True)
    with _Screen(progress) as screen:
        screen.say("learning the tokenizer")
        tokenizer = train_tokenizer(seed, context=recipe.context, conversations=recipe.tokenizer_conversations)
        screen.say("pretraining")
        model = new_model(recipe, tokenizer, seed)
        torch.nn.Module.to(model, device)
        torch.use_deterministic_algorithms(True)
        try:
            losses = pretrain(model, tokenizer, recipe, seed, screen.told)
        finally:
            torch.use_deterministic_algorithms(False)
        torch.nn.Module.to(model, "cpu", torch.bfloat16)  # what is shipped is what is examined
        model.generation_config.update(  # type: ignore[no-untyped-call]  # transformers leaves it untyped
            do_sample=True, temperature=0.6, max_new_tokens=256, pad_token_id=tokenizer.pad_token_id
        )
        model.save_pretrained(out)
        tokenizer.save_pretrained(out)
        for file in out.iterdir():
            file.chmod(0o644)  # the weights are written for their owner alone, but people share an installation
        plot(losses, out / "loss.png")
        if examine:
            from backtalk.starter.report import measure

            torch.nn.Module.to(model, torch.float32)  # as it is served, and fast on every processor
            made = asdict(recipe) | {"seed": seed, "device": device}
            report = {"recipe": made, **measure(model, tokenizer, losses, screen.say)}
            (out / "report.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            (out / "README.md").write_text(card(report), encoding="utf-8")


def plot(losses: list[float], path: Path) -> None:
    """The loss over the steps, raw and smoothed, on a logarithmic scale."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    smooth: list[float] = []
    for loss in losses:
        smooth.append(loss if not smooth else 0.97 * smooth[-1] + 0.03 * loss)
    steps = range(1, len(losses) + 1)
    axes.plot(steps, losses, color="#b8c4d6", linewidth=0.6, label="one step")
    axes.plot(steps, smooth, color="#1f4e9c", linewidth=1.6, label="smoothed")
    axes.set(yscale="log", xlabel="step", ylabel="loss, nats a token", title="Pretraining of the bundled first policy")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.savefig(path, metadata={"Software": None})  # the version of the plotting library would change the bytes


class _Screen:
    """Where the build tells how far it is: the caller's function, or a bar with the time left and the loss; where there
    is no terminal, a line now and then."""

    def __init__(self, told: Told | None) -> None:
        self._told = told
        self._bar: Progress | None = None

    def __enter__(self) -> _Screen:
        if self._told is None:
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("loss {task.fields[loss]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
            )
            self._task = self._bar.add_task("starting", total=None, loss="-")
            self._bar.disable = not self._bar.console.is_terminal
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def say(self, what: str) -> None:
        if self._bar:
            self._bar.update(self._task, description=what)
            if self._bar.disable:
                print(what, flush=True)

    def told(self, step: int, steps: int, loss: float) -> None:
        if self._told:
            self._told(step, steps, loss)
        elif self._bar:
            self._bar.update(self._task, completed=step, total=steps, loss=f"{loss:.3f}")
            if self._bar.disable and 20 * step // steps > 20 * (step - 1) // steps:
                print(f"{step} of {steps} steps, loss {loss:.3f}", flush=True)
