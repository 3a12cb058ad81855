# mypy: disable-error-code="no-untyped-def,no-untyped-call,attr-defined,untyped-decorator"
"""What a GPU computes in one go where torch would need several: attention over pages, norms, gates, and small
multiplications.

Triton compiles it at its first use on the machine that runs it. Nothing needs it: without it torch does the same.
Numbers are float32 inside, whatever the tensors are.

Shapes: t single tokens, T tokens of prompt chunks, H query heads, K key/value heads, G = H / K, D head size.

A small model's step is a few hundred kernels of a few microseconds each, much of which is the way from one to the next.
So each kernel lets the next one begin as soon as it runs itself, fetches what no kernel of this step writes, and only
then waits (programmatic dependent launch, CUDA C++ Programming Guide).

Attention keeps a running maximum and sum (online softmax, arXiv 1805.02867); for single tokens each part of a long text
has a program of its own (Flash-Decoding, Dao et al. 2023).
"""

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from backtalk.engine.pages import PAGE

KEYS, TOKENS = 64, 64
"""Of a prompt chunk: keys that a program looks at at once, where they fit, and tokens that it attends for."""
PROGRAMS = 512
"""About four for each multiprocessor of a large GPU: with fewer, texts are cut into parts (measured on an H200, as are
all numbers here)."""
CUTS = {
    32: (32, 8192, 4, 1),
    16: (64, 8192, 2, 2),
    8: (128, 8192, 4, 1),
    4: (64, 4096, 4, 3),
    2: (64, 8192, 2, 3),
    1: (128, 8192, 2, 3),
}
"""For each number of parts: keys that a program looks at at once, how many numbers these may be, its warps, and how
many such looks are on their way at once."""
AHEAD = 8
"""With so many parts or more, a program fetches the first of what it looks at while it waits for its queries: all of
its part, if the text is no longer than 1,024 tokens."""
FEW, SOME = 16, 64
"""Tokens up to which a multiplication is ours, and up to which one with small weights is, …"""
SMALL = 1 << 24
"""… which have fewer elements than this."""
NARROW = 4096
"""The most inputs that a large one may have: cuBLAS cuts longer sums into parts, which pays."""
PART = {1: 1024, FEW: 640, SOME: 1280}
"""Inputs of a part of a sum that is cut into parts, for up to so many tokens."""
SHARED = 224 * 1024
"""Bytes, where there is no GPU to ask."""


class Kernels:
    """The same functions as `native.Native`, and more, on CUDA tensors of one dtype."""

    how = "Triton's attention"

    def __init__(self, dtype: torch.dtype) -> None:
        # Three products of tensor cores give float32 no more than float32's own error.
        self._precision = "ieee" if dtype == torch.float32 else "tf32"
        self._chained = torch.cuda.is_available() and torch.cuda.get_device_capability() >= (9, 0)
        self._launch = {"launch_pdl": True} if self._chained else {}
        self._bytes = dtype.itemsize
        self._shared = _shared_memory() if torch.cuda.is_available() else SHARED

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        turn: tuple[Tensor, Tensor] | None,
        keys: Tensor,
        values: Tensor,
        tables: Tensor,
        lengths: Tensor,
        longest: int,
        window: int | None,
        scale: float,
        cap: float | None,
    ) -> Tensor:
        """Turn, write into the cache, and attend, for t tokens of t texts. See `Native.attend`.

        How the work is cut depends on `longest` and t alone, so that a captured call serves shorter texts too.
        """
        count, heads, size = query.shape
        kv_heads = key.shape[1]
        seen = longest if window is None else min(longest, window)
        wanted = max(1, min(PROGRAMS // (count * kv_heads), seen // 32))
        parts = next(parts for parts in CUTS if parts <= wanted)
        most, numbers, warps, stages = CUTS[parts]
        at_once = self.keys(min(most, max(16, numbers // triton.next_power_of_2(size))), size)
        out = query.new_empty(count, heads * size)
        partial = out if parts == 1 else query.new_empty(count, heads, parts, size, dtype=torch.float32)
        masses = out if parts == 1 else query.new_empty(count, heads, parts, dtype=torch.float32)
        cos, sin = turn if turn is not None else (query, query)
        group = heads // kv_heads
        _attend[count, kv_heads, parts](
            *(query, key, value, cos, sin, keys, values, tables, lengths, partial, masses),
            *(query.stride(0), key.stride(0), value.stride(0), keys.stride(0), tables.stride(0)),
            *(scale, cap or 0.0, window or 0),
            GROUP=group,
            ROWS=max(16, triton.next_power_of_2(group)),
            SIZE=size,
            WIDTH=max(16, triton.next_power_of_2(size)),
            KEYS=at_once,
            PAGE=PAGE,
            TURNED=turn is None,
            CAPPED=cap is not None,
            WINDOWED=window is not None,
            SPLIT=parts > 1,
            AHEAD=parts >= AHEAD,
            CHAINED=self._chained,
            PRECISION=self._precision,
            num_warps=warps,
            num_stages=self.stages(stages, 2 * at_once * size),
            **self._launch,
        )
        if parts > 1:
            _join[count, heads](
                *(partial, masses, out, parts),
                SIZE=size,
                WIDTH=triton.next_power_of_2(size),
                PARTS=triton.next_power_of_2(parts),
                CHAINED=self._chained,
                num_warps=1,
                **self._launch,
            )
        return out

    def extend(
        self,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        tables: Tensor,
        pieces: Tensor,
        longest: int,
        window: int | None,
        scale: float,
        cap: float | None,
    ) -> Tensor:
        """Attend for the tokens of prompt chunks, whose keys and values are in the cache already.

        Args:
            query: [T, H, D], turned.
            keys, values: one layer's cache, [K, places, D].
            tables: [P, B] int64, each chunk's pages.
            pieces: [3, P] int64: where in its text a chunk starts, how many tokens it has, where in T they begin.
            longest: the most tokens that a chunk has.
            window, scale, cap: see `attend`.

        Returns:
            [T, H D].
        """
        count, heads, size = query.shape
        at_once = self.keys(KEYS, size, TOKENS * size)
        out = query.new_empty(count, heads * size)
        _extend[triton.cdiv(longest, TOKENS), heads, len(tables)](
            *(query, keys, values, tables, pieces, out),
            *(query.stride(0), keys.stride(0), tables.stride(0), pieces.stride(0)),
            *(scale, cap or 0.0, window or 0),
            GROUP=heads // keys.shape[0],
            SIZE=size,
            WIDTH=max(16, triton.next_power_of_2(size)),
            TOKENS=TOKENS,
            KEYS=at_once,
            PAGE=PAGE,
            CAPPED=cap is not None,
            WINDOWED=window is not None,
            PRECISION=self._precision,
            num_warps=4,
            num_stages=self.stages(2, 2 * at_once * size, TOKENS * size),
        )
        return out

    def project(self, x: Tensor, weight: Tensor, bias: Tensor | None, is_gated: bool = False) -> Tensor | None:
        """x Wᵀ + b for few tokens: weights are read once, at the memory's pace, which cuBLAS misses for small ones.

        Args:
            x: [T, in] contiguous.
            weight: [out, in] contiguous.
            bias: [out].
            is_gated: `weight` holds gate and up, one below the other: the result is silu(gate) * up, [T, out / 2].

        Returns:
            [T, out], or None where it is better left to cuBLAS.
        """
        count, width = x.shape
        is_small = weight.numel() < SMALL and count <= SOME
        if not (is_small or count <= FEW) or width > NARROW or width % 128 or (is_gated and bias is not None):
            return None
        outs = len(weight) // 2 if is_gated else len(weight)
        out = x.new_empty(count, outs)
        self._project(x, weight, bias, out, outs, 1, is_gated)
        return out

    def project_in_parts(self, x: Tensor, weight: Tensor) -> Tensor | None:
        """x Wᵀ for few tokens and small weights, its sums cut into parts: what has few outputs is else left to few
        programs. `add_norm` adds them up.

        Args:
            x: [T, in] contiguous.
            weight: [out, in] contiguous.

        Returns:
            [parts, T, out] float32, or None where `project` or cuBLAS is better.
        """
        count, width = x.shape
        if weight.numel() >= SMALL or count > SOME or width % 128:
            return None
        parts = triton.cdiv(width, PART[_padded(count)])
        out = x.new_empty(parts, count, len(weight), dtype=torch.float32)
        self._project(x, weight, None, out, len(weight), parts, False)
        return out

    def _project(
        self, x: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor, outs: int, parts: int, is_gated: bool
    ) -> None:
        count, width = x.shape
        tokens = _padded(count)
        if tokens == 1:
            rows, step, warps = 4, min(1024, triton.next_power_of_2(width)), 2 if is_gated else 4
        else:
            is_wide = outs > 8192 or (is_gated and tokens == SOME)
            rows = 64 if is_wide else 32 if max(outs, width) > 2048 else 16
            step, warps = 128, 2 if tokens == FEW else 4
        across = tokens + rows * (2 if is_gated else 1)
        while step > 16 and step * across > self._shared // self._bytes:
            step //= 2
        _project[triton.cdiv(outs, rows), parts](
            *(x, weight, weight if bias is None else bias, out, count, outs),
            WIDTH=width,
            SPAN=triton.cdiv(triton.cdiv(width, parts), step) * step,
            TOKENS=tokens,
            OUTS=rows,
            STEP=step,
            BIASED=bias is not None,
            GATED=is_gated,
            CHAINED=self._chained,
            PRECISION=self._precision,
            num_warps=warps,
            num_stages=self.stages(5, step * across),
            **self._launch,
        )

    def keys(self, most: int, size: int, kept: int = 0) -> int:
        """How many keys and values of this size, at most `most`, a program looks at at once; `kept` as in `stages`."""
        while most > 16 and 2 * most * size > self._shared // self._bytes - kept:
            most //= 2
        return most

    def stages(self, most: int, tile: int, kept: int = 0) -> int:
        """How many tiles may be on their way at once: what is on its way lies in a multiprocessor's own memory.

        Args:
            most: more do not pay.
            tile: numbers in what one turn of a loop looks at.
            kept: numbers that lie there all the while.
        """
        return max(1, min(most, (self._shared // self._bytes - kept) // tile))

    def norm(self, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        """RMSNorm over the last dimension of a contiguous tensor."""
        out = torch.empty_like(x)
        self._norm(x, None, weight, epsilon, x, out)
        return out

    def add_norm(self, x: Tensor, y: Tensor, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
        """x + y, and its RMSNorm. Of `y` there may be several, [parts, T, d], all of which are added."""
        total, out = torch.empty_like(x), torch.empty_like(x)
        self._norm(x, y, weight, epsilon, total, out)
        return total, out

    def _norm(self, x: Tensor, y: Tensor | None, weight: Tensor, epsilon: float, total: Tensor, out: Tensor) -> None:
        size = weight.numel()
        width = triton.next_power_of_2(size)
        _norm[(x.numel() // size,)](
            *(x, x if y is None else y, weight, total, out, epsilon),
            SIZE=size,
            WIDTH=width,
            ADDS=0 if y is None else y.numel() // x.numel(),
            CHAINED=self._chained,
            num_warps=max(1, min(8, width // 256)),
            **self._launch,
        )

    def swiglu(self, gate_up: Tensor) -> Tensor:
        """[T, 2 I] contiguous -> silu(gate) * up, [T, I]."""
        count, double = gate_up.shape
        out = gate_up.new_empty(count, double // 2)
        _swiglu[count, triton.cdiv(double // 2, 1024)](
            *(gate_up, out, double // 2), BLOCK=1024, CHAINED=self._chained, num_warps=4, **self._launch
        )
        return out


def _shared_memory() -> int:
    """Bytes that a program may have in a multiprocessor's own memory, less what sums and the like need."""
    return int(getattr(torch.cuda.get_device_properties(), "shared_memory_per_block_optin", 49_152)) - 8192


def _padded(count: int) -> int:
    """Tokens that a program multiplies, some of which may be nobody's."""
    return 1 if count == 1 else FEW if count <= FEW else SOME


@triton.jit
def _let_next_begin(CHAINED: tl.constexpr):
    if CHAINED:
        gdc_launch_dependents()


@triton.jit
def _wait(CHAINED: tl.constexpr):
    """Until the kernel before this one is through. Every kernel does so, whether it needs to or not: only by that are
    those before the last through as well."""
    if CHAINED:
        gdc_wait()


@triton.jit
def _attend(
    query,
    key,
    value,
    cos,
    sin,
    keys,
    values,
    tables,
    lengths,
    out,
    masses,
    query_stride,
    key_stride,
    value_stride,
    cache_stride,
    table_stride,
    scale,
    cap,
    window,
    GROUP: tl.constexpr,
    ROWS: tl.constexpr,
    SIZE: tl.constexpr,
    WIDTH: tl.constexpr,
    KEYS: tl.constexpr,
    PAGE: tl.constexpr,
    TURNED: tl.constexpr,
    CAPPED: tl.constexpr,
    WINDOWED: tl.constexpr,
    SPLIT: tl.constexpr,
    AHEAD: tl.constexpr,
    CHAINED: tl.constexpr,
    PRECISION: tl.constexpr,
):
    _let_next_begin(CHAINED)
    token, head, part = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64), tl.program_id(2)
    parts = tl.num_programs(2)
    # Before it waits: no kernel of this step writes lengths, and those of torch that may have are through.
    known = tl.load(lengths + token) - 1  # in the cache; its own key comes last
    first = tl.maximum(known + 1 - window, 0) if WINDOWED else known * 0
    span = tl.cdiv(tl.cdiv(known - first, parts), KEYS) * KEYS
    begin = first + part * span
    end = tl.minimum(begin + span, known)

    at = tl.arange(0, WIDTH)
    fits = at < SIZE
    row = tl.arange(0, ROWS)
    asks = (row[:, None] < GROUP) & fits[None, :]
    table = tables + token * table_stride
    keys_here, values_here = keys + head * cache_stride, values + head * cache_stride
    if AHEAD:  # nor what lies in the cache already
        k_first, v_first = _fetch(keys_here, values_here, table, begin, end, SIZE, WIDTH, KEYS, PAGE)
    _wait(CHAINED)
    own = query + token * query_stride + (head * GROUP + row)[:, None] * SIZE
    q = tl.load(own + at[None, :], mask=asks, other=0.0)
    k_new = tl.load(key + token * key_stride + head * SIZE + at, mask=fits, other=0.0)
    v_new = tl.load(value + token * value_stride + head * SIZE + at, mask=fits, other=0.0)
    if not TURNED:
        other = tl.where(at < SIZE // 2, at + SIZE // 2, at - SIZE // 2)
        c = tl.load(cos + token * SIZE + at, mask=fits, other=0.0).to(tl.float32)
        s = tl.load(sin + token * SIZE + at, mask=fits, other=0.0).to(tl.float32)
        q_other = tl.load(own + other[None, :], mask=asks, other=0.0)
        k_other = tl.load(key + token * key_stride + head * SIZE + other, mask=fits, other=0.0)
        q = (q * c[None, :] + q_other * s[None, :]).to(q.dtype)
        k_new = (k_new * c + k_other * s).to(k_new.dtype)

    best = tl.full([ROWS], float("-inf"), tl.float32)
    mass = tl.zeros([ROWS], tl.float32)
    total = tl.zeros([ROWS, WIDTH], tl.float32)
    if AHEAD:
        best, mass, total = _look(
            q, k_first, v_first, begin, end, best, mass, total, scale, cap, KEYS, CAPPED, PRECISION
        )
        begin += KEYS
    for place in range(begin, end, KEYS):
        k, v = _fetch(keys_here, values_here, table, place, end, SIZE, WIDTH, KEYS, PAGE)
        best, mass, total = _look(q, k, v, place, end, best, mass, total, scale, cap, KEYS, CAPPED, PRECISION)
    if part == 0:
        place_new = (tl.load(table + known // PAGE) * PAGE + known % PAGE) * SIZE
        tl.store(keys_here + place_new + at, k_new, mask=fits)
        tl.store(values_here + place_new + at, v_new, mask=fits)
        score = tl.sum(q.to(tl.float32) * k_new.to(tl.float32)[None, :], 1) * scale
        if CAPPED:
            score = cap * (2 * tl.sigmoid(2 * score / cap) - 1)
        better = tl.maximum(best, score)
        shrink, weight = tl.exp(best - better), tl.exp(score - better)
        mass = mass * shrink + weight
        total = total * shrink[:, None] + weight[:, None] * v_new.to(tl.float32)[None, :]
        best = better

    total = total / tl.where(mass > 0, mass, 1.0)[:, None]
    answers = token * tl.num_programs(1) * GROUP + head * GROUP + row
    if SPLIT:
        answers = answers * parts + part
        tl.store(masses + answers, best + tl.log(tl.where(mass > 0, mass, 1.0)), mask=row < GROUP)
    tl.store(out + answers[:, None] * SIZE + at[None, :], total, mask=asks)


@triton.jit
def _fetch(
    keys, values, table, begin, end, SIZE: tl.constexpr, WIDTH: tl.constexpr, KEYS: tl.constexpr, PAGE: tl.constexpr
):
    """Keys [WIDTH, KEYS] and values [KEYS, WIDTH] of one head from `begin` on."""
    seen, at = begin + tl.arange(0, KEYS), tl.arange(0, WIDTH)
    valid, fits = seen < end, at < SIZE
    page = tl.load(table + seen // PAGE, mask=valid, other=0)
    where = (page * PAGE + seen % PAGE) * SIZE
    k = tl.load(keys + where[None, :] + at[:, None], mask=valid[None, :] & fits[:, None], other=0.0)
    v = tl.load(values + where[:, None] + at[None, :], mask=valid[:, None] & fits[None, :], other=0.0)
    return k, v


@triton.jit
def _look(
    q,
    k,
    v,
    begin,
    end,
    best,
    mass,
    total,
    scale,
    cap,
    KEYS: tl.constexpr,
    CAPPED: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Attend to keys from `begin` on: the highest score so far, the sum of weights, and of weighted values."""
    scores = tl.dot(q, k, input_precision=PRECISION) * scale
    if CAPPED:
        scores = cap * (2 * tl.sigmoid(2 * scores / cap) - 1)  # tanh
    scores = tl.where((begin + tl.arange(0, KEYS) < end)[None, :], scores, float("-inf"))
    better = tl.maximum(best, tl.max(scores, 1))
    against = tl.where(better == float("-inf"), 0.0, better)  # a part of a short text may be empty
    shrink = tl.exp(best - against)
    weights = tl.exp(scores - against[:, None])
    mass = mass * shrink + tl.sum(weights, 1)
    total = total * shrink[:, None] + tl.dot(weights.to(v.dtype), v, input_precision=PRECISION)
    return better, mass, total


@triton.jit
def _join(
    partial, masses, out, parts, SIZE: tl.constexpr, WIDTH: tl.constexpr, PARTS: tl.constexpr, CHAINED: tl.constexpr
):
    _let_next_begin(CHAINED)
    _wait(CHAINED)
    answer = tl.program_id(0).to(tl.int64) * tl.num_programs(1) + tl.program_id(1)
    part, at = tl.arange(0, PARTS), tl.arange(0, WIDTH)
    mass = tl.load(masses + answer * parts + part, mask=part < parts, other=float("-inf"))
    weights = tl.exp(mass - tl.max(mass, 0))
    wanted = (part[:, None] < parts) & (at[None, :] < SIZE)
    each = tl.load(partial + (answer * parts + part)[:, None] * SIZE + at[None, :], mask=wanted, other=0.0)
    tl.store(out + answer * SIZE + at, tl.sum(each * weights[:, None], 0) / tl.sum(weights, 0), mask=at < SIZE)


@triton.jit
def _extend(
    query,
    keys,
    values,
    tables,
    pieces,
    out,
    query_stride,
    cache_stride,
    table_stride,
    piece_stride,
    scale,
    cap,
    window,
    GROUP: tl.constexpr,
    SIZE: tl.constexpr,
    WIDTH: tl.constexpr,
    TOKENS: tl.constexpr,
    KEYS: tl.constexpr,
    PAGE: tl.constexpr,
    CAPPED: tl.constexpr,
    WINDOWED: tl.constexpr,
    PRECISION: tl.constexpr,
):
    block, head, piece = tl.program_id(0), tl.program_id(1).to(tl.int64), tl.program_id(2).to(tl.int64)
    start = tl.load(pieces + piece)
    count = tl.load(pieces + piece_stride + piece)
    offset = tl.load(pieces + 2 * piece_stride + piece)
    begins = block * TOKENS
    if begins < count:
        token = begins + tl.arange(0, TOKENS)
        at = tl.arange(0, WIDTH)
        fits = at < SIZE
        asks = (token[:, None] < count) & fits[None, :]
        q = tl.load(query + (offset + token)[:, None] * query_stride + head * SIZE + at[None, :], mask=asks, other=0.0)
        ends = start + tl.minimum(begins + TOKENS, count)
        first = tl.maximum(start + begins + 1 - window, 0) if WINDOWED else start * 0
        best = tl.full([TOKENS], float("-inf"), tl.float32)
        mass = tl.zeros([TOKENS], tl.float32)
        total = tl.zeros([TOKENS, WIDTH], tl.float32)
        for place in range(first, ends, KEYS):
            seen = place + tl.arange(0, KEYS)
            valid = seen < ends
            page = tl.load(tables + piece * table_stride + seen // PAGE, mask=valid, other=0)
            where = (head // GROUP) * cache_stride + (page * PAGE + seen % PAGE) * SIZE
            k = tl.load(keys + where[None, :] + at[:, None], mask=valid[None, :] & fits[:, None], other=0.0)
            v = tl.load(values + where[:, None] + at[None, :], mask=valid[:, None] & fits[None, :], other=0.0)
            scores = tl.dot(q, k, input_precision=PRECISION) * scale
            if CAPPED:
                scores = cap * (2 * tl.sigmoid(2 * scores / cap) - 1)
            sees = valid[None, :] & (seen[None, :] <= (start + token)[:, None])
            if WINDOWED:
                sees = sees & (seen[None, :] > (start + token - window)[:, None])
            scores = tl.where(sees, scores, float("-inf"))
            better = tl.maximum(best, tl.max(scores, 1))
            against = tl.where(better == float("-inf"), 0.0, better)  # nothing in its window yet
            shrink = tl.exp(best - against)
            weights = tl.exp(scores - against[:, None])
            mass = mass * shrink + tl.sum(weights, 1)
            total = total * shrink[:, None] + tl.dot(weights.to(v.dtype), v, input_precision=PRECISION)
            best = better
        total = total / tl.where(mass > 0, mass, 1.0)[:, None]
        answers = ((offset + token) * tl.num_programs(1) + head) * SIZE
        tl.store(out + answers[:, None] + at[None, :], total, mask=asks)


@triton.jit
def _project(
    x,
    weight,
    bias,
    out,
    count,
    outs,
    WIDTH: tl.constexpr,
    SPAN: tl.constexpr,
    TOKENS: tl.constexpr,
    OUTS: tl.constexpr,
    STEP: tl.constexpr,
    BIASED: tl.constexpr,
    GATED: tl.constexpr,
    CHAINED: tl.constexpr,
    PRECISION: tl.constexpr,
):
    _let_next_begin(CHAINED)
    row = tl.program_id(0).to(tl.int64) * OUTS + tl.arange(0, OUTS)
    fits = row < outs
    first = tl.program_id(1) * SPAN
    out += tl.program_id(1).to(tl.int64) * count * outs
    if TOKENS == 1:
        at = first + tl.arange(0, STEP)
        own = tl.load(
            weight + row[:, None] * WIDTH + at[None, :], mask=fits[:, None] & (at < WIDTH)[None, :], other=0.0
        )
        up = own
        if GATED:
            up = tl.load(
                weight + (outs + row)[:, None] * WIDTH + at[None, :],
                mask=fits[:, None] & (at < WIDTH)[None, :],
                other=0.0,
            )
        _wait(CHAINED)
        value = tl.load(x + at, mask=at < WIDTH, other=0.0).to(tl.float32)
        sums = own * value[None, :]
        gates = up * value[None, :]
        for _ in range(STEP, SPAN, STEP):
            at += STEP
            wanted = fits[:, None] & (at < WIDTH)[None, :]
            value = tl.load(x + at, mask=at < WIDTH, other=0.0).to(tl.float32)
            sums += tl.load(weight + row[:, None] * WIDTH + at[None, :], mask=wanted, other=0.0) * value[None, :]
            if GATED:
                up = tl.load(weight + (outs + row)[:, None] * WIDTH + at[None, :], mask=wanted, other=0.0)
                gates += up * value[None, :]
        total = tl.sum(sums, 1)
        if BIASED:
            total += tl.load(bias + row, mask=fits, other=0.0)
        if GATED:
            total = total * tl.sigmoid(total) * tl.sum(gates, 1)
        tl.store(out + row, total, mask=fits)
    else:
        _wait(CHAINED)
        at = first + tl.arange(0, STEP)
        token = tl.arange(0, TOKENS)
        asks = token < count
        total = tl.zeros([TOKENS, OUTS], tl.float32)
        ups = tl.zeros([TOKENS, OUTS], tl.float32)
        for _ in range(0, SPAN, STEP):
            inside = at < WIDTH
            asked = asks[:, None] & inside[None, :]
            values = tl.load(x + token[:, None] * WIDTH + at[None, :], mask=asked, other=0.0)
            wanted = inside[:, None] & fits[None, :]
            own = tl.load(weight + row[None, :] * WIDTH + at[:, None], mask=wanted, other=0.0)
            total = tl.dot(values, own, total, input_precision=PRECISION)
            if GATED:
                up = tl.load(weight + (outs + row)[None, :] * WIDTH + at[:, None], mask=wanted, other=0.0)
                ups = tl.dot(values, up, ups, input_precision=PRECISION)
            at += STEP
        if BIASED:
            total += tl.load(bias + row, mask=fits, other=0.0)[None, :]
        if GATED:
            total = total * tl.sigmoid(total) * ups
        tl.store(out + token[:, None] * outs + row[None, :], total, mask=asks[:, None] & fits[None, :])


@triton.jit
def _norm(
    x,
    y,
    weight,
    total,
    out,
    epsilon,
    SIZE: tl.constexpr,
    WIDTH: tl.constexpr,
    ADDS: tl.constexpr,
    CHAINED: tl.constexpr,
):
    _let_next_begin(CHAINED)
    row, at = tl.program_id(0).to(tl.int64), tl.arange(0, WIDTH)
    fits = at < SIZE
    gain = tl.load(weight + at, mask=fits, other=0.0)
    _wait(CHAINED)
    value = tl.load(x + row * SIZE + at, mask=fits, other=0.0)
    if ADDS > 0:
        added = value.to(tl.float32)
        for _ in tl.static_range(ADDS):
            added += tl.load(y + row * SIZE + at, mask=fits, other=0.0)
            y += tl.num_programs(0).to(tl.int64) * SIZE
        value = added.to(value.dtype)
        tl.store(total + row * SIZE + at, value, mask=fits)
    value = value.to(tl.float32)
    scale = tl.rsqrt(tl.sum(value * value, 0) / SIZE + epsilon)
    tl.store(out + row * SIZE + at, value * scale * gain, mask=fits)


@triton.jit
def _swiglu(gate_up, out, size, BLOCK: tl.constexpr, CHAINED: tl.constexpr):
    _let_next_begin(CHAINED)
    _wait(CHAINED)
    row, at = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    gate = tl.load(gate_up + row * 2 * size + at, mask=at < size, other=0.0).to(tl.float32)
    up = tl.load(gate_up + row * 2 * size + size + at, mask=at < size, other=0.0)
    tl.store(out + row * size + at, gate * tl.sigmoid(gate) * up, mask=at < size)
