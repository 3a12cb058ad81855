"""What the trunk of a reward model learns by optimiser steps, beside heads in closed form alone: at what price, and of
what use.
"""

import time
from collections.abc import Sequence
from random import Random
from statistics import fmean

from backtalk.recipe import Recipe
from backtalk.tastes import TASTES, Taste
from bench.gate import Pool, draw_pool, say
from bench.loop import ODD, PEOPLE
from bench.report import Row
from learner import reward_model
from learner.examples import Examples
from learner.intervals import auc
from learner.journal import Journal

STEPS = (0, 150)
UNSEEN = 300  # prompts that nobody rated a reply to
TRIED = ("friendly", "two", "formal", "detailed")


def bench(tastes: Sequence[str], thumbs: int, seeds: int) -> list[Row]:
    """A row for each taste and number of steps."""
    pool = draw_pool()
    return [measure(pool, (TASTES | ODD)[name], thumbs, steps, seeds) for name in tastes or TRIED for steps in STEPS]


def measure(pool: Pool, taste: Taste, thumbs: int, steps: int, seeds: int) -> Row:
    """How well it tells what is truly liked among replies it has not seen, and what choosing by it is worth."""
    recipe = Recipe().reward_model.model_copy(update={"steps": steps})
    told, chosen, usual, spent = list[float](), list[float](), list[float](), list[float]()
    for seed in range(seeds):
        rng = Random(f"{taste.name} {seed}")
        order = rng.sample(range(len(pool.replies)), len(pool.replies))
        said = [say(pool, taste, prompt, str(at % PEOPLE), rng) for at, prompt in enumerate(order[:thumbs])]
        began = time.process_time()
        reward = reward_model.fit(pool.live, Examples(said), pool.ends, recipe, seed, Journal())
        spent.append(time.process_time() - began)
        unseen = order[thumbs : thumbs + UNSEEN]
        liked = [taste.likes(reply.text, pool.accepted[prompt]) for prompt in unseen for reply in pool.replies[prompt]]
        worth = reward.preference([reply for prompt in unseen for reply in pool.replies[prompt]])
        told.append(auc(worth, liked))
        best = worth.view(len(unseen), -1).argmax(1).tolist()
        draws = len(liked) // len(unseen)
        chosen.append(fmean(liked[at * draws + row] for at, row in enumerate(best)))
        usual.append(fmean(liked))
    return {
        "taste": taste.name,
        "thumbs": thumbs,
        "steps": steps,
        "CPU s": round(fmean(spent), 1),
        "AUC": round(fmean(told), 3),
        "liked": f"{fmean(usual):.1%}",
        "best of six liked": f"{fmean(chosen):.1%}",
    }
