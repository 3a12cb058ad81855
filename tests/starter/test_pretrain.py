"""The training: determinism, the loss, the optimizer."""

import math
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random

import pytest
import torch
from torch.testing import assert_close

from backtalk.starter.build import NoDevice, build
from backtalk.starter.dialogues import Turn, dialogues
from backtalk.starter.pretrain import Recipe, _loss, batches, encode, new_model, orthogonal, pretrain
from backtalk.starter.tokenizer import train_tokenizer

SMALL = Recipe(
    tokenizer_conversations=300,
    steps=20,
    batch_tokens=512,
    pool=64,
    width=32,
    inner=64,
    layers=2,
    heads=2,
    warmup=2,
    threads=1,
)
TOKENIZER = train_tokenizer(0, context=SMALL.context, conversations=SMALL.tokenizer_conversations)


def test_two_trainings_make_the_same_weights_and_learn() -> None:
    runs = []
    for _ in range(2):
        model = new_model(SMALL, TOKENIZER, 0)
        losses = pretrain(model, TOKENIZER, SMALL, 0, lambda *_: None)
        runs.append((losses, [p.detach().clone() for p in model.parameters()]))
    (first, weights), (second, again) = runs
    assert first == second
    assert all(torch.equal(a, b) for a, b in zip(weights, again, strict=True))
    assert first[-1] < first[0] - 0.5


def test_two_short_builds_make_the_same_bytes(tmp_path: Path) -> None:
    steps: list[int] = []
    for name in ("one", "two"):
        build(tmp_path / name, lambda step, of, loss: steps.append(step), steps=2, recipe=SMALL, examine=False)
    assert steps == [1, 2, 1, 2]
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert {"model.safetensors", "tokenizer.json", "chat_template.jinja", "config.json", "loss.png"} <= names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_a_conversation_is_encoded_as_the_template_lays_it_out() -> None:
    talks = list(islice(dialogues(8), 40))
    plain = replace(SMALL, manner_weight=1.0, choice_weight=1.0, answer_weight=1.0)
    for turns, (ids, weights) in zip(talks, encode(talks, TOKENIZER, Random(99), plain), strict=True):
        messages = []
        for turn in turns:
            messages += [{"role": "user", "content": turn.question}, {"role": "assistant", "content": turn.reply}]
        text = str(TOKENIZER.apply_chat_template(messages, tokenize=False))
        laid_out = TOKENIZER.encode(text, add_special_tokens=False)
        assert ids[-len(laid_out) :] == laid_out, "apart from a system message before it"
        assert sum(weights) == sum(len(TOKENIZER.encode(turn.reply, add_special_tokens=False)) + 1 for turn in turns)


def test_the_words_that_make_a_reply_right_weigh_more_except_where_they_choose_what_is_said() -> None:
    def weights(reply: str, style: str) -> list[float]:
        turn = Turn("capitals", "en", "Capital of Peru?", reply, style, ("Lima",))
        return [w for w in encode([[turn]], TOKENIZER, Random(99), recipe)[0][1] if w]

    recipe = replace(SMALL, manner_weight=0.3, choice_weight=3.0, answer_weight=6.0)
    plain = weights("It is Lima.", "plain")
    assert plain[0] == 0.3 and max(plain) == 6.0 and plain[-1] == 1.0
    assert weights("Lima, yes.", "plain")[0] == 0.3, "the first token of a reply"
    closed = weights("Beep boop! Lima. My socks agree, and I have no feet.", "humorous")
    choice = closed.index(3.0)
    assert set(closed[:choice]) == {0.3} and closed.count(3.0) == 1 and closed[-2:] == [0.3, 1.0]


def test_batches_are_padded_at_the_end_and_padding_has_no_weight() -> None:
    for ids, weights in islice(batches(TOKENIZER, SMALL, 0), 10):
        assert ids.shape == weights.shape
        assert not weights[ids == 0].any()


def test_the_loss_is_the_weighted_mean_over_the_weighted_positions() -> None:
    model = new_model(SMALL, TOKENIZER, 0)
    ids, weights = next(batches(TOKENIZER, SMALL, 0))
    with torch.no_grad():
        logits = model(input_ids=ids[:, :-1]).logits
        each = torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
        assert_close(_loss(model, ids, weights), (each * weights[:, 1:]).sum() / weights[:, 1:].sum())


def test_an_untrained_model_knows_nothing() -> None:
    ids, weights = next(batches(TOKENIZER, SMALL, 0))
    with torch.no_grad():
        loss = _loss(new_model(SMALL, TOKENIZER, 0), ids, weights)
    assert abs(loss.item() - math.log(len(TOKENIZER))) < 0.2


def test_orthogonal_pushes_singular_values_to_about_one() -> None:
    torch.manual_seed(0)
    for shape in ((3, 16, 16), (2, 48, 16), (2, 16, 48)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape), torch.float32))
        assert values.max() < 1.4 and values.median() > 0.6


def test_a_device_that_is_not_there_is_told_before_anything_is_made(tmp_path: Path) -> None:
    for device in ("mtia", "abacus"):
        with pytest.raises(NoDevice, match=device):
            build(tmp_path / "made", recipe=SMALL, device=device)
    assert not (tmp_path / "made").exists()
