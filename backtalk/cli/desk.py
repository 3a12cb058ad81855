"""`backtalk feedback list|show|exclude|include|gold|labelling|asking|delays`: the feedback desk from a terminal."""

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar
from uuid import UUID

import typer

from backtalk.cli.opened import ACTOR, opened
from backtalk.cli.output import AsJson, CommandError, say, show, show_json, show_one

if TYPE_CHECKING:
    from pydantic import BaseModel

T = TypeVar("T")
Kind = Annotated[Literal["opinion", "comparison"], typer.Option(help="Opinions on one reply, or comparisons of two.")]
Item = Annotated[UUID | None, typer.Argument(help="Id of the opinion or comparison.")]
Whole = Annotated[str | None, typer.Option("--person", help="Everything of this person (name or id), now and later.")]


def add_to(app: typer.Typer) -> None:
    """Make these commands part of `backtalk feedback`."""
    app.command("list")(list_)
    app.command("show")(show_thread)
    app.command()(exclude)
    app.command()(include)
    app.command()(gold)
    app.command()(labelling)
    app.command()(delays)
    app.command("asking")(ask)


def list_(
    kind: Kind = "opinion",
    version: Annotated[int | None, typer.Option(help="On replies of this version.")] = None,
    rating: Annotated[int | None, typer.Option(help="1 or -1.")] = None,
    reason: Annotated[str | None, typer.Option(help="With this reason.")] = None,
    aspect: Annotated[str | None, typer.Option(help="With a score for this aspect.")] = None,
    rewritten: Annotated[
        bool | None, typer.Option("--rewritten/--not-rewritten", help="With, or without, a rewrite.")
    ] = None,
    person: Annotated[str | None, typer.Option(help="Of this person (name or id).")] = None,
    since: Annotated[datetime | None, typer.Option(help="Given or changed then or later (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option(help="Given or changed before (UTC).")] = None,
    excluded: Annotated[bool | None, typer.Option("--excluded/--training", help="What trains, or does not.")] = None,
    gold: Annotated[bool | None, typer.Option("--gold/--not-gold", help="On gold items, or on others.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many, newest first.")] = 20,
    out: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write all that pass to this file, a JSON object a line.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what people said, or save it, with placeholders for what is private in it.

    Example: backtalk feedback list --rating -1 --version 3
    """
    from pydantic import ValidationError

    from backtalk import audit, desk, people, privacy

    with opened() as (settings, database), database.read() as session:
        wanted: dict[str, Any] = {"kind": kind, "version": version, "rating": rating, "reason": reason}
        wanted |= {"aspect": aspect, "rewritten": rewritten, "since": since, "until": until}
        wanted |= {"excluded": excluded, "gold": gold}
        wanted["person_id"] = people.find(session, person).id if person is not None else None
        try:
            filters = desk.Filters(**wanted)
        except ValidationError as error:
            first = error.errors()[0]
            raise typer.BadParameter(f"{first['loc'][0]}: {first['msg']} (found {first['input']!r})") from error
        own = privacy.load(settings.data_dir)
        if out is None:
            rows = [item.model_dump() for item in desk.page(session, filters, limit, own).items]
        else:
            count = _save(out, desk.everything(session, filters, own))
    if out is not None:
        with opened() as (_, database), database.write() as session:
            chosen = filters.model_dump(mode="json", exclude_none=True)
            audit.record(session, ACTOR, "feedback.export", "desk", rows=count, **chosen)
        say({"path": str(out), "rows": count}, f"{count} rows written to {out}", as_json)
        return
    columns = (
        "id",
        "at",
        "person",
        "policy_version",
        "rating" if kind == "opinion" else "verdict",
        "reply",
        "excluded",
    )
    show(rows, columns, as_json, "no feedback passes these filters")


def show_thread(
    item: Annotated[UUID, typer.Argument(help="Id of the opinion or comparison.")],
    kind: Kind = "opinion",
    as_json: AsJson = False,
) -> None:
    """Read the conversation that an opinion is about, with placeholders for what is private in it.

    Example: backtalk feedback show 0b5e7a1c-6c1f-4f7e-9a51-2f6c0a3c7f10
    """
    from backtalk import desk, privacy

    with opened() as (settings, database), database.write() as session:
        turns = desk.thread(session, ACTOR, kind, item, privacy.load(settings.data_dir))
    show([turn.model_dump() for turn in turns], ("role", "content"), as_json, "nothing was said")


def exclude(
    item: Item = None,
    kind: Kind = "opinion",
    person: Whole = None,
    reason: Annotated[str, typer.Option(help="Kept in the audit log.")] = "",
    as_json: AsJson = False,
) -> None:
    """Keep an opinion, or all of a person, out of training, and tell which versions learned from it.

    Example: backtalk feedback exclude --person mallory --reason "clicks at random"
    """
    _set(item, kind, person, True, reason, as_json)


def include(item: Item = None, kind: Kind = "opinion", person: Whole = None, as_json: AsJson = False) -> None:
    """Let an opinion, or a person, train again.

    Example: backtalk feedback include --person mallory
    """
    _set(item, kind, person, False, "", as_json)


def gold(
    item: Annotated[UUID, typer.Argument(help="Id of the opinion or comparison.")],
    answer: Annotated[
        Literal["up", "down", "left", "right"] | None,
        typer.Option(help="The right one: up or down of an opinion's reply, left or right of a comparison's two."),
    ] = None,
    kind: Kind = "opinion",
    remove: Annotated[bool, typer.Option("--remove", help="An item like any other again.")] = False,
    reason: Annotated[str, typer.Option(help="Kept in the audit log.")] = "",
    as_json: AsJson = False,
) -> None:
    """Mark what an opinion is about as a gold item: raters meet it, unmarked, and are known by their answers.

    Example: backtalk feedback gold 0b5e7a1c-6c1f-4f7e-9a51-2f6c0a3c7f10 --answer down
    """
    from backtalk import desk
    from backtalk import labelling as queue

    if (answer is None) != remove:
        raise typer.BadParameter("say one thing: --answer with the right answer, or --remove")
    with opened() as (_, database), database.write() as session:
        if answer is None:
            queue.unmark_gold(session, ACTOR, kind, item)
        else:
            queue.mark_gold(session, ACTOR, kind, item, answer, reason)
        shown = desk.one(session, kind, item)
    if as_json:
        show_json(shown.model_dump())
    else:
        print(f"a gold item now: {shown.gold}" if shown.gold else "an item like any other")


def labelling(
    gold_share: Annotated[float | None, typer.Option(min=0, max=1, help="Of items: gold.")] = None,
    double_share: Annotated[float | None, typer.Option(min=0, max=1, help="Of replies: given to two raters.")] = None,
    pair_share: Annotated[float | None, typer.Option(min=0, max=1, help="Of items: pairs in dispute.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell how far raters agree and can be relied on; with options, change how items are handed out.

    Example: backtalk feedback labelling --gold-share 0.1
    """
    from dataclasses import asdict

    from backtalk import labelling as queue

    given = {"gold_share": gold_share, "double_share": double_share, "pair_share": pair_share}
    chosen = {name: share for name, share in given.items() if share is not None}
    with opened() as (_, database):
        if chosen:
            with database.write() as session:
                queue.set_rules(session, ACTOR, **chosen)
        with database.read() as session:
            rules, found = queue.rules(session), queue.labelling(session)
    rows = [asdict(one) for one in found.raters]
    shares = {name: getattr(rules, name) for name in given}
    if as_json:
        show_json({**asdict(found), "rules": shares})
        return
    print("  ".join(f"{name.replace('_', ' ')} {share:.0%}" for name, share in shares.items()))
    agreement = "  ".join(
        f"{name} {value:.2f}"
        for name, value in (("Cohen's kappa", found.kappa), ("Krippendorff's alpha", found.alpha))
        if value is not None
    )
    print(f"{found.answered} answers to {found.items} items, {found.doubled} of them by two or more  {agreement}")
    for row in rows:
        row |= {
            "name": row["name"] or str(row["person_id"])[:8],
            "gold right": _of(row["gold_right"], row["gold"], row["gold_low"], row["gold_high"]),
            "like others": _of(row["shared_same"], row["shared"]),
            "like before": _of(row["repeated_same"], row["repeated"]),
        }
    show(
        rows,
        ("name", "answered", "gold right", "like others", "kappa", "like before"),
        False,
        "no rater has answered yet",
    )


def ask(
    compare_share: Annotated[float | None, typer.Option(min=0, max=1, help="Of replies: a second draft.")] = None,
    aspects: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="JSON list of aspects.")] = None,
    reasons: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="JSON list of reasons.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell what people are asked for; with options, change it. `--json` prints the lists as the files hold them.

    Example: backtalk feedback asking --compare-share 0.05
    """
    from dataclasses import asdict

    from backtalk import asking

    with opened(make=True) as (_, database):
        if compare_share is not None or aspects is not None or reasons is not None:
            kinds = (_listed(aspects, asking.Aspect), _listed(reasons, asking.Reason))
            with database.write() as session:
                asking.ask_for(session, ACTOR, compare_share, *kinds)
        with database.read() as session:
            found = asking.asked(session)
    show_one(asdict(found), as_json)


def delays(as_json: AsJson = False) -> None:
    """Tell how many seconds feedback took until a version that learned from it was live, in parts.

    Example: backtalk feedback delays
    """
    from backtalk.delays import PARTS, Delays, quantile

    with opened() as (_, database), database.read() as session:
        found = Delays().look(session)
    rows = [
        {
            "version": one.version,
            "live_at": one.live_at,
            "opinions": len(one.waits),
            "p50": quantile(one.totals, 0.5),
            "p95": quantile(one.totals, 0.95),
            "waiting": quantile(one.waits, 0.5),
            **one.parts,
        }
        for one in found
    ]
    show(rows, ("version", "opinions", "p50", "p95", *PARTS), as_json, "no version has learned from feedback yet")


def _save(out: Path, items: "Iterable[BaseModel]") -> int:
    count = 0
    with out.open("w", encoding="utf-8") as file:
        for item in items:
            file.write(f"{item.model_dump_json()}\n")
            count += 1
    return count


def _listed(path: Path | None, kind: Callable[..., T]) -> list[T] | None:
    if path is None:
        return None
    try:
        return [kind(**one) for one in json.loads(path.read_text(encoding="utf-8"))]
    except (TypeError, ValueError) as error:
        raise CommandError(
            f"{path} cannot be read ({error}); expected a list as `backtalk feedback asking --json` prints it"
        ) from error


def _of(part: int, whole: int, low: float | None = None, high: float | None = None) -> str | None:
    if not whole:
        return None
    interval = f" ({low:.0%} to {high:.0%})" if low is not None and high is not None else ""
    return f"{part} of {whole}{interval}"


def _set(item: UUID | None, kind: Any, person: str | None, excluded: bool, reason: str, as_json: bool) -> None:
    from backtalk import desk, people

    if (item is None) == (person is None):
        raise typer.BadParameter("name one thing: the id of an opinion, or --person")
    with opened() as (_, database), database.write() as session:
        if person is not None:
            person_id = people.find(session, person).id
            desk.exclude_person(session, ACTOR, person_id, excluded, reason)
            versions = [one.number for one in desk.touched(session, person_id)]
        else:
            assert item is not None
            row = desk.exclude(session, ACTOR, kind, item, excluded, reason)
            versions = desk.shown(session, row).versions
    if as_json:
        show_json({"excluded": excluded, "versions": versions})
        return
    told = ", ".join(map(str, versions)) or "none"
    print(f"{'kept out of' if excluded else 'let into'} training; versions that learned from it: {told}")
