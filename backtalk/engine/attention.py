"""Attention of one step: single tokens against their pages, prompt chunks against themselves and their pages.

Shapes: T packed tokens of a step (t single ones, then prompt chunks), H query heads, K key/value heads, G = H / K,
D head size, B pages of the longest single token's text, L = B x PAGE places; P prompts padded to C tokens.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from backtalk.engine.batch import Batch, Piece
from backtalk.engine.cache import Cache, paged
from backtalk.engine.fused import Fused, kernels_of
from backtalk.engine.pages import PAGE
from backtalk.engine.shape import Shape
from backtalk.engine.staging import send

GROUPED = 4_000_000
"""Scores of a later chunk, all heads together, that may be held in memory at once."""


class Attention:
    """Attention of one step. What all layers share (masks, indices) is made once."""

    def __init__(self, batch: Batch, cache: Cache, shape: Shape, fused: Fused) -> None:
        self._batch, self._cache, self._fused = batch, cache, fused
        self._heads, self._kv_heads, self._size = shape.heads, shape.kv_heads, shape.head_size
        self._group = shape.heads // shape.kv_heads
        self._scale = shape.head_size**-0.5 if shape.scale is None else shape.scale
        self._cap = shape.score_cap
        self._masks: dict[int | None, Tensor] = {}
        self._singles = len(batch.tables)
        self._lengths = batch.positions[: self._singles] + 1  # [t] keys that each sees, itself included
        self.turns = fused is not None and not batch.pieces
        """Query and key come here unturned."""
        self._kernels = kernels_of(fused) if batch.pieces else None
        if self._kernels is not None:
            self._prepare_chunks()
            return
        if not self.turns:
            self._places = self._find_places()
        self._fresh = [piece for piece in batch.pieces if piece.start == 0]
        self._later = [piece for piece in batch.pieces if piece.start > 0]
        if self._fresh:
            self._prepare_padding()

    def _prepare_chunks(self) -> None:
        assert not self._singles, "a GPU decodes in a step of its own"
        pieces, positions = self._batch.pieces, self._batch.positions
        numbers = [[p.start for p in pieces], [p.count for p in pieces], [p.offset for p in pieces]]
        self._chunks = send(numbers, positions.device)  # [3, P]
        self._tables = torch.stack([piece.table for piece in pieces])  # [P, B]
        owners = send([at for at, p in enumerate(pieces) for _ in range(p.count)], positions.device)
        self._places = self._tables[owners, positions // PAGE] * PAGE + positions % PAGE

    def _find_places(self) -> Tensor:
        """[T]: where each token's key and value go."""
        places = self._batch.positions
        single = places[: self._singles]
        pages = [self._batch.tables.gather(1, (single // PAGE)[:, None])[:, 0]]
        for piece in self._batch.pieces:
            pages.append(piece.table[places[piece.offset : piece.offset + piece.count] // PAGE])
        return torch.cat(pages) * PAGE + places % PAGE

    def _prepare_padding(self) -> None:
        device = self._batch.tokens.device
        counts = torch.tensor([piece.count for piece in self._fresh], device=device)
        offsets = torch.tensor([piece.offset for piece in self._fresh], device=device)
        places = torch.arange(int(counts.max()), device=device)
        self._valid = places < counts[:, None]  # [P, C]
        self._padded = torch.where(self._valid, offsets[:, None] + places, offsets[:, None])  # [P, C] into T

    def __call__(
        self,
        layer: int,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        turn: tuple[Tensor, Tensor] | None,
        window: int | None,
    ) -> Tensor:
        """Write key and value into the cache and attend.

        Args:
            layer: its number.
            query: [T, H, D]; turned by its position unless `turns`. key, value: [T, K, D], likewise.
            turn: cos and sin for `turns`; None where positions are learned.
            window: sliding window.

        Returns:
            [T, H D].
        """
        keys, values = self._cache.keys[layer], self._cache.values[layer]  # [K, places, D]
        if self.turns:
            return self._attend_fused(query, key, value, turn, keys, values, window)
        # All of them before any is read: prompts that begin alike may share pages that this very step fills.
        keys.index_copy_(1, self._places, key.transpose(0, 1))
        values.index_copy_(1, self._places, value.transpose(0, 1))
        if self._kernels is not None:
            longest = max(piece.count for piece in self._batch.pieces)
            return self._kernels.extend(
                query, keys, values, self._tables, self._chunks, longest, window, self._scale, self._cap
            )
        count = self._singles
        if not self._batch.pieces:
            return self._attend_single(query, key, value, keys, values, window)
        out = torch.empty_like(query)  # [T, H, D]
        if count:
            single = self._attend_single(query[:count], key[:count], value[:count], keys, values, window)
            out[:count] = single.view(count, self._heads, self._size)
        if self._fresh:
            attended = self._prefill(query[self._padded], key[self._padded], value[self._padded], window)
            out[self._padded[self._valid]] = attended[self._valid]
        for piece in self._later:
            part = slice(piece.offset, piece.offset + piece.count)
            out[part] = self._continue(query[part], keys, values, piece, window)
        return out.flatten(1)

    def _attend_single(
        self, query: Tensor, key: Tensor, value: Tensor, keys: Tensor, values: Tensor, window: int | None
    ) -> Tensor:
        """Each single token against its pages. [t, H, D] -> [t, H D]."""
        if self._fused is not None:
            return self._attend_fused(query, key, value, None, keys, values, window)
        count, pages = self._batch.tables.shape
        flat = self._batch.tables.flatten()
        seen_keys, seen_values = (
            paged(store).index_select(1, flat).view(self._kv_heads * count, pages * PAGE, self._size)
            for store in (keys, values)
        )  # [K t, L, D]
        grouped = (
            query.view(count, self._kv_heads, self._group, self._size).transpose(0, 1).flatten(0, 1)
        )  # [K t, G, D]
        mask = self._mask(window)
        if self._cap is None:
            scores = torch.baddbmm(mask, grouped, seen_keys.transpose(1, 2), alpha=self._scale)  # [K t, G, L]
        else:
            scores = mask + _capped(torch.bmm(grouped, seen_keys.transpose(1, 2)) * self._scale, self._cap)
        weights = torch.softmax(scores, -1, dtype=torch.float32).to(values.dtype)
        attended = torch.bmm(weights, seen_values).view(self._kv_heads, count, -1)  # [K, t, G D]
        return attended.transpose(0, 1).flatten(1)

    def _attend_fused(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        turn: tuple[Tensor, Tensor] | None,
        keys: Tensor,
        values: Tensor,
        window: int | None,
    ) -> Tensor:
        assert self._fused is not None
        return self._fused.attend(
            *(query, key, value, turn, keys, values),
            *(self._batch.tables, self._lengths, self._batch.longest_single, window, self._scale, self._cap),
        )

    def _mask(self, window: int | None) -> Tensor:
        """[K t, 1, L]: 0 where a single token may look, else minus infinity."""
        if window not in self._masks:
            lengths = self._lengths[:, None]
            places = torch.arange(self._batch.tables.shape[1] * PAGE, device=lengths.device)
            hidden = places >= lengths
            if window is not None:
                hidden |= places < lengths - window
            mask = torch.zeros(hidden.shape, dtype=self._cache.keys.dtype, device=lengths.device)
            mask.masked_fill_(hidden, float("-inf"))
            self._masks[window] = mask.repeat(self._kv_heads, 1)[:, None]
        return self._masks[window]

    def _prefill(self, query: Tensor, key: Tensor, value: Tensor, window: int | None) -> Tensor:
        """Prompts from their first token on, padded on the right: [P, C, heads, D] -> [P, C, H, D]."""
        count = query.shape[1]
        mask = None if window is None or window >= count else _causal(count, count, window, query.device)
        return self._attend(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), mask).transpose(1, 2)

    def _continue(self, query: Tensor, keys: Tensor, values: Tensor, piece: Piece, window: int | None) -> Tensor:
        """A later chunk of one prompt against its pages: [C, H, D] -> [C, H, D]."""
        end = piece.start + piece.count
        table = piece.table[: -(-end // PAGE)]
        seen_keys, seen_values = (
            paged(store).index_select(1, table).flatten(1, 2)[None, :, :end] for store in (keys, values)
        )
        mask = _causal(piece.count, end, window, query.device)
        if self._heads * piece.count * end <= GROUPED and self._cap is None:
            return self._continue_grouped(query, seen_keys[0], seen_values[0], mask)
        return self._attend(query.transpose(0, 1)[None], seen_keys, seen_values, mask)[0].transpose(0, 1)

    def _continue_grouped(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """The same without a copy of keys and values for each query head: [C, H, D] on [K, end, D] -> [C, H, D]."""
        count = len(query)
        grouped = query.view(count, self._kv_heads, self._group, self._size).permute(1, 2, 0, 3)  # [K, G, C, D]
        grouped = grouped.reshape(self._kv_heads, self._group * count, self._size)
        hidden = torch.zeros(mask.shape, dtype=query.dtype, device=query.device).masked_fill_(~mask, float("-inf"))
        scores = torch.baddbmm(hidden.repeat(self._group, 1)[None], grouped, keys.transpose(1, 2), alpha=self._scale)
        weights = torch.softmax(scores, -1, dtype=torch.float32).to(values.dtype)  # [K, G C, end]
        attended = torch.bmm(weights, values).view(self._kv_heads, self._group, count, self._size)
        return attended.permute(2, 0, 1, 3).reshape(count, self._heads, self._size)

    def _attend(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """[P, H, C, D] on [P, K, L, D] -> [P, H, C, D]; without a mask each token sees those before it and itself."""
        keys, values = self._repeat(keys), self._repeat(values)
        if self._cap is None:
            return F.scaled_dot_product_attention(
                query, keys, values, attn_mask=mask, is_causal=mask is None, scale=self._scale
            )
        if mask is None:
            mask = _causal(query.shape[2], keys.shape[2], None, query.device)
        scores = _capped(query @ keys.transpose(2, 3) * self._scale, self._cap).masked_fill(~mask, float("-inf"))
        return torch.softmax(scores, -1, dtype=torch.float32).to(values.dtype) @ values

    def _repeat(self, x: Tensor) -> Tensor:
        """[P, K, C, D] -> [P, H, C, D]."""
        return x if self._group == 1 else x.repeat_interleave(self._group, 1)


def _causal(count: int, end: int, window: int | None, device: torch.device) -> Tensor:
    """[count, end] bool: may the token at `end - count + i` look at place j?"""
    query = torch.arange(end - count, end, device=device)[:, None]
    key = torch.arange(end, device=device)
    return (key <= query) if window is None else (key <= query) & (key > query - window)


def _capped(scores: Tensor, cap: float) -> Tensor:
    return cap * torch.tanh(scores / cap)
