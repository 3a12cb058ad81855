"""People, their passwords and their keys: what the server and the command line both do to them."""

import contextlib
import hashlib
import hmac
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from backtalk import audit, policies
from backtalk.database import Database
from backtalk.settings import Settings, write_once
from backtalk.tables import ApiKey, Audit, Person

ROLES = ("user", "rater", "operator", "admin")
NAME_LENGTH = 128
PASSWORD_LENGTHS = (8, 128)
KEY_PREFIX = "bt_"
CLAIM_SECONDS = 3600
INVITE_SECONDS = 7 * 24 * 3600
_COMMON = """
    password passw0rd p@ssword p@ssw0rd password1 password12 password123 password1234 12345678 123456789 1234567890
    11111111 00000000 88888888 87654321 987654321 12341234 11223344 123123123 147258369 789456123 66666666
    qwertyui qwertyuiop qwerty123 qwerty12 1q2w3e4r 1q2w3e4r5t 1qaz2wsx zaq12wsx asdfghjkl asdfasdf q1w2e3r4
    iloveyou sunshine princess football baseball superman trustno1 letmein1 welcome1 welcome123 changeme
    administrator admin123 admin1234 administrator1 woaini1314 woaini520 a1234567 a12345678 a123456789 aa123456
    abcd1234 abc12345 abcdefgh abc123456 michelle jennifer computer internet whatever starwars dragon123
    monkey123 master123 mustang1 shadow12 backtalk backtalk1
"""
COMMON_PASSWORDS = frozenset(_COMMON.split())


class PersonError(ValueError):
    """A person cannot be made or changed as asked; the message says why."""


class PersonConflict(PersonError):
    """It would be fine, were it not for how things stand: a taken name, the last admin, a claim that is over."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """An API key at the only moment it can be seen."""

    secret: str
    person_id: UUID


def digest(secret: str) -> str:
    """What is stored of a session secret or API key: 256 random bits need no salt."""
    return hashlib.sha256(secret.encode()).hexdigest()


def hash_password(password: str, name: str = "") -> str:
    """Argon2id (SEC-01). Takes tens of milliseconds: never call it in an event loop.

    Raises:
        PersonError: the password is too short, too long, or one of the first that anybody would try.
    """
    from argon2 import PasswordHasher

    shortest, longest = PASSWORD_LENGTHS
    if not shortest <= len(password) <= longest:
        raise PersonError(f"the password has {len(password)} characters; choose {shortest} to {longest}")
    folded = password.casefold()
    if folded in COMMON_PASSWORDS or folded == name.casefold() or len(set(folded)) == 1:
        raise PersonError("this password is among the first that anybody would try; choose a longer sentence")
    try:
        return PasswordHasher().hash(password)
    except UnicodeEncodeError as error:
        raise PersonError("the password holds half of a character (a lone surrogate); choose another") from error


def is_outdated(stored: str) -> bool:
    """Was this hash made with weaker parameters than today's?"""
    from argon2 import PasswordHasher

    return PasswordHasher().check_needs_rehash(stored)


def password_fits(password: str, stored: str | None) -> bool:
    """Whether `password` is the one that was hashed; a missing hash takes as long as a wrong password."""
    from argon2 import PasswordHasher
    from argon2.exceptions import Argon2Error

    try:
        return PasswordHasher().verify(stored or _NOBODY, password) and stored is not None
    except (Argon2Error, UnicodeEncodeError):
        return False


# The hash of a password nobody knows, with the same cost as a real one.
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$WmyjQYbKVJ1FhEHgPUDkJ0Yo9VpXhoV5gN0kEFBbJ2g"


def check_name(session: Session, name: str) -> str:
    """The name as it will be stored.

    Raises:
        PersonError: empty, too long, unprintable or taken.
    """
    name = name.strip()
    if not name or len(name) > NAME_LENGTH or not name.isprintable():
        raise PersonError(f"a name has 1 to {NAME_LENGTH} printable characters; {name[:32]!r} does not")
    if session.exec(select(Person.id).where(Person.name == name)).first():
        raise PersonConflict(f"the name {name!r} is taken; choose another")
    return name


def add(
    session: Session,
    name: str | None,
    role: str = "user",
    password_hash: str | None = None,
    language: str = "en",
    actor: object | None = None,
) -> Person:
    """Make a person; without a name, a guest.

    Raises:
        PersonError: an unknown role or a name that cannot be had.
    """
    if role not in ROLES:
        raise PersonError(f"role {role!r} is unknown; choose one of {', '.join(ROLES)}")
    audit.alone(session)
    person = Person(
        name=check_name(session, name) if name is not None else None,
        role=role,
        password_hash=password_hash,
        guest=name is None,
        language=language,
    )
    session.add(person)
    session.flush()
    audit.record(session, actor or person.id, "person.add", person.id, role=role)
    return person


def add_key(session: Session, person: Person, actor: object | None = None) -> NewKey:
    """Make an API key for `person`; its secret is shown once and never stored."""
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    session.add(ApiKey(digest=digest(secret), prefix=secret[:8], person_id=person.id))
    audit.record(session, actor or person.id, "key.add", secret[:8])
    return NewKey(secret=secret, person_id=person.id)


def find(session: Session, name: str) -> Person:
    """The person of this name or id.

    Raises:
        PersonError: there is none.
    """
    found = session.exec(select(Person).where(Person.name == name)).first()
    if found is None:
        with contextlib.suppress(ValueError):
            found = session.get(Person, UUID(name))
    if found is None:
        raise PersonError(f"there is no person {name!r}; `backtalk person list` shows those there are")
    return found


def set_role(session: Session, person: Person, role: str, actor: object) -> None:
    """Give a person another role.

    Raises:
        PersonError: an unknown role, a guest, or the last admin.
    """
    if role not in ROLES:
        raise PersonError(f"role {role!r} is unknown; choose one of {', '.join(ROLES)}")
    if person.guest and role != "user":
        raise PersonError("a guest cannot have a role; let them sign up first")
    if role != "admin":
        _demand_another_admin(session, person)
    audit.record(session, actor, "person.role", person.id, before=person.role, role=role)
    person.role = role
    session.add(person)


def erase(session: Session, person: Person, actor: object) -> None:
    """Erase a person with everything that belongs to them; the audit log keeps that it happened.

    Versions that learned from them are withdrawn, and the next run begins before them.

    Raises:
        PersonError: it is the last admin.
    """
    _demand_another_admin(session, person)
    seen = policies.forget(session, person.id, actor)
    session.execute(sa.delete(Person).where(col(Person.id) == person.id))  # the rest goes by cascade
    audit.record(session, actor, policies.ERASED, person.id, **({"versions": seen} if seen else {}))


def _demand_another_admin(session: Session, person: Person) -> None:
    audit.alone(session)  # two admins may be leaving at once
    others = select(Person.id).where(Person.role == "admin", Person.id != person.id)
    if person.role == "admin" and session.exec(others).first() is None:
        raise PersonConflict("this is the only admin; make somebody else admin first")


# The first admin and those invited (SEC-07) ------------------------------------------------------------------------


def offer_claim(settings: Settings, database: Database) -> str | None:
    """Make the one-time token that lets its holder become the first admin; it also lies in `keys/claim.token` (0600).

    Returns:
        The token, good for an hour; None when there is an admin already.
    """
    path = _claim_file(settings)
    with database.read() as session:
        if _has_admin(session):
            path.unlink(missing_ok=True)
            return None
    token = secrets.token_urlsafe(32)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    write_once(beside, token.encode())
    beside.rename(path)
    return token


def check_claim(session: Session, settings: Settings, token: str) -> None:
    """Is this the token of an open claim?

    Raises:
        PersonError: there is an admin, the token is another, or its hour has passed.
    """
    path = _claim_file(settings)
    try:
        stored, age = path.read_text(), time.time() - path.stat().st_mtime
    except OSError:
        stored, age = "", 0.0
    if _has_admin(session):
        raise PersonConflict("there is an admin already; ask them for a role")
    if not stored or age > CLAIM_SECONDS or not hmac.compare_digest(stored.encode(), token.encode(errors="replace")):
        raise PersonError("this is not the token of an open claim; start Backtalk again for a fresh one")


def claim(session: Session, settings: Settings, token: str, name: str, password_hash: str) -> Person:
    """Make the first admin. Of many at once exactly one wins; call `end_claim` when it is durable.

    Raises:
        PersonError: see `check_claim` and `check_name`.
    """
    if session.get_bind().dialect.name == "postgresql":  # on SQLite the writing transaction is alone already
        session.execute(sa.text("LOCK TABLE person IN SHARE ROW EXCLUSIVE MODE"))
    check_claim(session, settings, token)
    person = add(session, name, "admin", password_hash)
    audit.record(session, person.id, "person.claim", person.id)
    return person


def end_claim(settings: Settings) -> None:
    """Remove the token: there is an admin now."""
    _claim_file(settings).unlink(missing_ok=True)


def invite(session: Session, settings: Settings, actor: object) -> str:
    """Make a word that lets its holder sign up once within a week."""
    nonce, until = secrets.token_urlsafe(12), int(time.time()) + INVITE_SECONDS
    audit.record(session, actor, "invite.make", nonce)
    return f"{nonce}.{until}.{_sign_invite(settings, nonce, until)}"


def use_invite(session: Session, settings: Settings, word: str, person: Person) -> None:
    """Use an invitation up.

    Raises:
        PersonError: it is not ours, too old, or used.
    """
    nonce, _, rest = word.partition(".")
    until, _, signature = rest.partition(".")
    fits = until.isascii() and until.isdigit() and len(until) < 12
    if not fits or not hmac.compare_digest(
        signature.encode(errors="replace"), _sign_invite(settings, nonce, int(until)).encode()
    ):
        raise PersonError("this invitation is not one of ours; ask an operator for another")
    if int(until) < time.time():
        raise PersonError("this invitation is too old; ask an operator for another")
    audit.record(session, person.id, "invite.use", nonce)  # first: on Postgres it lets one in at a time
    uses = session.exec(
        select(sa.func.count()).select_from(Audit).where(Audit.action == "invite.use", Audit.target == nonce)
    ).one()
    if uses > 1:
        raise PersonConflict("this invitation was used already; ask an operator for another")


def _claim_file(settings: Settings) -> Path:
    return settings.keys_dir / "claim.token"


def _has_admin(session: Session) -> bool:
    return session.exec(select(Person.id).where(Person.role == "admin").limit(1)).first() is not None


def _sign_invite(settings: Settings, nonce: str, until: int) -> str:
    message = f"invite.{nonce}.{until}".encode(errors="replace")
    return hmac.new(settings.secret_key(), message, hashlib.sha256).hexdigest()
