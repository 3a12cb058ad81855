"""RLOO and GRPO: several replies to each prompt, each judged against the others; no critic."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel
from typing_extensions import override

from backtalk.tables import Json
from learner import parallel, ppo
from learner.improve import Improver, Minibatch
from learner.journal import Part
from learner.lesson import Study


class Rloo(Improver):
    """REINFORCE with a leave-one-out baseline (arXiv 2402.14740): the price of divergence is part of the reward."""

    @override
    def _choose(self, prompts: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
        size = self.recipe.group
        chosen = self._rng.choices(prompts, k=max(1, self.recipe.episodes // size))
        return [prompt for prompt in chosen for _ in range(size)]

    @override
    def _estimate(self, minibatches: Sequence[Minibatch], scores: Tensor) -> None:
        price = torch.zeros_like(scores)
        for one in minibatches:
            if one.counts:
                price[one.rows] = self.kl_price * ppo.divergence(one.old, one.prior, one.batch.mask)
        paid = scores - parallel.total(price)
        _spread(minibatches, ppo.against_the_others(paid, self.recipe.group))

    @override
    def _loss(self, one: Minibatch, new: Tensor, values: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        surrogate = ppo.policy_loss(new, one.old, one.gains, one.batch.mask, self.recipe.clip, self.recipe.dual_clip)
        return surrogate, {"policy_loss": surrogate}


class Grpo(Rloo):
    """Group-relative policy optimisation (arXiv 2402.03300): the price of divergence is part of the loss."""

    @override
    def _estimate(self, minibatches: Sequence[Minibatch], scores: Tensor) -> None:
        _spread(minibatches, ppo.within_the_group(scores, self.recipe.group))

    @override
    def _loss(self, one: Minibatch, new: Tensor, values: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        surrogate, named = super()._loss(one, new, values)
        # E_π[π_ref/π - 1 - log(π_ref/π)]: the third estimator of KL(π‖π_ref) by Schulman.
        return surrogate + self.kl_price * ppo.change(one.prior, new, one.batch.mask), named


def learn(study: Study, policy: PreTrainedModel, progress: Part, kind: type[Rloo] = Rloo) -> Json:
    """Iterations on fresh replies."""
    lesson, recipe = study.lesson, study.recipe
    shown = lesson.shown
    improver = kind(
        policy, lesson.live, study.reward, shown, recipe.ppo, recipe.seed, study.journal, study.checkpoints, study.draw
    )
    improver.from_rollouts(lesson.template, lesson.prompts, recipe.sampling, progress)
    return {"group": recipe.ppo.group, "demonstrations": len(shown)}


def _spread(minibatches: Sequence[Minibatch], gains: Tensor) -> None:
    """Each reply's advantage [B] on all its tokens."""
    for one in minibatches:
        one.gains = gains[one.rows][:, None] * one.batch.mask
        one.returns = torch.zeros_like(one.gains)
