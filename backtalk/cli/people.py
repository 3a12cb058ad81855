"""`backtalk person …`"""

import sys
from enum import StrEnum
from typing import Annotated, Literal

import typer

from backtalk.cli.opened import ACTOR, opened
from backtalk.cli.output import AsJson, CommandError, pick, say, show, show_json

app = typer.Typer(help="People, their roles and API keys, and who is let in.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name or id of the person.")]


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
    say({"invite": word}, word, as_json)


@app.command()
def entrance(
    signup: Annotated[
        Literal["guest", "open", "invite", "closed"] | None,
        typer.Argument(
            help="Anybody as a guest; whoever signs up; whoever has an invitation; nobody new. Left out: tell."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell who is let in, or choose it where the setting BACKTALK_SIGNUP does not.

    Example: backtalk person entrance invite
    """
    from backtalk import entrance as rules

    with opened(make=True) as (settings, database):
        if signup is not None:
            with database.write() as session:
                rules.choose(session, settings, ACTOR, signup)
        with database.read() as session:
            mode, fixed = rules.mode(session, settings), rules.is_fixed(settings)
    said = f"{mode}, as BACKTALK_SIGNUP says" if fixed else mode
    say({"signup": mode, "fixed": fixed}, said, as_json)


@app.command()
def role(
    name: Name, role: Annotated[Role, typer.Argument(help="What the person may do.")], as_json: AsJson = False
) -> None:
    """Give a person another role; a running server follows within a second.

    Example: backtalk person role ada rater
    """
    from backtalk import people

    with opened() as (_, database), database.write() as session:
        person = people.find(session, name)
        people.set_role(session, person, role.value, ACTOR)
        shown = pick(person, ("id", "name", "role"))
    say(shown, f"{shown['name']} is {shown['role']} now", as_json)


@app.command()
def erase(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase a person with everything that belongs to them. Versions that learned from them go, and the next run
    begins before these.

    Example: backtalk person erase ada --yes
    """
    from backtalk import people

    with opened() as (_, database):
        with database.read() as session:
            person = people.find(session, name)
        if not yes:
            typer.confirm(f"Erase {person.name or person.id} for good, with conversations and opinions?", abort=True)
        with database.write() as session:
            people.erase(session, people.find(session, str(person.id)), ACTOR)
    say({"id": str(person.id), "erased": True}, f"{person.name or person.id} is erased", as_json)


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
