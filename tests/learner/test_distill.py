"""Imitation: what is approved of, and that a policy learns to say it."""

from random import Random
from typing import Any

import pytest
import torch
from torch import tensor
from torch.testing import assert_close
from transformers import PreTrainedModel

from backtalk.recipe import Distill
from backtalk.template import Template
from learner.distill import approved, imitate, likelihood_loss
from learner.journal import Journal, NotFinite
from learner.sequences import Exchange, all_logprobs
from tests.learner.planted import exchange


def answers(count: int) -> list[Exchange]:
    """Two answers to each question."""
    return [Exchange((row // 2,), (row,), str(row)) for row in range(count)]


def test_the_best_reply_to_each_question_is_approved_best_first() -> None:
    said = answers(6)
    chosen = approved(said, tensor([0.0, 3.0, 1.0, 0.5, 2.0, 2.5]), torch.ones(6), share=1.0)
    assert [e.text for e in chosen] == ["1", "5", "2"]


def test_what_is_probably_disliked_is_not_approved() -> None:
    said = answers(6)
    chosen = approved(said, tensor([0.0, 3.0, 1.0, 0.5, 2.0, 2.5]), tensor([1.0, 1, -1, -1, 1, 1]), share=1.0)
    assert [e.text for e in chosen] == ["1", "5"]


def test_no_more_than_the_share_of_all_replies() -> None:
    assert len(approved(answers(40), torch.arange(40.0), torch.ones(40), share=0.25)) == 10


def test_where_nothing_is_liked_the_best_tenth_of_the_questions_still_shows_the_way() -> None:
    assert len(approved(answers(60), torch.arange(60.0), -torch.ones(60), share=0.25)) == 3


def test_the_loss_is_the_mean_over_the_tokens_of_all_replies(policy: PreTrainedModel, template: Template) -> None:
    said = [exchange(template, "go", "ab"), exchange(template, "no", "cab dad")]
    lines = all_logprobs(policy, said)
    expected = -torch.cat(lines).mean()
    assert_close(likelihood_loss(policy, said).detach(), expected, rtol=1e-2, atol=1e-2)


def test_a_policy_learns_to_say_what_it_is_shown(policy: PreTrainedModel, template: Template) -> None:
    shown = [exchange(template, question, "egg!") for question in ("go", "no", "ab", "cab")]
    before = [float(line.sum()) for line in all_logprobs(policy, shown)]
    journal = Journal()
    imitate(policy, shown * 8, Distill(learning_rate=5e-3, epochs=10, batch=8), Random(0), journal)
    after = [float(line.sum()) for line in all_logprobs(policy, shown)]
    assert all(a > b + 3 for a, b in zip(after, before, strict=True)), (before, after)
    assert journal.rows[-1]["distill_loss"] < journal.rows[0]["distill_loss"]


def test_nothing_to_imitate_changes_nothing(policy: PreTrainedModel) -> None:
    before = {name: tensor.clone() for name, tensor in policy.state_dict().items()}
    imitate(policy, [], Distill(), Random(0), Journal())
    assert all(tensor.equal(before[name]) for name, tensor in policy.state_dict().items())


def test_a_loss_that_is_no_number_stops_before_the_weights_move(policy: PreTrainedModel, template: Template) -> None:
    parts: Any = policy
    with torch.no_grad():
        parts.get_output_embeddings().weight[5] = float("nan")
    kept = parts.model.layers[0].mlp.up_proj.weight.clone()
    with pytest.raises(NotFinite, match="distill_loss"):
        imitate(policy, [exchange(template, "go", "ab")], Distill(), Random(0), Journal())
    assert parts.model.layers[0].mlp.up_proj.weight.equal(kept)
