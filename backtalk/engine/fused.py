"""Functions that do in one go what torch does in several: compiled C on a CPU, Triton on a GPU, or none."""

import logging
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from backtalk.engine import native

log = logging.getLogger(__name__)


class Fused(Protocol):
    """On tensors of one dtype and device. What each does is said in `native.Native` and `kernels.Kernels`."""

    how: str
    """In words for an operator."""

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        turn: tuple[Tensor, Tensor] | None,
        keys: Tensor,
        values: Tensor,
        tables: Tensor,
        lengths: Tensor,
        longest: int,
        window: int | None,
        scale: float,
        cap: float | None,
    ) -> Tensor: ...

    def norm(self, x: Tensor, weight: Tensor, epsilon: float) -> Tensor: ...

    def add_norm(self, x: Tensor, y: Tensor, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor]: ...

    def swiglu(self, gate_up: Tensor) -> Tensor: ...


@runtime_checkable
class Extending(Fused, Protocol):
    """Those that attend for whole prompt chunks, and multiply few tokens, too. Single tokens are done all at once: none
    sees what another one of the same call has written."""

    def extend(
        self,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        tables: Tensor,
        pieces: Tensor,
        longest: int,
        window: int | None,
        scale: float,
        cap: float | None,
    ) -> Tensor: ...

    def project(self, x: Tensor, weight: Tensor, bias: Tensor | None, is_gated: bool = False) -> Tensor | None: ...


def find(dtype: torch.dtype, device: torch.device) -> Fused | None:
    """Those for this dtype and device, or None where torch is the better or the only way."""
    if device.type != "cuda":
        return native.find(dtype, device)
    try:
        from backtalk.engine.kernels import Kernels
    except ImportError:
        log.warning("triton is not installed; torch's attention serves, and steps are not captured")
        return None
    return Kernels(dtype)
