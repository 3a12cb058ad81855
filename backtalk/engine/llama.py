"""The forward pass of the Llama family and of Gemma.

Llama, Qwen2 (bias on q, k, v), Qwen3 (norm on q and k) and Mistral differ in what their weights contain and in sliding
windows. Gemma scales its embeddings, stores norms as their distance from 1 and gates by GELU; Gemma 2 and 3 norm what
comes out of a block too, Gemma 2 caps its scores, Gemma 3 turns layers with a window by angles of their own.

Shapes: T packed tokens of a step (first the decoding rows' one token each, then prompt chunks), d width, H query heads,
K key/value heads, D head size.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from backtalk.engine.attention import Attention
from backtalk.engine.batch import Batch
from backtalk.engine.cache import Cache
from backtalk.engine.linear import Linear
from backtalk.engine.model import Model, activate
from backtalk.engine.rope import Rope, rotate


@dataclass(frozen=True, slots=True)
class _Layer:
    attention_norm: Tensor  # [d]
    qkv: Linear  # d -> (H + 2K) D
    query_norm: Tensor | None  # [D]
    key_norm: Tensor | None  # [D]
    out: Linear  # H D -> d
    out_norm: Tensor | None  # [d]
    mlp_norm: Tensor  # [d]
    gate_up: Linear  # d -> 2 x intermediate
    down: Linear  # intermediate -> d
    down_norm: Tensor | None  # [d]
    rope: Rope
    window: int | None


class Llama(Model):
    """q, k, v in one matrix, gate and up in one."""

    def _build(self) -> Linear:
        shape = self.shape
        assert shape.rope is not None
        whole = Rope(shape.rope, shape.head_size, self.dtype, self.device)
        local = whole if shape.local_rope is None else Rope(shape.local_rope, shape.head_size, self.dtype, self.device)
        self._ropes = [whole] if local is whole else [whole, local]
        self._embedding = self._take("model.embed_tokens.weight")  # [V, d]
        # Rounded as the embeddings are: Gemma was trained so.
        self._scale = torch.tensor(self._embedding.shape[1] ** 0.5, dtype=self.dtype).item() if shape.is_gemma else None
        self._norm = self._take_norm("model.norm")
        self._layers = [
            self._layer(f"model.layers.{number}", window, whole if window is None else local)
            for number, window in enumerate(shape.windows)
        ]
        return Linear(self._take("model.embed_tokens.weight" if shape.is_tied else "lm_head.weight"), None, self.fused)

    def _layer(self, name: str, window: int | None, rope: Rope) -> _Layer:
        is_late = f"{name}.pre_feedforward_layernorm.weight" in self._state  # Gemma 2 and 3
        return _Layer(
            attention_norm=self._take_norm(f"{name}.input_layernorm"),
            qkv=self._linear(f"{name}.self_attn", "q_proj", "k_proj", "v_proj"),
            query_norm=self._take_optional(f"{name}.self_attn.q_norm"),
            key_norm=self._take_optional(f"{name}.self_attn.k_norm"),
            out=self._linear(f"{name}.self_attn", "o_proj"),
            out_norm=self._take_norm(f"{name}.post_attention_layernorm") if is_late else None,
            mlp_norm=self._take_norm(f"{name}.{'pre_feedforward' if is_late else 'post_attention'}_layernorm"),
            gate_up=self._linear(f"{name}.mlp", "gate_proj", "up_proj"),
            down=self._linear(f"{name}.mlp", "down_proj"),
            down_norm=self._take_norm(f"{name}.post_feedforward_layernorm") if is_late else None,
            rope=rope,
            window=window,
        )

    def _take_norm(self, name: str) -> Tensor:
        if not self.shape.is_gemma:
            return self._take(f"{name}.weight")
        return (1 + self._state[f"{name}.weight"].detach().float()).to(self.device, self.dtype)

    def _take_optional(self, name: str) -> Tensor | None:
        return self._take_norm(name) if f"{name}.weight" in self._state else None

    def forward(self, batch: Batch, cache: Cache) -> Tensor:
        """See `Model`."""
        shape = self.shape
        x = F.embedding(batch.tokens, self._embedding)  # [T, d]
        if self._scale is not None:
            x = x * self._scale
        turns = {rope: rope.at(batch.positions, batch.longest) for rope in self._ropes}
        attention = Attention(batch, cache, shape, self.fused)
        turned = shape.heads + shape.kv_heads  # heads of queries and keys, which have a position
        normed = self._normed(x, self._layers[0].attention_norm)
        following = [layer.attention_norm for layer in self._layers[1:]] + [self._norm]
        for number, (layer, next_norm) in enumerate(zip(self._layers, following, strict=True)):
            qkv = self._through(layer.qkv, normed, number, "qkv", batch).view(len(x), -1, shape.head_size)
            qk = qkv[:, :turned]  # [T, H + K, D]
            if layer.query_norm is not None and layer.key_norm is not None:
                query, key = qk[:, : shape.heads], qk[:, shape.heads :]
                qk = torch.cat((self._normed(query, layer.query_norm), self._normed(key, layer.key_norm)), 1)
            turn = turns[layer.rope]
            if not attention.turns:
                qk = rotate(qk, *turn)
            query, key, value = qk[:, : shape.heads], qk[:, shape.heads :], qkv[:, turned:]
            attended = attention(number, query, key, value, turn, layer.window)
            out = self._block(layer.out, attended, number, "out", batch, layer.out_norm)
            x, normed = self._added(x, out, layer.mlp_norm)
            gated = self._gated(layer.gate_up, normed, number, batch)
            down = self._block(layer.down, gated, number, "down", batch, layer.down_norm)
            x, normed = self._added(x, down, next_norm)
        return normed

    def _block(self, linear: Linear, x: Tensor, number: int, name: str, batch: Batch, norm: Tensor | None) -> Tensor:
        """What a block adds: [T, d], or [parts, T, d] for `_added` to sum up."""
        if norm is None and not batch.adapted and (parts := linear.in_parts(x)) is not None:
            return parts
        y = self._through(linear, x, number, name, batch)
        return y if norm is None else self._normed(y, norm)

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        if self.fused is not None:
            return self.fused.norm(x.contiguous(), weight, self.shape.epsilon)
        return F.rms_norm(x, weight.shape, weight, self.shape.epsilon)

    def _added(self, x: Tensor, y: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """x + y, and that normed."""
        if self.fused is not None:
            return self.fused.add_norm(x, y, weight, self.shape.epsilon)
        total = x + y
        return total, F.rms_norm(total, weight.shape, weight, self.shape.epsilon)

    def _gated(self, linear: Linear, x: Tensor, number: int, batch: Batch) -> Tensor:
        is_plain = self.shape.activation == "silu" and not batch.adapted
        if is_plain and (gated := linear.gated(x)) is not None:
            return gated
        gate_up = self._through(linear, x, number, "gate_up", batch)
        if self.fused is not None and self.shape.activation == "silu":
            return self.fused.swiglu(gate_up)
        gate, up = gate_up.chunk(2, -1)
        return activate(gate, self.shape.activation) * up
