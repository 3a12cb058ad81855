"""The reward model finds a planted taste from thumbs, from pairs and from scores, each alone and all together."""

from collections.abc import Callable
from random import Random

import pytest
import torch
from torch.testing import assert_close
from transformers import PreTrainedModel

from backtalk.recipe import RewardModel as RewardRecipe
from backtalk.recipe import Rewards
from backtalk.template import Template
from learner import reward_model
from learner.examples import Demonstration, Examples, Thumb
from learner.intervals import auc
from learner.journal import Journal, NotFinite
from learner.reward_model import LIMIT, RewardModel
from learner.sequences import Exchange, all_logprobs
from tests.learner.planted import WORDS, exchange, exclaims, sentence, thumbs
from tests.learner.test_linear import pairs, scores

RECIPE = RewardRecipe(steps=40, batch=16, heads=3, learning_rate=1e-3)


def fit(policy: PreTrainedModel, template: Template, said: Examples, recipe: RewardRecipe = RECIPE) -> RewardModel:
    torch.manual_seed(0)
    return reward_model.fit(policy, said, template.ends, recipe, 0, Journal())


def unseen(template: Template, count: int = 60) -> tuple[list[Exchange], list[bool]]:
    rng = Random(99)
    texts = [sentence(rng) for _ in range(count)]
    return [exchange(template, rng.choice(WORDS), text) for text in texts], [exclaims(text) for text in texts]


def together(template: Template) -> Examples:
    parts = thumbs(template, flip=0.1), pairs(template), scores(template)
    return Examples(parts[0].thumbs, parts[1].pairs, parts[2].scores)


@pytest.mark.parametrize("said", [thumbs, pairs, together])
@pytest.mark.parametrize("recipe", [RECIPE, RewardRecipe()], ids=["by steps", "in closed form"])
def test_it_foretells_who_likes_what_it_has_not_seen(
    recipe: RewardRecipe, said: Callable[[Template], Examples], policy: PreTrainedModel, template: Template
) -> None:
    model = fit(policy, template, said(template), recipe)
    exchanges, liked = unseen(template)
    assert auc(model.preference(exchanges), liked) > 0.95


@pytest.mark.parametrize("steps", [0, 150])
def test_scores_become_points_of_their_aspect(steps: int, policy: PreTrainedModel, template: Template) -> None:
    """Five points for one kind and two for the other; in between lies what it has not made up its mind about."""
    model = fit(policy, template, scores(template), RewardRecipe(steps=steps, batch=16, heads=1, learning_rate=1e-3))
    exchanges, liked = unseen(template)
    points = model.judge(exchanges)[:, 1]
    assert model.aspects == ("quality",)
    assert auc(points, liked) > 0.95
    good = points[torch.tensor(liked)].mean()
    bad = points[~torch.tensor(liked)].mean()
    assert_close(good, torch.tensor(1.0), atol=0.35, rtol=0)  # five points
    assert_close(bad, torch.tensor(-0.5), atol=0.35, rtol=0)  # two


def test_opinions_that_say_nothing_teach_nothing(policy: PreTrainedModel, template: Template) -> None:
    rng = Random(0)
    said = Examples([Thumb(t.person, t.exchange, rng.random() < 0.5) for t in thumbs(template).thumbs])
    exchanges, liked = unseen(template)
    assert 0.25 < auc(fit(policy, template, said).preference(exchanges), liked) < 0.75


def test_a_demonstration_counts_as_liked(policy: PreTrainedModel, template: Template) -> None:
    said = thumbs(template, people=4)
    said.thumbs[:] = [thumb for thumb in said.thumbs if not thumb.liked]
    rng = Random(5)
    while len(said.demonstrations) < 20:
        text = sentence(rng)
        if exclaims(text):
            said.demonstrations.append(Demonstration("p1", exchange(template, "go", text)))
    exchanges, liked = unseen(template)
    assert auc(fit(policy, template, said).preference(exchanges), liked) > 0.9


def test_unlikely_words_tell_right_from_wrong(policy: PreTrainedModel, template: Template) -> None:
    """Replies of one form, liked where the reference finds them likely: only the likelihood features can tell."""
    rng = Random(3)
    said = [exchange(template, "go", "".join(rng.choice("abcdefgh") for _ in range(6)) + ".") for _ in range(240)]
    likely = torch.stack([line.sum() for line in all_logprobs(policy, said)])
    liked = (likely > likely.median()).tolist()
    taught = Examples([Thumb(f"p{n % 6}", e, yes) for n, (e, yes) in enumerate(zip(said[:180], liked, strict=False))])
    model = fit(policy, template, taught)
    assert auc(model.preference(said[180:]), liked[180:]) > 0.85


def test_the_first_head_believes_everybody_alike_and_the_others_do_not(
    policy: PreTrainedModel, template: Template
) -> None:
    said = thumbs(template)
    model = RewardModel(policy, template.ends, 3, ())
    table = reward_model._tabulate(model, said, RECIPE, torch.Generator().manual_seed(0))
    assert_close(table.weights[:, 0], torch.ones(len(said.thumbs)))
    by_person = {
        person: {tuple(table.weights[row].tolist()) for row, t in enumerate(said.thumbs) if t.person == person}
        for person in said.people()
    }
    assert {len(found) for found in by_person.values()} == {1}  # a person's opinions are believed or not together
    assert len({found.pop() for found in by_person.values()}) == len(by_person)


def test_where_heads_disagree_the_reward_is_less(policy: PreTrainedModel, template: Template) -> None:
    model = fit(policy, template, thumbs(template, people=3, each=8))
    exchanges, _ = unseen(template)
    answers = model.judge(exchanges)[:, :3]
    model.rewards, model.caution = Rewards(), 2.0
    expected = 4 * (answers.mean(1) - 2 * answers.std(1)).sigmoid()
    assert_close(model._mix(model.judge(exchanges), exchanges), expected)


def test_of_replies_that_nobody_would_like_none_is_worth_much_more(policy: PreTrainedModel, template: Template) -> None:
    model = fit(policy, template, thumbs(template))
    exchanges, _ = unseen(template)
    logits = torch.tensor([-6.0, -4.0, -0.5, 0.5])  # the first two as far apart as hopeless replies are, and more
    worth = model.parts(logits[:, None].expand(4, model.heads).contiguous(), exchanges[:4])["preference"]
    assert float(worth[1] - worth[0]) < 0.1 < 0.9 < float(worth[3] - worth[2])


def test_the_unit_is_the_live_versions_own_spread(policy: PreTrainedModel, template: Template) -> None:
    model = fit(policy, template, thumbs(template))
    usual, _ = unseen(template, 200)
    model.normalise(usual, Rewards(), 0.3)
    found = model.score(usual)
    assert_close(found.mean(), torch.tensor(0.0), atol=0.02, rtol=0)
    assert_close(found.std(), torch.tensor(1.0), atol=0.05, rtol=0)
    assert float(found.abs().max()) <= LIMIT


def test_aspects_count_as_much_as_the_recipe_says(policy: PreTrainedModel, template: Template) -> None:
    model = fit(policy, template, together(template))
    exchanges, _ = unseen(template)
    answers = model.judge(exchanges)
    model.rewards, model.caution = Rewards(preference=0.0, aspects={"quality": 2.0}), 0.3
    assert_close(model._mix(answers, exchanges), 2 * answers[:, 3])


def test_the_same_seed_and_opinions_make_the_same_model(policy: PreTrainedModel, template: Template) -> None:
    exchanges, _ = unseen(template)
    first, again = (fit(policy, template, thumbs(template)).preference(exchanges) for _ in range(2))
    assert first.equal(again)


def test_the_reference_stays_as_it_is(policy: PreTrainedModel, template: Template) -> None:
    before = {name: tensor.clone() for name, tensor in policy.state_dict().items()}
    fit(policy, template, thumbs(template))
    assert all(tensor.equal(before[name]) for name, tensor in policy.state_dict().items())


def test_an_explosion_is_noticed_before_the_next_step(policy: PreTrainedModel, template: Template) -> None:
    said = thumbs(template, people=3, each=6)
    said.thumbs[0] = Thumb("p0", said.thumbs[0].exchange, True, weight=float("nan"))
    with pytest.raises(NotFinite, match="reward_"):
        fit(policy, template, said)
