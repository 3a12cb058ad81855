"""text-generation-inference, spoken to with `huggingface_hub`: a replica serves what it was started with, to its end.

A version goes live by replicas of its own: they are started (by `launch.py`, or by whoever runs the machines), join
when they say at `/info` that they serve it, and those of the version before are drained. TGI takes text and not
tokens, so a prompt must be the same tokens on both sides: that is asked at `/tokenize` when a replica joins, and of
each prompt by its length, which TGI tells.
"""

from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from pathlib import PurePath
from typing import Any

import httpx2 as httpx
from huggingface_hub import AsyncInferenceClient, set_async_client_factory
from huggingface_hub.errors import (
    HfHubHTTPError,
    InferenceTimeoutError,
    OverloadedError,
    TextGenerationError,
    ValidationError,
)
from typing_extensions import override

from backtalk.engine.errors import EngineBusy, EngineLost, EngineRefused
from backtalk.engine.remote.dialect import Ask, Dialect, Drawn, Weights, refuse
from backtalk.engine.sampling import FinishReason

FINISH: dict[str, FinishReason] = {"eos_token": "stop", "stop_sequence": "stop", "length": "length"}
LARGEST_SEED = 2**64 - 1
NO_KEY = "-"
"""Without any, the client would send this machine's key for the Hugging Face hub."""

_trusted = httpx.create_ssl_context()


def _client() -> httpx.AsyncClient:
    """What the hub's clients talk over: reading certificates anew for each reply would take longer than the reply."""
    return httpx.AsyncClient(verify=_trusted, timeout=None, follow_redirects=True)


set_async_client_factory(_client)


class Tgi(Dialect):
    """One TGI server."""

    @override
    async def look(self) -> Collection[str]:
        info = await self.get("/info")
        if not isinstance(info, dict) or "model_id" not in info:
            raise EngineRefused("bad_request", f"{self.url} tells nothing at /info; is it text-generation-inference?")
        return {PurePath(str(info["model_id"])).name}

    @override
    def can_beside(self, weights: Weights) -> bool:
        return False

    @override
    def objection(self, weights: Weights) -> str | None:
        return f"{self.url} serves what it was started with; TGI needs a replica started with {weights.name}"

    @override
    async def load(self, weights: Weights) -> None:
        """It is there already: `look` has found it."""

    @override
    async def stream(self, ask: Ask) -> AsyncGenerator[Drawn, None]:
        _demand_offered(ask)
        text = _prompt(ask)
        (served,) = await self.look()  # a reply does not say it, and a replica may have been replaced since
        if served != ask.weights.name:
            raise EngineRefused("wrong_version", f"{self.url} serves {served}; expected {ask.weights.name}")
        # A client for each reply: closing it is the only way to have a stream of its closed, which stops the reply.
        async with AsyncInferenceClient(base_url=self.url, token=self.key or NO_KEY, timeout=None) as client:
            try:
                stream = await client.text_generation(text, details=True, stream=True, **_wish(ask))
                async with aclosing(stream) as events:
                    async for event in events:
                        details = event.details
                        if details is not None and details.input_length != len(ask.prompt):
                            raise EngineRefused(
                                "wrong_version",
                                f"{self.url} has read {details.input_length} tokens of {len(ask.prompt)}: "
                                "its tokenizer is another one",
                            )
                        reason = FINISH[details.finish_reason] if details is not None else None
                        yield Drawn([event.token.id], [event.token.logprob], reason, ask.weights.name)
            except OverloadedError as error:
                raise EngineBusy(f"{self.url}: {error}") from error
            except ValidationError as error:
                raise EngineRefused("bad_request", f"{self.url}: {error}") from error
            except HfHubHTTPError as error:
                refuse(self.url, error.response.status_code, str(error))
            except (TextGenerationError, InferenceTimeoutError, httpx.HTTPError) as error:
                raise EngineLost(f"{self.url} broke a reply off: {error or type(error).__name__}") from error

    @override
    async def tokens_of(self, weights: Weights, text: str) -> list[int] | None:
        answer = await self.post("/tokenize", {"inputs": text, "parameters": {"max_new_tokens": 1}})
        if not isinstance(answer, list):
            return None
        ids = [int(token["id"]) for token in answer]
        start = _start(weights)
        return ids[1:] if ids[:1] == [start] else ids


def _start(weights: Weights) -> int | None:
    """The token that this tokenizer itself puts before a text, if it does."""
    ids = weights.template.tokenizer.encode("a", add_special_tokens=True).ids
    plain = weights.template.tokenizer.encode("a", add_special_tokens=False).ids
    return ids[0] if len(ids) > len(plain) else None


def _prompt(ask: Ask) -> str:
    """The text that TGI will read as these very tokens.

    Raises:
        EngineRefused: there is none, as where somebody has typed the spelling of a special token.
    """
    tokenizer = ask.weights.template.tokenizer
    start = _start(ask.weights)
    prompt = list(ask.prompt)
    shown = prompt[1:] if start is not None and prompt[:1] == [start] else prompt
    text = str(tokenizer.decode(shown, skip_special_tokens=False))
    if list(tokenizer.encode(text, add_special_tokens=True).ids) != prompt:
        raise EngineRefused(
            "bad_request",
            "this conversation cannot be given to TGI, which takes text: read again, it is other tokens "
            "(it may hold the spelling of a special token)",
        )
    return text


def _demand_offered(ask: Ask) -> None:
    if ask.sampling.min_p:
        raise EngineRefused("bad_request", "min_p is not offered by TGI; leave it out")
    if ask.sampling.logit_bias:
        raise EngineRefused("bad_request", "logit_bias is not offered by TGI; leave it out")


def _wish(ask: Ask) -> dict[str, Any]:
    """Only what says something: TGI refuses values that turn a filter off."""
    sampling = ask.sampling
    wish: dict[str, Any] = {
        "max_new_tokens": ask.room,
        "do_sample": sampling.temperature > 0,
        "return_full_text": False,
    }
    if sampling.temperature > 0:
        wish["temperature"] = sampling.temperature
        wish["top_p"] = sampling.top_p if sampling.top_p < 1 else None
        wish["top_k"] = sampling.top_k or None
    if sampling.repetition_penalty != 1:
        wish["repetition_penalty"] = sampling.repetition_penalty
    if sampling.seed is not None:
        wish["seed"] = sampling.seed & LARGEST_SEED
    return wish
