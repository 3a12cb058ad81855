"""The draw: its distribution, its filters, its probability."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from backtalk.engine.draw import Settings, Wishes, draw, invert, uniforms

MASK = 2**64 - 1


def settings(count: int, *, seed: int = 1, temperature: float = 1.0, **given: Any) -> Settings:
    top_k, top_p, min_p = given.get("top_k", 0), given.get("top_p", 1.0), given.get("min_p", 0.0)
    return Settings(
        temperature=torch.full((count,), float(temperature)),
        top_k=torch.full((count,), top_k),
        top_p=torch.full((count,), top_p),
        min_p=torch.full((count,), min_p),
        filtered=torch.arange(count if top_k or top_p < 1 or min_p else 0),
        seed=torch.full((count,), seed),
        position=torch.arange(count),
    )


def frequencies(tokens: Tensor, vocabulary: int) -> list[float]:
    return (torch.bincount(tokens, minlength=vocabulary) / len(tokens)).tolist()


def splitmix64(state: int) -> int:
    """One output of SplitMix64, written down from the paper in unbounded integers."""
    z = (state + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def test_splitmix64_here_is_the_published_one() -> None:
    assert splitmix64(1234567) == 6457827717110365317  # first output of the reference program for this seed


@pytest.mark.parametrize("seed", [0, 1, -1, 2**63 - 1, -(2**63)])
@pytest.mark.parametrize("position", [0, 1, 1_000_000])
def test_uniforms_are_two_rounds_of_splitmix64(seed: int, position: int) -> None:
    bits = splitmix64((splitmix64(seed & MASK) + position * 0x9E3779B97F4A7C15) & MASK)
    assert uniforms(torch.tensor([seed]), torch.tensor([position])).item() == (bits >> 11) / 2**53


def test_uniforms_are_uniform_over_positions_and_over_seeds() -> None:
    many, zero = torch.arange(20_000), torch.zeros(20_000, dtype=torch.int64)
    for u in (uniforms(zero, many), uniforms(many, zero)):
        assert (u >= 0).all()
        assert (u < 1).all()
        shares = torch.histc(u.float(), 10, 0, 1) / len(u)
        assert shares.tolist() == pytest.approx([0.1] * 10, abs=0.01)


def test_the_inverse_cdf_takes_the_first_token_whose_running_sum_exceeds_u() -> None:
    weights = torch.tensor([[0.0, 1.0, 0.0, 2.0, 1.0]])
    places = [0.0, 0.2499, 0.25, 0.7499, 0.75, 1 - 2**-53]
    drawn = [invert(weights, torch.tensor([u], dtype=torch.float64)).item() for u in places]
    assert drawn == [1, 1, 3, 3, 4, 4]


def test_a_token_without_weight_is_never_drawn() -> None:
    weights = torch.zeros(1000, 500)
    weights[:, 77] = 1e-6
    weights[:, 401] = 1e-9
    tokens = invert(weights, uniforms(torch.zeros(1000, dtype=torch.int64), torch.arange(1000)))
    assert set(tokens.tolist()) <= {77, 401}


def test_drawn_frequencies_are_the_models_probabilities() -> None:
    logits = torch.tensor([math.log(p) for p in (0.5, 0.25, 0.125, 0.125)]).expand(20_000, 4)
    drawn = draw(logits, settings(20_000))
    assert frequencies(drawn.tokens, 4) == pytest.approx([0.5, 0.25, 0.125, 0.125], abs=0.012)
    assert drawn.logprobs[drawn.tokens == 1][0].item() == pytest.approx(math.log(0.25), abs=1e-6)


def test_temperature_two_takes_the_square_root_of_probabilities() -> None:
    logits = torch.tensor([math.log(0.8), math.log(0.2)]).expand(20_000, 2)
    drawn = draw(logits, settings(20_000, temperature=2.0))
    likelier = math.sqrt(0.8) / (math.sqrt(0.8) + math.sqrt(0.2))  # 2/3
    assert frequencies(drawn.tokens, 2)[0] == pytest.approx(likelier, abs=0.012)
    assert drawn.logprobs[drawn.tokens == 0][0].item() == pytest.approx(math.log(2 / 3), abs=1e-6)
    assert drawn.raw[drawn.tokens == 0][0].item() == pytest.approx(math.log(0.8), abs=1e-6)


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        ({"top_k": 2}, {0: 0.4 / 0.7, 1: 0.3 / 0.7}),
        ({"top_p": 0.699}, {0: 0.4 / 0.7, 1: 0.3 / 0.7}),  # 0.4 + 0.3 reaches it
        ({"top_p": 0.71}, {0: 0.4 / 0.9, 1: 0.3 / 0.9, 2: 0.2 / 0.9}),
        ({"top_p": 0.01}, {0: 1.0}),
        ({"min_p": 0.5}, {0: 0.4 / 0.9, 1: 0.3 / 0.9, 2: 0.2 / 0.9}),
        ({"min_p": 0.51}, {0: 0.4 / 0.7, 1: 0.3 / 0.7}),
        ({"top_k": 2, "top_p": 0.5}, {0: 1.0}),  # of what top-k left, 0.4 / 0.7 is enough
    ],
)
def test_filters_keep_the_likeliest_and_share_their_mass(filters: dict[str, Any], kept: dict[int, float]) -> None:
    # 0.2 has a hair more, so that rounding does not decide whether it is half of 0.4.
    logits = torch.tensor([0.4, 0.3, 0.2 + 1e-5, 0.1]).log().expand(8000, 4)
    drawn = draw(logits, settings(8000, **filters))
    found = frequencies(drawn.tokens, 4)
    assert {token for token, share in enumerate(found) if share} == set(kept)
    for token, probability in kept.items():
        assert found[token] == pytest.approx(probability, abs=0.025)
        logprob = drawn.logprobs[drawn.tokens == token][0].item()
        assert logprob == pytest.approx(math.log(probability), abs=1e-3)


@pytest.mark.parametrize("filters", [{"top_k": 700}, {"top_p": 0.9}, {"min_p": 0.001}, {"top_k": 900, "top_p": 0.95}])
def test_filters_that_keep_more_than_the_first_candidates_are_exact(filters: dict[str, Any]) -> None:
    """Against the filters of `transformers`, on a distribution so flat that hundreds of tokens stay."""
    from transformers import LogitsProcessorList, MinPLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    torch.manual_seed(0)
    logits = torch.randn(1, 1000).expand(3000, 1000)
    warpers = LogitsProcessorList()
    if "top_k" in filters:
        warpers.append(TopKLogitsWarper(filters["top_k"]))
    if "top_p" in filters:
        warpers.append(TopPLogitsWarper(filters["top_p"]))
    if "min_p" in filters:
        warpers.append(MinPLogitsWarper(filters["min_p"]))
    expected = warpers(torch.LongTensor([[0]]), logits[:1].clone()).log_softmax(-1)[0]
    drawn = draw(logits, settings(3000, **filters))
    assert (expected > -torch.inf).sum() > 300
    assert torch.allclose(drawn.logprobs, expected[drawn.tokens], atol=1e-4)


def test_a_bias_moves_a_token_and_leaves_the_raw_logprob_alone() -> None:
    logits = torch.tensor([0.4, 0.3, 0.2, 0.1]).log().expand(8000, 4)
    twice = Wishes(row=0, bias=[(1, math.log(2))], penalty=1, context=[])
    drawn = draw(logits, settings(8000), [replace(twice, row=row) for row in range(8000)])
    assert frequencies(drawn.tokens, 4) == pytest.approx([0.4 / 1.3, 0.6 / 1.3, 0.2 / 1.3, 0.1 / 1.3], abs=0.02)
    ones = drawn.tokens == 1
    assert drawn.logprobs[ones][0].item() == pytest.approx(math.log(0.6 / 1.3), abs=1e-6)
    assert drawn.raw[ones][0].item() == pytest.approx(math.log(0.3), abs=1e-6)


def test_a_token_may_be_forbidden_or_forced_for_one_row_alone() -> None:
    logits = torch.tensor([[0.0, 3.0, 1.0]]).expand(3, 3)
    greedy = settings(3, temperature=0)
    drawn = draw(logits, greedy, [Wishes(0, [(1, -100.0)], 1, []), Wishes(2, [(0, 100.0)], 1, [])])
    assert drawn.tokens.tolist() == [2, 1, 0]


def test_greedy_and_drawn_rows_share_a_batch() -> None:
    logits = torch.tensor([[0.0, 3.0, 1.0]]).expand(2, 3)
    mixed = settings(2)
    mixed.temperature[0] = 0
    drawn = draw(logits, mixed)
    assert drawn.tokens[0] == 1
    assert drawn.logprobs[0].item() == pytest.approx(logits[0].log_softmax(-1)[1].item(), abs=1e-6)


def test_rows_that_are_not_finite_are_marked_and_spoil_nobody() -> None:
    logits = torch.zeros(3, 4)
    logits[1, 2] = math.nan
    logits[2, 2] = math.inf
    drawn = draw(logits, settings(3, top_p=0.9))
    assert drawn.finite.tolist() == [True, False, False]
    assert drawn.logprobs[0].isfinite()


def test_a_forbidden_token_with_logit_minus_infinity_is_fine() -> None:
    drawn = draw(torch.tensor([[0.0, -math.inf]]), settings(1))
    assert drawn.finite.tolist() == [True]
    assert drawn.tokens.tolist() == [0]
    assert drawn.logprobs.tolist() == [0.0]
