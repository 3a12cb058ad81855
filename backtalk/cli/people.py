"""`backtalk person …`"""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from backtalk.cli.opened import ACTOR, opened
from backtalk.cli.output import AsJson, CommandError, pick, show, show_json

app = typer.Typer(help="Make and list people and their API keys.", no_args_is_help=True)


class Role(StrEnum):
    """What a person may do; each role may what those before it may."""

    user = "user"
    rater = "rater"
    operator = "operator"
    admin = "admin"


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What the person signs in with.")],
    role: Annotated[Role, typer.Option(help="What the person may do.")] = Role.user,
    api_key: Annotated[bool, typer.Option("--api-key", help="Make an API key too; it is shown this once.")] = False,
    password: Annotated[
        bool, typer.Option("--password", help="Ask for a password; from a pipe, its first line is the password.")
    ] = False,
    consent: Annotated[
        str | None,
        typer.Option(metavar="yes|no", help="May the person's opinions train? Asked later when left out."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a person.

    Example: backtalk person add ada --role operator --api-key --json
    """
    from backtalk import people
    from backtalk.tables import now

    if consent not in (None, "yes", "no"):
        raise typer.BadParameter(f"found {consent!r}, expected yes or no", param_hint="--consent")
    password_hash = people.hash_password(_read_password()) if password else None
    with opened(make=True) as (_, database), database.write() as session:
        person = people.add(session, name, role.value, password_hash)
        if consent is not None:
            person.consent_train, person.consent_at = consent == "yes", now()
        secret = people.add_key(session, person).secret if api_key else None
    if as_json:
        show_json({"id": str(person.id), "name": person.name, "role": person.role, "api_key": secret})
        return
    print(f"{person.name} is a new {person.role} ({person.id})")
    if secret:
        print(f"API key, shown only now: {secret}")
    elif password_hash is None:
        print("no password and no API key: this person cannot sign in yet")


@app.command()
def invite(as_json: AsJson = False) -> None:
    """Make a word that lets its holder sign up once within a week, where sign-up is by invitation.

    Example: backtalk person invite
    """
    from backtalk import people

    with opened(make=True) as (settings, database), database.write() as session:
        word = people.invite(session, settings, ACTOR)
    if as_json:
        show_json({"invite": word})
    else:
        print(word)


@app.command("list")
def list_(
    guests: Annotated[bool, typer.Option("--guests", help="Guests too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List people.

    Example: backtalk person list
    """
    import sqlalchemy as sa
    from sqlmodel import col, select

    from backtalk.tables import ApiKey, Message, Opinion, Person

    with opened() as (_, database), database.read() as session:
        questions = (
            sa.select(sa.func.count())
            .select_from(Message)
            .where(col(Message.person_id) == col(Person.id), col(Message.role) == "user")
        )
        opinions = sa.select(sa.func.count()).select_from(Opinion).where(col(Opinion.person_id) == col(Person.id))
        keys = sa.select(sa.func.count()).select_from(ApiKey).where(col(ApiKey.person_id) == col(Person.id))
        query = select(
            Person, questions.scalar_subquery(), opinions.scalar_subquery(), keys.scalar_subquery()
        ).order_by(col(Person.created_at))
        rows = [
            {
                **pick(person, ("id", "name", "role", "guest", "language", "consent_train", "created_at")),
                "questions": asked,
                "opinions": given,
                "api_keys": held,
            }
            for person, asked, given, held in session.exec(query)
            if guests or not person.guest
        ]
    columns = ("name", "role", "consent_train", "questions", "opinions", "api_keys", "created_at")
    show(rows, columns, as_json, "nobody yet; `backtalk person add NAME` makes a person")


def _read_password() -> str:
    if sys.stdin is not None and sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    line = sys.stdin.readline().rstrip("\n") if sys.stdin is not None else ""
    if not line:
        raise CommandError("standard input holds no password; expected it on its first line, or a terminal to ask on")
    return line
