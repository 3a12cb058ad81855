"""Keys and values of what was said, in pages (see `pages.py`): this is where they lie."""

import math

import numpy as np
import torch
from torch import Tensor

from backtalk.engine.pages import PAGE


class Cache:
    """Keys and values [layer, kv head, place, head dimension]; page p is places PAGE p … PAGE (p + 1) - 1.

    New memory is zero, and on Linux costs nothing until it is touched. A place that is masked has a weight of 0, and
    0 × NaN would be NaN: so what is not finite must be cleared before its page is given to anyone else.
    """

    def __init__(self, layers: int, heads: int, size: int, dtype: torch.dtype, device: torch.device) -> None:
        self._shape = (layers, heads, size)
        self._dtype, self._device = dtype, device
        self.keys = self.values = self._empty(0)

    @property
    def pages(self) -> int:
        """How many there are, page 0 included."""
        return self.keys.shape[2] // PAGE

    def fits(self, other: "Cache") -> bool:
        """Could it hold what the other one holds?"""
        return (self._shape, self._dtype, self._device) == (other._shape, other._dtype, other._device)

    def reserve(self, pages: int) -> None:
        """Have pages 0 … `pages`. What it held is lost if they are more than before."""
        if pages >= self.pages:
            self.keys, self.values = self._empty(pages + 1), self._empty(pages + 1)

    def clear(self, pages: list[int]) -> None:
        """Zero these pages."""
        for store in (self.keys, self.values):
            paged(store)[:, :, pages] = 0

    def _empty(self, pages: int) -> Tensor:
        layers, heads, size = self._shape
        shape = (layers, heads, pages * PAGE, size)
        if self._device.type != "cpu" or pages == 0:
            return torch.zeros(shape, dtype=self._dtype, device=self._device)
        # torch would write every zero; numpy asks the system for memory that is zero already, and is not there before.
        plain = torch.from_numpy(np.zeros(math.prod(shape) * self._dtype.itemsize, dtype=np.uint8))
        return plain.view(self._dtype).view(shape)


def paged(store: Tensor) -> Tensor:
    """[…, kv head, places, D] as […, kv head, page, PAGE, D], a view."""
    return store.view(*store.shape[:-2], -1, PAGE, store.shape[-1])
