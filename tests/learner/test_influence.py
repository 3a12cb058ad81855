"""Whose opinions a reward hangs on: leaving one person out is what it says it is."""

import pytest
import torch
from transformers import PreTrainedModel

from backtalk.template import Template
from learner import influence, linear
from learner.examples import Examples, Thumb
from learner.influence import of_replies
from learner.logistic import primal
from tests.learner.planted import WORDS, exchange, thumbs

REPLIES = torch.stack([torch.linspace(-1, 1, 12), torch.linspace(1, -1, 12) ** 2], 1).double()  # [12, 2]
STEP = 0.15  # share of an influence that one Newton step misses where it is largest: .145 for .168 here


def design(people: int, each: int) -> linear.Design:
    """Everybody likes much of the first feature, with slips; the last person likes little of it."""
    generator = torch.Generator().manual_seed(3)
    lines = torch.randn(people * each, 3, generator=generator, dtype=torch.float64)
    lines[:, 0] = 1.0
    targets = (lines[:, 1] + 0.5 * torch.randn(len(lines), generator=generator) > 0).double()
    targets[-each:] = 1 - targets[-each:]
    givers = tuple(f"p{row // each:02}" for row in range(len(lines)))
    nothing = torch.zeros(2, dtype=torch.float64)
    return linear.Design(lines, targets, torch.ones(len(lines)).double(), givers, nothing, nothing + 1)


def by_hand(given: linear.Design, giver: str, before: int) -> tuple[float, float]:
    """The same from two fits on other rows."""
    kept = torch.tensor([one != giver for one in given.givers])
    whole = primal(given.lines, given.targets, given.weights)
    without = primal(given.lines[kept], given.targets[kept], given.weights[kept])
    rewards, others = REPLIES @ whole[1:], REPLIES @ without[1:]
    change = (rewards - others) / rewards.std(correction=0)
    return float(change.std(correction=0)), float(change[before:].mean() - change[:before].mean())


def test_an_influence_is_what_leaving_the_person_out_changes() -> None:
    given = design(people=8, each=10)
    for one in of_replies(given, REPLIES, before=6):
        assert (one.influence, one.leaning) == pytest.approx(by_hand(given, one.giver, 6), abs=1e-9)


def test_whoever_contradicts_all_others_comes_first_and_speaks_against_what_they_ask_for() -> None:
    first, *others = of_replies(design(people=8, each=10), REPLIES, before=6)
    assert first.giver == "p07" and first.influence > 2 * others[0].influence
    assert first.leaning < 0, "the later replies have more of the first feature"


def test_one_newton_step_ranks_people_as_leaving_them_out_does(monkeypatch: pytest.MonkeyPatch) -> None:
    given = design(people=40, each=10)
    exact = {one.giver: one.influence for one in of_replies(given, REPLIES, 6)}
    monkeypatch.setattr(influence, "EXACT", 0)
    near = of_replies(given, REPLIES, 6)
    assert any(one.influence != exact[one.giver] for one in near), "a step is not yet the fit"
    assert all(one.influence == pytest.approx(exact[one.giver], rel=STEP) for one in near)
    assert near[0].giver == max(exact, key=lambda giver: exact[giver])


def test_a_person_of_another_taste_is_found_among_real_replies(policy: PreTrainedModel, template: Template) -> None:
    said = Examples([Thumb(t.person, t.exchange, t.liked, giver=t.person) for t in thumbs(template, people=6).thumbs])
    contrary = thumbs(template, people=1, likes=lambda text: not text.endswith("!"), seed=9)
    said.thumbs.extend(Thumb("odd", t.exchange, t.liked, giver="odd") for t in contrary.thumbs)
    before = [exchange(template, word, f"{word} egg.") for word in WORDS]
    after = [exchange(template, word, f"{word} egg!") for word in WORDS]
    given = linear.tabulate(policy, said, template.ends)
    first, *others = influence.measure(given, policy, before, after, template.ends)
    assert first.giver == "odd" and first.leaning < 0
    assert sum(one.leaning > 0 for one in others) >= 4, "most of the others speak for exclamations"
