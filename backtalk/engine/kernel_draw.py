# mypy: disable-error-code="no-untyped-def,no-untyped-call,attr-defined,untyped-decorator"
"""The draw of `draw.py` on a GPU, without filters and wishes: two kernels and one look at the logits more than at most
of them. Numbers are float32 inside, running sums float64.

Shapes: n rows (requests), V vocabulary.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

SPAN = 4096
"""Logits that a program looks at."""


def draw(
    logits: Tensor, temperature: Tensor, seeds: Tensor, lasts: Tensor, lengths: Tensor, positions: Tensor
) -> Tensor:
    """Draw each row's next token, as `draw.draw` does without filters and wishes, and count it.

    Args:
        logits: [n, V], any dtype.
        temperature: [≥ n] float32; 0 = greedy.
        seeds: [≥ n] int64.
        lasts: likewise; set to the token.
        lengths, positions: likewise, the next token's place in its text and in its reply; counted up by one.

    Returns:
        [4, n] float64: token, log-prob of the behaviour, raw log-prob, finite (1 or 0); see `draw.Drawn`.
    """
    count, vocabulary = logits.shape
    spans = triton.cdiv(vocabulary, SPAN)
    stats = torch.empty(4, count, spans, dtype=torch.float32, device=logits.device)
    drawn = torch.empty(4, count, dtype=torch.float64, device=logits.device)
    _scan[count, spans](
        *(logits, temperature, stats, vocabulary, logits.stride(0), stats.stride(0)), SPAN=SPAN, num_warps=8
    )
    _pick[(count,)](
        *(logits, temperature, stats, lasts, lengths, positions, seeds, drawn),
        *(vocabulary, spans, logits.stride(0), stats.stride(0), drawn.stride(0)),
        SPAN=SPAN,
        SPANS=triton.next_power_of_2(spans),
        num_warps=8,
    )
    return drawn


@triton.jit
def _scan(logits, temperature, stats, vocabulary, row_stride, stat_stride, SPAN: tl.constexpr):
    """Of each span: its highest logit and where that is, its mass after temperature and its raw mass."""
    row, span, spans = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.num_programs(1)
    at = span * SPAN + tl.arange(0, SPAN)
    x = tl.load(logits + row * row_stride + at, mask=at < vocabulary, other=float("-inf")).to(tl.float32)
    top = tl.max(x, 0)
    divisor = tl.load(temperature + row)
    divisor = tl.where(divisor == 0, 1.0, divisor)
    # A span of which nothing is possible has no mass; its logits less its top would be no numbers.
    less = x - tl.where(top == float("-inf"), 0.0, top)
    place = stats + row * spans + span
    tl.store(place, top)
    tl.store(place + stat_stride, tl.argmax(x, 0).to(tl.float32))
    tl.store(place + 2 * stat_stride, tl.sum(tl.exp(less / divisor), 0))
    tl.store(place + 3 * stat_stride, tl.sum(tl.exp(less), 0))


@triton.jit
def _mixed(z):
    z = (z ^ ((z >> 30) & 0x3FFFFFFFF)) * -4658895280553007687
    z = (z ^ ((z >> 27) & 0x1FFFFFFFFF)) * -7723592293110705685
    return z ^ ((z >> 31) & 0x1FFFFFFFF)


@triton.jit
def _pick(
    logits,
    temperature,
    stats,
    lasts,
    lengths,
    positions,
    seeds,
    drawn,
    vocabulary,
    spans,
    row_stride,
    stat_stride,
    drawn_stride,
    SPAN: tl.constexpr,
    SPANS: tl.constexpr,
):
    """First the span in which the running sum exceeds u × total, then the token in it."""
    row = tl.program_id(0).to(tl.int64)
    span = tl.arange(0, SPANS)
    mine = stats + row * spans + span
    tops = tl.load(mine, mask=span < spans, other=float("-inf"))
    top = tl.max(tops, 0)
    warmth = tl.load(temperature + row)
    divisor = tl.where(warmth == 0, 1.0, warmth)
    less = tops - tl.where(top == float("-inf"), 0.0, top)
    masses = tl.load(mine + 2 * stat_stride, mask=span < spans, other=0.0) * tl.exp(less / divisor)
    raw = tl.sum(tl.load(mine + 3 * stat_stride, mask=span < spans, other=0.0) * tl.exp(less), 0)
    sums = masses.to(tl.float64)
    running = tl.cumsum(sums, 0)
    total = tl.sum(sums, 0)

    position = tl.load(positions + row)
    bits = _mixed(_mixed(tl.load(seeds + row) - 7046029254386353131) + (position + 1) * -7046029254386353131)
    u = ((bits >> 11) & 0x1FFFFFFFFFFFFF).to(tl.float64) * 1.1102230246251565e-16  # 2^-53; see `draw.uniforms`
    target = u * total
    # Rounding may lift the target to the total itself: then the last that has any mass is meant.
    chosen = tl.minimum(tl.sum((running <= target).to(tl.int32), 0), tl.max(tl.where(sums > 0, span, 0), 0))
    rest = target - tl.sum(tl.where(span < chosen, sums, 0.0), 0)

    at = tl.arange(0, SPAN)
    x = tl.load(
        logits + row * row_stride + chosen * SPAN + at, mask=chosen * SPAN + at < vocabulary, other=float("-inf")
    ).to(tl.float32)
    weights = tl.exp((x - top) / divisor).to(tl.float64)
    inside = tl.cumsum(weights, 0)
    found = tl.minimum(tl.sum((inside <= rest).to(tl.int32), 0), tl.max(tl.where(weights > 0, at, 0), 0))
    token = chosen * SPAN + found

    highest = tl.min(tl.where((tops == top) & (span < spans), span, SPANS), 0)
    places = tl.load(mine + stat_stride, mask=span < spans, other=0.0)
    likeliest = highest * SPAN + tl.sum(tl.where(span == highest, places, 0.0), 0).to(tl.int32)
    token = tl.where(warmth == 0, likeliest, token)
    finite = (tl.abs(top) < float("inf")) & (tl.abs(total) < float("inf"))  # false for NaN too
    token = tl.where(finite, token, 0)

    logit = tl.load(logits + row * row_stride + token).to(tl.float32)
    tl.store(drawn + row, token.to(tl.float64))
    tl.store(drawn + drawn_stride + row, ((logit - top) / divisor).to(tl.float64) - tl.log(total))
    tl.store(drawn + 2 * drawn_stride + row, (logit - top - tl.log(raw)).to(tl.float64))
    tl.store(drawn + 3 * drawn_stride + row, finite.to(tl.float64))
    tl.store(lasts + row, token.to(tl.int64))
    tl.store(lengths + row, tl.load(lengths + row) + 1)
    tl.store(positions + row, position + 1)
