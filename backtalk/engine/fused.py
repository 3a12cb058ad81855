"""Functions that do in one go what torch does in several: compiled C on a CPU, Triton on a GPU, or none."""

import logging
from typing import TYPE_CHECKING, TypeAlias

import torch

from backtalk.engine import native
from backtalk.engine.native import Native

if TYPE_CHECKING:  # it needs Triton, which is where a GPU is
    from backtalk.engine.kernels import Kernels

log = logging.getLogger(__name__)

Fused: TypeAlias = "Native | Kernels | None"
"""Both norm, gate and attend for single tokens; `Kernels` attend for prompt chunks and multiply few tokens too. None:
torch does it all."""


def kernels_of(fused: Fused) -> "Kernels | None":
    """The GPU's, if it is these."""
    return None if isinstance(fused, Native) else fused


def find(dtype: torch.dtype, device: torch.device) -> Fused:
    """Those for this dtype and device; None where torch is the better or the only way."""
    if device.type != "cuda":
        return native.find(dtype, device)
    try:
        from backtalk.engine.kernels import Kernels
    except ImportError:
        log.warning("triton is not installed; torch's attention serves, and steps are not captured")
        return None
    return Kernels(dtype)
