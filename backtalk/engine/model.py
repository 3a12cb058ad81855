"""What every forward pass of ours has in common: weights laid out for this machine, and a batch to hidden states.

Shapes: T packed tokens of a step (first the decoding rows' one token each, then prompt chunks), m of them drawn from,
d width, V vocabulary.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from backtalk.engine import fused
from backtalk.engine.batch import Batch
from backtalk.engine.cache import Cache
from backtalk.engine.linear import Linear
from backtalk.engine.shape import Shape
from backtalk.engine.staging import Staging


class Model(ABC):
    """Weights of one version and the function that they are. Nothing here has state but the cache that is handed in."""

    def __init__(self, shape: Shape, state: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device) -> None:
        """Take the weights named as in `transformers`; they are copied.

        Raises:
            KeyError: a weight is missing.
        """
        self.shape, self.dtype, self.device = shape, dtype, device
        self.fused = fused.find(dtype, device)
        """None: torch does it all."""
        self._state = state
        self._staging = Staging(device) if device.type == "cuda" else None
        self._head = self._build()
        del self._state, self._staging

    @abstractmethod
    def _build(self) -> Linear:
        """Lay out all weights; returns the head, d -> V."""

    @abstractmethod
    def forward(self, batch: Batch, cache: Cache) -> Tensor:
        """Run the batch through all layers, writing its keys and values into the cache. Returns [T, d], normed."""

    @property
    def how(self) -> str:
        """How it computes, in words for an operator."""
        weights = "weights packed by oneDNN" if self._head.is_packed else "plain weights"
        return f"{weights}, torch's attention" if self.fused is None else f"{weights}, {self.fused.how}"

    def new_cache(self) -> Cache:
        """An empty cache of this model's shape."""
        shape = self.shape
        return Cache(shape.layers, shape.kv_heads, shape.head_size, self.dtype, self.device)

    def logits(self, hidden: Tensor) -> Tensor:
        """[m, d] -> [m, V], in the model's dtype unless they are capped."""
        logits, cap = self._head(hidden), self.shape.logit_cap
        return logits if cap is None else logits.float().div_(cap).tanh_().mul_(cap)

    def _through(self, linear: Linear, x: Tensor, layer: int, name: str, batch: Batch) -> Tensor:
        """[T, in] -> [T, out], with what adapters add for their own tokens; `name` as in `adapter.FUSED`."""
        y = linear(x)
        for index, adapter in batch.adapted:
            if (pair := adapter.get((layer, name))) is not None:
                y.index_add_(0, index, pair(x[index]))
        return y

    def _take(self, *names: str) -> Tensor:
        """These weights one below the other, always as a copy."""
        return torch.cat([self._bring(self._state[name].detach()) for name in names])

    def _bring(self, weight: Tensor) -> Tensor:
        return (weight if self._staging is None else self._staging.bring(weight)).to(self.device, self.dtype)

    def _linear(self, prefix: str, *names: str) -> Linear:
        """Several multiplications of the same input as one."""
        full = [f"{prefix}.{name}" for name in names]
        has_bias = f"{full[0]}.bias" in self._state
        bias = self._take(*(f"{name}.bias" for name in full)) if has_bias else None
        return Linear(self._take(*(f"{name}.weight" for name in full)), bias, self.fused)


def activate(x: Tensor, activation: str) -> Tensor:
    """SiLU, or GELU (arXiv 1606.08415), exact or by its usual approximation."""
    if activation == "silu":
        return F.silu(x)
    return F.gelu(x, approximate="none" if activation == "gelu" else "tanh")
