"""Pairs that must agree: single and batched, padded and not, our log-probs and the model's own."""

from random import Random

import torch
from torch.testing import assert_close
from transformers import PreTrainedModel

from backtalk.template import Template, Turn
from learner.rollouts import draw
from learner.sequences import Exchange, all_logprobs, by_length, collate, endless, logprobs

EXCHANGES = [
    Exchange((2, 5, 6, 3), (7, 8, 1), "xx"),
    Exchange((2, 9, 3), (10, 11, 12, 13, 14, 1), "xxxxx"),
    Exchange((2, 15, 16, 17, 18, 19, 20, 3), (21,), "x"),
]


def test_batched_log_probs_are_those_of_each_alone(policy: PreTrainedModel) -> None:
    together = all_logprobs(policy, EXCHANGES)
    for exchange, line in zip(EXCHANGES, together, strict=True):
        assert_close(line, all_logprobs(policy, [exchange])[0], rtol=2e-2, atol=2e-2)


def test_exact_log_probs_are_those_of_the_model_itself(policy: PreTrainedModel) -> None:
    """Without autocast: to the sixth digit, against the softmax of the model's own logits."""
    batch = collate(EXCHANGES)
    with torch.no_grad():
        found = logprobs(policy, batch)
        for row, exchange in enumerate(EXCHANGES):
            tokens = torch.tensor([[*exchange.prompt, *exchange.reply]])
            every = policy(input_ids=tokens).logits[0].log_softmax(-1)
            start = len(exchange.prompt)
            for place, token in enumerate(exchange.reply):
                assert_close(found[row, place], every[start - 1 + place, token], rtol=1e-5, atol=1e-5)


def test_padding_on_the_left_with_a_mask_gives_the_same_as_ours_on_the_right(policy: PreTrainedModel) -> None:
    batch = collate(EXCHANGES)
    rows = [[*exchange.prompt, *exchange.reply] for exchange in EXCHANGES]
    longest = max(map(len, rows))
    left = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    positions = (mask.cumsum(-1) - 1).clamp_min(0)
    with torch.no_grad():
        ours = logprobs(policy, batch)
        every = policy(input_ids=left, attention_mask=mask, position_ids=positions).logits.log_softmax(-1)
    for row, exchange in enumerate(EXCHANGES):
        count = len(exchange.reply)
        theirs = every[row, -count - 1 : -1].gather(1, torch.tensor(exchange.reply)[:, None])[:, 0]
        assert_close(ours[row, :count], theirs, rtol=1e-4, atol=1e-4)


def test_temperature_divides_the_logits(policy: PreTrainedModel) -> None:
    batch = collate(EXCHANGES[:1])
    with torch.no_grad():
        logits = policy(input_ids=batch.tokens).logits[0, 3] / 0.5
        assert_close(logprobs(policy, batch, 0.5)[0, 0], logits.log_softmax(-1)[7], rtol=1e-5, atol=1e-5)


def test_what_was_drawn_has_the_log_probs_of_the_training_forward(policy: PreTrainedModel, template: Template) -> None:
    prompts = [tuple(template.render([Turn("user", text)])) for text in ("abc", "hello you", "x")] * 4
    rollouts = draw(policy, template, prompts, temperature=1.0, maximum_tokens=12, seed=3)
    assert len({rollout.exchange.reply for rollout in rollouts}) > 3  # fresh replies, not copies
    batch = collate([rollout.exchange for rollout in rollouts])
    with torch.no_grad():
        lines = logprobs(policy, batch)
    for rollout, line in zip(rollouts, lines, strict=True):
        assert_close(line[: len(rollout.logprobs)], torch.tensor(rollout.logprobs), rtol=1e-3, atol=1e-3)
        assert rollout.ended == (rollout.exchange.reply[-1] in template.ends)


def test_the_same_seed_draws_the_same_replies(policy: PreTrainedModel, template: Template) -> None:
    prompts = [tuple(template.render([Turn("user", "abc")]))] * 3
    settings = {"temperature": 1.0, "maximum_tokens": 8}
    first, again, other = (draw(policy, template, prompts, seed=seed, **settings) for seed in (1, 1, 2))  # type: ignore[arg-type]
    assert [r.exchange for r in first] == [r.exchange for r in again] != [r.exchange for r in other]


def test_every_row_comes_once_before_any_comes_twice() -> None:
    lengths = [number % 7 for number in range(50)]
    batches = endless(lengths, 8, Random(0))
    epoch = [row for _ in range(7) for row in next(batches)]
    assert sorted(epoch) == list(range(50))


def test_batches_by_length_hold_every_row_once() -> None:
    batches = by_length(EXCHANGES, 2, Random(0))
    assert sorted(row for rows in batches for row in rows) == [0, 1, 2]
