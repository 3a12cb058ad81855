"""`backtalk schedule …`"""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtalk.cli.opened import ACTOR, opened
from backtalk.cli.output import AsJson, pick, show, show_one
from backtalk.cli.recipes import RecipeFile, read_recipe

if TYPE_CHECKING:
    from backtalk.tables import Schedule

app = typer.Typer(help="Say when to learn.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the schedule.")]
Profile = Annotated[str | None, typer.Option(help="Reward profile of its runs; the active one when left out.")]
Blackout = Annotated[
    list[str] | None,
    typer.Option(help="No learning in this window: '1-5 08:00-18:00' or '2026-12-24/2026-12-27'; may be repeated."),
]
AfterFeedback = Annotated[int | None, typer.Option(help="So many new opinions start a run by themselves.")]
OnDrift = Annotated[
    float | None,
    typer.Option(help="So does a fall of the live thumbs-up share by this much, such as 0.1."),
]


class Clearable(StrEnum):
    """What `edit --clear` takes away, by the names of the options."""

    BLACKOUT = "blackout"
    PROFILE = "profile"
    AFTER_FEEDBACK = "after-feedback"
    ON_DRIFT = "on-drift"


CLEARED: dict[Clearable, tuple[str, list[str] | None]] = {
    Clearable.BLACKOUT: ("blackouts", []),
    Clearable.PROFILE: ("reward_profile", None),
    Clearable.AFTER_FEEDBACK: ("after_feedback", None),
    Clearable.ON_DRIFT: ("on_drift", None),
}
FIELDS = (
    "id",
    "name",
    "cron",
    "time_zone",
    "minimum_feedback",
    "recipe",
    "reward_profile",
    "blackouts",
    "after_feedback",
    "on_drift",
    "enabled",
)
COLUMNS = ("name", "cron", "time_zone", "minimum_feedback", "enabled", "next")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List schedules with their next times.

    Example: backtalk schedule list
    """
    from sqlmodel import col, select

    from backtalk.tables import Schedule

    with opened() as (_, database), database.read() as session:
        rows = [_shown(schedule) for schedule in session.exec(select(Schedule).order_by(col(Schedule.created_at)))]
    if not as_json:
        rows = [{**row, "next": next(iter(row["next"]), None) if row["enabled"] else "paused"} for row in rows]
    show(rows, COLUMNS, as_json, "no schedule yet; `backtalk schedule add NAME --cron '0 3 * * *'` makes one")


@app.command()
def add(
    name: Name,
    cron: Annotated[str, typer.Option(help="Minute, hour, day, month and weekday, such as '0 3 * * *'; '' for none.")],
    time_zone: Annotated[str, typer.Option(help="The zone the cron text speaks of, such as Asia/Shanghai.")] = "UTC",
    minimum_feedback: Annotated[int, typer.Option(help="With fewer new opinions nothing is learned.")] = 50,
    recipe: RecipeFile = None,
    profile: Profile = None,
    blackout: Blackout = None,
    after_feedback: AfterFeedback = None,
    on_drift: OnDrift = None,
    as_json: AsJson = False,
) -> None:
    """Make a schedule.

    Example: backtalk schedule add nightly --cron '0 3 * * *' --time-zone Europe/Berlin
    """
    from backtalk import schedules

    values = read_recipe(recipe)
    with opened(make=True) as (_, database), database.write() as session:
        schedule = schedules.add(
            session,
            name,
            cron,
            time_zone=time_zone,
            minimum_feedback=minimum_feedback,
            recipe=values,
            reward_profile=profile,
            blackouts=blackout or (),
            after_feedback=after_feedback,
            on_drift=on_drift,
        )
        shown = _shown(schedule)
    show_one(shown, as_json)


@app.command()
def edit(
    name: Name,
    new_name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    cron: Annotated[str | None, typer.Option(help="Other times.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="Another zone.")] = None,
    minimum_feedback: Annotated[int | None, typer.Option(help="Another least number of new opinions.")] = None,
    recipe: RecipeFile = None,
    profile: Profile = None,
    blackout: Blackout = None,
    after_feedback: AfterFeedback = None,
    on_drift: OnDrift = None,
    clear: Annotated[
        list[Clearable] | None,
        typer.Option(help="Take this away; may be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change a schedule; what is left out stays.

    Example: backtalk schedule edit nightly --cron '30 2 * * *'
    """
    asked = {
        "name": new_name,
        "cron": cron,
        "time_zone": time_zone,
        "minimum_feedback": minimum_feedback,
        "reward_profile": profile,
        "blackouts": blackout or None,
        "after_feedback": after_feedback,
        "on_drift": on_drift,
    }
    changes: dict[str, Any] = {field: value for field, value in asked.items() if value is not None}
    changes |= dict(CLEARED[what] for what in clear or ())
    if recipe is not None:
        changes["recipe"] = read_recipe(recipe)
    if not changes:
        raise typer.BadParameter("nothing to change was named")
    show_one(_change(name, **changes), as_json)


@app.command()
def pause(name: Name, as_json: AsJson = False) -> None:
    """Stop a schedule from firing until it is resumed.

    Example: backtalk schedule pause nightly
    """
    show_one(_change(name, enabled=False), as_json)


@app.command()
def resume(name: Name, as_json: AsJson = False) -> None:
    """Let a paused schedule fire again.

    Example: backtalk schedule resume nightly
    """
    show_one(_change(name, enabled=True), as_json)


@app.command()
def slots(
    name: Name,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the times of a schedule that have come: a run each, or why there was none.

    Example: backtalk schedule slots nightly
    """
    from sqlmodel import col, select

    from backtalk import schedules
    from backtalk.tables import Slot

    with opened() as (_, database), database.read() as session:
        schedule = schedules.by_name(session, name)
        times = select(Slot).where(Slot.schedule_id == schedule.id).order_by(col(Slot.planned_at).desc()).limit(limit)
        rows = [pick(slot, ("planned_at", "trigger", "run_id", "missed")) for slot in session.exec(times)]
    show(rows, ("planned_at", "trigger", "run_id", "missed"), as_json, f"no time of {name} has come yet")


@app.command("dry-run")
def dry_run(name: Name, as_json: AsJson = False) -> None:
    """Say what a run of this schedule would learn from if it began now; nothing is trained.

    Example: backtalk schedule dry-run nightly
    """
    from dataclasses import asdict

    from backtalk import schedules
    from backtalk.forecast import forecast

    with opened() as (settings, database), database.read() as session:
        schedule = schedules.by_name(session, name)
        found = forecast(session, schedule.recipe, schedule.minimum_feedback, schedule.reward_profile, settings.trust)
    show_one(asdict(found), as_json)


@app.command()
def remove(name: Name) -> None:
    """Remove a schedule; its runs stay.

    Example: backtalk schedule remove nightly
    """
    from backtalk import schedules

    with opened() as (_, database), database.write() as session:
        schedules.remove(session, schedules.by_name(session, name), ACTOR)
    print(f"schedule {name} removed")


def _change(name: str, **changes: Any) -> dict[str, Any]:
    from backtalk import schedules

    with opened() as (_, database), database.write() as session:
        return _shown(schedules.edit(session, schedules.by_name(session, name), ACTOR, **changes))


def _shown(schedule: "Schedule") -> dict[str, Any]:
    from backtalk import schedules

    return {
        **pick(schedule, FIELDS),
        "explain": schedules.explain(schedule.cron),
        "next": schedules.next_times(schedule.cron, schedule.time_zone, windows=schedule.blackouts),
    }
