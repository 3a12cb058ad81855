"""Server-sent events, as much of them as engines use: one JSON object after each `data:`."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx2 as httpx

from backtalk import tracing
from backtalk.engine.errors import EngineLost
from backtalk.engine.remote.dialect import CONNECT_SECONDS, refuse


async def events(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
    """What comes, to the end; leaving early closes the connection, which is how engines are told to stop.

    Raises:
        EngineError: the engine refuses, or the connection breaks.
    """
    url = str(http.base_url)
    waiting = httpx.Timeout(None, connect=CONNECT_SECONDS)  # whoever iterates says how long a token may take
    try:
        async with http.stream("POST", path, json=body, headers=tracing.headers(), timeout=waiting) as answer:
            if answer.status_code >= 400:
                refuse(url, answer.status_code, (await answer.aread()).decode(errors="replace"))
            async for line in answer.aiter_lines():
                if not line.startswith("data:"):
                    continue
                content = line[5:].strip()
                if content == "[DONE]":
                    return
                yield _event(url, content)
    except httpx.HTTPError as error:
        raise EngineLost(f"{url} went away in the middle of a reply: {error or type(error).__name__}") from error


def _event(url: str, content: str) -> dict[str, Any]:
    try:
        event = json.loads(content)
    except ValueError as error:
        raise EngineLost(f"{url} sent something that is no JSON: {content[:80]!r}") from error
    if not isinstance(event, dict):
        raise EngineLost(f"{url} sent {content[:80]!r}; expected an object")
    failure = event.get("error")
    if failure:
        message = failure.get("message", failure) if isinstance(failure, dict) else failure
        raise EngineLost(f"{url} broke off: {message}")
    return event
