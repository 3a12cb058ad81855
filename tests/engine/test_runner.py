"""The model's numbers: what the engine computes is what `transformers` computes."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from backtalk.engine import native
from backtalk.engine.core import Core, Output, Resident
from backtalk.engine.errors import EngineRefused, LoadFailed
from backtalk.engine.generate import Completion, generate
from backtalk.engine.loading import from_state, from_state_unchecked
from backtalk.engine.pages import PAGE
from backtalk.engine.runner import PackedRunner, Runner
from backtalk.engine.sampling import Sampling
from backtalk.engine.scheduler import Limits
from tests.engine.conftest import FAMILIES, OTHERS, VOCABULARY, tiny_model

TOLERANCE = 2e-4
"""Largest difference allowed between our log-probs and those of `transformers`, both float32. The models here have
logits of about ±30, so one unit in the last place is 2e-6, and sums are taken in another order."""

GREEDY = Sampling(max_tokens=24, temperature=0)


def runner_of(model: Any) -> Runner:
    return from_state(model.config, model.state_dict())


def prompts_of(count: int, longest: int = 40, seed: int = 0) -> list[list[int]]:
    chance = random.Random(seed)
    return [[chance.randrange(1, VOCABULARY) for _ in range(chance.randrange(1, longest))] for _ in range(count)]


def greedy_by_transformers(model: Any, prompt: Sequence[int], count: int) -> list[int]:
    ids = torch.tensor([prompt])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=False)
    tokens: list[int] = out[0, len(prompt) :].tolist()
    return tokens


def logits_by_transformers(model: Any, tokens: Sequence[int]) -> Tensor:
    """[T, V]"""
    with torch.inference_mode():
        logits: Tensor = model(torch.tensor([tokens])).logits[0].float()
    return logits


def run(core: Core) -> list[Output]:
    outputs = []
    while core.has_work:
        outputs += core.step()
    return outputs


@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_greedy_tokens_are_those_of_transformers(family: str) -> None:
    model = tiny_model(family)
    prompts = prompts_of(5)
    for prompt, completion in zip(prompts, generate(runner_of(model), prompts, GREEDY), strict=True):
        assert completion.tokens == greedy_by_transformers(model, prompt, 24)


def test_known_families_run_on_our_own_forward_and_the_rest_on_transformers() -> None:
    assert all(isinstance(runner_of(tiny_model(family)), PackedRunner) for family in FAMILIES)
    assert not any(isinstance(runner_of(tiny_model(family)), PackedRunner) for family in OTHERS)


def test_a_rope_that_changes_with_length_is_left_to_transformers() -> None:
    dynamic = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
    assert not isinstance(runner_of(tiny_model("llama", rope_parameters=dynamic)), PackedRunner)


@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_logprobs_equal_a_recomputation(family: str) -> None:
    """Behaviour: after temperature and penalty; raw: as the model gave it."""
    model = tiny_model(family)
    prompts = prompts_of(4)
    wish = Sampling(max_tokens=20, temperature=1.7, repetition_penalty=1.3, seed=5)
    for prompt, completion in zip(prompts, generate(runner_of(model), prompts, wish), strict=True):
        whole = prompt + completion.tokens
        logits = logits_by_transformers(model, whole)
        for i, token in enumerate(completion.tokens):
            row = logits[len(prompt) + i - 1]
            penalised = row.clone()
            for seen in set(whole[: len(prompt) + i]):
                penalised[seen] = penalised[seen] / 1.3 if penalised[seen] > 0 else penalised[seen] * 1.3
            assert completion.raw_logprobs[i] == pytest.approx(float(row.log_softmax(-1)[token]), abs=TOLERANCE)
            expected = float((penalised / 1.7).log_softmax(-1)[token])
            assert completion.logprobs[i] == pytest.approx(expected, abs=TOLERANCE)


def test_a_greedy_reply_has_the_logprobs_of_temperature_one() -> None:
    (completion,) = generate(runner_of(tiny_model("llama")), [[5, 6, 7]], GREEDY)
    assert completion.logprobs == pytest.approx(completion.raw_logprobs, abs=1e-5)
    assert all(logprob < 0 for logprob in completion.logprobs)


def test_a_batch_gives_what_each_gets_alone() -> None:
    runner = runner_of(tiny_model("qwen3"))
    prompts = prompts_of(9)
    wishes = [Sampling(max_tokens=30, temperature=0.5 + i % 3, seed=i, top_p=1 - 0.1 * (i % 2)) for i in range(9)]
    together = generate(runner, prompts, wishes, slots=4)
    for prompt, wish, completion in zip(prompts, wishes, together, strict=True):
        (alone,) = generate(runner, [prompt], wish)
        assert alone.tokens == completion.tokens
        assert alone.logprobs == pytest.approx(completion.logprobs, abs=TOLERANCE)


@pytest.mark.parametrize("family", ["llama", "mistral", "qwen2-window", "gemma2", "gemma3", "gpt2", "olmo2"])
@pytest.mark.parametrize("chunk", [1, 3, 16])
def test_a_prompt_in_chunks_gives_what_it_gives_whole(family: str, chunk: int) -> None:
    runner = runner_of(tiny_model(family))
    prompts = prompts_of(4)
    whole, chunked = generate(runner, prompts, GREEDY), generate(runner, prompts, GREEDY, prefill=chunk)
    assert [c.tokens for c in chunked] == [c.tokens for c in whole]
    for one, other in zip(whole, chunked, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=TOLERANCE)


def test_a_seed_gives_the_same_reply_again_and_another_seed_another() -> None:
    runner = runner_of(tiny_model("llama"))
    wishes = [Sampling(max_tokens=30, temperature=2, seed=seed) for seed in (7, 7, 8)]
    first, same, other = generate(runner, [[3, 4, 5]] * 3, wishes)
    assert first.tokens == same.tokens
    assert first.tokens != other.tokens


def test_n_replies_to_a_prompt_have_seeds_of_their_own() -> None:
    runner, wish = runner_of(tiny_model("llama")), Sampling(max_tokens=20, temperature=2, seed=7)
    replies = generate(runner, [[3, 4, 5], [6]], wish, n=3)
    expected = [
        generate(runner, [prompt], replace(wish, seed=seed))[0] for prompt in ([3, 4, 5], [6]) for seed in (7, 8, 9)
    ]
    assert [reply.tokens for reply in replies] == [reply.tokens for reply in expected]


def test_a_bias_is_obeyed_and_a_token_that_is_not_there_refused() -> None:
    runner = runner_of(tiny_model("llama", eos_token_id=None))
    (free,) = generate(runner, [[5, 6, 7]], GREEDY)
    (bound,) = generate(runner, [[5, 6, 7]], replace(GREEDY, logit_bias=tuple((t, -100.0) for t in set(free.tokens))))
    assert not set(bound.tokens) & set(free.tokens)
    with pytest.raises(EngineRefused, match="logit_bias names a token above 319"):
        generate(runner, [[5]], replace(GREEDY, logit_bias=((320, 1.0),)))


@pytest.mark.parametrize("cut", [1, 2, 9])
def test_a_reply_resumed_at_a_position_goes_on_as_if_undisturbed(cut: int) -> None:
    resident = Resident(runner_of(tiny_model("llama")))
    wish = Sampling(max_tokens=20, temperature=1.5, seed=11, repetition_penalty=1.1)
    prompt = [9, 8, 7]
    (whole,) = generate(resident.runner, [prompt], wish)
    core = Core(Limits())
    core.install(0, resident)
    core.submit("again", prompt + whole.tokens[:cut], wish, version=0, position=cut)
    outputs = run(core)
    assert [output.token for output in outputs] == whole.tokens[cut:]
    assert [output.logprob for output in outputs] == pytest.approx(whole.logprobs[cut:], abs=TOLERANCE)
    assert outputs[-1].finish_reason == whole.finish_reason


def test_the_reply_ends_at_an_end_token_which_belongs_to_its_tokens() -> None:
    model = tiny_model("llama")
    greedy = greedy_by_transformers(model, [4, 5, 6], 10)
    runner = from_state(model.config, model.state_dict(), eos=frozenset({greedy[3], 1}))
    (completion,) = generate(runner, [[4, 5, 6]], GREEDY)
    assert completion.tokens == greedy[: greedy.index(greedy[3]) + 1]
    assert completion.finish_reason == "stop"


def test_the_reply_ends_with_the_context() -> None:
    (completion,) = generate(runner_of(tiny_model("llama", eos_token_id=None)), [[5] * 250], Sampling(temperature=0))
    assert len(completion.tokens) == 6
    assert completion.finish_reason == "length"


@pytest.mark.parametrize("is_native", [True, False])
@pytest.mark.parametrize("family", ["llama", "mistral", "gemma2", "gpt2"])
def test_what_is_taken_from_the_cache_is_what_would_be_computed(
    family: str, is_native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A conversation turn by turn beside one that begins alike, and both anew."""
    if not is_native:
        monkeypatch.setattr(native, "find", lambda dtype, device: None)
    model = tiny_model(family, eos_token_id=None)
    core = Core(Limits())
    core.install(0, Resident(runner_of(model)))
    beginning, computed = prompts_of(1, 2)[0] + list(range(1, 70)), 0
    text = list(beginning)
    for turn in range(3):
        for number, prompt in enumerate((text, [*beginning, 9 + turn, 8], text[:-1])):
            core.submit((turn, number), prompt, GREEDY, version=0)
        outputs = run(core)
        for number, prompt in enumerate((list(text), [*beginning, 9 + turn, 8], text[:-1])):
            drawn = [output for output in outputs if output.request.id == (turn, number)]
            tokens = [output.token for output in drawn]
            assert tokens == greedy_by_transformers(model, prompt, 24)
            logits = logits_by_transformers(model, [*prompt, *(token for token in tokens if token is not None)])
            for i, output in enumerate(drawn):
                expected = float(logits[len(prompt) + i - 1].log_softmax(-1)[output.token])
                assert output.logprob == pytest.approx(expected, abs=TOLERANCE)
        text += [output.token or 0 for output in outputs if output.request.id == (turn, 0)] + [5, 6, 7]
        computed = core.scheduler.pages.kept
    assert computed > len(text) // PAGE  # it was kept, so the turns after the first did take it


@pytest.mark.parametrize("is_native", [True, False])
def test_nan_in_one_request_ends_only_that_one(is_native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not is_native:  # torch masks what lies beyond a row's length by a weight of 0, which NaN survives
        monkeypatch.setattr(native, "find", lambda dtype, device: None)
    model = tiny_model("llama", tie_word_embeddings=False)
    expected = greedy_by_transformers(model, [5, 6, 7], 24)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state["model.embed_tokens.weight"][33] = math.nan
    runner = from_state_unchecked(model.config, state, device=torch.device("cpu"))
    for _ in range(2):  # the second time the seats are those in which NaN sat
        # The third sits down where NaN sat, beside a longer one, so that its row is read beyond its own length.
        _, poisoned, late = generate(runner, [[7] * 30, [9, 9, 9, 9, 33], [5, 6, 7]], GREEDY, slots=2)
        assert poisoned == Completion([], [], [], "error")
        assert late.tokens == expected


def test_weights_that_are_not_finite_or_not_there_are_refused() -> None:
    model = tiny_model("llama")
    state = dict(model.state_dict())
    with pytest.raises(LoadFailed, match=r"weight model.norm.weight holds NaN"):
        from_state(model.config, {**state, "model.norm.weight": torch.full((64,), math.nan)})
    del state["model.norm.weight"]
    with pytest.raises(LoadFailed, match=r"weight model.norm.weight is missing"):
        from_state(model.config, state)


def test_the_runner_keeps_its_own_copy_of_the_weights() -> None:
    model = tiny_model("llama")
    runner = runner_of(model)
    before = generate(runner, [[5, 6, 7]], GREEDY)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert generate(runner, [[5, 6, 7]], GREEDY) == before
