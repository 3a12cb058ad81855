"""Our mathematics against other people's code, as `oracles.py` asked it."""

import json

import torch
from torch.testing import assert_close

from learner import ppo
from tests.learner.oracles import CLIP, FILE, GAMMA, KL, LAM, LENGTHS, mask, numbers

SAID = json.loads(FILE.read_text())


def test_advantages_are_those_of_torchrl() -> None:
    gains, _ = ppo.advantages(numbers(1.1) * mask(), numbers(0.4), mask(), GAMMA, LAM)
    for row, length in enumerate(LENGTHS):
        assert_close(gains[row, :length], torch.tensor(SAID["gae"][row], dtype=torch.float64), rtol=1e-6, atol=1e-6)


def test_the_clipped_loss_is_that_of_trl() -> None:
    new, old, prior = numbers(0.2, 0.7), numbers(0.9, 0.7), numbers(2.0, 0.7)
    plain = ppo.policy_loss(new, old, numbers(4.4), mask(), CLIP)
    priced = plain + KL * ppo.change(prior, new, mask())
    assert_close(float(plain), SAID["surrogate"]["plain"], rtol=1e-10, atol=1e-10)
    assert_close(float(priced), SAID["surrogate"]["priced"], rtol=1e-10, atol=1e-10)


def test_the_case_is_a_hard_one() -> None:
    """Some ratios are clipped above and some below, gains are of both signs, and padding is not nothing."""
    new, old, gains, own = numbers(0.2, 0.7), numbers(0.9, 0.7), numbers(4.4), mask()
    ratio = (new - old).exp()
    assert bool(((ratio > 1 + CLIP) & (gains > 0) & (own > 0)).any())
    assert bool(((ratio < 1 - CLIP) & (gains < 0) & (own > 0)).any())
    assert float((ratio[own == 0] - 1).abs().max()) > 0.1
