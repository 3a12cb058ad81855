"""From an opinion to a version that has learned from it and is live: how long that takes, and where the time goes.

It is the loop's own service level. Each opinion, as it stood, counts once: for the first version that learned from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from backtalk import policies
from backtalk.tables import Comparison, OpinionHistory, Policy, Run, RunItem

PARTS = ("waiting", "reward_model", "policy", "gate", "canary")
"""Until a run began; its snapshot and reward model; the policy; gate and publication; until it was live for all."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """One version that went live, and how long what it was the first to learn from had been on its way."""

    version: int
    live_at: datetime  # for the first time
    waits: tuple[float, ...]  # seconds from each opinion to the beginning of the run, shortest first
    parts: Mapping[str, float]  # seconds of the other parts, the same for all its opinions

    @property
    def afterwards(self) -> float:
        """Seconds from the beginning of the run until the version was live."""
        return sum(self.parts.values())

    @property
    def totals(self) -> list[float]:
        """Seconds from each opinion until the version was live, shortest first."""
        return [wait + self.afterwards for wait in self.waits]


class Delays:
    """What is known of each version; a version that has gone live is looked at once."""

    def __init__(self) -> None:
        self._known: dict[int, Deployed] = {}

    @property
    def known(self) -> list[Deployed]:
        """What was found when they were looked at last, oldest first."""
        return [self._known[number] for number in sorted(self._known)]

    def look(self, session: Session) -> list[Deployed]:
        """All versions that a run has made and that have been live, oldest first."""
        made = select(Policy).where(col(Policy.run_id).is_not(None), col(Policy.live_at).is_not(None))
        versions = session.exec(made.order_by(col(Policy.number))).all()
        if any(policy.number not in self._known for policy in versions):
            first = policies.first_live(session)
            for policy in versions:
                if policy.number not in self._known and policy.live_at is not None:
                    self._known[policy.number] = _deployed(session, policy, first.get(policy.number, policy.live_at))
        return self.known


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The value that `share` of the ordered values do not exceed (nearest rank); None of nothing."""
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)] if ordered else None


def _deployed(session: Session, policy: Policy, live_at: datetime) -> Deployed:
    run = session.get_one(Run, policy.run_id)
    began, ended = run.started_at or run.queued_at, run.ended_at or policy.created_at
    seconds = run.report.get("seconds", {})
    learning = seconds.get("snapshot", 0.0) + seconds.get("reward_model", 0.0)
    improving = seconds.get("policy", 0.0)
    rest = (ended - began).total_seconds() - learning - improving
    waits = sorted(max(0.0, (began - given).total_seconds()) for given in _given(session, run, began))
    after = (live_at - ended).total_seconds()
    values = (learning, improving, rest, after)
    parts = {name: round(max(0.0, value), 3) for name, value in zip(PARTS[1:], values, strict=True)}
    return Deployed(policy.number, live_at, tuple(waits), parts)


def _given(session: Session, run: Run, began: datetime) -> list[datetime]:
    """When the opinions that no earlier version had learned from were given, in the state that this run saw when it
    began."""
    earlier = aliased(RunItem)
    seen = (
        sa.exists()
        .where(
            col(earlier.item_id) == col(RunItem.item_id),
            col(earlier.revision) == col(RunItem.revision),
            col(earlier.run_id) == col(Run.id),
            col(Policy.run_id) == col(Run.id),
            col(Policy.live_at).is_not(None),
            col(Run.started_at) < began,
        )
        .correlate(RunItem)
    )
    own = (col(RunItem.run_id) == run.id, ~seen)
    opinions = (
        sa.select(col(OpinionHistory.at))
        .join(RunItem, col(RunItem.item_id) == col(OpinionHistory.opinion_id))
        .where(col(OpinionHistory.revision) == col(RunItem.revision), col(RunItem.kind) == "opinion", *own)
    )
    comparisons = (
        sa.select(col(Comparison.created_at))
        .join(RunItem, col(RunItem.item_id) == col(Comparison.id))
        .where(col(RunItem.kind) == "comparison", *own)
    )
    return [*session.execute(opinions).scalars(), *session.execute(comparisons).scalars()]
