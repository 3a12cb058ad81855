"""Four weeks of a Backtalk as its operators find it: five versions, whom people liked more and more, runs that led
nowhere, a run under way, and raters who answered."""

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlmodel import Session, select

from backtalk import announcements, people, policies, starter, weights
from backtalk.opinions import Judgement, judge
from backtalk.tables import (
    Announcement,
    Gold,
    Metric,
    Opinion,
    OpinionHistory,
    Policy,
    RateItem,
    Run,
    RunItem,
    RunLine,
    RunPerson,
    Sample,
    Schedule,
    Slot,
    now,
)
from tests.browser.backtalk import Backtalk, held
from tests.browser.told import FULL, interval

NAMES = (
    "Ada",
    "Bo",
    "Chidi",
    "Dana",
    "Emre",
    "Fatima",
    "Grace",
    "Hiro",
    "Ines",
    "Jonas",
    "Kofi",
    "林晓",
    "王磊",
    "Noor",
)
RATERS = ("Omar", "Petra", "Quinn")
TALK = (
    ("How do I make tea?", "Boil water, pour it over the leaves, and wait four minutes."),
    ("What is the capital of Peru?", "Lima."),
    ("Tell me a short story.", "Once a heron stood in the rain. It waited, and the rain ended, and there were fish."),
    ("给我讲一个小故事。", "狐狸捡到一个红球，送给了小狐狸。小狐狸笑了。"),
    ("What is the opposite of early?", "Late."),
    ("How many centimetres are 2 metres?", "Two metres are 200 centimetres."),
)


@dataclass(frozen=True, slots=True)
class Era:
    """A version: since when it was live, and how many liked what it said."""

    number: int
    parent: int | None
    days_ago: float
    liked: float
    gain: float


ERAS = (
    Era(0, None, 28.2, 0.46, 0.0),
    Era(1, 0, 21.2, 0.58, 0.074),
    Era(2, 1, 14.2, 0.68, 0.102),
    Era(3, 2, 9.2, 0.5, 0.041),
    Era(4, 2, 7.2, 0.77, 0.121),
    Era(5, 4, 0.3, 0.86, 0.094),
)
"""The third was taken back; the fourth comes from the one before it."""
TURNED_DOWN = "the candidate is not surely liked more on held-out questions: gain 0.004 (-0.011 to 0.019)"


@dataclass(frozen=True, slots=True)
class Month:
    """What tests go to."""

    running: UUID
    """The run under way."""
    live: int
    talkative: UUID
    """Somebody who said much."""


def lay(house: Backtalk) -> Month:
    """All of it, in a house where nothing has happened yet."""
    chance = random.Random(4)
    made = [_publish(house, era) for era in ERAS[1:]]
    with house.database.write() as session:
        everybody = [_person(session, name, "user") for name in NAMES]
        first = session.get_one(Policy, 0)
        first.state, first.created_at = "retired", now() - timedelta(days=ERAS[0].days_ago)
        first.live_at = first.created_at
        session.flush()  # before another is live: there is never more than one
        for era, (directory, digest) in zip(ERAS[1:], made, strict=True):
            policies.add(session, era.number, directory, digest, parent=era.parent, state="retired")
        for day in range(28):
            _day(session, chance, everybody, 28 - day)
        for era in ERAS[1:]:
            _version(session, chance, era)
        for from_version, days_ago in ((1, 18.2), (4, 3.2)):
            run = Run(state="rejected", stage="gate", from_version=from_version, error=TURNED_DOWN, report=FULL)
            _ended(session, run, days_ago)
        nightly = _night(session)
        _rated(session, chance)
        running = _under_way(session, chance, nightly)
    house.until_live(ERAS[-1].number)
    return Month(running, ERAS[-1].number, everybody[0])


def _publish(house: Backtalk, era: Era) -> tuple[str, str]:
    """The bundled weights once more, as the files of a version: its directory and its digest."""
    made = weights.workspace(house.settings.weights_dir)
    weights.copy_model(Path(starter.FILES), made)
    key = weights.signing_key(house.settings.keys_dir)
    directory, manifest = weights.publish(made, house.settings.weights_dir, key, number=era.number, parent=era.parent)
    return directory.name, manifest.digest


def _person(session: Session, name: str, role: str) -> UUID:
    person = people.add(session, name, role)
    person.consent_train, person.created_at = True, now() - timedelta(days=40)
    return person.id


def _day(session: Session, chance: random.Random, everybody: list[UUID], days_ago: int) -> None:
    """What people said within 24 hours, of the version that was live then; less at weekends."""
    for _ in range(chance.randint(13, 22) - (6 if days_ago % 7 in (2, 3) else 0)):
        at = now() - timedelta(days=days_ago - chance.random())
        era = _live_at(at)
        person_id = chance.choices(everybody, range(len(everybody), 0, -1))[0]
        (reply_id,) = held(session, person_id, chance.choice(TALK), at, era.number).replies
        if chance.random() < era.liked:
            said = Judgement(rating=1, reasons=chance.choice(([], [], ["clear"], ["correct"])))
        else:
            said = Judgement(rating=-1, reasons=chance.choice((["too_short"], ["wrong"], [])), labels={"accuracy": 2})
        _opine(session, person_id, reply_id, said, at)


def _live_at(at: datetime) -> Era:
    return [era for era in ERAS if at >= now() - timedelta(days=era.days_ago)][-1]


def _opine(session: Session, person_id: UUID, reply_id: UUID, said: Judgement, at: datetime) -> None:
    opinion = judge(session, person_id, reply_id, said)
    opinion.created_at = opinion.updated_at = at
    session.add(opinion)
    session.get_one(OpinionHistory, (opinion.id, opinion.revision)).at = at


def _version(session: Session, chance: random.Random, era: Era) -> None:
    """A version and the run that made it, from all opinions there were."""
    live_at = now() - timedelta(days=era.days_ago)
    gain = interval(era.gain, round(era.gain - 0.031, 3), round(era.gain + 0.034, 3))
    report = {**FULL, "gate": {**FULL["gate"], "gain": gain, "kl": round(0.9 + era.gain * 4, 2)}}
    report["ladder"] = [{"algorithm": "ppo", "gain": gain, "kl": 1.2, "reason": None, "step": 1.0}]
    run = Run(state="promoted", stage="publish", progress=1.0, from_version=era.parent, to_version=era.number)
    run.report, run.snapshot_digest = report, f"{chance.getrandbits(256):064x}"
    seen = session.exec(select(Opinion).where(Opinion.created_at < live_at - timedelta(hours=1))).all()
    run.counts = _counts(seen)
    _ended(session, run, era.days_ago)
    for one in seen:
        item = RunItem(run_id=run.id, kind="opinion", item_id=one.id, person_id=one.person_id, digest="")
        session.add(item)
    _teachers(session, chance, run.id, seen)
    policy = session.get_one(Policy, era.number)
    policy.run_id, policy.report = run.id, report
    policy.created_at, policy.live_at = live_at - timedelta(minutes=1), live_at
    policy.state = "withdrawn" if era.number == 3 else "live" if era is ERAS[-1] else "retired"
    policy.reason = "too wordy, people say" if era.number == 3 else None


def _ended(session: Session, run: Run, days_ago: float) -> None:
    """It began seven minutes before it ended, and ended a minute before what came of it was live."""
    run.ended_at = now() - timedelta(days=days_ago, minutes=1)
    run.started_at = run.queued_at = run.ended_at - timedelta(minutes=7)
    session.add(run)
    session.flush()


def _counts(seen: Sequence[Opinion]) -> dict[str, int]:
    liked = sum(one.rating == 1 for one in seen)
    givers = {one.person_id for one in seen}
    return {"opinions": len(seen), "liked": liked, "disliked": len(seen) - liked, "people": len(givers)}


def _teachers(session: Session, chance: random.Random, run_id: UUID, seen: Sequence[Opinion]) -> None:
    """The ten who gave most; of nobody more than two dozen count."""
    given = Counter(one.person_id for one in seen).most_common(10)
    for place, (person_id, count) in enumerate(given):
        row = RunPerson(run_id=run_id, person_id=person_id, given=count, used=min(count, 24))
        row.influence, row.leaning = round(0.4 / (place + 2), 3), round(chance.uniform(-0.02, 0.06), 3)
        session.add(row)


def _night(session: Session) -> UUID:
    """A schedule, and what came of it of late."""
    schedule = Schedule(name="nightly", cron="0 3 * * *")
    session.add(schedule)
    session.flush()
    missed = Slot(schedule_id=schedule.id, planned_at=now() - timedelta(hours=20), missed="12 new opinions, 50 wanted")
    missed.at = missed.planned_at
    session.add(missed)
    announcements.announce(session, "promoted", policy=ERAS[-1].number)
    session.flush()
    session.exec(select(Announcement)).one().at = now() - timedelta(days=ERAS[-1].days_ago)
    return schedule.id


def _rated(session: Session, chance: random.Random) -> None:
    """Three raters, not equally reliable, on two dozen replies, of which a third are gold items."""
    raters = [_person(session, name, "rater") for name in RATERS]
    author = _person(session, "Sol", "user")
    for number in range(24):
        at = now() - timedelta(days=2 + number)
        (reply_id,) = held(session, author, TALK[number % len(TALK)], at, _live_at(at).number).replies
        right = 1 if number % 3 else -1
        if number % 3 == 0:
            session.add(Gold(message_id=reply_id, answer="down"))
        for rater_id, reliable in zip(raters, (0.97, 0.94, 0.85), strict=True):
            if number % 2 and rater_id == raters[number % 3]:
                continue  # not everybody has been given everything
            rating = right if chance.random() < reliable else -right
            item = RateItem(person_id=rater_id, message_id=reply_id, created_at=at, done_at=at)
            if number % 8 == 1:
                item.first_rating, item.second_rating = rating, rating if chance.random() < reliable else -rating
            session.add(item)
            session.flush()
            _opine(session, rater_id, reply_id, Judgement(rating=1 if rating > 0 else -1), at)


def _under_way(session: Session, chance: random.Random, schedule_id: UUID) -> UUID:
    """A run in the middle of PPO."""
    run = Run(state="running", stage="policy", progress=0.62, from_version=ERAS[-1].number, schedule_id=schedule_id)
    run.queued_at = run.started_at = now() - timedelta(minutes=4, seconds=10)
    seen = session.exec(select(Opinion)).all()
    run.counts = _counts(seen)
    session.add(run)
    session.flush()
    for step in range(120):
        session.add(Metric(run_id=run.id, step=step, stage="policy", values=_measured(chance, step)))
    told = (
        "step snapshot begins",
        f"{len(seen)} opinions of {run.counts['people']} people, beginning at version 5",
        "step reward_model begins",
        "the reward model foretells people held out with AUC 0.795 (0.656 to 0.878)",
        "step policy begins",
    )
    for number, text in enumerate(told):
        session.add(RunLine(run_id=run.id, number=number, level="info", text=text))
    _teachers(session, chance, run.id, seen)
    for number, (prompt, after) in enumerate(TALK[:3]):
        texts = {"prompt": prompt, "before": after.split(",")[0].rstrip(".") + ".", "after": after}
        session.add(Sample(run_id=run.id, number=number, reward_before=0.21, reward_after=0.83, **texts))
    return run.id


def _measured(chance: random.Random, step: int) -> dict[str, Any]:
    """What PPO measures on a good day: it rises, and it slows down."""
    way = 1 - math.exp(-step / 45)
    return {
        "reward": 0.1 + 0.7 * way + chance.gauss(0, 0.03),
        "kl": 1.3 * way + abs(chance.gauss(0, 0.04)),
        "entropy": 2.1 - 0.6 * way + chance.gauss(0, 0.03),
        "length": 19 - 7 * way + chance.gauss(0, 0.5),
        "policy_loss": -0.02 + chance.gauss(0, 0.004),
        "value_loss": 0.3 * math.exp(-step / 30) + 0.05 + abs(chance.gauss(0, 0.01)),
        "clipped": 0.08 + chance.gauss(0, 0.012),
        "ess": 0.93 - 0.1 * way + chance.gauss(0, 0.01),
        "explained_variance": 0.75 * way + chance.gauss(0, 0.03),
    }
