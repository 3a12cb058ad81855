"""Ridge regression: exact, both forms alike, and what weights say is what repetition says."""

import torch
from torch.testing import assert_close

from learner.logistic import dual, linear, primal, solve


def data(count: int, columns: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    lines = torch.randn(count, columns, generator=generator, dtype=torch.float64)
    targets = (torch.rand(count, generator=generator) < 0.4).double()
    return lines, targets, torch.rand(count, generator=generator, dtype=torch.float64) + 0.1


def slope(lines: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
    """The gradient of the objective, by autograd."""
    beta = beta.clone().requires_grad_()
    loss = torch.nn.functional.binary_cross_entropy_with_logits(lines @ beta, targets, weights, reduction="sum")
    (found,) = torch.autograd.grad(loss + beta.square().sum() / 2, beta)
    return found


def test_at_the_solution_nothing_pulls_any_more() -> None:
    for shape in ((40, 5), (6, 30)):
        lines, targets, weights = data(*shape)
        found = slope(lines, targets, weights, solve(lines, targets, weights))
        assert_close(found, torch.zeros_like(found), atol=1e-5, rtol=0)


def test_both_forms_say_the_same() -> None:
    lines, targets, weights = data(25, 12)
    assert_close(lines.T @ dual(lines @ lines.T, targets, weights), primal(lines, targets, weights), atol=1e-6, rtol=0)


def test_one_number_by_hand() -> None:
    # One line x = 1, y = 1: beta solves 1 - s(beta) = beta, which is .40106 (checked: s(.40106) = .59894).
    found = primal(torch.ones(1, 1).double(), torch.ones(1).double(), torch.ones(1).double())
    assert_close(found, torch.tensor([0.40106]).double(), atol=1e-4, rtol=0)


def test_a_weight_of_two_is_the_same_line_twice() -> None:
    lines, targets, _ = data(10, 4)
    weights = torch.ones(10).double()
    weights[3] = 2.0
    twice = solve(torch.cat([lines, lines[3:4]]), torch.cat([targets, targets[3:4]]), torch.ones(11).double())
    assert_close(solve(lines, targets, weights), twice, atol=1e-6, rtol=0)


def test_a_line_of_weight_nothing_is_not_there() -> None:
    lines, targets, weights = data(10, 4)
    weights[7] = 0.0
    kept = [row for row in range(10) if row != 7]
    assert_close(solve(lines, targets, weights), solve(lines[kept], targets[kept], weights[kept]), atol=1e-6, rtol=0)


def test_what_is_perfectly_told_apart_still_has_finite_weights() -> None:
    lines = torch.tensor([[100.0], [-100.0]]).double()
    found = solve(lines, torch.tensor([1.0, 0.0]).double(), torch.ones(2).double())
    assert bool(found.isfinite().all()) and float(found) > 0


def test_least_squares_end_where_nothing_pulls_either() -> None:
    for shape in ((40, 5), (6, 30)):
        lines, targets, weights = data(*shape)
        beta = linear(lines, targets, weights, 0.3).clone().requires_grad_()
        loss = (weights * (lines @ beta - targets).square()).sum() / (2 * 0.3) + beta.square().sum() / 2
        (found,) = torch.autograd.grad(loss, beta)
        assert_close(found, torch.zeros_like(found), atol=1e-9, rtol=0)
