"""Best of n: of several fresh replies to each prompt, imitate the one with the highest reward.

WebGPT (arXiv 2112.09332) found sampling n and keeping the best as good as reinforcement learning; imitating it saves
the n-fold cost of serving (BOND, arXiv 2407.14622).
"""

from random import Random

from transformers import PreTrainedModel

from backtalk.tables import Json
from learner.distill import imitate
from learner.journal import Part
from learner.lesson import Study
from learner.rollouts import draw
from learner.sequences import Exchange


def learn(study: Study, policy: PreTrainedModel, progress: Part) -> Json:
    """Draw `best_of` replies to each prompt at once, keep the best, imitate."""
    lesson, recipe, rng = study.lesson, study.recipe, Random(study.recipe.seed)
    prompts = rng.sample(list(lesson.prompts), min(recipe.distill.prompts, len(lesson.prompts)))
    best: dict[tuple[int, ...], tuple[float, Exchange]] = {}
    for _ in range(recipe.best_of):
        study.journal.pulse()
        drawn = draw(
            policy,
            lesson.template,
            prompts,
            temperature=recipe.sampling.temperature,
            maximum_tokens=recipe.sampling.maximum_tokens,
            seed=rng.getrandbits(40),
        )
        ended = [rollout.exchange for rollout in drawn if rollout.ended]
        for exchange, score in zip(ended, study.reward.score(ended).tolist(), strict=True):
            if exchange.prompt not in best or score > best[exchange.prompt][0]:
                best[exchange.prompt] = score, exchange
    imitate(policy, [exchange for _, exchange in best.values()], recipe.distill, rng, study.journal, progress)
    return {"n": recipe.best_of, "prompts": len(best)}
