"""`/v1`: what OpenAI's clients speak, answered by the same path as the chat.

Any model name is taken, as other servers do; `model` in the answer says which version it really was. What is not
offered (several choices, tools, penalties) is refused and not quietly left out.
"""

import time
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, field_validator

from backtalk.opinions import Judgement
from backtalk.tables import Json, Policy
from backtalk.template import Turn
from server import answers
from server.access import Caller, requires
from server.answers import Answer, Part, Wish
from server.changes import Page
from server.errors import BadRequest, NotFound, Refusal, TooLong, Unavailable, answer, first_fault, refusal
from server.events import message_text, whole_text
from server.feedback import OpinionOut, keep
from server.service import Service, get_service

NAME = "backtalk"
FINISH = {"stop": "stop", "length": "length", "stopped": "stop", "error": "stop"}
KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class OpenAIRoute(APIRoute):
    """A route whose errors have OpenAI's shape."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with its errors told as OpenAI tells them."""
        handle = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                return _refuse(BadRequest(first_fault(list(error.errors()))))
            except Exception as error:
                refused = refusal(error)
                if refused is None:
                    raise
                return _refuse(refused)

        return told


router = APIRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute)

Held = Annotated[Service, Depends(get_service)]
User = Annotated[Caller, requires("user")]


class TextPart(BaseModel):
    """A piece of a message; only text is understood."""

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    @field_validator("content", mode="before")
    @classmethod
    def _only_text(cls, value: object) -> object:
        for part in value if isinstance(value, list) else ():
            if isinstance(part, dict) and part.get("type") != "text":
                raise ValueError(f"a part is of type {part.get('type')!r}; only text is understood")
        return value

    def turn(self) -> Turn:
        """The turn as the templates know it."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return Turn("system" if self.role == "developer" else self.role, whole_text(text))


class StreamOptions(BaseModel):
    """What a stream shall hold besides text."""

    include_usage: bool | None = None


class ChatRequest(BaseModel):
    """A request for a reply; fields of OpenAI's that change nothing here are passed over."""

    model_config = ConfigDict(extra="ignore")

    model: str = NAME
    messages: list[ChatMessage] = Field(min_length=1)
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    n: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    response_format: dict[str, Any] | None = None

    def turns(self) -> list[Turn]:
        """The conversation up to its question.

        Raises:
            BadRequest, TooLong: a turn is broken, or the last one is not a question.
        """
        try:
            turns = [message.turn() for message in self.messages]
            if turns[-1].role != "user":
                raise BadRequest(f"the last message is of role {turns[-1].role!r}; expected 'user'")
            message_text(turns[-1].content)
        except ValueError as error:
            raise BadRequest(str(error)) from error
        return turns

    def wish(self) -> Wish:
        """How the reply shall be drawn.

        Raises:
            BadRequest: something is asked for that is not offered.
        """
        if self.n not in (None, 1):
            raise BadRequest(f"n is {self.n}; one choice a request is offered, so ask {self.n} times")
        if self.top_logprobs:
            raise BadRequest("top_logprobs is not offered; logprobs gives those of the chosen tokens")
        for name in ("tools", "functions", "logit_bias", "presence_penalty", "frequency_penalty"):
            if getattr(self, name):
                raise BadRequest(f"{name} is not offered; leave it out")
        if self.response_format and self.response_format.get("type") != "text":
            raise BadRequest("response_format is not offered, except 'text'; leave it out")
        return Wish(
            max_tokens=self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens,
            **{
                name: getattr(self, name)
                for name in ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed", "stop")
            },
        )


class OpinionOnMessage(Judgement):
    """An opinion that names its reply: `backtalk.message_id` of a completion."""

    message_id: UUID


@router.get("/models")
async def list_models(service: Held, caller: User) -> dict[str, Any]:
    """`backtalk`, which is always the live version, and the live version under its own name."""
    return {"object": "list", "data": await _models(service)}


@router.get("/models/{model}")
async def show_model(model: str, service: Held, caller: User) -> dict[str, Any]:
    """One model."""
    for known in await _models(service):
        if known["id"] == model:
            return known
    raise NotFound(f"there is no model {model!r}; /v1/models lists those there are")


@router.post("/chat/completions", response_model=None, responses={200: {"content": {"text/event-stream": {}}}})
async def complete(given: ChatRequest, request: Request, service: Held, caller: User) -> Response:
    """A reply to a conversation, whole or streamed. It is stored as a conversation of the caller's."""
    _check_model(service, given.model)
    made = await answers.begin(service, caller.person_id, given.turns(), given.wish())
    if given.stream:
        return StreamingResponse(_stream(made, given), media_type="text/event-stream", headers=_UNCACHED)
    part = await answers.unless_gone(request, made.whole())
    ended = made.ended
    if ended is None or ended.finish_reason == "error":
        raise Unavailable("the reply failed; ask again", retry_after=1)
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": part.text, "refusal": None},
        "logprobs": _logprobs(made, part) if given.logprobs else None,
        "finish_reason": FINISH[ended.finish_reason],
    }
    return _json({**_frame(made, "chat.completion"), "choices": [choice], "usage": _usage(made)})


@router.post("/feedback")
async def give_feedback(given: OpinionOnMessage, service: Held, caller: User, page: Page) -> OpinionOut:
    """Keep the caller's opinion on a reply; the same body as the chat's, with `message_id`."""
    judgement = Judgement.model_validate(given.model_dump(exclude={"message_id"}))
    return await keep(service, caller.person_id, given.message_id, judgement, page)


_UNCACHED = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


async def _stream(made: Answer, given: ChatRequest) -> AsyncIterator[bytes]:
    """The reply as server-sent events; a client that leaves stops it."""
    frame = _frame(made, "chat.completion.chunk")
    wants_usage = given.stream_options is not None and bool(given.stream_options.include_usage)
    nothing_yet: Json = {"usage": None} if wants_usage else {}

    def chunk(delta: Json, finish: str | None = None, logprobs: Json | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return _event({**frame, "choices": [choice], **nothing_yet})

    parts = made.parts()
    try:
        yield chunk({"role": "assistant", "content": ""})
        async for part in parts:
            if part.text or given.logprobs:
                yield chunk({"content": part.text}, logprobs=_logprobs(made, part) if given.logprobs else None)
    finally:
        made.stop()
    ended = made.ended
    if ended is None or ended.finish_reason == "error":
        yield _event(_error("the reply failed; ask again", "server_error", "busy"))
        return
    yield chunk({}, FINISH[ended.finish_reason])
    if wants_usage:
        yield _event({**frame, "choices": [], "usage": _usage(made)})
    yield b"data: [DONE]\n\n"


def _frame(made: Answer, kind: str) -> Json:
    return {
        "id": f"chatcmpl-{made.entry.reply_id.hex}",
        "object": kind,
        "created": int(time.time()),
        "model": f"{NAME}-{made.entry.version}",
        "backtalk": {"message_id": str(made.entry.reply_id), "policy_version": made.entry.version},
    }


def _logprobs(made: Answer, part: Part) -> Json | None:
    """Log-probs under which the tokens were drawn; a token that is part of a character shows as it can.

    None where the engine cannot tell them.
    """
    if len(part.logprobs) != len(part.tokens):
        return None
    content = []
    for token, logprob in zip(part.tokens, part.logprobs, strict=True):
        if token in made.version.template.ends:
            continue
        text = made.version.template.text([token])
        content.append({"token": text, "logprob": logprob, "bytes": list(text.encode()), "top_logprobs": []})
    return {"content": content, "refusal": None}


def _usage(made: Answer) -> Json:
    assert made.ended is not None
    usage = made.ended.usage
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


async def _models(service: Service) -> list[Json]:
    current = service.swapper.current
    if current is None:
        return []
    policy = await service.read(lambda session: session.get(Policy, current.number))
    made: datetime | None = policy.created_at if policy is not None else None
    created = int(made.timestamp()) if made is not None else 0
    return [
        {"id": name, "object": "model", "created": created, "owned_by": NAME}
        for name in (NAME, f"{NAME}-{current.number}")
    ]


def _check_model(service: Service, name: str) -> None:
    """A version asked for by its number must be the one in use; any other name means that one.

    Raises:
        NotFound: it is another version.
    """
    number = name.removeprefix(f"{NAME}-")
    current = service.swapper.current
    if number != name and number.isdecimal() and current is not None and number != str(current.number):
        raise NotFound(f"the model {name!r} is not in use; {NAME}-{current.number} is")


def _refuse(refused: Refusal) -> Response:
    status = 400 if refused.status in (413, 422) else refused.status
    code = "context_length_exceeded" if isinstance(refused, TooLong) else refused.code
    kind = KINDS.get(status, "invalid_request_error" if status < 500 else "server_error")
    headers = answer(refused).headers
    kept = {name: headers[name] for name in ("retry-after", "www-authenticate") if name in headers}
    return JSONResponse(_error(refused.message, kind, code), status, kept)


def _error(message: str, kind: str, code: str) -> Json:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _event(content: Json) -> bytes:
    return b"data: " + orjson.dumps(content) + b"\n\n"


def _json(content: Json) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")
