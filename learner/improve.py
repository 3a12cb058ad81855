"""PPO, in the order of the paper: roll out, score, advantages, several epochs, write down.

Shapes: B replies of an iteration, T tokens of the longest, D width.
"""

import shutil
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from backtalk.recipe import Ppo, Sampling
from backtalk.tables import Json
from backtalk.template import Template
from learner import distill, parallel, ppo
from learner.dataset import Logged
from learner.distill import likelihood_loss
from learner.journal import Journal, Part, part, whole
from learner.lesson import Study
from learner.reward_model import RewardModel
from learner.rollouts import Draw, Rollout, RolloutFailed, draw
from learner.sequences import (
    Batch,
    Exchange,
    all_logprobs,
    autocast,
    by_length,
    collate,
    foretell,
    pad,
)

CRITIC_FACTOR = 10.0  # the critic is one layer on states it does not change, and has to begin from nothing


@dataclass(slots=True)
class Minibatch:
    """What one optimiser step looks at; fixed for an iteration, so that the first ratio is exactly 1."""

    rows: list[int]  # which of the iteration's replies
    counts: bool  # whether this process answers for them
    batch: Batch
    old: Tensor  # [B, T] log-probs when the iteration began, by the forward pass that training uses
    prior: Tensor  # [B, T] log-probs under the reference
    values: Tensor  # [B, T]
    gains: Tensor  # [B, T]
    returns: Tensor  # [B, T]


def learn(study: Study, policy: PreTrainedModel, progress: Part) -> Json:
    """PPO on what the ledger offers, imitation of what the reward approves of, PPO on fresh replies."""
    lesson, recipe = study.lesson, study.recipe
    shown = lesson.shown
    improver = Improver(
        policy, lesson.live, study.reward, shown, recipe.ppo, recipe.seed, study.journal, study.checkpoints, study.draw
    )
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
        checkpoints: Path | None = None,
        draw: Draw = draw,
    ) -> None:
        """
        Args:
            policy: trained in place.
            reference: the live version, frozen.
            demonstrations: people's rewrites, whose likelihood is kept up (PPO-ptx).
            checkpoints: directory of this run's; None keeps none.
            draw: how fresh replies are drawn.
        """
        self._draw = draw
        self._checkpoints = checkpoints
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
        share = float(ppo.effective_share(ppo.divergence(now, behaviour, batch.mask)))
        if share >= self.recipe.minimum_ess:
            self._iterate(rollouts, temperature, None, ledger_ess=share)
        return share

    def from_rollouts(
        self,
        template: Template,
        prompts: Sequence[tuple[int, ...]],
        sampling: Sampling,
        progress: Part = whole,
    ) -> None:
        """Iterations on fresh replies, until they are over or the policy has gone `kl_stop` nats from the reference."""
        for iteration in range(self._resume(), self.recipe.iterations):
            self._set_rate(self.recipe.learning_rate * (1 - 0.8 * iteration / self.recipe.iterations))
            self.journal.pulse()
            rollouts = self._draw(
                self.policy,
                template,
                self._choose(prompts),
                temperature=sampling.temperature,
                maximum_tokens=sampling.maximum_tokens,
                seed=self._rng.getrandbits(40),
            )
            done = progress((iteration + 1) / self.recipe.iterations)
            kl = self._iterate(rollouts, sampling.temperature, done, is_foreign=self._draw.is_remote)
            if kl > self.recipe.kl_stop:
                break
            if self.recipe.kl_target is not None:
                self.kl_price = ppo.adapted_price(self.kl_price, kl, self.recipe.kl_target)
            self._keep(iteration + 1)

    def _keep(self, iterations: int) -> None:
        """Write a checkpoint, if it is time; the one before it goes."""
        every = self.recipe.checkpoint_every
        if self._checkpoints is None or not every or iterations % every:
            return
        parallel.save(self._checkpoints / str(iterations), self._state(iterations))
        if parallel.rank() == 0:
            for old in self._kept()[:-1]:
                shutil.rmtree(self._checkpoints / str(old))

    def _resume(self) -> int:
        """Go on from the newest checkpoint, and tell how many iterations it has behind it."""
        kept = self._kept()
        if not kept:
            return 0
        assert self._checkpoints is not None
        state = self._state(0)
        parallel.restore(self._checkpoints / str(kept[-1]), state)
        self.kl_price = float(state["price"])
        version, gauss = self._rng.getstate()[0], self._rng.getstate()[2]
        self._rng.setstate((version, tuple(state["chance"].tolist()), gauss))
        return int(state["iterations"])

    def _kept(self) -> list[int]:
        found = self._checkpoints.glob("[0-9]*") if self._checkpoints is not None else ()
        return sorted(int(path.name) for path in found)

    def _state(self, iterations: int) -> dict[str, Tensor]:
        """All that an iteration begins with. Draws of a normal distribution are never asked for, so they have none."""
        models = {"policy": self.policy, "critic": self._critic}
        return parallel.state_of(models, self._optimizer) | {
            "iterations": torch.tensor(iterations),
            "price": torch.tensor(self.kl_price, dtype=torch.float64),
            "chance": torch.tensor(self._rng.getstate()[1], dtype=torch.int64),
        }

    def _choose(self, prompts: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """What is asked in an iteration."""
        return self._rng.choices(prompts, k=self.recipe.episodes)

    def _set_rate(self, rate: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["factor"]

    def _iterate(
        self,
        rollouts: Sequence[Rollout],
        temperature: float,
        done: float | None,
        *,
        is_foreign: bool = False,
        **more: float,
    ) -> float:
        """Score, advantages, several epochs, write down. Returns the nats per reply from the reference.

        Args:
            is_foreign: another engine drew the replies; its log-probs are not quite the trainer's.
        """
        exchanges = [rollout.exchange for rollout in rollouts]
        foretold = all_logprobs(self.reference, exchanges, temperature)  # B lines
        scores = self.reward.score(exchanges, foretold if temperature == 1.0 else None)  # [B]
        scores = torch.where(torch.tensor([r.ended for r in rollouts]), scores, self.recipe.no_end)
        steps, measures = self._prepare(exchanges, foretold, scores, temperature)
        if is_foreign:
            measures |= self._correct(steps, rollouts)
        measures |= self._learn(steps, rollouts, temperature)
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
    ) -> tuple[list[list[Minibatch]], dict[str, float]]:
        """The pieces of each step, with advantages and returns whitened over the whole iteration."""
        steps: list[list[Minibatch]] = []
        for rows in by_length(exchanges, self.recipe.minibatch):
            steps.append([])
            for own, counts in parallel.pieces(rows, self.recipe.device_batch):
                batch = collate([exchanges[row] for row in own], self.policy.device)
                old, values = self._forward(batch, temperature)
                prior = pad([foretold[row] for row in own], batch.mask)  # [B, T]
                nothing = torch.zeros_like(old)
                steps[-1].append(Minibatch(list(own), counts, batch, old, prior, values, nothing, nothing))
        minibatches = [one for step in steps for one in step]
        self._estimate(minibatches, scores.to(self.policy.device))
        _whiten_together(minibatches)
        nats = _everywhere([ppo.divergence(one.old, one.prior, one.batch.mask) for one in minibatches if one.counts])
        old, values, returns = (_flat(minibatches, name) for name in ("old", "values", "returns"))
        mask = _mask(minibatches)
        return steps, {
            "kl": float(nats.mean()),
            "entropy": float(-ppo.masked_mean(old, mask)),
            "explained_variance": float(ppo.explained_variance(values, returns, mask)),
        }

    @torch.no_grad()
    def _correct(self, steps: Sequence[Sequence[Minibatch]], rollouts: Sequence[Rollout]) -> dict[str, float]:
        """Weigh each token by how much likelier it is to the trainer than to the engine that drew it.

        Returns:
            How far both are apart: nats a token on average and at most, and the share of weights that were truncated.

        Raises:
            RolloutFailed: too far for any correction.
        """
        most, apart, cut = self.recipe.maximum_weight, list[Tensor](), list[Tensor]()
        for one in (one for step in steps for one in step):
            mask = one.batch.mask
            lines = [torch.tensor(rollouts[row].logprobs, device=mask.device) for row in one.rows]
            behaviour = pad(lines, mask)  # [B, T]
            one.gains = one.gains * ppo.truncated_weights(one.old, behaviour, mask, most)
            if one.counts:
                difference = (one.old - behaviour)[mask > 0]
                apart.append(difference.abs())
                cut.append((difference.exp() > most).float())
        gaps = _everywhere(apart)
        gap = float(gaps.mean())
        if not gap <= self.recipe.maximum_gap:
            raise RolloutFailed(
                f"the engine that draws the replies and the trainer are {gap:.3f} nats a token apart, "
                f"{self.recipe.maximum_gap} allowed: it serves other weights or computes too coarsely; see "
                "BACKTALK_ROLLOUT_ENGINE and the recipe's ppo.maximum_gap"
            )
        return {
            "engine_gap": gap,
            "engine_gap_most": float(gaps.max()),
            "truncated": float(_everywhere(cut).mean()),
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

    def _learn(
        self, steps: Sequence[Sequence[Minibatch]], rollouts: Sequence[Rollout], temperature: float
    ) -> dict[str, float]:
        """Several epochs over the steps of one iteration.

        Returns:
            Means over them; and the effective sample size, as a share, that the replies still had in the last one.
        """
        recipe = self.recipe
        sums: dict[str, float] = defaultdict(float)
        parameters = [*self.policy.parameters(), *self._critic.parameters()]
        apart: list[
            Tensor
        ] = []  # of each reply [B], in the last epoch: nats that the policy has gone from what drew it
        for epoch in range(1, recipe.epochs + 1):
            for step in self._rng.sample(steps, len(steps)):
                self.journal.pulse()
                self._optimizer.zero_grad(set_to_none=True)
                found: dict[str, float] = defaultdict(float)
                for one, weight in zip(step, parallel.shares([_tokens(one) for one in step]), strict=True):
                    mask = one.batch.mask
                    new, values = self._forward(one.batch, temperature)
                    if one.counts and epoch == recipe.epochs:
                        lines = [torch.tensor(rollouts[row].logprobs, device=mask.device) for row in one.rows]
                        apart.append(ppo.divergence(new.detach(), pad(lines, mask), mask))
                    loss, named = self._loss(one, new, values)
                    loss = parallel.weigh(loss, weight)
                    if one is step[0] and self._demonstrations and recipe.rewrite_weight:  # PPO-ptx
                        loss = loss + recipe.rewrite_weight * self._unlikelihood()
                    torch.autograd.backward(loss)
                    named["clipped"] = ppo.clipped_share(new, one.old, mask, recipe.clip)
                    named["change"] = ppo.change(new, one.old, mask)
                    for name, value in named.items():
                        found[name] += weight * float(value.detach())
                norm = parallel.clip(parameters, recipe.maximum_gradient)
                if bool(norm.isfinite()):  # a step that is not finite is never taken; the journal ends the run over it
                    self._optimizer.step()
                for name, mean in (parallel.means(found) | {"ppo_gradient": float(norm)}).items():
                    sums[name] += mean
        means = {name: value / (recipe.epochs * len(steps)) for name, value in sums.items()}
        return means | {"ess": float(ppo.effective_share(_everywhere(apart)))}

    def _unlikelihood(self) -> Tensor:
        """Of some of people's own rewrites."""
        shown = self._rng.sample(self._demonstrations, min(8, len(self._demonstrations)))
        ((own, counts),) = parallel.pieces(shown, None)
        (weight,) = parallel.shares([sum(len(one.reply) for one in own) * counts])
        return parallel.weigh(likelihood_loss(self.policy, own), weight)

    def _forward(self, batch: Batch, temperature: float) -> tuple[Tensor, Tensor]:
        """Log-probs of the reply tokens and values before them, each [B, T]."""
        with autocast(self.policy.device):
            chosen, hidden = foretell(self.policy, batch, temperature)  # [B, T], [B, T, D]
        return chosen, self._critic(hidden.float())[..., 0] * batch.mask


def _whiten_together(minibatches: Sequence[Minibatch]) -> None:
    gains, mask = _flat(minibatches, "gains"), _mask(minibatches)
    mean = ppo.masked_mean(gains, mask)
    variance = ppo.masked_mean((gains - mean) ** 2, mask)
    for one in minibatches:
        one.gains = ppo.standardise(one.gains, mean, variance, one.batch.mask)


def _flat(minibatches: Sequence[Minibatch], name: str) -> Tensor:
    """One long row [1, Σ B·T] of a tensor of each minibatch, in all processes."""
    return _everywhere([getattr(one, name).reshape(-1) for one in minibatches if one.counts])[None]


def _mask(minibatches: Sequence[Minibatch]) -> Tensor:
    return _everywhere([one.batch.mask.reshape(-1) for one in minibatches if one.counts])[None]


def _everywhere(lines: Sequence[Tensor]) -> Tensor:
    """The lines of all processes, one after the other."""
    own = torch.cat(list(lines)) if lines else torch.empty(0)
    return torch.cat([line.to(own.device) for line in parallel.gather(own)])


def _tokens(one: Minibatch) -> float:
    return float(one.batch.mask.sum()) * one.counts
