"""Backtalk for programs: chat that survives broken connections, and what somebody thinks of replies.

    async with Client("http://127.0.0.1:8000", key) as client:
        reply = await client.say("Hello!")
        async for text in reply:
            print(text, end="")
        await client.judge(reply.id, rating=1)

One socket carries all replies. When it breaks it is opened again, and each reply goes on after the last piece that came
(`follow`), so joined pieces are the reply exactly, however often the connection breaks or the server is replaced.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import httpx2 as httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

Verdict = Literal["left", "right", "tie", "neither"]
State = Literal["done", "stopped", "failed"]

FIRST_DELAY, LAST_DELAY = 0.1, 5.0
"""Seconds between two attempts to connect: doubled from the first to the last."""
PATIENCE = 120.0
"""Seconds without a server after which everybody who waits is told."""
HTTP_SECONDS = 30.0


class ClientError(Exception):
    """The family: `Refused` or `Unreachable`."""


class Refused(ClientError):
    """The server will not do this; `code` is the contract's, the message says what to do."""

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after
        """Seconds after which the same may be asked again; None where that would not help."""


class Unreachable(ClientError):
    """No server has answered for a long time."""


@dataclass(frozen=True, slots=True)
class End:
    """How a reply ended."""

    state: State
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


class Reply:
    """A reply under way: iterate over its pieces, or wait for the whole of it."""

    def __init__(self, id: UUID, conversation_id: UUID, question_id: UUID, version: int, client: "Client") -> None:
        self.id = id
        self.conversation_id = conversation_id
        self.question_id = question_id
        self.policy_version = version
        """The version that writes all of it."""
        self.end: End | None = None
        """How it ended; None as long as it runs."""
        self._client = client
        self._pieces: list[str] = []
        self._error: ClientError | None = None
        self._news = asyncio.Condition()

    async def __aiter__(self) -> AsyncIterator[str]:
        """Its pieces from the first one on, also those that came earlier.

        Raises:
            Refused, Unreachable: it cannot be followed any more.
        """
        told = 0
        while True:
            async with self._news:
                while not (told < len(self._pieces) or self.end or self._error):
                    await self._news.wait()
            while told < len(self._pieces):
                told += 1
                yield self._pieces[told - 1]
            if self._error is not None:
                raise self._error
            if self.end is not None:
                return

    async def text(self) -> str:
        """All of it, once it has ended; `end` says how."""
        return "".join([piece async for piece in self])

    async def stop(self) -> None:
        """End it now; what it has said is kept."""
        await self._client._send({"type": "stop", "reply_id": str(self.id)})

    async def _take(self, word: Mapping[str, Any]) -> None:
        if word["seq"] != len(self._pieces) + 1 or self.end is not None:
            return  # it was there already: a replay may overlap
        async with self._news:
            if word["type"] == "delta":
                self._pieces.append(word["text"])
            else:
                self.end = End(word["state"], word["finish_reason"], **word["usage"])
            self._news.notify_all()

    async def _fail(self, error: ClientError) -> None:
        async with self._news:
            self._error = error
            self._news.notify_all()


class Client:
    """One person's Backtalk. Use it as a context, or call `close`."""

    def __init__(self, url: str, key: str) -> None:
        """`key` is an API key, as `backtalk person add NAME --api-key` prints it."""
        parts = urlsplit(url)
        scheme = "wss" if parts.scheme == "https" else "ws"
        socket = parts._replace(scheme=scheme, path=f"{parts.path.rstrip('/')}/ws/chat")
        self._socket_url = urlunsplit(socket)
        self._headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.AsyncClient(base_url=url, headers=self._headers, timeout=HTTP_SECONDS)
        self._socket: ClientConnection | None = None
        self._asked: dict[str, tuple[dict[str, Any], asyncio.Future[Reply]]] = {}  # by key, until they have started
        self._replies: dict[str, Reply] = {}  # by id, until they have ended
        self._open = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connection. Replies under way go on at the server."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._fail_all(Unreachable("the client was closed"))
        await self._http.aclose()

    # Chat ------------------------------------------------------------------------------------------------------------

    async def say(
        self,
        text: str,
        *,
        conversation_id: UUID | None = None,
        parent_id: UUID | None = None,
        sampling: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Reply:
        """Ask something; returns once the question is durably stored and its reply under way.

        Args:
            conversation_id: None begins a conversation.
            parent_id: the message that this answers; None: the last one.
            sampling: `max_tokens`, `temperature`, `top_p`, `seed`, `stop`; what is left out is the operator's default.
            key: the same key with the same words is one question, also from another process.

        Raises:
            Refused: with what to do.
            Unreachable: there is no server.
        """
        word: dict[str, Any] = {"type": "say", "text": text, "sampling": dict(sampling) if sampling else None}
        word["conversation_id"] = str(conversation_id) if conversation_id else None
        word["parent_id"] = str(parent_id) if parent_id else None
        return await self._ask(word, key)

    async def regenerate(self, reply_id: UUID, *, sampling: Mapping[str, Any] | None = None) -> Reply:
        """Another reply to the same question; otherwise like `say`."""
        sampling_ = dict(sampling) if sampling else None
        return await self._ask({"type": "regenerate", "reply_id": str(reply_id), "sampling": sampling_}, None)

    async def _ask(self, word: dict[str, Any], key: str | None) -> Reply:
        key = key or str(uuid4())
        if key in self._asked:
            return await asyncio.shield(self._asked[key][1])
        started: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        started.add_done_callback(lambda done: done.cancelled() or done.exception())  # heeded, if we wait or not
        self._asked[key] = ({**word, "key": key}, started)
        try:
            await self._send(self._asked[key][0])
            return await started
        finally:
            self._asked.pop(key, None)

    async def _send(self, word: Mapping[str, Any]) -> None:
        """Say it on the open socket. One that breaks meanwhile is no loss: what was asked is asked again."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._keep_open(), name="backtalk client")
        waiting = asyncio.create_task(self._open.wait())
        await asyncio.wait({waiting, self._task}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._task.done():
            self._task.result()  # raises why there is no socket
        if self._socket is not None:
            with contextlib.suppress(WebSocketException):
                await self._socket.send(json.dumps(word))

    async def _keep_open(self) -> None:
        delay, since = FIRST_DELAY, asyncio.get_running_loop().time()
        while True:
            try:
                async with connect(self._socket_url, additional_headers=self._headers) as socket:
                    self._socket = socket
                    await self._catch_up(socket)
                    self._open.set()
                    delay = FIRST_DELAY
                    async for frame in socket:
                        await self._take(json.loads(frame))
            except InvalidStatus as error:
                if error.response.status_code in (401, 403):
                    refused = Refused("unauthorised", "the server does not know this key; make a new one")
                    await self._fail_all(refused)
                    raise refused from error
            except (OSError, WebSocketException, TimeoutError):
                pass
            finally:
                was_open = self._open.is_set()
                self._open.clear()
                self._socket = None
            now = asyncio.get_running_loop().time()
            since = now if was_open else since
            if now - since > PATIENCE:
                lost = Unreachable(f"no server has answered at {self._socket_url} for {PATIENCE:.0f} s")
                await self._fail_all(lost)
                raise lost
            await asyncio.sleep(delay)
            delay = min(2 * delay, LAST_DELAY)

    async def _catch_up(self, socket: ClientConnection) -> None:
        """A new socket: ask again what was not acknowledged, and follow what is under way."""
        for word, _ in list(self._asked.values()):
            await socket.send(json.dumps(word))
        for id, reply in list(self._replies.items()):
            await socket.send(json.dumps({"type": "follow", "reply_id": id, "after": len(reply._pieces)}))

    async def _take(self, word: Mapping[str, Any]) -> None:
        match word["type"]:
            case "started" if word["key"] in self._asked:
                started = self._asked[word["key"]][1]
                id, talk, question = (UUID(word[name]) for name in ("reply_id", "conversation_id", "question_id"))
                made = Reply(id, talk, question, word["policy_version"], self)
                reply = self._replies.setdefault(word["reply_id"], made)
                if not started.done():
                    started.set_result(reply)
            case "refused":
                error = Refused(word["code"], word["message"], word.get("retry_after"))
                if word["key"] in self._asked and not self._asked[word["key"]][1].done():
                    self._asked[word["key"]][1].set_exception(error)
            case "delta" | "ended" if word["reply_id"] in self._replies:
                await self._replies[word["reply_id"]]._take(word)
                if word["type"] == "ended":
                    del self._replies[word["reply_id"]]

    async def _fail_all(self, error: ClientError) -> None:
        for _, started in self._asked.values():
            if not started.done():
                started.set_exception(error)
        replies, self._replies = list(self._replies.values()), {}
        for reply in replies:
            await reply._fail(error)

    # Opinions --------------------------------------------------------------------------------------------------------

    async def judge(
        self,
        reply_id: UUID,
        *,
        rating: Literal[1, -1] | None = None,
        rewrite: str | None = None,
        labels: Mapping[str, int] | None = None,
        reasons: Iterable[str] = (),
        note: str | None = None,
    ) -> int:
        """Keep what this person thinks of a reply, in place of what they thought before; returns its revision.

        Raises:
            Refused: with what to do.
            Unreachable: there is no server; nothing is known to be kept.
        """
        body = {
            "rating": rating,
            "rewrite": rewrite,
            "labels": dict(labels or {}),
            "reasons": list(reasons),
            "note": note,
        }
        kept = await self._call("PUT", f"/api/messages/{reply_id}/feedback", body)
        return int(kept["revision"])

    async def withdraw(self, reply_id: UUID) -> None:
        """Take the opinion on a reply back."""
        await self._call("DELETE", f"/api/messages/{reply_id}/feedback")

    async def compare(self, left: UUID, right: UUID, verdict: Verdict, *, key: str | None = None) -> None:
        """Keep which of two replies to one question this person prefers."""
        body = {"key": key or str(uuid4()), "left_id": str(left), "right_id": str(right), "verdict": verdict}
        await self._call("POST", "/api/comparisons", body)

    async def messages(self, conversation_id: UUID) -> list[dict[str, Any]]:
        """All messages of a conversation, as the server keeps them."""
        found = await self._call("GET", f"/api/conversations/{conversation_id}/messages")
        return list(found["items"])

    async def receipts(self) -> list[dict[str, Any]]:
        """Each opinion of this person, with the versions that learned from it."""
        return list((await self._call("GET", "/api/me/receipts"))["items"])

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        try:
            answer = await self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise Unreachable(f"{method} {path}: {error or type(error).__name__}") from error
        if answer.status_code >= 400:
            after = answer.headers.get("retry-after")
            told = answer.json().get("error", {}) if "json" in answer.headers.get("content-type", "") else {}
            message = told.get("message", f"the server answers {answer.status_code}")
            raise Refused(told.get("code", "bad_request"), message, float(after) if after else None)
        return answer.json() if answer.content else None
