"""Held out by time: what opinions up to a moment foretell of those that came after it.

People held out say how well the reward model knows people; only time says whether what they like is still what it was.
The reward model itself has learned from the newest opinions as well, so its closed form (ridge regression on the live
version's own states, where each head begins) is fitted once more, on the older ones alone.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from torch import Tensor

from backtalk.tables import Json
from learner.examples import Examples
from learner.intervals import calibration_error, thumbs_auc
from learner.judge import Judge
from learner.lesson import Lesson
from learner.reward_model import RewardModel
from learner.sequences import Exchange

NEWEST = 0.2
"""Share of all opinions that are the newest: as many as people are held out by default."""
FEWEST = 10
"""With fewer thumbs nothing is told."""

Preference = Callable[[Sequence[Exchange]], Tensor]
"""Logits of being liked: [N]."""


def measure(lesson: Lesson, reward: RewardModel, confidence: float, seed: int) -> list[Json]:
    """How well the newest opinions are foretold; nothing where no time is known or too little was said.

    `later` is of everybody's newest opinions, foretold from the older ones alone; `newest` is of the newest opinions
    of the people held out, foretold by the reward model as it is used.
    """
    parts = (lesson.taught, lesson.held_out)
    times = sorted(said.at for part in parts for said in part.thumbs if said.at is not None)
    if not times:
        return []
    since = times[round((1 - NEWEST) * (len(times) - 1))]
    everybody = Examples([thumb for part in parts for thumb in part.thumbs], [p for part in parts for p in part.pairs])
    older, newer = _parted(everybody, since)
    if len({thumb.liked for thumb in older.thumbs}) < 2:
        return []
    then = Judge(lesson.live, older, older.exchanges(), lesson.template.ends)
    asked = (("later", then.preference, newer), ("newest", reward.preference, _parted(lesson.held_out, since)[1]))
    days = round((times[-1] - since).total_seconds() / 86400, 2)
    return [
        {"opinions": name, "days": days} | _foretold(preference, said, confidence, seed)
        for name, preference, said in asked
        if len(said.thumbs) >= FEWEST
    ]


def _parted(said: Examples, since: datetime) -> tuple[Examples, Examples]:
    """What was said before a moment, and what from then on."""
    older, newer = Examples(), Examples()
    for thumb in said.thumbs:
        if thumb.at is not None:
            (older if thumb.at < since else newer).thumbs.append(thumb)
    for pair in said.pairs:
        if pair.at is not None:
            (older if pair.at < since else newer).pairs.append(pair)
    return older, newer


def _foretold(preference: Preference, said: Examples, confidence: float, seed: int) -> Json:
    logits = preference([thumb.exchange for thumb in said.thumbs])
    found: Json = {
        "thumbs": len(said.thumbs),
        "auc": thumbs_auc(logits, said.thumbs, confidence, seed).to_json(),
        "calibration_error": round(calibration_error(logits, [thumb.liked for thumb in said.thumbs]), 4),
    }
    pairs = [pair for pair in said.pairs if pair.target > 0.5]  # of those found equal none is foretold rightly
    if pairs:
        better, worse = preference([pair.better for pair in pairs]), preference([pair.worse for pair in pairs])
        found["pair_accuracy"] = round(float((better > worse).float().mean()), 4)
    return found
