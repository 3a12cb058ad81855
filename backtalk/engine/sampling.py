"""How one reply is drawn: the value that travels from the chat socket to the engine and into the ledger."""

import math
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self

from backtalk.engine.errors import InvalidSampling

Priority = Literal["chat", "rollout"]
"""Chats go before rollouts."""

FinishReason = Literal["stop", "length", "stopped", "error"]
"""An end token or stop string; `max_tokens` or the context's end; cancelled; the model or device failed."""

MAX_STOP_STRINGS = 16
MAX_STOP_LENGTH = 256
MAX_BIASES = 1024


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one reply is drawn. Made at the door, read by the engine, stored with the reply.

    They apply in this order, each to what the one before it left (as in `transformers`): logit bias, repetition
    penalty, temperature, top-k, top-p, min-p. Off are `top_p=1`, `top_k=0`, `min_p=0`,
    `repetition_penalty=1`. Temperature 0 is greedy. The token at `position` i of a reply depends on the logits and
    on hash(seed, i) alone, so an interrupted reply can be continued exactly (see `draw.uniforms`).

    Raises:
        InvalidSampling: naming the field, what was found and what is allowed.
    """

    max_tokens: int = 256
    repetition_penalty: float = 1.0
    temperature: float = 0.6
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logit_bias: tuple[tuple[int, float], ...] = ()
    """(token, what is added to its logit)."""

    def __post_init__(self) -> None:
        _demand_integer("max_tokens", self.max_tokens, 1, 1_000_000)
        _demand_integer("top_k", self.top_k, 0, 10_000_000)
        _demand_number("temperature", self.temperature, 0.0, 10.0)
        if 0.0 < self.temperature < 0.01:
            raise InvalidSampling(f"temperature is {self.temperature}; use 0 (greedy) or at least 0.01")
        _demand_number("top_p", self.top_p, 0.0, 1.0)
        if self.top_p == 0.0:
            raise InvalidSampling("top_p is 0; use more than 0 and at most 1 (1 turns it off)")
        _demand_number("min_p", self.min_p, 0.0, 1.0)
        _demand_number("repetition_penalty", self.repetition_penalty, 0.01, 100.0)
        if self.seed is not None:
            _demand_integer("seed", self.seed, -(2**63), 2**63 - 1)
        self._demand_stop()
        self._demand_bias()

    def _demand_stop(self) -> None:
        if not isinstance(self.stop, tuple) or not all(isinstance(word, str) for word in self.stop):
            raise InvalidSampling(f"stop is {self.stop!r}; expected a tuple of strings")
        if len(self.stop) > MAX_STOP_STRINGS:
            raise InvalidSampling(f"stop has {len(self.stop)} strings; at most {MAX_STOP_STRINGS} are allowed")
        for word in self.stop:
            if not 0 < len(word) <= MAX_STOP_LENGTH:
                raise InvalidSampling(
                    f"a stop string has {len(word)} characters; expected between 1 and {MAX_STOP_LENGTH}"
                )

    def _demand_bias(self) -> None:
        if not isinstance(self.logit_bias, tuple) or not all(
            isinstance(pair, tuple) and len(pair) == 2 for pair in self.logit_bias
        ):
            raise InvalidSampling(f"logit_bias is {self.logit_bias!r}; expected pairs of a token and a number")
        if len(self.logit_bias) > MAX_BIASES:
            raise InvalidSampling(f"logit_bias names {len(self.logit_bias)} tokens; at most {MAX_BIASES} are allowed")
        for token, bias in self.logit_bias:
            _demand_integer("a token of logit_bias", token, 0, 2**31 - 1)
            _demand_number(f"logit_bias of token {token}", bias, -100.0, 100.0)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Read what JSON or msgpack carried; an unknown name is an error, a missing one takes its default."""
        unknown = set(given) - {field.name for field in fields(cls)}
        if unknown:
            known = ", ".join(field.name for field in fields(cls))
            raise InvalidSampling(f"unknown sampling field {sorted(unknown)[0]!r}; known are {known}")
        values = dict(given)
        if isinstance(values.get("stop"), list):
            values["stop"] = tuple(values["stop"])
        if isinstance(values.get("logit_bias"), list):
            pairs = values["logit_bias"]
            values["logit_bias"] = tuple(tuple(pair) if isinstance(pair, list) else pair for pair in pairs)
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """The same as a plain dictionary for JSON, msgpack and the ledger."""
        return {**asdict(self), "stop": list(self.stop), "logit_bias": [list(pair) for pair in self.logit_bias]}

    def seeded(self) -> Self:
        """Itself with a seed: drawn at random if none was asked for, so that the ledger can repeat the reply."""
        return self if self.seed is not None else replace(self, seed=random.getrandbits(63))


def _demand_integer(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidSampling(f"{name} is {value!r}; expected an integer from {low} to {high}")


def _demand_number(name: str, value: object, low: float, high: float) -> None:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not fits or not low <= value <= high:  # type: ignore[operator]  # `fits` says that it is a number
        raise InvalidSampling(f"{name} is {value!r}; expected a number from {low:g} to {high:g}")
