"""Who says the opposite of what the others say: found where they are, and nobody accused where they are not."""

from collections.abc import Callable
from random import Random

import pytest
import torch
from transformers import PreTrainedModel

from backtalk.template import Template
from learner import candour, trust
from learner.examples import Demonstration, Examples, Pair, Thumb
from learner.hearing import EACH, Hearing, hear, of_lines
from tests.learner.planted import WORDS, exchange, exclaims, sentence

Says = Callable[[int, bool, Random], bool]
"""What a person clicks: by their number, whether they truly like it, and chance."""


def votes(says: Says, people: int = 30, rate: float = -1.0, seed: int = 0, loud: int | None = None) -> Hearing:
    """People who like one direction of twelve, give 5 to 40 thumbs each, and slip in up to a fifth of them.

    Args:
        rate: logit of a usual reply being liked; 0 makes half of all liked.
        loud: who gives 60.
    """
    rng, generator = Random(seed), torch.Generator().manual_seed(seed)
    lines, targets, givers = [], list[float](), list[str]()
    for person in range(people):
        slips = rng.uniform(0, 0.2)
        for _ in range(60 if person == loud else rng.randint(5, 40)):
            line = torch.randn(13, generator=generator, dtype=torch.float64)
            line[0] = 3.0
            likes = rng.random() < float((4 * line[1] + 2 * rate).sigmoid())
            lines.append(line)
            targets.append(float(says(person, likes, rng) != (rng.random() < slips)))
            givers.append(f"{person:02}")
    one = torch.ones(len(lines), dtype=torch.float64)
    stacked = torch.stack(lines)
    return of_lines(stacked, one.new_tensor(targets), one, one, givers, stacked, stacked[:, 1:])


def left_out(said: Hearing, seed: int = 0) -> set[str]:
    heard = trust.weigh(said, 0.9, 0.45, 0.95, seed)
    return {person for person, out in zip(said.people, heard.left_out.tolist(), strict=True) if out}


@pytest.mark.parametrize(("contrary", "rate"), [(5, 0.0), (6, -1.0), (9, 1.0), (12, -1.0), (12, 0.0)])
def test_who_says_the_opposite_is_found_and_nobody_else(contrary: int, rate: float) -> None:
    found = left_out(votes(lambda person, likes, rng: likes != (person < contrary), rate=rate))
    assert found <= {f"{person:02}" for person in range(contrary)}
    assert len(found) >= 0.6 * contrary  # who gives few votes stays in doubt


def test_the_larger_side_is_right_wherever_the_search_began(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = candour._start
    monkeypatch.setattr(candour, "_start", lambda said: 1 - begin(said))
    found = left_out(votes(lambda person, likes, rng: likes != (person < 12), rate=0.0))
    assert len(found) > 7
    assert found <= {f"{person:02}" for person in range(12)}


def test_one_loud_contrary_person_is_found() -> None:
    said = votes(lambda person, likes, rng: likes != (person == 7), loud=7)
    assert left_out(said) == {"07"}


@pytest.mark.parametrize("seed", range(2))
def test_nobody_is_accused_where_all_say_what_they_think(seed: int) -> None:
    assert left_out(votes(lambda person, likes, rng: likes, seed=seed), seed) == set()


def test_who_is_content_with_anything_is_not_contrary() -> None:
    assert left_out(votes(lambda person, likes, rng: likes or person < 9, rate=-1.5)) == set()


def test_who_clicks_by_chance_is_not_contrary() -> None:
    assert left_out(votes(lambda person, likes, rng: rng.random() < 0.5 if person < 9 else likes)) == set()


def test_where_half_say_the_opposite_all_are_kept_and_the_report_says_so() -> None:
    heard = trust.weigh(votes(lambda person, likes, rng: likes != (person < 15), rate=0.0), 0.9, 0.45, 0.95, 0)
    assert heard.is_divided
    assert not heard.left_out.any()
    assert "nobody can tell" in trust.told(heard)["contrary_told"]


def test_few_votes_accuse_nobody_by_themselves() -> None:
    """Three thumbs the other way are a bad day."""
    said = votes(lambda person, likes, rng: likes)
    kept = torch.ones(len(said.targets), dtype=torch.bool)
    own = (said.of == 0).nonzero()[:, 0]
    kept[own[3:]] = False
    targets = said.targets.clone()
    targets[own] = 1 - targets[own]
    few = Hearing(
        said.lines[kept],
        targets[kept],
        said.weights[kept],
        said.is_thumb[kept],
        said.of[kept],
        said.people,
        said.replies,
        said.features,
    )
    assert left_out(few) == set()


def test_comparisons_tell_as_well_as_thumbs() -> None:
    rng, generator = Random(0), torch.Generator().manual_seed(0)
    lines = torch.randn(400, 8, generator=generator, dtype=torch.float64)
    givers = [f"{rng.randrange(20):02}" for _ in range(400)]
    targets = (lines[:, 0] > 0).double()
    contrary = torch.tensor([giver < "06" for giver in givers])
    targets[contrary] = 1 - targets[contrary]
    one = torch.ones(400, dtype=torch.float64)
    said = of_lines(lines, targets, one, 0 * one, givers, lines, lines)
    assert left_out(said) == {f"{person:02}" for person in range(6)}


def test_the_slope_of_those_who_like_anything_is_none_and_of_contrary_ones_below_it() -> None:
    said = votes(lambda person, likes, rng: likes != (person < 9))
    foretold = said.foretold(torch.ones(30, dtype=torch.float64), 0)
    first = torch.arange(30) < 9
    assert candour.slope(said, foretold, first) < -4
    assert candour.slope(said, foretold, ~first) > 4


def test_nobodys_own_opinions_foretell_what_they_said() -> None:
    said = votes(lambda person, likes, rng: likes, people=10)
    before = said.foretold(torch.ones(10, dtype=torch.float64), 0)
    fold = said.folds(0)
    targets = torch.where(fold[said.of] == 0, 1 - said.targets, said.targets)
    changed = Hearing(
        said.lines, targets, said.weights, said.is_thumb, said.of, said.people, said.replies, said.features
    )
    after = changed.foretold(torch.ones(10, dtype=torch.float64), 0)
    own = fold[said.of] == 0
    assert torch.equal(before[own], after[own])
    assert not torch.equal(before[~own], after[~own])


def test_rewrites_say_nothing_of_their_giver_and_old_opinions_are_not_looked_at(
    policy: PreTrainedModel, template: Template
) -> None:
    rng, said = Random(0), Examples()
    for number in range(2 * EACH):
        told = exchange(template, rng.choice(WORDS), sentence(rng))
        said.thumbs.append(Thumb("ann", told, exclaims(told.text), giver="ann"))
        if number < 5:
            better = exchange(template, "go", f"{WORDS[number]} egg!")
            said.demonstrations.append(Demonstration("bob", better))
            said.pairs.append(Pair("bob", better, exchange(template, "go", "no."), giver="bob"))
            said.pairs.append(Pair("cat", exchange(template, "go", "ab!"), better, giver="cat"))
    heard = hear(policy, said, template.ends)
    assert heard.people == ("ann", "cat")
    assert heard.each(torch.ones(len(heard.targets))).tolist() == [EACH, 5]
    assert heard.targets[:EACH].tolist() == [float(t.liked) for t in said.thumbs[-EACH:]]
