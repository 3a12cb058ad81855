"""Whose opinions are believed, and whether people want one thing: told before anything is learned from them.

Who says the opposite of what the others say teaches nothing and judges nothing (`candour.py`). Where two groups want
different things both are kept, and the run's report says so (`crowds.py`).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col
from torch import Tensor
from transformers import PreTrainedModel

from backtalk.agreement import wilson
from backtalk.recipe import Recipe
from backtalk.tables import Json, RunItem, RunPerson
from learner import candour, crowds
from learner.crowds import Crowds
from learner.dataset import Snapshot
from learner.hearing import Hearing, hear
from learner.intervals import Interval

log = logging.getLogger(__name__)

SKIPPED = "their giver says the opposite of what the others say"


@dataclass(frozen=True, slots=True)
class Heard:
    """What is known of the people who gave opinions. Made by `weigh`, read by `sift` and `keep`."""

    people: tuple[str, ...]  # G givers
    contrary: Tensor  # [G], the chance that each says the opposite of what the others say
    left_out: Tensor  # [G] bool
    is_divided: bool  # so many say the opposite that nobody knows which side is right
    crowds: Crowds | None  # among those who are believed


def sift(
    snapshot: Snapshot, live: PreTrainedModel, ends: Sequence[int], recipe: Recipe, report: Json
) -> tuple[Snapshot, Heard | None]:
    """The snapshot without those who are not believed, and what was found out; the report says it in words.

    Args:
        live: frozen; its states are what people are foretold from.
        ends: tokens that end a reply.
    """
    if recipe.data.contrary == 1 or snapshot.split_by != "person" or len(snapshot.givers) < candour.FEWEST:
        return snapshot, None
    said = hear(live, snapshot.examples, ends)
    if len(said.people) < candour.FEWEST or not said.lines.isfinite().all():  # what is no number ends the run later on
        return snapshot, None
    heard = weigh(said, recipe.data.contrary, recipe.data.most_contrary, recipe.gate.confidence, recipe.seed)
    report["people"] = told(heard)
    for sentence in (report["people"].get("contrary_told"), report["people"].get("crowds_told")):
        if sentence:
            log.warning("%s", sentence)
    gone = {person for person, out in zip(heard.people, heard.left_out.tolist(), strict=True) if out}
    return (without(snapshot, gone) if gone else snapshot), heard


def weigh(said: Hearing, certainty: float, most: float, confidence: float, seed: int) -> Heard:
    """Find those who contradict everybody, then look for two crowds among the others.

    Args:
        certainty: chance of being contrary from which on somebody is left out.
        most: share of the people who may be left out; with more, nobody is.
        confidence: of intervals.
    """
    found = candour.examine(said, seed)
    contrary = (found.contrary > certainty) & found.is_attack
    is_divided = found.is_attack and found.share > most
    left_out = contrary & (not is_divided)
    trusted = (~left_out).to(said.targets.dtype)
    groups = crowds.find(said, said.foretold(trusted, seed), trusted, confidence, seed)
    return Heard(said.people, found.contrary, left_out, is_divided, groups)


def without(snapshot: Snapshot, people: set[str]) -> Snapshot:
    """A snapshot in which these people have said nothing; the replies they got stay."""
    examples = snapshot.examples.of(set(snapshot.examples.people()) - people)
    items = tuple(item for item in snapshot.items if item.person_id.hex not in people)
    gone = len(snapshot.items) - len(items)
    counts = snapshot.counts | {
        "people": snapshot.counts["people"] - len(people),
        "opinions": len(items),
        **examples.counts,
        "skipped": snapshot.counts["skipped"] | {SKIPPED: gone},
    }
    return replace(snapshot, examples=examples, items=items, counts=counts)


def keep(run_id: UUID, heard: Heard | None, session: Session) -> None:
    """How contrary each person looked; of those left out nothing counts as used."""
    if heard is None:
        return
    for person, chance, is_out in zip(heard.people, heard.contrary.tolist(), heard.left_out.tolist(), strict=True):
        theirs = (col(RunPerson.run_id) == run_id, col(RunPerson.person_id) == UUID(person))
        values = {"contrary": round(chance, 4)} | ({"used": 0} if is_out else {})
        session.execute(sa.update(RunPerson).where(*theirs).values(values))
        if is_out:
            session.execute(
                sa.delete(RunItem).where(col(RunItem.run_id) == run_id, col(RunItem.person_id) == UUID(person))
            )


def told(heard: Heard) -> Json:
    """For the report: numbers with their intervals, and what they mean in a sentence."""
    everybody = len(heard.people)
    found: Json = {"people": everybody}
    contrary = int(heard.left_out.sum())
    if heard.is_divided:
        contrary = int((heard.contrary > 0.5).sum())
        found["contrary_told"] = (
            f"{contrary} of {everybody} people say the opposite of what the others say: so many that nobody can tell "
            "which side is right; all are kept, and they cancel each other out"
        )
    elif contrary:
        found["contrary_told"] = (
            f"{contrary} of {everybody} people say the opposite of what the others say, of everything; their opinions "
            "teach nothing and judge nothing. They are hostile, or want the exact opposite: opinions cannot tell"
        )
    found["contrary_share"] = Interval(contrary / everybody, *wilson(contrary, everybody)).to_json()
    groups = heard.crowds
    if groups is not None:
        more = ", ".join(f"{'more' if value > 0 else 'less'} {name}" for name, value in groups.likes.items())
        opposed = "like what the others dislike" if groups.is_opposed else "want something else than the others"
        found["crowds_told"] = (
            f"people do not want one thing: {groups.share.value:.0%} of them ({groups.share.low:.0%} to "
            f"{groups.share.high:.0%}) {opposed}: {more}. All are kept; a version cannot please both"
        )
        found["smaller_crowd_share"] = groups.share.to_json()
        found["own_crowd_auc"], found["other_crowd_auc"] = round(groups.own, 4), round(groups.other, 4)
        found["own_crowd_ahead"] = groups.ahead.to_json()
    return found
