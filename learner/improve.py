"""PPO, in the order of the paper: roll out, score, advantages, several epochs, write down.

Shapes: B replies of an iteration, T tokens of the longest, D width.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from backtalk.recipe import Ppo, Sampling
from backtalk.tables import Json
from backtalk.template import Template
from learner import distill, ppo
from learner.dataset import Logged
from learner.distill import likelihood_loss
from learner.journal import Journal, Part, part, whole
from learner.lesson import Study
from learner.reward_model import RewardModel
from learner.rollouts import Rollout, draw
from learner.sequences import (
    Batch,
    Exchange,
    all_logprobs,
    at_replies,
    autocast,
    by_length,
    collate,
    logprobs_of,
    pad,
    states,
)

CRITIC_FACTOR = 10.0  # the critic is one layer on states it does not change, and has to begin from nothing


@dataclass(slots=True)
class Minibatch:
    """What one optimiser step looks at; fixed for an iteration, so that the first ratio is exactly 1."""

    rows: list[int]  # which of the iteration's replies
    batch: Batch
    old: Tensor  # [B, T] log-probs when the iteration began, by the forward pass that training uses
    prior: Tensor  # [B, T] log-probs under the reference
    values: Tensor  # [B, T]
    gains: Tensor  # [B, T]
    returns: Tensor  # [B, T]


def learn(study: Study, policy: PreTrainedModel, progress: Part) -> Json:
    """PPO on what the ledger offers, imitation of what the reward approves of, PPO on fresh replies."""
    lesson, recipe = study.lesson, study.recipe
    shown = [demonstration.exchange for demonstration in lesson.taught.demonstrations]
    improver = Improver(policy, lesson.live, study.reward, shown, recipe.ppo, recipe.seed, study.journal)
    share = improver.from_ledger(lesson.current) if recipe.ppo.logged else 0.0
    told = distill.learn(study, policy, part(progress, 0.0, 0.4))
    improver.from_rollouts(lesson.template, lesson.prompts, recipe.sampling, part(progress, 0.4, 1.0))
    return told | {"ledger": {"replies": len(lesson.current), "effective_share": round(share, 4)}}


class Improver:
    """PPO on one policy, its critic and its optimiser; they stay the same from the ledger's replies to fresh ones."""

    def __init__(
        self,
        policy: PreTrainedModel,
        reference: PreTrainedModel,
        reward: RewardModel,
        demonstrations: Sequence[Exchange],
        recipe: Ppo,
        seed: int,
        journal: Journal,
    ) -> None:
        """
        Args:
            policy: trained in place.
            reference: the live version, frozen.
            demonstrations: people's rewrites, whose likelihood is kept up (PPO-ptx).
        """
        self.policy, self.reference, self.reward = policy, reference, reward
        self.recipe, self.journal = recipe, journal
        self.kl_price = recipe.kl
        self._demonstrations = list(demonstrations)
        self._rng = Random(seed)
        # What the reply will be worth, foretold before each token from the policy's own state.
        self._critic = nn.Linear(policy.config.hidden_size, 1).to(policy.device)
        nn.init.zeros_(self._critic.weight)
        nn.init.zeros_(self._critic.bias)
        self._optimizer = torch.optim.AdamW(
            [
                {"params": policy.parameters(), "factor": 1.0},
                {"params": self._critic.parameters(), "factor": CRITIC_FACTOR},
            ],
            weight_decay=0.0,
        )
        self._set_rate(recipe.learning_rate)

    def from_ledger(self, logged: Sequence[Logged]) -> float:
        """One iteration on replies that the live version gave to people, if they are as good as fresh ones.

        They are when the policy still gives them about the probability they were drawn with: the effective sample size
        says so. Stale replies do harm with any correction that was tried (measured), so they are left to the reward
        model and to distillation.

        Returns:
            The effective sample size as a share; 0 where there was nothing to use.
        """
        # Imported replies have no log-probs, filtered ones those of another distribution.
        exact = [one for one in logged if one.temperature and len(one.logprobs) == len(one.exchange.reply)]
        if not exact:
            return 0.0
        temperature: float = Counter(one.temperature or 0.0 for one in exact).most_common(1)[0][0]
        usual = [one for one in exact if one.temperature == temperature][: 2 * self.recipe.episodes]
        rollouts = [Rollout(one.exchange, one.logprobs, one.ended) for one in usual]
        exchanges = [rollout.exchange for rollout in rollouts]
        batch = collate(exchanges)
        now = pad(all_logprobs(self.policy, exchanges, temperature), batch.mask)
        behaviour = pad([torch.tensor(rollout.logprobs) for rollout in rollouts], batch.mask)
        share = float(ppo.effective_share(now, behaviour, batch.mask))
        if share >= self.recipe.minimum_ess:
            self._iterate(rollouts, temperature, None, ess=share)
        return share

    def from_rollouts(
        self,
        template: Template,
        prompts: Sequence[tuple[int, ...]],
        sampling: Sampling,
        progress: Part = whole,
    ) -> None:
        """Iterations on fresh replies, until they are over or the policy has gone `kl_stop` nats from the reference."""
        for iteration in range(self.recipe.iterations):
            self._set_rate(self.recipe.learning_rate * (1 - 0.8 * iteration / self.recipe.iterations))
            self.journal.pulse()
            rollouts = draw(
                self.policy,
                template,
                self._choose(prompts),
                temperature=sampling.temperature,
                maximum_tokens=sampling.maximum_tokens,
                seed=self._rng.getrandbits(40),
            )
            kl = self._iterate(rollouts, sampling.temperature, progress((iteration + 1) / self.recipe.iterations))
            if kl > self.recipe.kl_stop:
                break
            if self.recipe.kl_target is not None:
                self.kl_price = ppo.adapted_price(self.kl_price, kl, self.recipe.kl_target)

    def _choose(self, prompts: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """What is asked in an iteration."""
        return self._rng.choices(prompts, k=self.recipe.episodes)

    def _set_rate(self, rate: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["factor"]

    def _iterate(self, rollouts: Sequence[Rollout], temperature: float, done: float | None, **more: float) -> float:
        """Score, advantages, several epochs, write down. Returns the nats per reply from the reference."""
        exchanges = [rollout.exchange for rollout in rollouts]
        foretold = all_logprobs(self.reference, exchanges, temperature)  # B lines
        scores = self.reward.score(exchanges, foretold if temperature == 1.0 else None)  # [B]
        scores = torch.where(torch.tensor([r.ended for r in rollouts]), scores, self.recipe.no_end)
        minibatches, measures = self._prepare(exchanges, foretold, scores, temperature)
        measures |= self._learn(minibatches, temperature)
        self.journal.step(
            done,
            reward=float(scores.mean()),
            reward_spread=float(scores.std(correction=0)),
            length=sum(len(e.reply) for e in exchanges) / len(exchanges),
            ended=sum(r.ended for r in rollouts) / len(rollouts),
            kl_price=self.kl_price,
            **measures,
            **more,
        )
        return measures["kl"]

    @torch.no_grad()
    def _prepare(
        self, exchanges: Sequence[Exchange], foretold: Sequence[Tensor], scores: Tensor, temperature: float
    ) -> tuple[list[Minibatch], dict[str, float]]:
        """Advantages and returns of all replies, whitened over the whole iteration."""
        minibatches: list[Minibatch] = []
        for rows in by_length(exchanges, self.recipe.minibatch):
            batch = collate([exchanges[row] for row in rows], self.policy.device)
            old, values = self._forward(batch, temperature)
            prior = pad([foretold[row] for row in rows], batch.mask)  # [B, T]
            nothing = torch.zeros_like(old)
            minibatches.append(Minibatch(rows, batch, old, prior, values, nothing, nothing))
        self._estimate(minibatches, scores.to(self.policy.device))
        _whiten_together(minibatches)
        nats = torch.cat([ppo.divergence(one.old, one.prior, one.batch.mask) for one in minibatches])
        old, values, returns = (_flat(minibatches, name) for name in ("old", "values", "returns"))
        mask = _mask(minibatches)
        return minibatches, {
            "kl": float(nats.mean()),
            "entropy": float(-ppo.masked_mean(old, mask)),
            "explained_variance": float(ppo.explained_variance(values, returns, mask)),
        }

    def _estimate(self, minibatches: Sequence[Minibatch], scores: Tensor) -> None:
        """Advantages and returns of every token.

        Args:
            scores: [B], in the order of the iteration's replies.
        """
        recipe = self.recipe
        for one in minibatches:
            mask = one.batch.mask
            rewards = ppo.token_rewards(scores[one.rows], one.old, one.prior, mask, self.kl_price)
            one.gains, one.returns = ppo.advantages(rewards, one.values, mask, recipe.gamma, recipe.lam)

    def _loss(self, one: Minibatch, new: Tensor, values: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """What an optimiser step lowers, and its parts by name."""
        recipe, mask = self.recipe, one.batch.mask
        surrogate = ppo.policy_loss(new, one.old, one.gains, mask, recipe.clip, recipe.dual_clip)
        error = ppo.value_loss(values, one.values, one.returns, mask, recipe.value_clip)
        return surrogate + recipe.value_weight * error, {"policy_loss": surrogate, "value_loss": error}

    def _learn(self, minibatches: list[Minibatch], temperature: float) -> dict[str, float]:
        """Several epochs over the minibatches of one iteration; the measures are means over its steps."""
        recipe = self.recipe
        sums: Counter[str] = Counter()
        parameters = [*self.policy.parameters(), *self._critic.parameters()]
        for _ in range(recipe.epochs):
            for one in self._rng.sample(minibatches, len(minibatches)):
                self.journal.pulse()
                mask = one.batch.mask
                new, values = self._forward(one.batch, temperature)
                loss, named = self._loss(one, new, values)
                if self._demonstrations and recipe.rewrite_weight:  # PPO-ptx
                    shown = self._rng.sample(self._demonstrations, min(8, len(self._demonstrations)))
                    loss = loss + recipe.rewrite_weight * likelihood_loss(self.policy, shown)
                self._optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
                norm = nn.utils.clip_grad_norm_(parameters, recipe.maximum_gradient)
                if bool(norm.isfinite()):  # a step that is not finite is never taken; the journal ends the run over it
                    self._optimizer.step()
                named["clipped"] = ppo.clipped_share(new, one.old, mask, recipe.clip)
                named["change"] = ppo.change(new, one.old, mask)
                named["ppo_gradient"] = norm
                for name, value in named.items():
                    sums[name] += float(value.detach())  # type: ignore[assignment]  # a Counter adds floats as well
        return {name: value / (recipe.epochs * len(minibatches)) for name, value in sums.items()}

    def _forward(self, batch: Batch, temperature: float) -> tuple[Tensor, Tensor]:
        """Log-probs of the reply tokens and values before them, each [B, T]."""
        with autocast(self.policy.device):
            hidden = at_replies(states(self.policy.base_model, batch), batch)  # [B, T, D]
            chosen = logprobs_of(self.policy, hidden, batch, temperature)
        return chosen, self._critic(hidden.float())[..., 0] * batch.mask


def _whiten_together(minibatches: Sequence[Minibatch]) -> None:
    white = ppo.whiten(_flat(minibatches, "gains"), _mask(minibatches))
    sizes = [one.batch.mask.numel() for one in minibatches]
    for one, line in zip(minibatches, torch.split(white, sizes, 1), strict=True):
        one.gains = line.view_as(one.batch.mask)


def _flat(minibatches: Sequence[Minibatch], name: str) -> Tensor:
    """One long row [1, Σ B·T] of a tensor of each minibatch."""
    return torch.cat([getattr(one, name).reshape(1, -1) for one in minibatches], 1)


def _mask(minibatches: Sequence[Minibatch]) -> Tensor:
    return torch.cat([one.batch.mask.reshape(1, -1) for one in minibatches], 1)
