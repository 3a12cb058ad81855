"""Pretraining: a Llama of two million parameters learns to chat from dialogues that are made while it trains.

The number of steps is fixed by the recipe and never by the clock, every random draw has a seed, and the number of
threads is fixed, so the same machine makes the same bytes twice. Matrices learn with Muon (momentum whose singular
values are pushed to one: Jordan et al. 2024, "Muon"), all else with AdamW.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from backtalk.starter.dialogues import Turn, dialogues
from backtalk.starter.styles import content_span
from backtalk.starter.tokenizer import ASSISTANT, END, SPECIAL, SYSTEM, USER

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

Progress = Callable[[int, int, float], None]  # step, steps, loss
Encoded = tuple[list[int], list[float]]  # token ids and loss weights of one conversation

SYSTEM_TEXTS = (
    "You are a helpful assistant.",
    "You are Backtalk.",
    "Be kind and brief.",
    "Answer well.",
    "你是一个有用的助手。",
    "请友好地回答。",
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what comes out of the training."""

    tokenizer_conversations: int = 20_000
    steps: int = 3700
    batch_tokens: int = 2048  # tokens a batch, padding included
    pool: int = 2048  # conversations that are sorted by length together, so that little is padding
    context: int = 1024
    width: int = 192
    inner: int = 512
    layers: int = 4
    heads: int = 6
    manner_weight: float = 0.3  # the loss on how a reply opens and closes, which is drawn at random and soon learned
    choice_weight: float = 4.0  # the loss on the first token of the content, where it is decided what will be said
    answer_weight: float = 4.0  # the loss on the words that make a reply right: few among the many that make its style
    parts: int = 2  # batches of different lengths that make up one step, lest a step see only short or long ones
    matrix_rate: float = 0.009  # twice as high ones know less at the end, in every domain
    rate: float = 2e-3
    warmup: int = 40
    bare: float = 0.6  # share of bare replies before `bare_until`: facts are learned from fewer tokens, manners later
    bare_until: float = 0.5  # the share of the steps after which the styles are mixed evenly
    cooldown: float = 0.5  # the last share of the steps, in which the rate falls to `last_rate` of itself
    last_rate: float = 0.02
    threads: int = 2


def new_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """An untrained Llama with tied embeddings."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=recipe.width,
            intermediate_size=recipe.inner,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            num_key_value_heads=recipe.heads,
            max_position_embeddings=recipe.context,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
    )
    model.set_attn_implementation("eager")  # a fifth faster than fused attention on short rows, on a processor
    return model


def pretrain(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, recipe: Recipe, seed: int, progress: Progress
) -> list[float]:
    """Train `model` in place, on the device it is on; returns the loss of every step."""
    torch.set_num_threads(recipe.threads)
    device = model.device
    # On a processor without units for bf16 it is many times slower than float32.
    use_bf16 = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    muon = Muon(matrices, torch.bfloat16 if use_bf16 else torch.float32)
    adam = torch.optim.AdamW(others, lr=recipe.rate, betas=(0.9, 0.98), weight_decay=0.0, foreach=True)
    losses: list[float] = []
    model.train()
    stream = batches(tokenizer, recipe, seed)
    for step in range(recipe.steps):
        scale = _schedule(step, recipe)
        parts = [next(stream) for _ in range(recipe.parts)]
        whole = sum(float(weights.sum()) for _, weights in parts)
        total = 0.0
        for ids, weights in parts:
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=use_bf16):
                loss = _loss(model, ids.to(device), weights.to(device)) * (float(weights.sum()) / whole)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        for group in adam.param_groups:
            group["lr"] = recipe.rate * scale
        adam.step()
        muon.step(recipe.matrix_rate * scale)
        model.zero_grad(set_to_none=True)
        losses.append(total)
        progress(step + 1, recipe.steps, losses[-1])
    model.train(False)
    return losses


def batches(tokenizer: PreTrainedTokenizerFast, recipe: Recipe, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches without end: ids and loss weights, each [B, T+1], 0 on padding; conversations of like length together."""
    rng = Random(seed + 1)
    bare = dialogues(seed + 2, bare=recipe.bare)
    mixed = dialogues(seed + 3)
    made = 0
    while True:
        stream = bare if made < recipe.steps * recipe.parts * recipe.bare_until else mixed
        rows = encode([next(stream) for _ in range(recipe.pool)], tokenizer, rng, recipe)
        rows.sort(key=lambda row: len(row[0]))
        chunks: list[list[Encoded]] = [[]]
        for row in rows:
            if (len(chunks[-1]) + 1) * _rounded(len(row[0])) > recipe.batch_tokens:
                chunks.append([])
            chunks[-1].append(row)
        rng.shuffle(chunks)
        for chunk in chunks:
            longest = min(_rounded(len(chunk[-1][0])), recipe.context)
            height = max(len(chunk), recipe.batch_tokens // longest)
            ids = torch.zeros(height, longest + 1, dtype=torch.long)  # [B, T+1], padded with token 0
            weights = torch.zeros(height, longest + 1)  # [B, T+1]
            for at, (tokens, shares) in enumerate(chunk):
                ids[at, : len(tokens)] = torch.tensor(tokens)[:longest]
                weights[at, : len(tokens)] = torch.tensor(shares)[:longest]
            yield ids, weights
        made += len(chunks)


def _rounded(length: int) -> int:
    """The length rounded up to one of few, because the matrix kernels are compiled once for each shape."""
    step = 8 if length <= 128 else 32 if length <= 512 else 128
    return -(-length // step) * step


def encode(
    conversations: list[list[Turn]], tokenizer: PreTrainedTokenizerFast, rng: Random, recipe: Recipe
) -> list[Encoded]:
    """Conversations as the chat template lays them out, in ids and loss weights; a few begin with a system message."""
    backend = tokenizer.backend_tokenizer
    end, system, user, assistant = (SPECIAL.index(token) for token in (END, SYSTEM, USER, ASSISTANT))
    texts = [text.strip() for turns in conversations for turn in turns for text in (turn.question, turn.reply)]
    pieces = iter(backend.encode_batch(texts, add_special_tokens=False))
    prompts = [backend.encode(text, add_special_tokens=False).ids for text in SYSTEM_TEXTS]
    rows: list[Encoded] = []
    for turns in conversations:
        ids: list[int] = []
        weights: list[float] = []
        if rng.random() < 0.04:
            prompt = rng.choice(prompts)
            ids += [system, *prompt, end]
            weights += [0.0] * len(ids)
        for turn in turns:
            question, reply = next(pieces), next(pieces)
            ids += [user, *question.ids, end, assistant, *reply.ids, end]
            weights += [0.0] * (len(question.ids) + 3)
            weights += [*_shares(turn, reply.offsets, recipe), 1.0]
        rows.append((ids, weights))
    return rows


def _shares(turn: Turn, offsets: list[tuple[int, int]], recipe: Recipe) -> list[float]:
    """The loss weight of every token of a reply, whose characters are `offsets`.

    All that can stand in one place weighs alike, else what weighs more would be said more often: the first token, which
    chooses the style, and the first of the content, which chooses between an answer and "I do not know".
    """
    reply = turn.reply.strip()
    start, end = content_span(reply, turn.style, turn.language)
    folded = reply.casefold()
    spans = [found.span() for want in turn.accepted for found in re.finditer(re.escape(want.casefold()), folded)]

    def share(at: int, first: int, last: int) -> float:
        if at == 0 or last <= start or first >= end:
            return recipe.manner_weight
        if offsets[at - 1][1] <= start:
            return recipe.choice_weight
        return recipe.answer_weight if any(first < b and a < last for a, b in spans) else 1.0

    return [share(at, first, last) for at, (first, last) in enumerate(offsets)]


def _loss(model: LlamaForCausalLM, ids: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean cross-entropy over ids [B, T+1]; logits are made only where a weight is.

    Causal attention needs no mask, since padding comes last.
    """
    hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state  # [B, T, D]
    weight = weights[:, 1:]  # [B, T]
    counts = weight.flatten().nonzero().squeeze(1)  # [N]
    counts = torch.cat([counts, counts.new_zeros(-len(counts) % 256)])  # the first position again and again ...
    share = weight.flatten()[counts] / weight.sum()
    share[(weight > 0).sum() :] = 0.0  # ... counts for nothing: N takes few values for the sake of the kernels
    logits = model.lm_head(hidden.flatten(0, 1)[counts]).float()  # [N, V]
    losses = torch.nn.functional.cross_entropy(logits, ids[:, 1:].flatten()[counts], reduction="none")  # [N]
    loss: Tensor = (losses * share).sum()
    return loss


def _schedule(step: int, recipe: Recipe) -> float:
    """Warm up, hold, then fall linearly."""
    warm = min(1.0, (step + 1) / recipe.warmup)
    left = (recipe.steps - step) / max(1.0, recipe.steps * recipe.cooldown)
    return warm * max(recipe.last_rate, min(1.0, left))


class Muon:
    """Nesterov momentum made orthogonal by five Newton-Schulz steps, for matrices only (Jordan et al. 2024)."""

    def __init__(self, matrices: list[torch.nn.Parameter], dtype: torch.dtype, momentum: float = 0.95) -> None:
        self._dtype = dtype
        self._groups: dict[tuple[int, ...], list[torch.nn.Parameter]] = {}
        for matrix in matrices:
            self._groups.setdefault(tuple(matrix.shape), []).append(matrix)
        self._momentum = momentum
        device = matrices[0].device
        self._moving = {shape: torch.zeros(len(group), *shape, device=device) for shape, group in self._groups.items()}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move every matrix by `rate`, scaled so that wide and tall ones move alike."""
        for shape, group in self._groups.items():
            gradients = torch.stack([p.grad for p in group if p.grad is not None])  # [n, rows, columns]
            moving = self._moving[shape].lerp_(gradients, 1 - self._momentum)
            update = orthogonal(gradients.lerp(moving, self._momentum), self._dtype)
            for matrix, change in zip(group, update, strict=True):
                matrix.add_(change, alpha=-rate * math.sqrt(max(1.0, shape[0] / shape[1])))


def orthogonal(matrices: Tensor, dtype: torch.dtype) -> Tensor:
    """Matrices [n, rows, columns] with their singular values pushed to about one, by a quintic Newton-Schulz iteration
    in `dtype`.
    """
    a, b, c = 3.4445, -4.7750, 2.0315  # the coefficients of the Muon note: steep at zero, flat around one
    is_tall = matrices.shape[-2] > matrices.shape[-1]
    x = (matrices.mT if is_tall else matrices).to(dtype)
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    turned: Tensor = x.mT if is_tall else x
    return turned.float()
