"""Do people like the live version less than they did? The trigger of schedules that learn again when they do."""

from dataclasses import dataclass
from datetime import datetime
from math import sqrt
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from backtalk import policies
from backtalk.tables import Opinion, Reply

WINDOW = 100
"""So many of the newest thumbs are held against all earlier ones; there must be as many of those."""
Z = 1.645
"""The fall must be more than chance at the one-sided 5 % level, whatever the amount an operator sets."""


@dataclass(frozen=True, slots=True)
class Drift:
    """Shares of thumbs up of the live version: at first, and of late."""

    earlier: float
    newest: float
    earlier_count: int
    newest_count: int

    @property
    def fall(self) -> float:
        """How much the share has fallen."""
        return self.earlier - self.newest

    @property
    def is_beyond_chance(self) -> bool:
        """Two-sample test of proportions with pooled variance."""
        count = self.earlier_count + self.newest_count
        pooled = (self.earlier * self.earlier_count + self.newest * self.newest_count) / count
        spread = sqrt(pooled * (1 - pooled) * (1 / self.earlier_count + 1 / self.newest_count))
        return self.fall > Z * spread


def look(session: Session, since: datetime | None = None) -> Drift | None:
    """How the live version's thumbs have changed; None with too few of them.

    Args:
        since: the newest thumbs must all be later than this, so that one fall is seen once.
    """
    live = policies.live(session)
    if live is None:
        return None
    thumbs = (
        sa.select(col(Opinion.rating), col(Opinion.created_at))
        .join(Reply, col(Reply.id) == col(Opinion.message_id))
        .where(
            col(Reply.policy_version) == live.number,
            col(Opinion.rating).is_not(None),
            ~col(Opinion.withdrawn),
            ~col(Opinion.excluded),
        )
        .order_by(col(Opinion.created_at).desc())
    )
    newest = session.execute(thumbs.limit(WINDOW)).all()
    if len(newest) < WINDOW or (since is not None and newest[-1].created_at <= since):
        return None
    old: Any = thumbs.order_by(None).where(col(Opinion.created_at) < newest[-1].created_at).subquery()
    count, up = session.execute(sa.select(sa.func.count(), sa.func.sum(sa.case((old.c.rating == 1, 1), else_=0)))).one()
    if count < WINDOW:
        return None
    return Drift(int(up) / count, sum(row.rating == 1 for row in newest) / WINDOW, count, WINDOW)
