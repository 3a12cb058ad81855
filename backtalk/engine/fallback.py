"""Every other architecture: `transformers` runs the model, one request after the other. Correct, and slow."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from backtalk.engine.runner import Runner
from backtalk.engine.scheduler import Chunk, Request


class TransformersRunner(Runner):
    """A `transformers` causal language model with one cache per request behind the same interface."""

    def __init__(self, model: Any, eos: frozenset[int]) -> None:
        config = model.config.get_text_config()
        context = getattr(config, "max_position_embeddings", None) or 2048
        super().__init__(context, config.vocab_size, eos, model.device, model.dtype)
        self._model = model.eval()
        self._caches: list[DynamicCache] = []  # by row

    def _compute(self, decoding: list[int] | None, chunks: Sequence[Chunk]) -> Tensor:
        while len(self._caches) < len(self.rows):
            self._caches.append(DynamicCache(config=self._model.config))
        rows = range(len(self.rows)) if decoding is None else decoding
        logits = [self._run(self.rows[row], len(self.rows[row].tokens) - 1, 1) for row in rows]
        for chunk in chunks:
            last = self._run(chunk.request, chunk.start, chunk.count)
            if chunk.is_last:
                logits.append(last)
        return torch.stack(logits) if logits else torch.empty(0, self.vocabulary, device=self.device)

    def _run(self, request: Request, start: int, count: int) -> Tensor:
        """Logits [V] after `request.tokens[start : start + count]`."""
        tokens = torch.tensor([request.tokens[start : start + count]], device=self.device)
        cache = self._caches[self._row[request]]
        out = self._model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
        logits: Tensor = out.logits[0, -1].float()
        return logits

    def _vacate(self, row: int, last: int) -> None:
        if last < len(self._caches):
            self._caches[row] = self._caches[last]
            del self._caches[last]
