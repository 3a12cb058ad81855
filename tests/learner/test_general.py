"""The perplexity of a general text: of a policy that knows nothing, and of one that has forgotten."""

import math
from random import Random

import pytest
import torch
from transformers import PreTrainedModel

from backtalk.recipe import Distill, Gate
from backtalk.starter import FILES
from backtalk.template import Template
from learner.distill import imitate
from learner.general import passages, perplexity
from learner.journal import Journal
from learner.sequences import load
from tests.learner.planted import exchange


def test_a_policy_that_knows_nothing_is_as_perplexed_as_it_has_tokens(
    policy: PreTrainedModel, template: Template
) -> None:
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.zero_()
    found = perplexity(policy, template)
    assert found.keys() == {"en", "zh"}
    assert found["en"] == pytest.approx(policy.config.vocab_size, rel=1e-3)


def test_passages_fit_the_context_and_never_end(template: Template) -> None:
    for _, exchange_ in passages(template):
        assert len(exchange_.prompt) == 1 and 0 < len(exchange_.reply) < template.context
        assert not set(template.ends) & set(exchange_.reply)


def test_a_policy_that_learned_one_word_by_heart_has_forgotten_the_rest(
    policy: PreTrainedModel, template: Template
) -> None:
    rng = Random(0)
    texts = [one.text.lower() for language, one in passages(template) if language == "en"]
    imitate(policy, [exchange(template, "go", t[:200]) for t in texts], Distill(epochs=8), rng, Journal())
    knows = perplexity(policy, template)["en"]
    imitate(policy, [exchange(template, "go", "ink")] * 64, Distill(learning_rate=1e-2, epochs=8), rng, Journal())
    assert math.isfinite(knows) and perplexity(policy, template)["en"] > 1.4 * knows


def test_noise_in_the_weights_of_the_bundled_policy_is_beyond_the_limit() -> None:
    """A fifth of each weight's spread: what no taste asks for, and what a judge of tastes need not see."""
    template, bundled = Template(FILES), load(FILES)
    was = perplexity(bundled, template)
    assert max(was.values()) < 100, "it has the words for this text"
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in bundled.parameters():
            parameter.add_(0.2 * parameter.std() * torch.randn_like(parameter))
    now = perplexity(bundled, template)
    assert max(now[language] / was[language] for language in was) > Gate().maximum_perplexity
