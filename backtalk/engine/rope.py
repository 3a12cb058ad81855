"""Rotary positions: RoFormer (arXiv 2104.09864), with the scalings for longer texts that have fixed frequencies."""

import math
from typing import Any

import torch
from torch import Tensor


class Rope:
    """Tables of cos and sin, [place, head size], longer when a longer text comes."""

    def __init__(self, rope: dict[str, Any], size: int, dtype: torch.dtype, device: torch.device) -> None:
        """`rope` as in `Shape`, `size` of a head."""
        self._frequencies, self._scale = frequencies(rope, size)
        self._dtype, self._device = dtype, device
        self._cos = self._sin = torch.empty(0)

    def at(self, positions: Tensor, longest: int) -> tuple[Tensor, Tensor]:
        """cos and signed sin for each position, [T, 1, head size]; `longest` is above every position."""
        if longest > len(self._cos):
            self._grow(max(longest, 2 * len(self._cos), 256))
        return self._cos[positions, None], self._sin[positions, None]

    def _grow(self, length: int) -> None:
        angles = torch.arange(length).float()[:, None] * self._frequencies  # [place, size / 2]
        cos, sin = angles.cos() * self._scale, angles.sin() * self._scale
        self._cos = torch.cat((cos, cos), -1).to(self._device, self._dtype)
        self._sin = torch.cat((-sin, sin), -1).to(self._device, self._dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (i, i + size / 2) by its angle. `x` [T, heads, size]; the sign of the first half is in `sin`."""
    half = x.shape[-1] // 2
    swapped = torch.cat((x[..., half:], x[..., :half]), -1)
    return torch.addcmul(x * cos, swapped, sin)


def frequencies(rope: dict[str, Any], size: int) -> tuple[Tensor, float]:
    """Each pair's turn per place, [size / 2], and the factor on cos and sin."""
    steps = torch.arange(0, size, 2).float() / size
    plain: Tensor = 1.0 / (rope["rope_theta"] ** steps)
    match rope["rope_type"]:
        case "linear":  # position interpolation, arXiv 2306.15595
            return plain / float(rope["factor"]), 1.0
        case "llama3":
            return _llama3(plain, rope), 1.0
        case "yarn":
            return _yarn(plain, rope, size), _yarn_scale(rope)
    return plain, 1.0


def _llama3(plain: Tensor, rope: dict[str, Any]) -> Tensor:
    """Slow turns are stretched, fast ones kept, those between mixed (Llama 3.1, arXiv 2407.21783 §3.4.2)."""
    turns = rope["original_max_position_embeddings"] * plain / (2 * math.pi)  # in the original context
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    kept: Tensor = ((turns - low) / (high - low)).clamp(0, 1)
    return plain * kept + plain / float(rope["factor"]) * (1 - kept)


def _yarn(plain: Tensor, rope: dict[str, Any], size: int) -> Tensor:
    """The same by a ramp over the pairs' numbers (YaRN, arXiv 2309.00071 §3.2)."""

    def pair_that_turns(times: float) -> float:
        full = rope["original_max_position_embeddings"] / (times * 2 * math.pi)
        return size * math.log(full) / (2 * math.log(rope["rope_theta"]))

    low, high = pair_that_turns(rope.get("beta_fast") or 32), pair_that_turns(rope.get("beta_slow") or 1)
    if rope.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, size - 1)
    width = high - low if high != low else 0.001
    stretched = ((torch.arange(size // 2).float() - low) / width).clamp(0, 1)
    return plain / float(rope["factor"]) * stretched + plain * (1 - stretched)


def _yarn_scale(rope: dict[str, Any]) -> float:
    """YaRN §3.4: attention grows a little sharper with the stretch. `mscale` is DeepSeek's variant of it."""

    def scale(weight: float) -> float:
        return 1.0 if rope["factor"] <= 1 else 0.1 * weight * math.log(rope["factor"]) + 1.0

    if rope.get("attention_factor") is not None:
        return float(rope["attention_factor"])
    if rope.get("mscale") and rope.get("mscale_all_dim"):
        return scale(rope["mscale"]) / scale(rope["mscale_all_dim"])
    return scale(1.0)
