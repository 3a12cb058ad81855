"""Ridge regression, logistic by Newton's method and linear in one go: exact, without a learning rate, in milliseconds.

The logistic one minimises Σ w·BCE(x·β, y) + ½·|β|², in either form. A column scaled by s has a ridge of 1/s² (a prior
variance of s²).

Shapes: M lines, P columns.
"""

import torch
from torch import Tensor


def solve(lines: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """The weights of the columns, by whichever form is smaller.

    Args:
        lines: [M, P] float64.
        targets: [M] in 0..1.
        weights: [M], 0 leaves a line out.

    Returns:
        β: [P].
    """
    if lines.shape[0] <= lines.shape[1]:
        return lines.T @ dual(lines @ lines.T, targets, weights)
    return primal(lines, targets, weights)


def linear(lines: Tensor, targets: Tensor, weights: Tensor, noise: float) -> Tensor:
    """β of the least squares, Σ w·(x·β - y)² / 2·noise + ½·|β|² (Bishop 2006, §3.1.4): [P].

    Args:
        noise: variance of a target about what its line foretells.
    """
    root = (weights / noise).sqrt()
    lines, targets = lines * root[:, None], targets * root
    if lines.shape[0] <= lines.shape[1]:
        identity = torch.eye(lines.shape[0], dtype=lines.dtype)
        found: Tensor = lines.T @ torch.linalg.solve(lines @ lines.T + identity, targets)
    else:
        identity = torch.eye(lines.shape[1], dtype=lines.dtype)
        found = torch.linalg.solve(lines.T @ lines + identity, lines.T @ targets)
    return found


def primal(lines: Tensor, targets: Tensor, weights: Tensor, start: Tensor | None = None, rounds: int = 50) -> Tensor:
    """β by iteratively reweighted least squares (Bishop 2006, §4.3.3): [P].

    Args:
        start: β to begin from.
    """
    beta = lines.new_zeros(lines.shape[1]) if start is None else start
    identity = torch.eye(lines.shape[1], dtype=lines.dtype)
    for _ in range(rounds):
        chance = (lines @ beta).sigmoid()  # [M]
        slope = lines.T @ (weights * (chance - targets)) + beta  # [P]
        bend = (lines * (weights * chance * (1 - chance))[:, None]).T @ lines + identity  # [P, P]
        step = torch.linalg.solve(bend, slope)
        beta = beta - step * min(1.0, 5.0 / float(step.norm().clamp_min(1e-12)))  # far from the end, no leaps
        if float(step.abs().max()) < 1e-8:
            break
    return beta


def dual(kernel: Tensor, targets: Tensor, weights: Tensor, start: Tensor | None = None, rounds: int = 25) -> Tensor:
    """α with β = linesᵀα, so that the logit of line i is Σ_j kernel_ij·α_j (Rasmussen & Williams 2006, algorithm 3.1).

    Args:
        kernel: [M, M] inner products of the lines.
        targets: [M].
        weights: [M].
        start: α to begin from.

    Returns:
        α: [M].
    """
    alpha = torch.zeros_like(targets) if start is None else start
    identity = torch.eye(len(targets), dtype=kernel.dtype)
    for _ in range(rounds):
        logits = kernel @ alpha  # [M]
        chance = logits.sigmoid()
        bend = (weights * chance * (1 - chance)).clamp_min(1e-9)  # [M]
        root = bend.sqrt()
        aim = bend * logits + weights * (targets - chance)
        inner = identity + root[:, None] * kernel * root[None, :]  # [M, M]
        following = aim - root * torch.linalg.solve(inner, root * (kernel @ aim))
        moved = float((following - alpha).abs().max())
        alpha = following
        if moved < 1e-6:
            break
    return alpha
