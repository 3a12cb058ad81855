"""Proximal policy optimisation on replies: the mathematics alone, free of model, optimiser and logging.

Shapes: B replies, T tokens of the longest. Every [B, T] tensor comes with a mask that is 1 on a reply's tokens (its end
token included) and 0 on padding; what stands on padding never changes a result.
"""

import torch
from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the tokens: Σ mask·values / Σ mask.

    Args:
        values: [B, T].
        mask: [B, T] float, not all 0.

    Returns:
        [] scalar.
    """
    return (values * mask).sum() / mask.sum()


def whiten(values: Tensor, mask: Tensor) -> Tensor:
    """Shift and scale the tokens to mean 0 and variance 1: (x - mean) / sqrt(variance + 1e-8), padding becomes 0.

    Args:
        values: [B, T].
        mask: [B, T] float, not all 0.

    Returns:
        [B, T].
    """
    mean = masked_mean(values, mask)
    variance = masked_mean((values - mean) ** 2, mask)
    return standardise(values, mean, variance, mask)


def standardise(values: Tensor, mean: Tensor, variance: Tensor, mask: Tensor) -> Tensor:
    """(x - mean) / sqrt(variance + 1e-8), padding becomes 0, where mean and variance are those of more than `values`.

    Args:
        values: [B, T].
        mean: [] scalar.
        variance: [] scalar.
        mask: [B, T] float.

    Returns:
        [B, T].
    """
    return (values - mean) * torch.rsqrt(variance + 1e-8) * mask


def token_rewards(scores: Tensor, logprobs: Tensor, reference: Tensor, mask: Tensor, kl: float) -> Tensor:
    """Rewards a token: minus the price of leaving the reference, and the reply's score on its last token.

    r_t = -kl·(log π(a_t) - log π_ref(a_t)) + [t is last]·score (Ziegler et al. 2019, arXiv 1909.08593, eq. 2).

    Args:
        scores: [B].
        logprobs: [B, T] of the policy that wrote the replies.
        reference: [B, T].
        mask: [B, T]; every row has a token.

    Returns:
        [B, T], 0 on padding.
    """
    rewards = -kl * (logprobs - reference) * mask  # [B, T]
    rows = torch.arange(len(scores), device=scores.device)  # [B]
    last = mask.sum(1).long() - 1  # [B]
    rewards[rows, last] += scores
    return rewards


def advantages(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation (Schulman et al. 2015, arXiv 1506.02438, eq. 16).

    δ_t = r_t + γ·V_{t+1} - V_t;  A_t = δ_t + γλ·A_{t+1};  the return is A_t + V_t. After the last token V = A = 0.

    Args:
        rewards: [B, T].
        values: [B, T] what was expected before each token.
        mask: [B, T].

    Returns:
        Advantages and returns, each [B, T], 0 on padding.
    """
    gains = torch.zeros_like(values)  # [B, T]
    following_value = values.new_zeros(len(values))  # [B]
    following_gain = values.new_zeros(len(values))  # [B]
    for t in range(values.shape[1] - 1, -1, -1):
        delta = rewards[:, t] + gamma * following_value - values[:, t]  # [B]
        gains[:, t] = (delta + gamma * lam * following_gain) * mask[:, t]
        # On padding both stay 0, so that a reply's last token is followed by nothing.
        following_value = values[:, t] * mask[:, t]
        following_gain = gains[:, t]
    return gains, (gains + values) * mask


def policy_loss(
    new: Tensor, old: Tensor, advantage: Tensor, mask: Tensor, clip: float, dual_clip: float | None = None
) -> Tensor:
    """The clipped surrogate (Schulman et al. 2017, arXiv 1707.06347, eq. 7), mean over the tokens.

    L = -E[min(ρA, clamp(ρ, 1-ε, 1+ε)·A)] with ρ = exp(new - old). With a dual clip c the gain of a bad token is no
    less than c·A: one whose ratio has exploded does not rule the step (Ye et al. 2019, arXiv 1912.09729, eq. 5).

    Args:
        new: [B, T] log-probs under the policy that learns.
        old: [B, T] log-probs under the policy that began the iteration.
        advantage: [B, T].
        mask: [B, T].
        clip: ε.
        dual_clip: c > 1, or None.

    Returns:
        [] scalar to be minimised.
    """
    # Padding may hold anything; a ratio of 1 there keeps infinities out of the gradient.
    ratio = torch.where(mask > 0, new - old, 0.0).exp()  # [B, T]
    gain = torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)  # [B, T]
    if dual_clip is not None:
        gain = torch.where(advantage < 0, torch.maximum(gain, dual_clip * advantage), gain)
    return -masked_mean(gain, mask)


def clipped_share(new: Tensor, old: Tensor, mask: Tensor, clip: float) -> Tensor:
    """Share of the tokens whose probability ratio has left 1 ± clip: [] scalar."""
    ratio = torch.where(mask > 0, new - old, 0.0).exp()  # [B, T]
    return masked_mean(((ratio - 1).abs() > clip).to(mask.dtype), mask)


def value_loss(new: Tensor, old: Tensor, returns: Tensor, mask: Tensor, clip: float) -> Tensor:
    """Half the squared error of the value head, its change clipped: the larger of both errors counts, mean over tokens.

    L = ½·E[max((V-R)², (V_old + clamp(V-V_old, ±ε) - R)²)] (arXiv 2006.05990, decision C13; 2403.17031, detail 19).

    Args:
        new: [B, T] values now.
        old: [B, T] values when the iteration began.
        returns: [B, T].
        mask: [B, T].

    Returns:
        [] scalar.
    """
    near = old + (new - old).clamp(-clip, clip)  # [B, T]
    return 0.5 * masked_mean(torch.maximum((new - returns) ** 2, (near - returns) ** 2), mask)


def divergence(logprobs: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """Nats by which each reply's own log-prob exceeds the reference's: Σ_t log π - log π_ref, one-sample estimates of
    KL(π‖π_ref) (k1 of http://joschu.net/blog/kl-approx.html).

    Args:
        logprobs: [B, T] of the policy that wrote the replies.
        reference: [B, T].
        mask: [B, T].

    Returns:
        [B]; the mean is unbiased, single ones may be negative.
    """
    return ((logprobs - reference) * mask).sum(1)


def change(new: Tensor, old: Tensor, mask: Tensor) -> Tensor:
    """Nats a token between old and new policy, never negative: E_old[ρ - 1 - log ρ] (k3 of that page): [] scalar."""
    difference = torch.where(mask > 0, new - old, 0.0)  # [B, T]
    return masked_mean(difference.exp() - 1 - difference, mask)


def adapted_price(price: float, kl: float, target: float) -> float:
    """The price of a nat after an iteration that stood at `kl` nats where `target` are wanted: halved below two thirds
    of the target, doubled above one and a half times it (Schulman et al. 2017, arXiv 1707.06347, §4).
    """
    return price / 2 if kl < target / 1.5 else price * 2 if kl > target * 1.5 else price


def against_the_others(rewards: Tensor, size: int) -> Tensor:
    """Advantages in groups of replies to one prompt: each against the mean of the others (Ahmadian et al. 2024, RLOO,
    arXiv 2402.14740, eq. 8).

    A_i = R_i - Σ_{j≠i} R_j / (k - 1).

    Args:
        rewards: [B], the k replies to a prompt one after the other.
        size: k, at least 2.

    Returns:
        [B].
    """
    groups = rewards.view(-1, size)  # [B / k, k]
    return ((groups - groups.mean(1, keepdim=True)) * size / (size - 1)).view(-1)


def within_the_group(rewards: Tensor, size: int) -> Tensor:
    """Advantages in groups of replies to one prompt: each in units of the group's spread (Shao et al. 2024, GRPO,
    arXiv 2402.03300, §4.1.2).

    A_i = (R_i - mean) / (spread + 1e-4).

    Args:
        rewards: [B], the k replies to a prompt one after the other.
        size: k, at least 2.

    Returns:
        [B].
    """
    groups = rewards.view(-1, size)  # [B / k, k]
    return ((groups - groups.mean(1, keepdim=True)) / (groups.std(1, keepdim=True) + 1e-4)).view(-1)


def truncated_weights(logprobs: Tensor, behaviour: Tensor, mask: Tensor, most: float) -> Tensor:
    """Importance weights of tokens that another engine drew, truncated: w_t = min(π(a_t)/μ(a_t), c).

    Ionides 2008, "Truncated importance sampling", J. Comp. Graph. Stat. 17(2); ρ̄ of V-trace (Espeholt et al. 2018,
    arXiv 1802.01561, eq. 1).

    Args:
        logprobs: [B, T] by the forward pass that training uses.
        behaviour: [B, T] under which the tokens were drawn.
        mask: [B, T].
        most: c.

    Returns:
        [B, T], 0 on padding.
    """
    return torch.where(mask > 0, logprobs - behaviour, 0.0).exp().clamp(max=most) * mask


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> Tensor:
    """Share of the returns' variance that the value head foretold: 1 - Var(R - V) / Var(R): [] scalar."""
    rest = returns - values  # [B, T]
    unexplained = masked_mean((rest - masked_mean(rest, mask)) ** 2, mask)
    total = masked_mean((returns - masked_mean(returns, mask)) ** 2, mask)
    return 1 - unexplained / (total + 1e-8)


def effective_share(apart: Tensor) -> Tensor:
    """Effective sample size of logged replies as a share: (Σw)² / (B·Σw²), w = Π_t π(a_t)/μ(a_t) (Kong 1992).

    Args:
        apart: [B] log w of each: the `divergence` of the policy that would learn from them from what drew them.

    Returns:
        [] scalar in (0, 1].
    """
    log_weights = apart.double()
    both = 2 * torch.logsumexp(log_weights, 0) - torch.logsumexp(2 * log_weights, 0)
    return (both.exp() / len(log_weights)).to(apart.dtype)
