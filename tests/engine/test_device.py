"""The engine on a GPU: the same replies as on a CPU, and as `transformers` gives.

Without a GPU the kernels run in Triton's interpreter where Triton is installed, uncaptured; without either nothing
here can run.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

HAS_GPU = torch.cuda.is_available()
if not HAS_GPU:
    os.environ.setdefault("TRITON_INTERPRET", "1")  # before the kernels are imported
pytest.importorskip("triton", reason="neither a GPU nor Triton's interpreter is here (pip install triton)")

from backtalk.engine import captured, fused, kernel_draw, kernels  # noqa: E402
from backtalk.engine.captured import CapturedRunner  # noqa: E402
from backtalk.engine.core import Core, Resident  # noqa: E402
from backtalk.engine.draw import Settings, draw, uniforms  # noqa: E402
from backtalk.engine.generate import generate  # noqa: E402
from backtalk.engine.loading import from_state, from_state_unchecked  # noqa: E402
from backtalk.engine.pages import PAGE  # noqa: E402
from backtalk.engine.runner import LAST, LENGTH, POSITION, SEED, Runner  # noqa: E402
from backtalk.engine.sampling import Sampling  # noqa: E402
from backtalk.engine.scheduler import Limits  # noqa: E402
from tests.engine.conftest import FAMILIES, tiny_model  # noqa: E402
from tests.engine.test_runner import (  # noqa: E402
    GREEDY,
    TOLERANCE,
    greedy_by_transformers,
    logits_by_transformers,
    prompts_of,
    run,
)

DEVICE = torch.device("cuda" if HAS_GPU else "cpu")
needs_gpu = pytest.mark.skipif(not HAS_GPU, reason="steps are captured on a GPU only, and there is none here")


@pytest.fixture(autouse=True)
def kernels_everywhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(fused, "find", lambda dtype, device: kernels.Kernels(dtype))
    yield


def runner_of(model: Any, dtype: torch.dtype = torch.float32) -> Runner:
    runner = from_state(model.config, model.state_dict(), device=DEVICE, dtype=dtype)
    assert isinstance(runner, CapturedRunner)
    return runner


@pytest.mark.parametrize("count", [1, 3, 40])
@pytest.mark.parametrize("width", [128, 896, 2432])
def test_few_tokens_are_multiplied_as_torch_does(count: int, width: int) -> None:
    kernel = kernels.Kernels(torch.float32)
    chance = torch.Generator().manual_seed(count)
    x, weight = (torch.randn(rows, width, generator=chance).to(DEVICE) for rows in (count, 70))
    bias, residual, gain = (torch.randn(*shape, generator=chance).to(DEVICE) for shape in ((70,), (count, 70), (70,)))
    weight = weight / width**0.5
    whole = x @ weight.T
    projected, parts = kernel.project(x, weight, bias), kernel.project_in_parts(x, weight)
    gated = kernel.project(x, weight, None, is_gated=True)
    assert projected is not None and gated is not None and parts is not None
    assert len(parts) == {128: 1, 896: 1 + (count == 3), 2432: 3 - (count > 3) + (count == 3)}[width]
    torch.testing.assert_close(projected, whole + bias, atol=1e-3, rtol=0)
    torch.testing.assert_close(gated, F.silu(whole[:, :35]) * whole[:, 35:], atol=1e-2, rtol=1e-4)
    total, normed = kernel.add_norm(residual, parts, gain, 1e-6)
    torch.testing.assert_close(total, residual + whole, atol=1e-3, rtol=0)
    torch.testing.assert_close(normed, F.rms_norm(residual + whole, (70,), gain, 1e-6), atol=1e-4, rtol=0)


@pytest.mark.parametrize("window", [None, 100])
@pytest.mark.parametrize("kv_heads, room", [(2, 192), (2, 1600), (32, 192), (96, 320)])
def test_texts_of_any_length_are_attended_to(kv_heads: int, room: int, window: int | None) -> None:
    """Cut into many parts, of which a short text leaves some empty and a long one fills some twice, into few, and
    not at all."""
    size, group = 32, 3
    lengths = torch.tensor([1, 2, 65, room // 2 + 5, room])
    chance = torch.Generator().manual_seed(room)
    per = room // PAGE
    tables = torch.randperm(len(lengths) * per, generator=chance).view(len(lengths), per)
    keys, values = (torch.randn(kv_heads, tables.numel() * PAGE, size, generator=chance) for _ in range(2))
    query, key, value = (
        torch.randn(len(lengths), heads, size, generator=chance) for heads in (kv_heads * group, kv_heads, kv_heads)
    )
    q, k, v, kept, kept_values, at, ends = (
        tensor.to(DEVICE) for tensor in (query, key, value, keys, values, tables, lengths)
    )
    kernel = kernels.Kernels(torch.float32)
    found = kernel.attend(q, k, v, None, kept, kept_values, at, ends, room, window, size**-0.5, None).cpu()
    for row, (length, table) in enumerate(zip(lengths.tolist(), tables, strict=True)):
        places = (table[:, None] * PAGE + torch.arange(PAGE)).view(-1)[:length]
        seen = slice(max(0, length - (window or length)), length)
        k, v = (
            torch.cat((cache[:, places[:-1]], new[row, :, None]), 1)[:, seen]
            for cache, new in ((keys, key), (values, value))
        )
        expected = F.scaled_dot_product_attention(query[row, :, None], k, v, enable_gqa=True)
        torch.testing.assert_close(found[row], expected.view(-1), atol=1e-4, rtol=1e-4)
        assert torch.equal(kept[:, places[-1]].cpu(), key[row])


@pytest.mark.parametrize("shared", [65_536, 101_376, 166_912, 232_448], ids=["T4", "L4", "A100", "H200"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_what_is_on_its_way_fits_into_every_card(shared: int, dtype: torch.dtype) -> None:
    kernel = kernels.Kernels(dtype)
    kernel._shared = shared - 8192
    for size in (64, 128, 256):  # of a head
        keys = kernel.keys(kernels.KEYS, size)
        assert keys >= 16 and kernel.stages(3, 2 * keys * size) * 2 * keys * size * dtype.itemsize < shared
    for tile in (128 * (16 + 2 * 32), 64 * (64 + 2 * 32), 128 * (64 + 16)):  # of a multiplication
        assert kernel.stages(5, tile) * tile * dtype.itemsize < shared
    if shared > 200_000 and dtype == torch.bfloat16:  # as measured there
        assert kernel.keys(kernels.KEYS, 256) == kernels.KEYS and kernel.stages(5, 128 * (16 + 2 * 64)) == 5


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_tokens_are_those_of_transformers(family: str) -> None:
    model = tiny_model(family)
    prompts = prompts_of(4, longest=90)
    for prompt, completion in zip(prompts, generate(runner_of(model), prompts, GREEDY), strict=True):
        assert completion.tokens == greedy_by_transformers(model, prompt, 24)


@pytest.mark.parametrize("wish", [Sampling(temperature=1.7), Sampling(temperature=1.7, repetition_penalty=1.3)])
def test_logprobs_equal_a_recomputation(wish: Sampling) -> None:
    model = tiny_model("llama")
    prompts = prompts_of(4)
    wish = replace(wish, max_tokens=20, seed=5)
    for prompt, completion in zip(prompts, generate(runner_of(model), prompts, wish), strict=True):
        whole = prompt + completion.tokens
        logits = logits_by_transformers(model, whole)
        for i, token in enumerate(completion.tokens):
            row = logits[len(prompt) + i - 1]
            wished = row.clone()
            for seen in set(whole[: len(prompt) + i]):
                wished[seen] *= 1 / wish.repetition_penalty if wished[seen] > 0 else wish.repetition_penalty
            assert completion.raw_logprobs[i] == pytest.approx(float(row.log_softmax(-1)[token]), abs=TOLERANCE)
            expected = float((wished / 1.7).log_softmax(-1)[token])
            assert completion.logprobs[i] == pytest.approx(expected, abs=TOLERANCE)


def test_a_batch_gives_what_each_gets_alone() -> None:
    """With more requests than seats, filters beside none, and ends while the next step is under way."""
    runner = runner_of(tiny_model("qwen3"))
    prompts = prompts_of(9)
    wishes = [Sampling(max_tokens=10 + i, temperature=0.5 + i % 3, seed=i, top_p=1 - 0.1 * (i % 2)) for i in range(9)]
    together = generate(runner, prompts, wishes, slots=4)
    for prompt, wish, completion in zip(prompts, wishes, together, strict=True):
        (alone,) = generate(runner, [prompt], wish)
        assert alone.tokens == completion.tokens
        assert alone.logprobs == pytest.approx(completion.logprobs, abs=TOLERANCE)


@pytest.mark.parametrize("family", ["llama", "mistral", "gemma2"])
@pytest.mark.parametrize("chunk", [3, 16])
def test_a_prompt_in_chunks_gives_what_it_gives_whole(family: str, chunk: int) -> None:
    runner = runner_of(tiny_model(family))
    prompts = prompts_of(3)
    whole, chunked = generate(runner, prompts, GREEDY), generate(runner, prompts, GREEDY, prefill=chunk)
    assert [c.tokens for c in chunked] == [c.tokens for c in whole]
    for one, other in zip(whole, chunked, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=TOLERANCE)


def test_prompts_that_begin_alike_share_pages() -> None:
    runner = runner_of(tiny_model("llama"))
    prompt = prompts_of(1, longest=90, seed=4)[0] * 3
    prompts = [[*prompt, token] for token in (5, 6, 7)]
    together = generate(runner, prompts, GREEDY)
    assert [c.tokens for c in together] == [generate(runner, [own], GREEDY)[0].tokens for own in prompts]


def test_the_draw_is_that_of_torch() -> None:
    rows, vocabulary = 6, 3 * kernel_draw.SPAN + 7
    logits = 3 * torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    logits[4, 2] = float("nan")
    logits[5, :-1] = float("-inf")
    integers = torch.randint(-(2**62), 2**62, (5, rows), device=DEVICE)
    integers[POSITION] = torch.arange(rows, device=DEVICE)
    temperature = torch.tensor([1.0, 0.7, 0.0, 2.0, 1.0, 1.0], device=DEVICE)
    zeros, ones = torch.zeros(rows, device=DEVICE), torch.ones(rows, device=DEVICE)
    none = torch.zeros(0, dtype=torch.int64, device=DEVICE)
    seed, position, length = integers[SEED].clone(), integers[POSITION].clone(), integers[LENGTH].clone()
    expected = draw(logits, Settings(temperature, zeros.long(), ones, zeros, none, seed, position))
    drawn = kernel_draw.draw(logits, temperature, integers[SEED], integers[LAST], integers[LENGTH], integers[POSITION])
    right = [0, 1, 2, 3, 5]
    assert drawn[3].tolist() == [1, 1, 1, 1, 0, 1]
    assert drawn[0, right].tolist() == expected.tokens[right].tolist() == integers[LAST, right].tolist()
    torch.testing.assert_close(drawn[1, right].float(), expected.logprobs[right], atol=1e-4, rtol=0)
    torch.testing.assert_close(drawn[2, right].float(), expected.raw[right], atol=1e-4, rtol=0)
    assert (integers[LENGTH] == length + 1).all() and (integers[POSITION] == position + 1).all()
    assert (uniforms(seed, position) < 1).all()


def test_nan_in_one_request_ends_only_that_one() -> None:
    model = tiny_model("llama")
    poisoned = 7
    model.get_input_embeddings().weight.data[poisoned] = float("nan")
    config, state = model.config, model.state_dict()
    config.tie_word_embeddings = False
    state["lm_head.weight"] = torch.nan_to_num(state["lm_head.weight"])
    runner = from_state_unchecked(config, state, device=DEVICE, dtype=torch.float32)
    good, bad, after = generate(runner, [[3, 4], [3, poisoned], [3, 5]], GREEDY, slots=2)
    assert bad.finish_reason == "error"
    assert (good.finish_reason, after.finish_reason) != ("error", "error")
    assert all(abs(logprob) < 1e4 for logprob in good.logprobs + after.logprobs)


def test_a_chat_takes_a_rollouts_seat_while_a_step_is_under_way() -> None:
    runner = runner_of(tiny_model("llama"))
    wish = Sampling(max_tokens=12, temperature=1, seed=3)
    core = Core(Limits(slots=1, tokens=256))
    core.install(1, Resident(runner))
    core.submit("rollout", [3, 4, 5], wish, version=1, priority="rollout")
    drawn: dict[Any, list[int]] = {"rollout": [], "chat": []}
    outputs = [output for _ in range(4) for output in core.step()]
    core.submit("chat", [3, 4, 5], wish, version=1)
    for output in outputs + run(core):
        drawn[output.request.id] += [] if output.token is None else [output.token]
    assert drawn["rollout"] == drawn["chat"] == generate(runner, [[3, 4, 5]], wish)[0].tokens


def test_a_reply_that_ends_while_others_go_on_gives_its_seat_and_pages_away() -> None:
    runner = runner_of(tiny_model("llama"))
    core = Core(Limits(slots=3, tokens=512))
    core.install(1, Resident(runner))
    wishes = {number: Sampling(max_tokens=1 + number % 5, temperature=1, seed=number) for number in range(11)}
    for number, wish in wishes.items():
        core.submit(number, [3, 4, number + 1], wish, version=1)
    drawn: dict[Any, list[int]] = {number: [] for number in wishes}
    for output in run(core):
        drawn[output.request.id] += [] if output.token is None else [output.token]
    assert core.scheduler.pages.used == 0
    for number, wish in wishes.items():
        assert drawn[number] == generate(runner, [[3, 4, number + 1]], wish)[0].tokens


@needs_gpu
@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2", "gemma2"])
def test_captured_steps_give_what_uncaptured_ones_give(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = prompts_of(9, longest=90)
    wishes = [Sampling(max_tokens=40, temperature=i % 2, seed=i) for i in range(9)]
    runner = runner_of(tiny_model(family))
    with_graphs = generate(runner, prompts, wishes, slots=5)
    assert isinstance(runner, CapturedRunner) and runner._captured
    monkeypatch.setattr(captured, "OFTEN", 10**9)
    plain = runner_of(tiny_model(family))
    without = generate(plain, prompts, wishes, slots=5)
    assert isinstance(plain, CapturedRunner) and not plain._captured
    assert [c.tokens for c in with_graphs] == [c.tokens for c in without]


@needs_gpu
def test_bfloat16_gives_nearly_what_float32_gives() -> None:
    model = tiny_model("llama", initializer_range=0.02)
    runner = runner_of(model, torch.bfloat16)
    prompts = prompts_of(4, longest=90)
    for prompt, completion in zip(prompts, generate(runner, prompts, replace(GREEDY, seed=1)), strict=True):
        whole = prompt + completion.tokens
        expected = logits_by_transformers(model, whole).log_softmax(-1)
        for i, token in enumerate(completion.tokens):
            assert completion.raw_logprobs[i] == pytest.approx(float(expected[len(prompt) + i - 1, token]), abs=0.05)


@needs_gpu
def test_another_version_is_prepared_in_another_thread_while_replies_go_on() -> None:
    first, second = tiny_model("llama", seed=1), tiny_model("llama", seed=2)
    core = Core(Limits(slots=4, tokens=4096))
    old = runner_of(first)
    core.install(1, Resident(old))
    old.prepare(4)
    wish = Sampling(max_tokens=200, temperature=1, seed=3)
    core.submit("old", [3, 4, 5], wish, version=1)
    tokens: dict[Any, list[int]] = {"old": [], "new": []}

    def load() -> Runner:
        with torch.cuda.stream(torch.cuda.Stream()):
            made = runner_of(second)
            made.share_room(old)
            made.prepare(4)
            torch.cuda.current_stream().synchronize()
        return made

    outputs = []
    with ThreadPoolExecutor(1) as loader:
        loading = loader.submit(load)
        while core.has_work and not loading.done():
            outputs += core.step()
        core.install(2, Resident(loading.result()))
        core.submit("new", [3, 4, 5], wish, version=2)
        outputs += run(core)
    for output in outputs:
        tokens[output.request.id] += [] if output.token is None else [output.token]
    assert tokens["old"] == generate(runner_of(first), [[3, 4, 5]], wish)[0].tokens
    assert tokens["new"] == generate(runner_of(second), [[3, 4, 5]], wish)[0].tokens
