"""A run tried dry: what it would learn from if it began now, and about how long it would take. Nothing is trained."""

import statistics
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from backtalk import labelling, profiles, runs
from backtalk.consent import consents, may_train
from backtalk.recipe import Data, load_recipe
from backtalk.tables import Comparison, Json, Message, Opinion, Run

RUNS_LOOKED_AT = 5
FIXED = 600.0
"""What a run does whatever the number of opinions, told in opinions' worth of time."""
SECONDS_AN_OPINION = 0.15
"""Where no run has been yet: the default recipe on the bundled starter and two cores (`backtalk bench loop`)."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run would use. Made here, shown by the console and the command line."""

    counts: Json  # by kind, after the cap of one person
    people: int
    new_feedback: int
    minutes: float
    would_run: bool
    reason: str | None  # why there would be no run, or why it would end without a version


def forecast(
    session: Session,
    recipe: Json,
    minimum_feedback: int = 0,
    reward_profile: str | None = None,
    trust: str = "open",
) -> Forecast:
    """What a run would use if it began now.

    Args:
        trust: the setting of that name.

    Raises:
        RecipeError: the recipe cannot be used.
        ProfileError: there is no such profile.
    """
    resolved = load_recipe(profiles.applied(session, recipe, reward_profile))
    counts, people = _usable(session, resolved.data.under(trust))
    fresh = runs.new_feedback(session)
    reason = _obstacle(session, fresh, minimum_feedback, counts["opinions"], resolved.data)
    return Forecast(counts, people, fresh, _minutes(session, counts["opinions"]), reason is None, reason)


def _obstacle(session: Session, fresh: int, minimum: int, usable: int, recipe: Data) -> str | None:
    busy = session.exec(select(Run).where(col(Run.state).in_(("queued", "running"))).limit(1)).first()
    if busy is not None:
        return f"run {busy.id} is {busy.state}"
    if fresh < minimum:
        return f"{fresh} new opinions, {minimum} wanted"
    if usable < recipe.minimum_opinions:
        return f"{usable} opinions of people who let theirs train, {recipe.minimum_opinions} needed"
    return None


def _usable(session: Session, recipe: Data) -> tuple[Json, int]:
    """Counts by kind of what may train, the newest of each person up to the cap; and how many people gave it."""
    says_something = sa.or_(
        col(Opinion.rating).is_not(None),
        col(Opinion.rewrite).is_not(None),
        sa.cast(col(Opinion.labels), sa.Text) != "{}",
    )
    opinions = (
        sa.select(
            col(Opinion.person_id),
            col(Opinion.created_at),
            col(Opinion.rating),
            sa.case((col(Opinion.rewrite).is_not(None), 1), else_=0).label("rewritten"),
            sa.case((sa.cast(col(Opinion.labels), sa.Text) != "{}", 1), else_=0).label("scored"),
            sa.literal(0).label("compared"),
        )
        .where(~col(Opinion.withdrawn), ~col(Opinion.excluded), says_something)
        .join(Message, col(Message.id) == col(Opinion.message_id))
        .where(may_train(Message), consents(col(Opinion.person_id), recipe.account_days))
    )
    comparisons = (
        sa.select(
            col(Comparison.person_id),
            col(Comparison.created_at),
            sa.null().label("rating"),
            sa.literal(0),
            sa.literal(0),
            sa.literal(1),
        )
        .where(~col(Comparison.excluded))
        .join(Message, col(Message.id) == col(Comparison.left_id))
        .where(may_train(Message), consents(col(Comparison.person_id), recipe.account_days))
    )
    given: Any = sa.union_all(opinions, comparisons).subquery()
    heard = given.c.person_id.not_in(labelling.unreliable(session, recipe.minimum_gold))
    newest_first = sa.func.row_number().over(partition_by=given.c.person_id, order_by=given.c.created_at.desc())
    ranked: Any = sa.select(given, newest_first.label("n")).where(heard).subquery()
    each = session.execute(sa.select(sa.func.max(ranked.c.n)).group_by(ranked.c.person_id)).scalars().all()
    most = max(recipe.cap, int(recipe.cap_factor * statistics.median(each))) if each else recipe.cap

    def share(condition: Any) -> Any:
        return sa.func.sum(sa.case((condition, 1), else_=0))

    row = session.execute(
        sa.select(
            sa.func.count(),
            share(ranked.c.rating == 1),
            share(ranked.c.rating == -1),
            sa.func.sum(ranked.c.rewritten),
            sa.func.sum(ranked.c.scored),
            sa.func.sum(ranked.c.compared),
        ).where(ranked.c.n <= most)
    ).one()
    names = ("opinions", "liked", "disliked", "rewrites", "scored", "comparisons")
    counts: Json = {name: int(value or 0) for name, value in zip(names, row, strict=True)}
    counts["over_the_cap"] = sum(each) - counts["opinions"]
    return counts, len(each)


def _minutes(session: Session, opinions: int) -> float:
    """About how long a run takes here, by the newest ones that came as far as the gate."""
    ended = session.exec(
        select(Run)
        .where(col(Run.state).in_(("promoted", "rejected")), col(Run.stage).in_(("gate", "publish")))
        .order_by(col(Run.queued_at).desc())
        .limit(RUNS_LOOKED_AT)
    )
    paces = [
        (run.ended_at - run.started_at).total_seconds() / (FIXED + run.counts.get("opinions", 0))
        for run in ended
        if run.started_at and run.ended_at
    ]
    pace = statistics.median(paces) if paces else SECONDS_AN_OPINION
    return round(pace * (FIXED + opinions) / 60, 1)
