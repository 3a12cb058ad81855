"""The gate's own judge: learns from the people held out alone, sees a real gain, and does not see one where none is."""

from collections.abc import Sequence
from random import Random

import torch
from torch.testing import assert_close
from transformers import PreTrainedModel

from backtalk.template import Template
from learner.examples import Examples, Pair
from learner.inputs import look_at
from learner.intervals import Interval, auc
from learner.judge import Judge
from learner.sequences import Exchange
from tests.learner.planted import WORDS, exchange, exclaims, sentence, thumbs


def make(policy: PreTrainedModel, template: Template, said: Examples) -> Judge:
    return Judge(policy, said, said.exchanges(), template.ends)


def gain(judge: Judge, before: Sequence[Exchange], after: Sequence[Exchange], seed: int = 0) -> Interval:
    asked = [exchange.prompt for exchange in before]
    return judge.gain(asked, judge.look(before), judge.look(after), 0.95, seed)


def answers(template: Template, end: str, seed: int, count: int = 60) -> list[Exchange]:
    rng = Random(seed)
    return [exchange(template, WORDS[n % len(WORDS)], sentence(rng)[:-1] + end) for n in range(count)]


def mixed(template: Template, seed: int, count: int = 60) -> list[Exchange]:
    rng = Random(seed)
    return [exchange(template, WORDS[n % len(WORDS)], sentence(rng)) for n in range(count)]


def test_it_foretells_the_planted_taste(policy: PreTrainedModel, template: Template) -> None:
    judge = make(policy, template, thumbs(template, flip=0.1))
    said = mixed(template, 5)
    assert auc(judge.preference(said), [exclaims(e.text) for e in said]) > 0.95


def test_a_real_gain_is_seen_with_its_sign(policy: PreTrainedModel, template: Template) -> None:
    judge = make(policy, template, thumbs(template, flip=0.1))
    better = gain(judge, mixed(template, 1), answers(template, "!", 2))
    worse = gain(judge, mixed(template, 1), answers(template, ".", 2))
    assert better.low > 0.1
    assert worse.high < -0.1


def test_replies_of_the_same_kind_are_no_gain(policy: PreTrainedModel, template: Template) -> None:
    judge = make(policy, template, thumbs(template, flip=0.1))
    found = [gain(judge, mixed(template, seed), mixed(template, 100 + seed), seed).low > 0 for seed in range(6)]
    assert sum(found) <= 1


def test_opinions_by_chance_see_no_gain_in_anything(policy: PreTrainedModel, template: Template) -> None:
    rng = Random(3)
    found = []
    for seed in range(5):
        said = thumbs(template, likes=lambda text: rng.random() < 0.5, seed=seed)
        judge = make(policy, template, said)
        found.append(gain(judge, mixed(template, seed), answers(template, "!", seed), seed).low > 0)
    assert sum(found) <= 1


def test_two_people_who_disagree_make_a_wide_interval(policy: PreTrainedModel, template: Template) -> None:
    alike = thumbs(template, people=6, each=10)
    split = Examples(
        [*thumbs(template, people=3, each=10, seed=1).thumbs]
        + [
            type(t)(f"other {t.person}", t.exchange, not t.liked)
            for t in thumbs(template, people=3, each=10, seed=2).thumbs
        ]
    )
    before, after = mixed(template, 1), answers(template, "!", 2)
    widths = [(found := gain(make(policy, template, said), before, after)).high - found.low for said in (alike, split)]
    assert widths[1] > 1.5 * widths[0]


def test_pairs_teach_it_as_well(policy: PreTrainedModel, template: Template) -> None:
    rng, said = Random(0), Examples()
    for number in range(60):
        words = sentence(rng)[:-1]
        said.pairs.append(
            Pair(f"p{number % 6}", exchange(template, "go", words + "!"), exchange(template, "go", words + "."))
        )
    seen = mixed(template, 5)
    assert auc(make(policy, template, said).preference(seen), [exclaims(e.text) for e in seen]) > 0.95


def test_no_opinions_of_the_taught_reach_it(policy: PreTrainedModel, template: Template) -> None:
    """Who is judged by it never taught it: replies alone set the scale of its inputs, not what was thought of them."""
    held_out, usual = thumbs(template, people=3), mixed(template, 9)
    first = Judge(policy, held_out, usual, template.ends).preference(usual)
    again = Judge(policy, held_out, usual, template.ends).preference(usual)
    assert first.equal(again)


def test_inputs_do_not_depend_on_neighbours(policy: PreTrainedModel, template: Template) -> None:
    short, long = exchange(template, "go", "ab"), exchange(template, "go", "ab cab dad egg fig")
    both, alone = look_at(policy, [short, long], template.ends), look_at(policy, [short], template.ends)
    assert both.dtype == torch.float64
    assert_close(both[:1], alone, rtol=3e-2, atol=3e-2)
