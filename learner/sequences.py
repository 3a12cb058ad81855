"""Exchanges as tensors: padded batches, and a policy's log-probs on the tokens of replies.

Shapes: B exchanges, S tokens of the longest with its prompt, T tokens of the longest reply, D width, V vocabulary.
Padding stands on the right, where causal attention never looks, so a batch needs no attention mask and a row's result
does not depend on its neighbours.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, AutoModelForCausalLM, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from learner import parallel


@dataclass(frozen=True, slots=True)
class Exchange:
    """A prompt and a reply to it: token ids exactly as they were sampled, and the reply as people see it."""

    prompt: tuple[int, ...]
    reply: tuple[int, ...]  # with its end token, if it has one
    text: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Exchanges side by side. Made by `collate`, read by every forward pass."""

    tokens: Tensor  # [B, S] int64
    replies: Tensor  # [B, T] int64, 0 on padding
    mask: Tensor  # [B, T] float32, 1 on the reply's tokens
    before: Tensor  # [B, T] int64: where in `tokens` the state stands that foretells each reply token
    last: Tensor  # [B] int64: where the reply's last token stands


def collate(exchanges: Sequence[Exchange], device: torch.device | str = "cpu") -> Batch:
    """Pad exchanges to one batch.

    Args:
        exchanges: each with at least one prompt token and one reply token.
    """
    longest = max(len(e.prompt) + len(e.reply) for e in exchanges)
    widest = max(len(e.reply) for e in exchanges)
    tokens = torch.zeros(len(exchanges), longest, dtype=torch.int64)
    replies = torch.zeros(len(exchanges), widest, dtype=torch.int64)
    mask = torch.zeros(len(exchanges), widest)
    before = torch.zeros(len(exchanges), widest, dtype=torch.int64)
    last = torch.zeros(len(exchanges), dtype=torch.int64)
    for row, exchange in enumerate(exchanges):
        start, count = len(exchange.prompt), len(exchange.reply)
        reply = torch.tensor(exchange.reply)
        tokens[row, :start] = torch.tensor(exchange.prompt)
        tokens[row, start : start + count] = reply
        replies[row, :count] = reply
        mask[row, :count] = 1.0
        before[row, :count] = torch.arange(start - 1, start - 1 + count)
        last[row] = start + count - 1
    return Batch(tokens.to(device), replies.to(device), mask.to(device), before.to(device), last.to(device))


def states(trunk: nn.Module, batch: Batch) -> Tensor:
    """Final hidden states of the whole sequences: [B, S, D]."""
    hidden: Tensor = trunk(input_ids=batch.tokens, use_cache=False).last_hidden_state
    return hidden


def at_replies(hidden: Tensor, batch: Batch) -> Tensor:
    """The states that foretell each reply token: [B, S, D] -> [B, T, D]."""
    return hidden.gather(1, batch.before[:, :, None].expand(-1, -1, hidden.shape[2]))


def logprobs_of(model: PreTrainedModel, hidden: Tensor, batch: Batch, temperature: float = 1.0) -> Tensor:
    """Log-probs of the reply tokens given the states before them, in float32; vocabulary only at reply positions.

    Args:
        hidden: [B, T, D] from `at_replies`.
        temperature: that of the sampling whose probabilities are wanted.

    Returns:
        [B, T], 0 on padding.
    """
    kept = batch.mask.bool()  # [B, T]
    vocabulary: nn.Module = cast(Any, model).get_output_embeddings()
    logits: Tensor = vocabulary(hidden[kept]).float() / temperature  # [N, V], N reply tokens in all
    chosen = logits.gather(1, batch.replies[kept][:, None])[:, 0] - logits.logsumexp(-1)  # [N]
    return torch.zeros_like(batch.mask).masked_scatter(kept, chosen)


def logprobs(model: PreTrainedModel, batch: Batch, temperature: float = 1.0) -> Tensor:
    """Log-probs of the reply tokens under `model`: [B, T], 0 on padding."""
    return foretell(model, batch, temperature)[0]


def foretell(model: PreTrainedModel, batch: Batch, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """Log-probs of the reply tokens, [B, T], and the states that foretell them, [B, T, D]."""

    def look() -> tuple[Tensor, Tensor]:
        hidden = at_replies(states(model.base_model, batch), batch)  # [B, T, D]
        return logprobs_of(model, hidden, batch, temperature), hidden

    return parallel.through(model, look)


@torch.no_grad()
def all_logprobs(model: PreTrainedModel, exchanges: Sequence[Exchange], temperature: float = 1.0) -> list[Tensor]:
    """Log-probs of each exchange's reply tokens, one float32 tensor [length] each, in the order given."""
    found: list[Tensor] = [torch.empty(0)] * len(exchanges)
    batches = by_length(exchanges, 64)
    for rows, counts in parallel.turns(batches):
        batch = collate([exchanges[row] for row in rows], model.device)
        with autocast(model.device):
            chosen = logprobs(model, batch, temperature)  # [B, T]
        for place, row in enumerate(rows if counts else ()):
            found[row] = chosen[place, : len(exchanges[row].reply)].clone()
    return parallel.join_lines(found, [len(e.reply) for e in exchanges], model.device)


def pad(lines: Sequence[Tensor], like: Tensor) -> Tensor:
    """Rows of different lengths as one tensor of the shape of `like` ([B, T]), 0 on padding."""
    padded = torch.zeros_like(like)
    for row, line in enumerate(lines):
        padded[row, : len(line)] = line
    return padded


def by_length(exchanges: Sequence[Exchange], size: int, rng: Random | None = None) -> list[list[int]]:
    """Batches of row numbers, each of exchanges about equally long, so that little is padding.

    With `rng` the batches differ from call to call: equal lengths are mixed and the batches come in random order.
    """
    lengths = [len(e.prompt) + len(e.reply) + (rng.uniform(0.0, 8.0) if rng else 0.0) for e in exchanges]
    order = sorted(range(len(exchanges)), key=lengths.__getitem__)
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    if rng:
        rng.shuffle(batches)
    return batches


def endless(lengths: Sequence[int], size: int, rng: Random) -> Iterator[list[int]]:
    """Random batches of row numbers for ever; each row comes once before any comes twice.

    Rows of a batch are about equally long (half of a wholly random batch would be padding): a random few hundred are
    sorted at a time, and the batches they make come in random order.
    """
    while True:
        order = list(range(len(lengths)))
        rng.shuffle(order)
        for start in range(0, len(order), 8 * size):
            pool = sorted(order[start : start + 8 * size], key=lengths.__getitem__)
            batches = [pool[at : at + size] for at in range(0, len(pool), size)]
            rng.shuffle(batches)
            yield from batches


def load(directory: Path, device: torch.device | str = "cpu") -> PreTrainedModel:
    """A policy in float32, from a directory of safetensors; no code of others is run."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        directory,
        dtype=torch.float32,
        attn_implementation=_ATTENTION if torch.device(device).type == "cpu" else "sdpa",
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
    )
    model.train(False)  # no dropout: the log-probs of training are those of sampling
    cast(nn.Module, model).to(torch.device(device))
    return model


@contextmanager
def autocast(device: torch.device | str) -> Iterator[None]:
    """bfloat16 matrix products where the device is faster with them (measured on a CPU with avx512_bf16: 1.6 times)."""
    kind = torch.device(device).type
    if kind == "cuda" or (kind == "cpu" and _cpu_multiplies_bf16()):
        with torch.autocast(kind, torch.bfloat16):
            yield
    else:
        yield


def _attend_in_float32(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **more: Any
) -> tuple[Tensor, None]:
    """Fused attention in float32 on a CPU, whatever autocast wants: its backward pass in bfloat16 takes 7 times as long
    at 32 × 40 tokens, and attention that is written out keeps a square of the length for each head (measured).
    """
    with torch.autocast("cpu", enabled=False):
        return sdpa_attention_forward(module, query.float(), key.float(), value.float(), mask, **more)


_ATTENTION = "sdpa_float32"
AttentionInterface.register(_ATTENTION, _attend_in_float32)
AttentionMaskInterface.register(_ATTENTION, sdpa_mask)


def _cpu_multiplies_bf16() -> bool:
    units = torch.cpu.get_capabilities()
    return bool(units.get("avx512_bf16") or units.get("amx_bf16"))
