"""G15: who gets at what: every route and every word of the chat socket × every role × whose thing it is (F27, SEC-06).

The routes and words are read from the app itself, and so is the rule that each declares; one that declares none, or one
to somebody's thing that is not known here, is an error. What is another's must look like what is not there.
"""

import asyncio
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import sqlalchemy as sa
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from sqlmodel import col
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from backtalk import people
from backtalk.tables import ApiKey, Message, Person
from server.access import RANKS, sign_in
from server.events import ChatRequest
from tests.faults import figures
from tests.server.api.conftest import Home, Somebody, running
from tests.server.api.test_rules import OWNED, ROUTES, filled, rules
from tests.server.stack import PATIENCE, Stack

GUEST, NOBODY = "guest", "nobody"
WHOSE = ("own", "other", "missing")
WORDS: dict[str, dict[str, Any]] = {
    "say": {"key": "k", "text": "Hello", "conversation_id": "CONVERSATION"},
    "say below": {
        "type": "say",
        "key": "k",
        "text": "Hello",
        "conversation_id": "OWN CONVERSATION",
        "parent_id": "REPLY",
    },
    "regenerate": {"key": "k", "reply_id": "REPLY"},
    "continue": {"key": "k", "reply_id": "REPLY"},
    "stop": {"reply_id": "REPLY"},
    "follow": {"reply_id": "REPLY", "after": 0},
    "ping": {},
}
"""The words of the chat socket; one without fields speaks of nothing that is anybody's."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One role, one thing to ask for, and whose it is."""

    role: str
    what: str
    rule: str
    whose: str
    """"any" where nothing belongs to anybody."""
    is_word: bool = False

    def __str__(self) -> str:
        return f"{self.role}: {self.what} ({self.whose})"


def cells() -> Iterator[Cell]:
    """All of them.

    Raises:
        AssertionError: a route without a rule, or a word that this table does not know.
    """
    known = set(TypeAdapter(ChatRequest).json_schema()["discriminator"]["mapping"])
    assert known == {word.split()[0] for word in WORDS}, f"words without a row here: {known - set(WORDS)}"
    for route in ROUTES:
        declared = rules(route.dependant)
        assert len(declared) == 1, f"{route.path} declares {declared or 'no rule'}"
        if not isinstance(route, APIRoute):
            yield from (Cell(role, f"WS {route.path}", declared[0], "any") for role in (NOBODY, GUEST, *RANKS))
            continue
        for method in sorted(route.methods or ()):
            whose = WHOSE if route.path in OWNED else ("any",)
            for role in (NOBODY, GUEST, *RANKS):
                yield from (Cell(role, f"{method} {route.path}", declared[0], one) for one in whose)
    for word in WORDS:
        for role in (GUEST, *RANKS):
            whose = WHOSE if WORDS[word] else ("any",)
            yield from (Cell(role, word, "user", one, is_word=True) for one in whose)


def run(seed: int, trials: int) -> figures.Outcome:
    """Try every cell once; then see how fast open sockets close when their right ends."""
    outcome = figures.Outcome()
    with tempfile.TemporaryDirectory() as directory, running(Path(directory)) as home:
        for cell in cells():
            outcome.trials += 1
            wrong = try_cell(home, cell)
            outcome.violations += [f"{cell}: {wrong}"] if wrong else []
    return outcome


# One cell ----------------------------------------------------------------------------------------------------------


class Guest(Somebody):
    """A guest in a browser."""

    def __init__(self, home: Home) -> None:
        httpx2.Client.__init__(self, base_url=home.url, headers={"X-Backtalk": "1", "Origin": home.url}, timeout=30)
        answer = self.post("/api/people", json={})
        answer.raise_for_status()
        self.id, self.name, self.key = UUID(answer.json()["id"]), "", ""


def somebody(home: Home, role: str) -> Somebody:
    """A new person of this role."""
    person = Guest(home) if role == GUEST else home.person(role, consent=True)
    home.opened.callback(person.close)
    return person


def try_cell(home: Home, cell: Cell) -> str | None:
    """What is not as the rule says."""
    if cell.is_word:
        return asyncio.run(_try_word(home, cell))
    method, path = cell.what.split()
    if method == "WS":
        return asyncio.run(_try_socket(home, cell, path))
    rank = -1 if cell.role == NOBODY else RANKS[cell.role if cell.role in RANKS else "user"]
    may = cell.rule == "anyone" or rank >= RANKS[cell.rule]
    make, body = OWNED.get(path, (None, {}))
    if cell.role == NOBODY:
        with httpx2.Client(base_url=home.url, headers={"X-Backtalk": "1"}) as nobody:
            status = nobody.request(method, filled(path, str(uuid4())), json=body).status_code
        return None if (status == 401) != may else f"{status}"
    person = somebody(home, cell.role)
    thing = str(uuid4())
    if make is not None and cell.whose != "missing":
        owner = person if cell.whose == "own" else home.person("rater", consent=True)
        thing = _session(home, owner) if "session_id" in path else make(home, owner)
    answer = person.request(method, filled(path, thing), json=body)
    status = answer.status_code
    if not may:
        return None if status == 403 else f"{status} instead of 403"
    if status in (401, 403) or (status >= 500 and status != 503):
        return f"{status}: {answer.text[:100]}"
    if cell.whose == "own" and status >= 300:
        return f"{status} on one's own: {answer.text[:100]}"
    if cell.whose in ("other", "missing"):
        expected = person.request(method, filled(path, nothing := str(uuid4())), json=body)
        if status != 404 or answer.text.replace(thing, "…") != expected.text.replace(nothing, "…"):
            return f"{status} {answer.text[:100]} unlike what is not there: {expected.text[:100]}"
    return None


def _session(home: Home, owner: Somebody) -> str:
    with home.database.write() as session:
        secret = sign_in(session, session.get_one(Person, owner.id))
    return people.digest(secret)[:16]


def _headers(home: Home, person: Somebody) -> dict[str, str]:
    if isinstance(person, Guest):
        cookies = "; ".join(f"{name}={value}" for name, value in person.cookies.items())
        return {"Cookie": cookies, "Origin": home.url}
    return {"Authorization": f"Bearer {person.key}"}


async def _try_socket(home: Home, cell: Cell, path: str) -> str | None:
    rank = -1 if cell.role == NOBODY else RANKS[cell.role if cell.role in RANKS else "user"]
    expected = 101 if rank >= RANKS[cell.rule] else 401 if cell.role == NOBODY else 403
    headers = {"Origin": home.url} if cell.role == NOBODY else _headers(home, somebody(home, cell.role))
    try:
        async with connect(home.url.replace("http", "ws") + path, additional_headers=headers):
            status = 101
    except InvalidStatus as refused:
        status = refused.response.status_code
    return None if status == expected else f"{status} instead of {expected}"


async def _try_word(home: Home, cell: Cell) -> str | None:
    person, stranger = somebody(home, cell.role), home.person()
    address = home.url.replace("http", "ws") + "/ws/chat"
    if cell.whose == "any":
        async with connect(address, additional_headers=_headers(home, person)) as connection:
            await connection.send(json.dumps({"type": cell.what}))
            heard = json.loads(await asyncio.wait_for(connection.recv(), PATIENCE))
        return None if heard["type"] != "refused" else f"is refused: {heard}"
    own, other = home.reply(person), home.reply(stranger)
    reply = {"own": own, "other": other, "missing": uuid4()}[cell.whose]
    with home.database.read() as session:
        conversation = {
            "own": session.get_one(Message, own).conversation_id,
            "other": session.get_one(Message, other).conversation_id,
            "missing": uuid4(),
        }
    ids = {"REPLY": reply, "CONVERSATION": conversation[cell.whose], "OWN CONVERSATION": conversation["own"]}

    async def ask(connection: ClientConnection, names: dict[str, UUID]) -> str:
        word = {"type": cell.what} | WORDS[cell.what]
        filled_in = {
            name: str(names.get(str(value), value)) if name != "after" else value for name, value in word.items()
        }
        await connection.send(json.dumps(filled_in))
        if cell.whose == "own":
            await connection.send("{}")  # one's own reply that has ended is stopped without a word
        heard = await asyncio.wait_for(connection.recv(), PATIENCE)
        return str(heard)

    async with connect(address, additional_headers=_headers(home, person)) as connection:
        answer = await ask(connection, ids)
    if cell.whose == "own":
        return answer if '"not_found"' in answer else None
    missing = {name: uuid4() for name in ids} | {"OWN CONVERSATION": conversation["own"]}
    async with connect(address, additional_headers=_headers(home, person)) as connection:
        expected = await ask(connection, missing)
    for text, names in (("answer", ids), ("expected", missing)):
        for id in names.values():
            if text == "answer":
                answer = answer.replace(str(id), "…")
            else:
                expected = expected.replace(str(id), "…")
    return None if '"not_found"' in answer and answer == expected else f"{answer} unlike {expected}"


# Rights that end ---------------------------------------------------------------------------------------------------

CROWD = 25


def run_endings(seed: int, trials: int) -> figures.Outcome:
    """End the right of `trials` open sockets, and see when they close."""
    stack = Stack()
    stack.log = stack.data_dir / "processes.log"
    try:
        stack.start_server()
        return asyncio.run(end_rights(stack, seed, trials))
    finally:
        stack.close()


async def end_rights(stack: Stack, seed: int, trials: int) -> figures.Outcome:
    """The same on a stack that runs already."""
    outcome, chance, took = figures.Outcome(), random.Random(seed), list[float]()
    endings: list[Callable[[sa.orm.Session, Person], None]] = [_sign_out, _revoke, _promote, _erase]
    while outcome.trials < trials:
        async with AsyncExitStack() as open_:
            crowd = []
            for _ in range(min(CROWD, trials - outcome.trials)):
                ending = chance.choice(endings)
                person_id, headers = _enter(stack, by_cookie=ending is _sign_out or chance.random() < 0.5)
                if ending is _revoke:
                    person_id, headers = _enter(stack, by_cookie=False)
                address = f"ws://127.0.0.1:{stack.port}/ws/chat"
                connection = await open_.enter_async_context(connect(address, additional_headers=headers))
                crowd.append((ending, person_id, connection))

            async def close(
                ending: Callable[..., None], person_id: UUID, connection: ClientConnection, after: float
            ) -> None:
                await asyncio.sleep(after)
                await asyncio.to_thread(_do, stack, ending, person_id)
                began = time.monotonic()
                try:
                    await asyncio.wait_for(connection.recv(), 10)
                    outcome.violations.append(f"{ending.__name__}: the socket said something")
                except ConnectionClosed as closed:
                    if closed.rcvd is None or closed.rcvd.code != 4401:
                        outcome.violations.append(f"{ending.__name__}: closed with {closed.rcvd}")
                except TimeoutError:
                    outcome.violations.append(f"{ending.__name__}: still open after 10 s")
                took.append(time.monotonic() - began)

            await asyncio.gather(*(close(*one, after=chance.uniform(0, 2)) for one in crowd))
            outcome.trials += len(crowd)
    took.sort()
    outcome.measures["closed after, p50, ms"] = 1000 * took[len(took) // 2]
    outcome.measures["closed after, p99, ms"] = 1000 * took[int(len(took) * 0.99)]
    return outcome


def _enter(stack: Stack, *, by_cookie: bool) -> tuple[UUID, dict[str, str]]:
    with stack.database.write() as session:
        person = people.add(session, f"somebody {uuid4().hex[:8]}")
        if by_cookie:
            return person.id, {"Cookie": f"backtalk={sign_in(session, person)}", "Origin": stack.url}
        return person.id, {"Authorization": f"Bearer {people.add_key(session, person).secret}"}


def _do(stack: Stack, ending: Callable[..., None], person_id: UUID) -> None:
    with stack.database.write() as session:  # by another process than the server, as the command line does it
        ending(session, session.get_one(Person, person_id))


def _sign_out(session: Any, person: Person) -> None:
    from backtalk.tables import Login

    session.execute(sa.delete(Login).where(col(Login.person_id) == person.id))


def _revoke(session: Any, person: Person) -> None:
    session.execute(sa.delete(ApiKey).where(col(ApiKey.person_id) == person.id))


def _promote(session: Any, person: Person) -> None:
    people.set_role(session, person, "rater", "test")


def _erase(session: Any, person: Person) -> None:
    people.erase(session, person, "test")


FIGURE = figures.Figure(
    name="G15",
    claim="Nobody gets at what is not theirs, and what is another's looks like what is not there",
    unit="cells of role × route or word × owner",
    run=run,
    minimum=0,
    goal=0,
    slice=0,
    parts=1,  # all there are, whatever their number
    faults="F27",
)
ENDINGS = figures.Figure(
    name="G15b",
    claim="A session, key, role or person that ends closes its open sockets",
    unit="open sockets",
    run=run_endings,
    minimum=100,
    goal=500,
    slice=100,
    faults="F27",
    limits="The right is ended by another process than the server.",
    bounds={"closed after, p99, ms": 1000},
)
