"""How far the reward hangs on each person: what it would say had all that one of them gave been missing.

Reckoned on the linear reward model, where leaving a whole person out can be done exactly. Everybody is ranked by one
Newton step from the fit with them to the fit without them (Pregibon 1981, "Logistic regression diagnostics", Annals of
Statistics 9; for groups, Koh, Ang, Teo & Liang 2019, arXiv 1905.13289); those who come first are then left out in
earnest, and the model fitted again.

Shapes: N replies, M opinions, P = 1 + F columns, G people.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from learner.features import describe
from learner.linear import Design
from learner.logistic import primal
from learner.sequences import Exchange, all_logprobs

EXACT = 30
"""So many of the most influential are left out in earnest; ten of them are shown."""


@dataclass(frozen=True, slots=True)
class Influence:
    """One person's hold on the reward, in spreads of the reward over the replies looked at."""

    giver: str
    influence: float
    """How far their absence moves it: the standard deviation of the change, since only differences are learned from."""
    leaning: float
    """What of the version's gain in reward is owed to them; below 0 where they speak against it."""


def measure(
    design: Design,
    policy: PreTrainedModel,
    before: Sequence[Exchange],
    after: Sequence[Exchange],
    ends: Sequence[int],
) -> list[Influence]:
    """Everybody's influence on the reward of these replies, the most influential first.

    Args:
        policy: the live version, reference of the likelihood features.
        before: its replies to the held-out questions.
        after: the new version's to the same.
    """
    replies = [*before, *after]
    seen = design.scaled(describe(replies, all_logprobs(policy, replies), ends))  # [N, F]
    return of_replies(design, seen, len(before))


def of_replies(design: Design, seen: Tensor, before: int) -> list[Influence]:
    """The same from features.

    Args:
        seen: [N, F] as lines have them; the first `before` are the old version's.
    """
    beta = primal(design.lines, design.targets, design.weights)  # [P]
    givers = sorted(set(design.givers))
    of = torch.tensor([givers.index(giver) for giver in design.givers])  # [M]
    without = {giver: beta + step for giver, step in zip(givers, _newton(design, beta, of, len(givers)), strict=True)}
    unit = max(float((seen @ beta[1:]).std(correction=0)), 1e-6)

    def told(giver: str) -> Influence:
        change = seen @ (beta - without[giver])[1:] / unit  # [N]
        gain = change[before:].mean() - change[:before].mean() if before else change.mean()
        return Influence(giver, float(change.std(correction=0)), float(gain))

    ranked = sorted(map(told, givers), key=lambda one: -one.influence)
    for one in ranked[:EXACT]:
        weights = design.weights * (of != givers.index(one.giver))
        without[one.giver] = primal(design.lines, design.targets, weights, start=beta)
    return sorted([*(told(one.giver) for one in ranked[:EXACT]), *ranked[EXACT:]], key=lambda one: -one.influence)


def _newton(design: Design, beta: Tensor, of: Tensor, people: int) -> list[Tensor]:
    """What one Newton step changes in β when the opinions of each person go: G times [P].

    At the optimum the slopes of all opinions and of the ridge sum to nothing, so without one person's the slope is
    theirs with the other sign; the curvature is that of all the others.
    """
    lines, columns = design.lines, len(beta)
    chance = (lines @ beta).sigmoid()  # [M]
    slopes = lines * (design.weights * (chance - design.targets))[:, None]  # [M, P]
    bends = design.weights * chance * (1 - chance)  # [M]
    whole = (lines * bends[:, None]).T @ lines + torch.eye(columns, dtype=lines.dtype)  # [P, P]
    steps = []
    for person in range(people):
        own = of == person
        theirs = (lines[own] * bends[own][:, None]).T @ lines[own]
        steps.append(torch.linalg.solve(whole - theirs, slopes[own].sum(0)))
    return steps
