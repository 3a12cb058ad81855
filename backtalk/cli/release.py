"""`backtalk release …`"""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from backtalk.cli.opened import ACTOR, opened
from backtalk.cli.output import AsJson, CommandError, pick, say, show, show_one

if TYPE_CHECKING:
    from backtalk.settings import Settings
    from backtalk.tables import ReleaseRules

app = typer.Typer(help="How versions become live, and who is told.", no_args_is_help=True)

FIELDS = (
    "approval",
    "canary",
    "canary_shares",
    "canary_people",
    "canary_replies",
    "alpha",
    "webhook_url",
    "webhook_private",
)
ANNOUNCED = ("id", "kind", "content", "at", "attempts", "next_at", "delivered_at", "error")


@app.command("show")
def show_rules(as_json: AsJson = False) -> None:
    """Show how a version that passed the gate becomes live.

    Example: backtalk release show
    """
    from backtalk import release

    with opened() as (settings, database), database.read() as session:
        shown = _shown(release.rules(session), settings)
    show_one(shown, as_json)


@app.command("set")
def set_rules(
    approval: Annotated[
        Literal["automatic", "operator"] | None, typer.Option(help="`operator`: a passed version waits for one.")
    ] = None,
    canary: Annotated[
        bool | None, typer.Option("--canary/--no-canary", help="Whether some of the people get a new version first.")
    ] = None,
    shares: Annotated[
        str | None, typer.Option(help="Of the people in percent, step by step before everybody, such as 5,25.")
    ] = None,
    people: Annotated[int | None, typer.Option(help="That each step must have reached.")] = None,
    replies: Annotated[int | None, typer.Option(help="That each of them must have had.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Chance of taking back a version that is no worse.")] = None,
    webhook: Annotated[str | None, typer.Option(help="Address that is told; '' for none.")] = None,
    private: Annotated[
        bool | None, typer.Option("--private/--public", help="Whether the webhook may lead into a private network.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change how versions become live; what is left out stays.

    Example: backtalk release set --approval operator --canary --shares 5,25
    """
    from backtalk import release

    asked: dict[str, Any] = {
        "approval": approval,
        "canary": canary,
        "canary_shares": _shares(shares) if shares is not None else None,
        "canary_people": people,
        "canary_replies": replies,
        "alpha": alpha,
        "webhook_private": private,
    }
    changes = {name: value for name, value in asked.items() if value is not None}
    if webhook is not None:
        changes["webhook_url"] = webhook or None
    if not changes:
        raise typer.BadParameter("nothing to change was named")
    with opened(make=True) as (settings, database), database.write() as session:
        shown = _shown(release.set_rules(session, ACTOR, **changes), settings)
    show_one(shown, as_json)


@app.command()
def test(as_json: AsJson = False) -> None:
    """Have a running server send the webhook something harmless; `release announcements` tells how it went.

    Example: backtalk release test
    """
    from backtalk import release

    with opened() as (_, database), database.write() as session:
        sent = pick(release.test(session, ACTOR), ANNOUNCED)
    say(sent, f"announcement {sent['id']} is on its way", as_json)


@app.command()
def announcements(
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 20, as_json: AsJson = False
) -> None:
    """List what was announced, and whether the webhook has taken it.

    Example: backtalk release announcements
    """
    from backtalk import release

    with opened() as (_, database), database.read() as session:
        rows = [pick(row, ANNOUNCED) for row in release.announcements(session, limit)]
    show(rows, ("at", "kind", "attempts", "delivered_at", "error"), as_json, "nothing has been announced yet")


def _shares(text: str) -> list[float]:
    try:
        return [round(float(part) / 100, 6) for part in text.split(",")]
    except ValueError as error:
        raise CommandError(f"the shares are {text!r}; expected percentages such as 5,25") from error


def _shown(rules: "ReleaseRules", settings: "Settings") -> dict[str, Any]:
    from backtalk.announcements import secret

    return {**pick(rules, FIELDS), "webhook_secret": secret(settings) if rules.webhook_url else None}
