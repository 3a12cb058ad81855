"""The chat socket: reads words, hands them to the replies, and says what comes of it (contract §4)."""

import asyncio
import logging
from typing import Annotated, Any, get_args
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, WebSocket
from opentelemetry.trace import SpanKind
from pydantic import ValidationError

from backtalk import tracing
from server.access import Caller, requires
from server.changes import Page
from server.errors import BadRequest, Busy, Refusal, TooLong, first_fault, refusal
from server.events import (
    Continue,
    Follow,
    Ping,
    Pong,
    Refused,
    RefusedCode,
    Regenerate,
    Say,
    Started,
    Stop,
    chat_request,
)
from server.ledger import Entry
from server.limits import FRAME_BYTES, JSON_DEPTH
from server.service import Service, get_service
from server.sockets import Socket

CODES: dict[str, RefusedCode] = {code: code for code in get_args(RefusedCode)}
CODES |= {"forbidden": "unauthorised", "conflict": "bad_request", "too_large": "too_long"}
TOO_MANY = 1008

router = APIRouter()
log = logging.getLogger(__name__)


@router.websocket("/ws/chat")
async def chat(
    websocket: WebSocket,
    caller: Annotated[Caller, requires("user")],
    service: Annotated[Service, Depends(get_service)],
    page: Page,
    changes: bool = False,
) -> None:
    """Serve one person's socket until it closes.

    Args:
        page: the name that the page behind the socket gave itself.
        changes: say so, too, when the person does something on another page.
    """
    await websocket.accept()
    try:
        service.limits.sockets.take(caller.person_id)
    except Busy as busy:
        await websocket.send_text(_refused(None, busy).model_dump_json())
        await websocket.close(TOO_MANY, busy.message)
        return
    socket = Socket(websocket, caller, service.metrics, page=page, hears_changes=changes)
    visit = _Visit(service, socket)
    try:
        with service.sockets.opened(socket):
            writing = asyncio.create_task(socket.write())
            reading = asyncio.create_task(visit.read(websocket))
            await asyncio.wait({writing, reading}, return_when=asyncio.FIRST_COMPLETED)
            reading.cancel()
            if not socket.is_closing:  # otherwise the last word, why it closes, is on its way
                writing.cancel()
            await asyncio.wait({writing, reading})
    finally:
        visit.leave()
        service.limits.sockets.free(caller.person_id)


class _Visit:
    """One socket's stay: what it has asked for."""

    def __init__(self, service: Service, socket: Socket) -> None:
        self._service = service
        self._socket = socket
        self._person_id = socket.caller.person_id
        self._following: dict[UUID, asyncio.Task[None]] = {}

    async def read(self, websocket: WebSocket) -> None:
        """Take words, one after the other, until the other side leaves."""
        while self._socket.is_open and (message := await websocket.receive())["type"] != "websocket.disconnect":
            await self._take(message.get("text"))

    def leave(self) -> None:
        """Stop listening; the replies go on."""
        self._socket.is_open = False
        for task in self._following.values():
            task.cancel()

    async def _take(self, frame: str | None) -> None:
        key: str | None = None
        try:
            key, content = _open(frame)
            await self._do(content)
        except Exception as error:
            self._refuse(key, error)

    async def _do(self, content: bytes) -> None:
        match chat_request.validate_json(content):
            case Say() | Regenerate() | Continue() as asked:
                with tracing.span(f"/ws/chat {asked.type}", kind=SpanKind.SERVER):
                    self._begin(asked.key, await self._ask(asked))
            case Stop(reply_id=reply_id):
                await self._service.replies.stop(self._person_id, reply_id)
            case Follow(reply_id=reply_id, after=after):
                self._follow(reply_id, after)
            case Ping():
                self._socket.say(Pong())

    async def _ask(self, asked: Say | Regenerate | Continue) -> Entry:
        replies = self._service.replies
        match asked:
            case Say():
                return await replies.say(self._person_id, asked)
            case Regenerate():
                return await replies.regenerate(self._person_id, asked)
            case Continue():
                return await replies.go_on(self._person_id, asked)

    def _begin(self, key: str, entry: Entry) -> None:
        started = Started(
            key=key,
            conversation_id=entry.conversation_id,
            question_id=entry.question_id,
            reply_id=entry.reply_id,
            policy_version=entry.version,
        )
        self._socket.say(started)
        self._follow(entry.reply_id, 0)
        self._service.sockets.tell_of_change(self._person_id, entry.conversation_id, self._socket.page)

    def _follow(self, reply_id: UUID, after: int) -> None:
        """Replay in a task of its own, so that a long one does not keep a `stop` waiting."""
        earlier = self._following.pop(reply_id, None)
        if earlier is not None:
            earlier.cancel()
        task = asyncio.create_task(self._replay(reply_id, after))
        self._following[reply_id] = task
        task.add_done_callback(lambda done: self._following.pop(reply_id) if self._is(reply_id, done) else None)

    def _is(self, reply_id: UUID, task: asyncio.Task[None]) -> bool:
        return self._following.get(reply_id) is task

    async def _replay(self, reply_id: UUID, after: int) -> None:
        try:
            events = await self._service.replies.log(self._person_id, reply_id)
            await events.follow(self._socket, after)
        except Exception as error:
            self._refuse(None, error)

    def _refuse(self, key: str | None, error: Exception) -> None:
        if isinstance(error, ValidationError):
            error = BadRequest(first_fault(list(error.errors())))
        refused = refusal(error)
        if refused is None:
            log.error("a word of %s broke the server", self._person_id, exc_info=error)
            word = Refused(key=key, code="storage", message="something went wrong here; try again", retry_after=1)
        else:
            word = _refused(key, refused)
        self._service.metrics.refusals.labels(word.code).inc()
        self._socket.say(word)


def _refused(key: str | None, refused: Refusal) -> Refused:
    return Refused(key=key, code=CODES[refused.code], message=refused.message, retry_after=refused.retry_after)


def _open(frame: str | None) -> tuple[str | None, bytes]:
    """The frame's key, if it has one, and its bytes.

    Raises:
        TooLong, BadRequest: it is not a JSON object of a sensible size and depth.
    """
    if frame is None:
        raise BadRequest("a binary frame; expected JSON in a text frame")
    content = frame.encode(errors="surrogatepass")
    if len(content) > FRAME_BYTES:
        raise TooLong(f"the frame has {len(content)} bytes; at most {FRAME_BYTES} are allowed")
    try:
        words = orjson.loads(content)
    except ValueError as error:
        raise BadRequest(f"the frame is not JSON: {error}") from error
    if not isinstance(words, dict):
        raise BadRequest('the frame is not a JSON object; expected {"type": …}')
    key = words.get("key")
    key = key if isinstance(key, str) and len(key) <= 128 else None
    if is_deeper(words, JSON_DEPTH):
        raise BadRequest(f"the frame is nested deeper than {JSON_DEPTH} levels")
    return key, content


def is_deeper(value: Any, levels: int) -> bool:
    """Is JSON nested deeper than so many levels?"""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(is_deeper(part, levels - 1) for part in inner)
