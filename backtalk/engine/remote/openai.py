"""Anything that speaks OpenAI's chat protocol: text in, text out, by a model that is not ours to change.

It tells no tokens and no log-probs that a learner could trust: the tokens kept of a reply are those of its text, and
nothing enters a policy gradient. The reward model, best-of-n and exports work all the same.
"""

from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from typing import Any, ClassVar

from typing_extensions import override

from backtalk.engine.errors import EngineLost, EngineRefused
from backtalk.engine.remote import sse
from backtalk.engine.remote.dialect import Ask, Dialect, Drawn, Weights
from backtalk.engine.sampling import FinishReason, Sampling

FINISH: dict[str, FinishReason] = {"stop": "stop", "length": "length", "content_filter": "stop"}
MOST_STOPS = 4


class OpenAI(Dialect):
    """One server, or one deployment behind an address."""

    gives_tokens: ClassVar[bool] = False

    def __init__(self, url: str, key: str | None = None) -> None:
        super().__init__(url, key)
        self._model: str | None = None
        self._name: str | None = None  # the version it stands for: the first that it was asked for

    @override
    async def look(self) -> Collection[str]:
        listed = await self.get("/v1/models")
        if not isinstance(listed, dict) or not listed.get("data"):
            raise EngineRefused("bad_request", f"{self.url}/v1/models lists no models; is it an OpenAI-like server?")
        known = [str(model["id"]) for model in listed["data"]]
        if self._model not in known:
            self._model = known[0]
        return {self._name} if self._name else set()

    @override
    def can_beside(self, weights: Weights) -> bool:
        return False

    @override
    def objection(self, weights: Weights) -> str | None:
        if weights.number == 0:
            return None
        return (
            f"{self.url} serves a model of its own and takes no weights; to serve what was learned use the "
            "local engine, vllm+, sglang+ or tgi+"
        )

    @override
    async def load(self, weights: Weights) -> None:
        self._name = weights.name

    @override
    async def stream(self, ask: Ask) -> AsyncGenerator[Drawn, None]:
        if not ask.turns:
            raise EngineRefused("bad_request", "an OpenAI-like engine cannot go on with a reply; ask again")
        said, length = "", 0
        async with aclosing(sse.events(self.http, "/v1/chat/completions", _wish(ask, self._model))) as events:
            try:
                async for event in events:
                    for choice in event.get("choices", ()):
                        text = (choice.get("delta") or {}).get("content") or ""
                        said += text
                        length += len(text)
                        reason = choice.get("finish_reason")
                        if reason is not None and reason not in FINISH:
                            raise EngineRefused("bad_request", f"{self.url} ended a reply with {reason!r}")
                        if reason is None:
                            yield Drawn(text=text)
                            continue
                        tokens = ask.weights.template.reply(said)
                        ends = ask.weights.template.ends
                        kept = tokens if FINISH[reason] == "stop" or tokens[-1:] != list(ends[:1]) else tokens[:-1]
                        yield Drawn(kept, (), FINISH[reason], text=text)
                        return
            except EngineLost as error:
                if length:  # what was told cannot be given back to it as a beginning
                    raise EngineRefused("cut_off", f"{error}; this engine cannot go on with a reply") from error
                raise

    @override
    def is_exact(self, sampling: Sampling) -> bool:
        return False

    @property
    @override
    def note(self) -> str | None:
        return "no log-probs and no weights: PPO is off; the reward model, best-of-n and exports work"


def _wish(ask: Ask, model: str | None) -> dict[str, Any]:
    """OpenAI's own parameters; what they cannot say is not said."""
    sampling = ask.sampling
    wish: dict[str, Any] = {
        "model": model,
        "messages": [{"role": turn.role, "content": turn.content} for turn in ask.turns],
        "max_tokens": ask.room,
        "temperature": min(sampling.temperature, 2.0),
        "top_p": sampling.top_p,
        "stream": True,
    }
    if sampling.stop:
        wish["stop"] = list(sampling.stop[:MOST_STOPS])
    if sampling.seed is not None:
        wish["seed"] = sampling.seed
    return wish
