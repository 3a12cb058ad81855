"""The ways of improving the policy, behind one interface; `ladder` tries what the budget allows, and the best ships.

Every way begins at the live version and meets the same gate; PPO is the default and has to win its place.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from transformers import PreTrainedModel

from backtalk.tables import Json
from learner import best_of, distill, groups, imitation, improve, parallel, preference
from learner.dataset import Logged
from learner.gate import Findings, Rejected, verdict
from learner.journal import Part, part, whole
from learner.lesson import Study
from learner.lora import adapt
from learner.publish import round_as_served
from learner.trial import Answered, Trial

log = logging.getLogger(__name__)

Algorithm = Callable[[Study, PreTrainedModel, Part], Json]
"""Trains a copy of the live version in place, tells its progress, and returns what it has to tell for the report."""

ALGORITHMS: Mapping[str, Algorithm] = {
    "sft": imitation.learn,
    "best_of_n": best_of.learn,
    "distill": distill.learn,
    "kto": preference.learn_from_thumbs,
    "dpo": preference.learn_from_pairs,
    "rloo": groups.learn,
    "grpo": partial(groups.learn, kind=groups.Grpo),
    "ppo": improve.learn,
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """What came of one way, or a part of the way. Made here, judged by the gate."""

    algorithm: str
    policy: PreTrainedModel
    told: Json


@dataclass(frozen=True, slots=True)
class Judged:
    """A candidate after its trial; `reason` says why it may not go live."""

    candidate: Candidate
    findings: Findings
    answered: list[Answered]
    reason: str | None


def climb(study: Study) -> list[Candidate]:
    """What one way comes to, or with `ladder` each rung that begins within the budget; of each all `steps` of the way.

    Returns:
        Candidates, rounded to the precision they are published in.
    """
    recipe = study.recipe
    names = recipe.ladder.rungs if recipe.algorithm == "ladder" else (recipe.algorithm,)
    began, candidates = time.monotonic(), list[Candidate]()
    for number, name in enumerate(names):
        if candidates and parallel.agreed(time.monotonic() - began > 60 * recipe.ladder.minutes):
            break
        policy = parallel.shard(adapt(parallel.copied(study.lesson.live, recipe.checkpointing), recipe.lora))
        started = time.process_time()
        told = ALGORITHMS[name](study, policy, part(whole, number / len(names), (number + 1) / len(names)))
        told |= {"cpu_seconds": round(time.process_time() - started, 1)}
        log.info("%s took %s s of CPU", name, told["cpu_seconds"])
        for share in recipe.steps:
            candidates.append(Candidate(name, partway(study.lesson.live, policy, share), told | {"step": share}))
    return candidates


@torch.no_grad()
def partway(live: PreTrainedModel, trained: PreTrainedModel, share: float) -> PreTrainedModel:
    """The policy at this share of the way, in the space of weights, from the live version to the trained one.

    Part of the way costs much less KL and less of what the version knew, and keeps much of the gain (WiSE-FT,
    arXiv 2109.01903; WARP, arXiv 2406.16768; `backtalk bench loop` prints what each part came to).
    """
    policy = parallel.shard(parallel.copied(trained))
    for parameter, before in zip(policy.parameters(), live.parameters(), strict=True):
        parameter.lerp_(before, 1 - share)
    round_as_served(policy)
    return policy


def judge(study: Study, candidates: Sequence[Candidate], report: Json, logged: Sequence[Logged] = ()) -> Judged:
    """Hold the trial of each. Of those that may go live the best is returned: by likes gained less right answers lost.

    Where a part of a way may go live and the next smaller is worth less, still smaller ones are not tried: gain and
    loss shrink towards the live version.

    Args:
        report: gets the findings of the best, and a line for each of several.
        logged: the ledger, of people held out as well.
    """
    trial = Trial(study, len(candidates))
    judged = list[Judged]()
    for number, candidate in enumerate(candidates):
        if _goes_down([one for one in judged if one.candidate.algorithm == candidate.algorithm]):
            continue
        progress = part(whole, number / len(candidates), (number + 1) / len(candidates))
        findings, answered = trial.of(candidate.policy, progress)
        try:
            verdict(findings, study.recipe.gate)
            reason = None
        except Rejected as error:
            reason = str(error)
        judged.append(Judged(candidate, findings, answered, reason))
        passed = reason or "it may go live"
        step = candidate.told.get("step", 1.0)
        log.info("%s, %.0f%% of the way: gain %s; %s", candidate.algorithm, 100 * step, findings.gain, passed)
    best = max(judged, key=lambda one: (one.reason is None, _worth(one.findings)))
    report["policy"] = {"algorithm": best.candidate.algorithm} | best.candidate.told
    report["gate"] = best.findings.to_json()
    report["advice"] = trial.advise(best.candidate.policy, best.answered, logged)
    if len(judged) > 1:
        report["ladder"] = [_line(one) for one in judged]
    return best


def _goes_down(way: Sequence[Judged]) -> bool:
    """Was the smallest part so far worth less than the one before it, which may go live?"""
    return len(way) > 1 and way[-2].reason is None and _worth(way[-1].findings) < _worth(way[-2].findings)


def _worth(found: Findings) -> float:
    live, candidate = found.right
    return found.gain.value + min(0.0, candidate - live)


def _line(one: Judged) -> Json:
    found = one.findings
    return {
        "algorithm": one.candidate.algorithm,
        "gain": found.gain.to_json(),
        "kl": round(found.kl, 4),
        "right": found.right[1],
        "reason": one.reason,
        **one.candidate.told,
    }
