"""vLLM: token ids in and out over `/v1/completions`; adapters under names of their own, full weights in place.

Start it with `--logprobs-mode processed_logprobs` (otherwise log-probs are of the raw distribution, and only kept for
replies drawn from that), `--enable-lora` and VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 for adapters, VLLM_SERVER_DEV_MODE=1
for full weights. Those two open endpoints that change what is served: no one but Backtalk may reach them.
"""

from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from pathlib import PurePath
from typing import Any, ClassVar

from typing_extensions import override

from backtalk.engine.errors import EngineError, EngineLost, EngineRefused, LoadFailed
from backtalk.engine.remote import sse
from backtalk.engine.remote.dialect import LOAD_SECONDS, Ask, Dialect, Drawn, Weights, load_failed
from backtalk.engine.sampling import FinishReason, Sampling

UNNAMED = "default"
"""vLLM's weight version as long as nobody has named one."""
FINISH: dict[str, FinishReason] = {"stop": "stop", "length": "length"}
CERTAIN = 1e-3
"""A log-prob so near to 0 is that of a token that was the only one left."""


class Vllm(Dialect):
    """One vLLM server."""

    slots: ClassVar[int] = 256

    def __init__(self, url: str, key: str | None = None) -> None:
        super().__init__(url, key)
        self._base: str | None = None  # how requests name what it was started with
        self._base_weights: str | None = None  # which version that is now
        self._is_processed: bool | None = None

    @override
    async def look(self) -> Collection[str]:
        listed = await self.get("/v1/models")
        if not isinstance(listed, dict) or not listed.get("data"):
            raise EngineRefused("bad_request", f"{self.url} lists no models; is it vLLM?")
        bases = [model for model in listed["data"] if not model.get("parent")]
        adapters = {str(model["id"]) for model in listed["data"] if model.get("parent")}
        self._base = str(bases[0]["id"])
        named = await self.get("/weight_info")
        version = named.get("weight_version") if isinstance(named, dict) else None
        root = PurePath(str(bases[0].get("root") or self._base)).name
        self._base_weights = root if version in (None, "", UNNAMED) else str(version)
        if self._is_processed is None:
            self._is_processed = await self._probe(self._base)
        return {self._base_weights, *adapters}

    async def _probe(self, base: str) -> bool:
        """Are log-probs those of the draw? Where one token is all that is left, its log-prob must be 0."""
        wish = {"model": base, "prompt": [3, 4, 5], "max_tokens": 4, "temperature": 1, "top_k": 1}
        answer = await self.post("/v1/completions", {**wish, "logprobs": 0, "ignore_eos": True}, 60)
        logprobs = ((answer or {}).get("choices") or [{}])[0].get("logprobs") or {}
        found = logprobs.get("token_logprobs") or []
        return bool(found) and all(abs(one) < CERTAIN for one in found)

    @override
    def can_beside(self, weights: Weights) -> bool:
        return weights.is_adapter

    @override
    async def load(self, weights: Weights) -> None:
        if weights.name in await self.look():
            return
        if weights.is_adapter:
            await self._load_adapter(weights)
        else:
            await self._update(weights)
        if weights.name not in await self.look():
            raise LoadFailed(f"{self.url} says that it has loaded {weights.name}, but does not list it")

    async def _load_adapter(self, weights: Weights) -> None:
        body = {"lora_name": weights.name, "lora_path": str(weights.directory)}
        try:
            answer = await self.post("/v1/load_lora_adapter", body, LOAD_SECONDS)
        except EngineRefused as error:
            raise load_failed(error) from error
        if answer is None:
            raise LoadFailed(
                f"{self.url} loads no adapters; start it with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=1"
            )

    async def _update(self, weights: Weights) -> None:
        """Nobody waits for it any more: pause, read the new weights over the old, say which they are, go on."""
        if await self.post("/pause?mode=wait", seconds=LOAD_SECONDS) is None:
            raise LoadFailed(f"{self.url} takes no new weights; start it with VLLM_SERVER_DEV_MODE=1")
        self._base_weights = None
        try:
            call = {"method": "reload_weights", "kwargs": {"weights_path": str(weights.directory)}}
            if await self.post("/collective_rpc", call, LOAD_SECONDS) is None:
                raise LoadFailed(f"{self.url} has no /collective_rpc; start it with VLLM_SERVER_DEV_MODE=1")
            await self.post("/reset_prefix_cache")  # what was computed with the weights before
            if await self.post("/update_weight_version", {"new_version": weights.name}) is None:
                raise LoadFailed(f"{self.url} cannot be told the version of its weights; vLLM 0.32 or later can")
        except EngineRefused as error:
            raise load_failed(error) from error
        finally:
            await self.post("/resume")

    @override
    async def unload(self, weights: Weights) -> None:
        if weights.is_adapter:
            await self.post("/v1/unload_lora_adapter", {"lora_name": weights.name})

    @override
    async def stream(self, ask: Ask) -> AsyncGenerator[Drawn, None]:
        name = ask.weights.name
        if not ask.weights.is_adapter:
            if self._base_weights != name or self._base is None:
                raise EngineRefused("version", f"{self.url} serves {self._base_weights}, not {name}")
            name = self._base
        is_first = True
        async with aclosing(sse.events(self.http, "/v1/completions", _wish(ask, name))) as events:
            async for event in events:
                for choice in event.get("choices", ()):
                    if is_first:
                        _demand_prompt(ask, choice)
                        is_first = False
                    said = str(event.get("model"))
                    yield _drawn(choice, ask.weights.name if said == name else said)

    @override
    async def tokens_of(self, weights: Weights, text: str) -> list[int] | None:
        body = {"model": self._base, "prompt": text, "add_special_tokens": False}
        answer = await self.post("/tokenize", body)
        return list(answer["tokens"]) if isinstance(answer, dict) and "tokens" in answer else None

    @override
    def is_exact(self, sampling: Sampling) -> bool:
        return bool(self._is_processed) or is_raw(sampling)

    @property
    @override
    def note(self) -> str | None:
        if self._is_processed is False:
            return "log-probs are raw; start vLLM with --logprobs-mode processed_logprobs"
        return None


def is_raw(sampling: Sampling) -> bool:
    """Whether a reply is drawn from what the model says as it is (or greedily, where that is what is kept)."""
    is_plain = sampling.repetition_penalty == 1 and not sampling.logit_bias
    return is_plain and (sampling.temperature == 0 or (sampling.temperature == 1 and is_unfiltered(sampling)))


def is_unfiltered(sampling: Sampling) -> bool:
    """Whether every token may be drawn."""
    return sampling.top_p == 1 and sampling.top_k == 0 and sampling.min_p == 0


def _wish(ask: Ask, model: str) -> dict[str, Any]:
    sampling = ask.sampling
    return {
        "model": model,
        "prompt": list(ask.prompt),
        "max_tokens": ask.room,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        "seed": sampling.seed,
        "logit_bias": {str(token): bias for token, bias in sampling.logit_bias} or None,
        "stream": True,
        "logprobs": 0,
        "return_token_ids": True,
    }


def _demand_prompt(ask: Ask, choice: dict[str, Any]) -> None:
    seen = choice.get("prompt_token_ids")
    if seen is not None and list(seen) != list(ask.prompt):
        raise EngineRefused("wrong_version", "vLLM has read another prompt than it was given")


def _drawn(choice: dict[str, Any], served: str) -> Drawn:
    tokens = choice.get("token_ids")
    if tokens is None:
        raise EngineError("vLLM sends no token ids; 0.10.2 or later does")
    logprobs = (choice.get("logprobs") or {}).get("token_logprobs") or []
    reason = choice.get("finish_reason")
    if reason is not None and reason not in FINISH:
        raise EngineLost(f"vLLM broke a reply off: {reason}")
    return Drawn(tokens, logprobs, FINISH[reason] if reason else None, served)
