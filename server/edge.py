"""The outermost layers of the server, plain ASGI: known hosts only, bodies of a sensible size, safe headers on all."""

import asyncio
import re

from opentelemetry.trace import SpanKind
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backtalk import tracing
from backtalk.settings import Settings
from server.access import is_known_host, is_secure
from server.errors import BadRequest, Refusal, TooLarge, TooSlow, answer
from server.limits import BODY_BYTES, JSON_DEPTH

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
STRICT_TRANSPORT = "max-age=31536000"
BODY_SECONDS = 30.0
"""How long a body may take to come."""
_MARKS = re.compile(rb'\\.|["\[\]{}]', re.DOTALL)
"""What opens and closes in JSON, and what is escaped in a string."""


class SafeHeaders:
    """Puts the security headers on every response."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._headers = HEADERS | ({"Strict-Transport-Security": STRICT_TRANSPORT} if is_secure(settings) else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app with its responses' headers completed."""

        async def complete(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/api"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, complete)


class KnownHosts:
    """Refuses requests that name a host which is not ours: a foreign name may point at us (DNS rebinding)."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app if the host is known."""
        if scope["type"] in ("http", "websocket"):
            hosts = Headers(scope=scope).getlist("host")
            if len(hosts) != 1 or not is_known_host(hosts[0], self._settings):
                found = ", ".join(hosts)
                message = (
                    f"this server does not answer to the host {found[:100]!r}; set BACKTALK_PUBLIC_URL to its address"
                )
                await answer(BadRequest(message))(scope, receive, send)
                return
        await self._app(scope, receive, send)


class SmallBodies:
    """Reads a request's body before the app does, and refuses one that is too large or nested too deep."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app with the whole body at hand."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read(scope, receive)
        except TimeoutError:
            refused = TooSlow(f"the body did not come within {BODY_SECONDS:.0f} s; send it at once")
            await answer(refused)(scope, receive, send)
            return
        except Refusal as refused:
            await answer(refused)(scope, receive, send)
            return
        is_told = False

        async def replay() -> Message:
            nonlocal is_told
            if is_told:
                return await receive()
            is_told = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)


class Traced:
    """Begins the trace of a reply that is asked for over HTTP, or goes on with the one that its request names."""

    DOORS = ("/v1/chat/completions", "/generate", "/generate_stream", "/")

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app in a span, from the request to the last byte of the answer."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in self.DOORS:
            await self._app(scope, receive, send)
            return
        known = {"http.request.method": "POST", "http.route": scope["path"], "url.scheme": scope["scheme"]}
        traceparent = Headers(scope=scope).get(tracing.TRACEPARENT)
        name = f"POST {scope['path']}"
        with tracing.span(name, known, traceparent=traceparent, kind=SpanKind.SERVER) as span:

            async def tell(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        tracing.fail(span, str(message["status"]))
                await send(message)

            await self._app(scope, receive, tell)


async def _read(scope: Scope, receive: Receive) -> bytes:
    announced = Headers(scope=scope).get("content-length", "0")
    if announced.isdigit() and int(announced) > BODY_BYTES:
        raise TooLarge(f"the body has {announced} bytes; at most {BODY_BYTES} are allowed")
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
        if size > BODY_BYTES:
            raise TooLarge(f"the body has more than {BODY_BYTES} bytes, the most allowed")
    body = b"".join(parts)
    if is_too_deep(body):
        raise BadRequest(f"the body is nested deeper than {JSON_DEPTH} levels")
    return body


def is_too_deep(body: bytes) -> bool:
    """Is this JSON nested deeper than is allowed? Counted without parsing it: a parser may be what suffers."""
    if body.count(b"[") + body.count(b"{") <= JSON_DEPTH:
        return False
    depth, in_string = 0, False
    for mark in _MARKS.findall(body):  # each byte is looked at once, whatever the quotes do
        if mark == b'"':
            in_string = not in_string
        elif in_string:
            continue
        elif mark in b"[{":
            depth += 1
            if depth > JSON_DEPTH:
                return True
        elif mark in b"]}":
            depth -= 1
    return False
