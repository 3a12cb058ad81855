"""The forward pass of GPT-2 (Radford et al. 2019): learned positions, LayerNorm, a plain feed-forward block.

Shapes: T packed tokens of a step, d width, H heads, D head size.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from backtalk.engine.attention import Attention
from backtalk.engine.batch import Batch
from backtalk.engine.cache import Cache
from backtalk.engine.linear import Linear
from backtalk.engine.model import Model, activate


@dataclass(frozen=True, slots=True)
class _Norm:
    weight: Tensor  # [d]
    bias: Tensor  # [d]


@dataclass(frozen=True, slots=True)
class _Layer:
    attention_norm: _Norm
    qkv: Linear  # d -> 3 d
    out: Linear  # d -> d
    mlp_norm: _Norm
    up: Linear  # d -> 4 d
    down: Linear  # 4 d -> d


class Gpt2(Model):
    """`transformers` saves GPT-2's matrices transposed, as its first authors did."""

    def _build(self) -> Linear:
        self._embedding = self._take("transformer.wte.weight")  # [V, d]
        self._positions = self._take("transformer.wpe.weight")  # [context, d]
        self._norm = self._take_norm("transformer.ln_f")
        self._layers = [
            _Layer(
                attention_norm=self._take_norm(f"{name}.ln_1"),
                qkv=self._transposed(f"{name}.attn.c_attn"),
                out=self._transposed(f"{name}.attn.c_proj"),
                mlp_norm=self._take_norm(f"{name}.ln_2"),
                up=self._transposed(f"{name}.mlp.c_fc"),
                down=self._transposed(f"{name}.mlp.c_proj"),
            )
            for name in (f"transformer.h.{number}" for number in range(self.shape.layers))
        ]
        return Linear(
            self._take("transformer.wte.weight" if self.shape.is_tied else "lm_head.weight"), None, self.fused
        )

    def _take_norm(self, name: str) -> _Norm:
        return _Norm(self._take(f"{name}.weight"), self._take(f"{name}.bias"))

    def _transposed(self, name: str) -> Linear:
        return Linear(self._take(f"{name}.weight").t().contiguous(), self._take(f"{name}.bias"), self.fused)

    def forward(self, batch: Batch, cache: Cache) -> Tensor:
        """See `Model`."""
        shape = self.shape
        x = F.embedding(batch.tokens, self._embedding) + F.embedding(batch.positions, self._positions)  # [T, d]
        attention = Attention(batch, cache, shape, self.fused)
        for number, layer in enumerate(self._layers):
            qkv = layer.qkv(self._normed(x, layer.attention_norm)).view(len(x), 3 * shape.heads, shape.head_size)
            query, key, value = qkv.chunk(3, 1)  # [T, H, D] each
            x = x + layer.out(attention(number, query, key, value, None, None))
            x = x + layer.down(activate(layer.up(self._normed(x, layer.mlp_norm)), shape.activation))
        return self._normed(x, self._norm)

    def _normed(self, x: Tensor, norm: _Norm) -> Tensor:
        return F.layer_norm(x, norm.weight.shape, norm.weight, norm.bias, self.shape.epsilon)
