"""Whose opinions a run used: what each person gave, what of it counted, and how far the reward hangs on them."""

from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col

from backtalk.tables import Person, RunPerson


@dataclass(frozen=True, slots=True)
class Giver:
    """One person's part in a run. Made by `of_run`; read by the run's page and the version's card."""

    person_id: UUID
    name: str | None
    given: int
    used: int
    share: float
    influence: float | None
    leaning: float | None
    contrary: float | None


def of_run(session: Session, run_id: UUID, limit: int) -> list[Giver]:
    """First who was left out, then whom the reward hangs on most, then who only judged, by how much was used."""
    whole = sa.select(sa.func.sum(RunPerson.used)).where(col(RunPerson.run_id) == run_id)
    used = session.execute(whole).scalar() or 1
    rows = session.execute(
        sa.select(RunPerson, col(Person.name))
        .join(Person, col(Person.id) == col(RunPerson.person_id))
        .where(col(RunPerson.run_id) == run_id)
        .order_by(
            col(RunPerson.used) > 0,
            col(RunPerson.influence).desc().nulls_last(),
            col(RunPerson.used).desc(),
            col(RunPerson.person_id),
        )
        .limit(limit)
    )
    return [
        Giver(
            row.person_id,
            name,
            row.given,
            row.used,
            round(row.used / used, 4),
            None if row.influence is None else round(row.influence, 4),
            None if row.leaning is None else round(row.leaning, 4),
            None if row.contrary is None else round(row.contrary, 4),
        )
        for row, name in rows
    ]
