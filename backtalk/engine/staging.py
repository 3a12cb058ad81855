"""What is on its way to a GPU, and keeps nobody waiting.

From ordinary memory the driver copies once all is done that was launched before, so what a step needs goes by
page-locked memory. And while it copies a large tensor, no other thread can launch anything: weights go in small pieces.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

PIECE = 8 * 1024 * 1024
"""Bytes: about a fifth of a millisecond on the bus."""


def send(values: Sequence[Any], device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """`torch.tensor(values, …)`, ready for what is launched on the current stream."""
    here = torch.tensor(values, dtype=dtype)
    return here.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else here.to(device)


class Staging:
    """Two pieces of page-locked memory, one being filled while the other is on its way. For one thread."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pieces = [torch.empty(PIECE, dtype=torch.uint8, pin_memory=True) for _ in range(2)]
        self._left = [torch.cuda.Event() for _ in range(2)]

    def bring(self, tensor: Tensor) -> Tensor:
        """The same tensor on the device, ready for what is launched on the current stream."""
        if tensor.device == self._device or tensor.numel() == 0:
            return tensor.to(self._device)
        source = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
        target = torch.empty(tensor.shape, dtype=tensor.dtype, device=self._device)
        bytes_ = target.reshape(-1).view(torch.uint8)
        for number, start in enumerate(range(0, len(source), PIECE)):
            piece, left = self._pieces[number % 2], self._left[number % 2]
            part = source[start : start + PIECE]
            left.synchronize()
            piece[: len(part)].copy_(part)
            bytes_[start : start + PIECE].copy_(piece[: len(part)], non_blocking=True)
            left.record()
        return target
