"""The stage: serves each page and speaks the chat socket's words, the standard stream at an even pace.

It is a measuring instrument: every page gets the same pieces at the same moments, which no model would give.
"""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from bench.client import script
from server.pages import Pages

PACE = 100
"""Pieces a second."""
AT = "2026-01-01T00:00:00Z"
ME: dict[str, Any] = {
    "id": str(UUID(int=1)),
    "name": "Ada",
    "role": "user",
    "guest": False,
    "language": "en",
    "consent": {"train": True},
    "limits": {"message_bytes": 32768},
    "aspects": [],
    "reasons": [],
    "compare_share": 0,
}


def conversation(count: int) -> str:
    """Id of the conversation that has so many messages."""
    return str(UUID(int=1000 + count))


@contextlib.contextmanager
def stage(peers: Path | None) -> Iterator[str]:
    """The stage's address while the block runs."""
    config = uvicorn.Config(_app(peers), port=0, log_level="error", ws="websockets-sansio")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def _app(peers: Path | None) -> Starlette:
    routes: list[Any] = [
        Route("/api/people", _me, methods=["POST"]),
        Route("/api/me", _me),
        Route("/api/conversations", _conversations),
        Route("/api/conversations/{id}/messages", _messages),
        WebSocketRoute("/ws/chat", _chat),
    ]
    if peers is not None:
        routes.append(Mount("/peers", StaticFiles(directory=peers, html=True)))
    return Starlette(routes=[*routes, Mount("/", Pages())])


async def _me(request: Request) -> Response:
    return JSONResponse(ME)


async def _conversations(request: Request) -> Response:
    return JSONResponse({"items": []})


async def _messages(request: Request) -> Response:
    id = request.path_params["id"]
    said = script.earlier(UUID(id).int - 1000)
    ids = [str(UUID(int=10_000 + number)) for number in range(len(said))]
    rest = {"conversation_id": id, "state": "done", "created_at": AT, "ended_at": AT, "feedback": None}
    items = [
        {
            **rest,
            **one,
            "id": ids[number],
            "parent_id": ids[number - 1] if number else None,
            "policy_version": 0 if one["role"] == "assistant" else None,
            "finish_reason": "stop" if one["role"] == "assistant" else None,
        }
        for number, one in enumerate(said)
    ]
    return JSONResponse({"items": items})


async def _chat(websocket: WebSocket) -> None:
    await websocket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            word = json.loads(await websocket.receive_text())
            if word["type"] == "say":
                await _play(websocket, word)


async def _play(websocket: WebSocket, said: dict[str, Any]) -> None:
    reply_id = str(uuid4())
    about = {"conversation_id": said["conversation_id"] or str(uuid4()), "question_id": str(uuid4())}
    await websocket.send_json(
        {"type": "started", "key": said["key"], "reply_id": reply_id, "policy_version": 0, **about}
    )
    pieces, began = script.stream(), time.monotonic()
    for seq, text in enumerate(pieces, 1):
        await asyncio.sleep(max(0.0, began + seq / PACE - time.monotonic()))
        await websocket.send_json({"type": "delta", "reply_id": reply_id, "seq": seq, "text": text})
    usage = {"prompt_tokens": 1, "completion_tokens": len(pieces)}
    end = {"type": "ended", "reply_id": reply_id, "seq": len(pieces) + 1, "state": "done", "finish_reason": "stop"}
    await websocket.send_json({**end, "usage": usage})
