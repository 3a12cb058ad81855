"""What a remote engine must be able to say; each make of engine says it in its own words."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import httpx2 as httpx

from backtalk.engine.errors import EngineBusy, EngineError, EngineLost, EngineRefused, LoadFailed
from backtalk.engine.sampling import FinishReason, Sampling
from backtalk.template import Template, Turn

CONNECT_SECONDS = 5.0
ASK_SECONDS = 10.0
"""For a short question, such as whether the engine is there."""
LOAD_SECONDS = 900.0
MESSAGE_LENGTH = 300
"""Characters of an engine's error that are passed on."""


@dataclass(frozen=True)
class Weights:
    """A version as remote engines know it: by the name of its directory, which holds its digest."""

    number: int
    directory: Path

    @property
    def name(self) -> str:
        """Never the same for two contents: an engine may keep what it computed under a name (vLLM #42125)."""
        return self.directory.name

    @property
    def is_adapter(self) -> bool:
        """A low-rank difference from the weights that the engine was started with."""
        return (self.directory / "adapter_config.json").exists()

    @cached_property
    def template(self) -> Template:
        """Its tokenizer and how it is spoken to."""
        return Template(self.directory)


@dataclass(frozen=True, slots=True)
class Ask:
    """A reply that is wanted."""

    weights: Weights
    prompt: Sequence[int]
    sampling: Sampling
    room: int
    """Tokens that it may yet have."""
    turns: Sequence[Turn] = ()
    """The conversation, for engines that cannot be given tokens; empty where nobody knows it any more."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Some more of a reply, as an engine sent it."""

    tokens: Sequence[int] = ()
    logprobs: Sequence[float] = ()
    """Under which they were drawn; none where the engine cannot tell those."""
    finish_reason: FinishReason | None = None
    served: str | None = None
    """The weights it says they come from; None where this engine does not say so with every reply."""
    text: str | None = None
    """From engines that give no tokens; the others' text is made of those."""


class Dialect(ABC):
    """One replica of a remote engine, asked over HTTP."""

    gives_tokens: ClassVar[bool] = True
    slots: ClassVar[int] = 256
    """Replies that one replica writes at once; more than those wait in it."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self.url = url
        self.key = key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        timeout = httpx.Timeout(ASK_SECONDS, connect=CONNECT_SECONDS)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
        self.http = httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout, limits=limits)

    @abstractmethod
    async def look(self) -> Collection[str]:
        """The names of the weights that it serves now.

        Raises:
            EngineError: it is not there, or not what it should be.
        """

    @abstractmethod
    def can_beside(self, weights: Weights) -> bool:
        """Whether these can be loaded while others stay."""

    def objection(self, weights: Weights) -> str | None:
        """Why it can never serve these, if it cannot; asked before anybody has to wait for it."""
        return None

    @abstractmethod
    async def load(self, weights: Weights) -> None:
        """Serve these weights; where `can_beside` says no, instead of the ones before, with nobody waiting.

        Raises:
            LoadFailed: with the reason.
            EngineLost: it went meanwhile.
        """

    async def unload(self, weights: Weights) -> None:  # noqa: B027  # most have nothing to do
        """Let go of weights that were loaded beside others."""

    @abstractmethod
    def stream(self, ask: Ask) -> AsyncGenerator[Drawn, None]:
        """Draw a reply; leaving early stops it.

        Raises (from the iteration):
            EngineError: of the kind that says what to do.
        """

    async def tokens_of(self, weights: Weights, text: str) -> list[int] | None:
        """Token ids of a text without special tokens, as this engine sees them; None if it cannot be asked."""
        return None

    def is_exact(self, sampling: Sampling) -> bool:
        """Whether log-probs of replies drawn like this are those that they were drawn under."""
        return True

    @property
    def note(self) -> str | None:
        """What an operator should know of this engine."""
        return None

    async def close(self) -> None:
        """Let go of the connections."""
        await self.http.aclose()

    # Shared words --------------------------------------------------------------------------------------------------

    async def get(self, path: str) -> Any:
        """What a GET answers, read as JSON; None if the engine does not know the address."""
        return await self._ask("GET", path, None, ASK_SECONDS)

    async def post(self, path: str, body: Any = None, seconds: float = ASK_SECONDS) -> Any:
        """What a POST answers, read as JSON if it is; None if the engine does not know the address."""
        return await self._ask("POST", path, body, seconds)

    async def _ask(self, method: str, path: str, body: Any, seconds: float) -> Any:
        try:
            answer = await self.http.request(method, path, json=body, timeout=httpx.Timeout(seconds, connect=5))
        except httpx.HTTPError as error:
            raise EngineLost(f"{self.url}{path}: {error or type(error).__name__}") from error
        if answer.status_code in (404, 405):
            return None
        if answer.status_code >= 400:
            refuse(self.url, answer.status_code, answer.text)
        try:
            return answer.json()
        except ValueError:
            return answer.text


def refuse(url: str, status: int, body: str) -> NoReturn:
    """An HTTP error as an error of the family.

    Raises:
        EngineError: always.
    """
    said = f"{url} answers {status}: {' '.join(body.split())[:MESSAGE_LENGTH]}"
    if status in (429, 503):
        raise EngineBusy(said)
    if status in (401, 403):
        raise EngineRefused("unauthorised", f"{said}; give the engine's key in engine_key_file")
    if status == 404:
        raise EngineRefused("version", said)
    if status < 500:
        raise EngineRefused("bad_request", said)
    raise EngineLost(said)


def load_failed(error: EngineError) -> LoadFailed:
    """An engine's refusal to load, as what the swapper understands."""
    return error if isinstance(error, LoadFailed) else LoadFailed(str(error))
