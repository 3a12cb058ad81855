"""`backtalk train` and `backtalk run …`"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtalk.cli.opened import ACTOR, opened
from backtalk.cli.output import AsJson, CommandError, pick, show, show_json, show_one
from backtalk.cli.recipes import RecipeFile, read_recipe

if TYPE_CHECKING:
    from sqlmodel import Session

    from backtalk.tables import Run

app = typer.Typer(help="Trainings: what ran, what runs.", no_args_is_help=True)

FIELDS = (
    "id",
    "state",
    "stage",
    "progress",
    "from_version",
    "to_version",
    "counts",
    "report",
    "error",
    "queued_at",
    "started_at",
    "ended_at",
)
SAMPLED = ("prompt", "before", "after", "reward_before", "reward_after")
RunId = Annotated[str | None, typer.Argument(help="Id of the run, or its beginning; the newest when left out.")]


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 20, as_json: AsJson = False
) -> None:
    """List runs, newest first.

    Example: backtalk run list --json | jq '.[0].state'
    """
    from sqlmodel import col, select

    from backtalk.tables import Run

    with opened() as (_, database), database.read() as session:
        rows = [_shown(run) for run in session.exec(select(Run).order_by(col(Run.queued_at).desc()).limit(limit))]
    if not as_json:
        rows = [{**row, "id": str(row["id"])[:8], "progress": f"{row['progress']:.0%}"} for row in rows]
    columns = ("id", "state", "stage", "progress", "from_version", "to_version", "queued_at", "error")
    show(rows, columns, as_json, "no run yet; `backtalk train` starts one")


@app.command("show")
def show_run(
    run: RunId = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Watch it until it has ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show one run.

    Example: backtalk run show --follow
    """
    with opened() as (_, database):
        with database.read() as session:
            found = _find(session, run)
        if follow:
            from backtalk.cli.follow import follow as watch

            found = watch(database, found.id, quietly=as_json)
    shown = _shown(found)
    show_one(shown if as_json else {name: value for name, value in shown.items() if name != "report"}, as_json)
    if not as_json and found.report:
        from backtalk.cli.report import lines

        print("\nreport (docs/learning.md says what each figure tells)")
        for line in lines(found.report, 1):
            print(line)


@app.command()
def log(run: RunId = None, as_json: AsJson = False) -> None:
    """Print what the learner said while it did a run; the newest thousand lines are kept.

    Example: backtalk run log | tail
    """
    from backtalk.cli.follow import lines, spoken

    with opened() as (_, database):
        with database.read() as session:
            found = _find(session, run)
        said = lines(database, found.id)
    if as_json:
        show_json([pick(line, ("number", "level", "text", "at")) for line in said])
        return
    for line in said:
        print(spoken(line))


@app.command()
def samples(run: RunId = None, as_json: AsJson = False) -> None:
    """Show what the same questions were answered with before and after a run.

    Example: backtalk run samples
    """
    from sqlmodel import col, select

    from backtalk.tables import Sample

    with opened() as (_, database), database.read() as session:
        drawn = select(Sample).where(Sample.run_id == _find(session, run).id).order_by(col(Sample.number))
        rows = [pick(sample, SAMPLED) for sample in session.exec(drawn)]
    show(rows, SAMPLED, as_json, "the run has answered nothing yet; it does so before its gate")


@app.command("people")
def list_people(
    run: RunId = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 10,
    as_json: AsJson = False,
) -> None:
    """List whose opinions a run used: first those left out, then those whom its reward hangs on most.

    Example: backtalk run people --limit 20
    """
    from dataclasses import asdict

    from backtalk import givers

    with opened() as (_, database), database.read() as session:
        rows = [asdict(one) for one in givers.of_run(session, _find(session, run).id, limit)]
    if not as_json:
        rows = [
            {**row, "name": row["name"] or str(row["person_id"])[:8], "share": f"{row['share']:.0%}"} for row in rows
        ]
    columns = ("name", "given", "used", "share", "influence", "leaning", "contrary")
    show(rows, columns, as_json, "the run has used nobody's opinions")


@app.command()
def cancel(run: RunId = None, as_json: AsJson = False) -> None:
    """Stop a run; the live version stays.

    Example: backtalk run cancel 1f3a
    """
    from backtalk import runs

    with opened() as (_, database), database.write() as session:
        shown = _shown(runs.cancel(session, _find(session, run).id, ACTOR))
    if as_json:
        show_json(shown)
    else:
        ended = shown["state"] == "cancelled"
        print(f"run {shown['id']} " + ("is cancelled" if ended else "will stop within its next step"))


def _find(session: "Session", beginning: str | None) -> "Run":
    import sqlalchemy as sa
    from sqlmodel import col, select

    from backtalk.tables import Run

    query = select(Run).order_by(col(Run.queued_at).desc())
    if beginning is not None:
        # SQLite keeps UUIDs as 32 hexadecimal digits, Postgres as its own type: both begin alike without hyphens.
        text = sa.func.replace(sa.cast(col(Run.id), sa.String), "-", "")
        query = query.where(text.startswith(beginning.lower().replace("-", ""), autoescape=True))
    found = session.exec(query.limit(2)).all()
    if not found:
        which = f"run {beginning!r}" if beginning else "run yet"
        raise CommandError(f"there is no {which}; `backtalk run list` shows those there are")
    if beginning is not None and len(found) > 1:
        raise CommandError(f"more than one run begins with {beginning!r}; give more of its id")
    return found[0]


def _shown(run: "Run") -> dict[str, Any]:
    return pick(run, FIELDS)


def _whereabouts(run: "Run") -> str:
    """What the rules of release did with the version that a run made."""
    from backtalk.tables import Policy

    with opened() as (_, database), database.read() as session:
        policy = session.get(Policy, run.to_version)
    words = {"live": "went live", "canary": "is tried on some of the people", "candidate": "waits for an operator"}
    return words.get(policy.state, f"is {policy.state}") if policy is not None else "is gone"


def train(
    recipe: RecipeFile = None,
    profile: Annotated[str | None, typer.Option(help="Reward profile; the active one when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run one training now, in the foreground.

    It needs no running Backtalk; one that runs swaps the new version in. Ctrl-C cancels it. Exit code 0 only if a new
    version passed the gate; the rules of release say whether it is live at once (`backtalk release show`).

    Example: backtalk train --recipe gentle.toml
    """
    from backtalk.cli.training import train_now

    values = read_recipe(recipe)
    run = train_now(values, profile, quietly=as_json)
    if as_json:
        show_json(_shown(run))
    elif run.state == "promoted":
        print(f"policy {run.to_version} {_whereabouts(run)}; it came from policy {run.from_version}")
    if run.state != "promoted":
        raise CommandError(
            f"the run ended as {run.state}: {run.error or run.report.get('reason') or 'no reason given'}"
        )
