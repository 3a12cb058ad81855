"""The loop, shown: people chat and rate, a schedule fires, the learner learns, the new version is swapped in.

Everything is the real thing on a data directory of its own: `backtalk up` with its three processes, the socket, a
schedule row, the gate. Two rounds, then a plot of satisfaction by version.
"""

import asyncio
import time
from pathlib import Path

from sqlmodel import col, select

from backtalk import runs, schedules
from backtalk.cli.output import console
from backtalk.cli.play import Telling, show_tally
from backtalk.database import Database
from backtalk.simulate import Crowd, Habits, SimulationError, Tally, crowd
from backtalk.tables import Json, Run
from backtalk.tastes import Taste
from backtalk.temporary import temporary

ROUNDS = 2
VISITORS, CALM = 10, 10.0
"""So many questions come at once while the learner works, and then none for so many seconds."""
FINAL_REPLIES = 300
RUN_SECONDS = 900.0


def run(taste: Taste, people: int, thumbs: int, recipe: Json, out: Path) -> None:
    """The whole demo.

    Raises:
        InstanceError: Backtalk does not start.
        SimulationError: a run did not end in time, or nothing was learned.
    """
    began = time.monotonic()
    tally = asyncio.run(_loop(taste, people, thumbs, recipe))
    plot(tally, taste, out)
    say = console().print
    say()
    show_tally(tally)
    say(f"\n  [bold]{out}[/] written after {time.monotonic() - began:.0f} s")
    first, last = (tally.scores[version].satisfaction for version in (min(tally.scores), max(tally.scores)))
    if len(tally.scores) == 1 or last <= first:
        raise SimulationError(f"satisfaction went from {first:.0%} to {last:.0%}; expected it to rise")


async def _loop(taste: Taste, people: int, thumbs: int, recipe: Json) -> Tally:
    say = console().print
    total = Tally()
    async with (
        temporary() as backtalk,
        crowd(backtalk.database, backtalk.url, people, Habits(taste)) as visitors,
    ):
        say(f"Backtalk runs at {backtalk.url}, ready after {backtalk.seconds:.1f} s")
        for number in range(1, ROUNDS + 1):
            say(f"[bold]{number}.[/] {people} people chat and rate; what they like is hidden: {taste.wants}")
            with Telling(thumbs, "chatting and rating") as telling:
                total.add(await visitors.chat(thumbs, progress=telling.tell))
            if number == 1:
                _schedule(backtalk.database, thumbs, recipe)
                say("   a schedule is set for every minute, if enough new opinions have come")
            ended, meanwhile = await _learn(backtalk.database, visitors, number)
            total.add(meanwhile)
            _tell_run(ended, meanwhile)
        say(f"[bold]{ROUNDS + 1}.[/] the same people chat with what came of it")
        with Telling(FINAL_REPLIES, "chatting") as telling:
            total.add(await visitors.chat(FINAL_REPLIES, judge=False, progress=telling.tell))
    return total


def _schedule(database: Database, thumbs: int, recipe: Json) -> None:
    with database.write() as session:
        schedules.add(session, "demo", "* * * * *", minimum_feedback=thumbs * 9 // 10, recipe=recipe)


async def _learn(database: Database, visitors: Crowd, number: int) -> tuple[Run, Tally]:
    """Wait for the run with this number to end, and its version to answer, while people go on chatting."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    meanwhile = Tally()
    out = console()
    bar = Progress(
        TextColumn("   {task.description:<34}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=out,
        transient=True,
        disable=not out.is_terminal,
    )
    give_up = time.monotonic() + RUN_SECONDS
    shown = ""
    with bar:
        task = bar.add_task("waiting for the schedule", total=1.0)
        chatting = asyncio.create_task(_chat_on(visitors, meanwhile))
        try:
            while True:
                found = await asyncio.to_thread(_run_number, database, number)
                doing = f"learning: {found.stage or found.state}" if found else "waiting for the schedule"
                bar.update(task, description=doing, completed=found.progress if found else 0.0)
                if not out.is_terminal and doing != shown:
                    shown = doing
                    print(f"   {doing}", flush=True)
                if (
                    found
                    and found.state in runs.ENDED
                    and (found.state != "promoted" or found.to_version in meanwhile.scores)
                ):
                    return found, meanwhile
                if chatting.done():
                    chatting.result()
                if time.monotonic() > give_up:
                    raise SimulationError(f"the run had not ended after {RUN_SECONDS:.0f} s; it was {doing}")
                await asyncio.sleep(0.3)
        finally:
            chatting.cancel()
            await asyncio.gather(chatting, return_exceptions=True)


async def _chat_on(visitors: Crowd, tally: Tally) -> None:
    """A few questions now and then, so that the swap happens under running replies."""
    while True:
        tally.add(await visitors.chat(VISITORS, judge=False))
        await asyncio.sleep(CALM)


def _run_number(database: Database, number: int) -> Run | None:
    with database.read() as session:
        return session.exec(select(Run).order_by(col(Run.queued_at)).offset(number - 1).limit(1)).first()


def _tell_run(ended: Run, meanwhile: Tally) -> None:
    replies = sum(score.replies for score in meanwhile.scores.values())
    assert ended.ended_at is not None and ended.started_at is not None  # it has ended
    seconds = (ended.ended_at - ended.started_at).total_seconds()
    what = (
        f"policy {ended.to_version} went live"
        if ended.state == "promoted"
        else f"{ended.state}: {ended.error or ended.report.get('reason')}; the live version stays"
    )
    console().print(
        f"   {what}; the run took {seconds:.0f} s; {replies} replies were written meanwhile, {meanwhile.failed} failed"
    )


def plot(tally: Tally, taste: Taste, out: Path) -> None:
    """Draw satisfaction and right answers by version, with 95 % intervals."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import PercentFormatter

    from backtalk.agreement import wilson

    versions = sorted(tally.scores)
    # Name, colour, where its figures stand in points, and the counts. What is liked is right too, so it lies below.
    series: list[tuple[str, str, int, list[tuple[int, int]]]] = [
        ("liked", "#2f6fde", -18, [(tally.scores[v].liked, tally.scores[v].replies) for v in versions]),
        ("right", "#8a8f98", 10, [(tally.scores[v].right, tally.scores[v].replies) for v in versions]),
    ]
    figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    for name, colour, offset, counts in series:
        shares = [hits / trials if trials else 0.0 for hits, trials in counts]
        bounds = [wilson(*count) for count in counts]
        low = [max(0.0, share - bound[0]) for share, bound in zip(shares, bounds, strict=True)]
        high = [max(0.0, bound[1] - share) for share, bound in zip(shares, bounds, strict=True)]
        axes.errorbar(versions, shares, yerr=[low, high], marker="o", capsize=4, color=colour, label=name, lw=2)
        for version, share in zip(versions, shares, strict=True):
            axes.annotate(
                f"{share:.0%}",
                (version, share),
                textcoords="offset points",
                xytext=(0, offset if share > 0.1 else 10),  # not into the axis
                ha="center",
                color=colour,
                fontsize=9,
            )
    axes.set(
        title=f"People who like: {taste.wants}",
        xlabel="policy version",
        xticks=versions,
        xlim=(versions[0] - 0.3, versions[-1] + 0.3),
        ylim=(0, 1.06),
    )
    axes.set_xticklabels([f"{v}\n{tally.scores[v].replies} replies" for v in versions])
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=160)
    plt.close(figure)
