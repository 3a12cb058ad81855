"""One matrix multiplication with fixed weights."""

import torch
import torch.nn.functional as F
from torch import Tensor

from backtalk.engine.fused import Fused, kernels_of

PACK_ABOVE = 300_000
"""Weights with fewer elements stay plain: packing gains nothing there and costs some 10 µs a call."""


class Linear:
    """x -> x Wᵀ + b with the weights laid out for this machine: packed by oneDNN where that works, else plain."""

    __slots__ = ("_bias", "_kernels", "_packed", "_weight")

    def __init__(self, weight: Tensor, bias: Tensor | None, fused: Fused = None) -> None:
        """weight: [out, in], bias: [out]."""
        self._bias = bias
        self._kernels = kernels_of(fused)
        self._packed = _pack(weight)
        self._weight = weight if self._packed is None else None

    @property
    def is_packed(self) -> bool:
        """Did packing work?"""
        return self._packed is not None

    def __call__(self, x: Tensor) -> Tensor:
        """[T, in] -> [T, out]."""
        if self._packed is None:
            assert self._weight is not None
            if self._kernels is not None:
                few = self._kernels.project(x, self._weight, self._bias)
                if few is not None:
                    return few
            return F.linear(x, self._weight, self._bias)
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed, self._bias, "none", [], "")
        return y

    def gated(self, x: Tensor) -> Tensor | None:
        """silu(gate) * up of gate and up, [T, out / 2], where that is quicker in one go; else None."""
        if self._kernels is None or self._weight is None:
            return None
        return self._kernels.project(x, self._weight, self._bias, True)

    def in_parts(self, x: Tensor) -> Tensor | None:
        """[parts, T, out], whose sum is meant, where that is quicker; else None."""
        if self._kernels is None or self._weight is None or self._bias is not None:
            return None
        return self._kernels.project_in_parts(x, self._weight)


def _pack(weight: Tensor) -> Tensor | None:
    """The weight in oneDNN's own order, or None where that cannot be had. The operators are private to torch, so any
    version may lack them: they are tried once on the weight itself."""
    if weight.device.type != "cpu" or weight.numel() < PACK_ABOVE or not torch.backends.mkldnn.enabled:
        return None
    try:
        packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, None)
        probe = weight.new_zeros(1, weight.shape[1])
        torch.ops.mkldnn._linear_pointwise(probe, packed, None, "none", [], "")
    except (RuntimeError, AttributeError, NotImplementedError):
        return None
    return packed
