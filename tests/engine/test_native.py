"""The compiled functions give what torch gives."""

import shutil
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from backtalk.engine import native
from backtalk.engine.generate import generate
from backtalk.engine.native import Native
from backtalk.engine.pages import PAGE
from backtalk.engine.rope import rotate
from backtalk.engine.sampling import Sampling
from tests.engine.conftest import FAMILIES, tiny_model
from tests.engine.test_runner import prompts_of, runner_of

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: install gcc")

# bfloat16 has 8 bits of mantissa: one rounding is off by up to 2^-9 of the value, here at most about 4.
TOLERANCE = {torch.float32: 2e-6, torch.bfloat16: 0.02}

each_dtype = pytest.mark.parametrize("dtype", TOLERANCE)


def compiled(dtype: torch.dtype) -> Native:
    found = native.find(dtype, torch.device("cpu"))
    assert found is not None
    return found


@each_dtype
def test_norm(dtype: torch.dtype) -> None:
    x, weight = torch.randn(5, 3, 48).to(dtype), torch.randn(48).to(dtype)
    expected = F.rms_norm(x.double(), (48,), weight.double(), 1e-5)
    assert torch.allclose(compiled(dtype).norm(x, weight, 1e-5).double(), expected, atol=TOLERANCE[dtype], rtol=1e-2)


@each_dtype
def test_swiglu_over_the_whole_range_of_numbers(dtype: torch.dtype) -> None:
    gate = torch.cat((torch.linspace(-100, 100, 999), torch.tensor([0.0]))).to(dtype)
    up = torch.randn(1000).to(dtype)
    found = compiled(dtype).swiglu(torch.cat((gate, up))[None])[0].double()
    expected = F.silu(gate.double()) * up.double()
    assert torch.allclose(found, expected, rtol=3e-7 if dtype == torch.float32 else 1e-2, atol=1e-30)


@each_dtype
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (6, 2)])
@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize("cap", [None, 0.7])
def test_attend(
    dtype: torch.dtype, heads: int, kv_heads: int, window: int | None, turned: bool, cap: float | None
) -> None:
    torch.manual_seed(0)
    count, size, longest = 3, 16, 40
    packed = torch.randn(count, heads + 2 * kv_heads, size).to(dtype)
    query, key, value = packed[:, :heads], packed[:, heads:-kv_heads], packed[:, -kv_heads:]
    keys, values = torch.randn(2, kv_heads, 10 * PAGE, size).to(dtype)
    tables, lengths = torch.tensor([[3, 0, 0], [9, 1, 0], [5, 8, 2]]), torch.tensor([1, 17, 40])
    angles = torch.randn(count, 1, size // 2)
    cos, sin = torch.cat((angles.cos(),) * 2, -1).to(dtype), torch.cat((-angles.sin(), angles.sin()), -1).to(dtype)

    expected = reference(
        query, key, value, cos, sin, keys.clone(), values.clone(), tables, lengths, window, turned, cap
    )
    untouched = keys.clone()
    turn = None if turned else (cos, sin)
    found = compiled(dtype).attend(
        *(query, key, value, turn, keys, values, tables, lengths, longest, window, size**-0.5, cap)
    )
    assert torch.allclose(found.double(), expected, atol=TOLERANCE[dtype], rtol=1e-5)
    written = torch.tensor([3 * PAGE, 1 * PAGE, 2 * PAGE + 7])
    assert torch.equal(values[:, written], value.transpose(0, 1))
    others = torch.ones(10 * PAGE, dtype=torch.bool)
    others[written] = False
    assert torch.equal(keys[:, others], untouched[:, others])


def test_a_token_sees_what_one_before_it_in_the_same_call_has_written() -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 2, 16) for _ in range(3))
    keys, values = torch.zeros(2, 2, 4 * PAGE, 16)
    table = torch.tensor([[2], [2]])
    out = compiled(torch.float32).attend(
        *(query, key, value, None, keys, values, table, torch.tensor([1, 2]), 2, None, 0.25, None)
    )
    weights = (torch.einsum("hd,phd->hp", query[1], key) * 0.25).softmax(-1)
    assert torch.allclose(out[1], torch.einsum("hp,phd->hd", weights, value).flatten(), atol=1e-6)


def reference(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cos: Tensor,
    sin: Tensor,
    keys: Tensor,
    values: Tensor,
    tables: Tensor,
    lengths: Tensor,
    window: int | None,
    turned: bool,
    cap: float | None,
) -> Tensor:
    """Token by token in float64."""
    query, key, value, cos, sin, keys, values = (x.double() for x in (query, key, value, cos, sin, keys, values))
    if not turned:
        query, key = rotate(query, cos, sin), rotate(key, cos, sin)
    out = []
    for i, (table, end) in enumerate(zip(tables.tolist(), lengths.tolist(), strict=True)):
        places = [table[p // PAGE] * PAGE + p % PAGE for p in range(end)]
        keys[:, places[-1]], values[:, places[-1]] = key[i], value[i]
        seen = places[-window:] if window else places
        group = query.shape[1] // key.shape[1]
        k, v = (x[:, seen].repeat_interleave(group, 0) for x in (keys, values))  # [H, len, D]
        scores = torch.einsum("hd,hpd->hp", query[i], k) / query.shape[2] ** 0.5
        weights = (scores if cap is None else cap * (scores / cap).tanh()).softmax(-1)
        out.append(torch.einsum("hp,hpd->hd", weights, v).flatten())
    return torch.stack(out)


@pytest.mark.parametrize("family", FAMILIES)
def test_replies_are_the_same_with_and_without(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, prompts, wish = tiny_model(family), prompts_of(6), Sampling(max_tokens=30, temperature=1, seed=4)
    fast = generate(runner_of(model), prompts, wish, slots=4, prefill=16)
    monkeypatch.setattr(native, "find", lambda dtype, device: None)
    plain = generate(runner_of(model), prompts, wish, slots=4, prefill=16)
    assert [c.tokens for c in fast] == [c.tokens for c in plain]
    for one, other in zip(fast, plain, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=2e-4)


def test_without_a_compiler_torch_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    native._built.cache_clear()
    try:
        assert native.find(torch.float32, torch.device("cpu")) is None
    finally:
        native._built.cache_clear()


def test_the_library_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    native._built.cache_clear()
    try:
        compiled(torch.float32)
        (library,) = (tmp_path / "backtalk").iterdir()
        made = library.stat().st_mtime_ns
        native._built.cache_clear()
        compiled(torch.float32)
        assert library.stat().st_mtime_ns == made
    finally:
        native._built.cache_clear()
