"""Win rates: ties are half, and what length alone wins is no win at equal length."""

from random import Random

import pytest
import torch

from learner.advice.wins import at_equal_length, measure, win
from learner.sequences import Exchange


def said(question: int, tokens: int) -> Exchange:
    return Exchange((question,), (1,) * tokens, "")


def test_a_tie_is_half_a_win() -> None:
    before, after = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, 1.0, 1.0])
    assert win(before, after).tolist() == [1.0, 0.5, 0.0]


def test_what_length_alone_wins_is_even_at_equal_length() -> None:
    """Longer replies win 9 times in 10; the candidate's are longer, mostly."""
    rng = Random(0)
    longer = torch.tensor([float(rng.choice((-5, 5, 5, 5))) for _ in range(600)]).double()
    wins = torch.tensor([float((by > 0) == (rng.random() < 0.9)) for by in longer.tolist()]).double()
    assert float(wins.mean()) > 0.65
    assert at_equal_length(wins, longer) == pytest.approx(0.5, abs=0.05)


def test_what_wins_at_any_length_still_wins() -> None:
    rng = Random(0)
    longer = torch.tensor([float(rng.randint(-5, 5)) for _ in range(600)]).double()
    wins = torch.tensor([float(rng.random() < 0.8) for _ in range(600)]).double()
    assert at_equal_length(wins, longer) == pytest.approx(float(wins.mean()), abs=0.03)


def test_where_all_are_equally_long_both_rates_are_one() -> None:
    before, after = [said(n, 4) for n in range(50)], [said(n, 4) for n in range(50)]
    liked = torch.tensor([0.0] * 50 + [1.0] * 40 + [-1.0] * 10)
    found = measure(before, after, liked, 0.95, 0)
    assert found["rate"]["value"] == 0.8
    assert found["controlled"]["value"] == pytest.approx(0.8, abs=0.01)
    assert found["longer"] == 0.5


def test_the_interval_draws_questions_whole() -> None:
    """One question asked 50 times is one piece of evidence."""
    before, after = [said(0, 4)] * 50, [said(0, 4)] * 50
    found = measure(before, after, torch.tensor([0.0] * 50 + [1.0] * 40 + [-1.0] * 10), 0.95, 0)
    assert found["rate"] == {"value": 0.8, "low": 0.8, "high": 0.8}
