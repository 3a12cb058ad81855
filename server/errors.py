"""Refusals, and the one shape in which every error leaves the server: `{"error": {"code", "message"}}`.

Refusal             status  code
├── BadRequest      400     bad_request
├── Unauthorised    401     unauthorised
├── Forbidden       403     forbidden
├── NotFound        404     not_found       missing and somebody else's look the same
├── TooSlow         408     too_slow        the body did not come in time
├── Conflict        409     conflict
├── TooLarge        413     too_large       more bytes than the server takes
├── TooLong         413     too_long        more text than a message or the model takes
├── RateLimited     429     rate_limited    `retry_after` says when to come back
├── Busy            429     busy            somebody must finish first
├── Storage         503     storage         it could not be made durable, so nothing of it is stored
└── Unavailable     503     busy            the engine is not there at the moment
"""

import logging
import math
from http import HTTPStatus
from typing import Any, ClassVar
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backtalk.asking import AskingError
from backtalk.entrance import EntranceError
from backtalk.opinions import NoSuchReply, OpinionConflict, OpinionError
from backtalk.people import PersonConflict, PersonError
from backtalk.policies import PolicyError
from backtalk.profiles import ProfileError
from backtalk.recipe import RecipeError
from backtalk.release import ReleaseError
from backtalk.runs import RunError
from backtalk.schedules import ScheduleError
from backtalk.writer import StorageError

log = logging.getLogger(__name__)

CORE = (
    AskingError,
    EntranceError,
    OpinionError,
    PersonError,
    PolicyError,
    ProfileError,
    RecipeError,
    ReleaseError,
    RunError,
    ScheduleError,
)
"""What the core refuses, in its own words."""


class Refusal(Exception):
    """Something asked for is not done; the message says what was found, what was expected and what to do."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad_request"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


class BadRequest(Refusal):
    """The request is not of the form that the contract gives it."""


class Unauthorised(Refusal):
    """Nobody knows who is asking."""

    status, code = 401, "unauthorised"


class Forbidden(Refusal):
    """We know who is asking, and they may not."""

    status, code = 403, "forbidden"


class NotFound(Refusal):
    """There is no such thing, or it is somebody else's: nobody can tell which."""

    status, code = 404, "not_found"


class TooSlow(Refusal):
    """The request takes too long to come."""

    status, code = 408, "too_slow"


class Conflict(Refusal):
    """It cannot be done in the present state of the thing."""

    status, code = 409, "conflict"


class TooLarge(Refusal):
    """More bytes than the server takes at once."""

    status, code = 413, "too_large"


class TooLong(Refusal):
    """More text than a message may have, or more tokens than the model takes."""

    status, code = 413, "too_long"


class RateLimited(Refusal):
    """Too many in a short time."""

    status, code = 429, "rate_limited"


class Busy(Refusal):
    """As many run at once as may."""

    status, code = 429, "busy"


class Storage(Refusal):
    """It could not be made durable."""

    status, code = 503, "storage"


class Unavailable(Refusal):
    """The engine, or the version it should serve, is not there at the moment."""

    status, code = 503, "busy"


def refusal(error: Exception) -> Refusal | None:
    """The refusal that an exception of the core amounts to; None if it is a defect."""
    match error:
        case Refusal():
            return error
        case StorageError():
            return Storage(str(error), retry_after=1)
        case OperationalError() | InterfaceError():
            return Storage("the database cannot be asked at the moment; try again", retry_after=1)
        case HTTPException(status_code=400):  # a body that is no JSON, or no UTF-8
            return BadRequest(str(error.detail))
        case NoSuchReply():
            return NotFound(str(error))
        case EntranceError() | OpinionConflict() | PersonConflict() | PolicyError() | RunError():
            return Conflict(str(error))
        case AskingError() | OpinionError() | PersonError() | ProfileError() | RecipeError() | ReleaseError():
            return BadRequest(str(error))
        case ScheduleError():
            return Conflict(str(error)) if "taken" in str(error) else BadRequest(str(error))
    return None


def body(code: str, message: str) -> dict[str, Any]:
    """The error as JSON."""
    return {"error": {"code": code, "message": message}}


def answer(refused: Refusal) -> JSONResponse:
    """The refusal as an HTTP response."""
    headers = {}
    if refused.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(refused.retry_after))
    if refused.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body(refused.code, refused.message), refused.status, headers)


def first_fault(errors: list[Any]) -> str:
    """One sentence from pydantic's list of errors: where, and what is wrong there."""
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    message = str(first["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


class ErrorBody(BaseModel):
    """What went wrong: a word for programs, a sentence for people."""

    code: str
    message: str


class ErrorOut(BaseModel):
    """Every error of the server."""

    error: ErrorBody


def install(app: FastAPI) -> None:
    """Give every error of `app` the one shape, and say so in its schema. To be called before routes are added."""
    for range_ in ("4XX", "5XX"):
        app.router.responses[range_] = {"model": ErrorOut, "description": "What was found, what was expected"}
    for kind in (Refusal, StorageError, OperationalError, InterfaceError, *CORE):
        app.add_exception_handler(kind, _known)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)


async def _known(_request: Request, error: Exception) -> JSONResponse:
    refused = refusal(error)
    assert refused is not None
    if isinstance(error, SQLAlchemyError):
        log.error("the database cannot be asked: %s", str(error.__cause__ or error).splitlines()[0])
    return answer(refused)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    codes = {401: "unauthorised", 403: "forbidden", 404: "not_found", 409: "conflict", 413: "too_large"}
    codes |= {429: "rate_limited", 503: "busy"}
    message = str(error.detail)
    if error.status_code == 404 and message == HTTPStatus.NOT_FOUND.phrase:
        message = f"there is nothing at {request.url.path[:200]}"
    elif error.status_code == 405:
        message = f"{request.method} is not allowed at {request.url.path[:200]}"
    code = codes.get(error.status_code, "bad_request")
    return JSONResponse(body(code, message), error.status_code, dict(error.headers or {}))


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return JSONResponse(body("bad_request", first_fault(list(error.errors()))), 422)


class LastResort:
    """ASGI layer that turns a defect into a 500 with a request id: the trace goes to the log, never to the client."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app; answer for it if it breaks before it has answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answered = False

        async def watch(message: Message) -> None:
            nonlocal answered
            answered = answered or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            request_id = uuid4().hex[:12]
            log.exception("request %s: %s %r broke", request_id, scope["method"], scope["path"][:200])
            if answered:
                raise
            message = f"something went wrong here, not with you; the log has it as {request_id}"
            await JSONResponse(body("internal", message), 500)(scope, receive, send)
