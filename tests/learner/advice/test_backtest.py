"""What the ledger says of another version: against numbers by hand, and against the truth where it is known."""

import math
from pathlib import Path
from random import Random

import pytest
import torch
from transformers import PreTrainedModel

from backtalk.recipe import Distill
from backtalk.template import Template
from learner.advice.backtest import TOO_FEW, effective, measure, weights
from learner.dataset import Logged
from learner.distill import imitate
from learner.examples import Thumb
from learner.journal import Journal
from learner.rollouts import draw
from learner.sequences import Exchange, all_logprobs, load
from tests.learner.planted import WORDS, exchange, exclaims, sentence


def logged(one: Exchange, logprobs: tuple[float, ...], temperature: float | None = 1.0) -> Logged:
    return Logged("p", one, 0, logprobs, temperature, True)


def test_the_effective_size_by_hand() -> None:
    # (1 + 1 + 2)² / (1 + 1 + 4)
    assert effective(torch.tensor([1.0, 1.0, 2.0])) == pytest.approx(16 / 6)
    assert effective(torch.tensor([0.01, 0.01, 0.01])) == pytest.approx(0.03), "alike, but next to nothing"
    assert effective(torch.zeros(3)) == 0.0


def test_a_reply_weighs_what_it_is_likelier_now_than_when_it_was_drawn(
    policy: PreTrainedModel, template: Template
) -> None:
    said = [exchange(template, "go", "egg!"), exchange(template, "go", "fig.")]
    own = [tuple(line.tolist()) for line in all_logprobs(policy, said)]
    likelier = (own[1][0] - math.log(2.0), *own[1][1:])  # drawn when its first token was half as likely
    found = weights(policy, [logged(said[0], own[0]), logged(said[1], likelier)])
    assert found.tolist() == pytest.approx([1.0, 2.0], rel=1e-3)


def test_each_reply_is_weighed_at_the_temperature_it_was_drawn_at(policy: PreTrainedModel, template: Template) -> None:
    said = [exchange(template, "go", "egg!"), exchange(template, "go", "fig.")]
    lines = [tuple(all_logprobs(policy, said[:1], 0.6)[0].tolist()), tuple(all_logprobs(policy, said[1:])[0].tolist())]
    found = weights(policy, [logged(said[0], lines[0], 0.6), logged(said[1], lines[1])])
    assert found.tolist() == pytest.approx([1.0, 1.0], rel=1e-3)


def test_replies_without_log_probs_or_drawn_with_a_filter_say_nothing(
    policy: PreTrainedModel, template: Template
) -> None:
    said = [exchange(template, "go", "egg!"), exchange(template, "go", "fig.")]
    thumbs = [Thumb("a", one, True) for one in said]
    found = measure(policy, policy, thumbs, [logged(said[0], ()), logged(said[1], (-1.0,) * 5, None)], 0.95, 0)
    assert found == {"rated": 0, "told": TOO_FEW}


def test_what_people_would_think_of_a_version_is_foretold_from_the_replies_of_another(
    speaker: PreTrainedModel, speaking_directory: Path, template: Template
) -> None:
    """A version that cheers a little more: the share of cheers that it draws lies in the interval."""
    rng = Random(1)
    live = load(speaking_directory)
    cheers = [exchange(template, rng.choice(WORDS), sentence(rng)[:-1] + "!") for _ in range(128)]
    imitate(speaker, cheers, Distill(learning_rate=1e-3, epochs=2), rng, Journal())

    def drawn(policy: PreTrainedModel, count: int, seed: int) -> list[Logged]:
        prompts = [exchange(template, WORDS[n % len(WORDS)], "").prompt for n in range(count)]
        found = draw(policy, template, prompts, temperature=1.0, maximum_tokens=30, seed=seed)
        return [logged(one.exchange, one.logprobs) for one in found]

    ledger = drawn(live, 300, 1)
    thumbs = [Thumb(f"p{n % 20}", one.exchange, exclaims(one.exchange.text)) for n, one in enumerate(ledger)]
    found = measure(live, speaker, thumbs, ledger, 0.95, 0)
    truth = [sum(exclaims(o.exchange.text) for o in drawn(who, 1500, 2)) / 1500 for who in (live, speaker)]
    assert found["gain"]["low"] <= truth[1] - truth[0] <= found["gain"]["high"]
    assert found["gain"]["value"] > 0.05
    assert found["effective"]["candidate"] < found["effective"]["live"]


def test_a_version_that_says_other_things_is_not_estimated(
    policy: PreTrainedModel, speaker: PreTrainedModel, template: Template
) -> None:
    prompts = [exchange(template, WORDS[n % len(WORDS)], "").prompt for n in range(60)]
    ledger = [
        logged(one.exchange, one.logprobs)
        for one in draw(speaker, template, prompts, temperature=1.0, maximum_tokens=30, seed=1)
    ]
    thumbs = [Thumb(f"p{n % 5}", one.exchange, n % 2 == 0) for n, one in enumerate(ledger)]
    found = measure(speaker, policy, thumbs, ledger, 0.95, 0)
    assert found["told"] == TOO_FEW and "gain" not in found
    assert found["effective"]["candidate"] < 20 < found["effective"]["live"]
