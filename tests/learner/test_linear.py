"""The readable model: its weights name what people like, and thumbs, pairs and scores each teach it."""

import time
from random import Random

import pytest
import torch
from transformers import PreTrainedModel

from backtalk.template import Template
from learner import linear
from learner.examples import Examples, Pair, Score
from learner.intervals import auc
from tests.learner.planted import WORDS, exchange, exclaims, sentence, thumbs


def foretells(model: linear.LinearModel, policy: PreTrainedModel, template: Template) -> float:
    """AUC on sentences it has not seen."""
    rng = Random(99)
    texts = [sentence(rng) for _ in range(60)]
    seen = [exchange(template, rng.choice(WORDS), text) for text in texts]
    return auc(model.preference(seen, policy, template.ends), [exclaims(text) for text in texts])


def pairs(template: Template, count: int = 40) -> Examples:
    rng, said = Random(1), Examples()
    for number in range(count):
        words = sentence(rng)[:-1]
        better, worse = exchange(template, "go", words + "!"), exchange(template, "go", words + ".")
        said.pairs.append(Pair(f"p{number % 5}", better, worse))
    return said


def scores(template: Template, count: int = 60) -> Examples:
    rng, said = Random(2), Examples()
    for number in range(count):
        text = sentence(rng)
        points = 5.0 if exclaims(text) else 2.0
        said.scores.append(Score(f"p{number % 5}", exchange(template, "go", text), "quality", points))
    return said


def test_the_strongest_weight_is_the_planted_taste(policy: PreTrainedModel, template: Template) -> None:
    model = linear.fit(linear.tabulate(policy, thumbs(template, flip=0.1), template.ends))
    named = model.readable()
    first = list(named)[1:4]  # after the bias
    assert set(first) & {"ends with an exclamation", "exclamations"}, named
    assert named["ends with an exclamation"] > 0 > named["ends with a full stop"]
    assert foretells(model, policy, template) > 0.98


@pytest.mark.parametrize("said", [pairs, scores])
def test_pairs_alone_and_scores_alone_teach_it_too(said: object, policy: PreTrainedModel, template: Template) -> None:
    model = linear.fit(linear.tabulate(policy, said(template), template.ends))  # type: ignore[operator]
    assert foretells(model, policy, template) > 0.95


def test_equal_pairs_teach_nothing(policy: PreTrainedModel, template: Template) -> None:
    said = Examples(pairs=[Pair(p.person, p.better, p.worse, target=0.5) for p in pairs(template).pairs])
    assert linear.fit(linear.tabulate(policy, said, template.ends)).weights.abs().max() < 1e-6


def test_ten_thousand_opinions_take_less_than_a_second_to_fit(policy: PreTrainedModel, template: Template) -> None:
    """CPU seconds of the fit itself, with ten times the room: no clock decides this test, only a wrong algorithm."""
    from learner.features import NAMES
    from learner.logistic import solve

    lines = torch.randn(10_000, 1 + len(NAMES), dtype=torch.float64)
    began = time.process_time()
    solve(lines, (torch.rand(10_000) < 0.5).double(), torch.ones(10_000).double())
    assert time.process_time() - began < 10
