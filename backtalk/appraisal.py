"""What replies are worth under a reward profile, reckoned in a moment from their texts and the newest opinions.

For operators who move weights and want to see what comes of it before anything is trained: ridge regressions on the
counted features of a reply (`wording.py`), no tensors, no model. A run's own reward model sees more than the words; it
is the one that decides.

Shapes: N texts, F features.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session, col, select

from backtalk import rules
from backtalk.agreement import auc, rank_correlation
from backtalk.consent import consents, may_train
from backtalk.profiles import LEARNED, PREFERENCE
from backtalk.recipe import Gate, Rewards
from backtalk.tables import Message, Opinion
from backtalk.wording import text_features

Vector = NDArray[np.float64]
NEWEST = 2000
"""Opinions looked at."""
FEWEST = 20
"""With fewer, what people taught is not reckoned with."""
FOLDS = 5
PRIOR = 0.3
"""Prior variance of the weight of a standardised feature."""
LARGEST = 3.0
"""No reply is worth more spreads than this by any one reward."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What one person said of one text by one reward, from 0 to 1."""

    person: UUID
    text: str
    said: float


@dataclass(frozen=True, slots=True)
class Validation:
    """How well a reward foretells people whom it was not fitted on. `measure` is `auc` or `rank correlation`."""

    measure: str
    value: float | None
    folds: list[float]
    opinions: int
    people: int


@dataclass(frozen=True, slots=True)
class Clash:
    """Two rewards that count and oppose each other."""

    left: str
    right: str
    correlation: float


class Appraiser:
    """Values of texts by each reward of a mixture, in spreads of the replies that people have rated."""

    def __init__(self, given: Mapping[str, Sequence[Judged]], usual: Sequence[str], rewards: Rewards) -> None:
        """
        Args:
            given: what people said, by learned reward.
            usual: replies of any kind, which give each reward its zero and its unit.
        """
        self.weights = weights_of(rewards)
        self._own = rewards.own
        self._given = {name: own for name, own in given.items() if len(own) >= FEWEST}
        self._models = {name: _fit(_features([one.text for one in own]), own) for name, own in self._given.items()}
        self.missing = [name for name in self.weights if name in LEARNED and name not in self._models]
        """Rewards that count and that too few people have taught."""
        # Where all are alike, or there are none yet, there is no spread to measure by: the plain value counts.
        self._scale = {name: (float(raw.mean()), float(raw.std()) or 1.0) for name, raw in self._raw(usual).items()}

    def values(self, texts: Sequence[str]) -> dict[str, Vector]:
        """What each text is worth by each reward that counts, unweighted: name -> [N]."""
        found: dict[str, Vector] = {}
        for name, raw in self._raw(texts).items():
            zero, unit = self._scale.get(name, (0.0, 1.0))
            found[name] = np.clip((raw - zero) / unit, -LARGEST, LARGEST)
        return found

    def rewards(self, values: Mapping[str, Vector]) -> Vector:
        """The mixture: [N]."""
        mixed: Vector = np.sum([self.weights[name] * own for name, own in values.items()], axis=0)
        return mixed

    def validation(self) -> dict[str, Validation]:
        """Each learned reward cross-validated by person: those who judge have taught nothing."""
        return {name: _validate(name, own) for name, own in self._given.items()}

    def _raw(self, texts: Sequence[str]) -> dict[str, Vector]:
        found: dict[str, Vector] = {}
        learned = [name for name in self.weights if name in self._models]
        if learned:
            features = _features(texts)
            found |= {name: self._models[name](features) for name in learned}
        ruled = [name for name in self.weights if name not in LEARNED]
        scored = rules.scored(ruled, self._own, texts)
        return found | {name: np.asarray(own, dtype=np.float64) for name, own in scored.items()}


def weights_of(rewards: Rewards) -> dict[str, float]:
    """Every reward that counts, with its weight."""
    every = {PREFERENCE: rewards.preference, **rewards.aspects, **rewards.rules}
    return {name: weight for name, weight in every.items() if weight}


def correlations(values: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float | None]]:
    """Rank correlation of each reward with each other one, over the same texts."""
    return {
        one: {other: 1.0 if one == other else rank_correlation(values[one], values[other]) for other in values}
        for one in values
    }


def clashes(
    values: Mapping[str, Sequence[float]], weights: Mapping[str, float], most: float = Gate().maximum_clash
) -> list[Clash]:
    """Pairs of rewards that pull replies apart: what one calls better the other calls worse, beyond `most`."""
    found = []
    for left, right in combinations([name for name in values if weights.get(name)], 2):
        correlation = rank_correlation(values[left], values[right])
        if correlation is None:
            continue
        turned = correlation if weights[left] * weights[right] > 0 else -correlation
        if turned < -most:
            found.append(Clash(left, right, correlation))
    return found


def appraiser(session: Session, rewards: Rewards) -> tuple[Appraiser, list[str]]:
    """Fitted on the newest opinions of people who let theirs train; and the replies that they were about."""
    told = (
        select(Opinion, Message)
        .join(Message, col(Message.id) == col(Opinion.message_id))
        .where(~col(Opinion.withdrawn), ~col(Opinion.excluded), consents(col(Opinion.person_id)), may_train(Message))
        .order_by(col(Opinion.created_at).desc())
        .limit(NEWEST)
    )
    given: dict[str, list[Judged]] = {name: [] for name in LEARNED}
    usual: list[str] = []
    for opinion, message in session.exec(told):
        usual.append(message.content)
        if opinion.rating is not None:
            given[PREFERENCE].append(Judged(opinion.person_id, message.content, float(opinion.rating > 0)))
        if opinion.rewrite:
            given[PREFERENCE].append(Judged(opinion.person_id, opinion.rewrite, 1.0))
        for aspect, points in opinion.labels.items():
            if aspect in given:
                given[aspect].append(Judged(opinion.person_id, message.content, (points - 1) / 4))
    if len(usual) < FEWEST:  # nobody has rated yet: what is usual can still be seen
        newest = select(Message.content).where(Message.role == "assistant", Message.content != "", may_train(Message))
        usual += session.exec(newest.order_by(col(Message.created_at).desc()).limit(NEWEST // 10)).all()
    return Appraiser(given, usual or [""], rewards), usual


def _features(texts: Sequence[str]) -> Vector:
    """[N, F]."""
    return np.asarray([text_features(text) for text in texts], dtype=np.float64)


def _fit(features: Vector, said: Sequence[Judged]) -> Callable[[Vector], Vector]:
    """Ridge logistic regression by Newton's method: features [N, F] -> logits [N]."""
    mean, spread = features.mean(0), np.maximum(features.std(0), 1e-2)
    target = np.asarray([one.said for one in said])
    lines = np.c_[np.ones(len(features)), np.clip((features - mean) / spread, -5, 5)]  # [N, 1 + F]
    penalty = np.diag([1e-3, *(np.full(features.shape[1], 1 / PRIOR))])
    beta = np.zeros(lines.shape[1])
    for _ in range(12):
        chance = 1 / (1 + np.exp(-lines @ beta))
        slope = lines.T @ (target - chance) - penalty @ beta
        curve = (lines * (chance * (1 - chance))[:, None]).T @ lines + penalty
        step = np.linalg.solve(curve, slope)
        beta += step
        if np.abs(step).max() < 1e-4:
            break

    def logits(seen: Vector) -> Vector:
        found: Vector = np.c_[np.ones(len(seen)), np.clip((seen - mean) / spread, -5, 5)] @ beta
        return found

    return logits


def _validate(name: str, said: Sequence[Judged]) -> Validation:
    people = sorted({one.person for one in said})
    features, folds = _features([one.text for one in said]), list[float]()
    is_preference = name == PREFERENCE
    for fold in range(min(FOLDS, len(people))):
        held_out = set(people[fold::FOLDS])
        rows = np.asarray([one.person in held_out for one in said])
        own = [one for one in said if one.person in held_out]
        taught = [one for one in said if one.person not in held_out]
        if not taught or not own:
            continue
        foretold = _fit(features[~rows], taught)(features[rows]).tolist()
        truth = [one.said for one in own]
        found = auc(foretold, [one > 0.5 for one in truth]) if is_preference else rank_correlation(foretold, truth)
        if found is not None:
            folds.append(round(found, 4))
    value = round(float(np.mean(folds)), 4) if folds else None
    return Validation("auc" if is_preference else "rank correlation", value, folds, len(said), len(people))


__all__ = ["Appraiser", "Clash", "Judged", "Validation", "appraiser", "clashes", "correlations", "weights_of"]
