"""The reward model: what people said, in one trunk with several heads and three losses.

The trunk is a copy of the policy. On what `inputs.py` takes from it, linear heads foretell the thumb (classification),
the winner of a pair (ranking) and the points of each aspect (regression).

Shapes: B replies, D width of the trunk, F features, P inputs, K heads of preference, A aspects.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from backtalk.appraisal import weights_of
from backtalk.recipe import Lora, Rewards
from backtalk.recipe import RewardModel as RewardRecipe
from backtalk.rules import scored
from learner import parallel
from learner.examples import Examples
from learner.features import NAMES, describe
from learner.inputs import BIAS_PRIOR, Scale, look, look_at
from learner.journal import Journal, Part, whole
from learner.logistic import linear, solve
from learner.lora import adapt
from learner.sequences import Batch, Exchange, all_logprobs, autocast, by_length, collate, endless

MIDDLE, HALF_SPAN = 3.0, 2.0  # points 1..5 are learned as -1..1
LEAST_SPREAD = 0.05  # of a rule: where it hardly ever says anything, one word must not be worth everything
NOISE = 0.25  # variance of points, as -1..1: people differ by a point about the same reply
LIMIT = 5.0  # no single reply's reward counts more than this (arXiv 2307.04964)


class RewardModel(nn.Module):
    """Rewards for replies, in units of their spread under the live version."""

    def __init__(
        self,
        policy: PreTrainedModel,
        ends: Sequence[int],
        heads: int,
        aspects: Sequence[str],
        lora: Lora | None = None,
        learns: bool = True,
    ) -> None:
        """
        Args:
            policy: frozen.
            ends: tokens that end a reply.
            learns: whether the trunk will; one that stays as it is needs no copy.
        """
        super().__init__()
        self.reference = policy
        is_own = learns or parallel.size() > 1  # what is sharded is run as a whole, or by itself
        self.trunk = parallel.shard(adapt(parallel.copied(policy).base_model, lora)) if is_own else policy.base_model
        self.ends = tuple(ends)
        self.heads = heads
        self.aspects = tuple(aspects)
        self.scale = Scale(policy.config.hidden_size)
        self.head = nn.Linear(len(self.scale.prior), heads + len(self.aspects))
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.zero, self.unit = 0.0, 1.0  # mean and spread of the mixed reward under the live version
        self.rewards = Rewards()
        self.rule_scales: dict[str, tuple[float, float]] = {}
        """Mean and spread of each style and rule under the live version."""
        self.caution = 0.0
        self.to(policy.device)

    def forward(self, batch: Batch, features: Tensor) -> Tensor:
        """Logits of preference and, after them, points of each aspect (as -1..1): [B, K + A].

        Args:
            features: [B, F] in plain units.
        """
        inputs = look(self.trunk, batch, features)
        with torch.autocast(features.device.type, enabled=False):  # the heads are small, and exact
            answer: Tensor = self.head(self.scale(inputs))
        return answer

    @torch.no_grad()
    def judge(self, exchanges: Sequence[Exchange], reference: Sequence[Tensor] | None = None) -> Tensor:
        """Raw answers for any number of exchanges, in order: [N, K + A] float32.

        Args:
            reference: log-probs of the reply tokens under the reference, where they are known already.
        """
        device = self.head.weight.device
        if self.trunk is self.reference.base_model:  # one pass tells its states and its log-probs
            seen = look_at(self.reference, exchanges, self.ends).float()
            answered: Tensor = self.head(self.scale(seen.to(device)))
            return answered.cpu()
        if reference is None:
            reference = all_logprobs(self.reference, exchanges)
        features = describe(exchanges, reference, self.ends)  # [N, F]
        answers = torch.zeros(len(exchanges), self.head.out_features)
        own: list[int] = []
        for rows, counts in parallel.turns(by_length(exchanges, 64)):
            batch = collate([exchanges[row] for row in rows], device)
            with autocast(device):
                answers[rows] = self(batch, features[rows].to(device)).cpu()
            own += rows if counts else ()
        return parallel.fill(answers, own)

    def appraise(
        self, exchanges: Sequence[Exchange], reference: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Rewards and logits of being liked, each [N], from one look.

        The reward is the recipe's mixture, mean 0 and spread 1 under the live version, within ±`LIMIT`.
        """
        if not exchanges:
            return torch.empty(0), torch.empty(0)
        answers = self.judge(exchanges, reference)
        rewards = ((self._mix(answers, exchanges) - self.zero) / self.unit).clamp(-LIMIT, LIMIT)
        return rewards, answers[:, : self.heads].mean(1)

    def preference(self, exchanges: Sequence[Exchange], reference: Sequence[Tensor] | None = None) -> Tensor:
        """Logit of being liked, mean over the heads: [N]."""
        return self.appraise(exchanges, reference)[1]

    def score(self, exchanges: Sequence[Exchange], reference: Sequence[Tensor] | None = None) -> Tensor:
        """The reward: [N]."""
        return self.appraise(exchanges, reference)[0]

    def normalise(self, exchanges: Sequence[Exchange], rewards: Rewards, caution: float) -> None:
        """Fix the mixture, its zero and its unit on replies of the live version (arXiv 2403.17031).

        So the price of KL means the same whatever the label noise did to the logits.
        """
        self.rewards, self.caution = rewards, caution
        ruled = scored(tuple(rewards.rules), rewards.own, [exchange.text for exchange in exchanges])
        self.rule_scales = {
            name: (statistics.fmean(own), max(statistics.pstdev(own), LEAST_SPREAD)) for name, own in ruled.items()
        }
        mixed = self._mix(self.judge(exchanges), exchanges)
        self.zero, self.unit = float(mixed.mean()), max(float(mixed.std()), 1e-3)

    def parts(self, answers: Tensor, exchanges: Sequence[Exchange]) -> dict[str, Tensor]:
        """Each reward of the mixture, unweighted: name -> [N]. Styles and rules are in spreads, at most ±`LIMIT`.

        The preference is a chance of being liked, 0 to 4, and not its logit (preference as reward, arXiv 2502.18770):
        where nobody would like any of the replies, none is worth leaving what the live version knows. Around an even
        chance it is worth as much as the logit.

        Args:
            answers: [N, K + A], what `judge` said of the exchanges.
        """
        preferences = answers[:, : self.heads]  # [N, K]
        spread = preferences.std(1) if self.heads > 1 else torch.zeros(len(answers))
        found = {"preference": 4 * (preferences.mean(1) - self.caution * spread).sigmoid()}
        found |= {aspect: answers[:, self.heads + number] for number, aspect in enumerate(self.aspects)}
        ruled = scored(tuple(self.rewards.rules), self.rewards.own, [exchange.text for exchange in exchanges])
        for name, own in ruled.items():
            mean, unit = self.rule_scales[name]
            found[name] = ((torch.tensor(own, dtype=torch.float32) - mean) / unit).clamp(-LIMIT, LIMIT)
        return found

    def _mix(self, answers: Tensor, exchanges: Sequence[Exchange]) -> Tensor:
        weights = weights_of(self.rewards)
        parts = self.parts(answers, exchanges)
        return torch.stack([weights.get(name, 0.0) * own for name, own in parts.items()]).sum(0)


@dataclass(frozen=True, slots=True)
class _Table:
    """Examples as numbers: which exchange each speaks of, what it says and how much each head believes it."""

    exchanges: list[Exchange]
    inputs: Tensor  # [N, 5D + F], under the untrained trunk
    # One line an example: kind (0 thumb, 1 pair, 2 score), rows, target, weight, aspect
    kinds: Tensor  # [M]
    first: Tensor  # [M]
    second: Tensor  # [M], of pairs
    targets: Tensor  # [M]
    weights: Tensor  # [M, K]
    aspects: Tensor  # [M], of scores


def fit(
    policy: PreTrainedModel,
    examples: Examples,
    ends: Sequence[int],
    recipe: RewardRecipe,
    seed: int,
    journal: Journal,
    progress: Part = whole,
    lora: Lora | None = None,
) -> RewardModel:
    """Learn a reward model from opinions: the heads in closed form, and with many opinions the trunk and all by steps.

    Args:
        policy: the live version, frozen: reference of the likelihood features and origin of the trunk.
        ends: tokens that end a reply.
        progress: this fit's share of the stage, from its own.
        lora: adapters that learn in place of the trunk's weights.
    """
    generator = torch.Generator().manual_seed(seed)
    aspects = sorted({score.aspect for score in examples.scores})
    steps = recipe.steps_for(len(examples) + len(examples.demonstrations))
    model = RewardModel(policy, ends, recipe.heads, aspects, lora, learns=steps > 0)
    table = _tabulate(model, examples, recipe, generator)
    _solve_heads(model, table)
    journal.step(progress(0.1))
    if steps:
        _deepen(model, table, recipe, steps, seed, journal, progress)
    return model


def _deepen(
    model: RewardModel,
    table: _Table,
    recipe: RewardRecipe,
    steps: int,
    seed: int,
    journal: Journal,
    progress: Part,
) -> None:
    """Let the trunk learn, and the heads with it."""
    optimizer = torch.optim.AdamW(
        [
            {"params": model.trunk.parameters(), "weight_decay": recipe.weight_decay},
            {"params": model.head.parameters(), "lr": recipe.learning_rate * recipe.head_factor, "weight_decay": 0.1},
        ],
        lr=recipe.learning_rate,
    )
    learned = [*model.trunk.parameters(), *model.head.parameters()]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / 10, 1.0) * (1 - step / steps))
    lengths = [len(e.prompt) + len(e.reply) for e in table.exchanges]
    batches = endless([lengths[row] for row in table.first.tolist()], recipe.batch, Random(seed))
    for step in range(steps):
        optimizer.zero_grad(set_to_none=True)
        pieces = parallel.pieces(next(batches), recipe.device_batch)
        weights = parallel.shares([len(own) * counts for own, counts in pieces])
        found, right, told = 0.0, 0.0, 0
        for (own, counts), weight in zip(pieces, weights, strict=True):
            loss, hits = _loss(model, table, torch.tensor(own), recipe)
            loss = parallel.weigh(loss, weight)
            torch.autograd.backward(loss)
            found += float(loss.detach())
            right, told = right + sum(hits) * counts, told + len(hits) * counts
        norm = parallel.clip(learned, 1.0)
        right, told = parallel.total(torch.tensor([right, told], dtype=torch.float64)).tolist()
        journal.step(
            progress(0.1 + 0.9 * (step + 1) / steps),
            reward_loss=parallel.means({"loss": found})["loss"],
            reward_accuracy=right / max(told, 1),
            reward_gradient=float(norm),
        )
        optimizer.step()
        schedule.step()


@torch.no_grad()
def _solve_heads(model: RewardModel, table: _Table) -> None:
    """Set each head to its ridge regression on the untrained trunk: exact, and better than many steps from zero."""
    device, raw = model.head.weight.device, table.inputs
    model.scale.fit(raw.to(device))
    bias = torch.full((len(raw), 1), BIAS_PRIOR**0.5)
    inputs = torch.cat([bias, model.scale(raw.to(device)).cpu()], 1).double()  # [N, 1 + P]
    lines = inputs[table.first]  # [M, 1 + P]
    pairs = table.kinds == 1
    lines[pairs] -= inputs[table.second[pairs]]
    targets, weights = table.targets.double(), table.weights.double()
    said = table.kinds < 2  # thumbs and pairs
    found = dict[int, Tensor]()
    if bool(said.any()):
        found |= {head: solve(lines[said], targets[said], weights[said, head]) for head in range(model.heads)}
    for aspect in range(len(model.aspects)):
        scored_for = ~said & (table.aspects == aspect)
        found[model.heads + aspect] = linear(lines[scored_for], targets[scored_for], weights[scored_for].mean(1), NOISE)
    for row, beta in found.items():
        model.head.bias[row] = beta[0] * BIAS_PRIOR**0.5
        model.head.weight[row] = beta[1:].float()


def _loss(model: RewardModel, table: _Table, lines: Tensor, recipe: RewardRecipe) -> tuple[Tensor, list[float]]:
    """The three losses on one collate, and for each thumb and pair whether it was foretold rightly."""
    kinds, first, second = table.kinds[lines], table.first[lines], table.second[lines]
    rows, places = torch.unique(torch.cat([first, second[kinds == 1]]), return_inverse=True)
    device = model.head.weight.device
    batch = collate([table.exchanges[int(row)] for row in rows], device)
    with autocast(device):
        answers = model(batch, table.inputs[rows, -len(NAMES) :].to(device))  # [n, K + A]
    own = answers[places[: len(lines)].to(device)]  # [m, K + A]
    logits = own[:, : model.heads]  # [m, K]
    targets = table.targets[lines].to(device)  # [m]
    weights = table.weights[lines].to(device)  # [m, K]
    thumb, pair, score = ((kinds == kind).to(device) for kind in range(3))

    # Binary cross-entropy, the share `smoothing` of the opinions taken to be slips.
    soft = targets[thumb] * (1 - 2 * recipe.smoothing) + recipe.smoothing
    losses = F.binary_cross_entropy_with_logits(logits[thumb], soft[:, None].expand(-1, model.heads), reduction="none")
    total = (losses * weights[thumb]).sum()
    right = ((logits[thumb].mean(1) > 0) == (targets[thumb] > 0.5)).float().tolist()
    if pair.any():  # Bradley-Terry: -log σ(better - worse)
        margin = logits[pair] - answers[places[len(lines) :].to(device)][:, : model.heads]  # [p, K]
        wish = targets[pair][:, None].expand(-1, model.heads)
        losses = F.binary_cross_entropy_with_logits(margin, wish, reduction="none")
        total = total + recipe.pair_weight * (losses * weights[pair]).sum()
        right += (margin.mean(1) > 0).float().tolist()
    if score.any():  # squared error of the points
        column = (model.heads + table.aspects[lines].to(device)[score])[:, None]
        error = own[score].gather(1, column)[:, 0] - targets[score]
        total = total + recipe.score_weight * model.heads * (error**2 * weights[score].mean(1)).sum()
    return total / (len(lines) * model.heads), right


def _tabulate(model: RewardModel, examples: Examples, recipe: RewardRecipe, generator: torch.Generator) -> _Table:
    exchanges = examples.exchanges()
    row = {exchange: number for number, exchange in enumerate(exchanges)}
    people = {person: number for number, person in enumerate(examples.people())}
    # Bayesian bootstrap over people (Rubin 1981): each head believes each to another degree; the first, all alike.
    belief = torch.empty(len(people), recipe.heads).exponential_(generator=generator)
    belief[:, 0] = 1.0
    lines: list[tuple[int, int, int, float, float, int, int]] = []
    for thumb in examples.thumbs:
        lines.append((0, row[thumb.exchange], 0, float(thumb.liked), thumb.weight, 0, people[thumb.person]))
    for shown in examples.demonstrations:
        lines.append((0, row[shown.exchange], 0, 1.0, recipe.rewrite_weight, 0, people[shown.person]))
    for pair in examples.pairs:
        lines.append((1, row[pair.better], row[pair.worse], pair.target, pair.weight, 0, people[pair.person]))
    for score in examples.scores:
        points = (score.points - MIDDLE) / HALF_SPAN
        lines.append((2, row[score.exchange], 0, points, 1.0, model.aspects.index(score.aspect), people[score.person]))
    columns = list(zip(*lines, strict=True))
    who = torch.tensor(columns[6])
    return _Table(
        exchanges,
        look_at(model.reference, exchanges, model.ends).float(),
        torch.tensor(columns[0]),
        torch.tensor(columns[1]),
        torch.tensor(columns[2]),
        torch.tensor(columns[3], dtype=torch.float32),
        torch.tensor(columns[4], dtype=torch.float32)[:, None] * belief[who],
        torch.tensor(columns[5]),
    )
