"""The mathematics of PPO against numbers worked out by hand, and against the plainest loops that say the same."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, tensor
from torch.testing import assert_close

from learner import ppo

ALL = tensor([[1.0]])


def test_the_gain_stops_at_one_plus_epsilon() -> None:
    loss = ppo.policy_loss(new=tensor([[1.5]]), old=tensor([[0.5]]), advantage=tensor([[1.0]]), mask=ALL, clip=0.2)
    assert_close(loss, tensor(-1.2))  # the ratio is e, clipped to 1.2


def test_a_bad_reply_made_likelier_is_not_clipped() -> None:
    loss = ppo.policy_loss(new=tensor([[1.5]]), old=tensor([[0.5]]), advantage=tensor([[-1.0]]), mask=ALL, clip=0.2)
    assert_close(loss, tensor(math.e))  # min(-e, -1.2) = -e


def test_a_good_reply_made_unlikelier_is_not_clipped() -> None:
    loss = ppo.policy_loss(new=tensor([[0.5]]), old=tensor([[1.5]]), advantage=tensor([[2.0]]), mask=ALL, clip=0.2)
    assert_close(loss, tensor(-2 / math.e))


def test_the_loss_is_a_mean_over_tokens_and_padding_does_not_count() -> None:
    new = tensor([[0.0, 0.0], [0.0, math.inf]])
    old = tensor([[0.0, 0.0], [0.0, 0.0]])
    gains = tensor([[1.0, 2.0], [6.0, 99.0]])
    mask = tensor([[1.0, 1.0], [1.0, 0.0]])
    assert_close(ppo.policy_loss(new, old, gains, mask, 0.2), tensor(-3.0))  # (1 + 2 + 6) / 3


def test_padding_has_no_gradient_whatever_stands_there() -> None:
    new = tensor([[0.1, 500.0]], requires_grad=True)
    loss = ppo.policy_loss(new, tensor([[0.0, -500.0]]), tensor([[1.0, 1.0]]), tensor([[1.0, 0.0]]), 0.2)
    torch.autograd.backward(loss)
    assert new.grad is not None
    assert_close(new.grad, tensor([[-math.exp(0.1), 0.0]]))


def test_advantages_of_two_tokens_by_hand() -> None:
    # gamma 1, lambda .5: delta_2 = 1 - .4 = .6; delta_1 = 0 + .4 - .2 = .2; A_1 = .2 + .5 x .6 = .5
    gains, returns = ppo.advantages(
        tensor([[0.0, 1.0]]), tensor([[0.2, 0.4]]), tensor([[1.0, 1.0]]), gamma=1.0, lam=0.5
    )
    assert_close(gains, tensor([[0.5, 0.6]]))
    assert_close(returns, tensor([[0.7, 1.0]]))


def test_advantages_with_discount_by_hand() -> None:
    # gamma .9, lambda .8: delta_2 = 2 - 1 = 1; delta_1 = 1 + .9 x 1 - .5 = 1.4; A_1 = 1.4 + .72 x 1 = 2.12
    gains, _ = ppo.advantages(tensor([[1.0, 2.0]]), tensor([[0.5, 1.0]]), tensor([[1.0, 1.0]]), gamma=0.9, lam=0.8)
    assert_close(gains, tensor([[2.12, 1.0]]))


def naive_advantages(rewards: list[float], values: list[float], gamma: float, lam: float) -> list[float]:
    """The sum of the definition: A_t = sum over l of (gamma lambda)^l delta_{t+l}."""
    ends = [*values, 0.0]
    deltas = [rewards[t] + gamma * ends[t + 1] - ends[t] for t in range(len(values))]
    return [
        sum((gamma * lam) ** later * deltas[t + later] for later in range(len(values) - t)) for t in range(len(values))
    ]


numbers = st.floats(-3, 3, width=32)
replies = st.lists(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=6), min_size=1, max_size=4)


def padded(rows: list[list[float]], filling: float = 0.0) -> Tensor:
    longest = max(map(len, rows))
    return tensor([row + [filling] * (longest - len(row)) for row in rows])


@given(replies, st.floats(0, 1), st.floats(0, 1))
def test_advantages_are_the_sum_that_defines_them(
    rows: list[list[tuple[float, float]]], gamma: float, lam: float
) -> None:
    rewards = [[pair[0] for pair in row] for row in rows]
    values = [[pair[1] for pair in row] for row in rows]
    mask = padded([[1.0] * len(row) for row in rows])
    gains, returns = ppo.advantages(padded(rewards), padded(values, 7.0), mask, gamma, lam)
    expected = padded([naive_advantages(r, v, gamma, lam) for r, v in zip(rewards, values, strict=True)])
    assert_close(gains, expected, rtol=1e-4, atol=1e-4)
    assert_close(returns, (expected + padded(values)) * mask, rtol=1e-4, atol=1e-4)


@given(replies, st.floats(0.01, 0.5))
def test_the_policy_loss_is_the_plain_loop(rows: list[list[tuple[float, float]]], clip: float) -> None:
    total = count = 0.0
    for row in rows:
        for logprob, advantage in row:
            ratio = math.exp(logprob - 0.3)
            total += min(ratio * advantage, min(max(ratio, 1 - clip), 1 + clip) * advantage)
            count += 1
    new = padded([[pair[0] for pair in row] for row in rows])
    gains = padded([[pair[1] for pair in row] for row in rows], 5.0)
    mask = padded([[1.0] * len(row) for row in rows])
    loss = ppo.policy_loss(new, torch.full_like(new, 0.3), gains, mask, clip)
    assert_close(loss, tensor(-total / count), rtol=1e-4, atol=1e-4)


def test_whitening_by_hand() -> None:
    white = ppo.whiten(tensor([[1.0, 3.0, 100.0]]), tensor([[1.0, 1.0, 0.0]]))
    assert_close(white, tensor([[-1.0, 1.0, 0.0]]))


def test_whitening_equal_numbers_gives_zeros_not_infinities() -> None:
    assert_close(ppo.whiten(tensor([[2.0, 2.0]]), tensor([[1.0, 1.0]])), tensor([[0.0, 0.0]]))


def test_the_score_lands_on_the_last_token_and_every_token_pays_for_divergence() -> None:
    rewards = ppo.token_rewards(
        scores=tensor([2.0, -1.0]),
        logprobs=tensor([[-1.0, -2.0], [-1.0, 9.0]]),
        reference=tensor([[-1.5, -1.0], [-3.0, 0.0]]),
        mask=tensor([[1.0, 1.0], [1.0, 0.0]]),
        kl=0.1,
    )
    assert_close(rewards, tensor([[-0.05, 2.1], [-1.2, 0.0]]))  # -.1 x .5; .1 x 1 + 2; -.1 x 2 - 1; padding


def test_divergence_by_hand() -> None:
    nats = ppo.divergence(tensor([[-1.0, -2.0]]), tensor([[-1.5, -1.0]]), tensor([[1.0, 1.0]]))
    assert_close(nats, tensor([-0.5]))  # .5 - 1


def test_divergence_over_all_replies_is_the_true_one() -> None:
    """One token, three words: the mean over the policy's own draws is KL(p || q)."""
    p, q = tensor([0.5, 0.3, 0.2]), tensor([0.2, 0.2, 0.6])
    nats = ppo.divergence(p.log()[:, None], q.log()[:, None], torch.ones(3, 1))
    truth = 0.5 * math.log(2.5) + 0.3 * math.log(1.5) + 0.2 * math.log(1 / 3)
    assert_close((p * nats).sum(), tensor(truth))


def test_change_is_never_negative_and_right_by_hand() -> None:
    assert_close(ppo.change(tensor([[0.0]]), tensor([[0.0]]), ALL), tensor(0.0))
    assert_close(ppo.change(tensor([[math.log(2)]]), tensor([[0.0]]), ALL), tensor(1 - math.log(2)))  # 2 - 1 - ln 2


def test_the_value_may_move_only_so_far_for_free() -> None:
    # From 0 to 1 with a clip of .2 and a return of 1: near is .2, and (.2 - 1)^2 counts, halved.
    loss = ppo.value_loss(tensor([[1.0]]), tensor([[0.0]]), tensor([[1.0]]), ALL, clip=0.2)
    assert_close(loss, tensor(0.32))


def test_a_value_within_the_clip_is_plain_squared_error() -> None:
    loss = ppo.value_loss(tensor([[0.1]]), tensor([[0.0]]), tensor([[1.0]]), ALL, clip=0.2)
    assert_close(loss, tensor(0.405))  # .9^2 / 2


def test_explained_variance_of_a_perfect_and_of_a_blind_critic() -> None:
    returns, mask = tensor([[1.0, 3.0]]), tensor([[1.0, 1.0]])
    assert_close(ppo.explained_variance(returns, returns, mask), tensor(1.0))
    assert_close(ppo.explained_variance(tensor([[2.0, 2.0]]), returns, mask), tensor(0.0))


def test_effective_sample_size_by_hand() -> None:
    # Weights 1 and 3: (1 + 3)^2 / (2 x (1 + 9)) = .8
    share = ppo.effective_share(tensor([0.0, math.log(3)]))
    assert_close(share, tensor(0.8))


def test_effective_sample_size_of_hopelessly_stale_replies_is_one_reply() -> None:
    share = ppo.effective_share(tensor([0.0, 1600.0]))
    assert_close(share, tensor(0.5))


def test_the_clipped_share_counts_ratios_outside() -> None:
    new = tensor([[0.0, 0.3, -0.3, 9.0]])
    share = ppo.clipped_share(new, torch.zeros(1, 4), tensor([[1.0, 1.0, 1.0, 0.0]]), 0.2)
    assert_close(share, tensor(2 / 3))


def test_a_dual_clip_stops_what_a_bad_token_can_lose() -> None:
    # The ratio is e^2 = 7.39: without the dual clip the loss is 7.39, with one of 3 it is 3.
    numbers = {"new": tensor([[2.0]]), "old": tensor([[0.0]]), "advantage": tensor([[-1.0]]), "mask": ALL, "clip": 0.2}
    assert_close(ppo.policy_loss(**numbers), tensor(math.exp(2)))  # type: ignore[arg-type]
    assert_close(ppo.policy_loss(**numbers, dual_clip=3.0), tensor(3.0))  # type: ignore[arg-type]


def test_a_dual_clip_leaves_good_tokens_alone() -> None:
    new, old = tensor([[1.5, 0.1]]), tensor([[0.5, 0.0]])
    gains, mask = tensor([[1.0, -1.0]]), torch.ones(1, 2)
    assert_close(
        ppo.policy_loss(new, old, gains, mask, 0.2, dual_clip=3.0), ppo.policy_loss(new, old, gains, mask, 0.2)
    )


def test_the_price_of_divergence_follows_its_target() -> None:
    assert ppo.adapted_price(0.1, kl=0.5, target=1.0) == 0.05
    assert ppo.adapted_price(0.1, kl=1.2, target=1.0) == 0.1
    assert ppo.adapted_price(0.1, kl=1.6, target=1.0) == 0.2


def test_each_against_the_mean_of_the_others_by_hand() -> None:
    # Two groups of three: 1, 2, 6 against 4, 3.5, 1.5; then all alike.
    found = ppo.against_the_others(tensor([1.0, 2.0, 6.0, 5.0, 5.0, 5.0]), 3)
    assert_close(found, tensor([-3.0, -1.5, 4.5, 0.0, 0.0, 0.0]))


def test_each_in_units_of_its_groups_spread_by_hand() -> None:
    # 1, 2, 3 have mean 2 and spread 1.
    found = ppo.within_the_group(tensor([1.0, 2.0, 3.0, 7.0, 7.0, 7.0]), 3)
    assert_close(found, tensor([-1.0, 0.0, 1.0, 0.0, 0.0, 0.0]), atol=2e-4, rtol=0)


@given(st.lists(st.lists(numbers, min_size=4, max_size=4), min_size=1, max_size=5))
def test_against_the_others_is_the_plain_loop(rows: list[list[float]]) -> None:
    expected = [own - sum(row[:at] + row[at + 1 :]) / 3 for row in rows for at, own in enumerate(row)]
    found = ppo.against_the_others(tensor([value for row in rows for value in row]), 4)
    assert_close(found, tensor(expected), rtol=1e-4, atol=1e-4)
