"""Who is asking, and whether they may: cookie sessions, API keys, roles, and the check that a page is our own.

Every route declares its rule, `caller: Annotated[Caller, requires("user")]`; a route for everybody says
`Annotated[Caller | None, anyone]`. A route without a rule fails a test.
"""

import ipaddress
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Depends, Response
from fastapi.params import Depends as Rule
from fastapi.requests import HTTPConnection
from sqlmodel import Session, col, select

from backtalk.people import KEY_PREFIX, digest
from backtalk.settings import Settings
from backtalk.tables import ApiKey, Login, Person, now
from server.errors import Forbidden, Unauthorised
from server.service import Service, get_service

Role = Literal["user", "rater", "operator", "admin"]
RANKS = {role: rank for rank, role in enumerate(get_args(Role))}

COOKIE = "backtalk"
HOST_COOKIE = "__Host-backtalk"  # over https: the browser itself keeps it to this host
IDLE = timedelta(days=7)
IDLE_OPERATOR = timedelta(hours=12)
ABSOLUTE = timedelta(days=30)
SEEN_EVERY = timedelta(minutes=10)
"""`seen_at` of a session is written at most this often."""
REMEMBERED_SECONDS = 1.0
"""How long an answer of the database is believed; other processes change roles and keys too."""
HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^\s:/?#@\[\],]+)(:[0-9]{1,5})?")
"""A `Host` header: a name or an address, in brackets if it has colons, and a port."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking. Made here for each request, read by the routes."""

    person_id: UUID
    role: Role
    guest: bool
    via: Literal["cookie", "key"]
    digest: str
    """Of the session or key they came with: what is looked up again while a socket is open."""

    def may(self, role: Role) -> bool:
        """Does the caller's role include `role`?"""
        return RANKS[self.role] >= RANKS[role]


class Identities:
    """Session and key digests to callers, remembered for a second so that a burst asks the database once."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Caller | None]] = {}
        self._seen: dict[str, float] = {}

    def recall(self, key: str) -> tuple[bool, Caller | None]:
        """Whether the digest's caller is known at this moment, and who that is."""
        at, caller = self._known.get(key, (float("-inf"), None))
        return time.monotonic() - at < REMEMBERED_SECONDS, caller

    def remember(self, key: str, caller: Caller | None) -> None:
        """Keep an answer of the database."""
        if len(self._known) > 10_000:
            self._known.clear()
            self._seen.clear()
        self._known[key] = (time.monotonic(), caller)

    def is_seen_anew(self, key: str) -> bool:
        """Is it time to write down that this session is in use? Says so once in ten minutes."""
        if time.monotonic() - self._seen.get(key, float("-inf")) < SEEN_EVERY.total_seconds():
            return False
        self._seen[key] = time.monotonic()
        return True

    def forget(self) -> None:
        """Ask the database again next time: somebody's role, key, session or account has changed."""
        self._known.clear()


# Sessions ----------------------------------------------------------------------------------------------------------


def sign_in(session: Session, person: Person) -> str:
    """Make a session for `person` in the caller's transaction.

    Returns:
        Its secret, 256 random bits, for the cookie; only its digest is stored.
    """
    secret = secrets.token_urlsafe(32)
    session.add(Login(digest=digest(secret), person_id=person.id))
    return secret


def set_cookie(response: Response, secret: str, settings: Settings) -> None:
    """Hand the session's secret to the browser."""
    response.set_cookie(
        cookie_name(settings),
        secret,
        max_age=int(ABSOLUTE.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=is_secure(settings),
    )


def clear_cookie(response: Response, settings: Settings) -> None:
    """Take the session's secret back from the browser."""
    response.delete_cookie(cookie_name(settings), path="/", httponly=True, samesite="lax", secure=is_secure(settings))


def is_secure(settings: Settings) -> bool:
    """Do people come over https? Only `public_url` knows: TLS ends at a proxy."""
    return bool(settings.public_url and settings.public_url.startswith("https:"))


def cookie_name(settings: Settings) -> str:
    """Name of the session's cookie; plain http on one's own machine cannot have the `__Host-` one."""
    return HOST_COOKIE if is_secure(settings) else COOKIE


# Who ---------------------------------------------------------------------------------------------------------------


async def identify(connection: HTTPConnection) -> Caller | None:
    """Who is behind this request or socket; None if it brings nothing to tell by.

    Raises:
        Unauthorised: it brings an API key that is not, or no longer, good.
    """
    service = get_service(connection)
    header = connection.headers.get("authorization")
    if header is not None:
        scheme, _, key = header.partition(" ")
        if scheme.lower() != "bearer" or not key.strip().startswith(KEY_PREFIX):
            raise Unauthorised(f"the Authorization header does not hold an API key; expected 'Bearer {KEY_PREFIX}…'")
        caller = await look_up(service, digest(key.strip()), "key")
        if caller is None:
            raise Unauthorised("this API key is unknown or was revoked; ask an operator for another")
        return caller
    secret = connection.cookies.get(cookie_name(service.settings))
    return await look_up(service, digest(secret), "cookie") if secret else None


async def look_up(service: Service, key: str, via: Literal["cookie", "key"]) -> Caller | None:
    """The caller of a session or key digest; None when it is unknown, expired or revoked."""
    known, caller = service.identities.recall(key)
    if not known:
        found = await service.read(lambda session: find(session, [key]))
        caller = found.get(key)
        caller = caller if caller is not None and caller.via == via else None
        service.identities.remember(key, caller)
        if via == "cookie" and caller is not None and service.identities.is_seen_anew(key):
            await service.writer.write(lambda session: _touch(session, key))
    return caller


def find(session: Session, digests: list[str]) -> dict[str, Caller]:
    """The callers of those digests that are good at this moment."""
    at = now()
    callers: dict[str, Caller] = {}
    for login, person in session.exec(
        select(Login, Person).join(Person, col(Person.id) == Login.person_id).where(col(Login.digest).in_(digests))
    ):
        if _is_fresh(login, person, at):
            callers[login.digest] = _caller(person, "cookie", login.digest)
    for key, person in session.exec(
        select(ApiKey, Person).join(Person, col(Person.id) == ApiKey.person_id).where(col(ApiKey.digest).in_(digests))
    ):
        callers[key.digest] = _caller(person, "key", key.digest)
    return callers


def _touch(session: Session, key: str) -> None:
    login = session.get(Login, key)
    if login is not None:
        login.seen_at = now()
        session.add(login)


def _caller(person: Person, via: Literal["cookie", "key"], key: str) -> Caller:
    role: Any = person.role
    return Caller(person_id=person.id, role=role, guest=person.guest, via=via, digest=key)


def _is_fresh(login: Login, person: Person, at: datetime) -> bool:
    idle = IDLE_OPERATOR if RANKS[_caller(person, "cookie", "").role] >= RANKS["operator"] else IDLE
    return at - login.seen_at < idle and at - login.created_at < ABSOLUTE


# Whether they may --------------------------------------------------------------------------------------------------


def requires(role: Role) -> Any:
    """A dependency that lets in callers of this role or a higher one and gives them to the route.

    Raises (in the route):
        Unauthorised: nobody is signed in.
        Forbidden: the role is too low, or a foreign page asks in the person's name.
    """

    async def check(connection: HTTPConnection) -> Caller:
        caller = await identify(connection)
        check_page(connection, caller)
        if caller is None:
            raise Unauthorised("nobody is signed in; sign in, or send an API key as 'Authorization: Bearer bt_…'")
        if not caller.may(role):
            raise Forbidden(f"this needs the role {role}; yours is {caller.role}")
        return caller

    return _rule(check, role)


def _rule(check: Callable[..., Any], name: str) -> Rule:
    check.rule = name  # type: ignore[attr-defined]  # a test reads it, and finds routes without one
    dependency: Rule = Depends(check)
    return dependency


async def _anyone(connection: HTTPConnection) -> Caller | None:
    caller = await identify(connection)
    check_page(connection, caller)
    return caller


anyone = _rule(_anyone, "anyone")
"""The dependency of routes that are open to everybody; gives the caller, or None."""


def check_page(connection: HTTPConnection, caller: Caller | None) -> None:
    """Refuse what a foreign page asks in a person's name (SEC-04).

    An API key is proof enough. A browser always tells where a state-changing request comes from, so `Origin` and
    `Sec-Fetch-Site` must be ours where they are given; and since the plain forms of other sites can send neither JSON
    nor a header of their own, one of the two is demanded.

    Raises:
        Forbidden: the request may come from a foreign page.
    """
    if caller is not None and caller.via == "key":
        return
    if connection.scope["type"] == "websocket":
        if not is_own_origin(connection):
            raise Forbidden("this page is not from here; open the chat at its own address, or use an API key")
        return
    if connection.scope["method"] in SAFE_METHODS:
        return
    headers = connection.headers
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("the request comes from a page of another site")
    if "origin" in headers and not is_own_origin(connection):
        raise Forbidden(f"the request comes from {headers['origin']!r}, which is not this server's address")
    is_json = headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
    if not is_json and "x-backtalk" not in headers and connection.scope["method"] == "POST":
        raise Forbidden("send JSON with 'Content-Type: application/json', or the header 'X-Backtalk: 1'")


def is_own_origin(connection: HTTPConnection) -> bool:
    """Is `Origin` this server's own address: the one it was reached at, or the public one?"""
    origin = connection.headers.get("origin", "").lower()
    host = connection.headers.get("host", "").lower()
    own = {f"http://{host}", f"https://{host}"} if host else set()
    public = get_service(connection).settings.public_url
    if public:
        own.add("{0.scheme}://{0.netloc}".format(urlsplit(public)).lower())
    return origin in own


def is_known_host(host: str, settings: Settings) -> bool:
    """May a request name this host? Others are refused, so that no foreign name can be made to point at us.

    An address made of digits is safe when we listen on all of them: nobody can point that elsewhere.
    """
    written = HOST.fullmatch(host.lower())
    if written is None:
        return False
    name = written["name"].strip("[]")
    public = urlsplit(settings.public_url).hostname if settings.public_url else None
    if name in {"localhost", "127.0.0.1", "::1", settings.host.lower(), public}:
        return True
    if settings.host in ("0.0.0.0", "::"):  # noqa: S104  # compared, not bound
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
    return False
