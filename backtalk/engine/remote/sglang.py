"""SGLang: token ids in and out over `/generate`; one version at a time, changed by `/update_weights_from_disk`.

Its log-probs know the temperature but not top-k, top-p and min-p, so they are kept only for replies drawn without.
"""

from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from pathlib import PurePath
from typing import Any

from typing_extensions import override

from backtalk.engine.errors import EngineLost, EngineRefused, LoadFailed
from backtalk.engine.remote import sse
from backtalk.engine.remote.dialect import LOAD_SECONDS, Ask, Dialect, Drawn, Weights, load_failed
from backtalk.engine.remote.vllm import is_unfiltered
from backtalk.engine.sampling import FinishReason, Sampling

UNNAMED = "default"
"""SGLang's weight version as long as nobody has named one."""
FINISH: dict[str, FinishReason] = {"stop": "stop", "length": "length"}


class Sglang(Dialect):
    """One SGLang server."""

    @override
    async def look(self) -> Collection[str]:
        info = await self.get("/get_model_info")
        if not isinstance(info, dict) or "model_path" not in info:
            raise EngineRefused("bad_request", f"{self.url} tells nothing at /get_model_info; is it SGLang?")
        version = info.get("weight_version")
        return {_name(info) if version in (None, "", UNNAMED) else str(version)}

    @override
    def can_beside(self, weights: Weights) -> bool:
        return False

    @override
    async def load(self, weights: Weights) -> None:
        info = await self.get("/get_model_info")
        if info and info.get("weight_version") == weights.name:
            return
        # Also when it was started with these: from now on each reply says which weights made it.
        body = {"model_path": str(weights.directory), "weight_version": weights.name, "flush_cache": True}
        try:
            answer = await self.post("/update_weights_from_disk", body, LOAD_SECONDS)
        except EngineRefused as error:
            raise load_failed(error) from error
        if not isinstance(answer, dict) or not answer.get("success"):
            raise LoadFailed(f"{self.url} did not take {weights.name}: {(answer or {}).get('message', 'no answer')}")
        if weights.name not in await self.look():
            raise LoadFailed(f"{self.url} says that it has loaded {weights.name}, but names other weights")

    @override
    async def stream(self, ask: Ask) -> AsyncGenerator[Drawn, None]:
        seen = 0
        async with aclosing(sse.events(self.http, "/generate", _wish(ask))) as events:
            async for event in events:
                meta = event.get("meta_info") or {}
                count, entries = int(meta.get("completion_tokens") or 0), meta.get("output_token_logprobs") or []
                # All of them each time, or with incremental streaming only the new ones.
                fresh = entries[seen:] if len(entries) == count else entries
                seen += len(fresh)
                if seen != count:
                    raise EngineLost(f"{self.url} has drawn {count} tokens and told of {seen}")
                yield Drawn(
                    [int(entry[1]) for entry in fresh],
                    [float(entry[0]) for entry in fresh],
                    _finish(meta.get("finish_reason")),
                    str(meta["weight_version"]) if "weight_version" in meta else None,
                )

    @override
    async def tokens_of(self, weights: Weights, text: str) -> list[int] | None:
        answer = await self.post("/tokenize", {"prompt": text, "add_special_tokens": False})
        return list(answer["tokens"]) if isinstance(answer, dict) and "tokens" in answer else None

    @override
    def is_exact(self, sampling: Sampling) -> bool:
        return sampling.temperature == 0 or is_unfiltered(sampling)


def _name(info: dict[str, Any]) -> str:
    return PurePath(str(info["model_path"])).name


def _wish(ask: Ask) -> dict[str, Any]:
    sampling = ask.sampling
    return {
        "input_ids": list(ask.prompt),
        "sampling_params": {
            "max_new_tokens": ask.room,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k or -1,
            "min_p": sampling.min_p,
            "repetition_penalty": sampling.repetition_penalty,
            "logit_bias": {str(token): bias for token, bias in sampling.logit_bias} or None,
        },
        "return_logprob": True,
        "stream": True,
    }


def _finish(reason: Any) -> FinishReason | None:
    if reason is None:
        return None
    kind = reason.get("type") if isinstance(reason, dict) else reason
    if kind not in FINISH:
        raise EngineLost(f"SGLang broke a reply off: {reason}")
    return FINISH[kind]
