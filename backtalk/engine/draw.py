"""Logits to tokens: filters, the draw itself, and what its probability was.

Shapes: n rows (requests), V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK = 64
"""Tokens a block of the two-level inverse CDF: one pass over block sums, one inside the block that was hit."""

CANDIDATES = 256
"""Filters look at this many likeliest tokens first; only where that does not settle it is everything sorted."""

_GAMMA = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed 64-bit integer
_MIX_1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX_2 = -7723592293110705685  # 0x94D049BB133111EB


@dataclass(frozen=True, slots=True)
class Settings:
    """How each row is drawn: one tensor per field of `Sampling`, each [n]."""

    temperature: Tensor  # float32; 0 = greedy
    top_k: Tensor  # int64; 0 = off
    top_p: Tensor  # float32; 1 = off
    min_p: Tensor  # float32; 0 = off
    filtered: Tensor  # int64 [f]: the rows that have any filter on
    seed: Tensor  # int64
    position: Tensor  # int64: place of the next token in its reply
    any_greedy: bool = True
    """False only if no row is greedy."""
    all_plain: bool = False
    """True only if every row's temperature is 1: then behaviour and raw share one pass over the vocabulary."""

    def at(self, rows: Tensor) -> "Settings":
        """Those of some rows, in this order."""
        is_filtered = torch.zeros_like(self.seed, dtype=torch.bool)
        is_filtered[self.filtered] = True
        return Settings(
            temperature=self.temperature[rows],
            top_k=self.top_k[rows],
            top_p=self.top_p[rows],
            min_p=self.min_p[rows],
            filtered=is_filtered[rows].nonzero()[:, 0],
            seed=self.seed[rows],
            position=self.position[rows],
            any_greedy=self.any_greedy,
            all_plain=self.all_plain,
        )


@dataclass(frozen=True, slots=True)
class Drawn:
    """The next token of each row, each [n]."""

    tokens: Tensor  # int64
    logprobs: Tensor
    """float32: log of the probability with which it was drawn, after temperature and filters. For a greedy row, whose
    draw is certain, the log-prob at temperature 1 without filters, so that a learner has something to work with."""
    raw: Tensor
    """float32: its log-prob at temperature 1 without bias, penalty or filters."""
    finite: Tensor
    """bool: False where the logits held NaN or infinity; such a row's other values mean nothing."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What one row wants changed in its logits before they are drawn from."""

    row: int
    bias: Sequence[tuple[int, float]]
    """(token, added to its logit)"""
    penalty: float
    """On every token of `context`, as in CTRL (arXiv 1909.05858 §4.1): a positive logit is divided by it, another is
    multiplied. 1 = none."""
    context: Sequence[int]


def draw(logits: Tensor, settings: Settings, wishes: Sequence[Wishes] = ()) -> Drawn:
    """Draw each row's next token.

    Args:
        logits: [n, V] float32.
        settings: per row.
        wishes: of the rows that have any.
    """
    unchanged = logits
    if wishes:
        logits = logits.clone()
        for wish in wishes:
            _change(logits[wish.row], wish)

    is_greedy = settings.temperature == 0  # [n]
    divisor = torch.where(is_greedy, 1.0, settings.temperature)[:, None]  # [n, 1]
    top = logits.amax(-1, keepdim=True)  # [n, 1]
    weights = logits - top  # [n, V]
    if not settings.all_plain:
        weights /= divisor
    weights.exp_()  # the likeliest token's is 1
    total = weights.sum(-1, keepdim=True)  # [n, 1]
    finite = total[:, 0].isfinite() & top[:, 0].isfinite()

    kept, kept_total = weights, total
    if len(settings.filtered):
        kept = weights.clone()
        kept[settings.filtered] = _filter(weights[settings.filtered], total[settings.filtered], settings)
        kept_total = kept.sum(-1, keepdim=True)

    tokens = invert(kept, uniforms(settings.seed, settings.position))
    if settings.any_greedy:
        tokens = torch.where(is_greedy, logits.argmax(-1), tokens)
    tokens = torch.where(finite, tokens, 0)

    scaled = (logits.gather(1, tokens[:, None]) - top) / divisor  # [n, 1]
    mass = torch.where(is_greedy[:, None], total, kept_total)
    chosen = (scaled - mass.log())[:, 0]
    if settings.all_plain and not wishes:
        raw = (scaled - total.log())[:, 0]
    else:
        raw = unchanged.gather(1, tokens[:, None])[:, 0] - unchanged.logsumexp(-1)
    return Drawn(tokens, chosen, raw, finite)


def _change(logits: Tensor, wish: Wishes) -> None:
    """Apply them to [V], in place."""
    for token, bias in wish.bias:
        logits[token] += bias
    if wish.penalty != 1:
        index = torch.tensor(sorted(set(wish.context)), device=logits.device)
        values = logits[index]
        logits[index] = torch.where(values > 0, values / wish.penalty, values * wish.penalty)


def uniforms(seed: Tensor, position: Tensor) -> Tensor:
    """One number in [0, 1) for each (seed, position): two rounds of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).

    It has no state, so the i-th token of a reply gets the same number wherever and with whomever it is computed.

    Args:
        seed: [n] int64, used as 64 bits.
        position: [n] int64.

    Returns:
        [n] float64 with 53 random bits.
    """
    bits = _mix(_mix(seed + _GAMMA) + (position + 1) * _GAMMA)
    return _shift(bits, 11).double() * 2.0**-53


def _mix(z: Tensor) -> Tensor:
    z = (z ^ _shift(z, 30)) * _MIX_1
    z = (z ^ _shift(z, 27)) * _MIX_2
    return z ^ _shift(z, 31)


def _shift(z: Tensor, bits: int) -> Tensor:
    """Shift right as if unsigned."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def invert(weights: Tensor, u: Tensor) -> Tensor:
    """Inverse CDF: the first token at which the running sum of `weights` exceeds u × total, so never one of weight 0.

    Args:
        weights: [n, V] float32, not negative, not all 0 (a row of NaN gives some token).
        u: [n] float64 in [0, 1).

    Returns:
        [n] int64.
    """
    rows, vocabulary = weights.shape
    if vocabulary % BLOCK:
        weights = torch.nn.functional.pad(weights, (0, BLOCK - vocabulary % BLOCK))
    blocks = weights.view(rows, -1, BLOCK)  # [n, V / B, B]
    sums = blocks.sum(-1, dtype=torch.float64)  # [n, V / B]
    block, rest = _first_above(sums, u[:, None] * sums.sum(-1, keepdim=True))
    inside = blocks.gather(1, block[:, :, None].expand(-1, -1, BLOCK))[:, 0].double()  # [n, B]
    token, _ = _first_above(inside, rest)
    return (block * BLOCK + token)[:, 0].clamp_(max=vocabulary - 1)


def _first_above(weights: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The first index whose running sum exceeds `target` ([n, 1]), and the target less the sum before it."""
    running = weights.cumsum(-1)
    # Rounding may lift the target to the total itself, where no index is above.
    target = torch.minimum(target, torch.nextafter(running[:, -1:], running.new_zeros(())))
    index = torch.searchsorted(running, target, right=True).clamp_(max=weights.shape[1] - 1)
    before = running.gather(1, index) - weights.gather(1, index)
    return index, (target - before).clamp_(min=0)


def _filter(weights: Tensor, total: Tensor, settings: Settings) -> Tensor:
    """Zero the weights that top-k, top-p and min-p leave out, in this order. [f, V] -> [f, V]."""
    vocabulary = weights.shape[1]
    kept = torch.zeros_like(weights)
    open_rows = torch.arange(len(weights), device=weights.device)
    for candidates in (min(CANDIDATES, vocabulary), vocabulary):
        rows = settings.filtered[open_rows]
        values, index = weights[open_rows].topk(candidates)  # [f, C], falling
        keep = torch.arange(candidates, device=weights.device) < _or_all(settings.top_k[rows], vocabulary)[:, None]
        mass = torch.where(settings.top_k[rows, None] > 0, (values * keep).sum(-1, keepdim=True), total[open_rows])
        before = values.cumsum(-1) - values
        top_p = settings.top_p[rows, None]
        keep &= (before < top_p * mass) | (top_p >= 1)
        keep &= values >= settings.min_p[rows, None] * values[:, :1]
        keep[:, 0] = True
        kept[open_rows] = torch.zeros_like(weights[open_rows]).scatter_(1, index, values * keep)
        # Not settled: the last candidate is still in, so there may be more; or top-k reaches beyond the candidates.
        open_rows = open_rows[keep[:, -1] | (settings.top_k[rows] > candidates)]
        if candidates == vocabulary or not len(open_rows):
            break
    return kept


def _or_all(top_k: Tensor, vocabulary: int) -> Tensor:
    return torch.where(top_k > 0, top_k, vocabulary)
