"""Which numbers to compute with: asked of the machine itself, since what it claims to have and what pays differ."""

import math
import time
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from backtalk.engine.linear import PACK_ABOVE, Linear

SMALL = 100_000_000
"""Parameters below which a CPU serves in float32: replies repeat to the token, and bfloat16 would gain little."""
GAIN = 1.2
"""bfloat16 rounds, so it must be faster by this much."""
SECONDS = 0.02
"""Each measurement takes about so long; four are made, once a process, and only for large models."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and why, in words for an operator."""

    dtype: torch.dtype
    why: str


def choose(device: torch.device, parameters: int) -> Choice:
    """The dtype for a model of so many parameters."""
    if device.type == "cuda":
        return Choice(torch.bfloat16, "what GPUs multiply fastest")
    if parameters < SMALL:
        return Choice(torch.float32, "a small model: replies repeat to the token, and bfloat16 would gain little")
    gain = gain_of_bfloat16()
    if gain >= GAIN:
        return Choice(torch.bfloat16, f"measured at start: {gain:.1f} times as fast as float32 here")
    return Choice(torch.float32, f"measured at start: bfloat16 has {gain:.2f} of float32's speed here")


@lru_cache(maxsize=1)
def gain_of_bfloat16() -> float:
    """How many times as fast as float32 this CPU multiplies in bfloat16, for one token and for thirty-two (mean)."""
    gains = [_seconds(torch.float32, tokens) / _seconds(torch.bfloat16, tokens) for tokens in (1, 32)]
    return math.sqrt(gains[0] * gains[1])


def _seconds(dtype: torch.dtype, tokens: int) -> float:
    """Of the fastest of several multiplications by weights too many for the processor's own caches."""
    width = 1024
    assert width * width > PACK_ABOVE
    layers = [Linear(torch.randn(width, width).to(dtype), None) for _ in range(8)]
    x, best, end = torch.randn(tokens, width).to(dtype), float("inf"), time.perf_counter() + SECONDS
    while best == float("inf") or time.perf_counter() < end:
        began = time.perf_counter()
        _through(layers, x)
        best = min(best, time.perf_counter() - began)
    return best


@torch.inference_mode()
def _through(layers: list[Linear], x: Tensor) -> None:
    for layer in layers:
        layer(x)
