"""What clients of text-generation-inference speak, answered by the same path as the chat.

`inputs` becomes one turn of a person's and goes through the model's chat template. As there, a reply is drawn greedily
unless something about sampling is said. Where several tokens of a stream come together, their text stands with the
first of them.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from starlette.routing import Match
from starlette.types import Scope

from backtalk import __version__
from backtalk.engine.sampling import MAX_STOP_STRINGS
from backtalk.tables import Json
from backtalk.template import Turn
from server import answers
from server.access import Caller, requires
from server.answers import Answer, Part, Wish
from server.errors import BadRequest, Refusal, Unavailable, answer, first_fault, refusal
from server.events import message_text
from server.limits import RUNNING_REPLIES
from server.service import Service, get_service

_UNCACHED = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
KINDS = {422: "validation", 429: "overloaded", 503: "overloaded"}
NOT_OFFERED = (
    "adapter_id",
    "decoder_input_details",
    "frequency_penalty",
    "grammar",
    "top_n_tokens",
    "truncate",
    "typical_p",
    "watermark",
)


class TgiRoute(APIRoute):
    """A route whose errors have TGI's shape: `{"error", "error_type"}`."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the request is for this route; a `GET /` is for the web client."""
        match, found = super().matches(scope)
        return (Match.NONE, {}) if match is Match.PARTIAL and self.path == "/" else (match, found)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with its errors told as TGI tells them."""
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


class TgiError(BaseModel):
    """An error as text-generation-inference has it."""

    error: str
    error_type: str


router = APIRouter(
    tags=["text-generation-inference"],
    route_class=TgiRoute,
    responses={range_: {"model": TgiError} for range_ in ("4XX", "5XX")},
)
STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}

Held = Annotated[Service, Depends(get_service)]
User = Annotated[Caller, requires("user")]


class Parameters(BaseModel):
    """How to draw; what is not offered is refused and not quietly left out."""

    model_config = ConfigDict(extra="ignore")

    max_new_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    stop: list[str] | None = None
    do_sample: bool | None = None
    return_full_text: bool | None = None
    details: bool | None = None
    best_of: int | None = None
    adapter_id: str | None = None
    decoder_input_details: bool | None = None
    frequency_penalty: float | None = None
    grammar: dict[str, Any] | None = None
    top_n_tokens: int | None = None
    truncate: int | None = None
    typical_p: float | None = None
    watermark: bool | None = None

    def wish(self) -> Wish:
        """The same as the rest of the server says it.

        Raises:
            BadRequest: something is asked for that is not offered.
        """
        for name in NOT_OFFERED:
            if getattr(self, name):
                raise BadRequest(f"{name} is not offered; leave it out")
        if self.best_of not in (None, 1):
            raise BadRequest(f"best_of is {self.best_of}; only 1 is offered")
        draws = self.do_sample or any(value is not None for value in (self.temperature, self.top_p, self.top_k))
        return Wish(
            max_tokens=self.max_new_tokens,
            temperature=(1.0 if self.temperature is None else self.temperature) if draws else 0.0,
            **{name: getattr(self, name) for name in ("top_p", "top_k", "repetition_penalty", "seed", "stop")},
        )


class GenerateRequest(BaseModel):
    """A text to answer."""

    model_config = ConfigDict(extra="ignore")

    inputs: str
    parameters: Parameters | None = None
    stream: bool | None = None

    @property
    def wanted(self) -> Parameters:
        """The parameters, given or not."""
        return self.parameters or Parameters()


@router.post("/generate", response_model=None)
async def generate(given: GenerateRequest, request: Request, service: Held, caller: User) -> Response:
    """A whole reply."""
    return _json(await _whole(given, request, service, caller))


@router.post("/generate_stream", response_model=None, responses=STREAM)
async def generate_stream(given: GenerateRequest, service: Held, caller: User) -> Response:
    """A reply, token by token."""
    made = await _begin(given, service, caller)
    return StreamingResponse(
        _stream(made, given), media_type="text/event-stream", headers={"Cache-Control": "no-cache"}
    )


@router.post("/", response_model=None, responses=STREAM)
async def either(given: GenerateRequest, request: Request, service: Held, caller: User) -> Response:
    """What clients that know only the server's address ask: one of the two, by `stream`."""
    if given.stream:
        return await generate_stream(given, service, caller)
    return _json([await _whole(given, request, service, caller)])


@router.get("/info")
async def info(service: Held, caller: User) -> dict[str, Any]:
    """What is served, and its limits."""
    current = service.swapper.current
    if current is None:
        raise Unavailable(service.swapper.problem or "the model is being loaded; try again in a moment", 2)
    context = current.template.context
    state = service.engine.state()
    return {
        "model_id": f"backtalk-{current.number}",
        "model_sha": current.directory.name.partition("-")[2],
        "model_dtype": state.get("dtype"),
        "model_device_type": state.get("device"),
        "model_pipeline_tag": "text-generation",
        "max_concurrent_requests": RUNNING_REPLIES,
        "max_best_of": 1,
        "max_stop_sequences": MAX_STOP_STRINGS,
        "max_input_tokens": context - 1,
        "max_input_length": context - 1,
        "max_total_tokens": context,
        "max_client_batch_size": 1,
        "router": "backtalk",
        "version": __version__,
    }


async def _begin(given: GenerateRequest, service: Service, caller: Caller) -> Answer:
    try:
        text = message_text(given.inputs)
    except ValueError as error:
        raise BadRequest(f"inputs: {error}") from error
    return await answers.begin(service, caller.person_id, [Turn("user", text)], given.wanted.wish())


async def _whole(given: GenerateRequest, request: Request, service: Service, caller: Caller) -> Json:
    made = await _begin(given, service, caller)
    part = await answers.unless_gone(request, made.whole())
    if made.ended is None or made.ended.finish_reason == "error":
        raise Unavailable("the reply failed; ask again", retry_after=1)
    answered: Json = {"generated_text": _full(given, part.text)}
    if given.wanted.details:
        answered["details"] = {
            **_details(made, part),
            "prefill": [],
            "tokens": list(_tokens(made, part, texts=True)),
        }
    return answered


async def _stream(made: Answer, given: GenerateRequest) -> AsyncIterator[bytes]:
    """The reply as server-sent events, the last of them with the whole text; a client that leaves stops it."""
    whole, count = "", 0
    last: Json | None = None
    drawn: list[int] = []
    try:
        async for part in made.parts():
            whole += part.text
            drawn += part.tokens
            if last is not None and not part.tokens:  # it was stopped; this text had been held back
                last["token"]["text"] += part.text
            for token in _tokens(made, part):
                if last is not None:
                    yield _event(last)
                count += 1
                last = {"index": count, "token": token, "generated_text": None, "details": None}
    finally:
        made.stop()
    if last is None or made.ended is None or made.ended.finish_reason == "error":
        yield _event({"error": "the reply failed; ask again", "error_type": "generation"})
        return
    last["generated_text"] = _full(given, whole)
    last["details"] = {
        **_details(made, Part(whole, drawn, ())),
        "input_length": made.ended.usage.prompt_tokens,
    }
    yield _event(last)


def _tokens(made: Answer, part: Part, texts: bool = False) -> Iterable[Json]:
    """The tokens of a part. In a stream its text goes with the first one, so that all together are the text exactly."""
    template = made.version.template
    known = part.logprobs if len(part.logprobs) == len(part.tokens) else [None] * len(part.tokens)
    for at, (token, logprob) in enumerate(zip(part.tokens, known, strict=True)):
        text = template.text([token]) if texts else part.text if at == 0 else ""
        yield {"id": token, "text": text, "logprob": logprob, "special": token in template.ends}


def _details(made: Answer, part: Part) -> Json:
    assert made.ended is not None
    if made.ended.finish_reason == "length":
        reason = "length"
    else:
        by_itself = bool(part.tokens) and part.tokens[-1] in made.version.template.ends
        reason = "eos_token" if by_itself else "stop_sequence"
    return {
        "finish_reason": reason,
        "generated_tokens": made.ended.usage.completion_tokens,
        "seed": made.seed,
    }


def _full(given: GenerateRequest, text: str) -> str:
    return given.inputs + text if given.wanted.return_full_text else text


def _refuse(refused: Refusal) -> Response:
    status = 422 if refused.status in (400, 413) else refused.status
    kind = KINDS.get(status, refused.code)
    headers = answer(refused).headers
    kept = {name: headers[name] for name in ("retry-after", "www-authenticate") if name in headers}
    return JSONResponse({"error": refused.message, "error_type": kind}, status, kept)


def _event(content: Json) -> bytes:
    return b"data:" + orjson.dumps(content) + b"\n\n"


def _json(content: Any) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")
