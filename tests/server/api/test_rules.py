"""Who may call what: every route against every role, and everybody's things against everybody else (SEC-06)."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from backtalk.settings import Settings
from backtalk.tables import Message, RateItem
from server.access import RANKS
from server.app import make_app
from server.people import router as people_router
from tests.server.api.conftest import Home, Somebody

OWN_DOCUMENT = "/api/openapi.json"


def routes(router: Any) -> Iterator[Any]:
    """All routes below a router, whoever included them."""
    for route in router.routes:
        inner = getattr(route, "original_router", None)
        if inner is None:
            yield route
        else:
            yield from routes(inner)


def rules(dependant: Dependant) -> list[str]:
    """The rules that a route's dependencies declare."""
    found = [rule for each in dependant.dependencies for rule in rules(each)]
    rule = getattr(dependant.call, "rule", None)
    return found if rule is None else [*found, rule]


ROUTES = [route for route in routes(make_app(Settings()).router) if route.path != OWN_DOCUMENT]
HTTP = [
    pytest.param(method, route.path, rules(route.dependant)[0], id=f"{method} {route.path}")
    for route in ROUTES
    if isinstance(route, APIRoute)
    for method in sorted(route.methods or ())
    if rules(route.dependant)
]


def test_every_route_declares_exactly_one_rule() -> None:
    assert len(ROUTES) > 50
    assert people_router.routes[0] in ROUTES, "routers inside routers are found"
    for route in ROUTES:
        assert isinstance(route, APIRoute | APIWebSocketRoute), route
        assert len(rules(route.dependant)) == 1, f"{route.path} declares {rules(route.dependant)}"
        assert rules(route.dependant)[0] in (*RANKS, "anyone"), route.path


def test_whatever_is_the_operators_demands_an_operator() -> None:
    for route in ROUTES:
        if "operate" in route.path and route.path != "/api/operate/claim":
            assert RANKS[rules(route.dependant)[0]] >= RANKS["operator"], route.path


@pytest.fixture(scope="module")
def cast(home: Home) -> dict[str, Somebody]:
    """One person a role."""
    return {role: home.person(role) for role in RANKS}


@pytest.mark.parametrize(("method", "path", "rule"), HTTP)
def test_each_role_gets_in_exactly_where_its_rule_says(
    home: Home, cast: dict[str, Somebody], method: str, path: str, rule: str
) -> None:
    address = filled(path, str(uuid4()))
    with httpx2.Client(base_url=home.url, headers={"X-Backtalk": "1"}) as nobody:
        status = nobody.request(method, address, json={}).status_code
        assert (status == 401) == (rule != "anyone"), f"nobody: {status}"
    for role in RANKS:
        person = home.person(role) if (method, path) == ("DELETE", "/api/me") else cast[role]
        status = person.request(method, address, json={}).status_code
        allowed = rule == "anyone" or RANKS[role] >= RANKS[rule]
        assert (status == 403) == (not allowed), f"{role}: {status}"
        assert status < 500 or status == 503, f"{role}: {status}"


def filled(path: str, id: str) -> str:
    """The path with its parameters given."""
    for name in ("kind", "number", "name", "model"):
        path = path.replace("{" + name + "}", {"kind": "opinion", "number": "77"}.get(name, "nothing"))
    start = path.find("{")
    return path if start < 0 else path[:start] + id + path[path.index("}") + 1 :]


# Whose is it? --------------------------------------------------------------------------------------------------------


def a_reply(home: Home, owner: Somebody) -> str:
    reply_id = home.reply(owner)
    owner.put(f"/api/messages/{reply_id}/feedback", json={"rating": 1}).raise_for_status()
    return str(reply_id)


def a_conversation(home: Home, owner: Somebody) -> str:
    with home.database.read() as session:
        return str(session.get_one(Message, UUID(a_reply(home, owner))).conversation_id)


def a_shared_conversation(home: Home, owner: Somebody) -> str:
    conversation_id = a_conversation(home, owner)
    owner.put(f"/api/conversations/{conversation_id}/share", json={}).raise_for_status()
    return conversation_id


def an_item(home: Home, owner: Somebody) -> str:
    with home.database.write() as session:
        item = RateItem(person_id=owner.id, message_id=home_reply_of_another(home))
        session.add(item)
        return str(item.id)


def home_reply_of_another(home: Home) -> UUID:
    return home.reply(home.person(consent=True))


def a_session(home: Home, owner: Somebody) -> str:
    with home.browser() as browser:
        name = f"b{uuid4().hex}"
        browser.post("/api/people", json={"name": name, "password": "correct horse battery"}).raise_for_status()
        return str(browser.get("/api/me/sessions").json()["items"][0]["id"])


OWNED: dict[str, tuple[Callable[[Home, Somebody], str], dict[str, object]]] = {
    "/api/messages/{reply_id}/feedback": (a_reply, {"rating": 1}),
    "/api/rate/{item_id}": (an_item, {"rating": 1}),
    "/api/me/sessions/{session_id}": (a_session, {}),
    "/api/conversations/{conversation_id}": (a_conversation, {"title": "mine now"}),
    "/api/conversations/{conversation_id}/messages": (a_conversation, {}),
    "/api/conversations/{conversation_id}/share": (a_shared_conversation, {}),
}
NOBODYS = {"/v1/models/{model}", "/api/me/receipts/{number}"}


def test_every_route_to_somebodys_thing_is_tried_below() -> None:
    personal = {route.path for route in ROUTES if "{" in route.path and rules(route.dependant)[0] in ("user", "rater")}
    assert personal == set(OWNED) | NOBODYS


@pytest.mark.parametrize(
    ("method", "path"),
    [pytest.param(one.values[0], one.values[1], id=str(one.id)) for one in HTTP if one.values[1] in OWNED],
)
def test_what_is_anothers_looks_like_what_is_not_there(
    home: Home, cast: dict[str, Somebody], method: str, path: str
) -> None:
    make, body = OWNED[path]
    owner = home.person("rater", consent=True)
    thing, nothing = make(home, owner), str(uuid4())
    for role, curious in cast.items():
        if role == "user" and path.startswith("/api/rate"):
            continue  # refused before anything is looked up
        other = curious.request(method, filled(path, thing), json=body)
        missing = curious.request(method, filled(path, nothing), json=body)
        assert other.status_code == missing.status_code == 404
        assert other.text.replace(thing, "…") == missing.text.replace(nothing, "…")
    if path != "/api/me/sessions/{session_id}":
        assert owner.request(method, filled(path, thing), json=body).status_code < 300


# Pages of others -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guest(home: Home) -> Iterator[httpx2.Client]:
    """A browser that is signed in."""
    with home.browser() as browser:
        browser.post("/api/people", json={}).raise_for_status()
        yield browser


@pytest.mark.parametrize(("method", "path", "rule"), [one for one in HTTP if one.values[0] not in ("GET", "HEAD")])
def test_a_foreign_page_cannot_act_in_a_persons_name(
    home: Home, guest: httpx2.Client, method: str, path: str, rule: str
) -> None:
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Origin": home.url},
    ):
        answer = guest.request(method, filled(path, str(uuid4())), json={}, headers=headers)
        assert answer.status_code == 403, (headers, answer.text)
    assert guest.get("/api/me").status_code == 200


def test_the_operators_socket_lets_in_operators_from_their_own_page_only(home: Home) -> None:
    address = home.url.replace("http", "ws") + "/ws/operate"
    operator, user = home.person("operator"), home.person()
    with home.browser() as browser:
        browser.post("/api/people", json={})
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())

    async def status(headers: dict[str, str]) -> int:
        try:
            async with connect(address, additional_headers=headers):
                return 101
        except InvalidStatus as refusal:
            return refusal.response.status_code

    async def all_of_them() -> list[int]:
        return [
            await status({}),
            await status({"Origin": home.url}),
            await status({"Authorization": f"Bearer {user.key}"}),
            await status({"Cookie": cookie, "Origin": "https://evil.example"}),
            await status({"Cookie": cookie}),
            await status({"Cookie": cookie, "Origin": home.url}),
            await status({"Authorization": f"Bearer {operator.key}"}),
        ]

    assert asyncio.run(all_of_them()) == [403, 401, 403, 403, 403, 403, 101]
