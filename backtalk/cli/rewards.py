"""`backtalk reward …`"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtalk.cli.opened import ACTOR, opened
from backtalk.cli.output import AsJson, CommandError, pick, show, show_json, show_one

if TYPE_CHECKING:
    from sqlmodel import Session

    from backtalk.settings import Settings

app = typer.Typer(help="What replies are rewarded for.", no_args_is_help=True)

FIELDS = ("name", "revision", "active", "weights", "rules", "limits", "forbidden", "updated_at")
Name = Annotated[str, typer.Argument(help="Name of the profile.")]
MOST_TOKENS = 96


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List reward profiles.

    Example: backtalk reward list
    """
    from sqlmodel import col, select

    from backtalk.tables import RewardProfile

    with opened() as (_, database), database.read() as session:
        rows = [pick(row, FIELDS) for row in session.exec(select(RewardProfile).order_by(col(RewardProfile.name)))]
    if not as_json:
        rows = [{**row, "weights": _told(row["weights"])} for row in rows]
    show(
        rows,
        ("name", "active", "revision", "weights", "updated_at"),
        as_json,
        "no profile yet: preference alone counts",
    )


@app.command("show")
def show_profile(
    name: Name,
    history: Annotated[bool, typer.Option("--history", help="What it once was, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a profile.

    Example: backtalk reward show calm --history
    """
    from backtalk import profiles

    with opened() as (_, database), database.read() as session:
        shown = pick(profiles.by_name(session, name), FIELDS)
        if history:
            fields = ("revision", "at", "weights", "rules", "limits", "forbidden")
            shown["history"] = [pick(row, fields) for row in profiles.history(session, name)]
    show_one(shown, as_json)


@app.command("set")
def set_profile(
    name: Name,
    weight: Annotated[
        list[str] | None, typer.Option(metavar="REWARD=NUMBER", help="How much a reward counts; 0 for not at all.")
    ] = None,
    rule: Annotated[
        list[str] | None, typer.Option(metavar="NAME=EXPRESSION", help="A rule of your own; '' takes it out.")
    ] = None,
    words: Annotated[list[str] | None, typer.Option(metavar="NAME=WORD,WORD", help="A rule that counts words.")] = None,
    limit: Annotated[list[str] | None, typer.Option(metavar="LIMIT=NUMBER", help="What the gate demands.")] = None,
    forbid: Annotated[
        str | None,
        typer.Option(metavar="WORD,WORD", help="All words that a version's replies may not hold; '' takes them out."),
    ] = None,
    activate: Annotated[
        bool | None, typer.Option("--activate/--deactivate", help="Whether it goes into every next run.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a profile, or change one; what is left out stays. Rewards: preference, aspects, styles, and your rules.

    Example: backtalk reward set calm --weight preference=1 --rule "calm=-exclamations" --weight calm=0.3
    """
    from backtalk import profiles
    from backtalk.tables import RewardProfile

    with opened(make=True) as (_, database), database.write() as session:
        known = session.get(RewardProfile, name)
        weights = dict(known.weights) if known else {profiles.PREFERENCE: 1.0}
        rules, limits = (dict(known.rules), dict(known.limits)) if known else ({}, {})
        weights |= {reward: _number(value) for reward, value in _pairs(weight)}
        rules |= dict(_pairs(rule))
        rules |= {own: [word.strip() for word in value.split(",")] for own, value in _pairs(words)}
        rules = {own: value for own, value in rules.items() if value}
        limits |= {bound: _number(value) for bound, value in _pairs(limit)}
        is_active = activate if activate is not None else bool(known and known.active)
        kept = {reward: value for reward, value in weights.items() if value or reward == profiles.PREFERENCE}
        forbidden = list(known.forbidden) if known else []
        if forbid is not None:
            forbidden = [word.strip() for word in forbid.split(",") if word.strip()]
        shown = pick(profiles.put(session, ACTOR, name, kept, limits, is_active, rules, forbidden), FIELDS)
    show_one(shown, as_json)


@app.command()
def remove(name: Name) -> None:
    """Delete a profile; runs keep what they were given.

    Example: backtalk reward remove calm
    """
    from backtalk import profiles

    with opened() as (_, database), database.write() as session:
        profiles.remove(session, ACTOR, name)
    print(f"the reward profile {name} is gone")


@app.command()
def check(name: Name, as_json: AsJson = False) -> None:
    """Tell whether a profile's rewards foretell people, and whether they contradict each other. Nothing is trained.

    Example: backtalk reward check calm
    """
    from backtalk import preview as trying

    with opened() as (_, database), database.read() as session:
        _, found = trying.check(session, **_content(session, name))
    shown = pick(found, ("replies", "missing", "correlation", "forbidden"))
    shown["validation"] = {reward: _fields(one) for reward, one in found.validation.items()}
    shown["clashes"] = [_fields(one) for one in found.clashes]
    if as_json:
        show_json(shown)
        return
    print(f"{found.replies} rated replies looked at; too little said of: {', '.join(found.missing) or 'nothing'}")
    if found.forbidden:
        print(f"{found.forbidden:.1%} of them hold a forbidden word today")
    for reward, one in found.validation.items():
        print(f"{reward}: {one.measure} {one.value} on people held out ({one.people} people, {one.opinions} opinions)")
    columns = ("reward", *found.correlation)
    show([{"reward": reward, **line} for reward, line in found.correlation.items()], columns, False, "")
    for clash in found.clashes:
        print(
            f"{clash.left} and {clash.right} contradict each other ({clash.correlation:+.2f}): a run will refuse this"
        )


@app.command()
def preview(
    name: Name,
    prompt: Annotated[list[str] | None, typer.Option(help="Ask this; 20 real questions when left out.")] = None,
    draws: Annotated[int, typer.Option(min=2, max=32, help="Replies drawn for each question.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Another number, other questions and replies.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Show what a profile would prefer: the best of several replies of the live version, beside today's.

    It asks the running engine. Nothing is trained, nothing is kept.

    Example: backtalk reward preview calm
    """
    from backtalk import drafts, privacy
    from backtalk import preview as trying

    with opened() as (settings, database):
        with database.read() as session:
            appraiser, _ = trying.check(session, **_content(session, name))
            own = privacy.load(settings.data_dir)
            asked = prompt or drafts.real_questions(session, drafts.MOST, seed, own)
            directory = _live(session, settings)
        if not asked:
            raise CommandError("nobody who lets theirs train has asked anything yet; give --prompt")
        drawn = _draw(settings, directory, asked, draws, seed)
    choices, shift = trying.choose(appraiser, asked, drawn)
    if as_json:
        show_json({"items": [_fields(one) for one in choices], "shift": shift})
        return
    for one in choices:
        print(one.prompt)
        print(f"  today  {one.reward_today:+.2f}  {one.today}")
        print(f"  best   {one.reward_best:+.2f}  {one.best}\n")
    print("in spreads from today's:", ", ".join(f"{reward} {value:+.2f}" for reward, value in shift.items()))


def _draw(
    settings: "Settings", directory: tuple[int, Path], asked: list[str], draws: int, seed: int
) -> list[list[str]]:
    import asyncio

    from backtalk.cli.comparing import ask
    from backtalk.engine.sampling import Sampling

    number, path = directory
    sampling = Sampling(max_tokens=MOST_TOKENS, seed=seed)
    return asyncio.run(ask(settings, {number: path}, asked, sampling, draws))[number]


def _live(session: "Session", settings: "Settings") -> tuple[int, Path]:
    from backtalk import policies

    live = policies.live(session)
    if live is None:
        raise CommandError("no version is live yet; start Backtalk with `backtalk up`")
    return live.number, settings.weights_dir.resolve() / live.directory


def _content(session: "Session", name: str) -> dict[str, Any]:
    from backtalk import profiles

    profile = profiles.by_name(session, name)
    return pick(profile, ("weights", "rules", "limits", "forbidden"))


def _pairs(given: list[str] | None) -> list[tuple[str, str]]:
    found = []
    for text in given or ():
        name, separator, value = text.partition("=")
        if not separator:
            raise typer.BadParameter(f"found {text!r}, expected a name, = and a value")
        found.append((name.strip(), value.strip()))
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise typer.BadParameter(f"found {text!r}, expected a number") from error


def _told(weights: dict[str, float]) -> str:
    return ", ".join(f"{reward} {weight:g}" for reward, weight in weights.items() if weight)


def _fields(value: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(value)
