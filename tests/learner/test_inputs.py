"""What heads see of a reply: the right tokens, no padding, no prompt, and weights in proportion to their priors."""

from typing import Any

import torch
from torch.testing import assert_close
from transformers import PreTrainedModel

from backtalk.template import Template
from learner.features import NAMES
from learner.inputs import FEATURES_PRIOR, PRIORS, Scale, look, width_of
from learner.sequences import collate
from tests.learner.planted import exchange

D = 32


def seen(policy: PreTrainedModel, *said: tuple[str, str], template: Template) -> torch.Tensor:
    batch = collate([exchange(template, question, answer) for question, answer in said])
    with torch.no_grad():
        return look(policy.base_model, batch, torch.zeros(len(said), len(NAMES)))


def test_a_reply_looks_the_same_beside_a_longer_one(policy: PreTrainedModel, template: Template) -> None:
    both = seen(policy, ("go", "ab"), ("go", "ab cab dad egg"), template=template)
    assert_close(both[:1], seen(policy, ("go", "ab"), template=template), rtol=1e-4, atol=1e-4)
    assert both.shape == (2, width_of(D))


def test_embeddings_are_of_the_reply_and_not_of_the_question(policy: PreTrainedModel, template: Template) -> None:
    one, other = seen(policy, ("go", "ab"), ("no", "ab"), template=template)
    assert_close(one[: 2 * D], other[: 2 * D])
    assert not torch.allclose(one[2 * D : 3 * D], other[2 * D : 3 * D])  # the middle layer has read the question


def test_the_first_embedding_is_of_the_first_token(policy: PreTrainedModel, template: Template) -> None:
    (found,) = seen(policy, ("go", "dab"), template=template)
    (letter,) = template.tokenizer.encode("d", add_special_tokens=False).ids
    parts: Any = policy
    table = parts.model.embed_tokens.weight.detach()
    assert_close(found[D : 2 * D], table[letter])


def test_the_mean_embedding_is_a_bag_of_words(policy: PreTrainedModel, template: Template) -> None:
    one, other = seen(policy, ("go", "ab cab"), ("go", "cab ab"), template=template)
    assert_close(one[:D], other[:D], rtol=1e-5, atol=1e-5)


def test_scaled_inputs_have_the_spread_of_their_prior() -> None:
    scale = Scale(D)
    raw = torch.randn(4000, width_of(D), generator=torch.Generator().manual_seed(0)) * 7 + 3
    scale.fit(raw)
    spread = scale(raw).std(0)
    assert_close(spread[:D], torch.full((D,), PRIORS["mean embedding"] ** 0.5), rtol=0.05, atol=0)
    assert_close(spread[-1], torch.tensor(FEATURES_PRIOR**0.5), rtol=0.05, atol=0)
    assert_close(scale(raw).mean(0), torch.zeros(width_of(D)), rtol=0, atol=0.01)


def test_what_never_varies_does_not_explode() -> None:
    scale = Scale(D)
    scale.fit(torch.ones(10, width_of(D)))
    assert float(scale(torch.ones(1, width_of(D)) * 2).abs().max()) <= 5
