"""Rejection sampling: draw, keep what the reward approves of, imitate it together with people's own rewrites.

Llama 2 (arXiv 2307.09288, §3.2.3) drew from the newest model alone; here the ledger's replies of any version are in the
pool as well, since a reply that was good stays good.
"""

from collections.abc import Sequence
from random import Random

import torch
from torch import Tensor
from transformers import PreTrainedModel

from backtalk.recipe import Distill
from backtalk.tables import Json
from learner import parallel
from learner.journal import Journal, Part, part, whole
from learner.lesson import Study
from learner.ppo import masked_mean
from learner.rollouts import draw
from learner.sequences import Exchange, autocast, by_length, collate, logprobs


def learn(study: Study, policy: PreTrainedModel, progress: Part) -> Json:
    """Several rounds of drawing, approving and imitating."""
    lesson, recipe, rng = study.lesson, study.recipe, Random(study.recipe.seed)
    shown = lesson.shown
    pool = [logged.exchange for logged in lesson.replies if logged.ended]
    chosen: list[Exchange] = []
    for number in range(recipe.distill.rounds):
        prompts = rng.sample(list(lesson.prompts), min(recipe.distill.prompts, len(lesson.prompts)))
        study.journal.pulse()
        drawn = draw(
            policy,
            lesson.template,
            prompts * recipe.distill.draws,
            temperature=recipe.sampling.temperature,
            maximum_tokens=recipe.sampling.maximum_tokens,
            seed=rng.getrandbits(40),
        )
        pool += [rollout.exchange for rollout in drawn if rollout.ended]
        chosen = approved(pool, *study.reward.appraise(pool), recipe.distill.share)
        own = part(progress, number / recipe.distill.rounds, (number + 1) / recipe.distill.rounds)
        imitate(policy, chosen + shown, recipe.distill, rng, study.journal, own)
    return {"approved": len(chosen), "of": len(pool), "demonstrations": len(shown)}


def approved(exchanges: Sequence[Exchange], scores: Tensor, logits: Tensor, share: float) -> list[Exchange]:
    """The best reply to each prompt, if it is probably liked; at most `share` of all, at least a tenth of the prompts.

    Args:
        scores: [N] rewards.
        logits: [N] of being liked.
    """
    best: dict[tuple[int, ...], int] = {}
    for row in scores.argsort(descending=True).tolist():
        best.setdefault(exchanges[row].prompt, row)
    ranked = list(best.values())  # best first
    liked = sum(float(logits[row]) > 0 for row in ranked)
    count = max(min(liked, round(share * len(exchanges))), len(ranked) // 10, 1)
    return [exchanges[row] for row in ranked[:count]]


def imitate(
    policy: PreTrainedModel,
    exchanges: Sequence[Exchange],
    recipe: Distill,
    rng: Random,
    journal: Journal,
    progress: Part = whole,
) -> None:
    """Train `policy` in place to give these replies: -log π, mean over the reply tokens."""
    optimizer = torch.optim.AdamW(policy.parameters(), lr=recipe.learning_rate, weight_decay=0.0)
    batches = [rows for _ in range(recipe.epochs) for rows in by_length(exchanges, recipe.batch, rng)]
    for step, rows in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * min((step + 1) / 5, 1.0) * (1 - step / len(batches))
        optimizer.zero_grad(set_to_none=True)
        loss = descend(policy, [exchanges[row] for row in rows], recipe.device_batch)
        norm = parallel.clip(list(policy.parameters()), 1.0)
        journal.step(progress((step + 1) / len(batches)), distill_loss=loss, distill_gradient=float(norm))
        optimizer.step()


def descend(policy: PreTrainedModel, exchanges: Sequence[Exchange], most: int | None) -> float:
    """Add the gradient of `likelihood_loss` of a step, and tell the loss."""
    pieces = parallel.pieces(exchanges, most)
    weights = parallel.shares([sum(len(one.reply) for one in own) * counts for own, counts in pieces])
    found = 0.0
    for (own, _), weight in zip(pieces, weights, strict=True):
        loss = parallel.weigh(likelihood_loss(policy, own), weight)
        torch.autograd.backward(loss)
        found += float(loss.detach())
    return parallel.means({"loss": found})["loss"]


def likelihood_loss(policy: PreTrainedModel, exchanges: Sequence[Exchange]) -> Tensor:
    """-log π of the replies, mean over their tokens: [] scalar."""
    batch = collate(exchanges, policy.device)
    with autocast(policy.device):
        chosen = logprobs(policy, batch)  # [B, T]
    return -masked_mean(chosen, batch.mask)
