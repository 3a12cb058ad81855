"""`backtalk simulate` and `backtalk demo`."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backtalk.cli.opened import opened
from backtalk.cli.output import AsJson, CommandError, console, show_json
from backtalk.cli.recipes import RecipeFile, read_recipe

if TYPE_CHECKING:
    from backtalk.simulate import Tally


def simulate(
    people: Annotated[int, typer.Option(min=1, max=1000, help="How many people.")] = 30,
    thumbs: Annotated[int, typer.Option(min=1, help="How many opinions they give together.")] = 600,
    measure: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only ask, N times, and give no opinions.")
    ] = None,
    taste: Annotated[str, typer.Option(help="What they like; `--taste list` lists the tastes.")] = "friendly",
    flip: Annotated[float, typer.Option(min=0, max=1, help="Share of thumbs that point the wrong way.")] = 0.1,
    rewrite: Annotated[float, typer.Option(min=0, max=1, help="Share of thumbs-down that bring a rewrite.")] = 0.1,
    language: Annotated[str | None, typer.Option(metavar="en|zh", help="One language only.")] = None,
    url: Annotated[str | None, typer.Option(help="A server on this data directory; the running one otherwise.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same questions and slips again.")] = None,
    as_json: AsJson = False,
) -> None:
    """Let simulated people with a taste chat and rate.

    They use the real socket of a running server. Prints by policy version how many replies they truly liked, before
    noise turned thumbs around.

    Example: backtalk simulate --people 30 --thumbs 600 --taste formal
    """
    from backtalk import instance, tastes

    if taste == "list":
        for one in tastes.TASTES.values():
            print(f"{one.name:<10}  {one.wants}")
        return
    if taste not in tastes.TASTES:
        raise typer.BadParameter(f"found {taste!r}, expected one of {', '.join(tastes.TASTES)}", param_hint="--taste")
    if language not in (None, "en", "zh"):
        raise typer.BadParameter(f"found {language!r}, expected en or zh", param_hint="--language")
    from backtalk import simulate as simulation

    habits = simulation.Habits(tastes.TASTES[taste], flip, rewrite, language)
    with opened() as (settings, database):
        running = instance.running(settings.data_dir)
        address = url or (running or {}).get("url")
        if address is None:
            raise CommandError("no Backtalk runs on this data directory; start it with `backtalk up`, or give --url")
        address = address.rstrip("/")
        if not instance.ready(address):
            raise CommandError(f"the server at {address} is not ready; see `backtalk status` and its logs")
        replies = measure or thumbs
        with Telling(replies, "asking" if measure else "chatting and rating", quiet=as_json) as telling:
            tally, seconds = asyncio.run(
                simulation.simulate(
                    database,
                    address,
                    people,
                    habits,
                    replies,
                    judge=measure is None,
                    seed=seed,
                    progress=telling.tell,
                )
            )
    if as_json:
        show_json({"taste": taste, "people": people, "seconds": round(seconds, 1), "versions": tally.summary()})
    else:
        show_tally(tally)
        print(f"{people} people of taste {taste!r}, {seconds:.0f} s")


class Telling:
    """Progress of a crowd: a bar on a terminal, otherwise a line now and then."""

    def __init__(self, total: int, doing: str, *, quiet: bool = False) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._total = total
        self._doing = doing
        out = console()
        self._is_plain = not out.is_terminal
        self._quiet = quiet
        self._bar = Progress(
            TextColumn("  {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[numbers]}"),
            console=out,
            transient=True,
            disable=quiet or self._is_plain,
        )
        self._task = self._bar.add_task(doing, total=total, numbers="")

    def __enter__(self) -> "Telling":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def tell(self, tally: "Tally", done: int) -> None:
        """Another reply was heard."""
        if self._quiet:
            return
        newest = max(tally.scores, default=None)
        numbers = "" if newest is None else f"policy {newest}: {tally.scores[newest].satisfaction:.0%} liked"
        self._bar.update(self._task, completed=done, numbers=numbers)
        tenth = max(1, self._total // 10)
        if self._is_plain and done % tenth == 0:
            print(f"  {self._doing}: {done}/{self._total}  {numbers}", flush=True)


def show_tally(tally: "Tally") -> None:
    """Print satisfaction by version."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("policy", "replies", "liked", "95 %", "right", "thumbs up", "thumbs down", "rewrites"):
        table.add_column(name, justify="right")
    for row in tally.summary():
        table.add_row(
            str(row["version"]),
            str(row["replies"]),
            f"{row['satisfaction']:.0%}",
            f"{row['satisfaction_low']:.0%} – {row['satisfaction_high']:.0%}",
            f"{row['correctness']:.0%}",
            str(row["thumbs_up"]),
            str(row["thumbs_down"]),
            str(row["rewrites"]),
        )
    console().print(table)
    if tally.failed or tally.reconnects:
        print(f"{tally.failed} replies failed, {tally.reconnects} reconnections")


def bench(
    benches: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[serving|swap|actions|gateway|learner|loop|canary|summary|gate|reward|raters|device|soak|peers]...",
            help="All but the last six if none.",
        ),
    ] = None,
    peers: Annotated[bool, typer.Option("--peers", help="Serving: other engines beside ours, on one core.")] = False,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="With --peers: S, M (default both) or a model's directory; device: 0.5B, 8B."
        ),
    ] = None,
    taste: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Loop, gate, reward: what people like.")
    ] = None,
    thumbs: Annotated[int, typer.Option(min=20, help="Loop, gate, reward: opinions to learn from.")] = 600,
    seeds: Annotated[int, typer.Option(min=1, help="Loop, gate, reward, raters: crowds for each taste.")] = 1,
    minutes: Annotated[float, typer.Option(min=0.5, help="Soak: how long.")] = 60,
    every: Annotated[float, typer.Option(min=0.5, help="Soak: minutes from one training and swap to the next.")] = 15,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Add the figures to this file.")] = None,
) -> None:
    """Measure this Backtalk on this machine, from a source checkout.

    Each bench runs on a Backtalk of its own that is gone at the end. `soak` tells after an hour what grows, `gate` how
    often a better version gets through from few opinions, `reward` what optimiser steps add to a reward model,
    `raters` who is found out among hostile people.
    `peers` installs the engines that --peers compares ours with, each in an environment of its own.

    Example: backtalk bench serving swap --json figures.json
    """
    import subprocess
    import sys

    root = Path(__file__).resolve().parent.parent.parent
    if not (root / "bench" / "__main__.py").exists():
        raise CommandError("the benches are not installed with the package; run this in a checkout of the sources")
    options = ["--json", str(json.resolve())] if json else []
    options += ["--peers"] if peers else []
    options += [word for name in shape or () for word in ("--shape", name)]
    options += [word for name in taste or () for word in ("--taste", name)]
    options += ["--thumbs", str(thumbs), "--seeds", str(seeds)]
    options += ["--minutes", str(minutes), "--every", str(every)]
    done = subprocess.run([sys.executable, "-m", "bench", *(benches or []), *options], cwd=root, check=False)
    raise typer.Exit(done.returncode)


def demo(
    out: Annotated[Path, typer.Option(help="Where the plot goes.")] = Path("docs/images/demo.png"),
    taste: Annotated[str, typer.Option(help="What the people like, which nobody tells the learner.")] = "friendly",
    people: Annotated[int, typer.Option(min=2, max=200, help="How many people.")] = 30,
    thumbs: Annotated[int, typer.Option(min=50, help="Opinions before each of the two scheduled runs.")] = 450,
    recipe: RecipeFile = None,
) -> None:
    """Show the whole loop in under ten minutes, and plot it.

    People chat and rate, scheduled runs learn, new versions are swapped in while people chat on. Everything
    runs on a data directory of its own that is removed at the end.

    Example: backtalk demo --taste formal --out formal.png
    """
    from backtalk.demo import run
    from backtalk.tastes import TASTES

    if taste not in TASTES:
        raise typer.BadParameter(f"found {taste!r}, expected one of {', '.join(TASTES)}", param_hint="--taste")
    run(TASTES[taste], people, thumbs, read_recipe(recipe), out)
