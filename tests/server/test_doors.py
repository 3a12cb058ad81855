"""What the server does before anybody's route is asked: hosts, sizes, headers, pages, errors, health, identity."""

import json
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from sqlmodel import select
from starlette.applications import Starlette
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from backtalk.settings import Settings
from backtalk.tables import ApiKey, Person
from server.access import is_known_host
from server.edge import is_too_deep
from server.errors import LastResort
from server.events import ChatEvent, Delta
from server.pages import Pages
from server.schemas import schemas
from tests.server.stack import Someone, Stack

# The socket's door -------------------------------------------------------------------------------------------------


async def cookie_of(stack: Stack) -> str:
    """The cookie of a new guest."""
    async with stack.http() as client:
        answer = await client.post("/api/people", json={})
        assert answer.status_code == 201
        return answer.headers["set-cookie"].split(";")[0]


@pytest.mark.parametrize(
    "origin", [None, "null", "https://evil.example", "http://127.0.0.1:1", "http://localhost.evil"]
)
async def test_a_cookie_does_not_open_the_socket_for_a_foreign_page(running: Stack, origin: Any) -> None:
    cookie = await cookie_of(running)
    with pytest.raises(InvalidStatus) as refused:
        async with connect(socket_of(running), origin=origin, additional_headers={"Cookie": cookie}):
            pass
    assert refused.value.response.status_code == 403


async def test_a_cookie_opens_the_socket_for_our_own_page(running: Stack) -> None:
    origin: Any = running.url
    headers = {"Cookie": await cookie_of(running)}
    async with connect(socket_of(running), origin=origin, additional_headers=headers) as connection:
        await connection.send(json.dumps({"type": "say", "key": "k", "text": "Hello"}))
        assert json.loads(await connection.recv())["type"] == "started"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer bt_wrong"}, {"Authorization": "Basic eDp5"}])
async def test_nobody_gets_no_socket(running: Stack, headers: dict[str, str]) -> None:
    origin: Any = running.url
    with pytest.raises(InvalidStatus) as refused:
        async with connect(socket_of(running), origin=origin, additional_headers=headers):
            pass
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["error"]["code"] == "unauthorised"


@pytest.mark.parametrize("change", ["the key is revoked", "the role changes"])
async def test_an_open_socket_closes_when_its_right_ends(running: Stack, change: str) -> None:
    someone = running.someone()
    async with running.chat(someone) as chat:
        with running.database.write() as session:  # by another process, as the command line does it
            if change == "the role changes":
                person = session.get(Person, someone.id)
                assert person is not None
                person.role = "rater"
                session.add(person)
            else:
                session.delete(session.exec(select(ApiKey).where(ApiKey.person_id == someone.id)).one())
        with pytest.raises(ConnectionClosed) as closed:
            await chat.hear()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


def socket_of(stack: Stack) -> str:
    return f"ws://127.0.0.1:{stack.port}/ws/chat"


# HTTP's door -------------------------------------------------------------------------------------------------------


async def test_a_foreign_host_is_refused(running: Stack) -> None:
    async with running.http() as client:
        answer = await client.get("/livez", headers={"Host": "evil.example"})
    assert (answer.status_code, "evil.example" in answer.json()["error"]["message"]) == (400, True)


def test_known_hosts_are_our_own_names_and_addresses() -> None:
    at_home = Settings()
    assert all(is_known_host(host, at_home) for host in ("localhost:8000", "127.0.0.1", "[::1]:8000"))
    assert not any(is_known_host(host, at_home) for host in ("", "evil.example", "10.0.0.7", "localhost.evil.example"))
    public = Settings(host="0.0.0.0", public_url="https://chat.example.org")
    assert all(is_known_host(host, public) for host in ("chat.example.org", "10.0.0.7:8000", "LOCALHOST"))
    assert not is_known_host("other.example.org", public)


async def test_a_body_over_256_kib_is_refused_whether_announced_or_not(running: Stack, someone: Someone) -> None:
    async def parts() -> Any:
        for _ in range(300):
            yield b"x" * 1024

    async with running.http(someone) as client:
        announced = await client.post("/api/conversations", content=b"x" * (256 * 1024 + 1))
        flowing = await client.post("/api/conversations", content=parts())
    for answer in (announced, flowing):
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
        assert "262144" in answer.json()["error"]["message"]


def test_brackets_in_strings_do_not_count_as_depth() -> None:
    assert not is_too_deep(b'{"a": ' * 20 + b"1" + b"}" * 20)
    assert is_too_deep(b'{"a": ' * 21 + b"1" + b"}" * 21)
    assert not is_too_deep(json.dumps({"text": '[{"\\' * 100}).encode())
    assert not is_too_deep(json.dumps([{} for _ in range(1000)]).encode())


async def test_a_deep_body_is_refused(running: Stack, someone: Someone) -> None:
    async with running.http(someone) as client:
        answer = await client.patch("/api/me", content=b"[" * 30 + b"]" * 30)
    assert (answer.status_code, "20" in answer.json()["error"]["message"]) == (400, True)


ERRORS = [
    ("GET", "/api/nothing", 404, "not_found"),
    ("POST", "/api/nothing", 404, "not_found"),
    ("GET", "/nothing.js", 404, "not_found"),
    ("PUT", "/api/conversations", 405, "bad_request"),
    ("GET", "/api/conversations/7", 422, "bad_request"),
]


@pytest.mark.parametrize(("method", "path", "status", "code"), ERRORS)
async def test_every_error_has_the_same_shape(
    running: Stack, someone: Someone, method: str, path: str, status: int, code: str
) -> None:
    async with running.http(someone) as client:
        answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert set(answer.json()) == {"error"}
    assert set(answer.json()["error"]) == {"code", "message"}


async def test_a_defect_is_answered_without_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("a secret")

    transport = httpx.ASGITransport(LastResort(broken))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/")
    assert (answer.status_code, "secret" in answer.text) == (500, False)
    assert answer.json()["error"]["message"].split()[-1] in caplog.text  # the request's id is in the log


@pytest.mark.parametrize("path", ["/", "/c/some-chat", "/operate", "/api/nothing", "/livez"])
async def test_every_response_carries_the_security_headers(running: Stack, path: str) -> None:
    async with running.http() as client:
        headers = (await client.get(path)).headers
    assert "default-src 'none'; script-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "server" not in headers


async def test_health_and_metrics_are_open_to_everybody(running: Stack) -> None:
    async with running.http() as client:
        assert (await client.get("/livez")).json() == {"status": "alive"}
        assert (await client.get("/readyz")).json()["ready"]
        metrics = (await client.get("/metrics")).text
    assert "backtalk_engine_up 1.0" in metrics
    assert "backtalk_commit_seconds_bucket" in metrics


# Pages -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A built client in small, and a secret beside it."""
    directory = tmp_path / "web"
    (directory / "assets").mkdir(parents=True)
    (directory / "index.html").write_text("<!doctype html>the page")
    (directory / "assets" / "index-abc.js").write_text("run()")
    (tmp_path / "secret.txt").write_text("secret")
    return directory


async def page(directory: Path, path: str) -> httpx.Response:
    app = Starlette()
    app.router.default = Pages(directory)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.get(path)


async def test_pages_that_the_client_routes_get_its_index(web: Path) -> None:
    for path in ("/", "/c/7b0a", "/operate/runs"):
        answer = await page(web, path)
        assert (answer.text, answer.headers["cache-control"]) == ("<!doctype html>the page", "no-cache")


async def test_hashed_files_are_kept_for_ever(web: Path) -> None:
    answer = await page(web, "/assets/index-abc.js")
    assert (answer.text, "immutable" in answer.headers["cache-control"]) == ("run()", True)


@pytest.mark.parametrize(
    "path", ["/%2e%2e/secret.txt", "/assets/%2e%2e/%2e%2e/secret.txt", "/a%00b.js", "/assets/no.js"]
)
async def test_nothing_outside_the_client_is_handed_out(web: Path, path: str) -> None:
    assert (await page(web, path)).status_code == 404


async def test_without_a_built_client_the_page_says_how_to_build_it(tmp_path: Path) -> None:
    assert "make install" in (await page(tmp_path, "/")).text


# Words -------------------------------------------------------------------------------------------------------------


def test_the_schema_names_every_word_of_both_sides() -> None:
    printed = json.loads(schemas())
    assert set(printed["ChatRequest"]["discriminator"]["mapping"]) == {
        "say",
        "regenerate",
        "continue",
        "stop",
        "follow",
        "ping",
    }
    assert set(printed["ChatEvent"]["discriminator"]["mapping"]) == {
        "started",
        "delta",
        "ended",
        "refused",
        "notice",
        "pong",
        "changed",
    }
    assert Delta.__name__ in str(ChatEvent)
