"""What a stranger may throw at the door: hosts, origins, heads that never end, quotes that cost (SEC-04, 08, 23)."""

import asyncio
import contextlib
import time

import pytest

from backtalk.settings import Settings
from server import connection
from server.access import is_known_host
from server.edge import is_too_deep
from tests.server.stack import Someone, Stack

JSON = b"Content-Type: application/json\r\n"


async def ask(stack: Stack, request: bytes, seconds: float = 60.0) -> bytes:
    """Everything that comes back for these bytes until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), seconds)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def get(host: bytes, path: bytes = b"/livez") -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n"


HOSTS = ["[", "[::1", "a:b:c", "localhost:80:80", "localhost:80@evil.example", "localhost:999999", "localhost, evil"]


@pytest.mark.parametrize("host", [*HOSTS, "localhost:x", "", "\xff", "evil.example#@localhost", "localhost/"])
async def test_a_host_that_is_none_is_refused_and_breaks_nothing(running: Stack, host: str) -> None:
    answer = await ask(running, get(b"Host: " + host.encode("latin-1") + b"\r\n"))
    assert status(answer) == 400
    assert b"BACKTALK_PUBLIC_URL" in answer
    assert not is_known_host(host, Settings(host="0.0.0.0"))


async def test_one_host_is_demanded(running: Stack) -> None:
    assert status(await ask(running, get(b""))) == 400
    assert status(await ask(running, get(b"Host: localhost\r\nHost: localhost\r\n"))) == 400
    assert status(await ask(running, get(b"Host: localhost\r\n"))) == 200


@pytest.mark.parametrize(
    "origin", ["http://[", "http://[::1", "http://user@HOST", "HOST", "http://HOST/", "http://HOST.x"]
)
async def test_an_origin_that_is_none_is_foreign(running: Stack, origin: str) -> None:
    host = f"127.0.0.1:{running.port}"
    head = f"Host: {host}\r\nOrigin: {origin.replace('HOST', host)}\r\nConnection: close\r\n".encode()
    post = b"POST /api/people HTTP/1.1\r\n" + head + JSON + b"Content-Length: 2\r\n\r\n{}"
    assert status(await ask(running, post)) == 403
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    head = f"Host: {host}\r\nOrigin: {origin.replace('HOST', host)}\r\n".encode()
    assert status(await ask(running, b"GET /ws/chat HTTP/1.1\r\n" + head + upgrade + key)) == 403


def test_quotes_that_never_close_cost_no_more_than_others() -> None:
    def seconds(body: bytes) -> float:
        began = time.process_time()
        is_too_deep(body)
        return time.process_time() - began

    brackets = b"[" * 20 + b"[]" * 10
    plain = brackets + b'"' + b"ab" * 100_000 + b'"'
    hostile = brackets + b'"' + b'\\"' * 100_000
    assert seconds(hostile) < 100 * max(seconds(plain), 0.001)  # once it was minutes


async def test_a_path_longer_than_any_name_is_simply_not_there(running: Stack) -> None:
    answer = await ask(running, get(b"Host: localhost\r\n", b"/" + b"a" * 60_000 + b".js"))
    assert status(answer) == 404
    assert len(answer) < 2000, "it is not said back at length"
    assert status(await ask(running, get(b"Host: localhost\r\n", b"/" + b"a" * 60_000))) == 200, "a page of the client"


ODD = [
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"CONNECT evil.example:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: localhost\r\nBad Header: x\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
    b"POST /api/people HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /api/people HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"POST /api/people HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    b"POST /api/people HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
]


@pytest.mark.parametrize("request_", ODD, ids=range(len(ODD)))
async def test_what_is_not_a_request_is_refused_at_once(running: Stack, request_: bytes) -> None:
    answer = await ask(running, request_)
    assert 400 <= status(answer) < 500


async def test_a_head_that_does_not_come_in_time_ends_the_connection(running: Stack) -> None:
    """Slowloris: a byte a second keeps nothing open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)

    async def drip() -> None:
        for letter in b"GET /livez HTTP/1.1\r\nX: " + b"a" * 1000:
            writer.write(bytes([letter]))
            await asyncio.sleep(0.5)

    dripping = asyncio.create_task(drip())
    answer = await asyncio.wait_for(reader.read(), 10 * connection.HEAD_SECONDS)
    dripping.cancel()
    writer.close()
    assert status(answer) == 408


async def test_a_head_that_does_not_end_is_cut(running: Stack) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(b"GET /livez HTTP/1.1\r\nX: ")
    sent, answer = 0, b""
    with contextlib.suppress(OSError):
        while sent < 50_000_000:
            sent += 16_384
            writer.write(b"a" * 16_384)
            await writer.drain()
    with contextlib.suppress(OSError):
        answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    assert sent < 50_000_000, "the other side has closed"
    assert not answer or status(answer) == 431


async def test_a_request_in_two_parts_and_two_requests_in_one_are_answered(running: Stack, someone: Someone) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    first = get(b"Host: localhost\r\n").replace(b"Connection: close\r\n", b"")
    writer.write(first[:10])
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.write(first[10:] + first + get(b"Host: localhost\r\n"))
    assert (await asyncio.wait_for(reader.read(), 60)).count(b'{"status":"alive"}') == 3
    writer.close()
