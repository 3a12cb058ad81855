"""How often the gate lets through what people like better, and what they do not, from few opinions.

Nothing is trained: the better candidate is the best of several replies of the bundled model by a reward fitted on those
who teach, and the one that is no better is any of them by chance. Tastes know which is which; the gate does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import fmean

import torch
from transformers import PreTrainedModel

from backtalk import starter
from backtalk.recipe import Recipe
from backtalk.starter.prompts import sample_prompts
from backtalk.tastes import TASTES, Taste
from backtalk.template import Template, Turn
from bench.loop import ODD, PEOPLE
from bench.report import Row
from learner import reward_model
from learner.examples import Examples, Thumb
from learner.intervals import Interval, thumbs_auc
from learner.journal import Journal
from learner.judge import Judge
from learner.rollouts import draw
from learner.sequences import Exchange, load

PROMPTS, DRAWS = 1000, 6
FLIP = 0.1


@dataclass(frozen=True, slots=True)
class Pool:
    """The live version's replies, `DRAWS` to each prompt, and what a right one contains."""

    live: PreTrainedModel
    ends: Sequence[int]
    replies: list[list[Exchange]]
    accepted: list[tuple[str, ...]]


def bench(tastes: Sequence[str], thumbs: int, seeds: int) -> list[Row]:
    """A row for each taste."""
    pool, known = draw_pool(), TASTES | ODD
    return [measure(pool, known[name], thumbs, seeds) for name in tastes or known]


def draw_pool() -> Pool:
    """As they are served."""
    torch.set_num_threads(1)
    live, template = load(Path(starter.FILES)), Template(Path(starter.FILES))
    prompts = sample_prompts(PROMPTS, 77)
    asked = [tuple(template.render([Turn("user", prompt.text)])) for prompt in prompts for _ in range(DRAWS)]
    drawn = [one.exchange for one in draw(live, template, asked, temperature=0.6, maximum_tokens=200, seed=5)]
    rows = [drawn[at : at + DRAWS] for at in range(0, len(drawn), DRAWS)]
    return Pool(live, template.ends, rows, [prompt.accepted for prompt in prompts])


def measure(pool: Pool, taste: Taste, thumbs: int, seeds: int) -> Row:
    """The gate's verdicts on so many crowds of this taste."""
    found = [_try(pool, taste, thumbs, seed) for seed in range(seeds)]
    usual = fmean(
        taste.likes(reply.text, accepted)
        for replies, accepted in zip(pool.replies, pool.accepted, strict=True)
        for reply in replies
    )
    return {
        "taste": taste.name,
        "thumbs": thumbs,
        "liked": f"{usual:.0%}",
        "better by": f"{fmean(one[0] for one in found):.2f}",
        "gain by the judge": f"{fmean(one[1].value for one in found):.2f}",
        "let through": f"{sum(one[2] for one in found)} of {seeds}",
        "no better, let through": f"{sum(one[3] for one in found)} of {seeds}",
    }


def _try(pool: Pool, taste: Taste, thumbs: int, seed: int) -> tuple[float, Interval, bool, bool]:
    """What the better candidate truly gains, what the judge sees of it, and both verdicts."""
    rng, recipe = Random(f"{taste.name} {seed}"), Recipe()
    asked = rng.sample(range(len(pool.replies)), thumbs)
    said = [say(pool, taste, prompt, str(at % PEOPLE), rng) for at, prompt in enumerate(asked)]
    judging = {str(person) for person in rng.sample(range(PEOPLE), round(recipe.data.share_held_out(thumbs) * PEOPLE))}
    teach = Examples([one for one in said if one.person not in judging])
    judge_by = Examples([one for one in said if one.person in judging])
    reward = reward_model.fit(pool.live, teach, pool.ends, recipe.reward_model, seed, Journal())
    judge = Judge(pool.live, judge_by, [one.exchange for one in said], pool.ends)
    aucs = (
        thumbs_auc(reward.preference([one.exchange for one in judge_by.thumbs]), judge_by.thumbs, 0.95, seed),
        thumbs_auc(judge.preference([one.exchange for one in teach.thumbs]), teach.thumbs, 0.95, seed),
    )
    foretold = min(one.value for one in aucs) > recipe.gate.minimum_auc
    unseen = [prompt for at, prompt in enumerate(asked) if str(at % PEOPLE) in judging]
    before = [rng.choice(pool.replies[prompt]) for prompt in unseen]
    worth = reward.score([reply for prompt in unseen for reply in pool.replies[prompt]]).view(-1, DRAWS)
    best = [pool.replies[prompt][int(row.argmax())] for prompt, row in zip(unseen, worth, strict=True)]
    chance = [rng.choice(pool.replies[prompt]) for prompt in unseen]
    sure = 1 - (1 - recipe.gate.confidence) / len(recipe.steps)  # as surely as each part of the way has to
    prompts, seen = [one.prompt for one in before], judge.look(before)
    gain, none = (judge.gain(prompts, seen, judge.look(after), sure, seed) for after in (best, chance))

    def liked(replies: Sequence[Exchange]) -> float:
        return fmean(taste.likes(one.text, pool.accepted[prompt]) for one, prompt in zip(replies, unseen, strict=True))

    return liked(best) - liked(before), gain, foretold and gain.low > 0, foretold and none.low > 0


def say(pool: Pool, taste: Taste, prompt: int, person: str, rng: Random) -> Thumb:
    """A thumb on one of the replies, which sometimes slips."""
    reply = rng.choice(pool.replies[prompt])
    liked = taste.likes(reply.text, pool.accepted[prompt])
    return Thumb(person, reply, liked != (rng.random() < FLIP))
