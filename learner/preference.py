"""Learning straight from opinions, without a reward: DPO from pairs, KTO from thumbs. The mathematics, then the loops.

Shapes: B exchanges or pairs, T tokens. Log-probs are sums over a reply's tokens, [B].
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel

from backtalk.recipe import Direct
from backtalk.tables import Json
from learner import parallel
from learner.examples import Pair, Thumb
from learner.journal import Journal, Part
from learner.lesson import Study
from learner.rollouts import draw
from learner.sequences import Exchange, all_logprobs, autocast, collate, endless, logprobs

T = TypeVar("T")


def dpo_loss(better: Tensor, worse: Tensor, target: Tensor, beta: float) -> Tensor:
    """-log σ(β·(better - worse)) (Rafailov et al. 2023, arXiv 2305.18290, eq. 7); a tie is half of each order.

    Args:
        better: [B] log π - log π_ref of the better reply.
        worse: [B] of the worse one.
        target: [B], 1 where the order is sure and .5 for a tie.

    Returns:
        [B].
    """
    return F.binary_cross_entropy_with_logits(beta * (better - worse), target, reduction="none")


def kto_loss(ratio: Tensor, liked: Tensor, drift: Tensor, weight: Tensor, beta: float) -> Tensor:
    """λ·(1 - σ(±β·(ratio - drift))) (Ethayarajh et al. 2024, arXiv 2402.01306, eq. 8): a good reply should gain on the
    reference by more than the policy drifts anyway, a bad one lose.

    Args:
        ratio: [B] log π - log π_ref.
        liked: [B] bool.
        drift: [] KL(π‖π_ref), a constant of the step.
        weight: [B] λ of the reply's kind.

    Returns:
        [B].
    """
    sign = torch.where(liked, 1.0, -1.0)
    return weight * (1 - torch.sigmoid(sign * beta * (ratio - drift)))


def learn_from_pairs(study: Study, policy: PreTrainedModel, progress: Part) -> Json:
    """DPO: people's pairs (rewrites, comparisons, siblings), and the best against the worst of fresh replies."""
    pairs = [*study.lesson.taught.pairs, *_drawn_pairs(study, policy)]
    recipe, device = study.recipe.direct, policy.device
    prior = _reference(study, [exchange for pair in pairs for exchange in (pair.better, pair.worse)])

    def loss(rows: Sequence[Pair]) -> tuple[Tensor, dict[str, float]]:
        exchanges = [pair.better for pair in rows] + [pair.worse for pair in rows]
        ratio = _sums(policy, exchanges) - torch.stack([prior[e] for e in exchanges])  # [2B]
        better, worse = ratio.chunk(2)
        target = torch.tensor([pair.target for pair in rows], device=device)
        weight = torch.tensor([pair.weight for pair in rows], device=device)
        found = (weight * dpo_loss(better, worse, target, recipe.beta)).mean()
        return found, {"dpo_accuracy": float((better > worse).float().mean())}

    lengths = [len(pair.better.prompt) + len(pair.better.reply) for pair in pairs]
    _descend(policy, pairs, lengths, loss, "dpo", recipe, study, progress)
    return {"pairs": len(pairs), "of_people": len(study.lesson.taught.pairs)}


def learn_from_thumbs(study: Study, policy: PreTrainedModel, progress: Part) -> Json:
    """KTO: thumbs, and rewrites as liked; both kinds weigh the same in all, however rare one is."""
    taught, recipe, device = study.lesson.taught, study.recipe.direct, policy.device
    thumbs = [*taught.thumbs, *(Thumb(one.person, one.exchange, True) for one in taught.demonstrations)]
    prior = _reference(study, [thumb.exchange for thumb in thumbs])
    shares = {kind: sum(t.weight for t in thumbs if t.liked == kind) / len(thumbs) for kind in (True, False)}

    def loss(rows: Sequence[Thumb]) -> tuple[Tensor, dict[str, float]]:
        exchanges = [thumb.exchange for thumb in rows]
        ratio = _sums(policy, exchanges) - torch.stack([prior[e] for e in exchanges])  # [B]
        drift = _drift(policy, study.lesson.live, exchanges)
        liked = torch.tensor([thumb.liked for thumb in rows], device=device)
        weight = torch.tensor([0.5 * t.weight / max(shares[t.liked], 0.02) for t in rows], device=device)
        return kto_loss(ratio, liked, drift, weight, recipe.beta).mean(), {"kto_drift": float(drift)}

    lengths = [len(thumb.exchange.prompt) + len(thumb.exchange.reply) for thumb in thumbs]
    _descend(policy, thumbs, lengths, loss, "kto", recipe, study, progress)
    return {"thumbs": len(thumbs), "liked": round(shares[True], 4)}


def _descend(
    policy: PreTrainedModel,
    rows: Sequence[T],
    lengths: Sequence[int],
    loss: Callable[[Sequence[T]], tuple[Tensor, dict[str, float]]],
    name: str,
    recipe: Direct,
    study: Study,
    progress: Part,
) -> None:
    """AdamW, warm-up, linear decay, over all rows `epochs` times."""
    journal: Journal = study.journal
    steps = recipe.epochs * -(-len(rows) // recipe.batch)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=recipe.learning_rate, weight_decay=0.0)
    batches = endless(lengths, recipe.batch, Random(study.recipe.seed))
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * min((step + 1) / 10, 1.0) * (1 - step / steps)
        optimizer.zero_grad(set_to_none=True)
        pieces = parallel.pieces([rows[row] for row in next(batches)], recipe.device_batch)
        weights = parallel.shares([len(own) * counts for own, counts in pieces])
        sums: dict[str, float] = defaultdict(float)
        for (own, _), weight in zip(pieces, weights, strict=True):
            found, more = loss(own)
            found = parallel.weigh(found, weight)
            torch.autograd.backward(found)
            sums[f"{name}_loss"] += float(found.detach())
            for measure, value in more.items():
                sums[measure] += weight * value
        norm = parallel.clip(list(policy.parameters()), 1.0)
        journal.step(progress((step + 1) / steps), **parallel.means(sums), **{f"{name}_gradient": float(norm)})
        optimizer.step()


def _sums(policy: PreTrainedModel, exchanges: Sequence[Exchange]) -> Tensor:
    """Log-prob of each whole reply: [B]."""
    with autocast(policy.device):
        return logprobs(policy, collate(exchanges, policy.device)).sum(1)


def _reference(study: Study, exchanges: Sequence[Exchange]) -> dict[Exchange, Tensor]:
    """Log-prob of each whole reply under the live version."""
    distinct = list(dict.fromkeys(exchanges))
    lines = all_logprobs(study.lesson.live, distinct)
    return {exchange: line.sum() for exchange, line in zip(distinct, lines, strict=True)}


@torch.no_grad()
def _drift(policy: PreTrainedModel, live: PreTrainedModel, exchanges: Sequence[Exchange]) -> Tensor:
    """KL(π‖π_ref) by the replies of a batch given to each other's prompts, as the paper has it; never negative."""
    crossed = [
        Exchange(one.prompt, other.reply, other.text)
        for one, other in zip(exchanges, [*exchanges[1:], exchanges[0]], strict=True)
    ]
    drift = (_sums(policy, crossed) - _sums(live, crossed)).mean()
    return (parallel.total(drift) / parallel.size()).clamp_min(0)


def _drawn_pairs(study: Study, policy: PreTrainedModel) -> list[Pair]:
    """The reward's best and worst of several fresh replies to each prompt, where they differ clearly."""
    lesson, recipe, rng = study.lesson, study.recipe, Random(study.recipe.seed)
    if not recipe.direct.draws:
        return []
    prompts = rng.sample(list(lesson.prompts), min(recipe.distill.prompts, len(lesson.prompts)))
    drawn = draw(
        policy,
        lesson.template,
        prompts * recipe.direct.draws,
        temperature=recipe.sampling.temperature,
        maximum_tokens=recipe.sampling.maximum_tokens,
        seed=rng.getrandbits(40),
    )
    exchanges = [rollout.exchange for rollout in drawn]
    scores = study.reward.score(exchanges).tolist()
    groups: dict[tuple[int, ...], list[tuple[float, int]]] = {}
    for row, (exchange, score) in enumerate(zip(exchanges, scores, strict=True)):
        groups.setdefault(exchange.prompt, []).append((score, row))
    made = []
    for group in groups.values():
        (low, worst), (high, best) = min(group), max(group)
        if high - low > 1.0:  # of the reward's spread under the live version
            made.append(Pair("the reward", exchanges[best], exchanges[worst]))
    return made
