"""Whole runs of a tiny policy: what goes live, what does not and why, and what an interrupted run leaves behind."""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from threading import Event
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
import torch
from sqlmodel import Session, col, select
from torch import Tensor
from transformers import AutoModelForCausalLM

from backtalk import policies, receipts, runs, weights
from backtalk.database import Database
from backtalk.settings import Settings
from backtalk.tables import Metric, Opinion, Person, Policy, Run, RunItem, RunLine, RunPerson, Sample
from backtalk.template import Template, Turn
from learner import ppo, publish, record, train
from learner.record import Progress, RunJournal
from learner.reward_model import RewardModel
from learner.rollouts import draw
from learner.sequences import load
from learner.worker import Worker
from tests.learner.planted import WORDS, exclaims
from tests.learner.town import Town, live_number

SMALL: dict[str, Any] = {
    "reward_model": {"steps": 20, "batch": 16, "learning_rate": 1e-3},
    "distill": {"draws": 3, "learning_rate": 3e-3, "epochs": 4, "batch": 16},
    "ppo": {"iterations": 2, "episodes": 48, "minibatch": 24, "learning_rate": 1e-3},
    "sampling": {"maximum_tokens": 30},
    "gate": {"prompts": 60, "temperature": 1.0},
}
PEOPLE, EACH = 8, 12


@dataclass(frozen=True)
class House:
    """An installation with a live version 0 and people who have said what they think of its replies."""

    settings: Settings
    database: Database
    people: list[UUID]

    def train(self, recipe: dict[str, Any] | None = None, watch: Callable[[Progress], None] | None = None) -> Run:
        """One run from the queue to its end."""
        with self.database.write() as session:
            runs.queue(session, SMALL if recipe is None else recipe)
        with self.database.write() as session:
            run = runs.claim(session, "test")
        assert run is not None
        state = train.train(self.settings, self.database, run, run.epoch, watch)
        with self.database.read() as session:
            ended = session.get_one(Run, run.id)
        assert ended.state == state
        return ended

    def versions(self) -> list[str]:
        """Directories of versions, and whatever else lies among them."""
        return sorted(path.name for path in self.settings.weights_dir.iterdir())


Settle = Callable[..., House]


@pytest.fixture
def settle(speaking_directory: Path, tmp_path: Path) -> Iterator[Settle]:
    made: list[Database] = []

    def build(likes: Callable[[str], bool] = exclaims, people: int = PEOPLE, each: int = EACH, **more: Any) -> House:
        settings = Settings(data_dir=tmp_path / "data", model=str(speaking_directory), learner_device="cpu", **more)
        settings.prepare()
        database = Database(settings.database)
        made.append(database)
        database.migrate()
        policies.ensure_first(database, settings)
        with database.write() as session:
            found = talk(session, load(speaking_directory), Template(speaking_directory), likes, people, each)
        return House(settings, database, found)

    yield build
    for database in made:
        database.close()


def talk(
    session: Session, policy: Any, template: Template, likes: Callable[[str], bool], people: int, each: int
) -> list[UUID]:
    """Everybody asks, and rates every reply; a tenth of the thumbs point the wrong way, some bring a rewrite."""
    rng, town = Random(0), Town(session, template)
    found = [town.person() for _ in range(people)]
    asked = [(who, rng.choice(WORDS)) for who in found for _ in range(each)]
    prompts = [tuple(template.render([Turn("user", question)])) for _, question in asked]
    drawn = draw(policy, template, prompts, temperature=1.0, maximum_tokens=30, seed=1)
    for (who, question), rollout in zip(asked, drawn, strict=True):
        text = rollout.exchange.text
        reply = town.reply(who, question, text, logprobs=rollout.logprobs, sampling={"temperature": 1.0})
        liked = likes(text) != (rng.random() < 0.1)
        rewrite = text.rstrip(".! ") + "!" if not liked and rng.random() < 0.2 and not exclaims(text) else None
        town.rate(who, reply, 1 if liked else -1, rewrite=rewrite)
    return found


def said(house: House, run: Run) -> list[str]:
    """The run's log."""
    with house.database.read() as session:
        kept = select(RunLine.text).where(RunLine.run_id == run.id).order_by(col(RunLine.number))
        return list(session.exec(kept))


def satisfaction(house: House, number: int) -> float:
    """Share of a version's replies that people truly like."""
    with house.database.read() as session:
        directory = house.settings.weights_dir / session.get_one(Policy, number).directory
    template = Template(directory)
    prompts = [tuple(template.render([Turn("user", word)])) for word in WORDS] * 8
    drawn = draw(load(directory), template, prompts, temperature=1.0, maximum_tokens=30, seed=5)
    return sum(exclaims(rollout.exchange.text) for rollout in drawn) / len(drawn)


# What goes live -------------------------------------------------------------------------------------------------------


def test_two_processes_do_a_run_together_and_one_of_them_writes(
    settle: Settle, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKTALK_DATABASE_URL", database.url)
    house = settle(database_url=database.url, learner_processes=2)
    with house.database.write() as session:
        runs.queue(session, SMALL)
    worker = Worker(house.settings, house.database)
    claimed = worker.claim()
    assert claimed is not None
    worker.do(claimed, Event())
    with house.database.read() as session:
        run = session.get_one(Run, claimed.id)
        steps = session.exec(select(Metric.step).where(Metric.run_id == run.id).order_by(col(Metric.step))).all()
        assert run.state == "promoted" and run.epoch == 1, run.error
        assert len(steps) == len(set(steps)) > 20, "each step is written once"
        assert len(session.exec(select(RunItem)).all()) == run.counts["opinions"]
    assert (
        house.versions() == sorted([one for one in house.versions() if one[0] in "01"]) and len(house.versions()) == 2
    )
    assert satisfaction(house, 1) > satisfaction(house, 0) + 0.1


@pytest.fixture
def promoted(settle: Settle) -> tuple[House, Run]:
    house = settle()
    return house, house.train()


def test_a_run_makes_a_version_that_people_like_more(promoted: tuple[House, Run]) -> None:
    house, run = promoted
    assert (run.state, run.from_version, run.to_version, run.progress, run.error) == ("promoted", 0, 1, 1.0, None)
    assert live_number(house.database) == 1
    before, after = satisfaction(house, 0), satisfaction(house, 1)
    assert after > before + 0.3, (before, after)

    # What it was made of stands in its files, signed, and anybody's transformers opens it.
    with house.database.read() as session:
        policy = session.get_one(Policy, 1)
        items = session.exec(select(RunItem).where(RunItem.run_id == run.id)).all()
        samples = session.exec(select(Sample).where(Sample.run_id == run.id)).all()
        metrics = session.exec(select(Metric).where(Metric.run_id == run.id).order_by(col(Metric.step))).all()
        told = receipts.of_person(session, house.people[0])
        givers = session.exec(select(RunPerson).where(RunPerson.run_id == run.id)).all()
    directory = house.settings.weights_dir / policy.directory
    manifest = weights.verify(directory, weights.public_key(house.settings.keys_dir))
    assert (manifest.number, manifest.parent, manifest.run) == (1, 0, str(run.id))
    assert (manifest.snapshot, manifest.digest) == (run.snapshot_digest, policy.digest)
    assert manifest.recipe == run.recipe
    assert manifest.report["gate"] == run.report["gate"]
    opened = AutoModelForCausalLM.from_pretrained(directory)
    assert opened.dtype == torch.bfloat16

    # Everything it measured is kept: each opinion once, curves of every stage, answers before and after.
    assert len(items) == PEOPLE * EACH == run.counts["opinions"]
    assert len(metrics) > 30
    assert {m.stage for m in metrics} == {"reward_model", "policy", "gate"}
    names = {name for m in metrics for name in m.values}
    assert {"reward_loss", "auc", "linear_auc", "distill_loss", "reward", "kl", "ess", "gain", "gate_kl"} <= names
    assert len(samples) == 8
    assert set(run.report) >= {"split", "reward_model", "policy", "gate", "advice", "seconds"}
    assert set(run.report["reward_model"]) >= {"by_time", "by_group", "swaps", "ills", "triggers"}
    assert run.report["advice"]["wins"]["rate"]["low"] > 0.5 and run.report["advice"]["backtest"]["rated"] > 0
    assert run.report["split"]["by"] == "person"
    assert run.report["gate"]["gain"]["low"] > 0
    assert {one.person_id for one in givers} == set(house.people) and {one.used for one in givers} == {EACH}
    weighed = [one for one in givers if one.influence is not None]
    assert 0 < len(weighed) < len(givers), "those held out teach nothing"
    assert sum(one.leaning or 0.0 for one in weighed) > 0, "people want what the version brings"
    log = said(house, run)
    assert any("it may go live" in line for line in log) and "version 1 is written" in log[-1]
    assert len(told) == EACH
    assert {lesson["number"] for one in told for lesson in one["versions"]} == {1}


def test_the_same_seed_and_opinions_make_the_same_bytes(promoted: tuple[House, Run]) -> None:
    house, first = promoted
    with house.database.write() as session:
        policies.go_live(session, 0, "test")
    second = house.train()
    assert (second.state, second.to_version) == ("promoted", 2)
    assert second.snapshot_digest == first.snapshot_digest
    with house.database.read() as session:
        names = [session.get_one(Policy, number).directory for number in (1, 2)]
    one, other = (
        hashlib.sha256((house.settings.weights_dir / name / "model.safetensors").read_bytes()).hexdigest()
        for name in names
    )
    assert one == other


def test_another_seed_makes_other_bytes_from_the_same_opinions(promoted: tuple[House, Run]) -> None:
    house, first = promoted
    with house.database.write() as session:
        policies.go_live(session, 0, "test")
    second = house.train({**SMALL, "seed": 1})
    assert second.snapshot_digest == first.snapshot_digest
    assert second.report["gate"] != first.report["gate"]


# What does not, and why ----------------------------------------------------------------------------------------------


def rejected(house: House, reason: str, recipe: dict[str, Any] | None = None) -> Run:
    run = house.train(recipe)
    assert run.state == "rejected"
    assert reason in (run.error or ""), run.error
    assert run.to_version is None
    assert live_number(house.database) == 0
    assert len(house.versions()) == 1
    return run


def test_too_few_opinions(settle: Settle) -> None:
    run = rejected(settle(people=2, each=3), "too few opinions: 6 from people who let theirs train, 20 needed")
    assert run.stage == "snapshot"
    assert run.counts["opinions"] == 6


def test_opinions_that_are_all_alike(settle: Settle) -> None:
    house = settle()
    with house.database.write() as session:
        session.execute(sa.update(Opinion).values(rating=1, rewrite=None))
    rejected(house, "are all alike")


def test_opinions_by_chance(settle: Settle) -> None:
    rng = Random(4)
    run = rejected(settle(likes=lambda text: rng.random() < 0.5), "")
    assert run.stage == "gate"
    assert any(reason in (run.error or "") for reason in ("cannot foretell what people like", "not surely liked"))


def test_a_reward_turned_upside_down(settle: Settle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong in training, people held out have the last word."""
    real = RewardModel.score
    monkeypatch.setattr(RewardModel, "score", lambda self, *arguments: -real(self, *arguments))
    run = rejected(settle(), "not surely liked more", {**SMALL, "distill": {"rounds": 0}})
    assert run.report["gate"]["gain"]["value"] < 0
    assert run.report["gate"]["length"]["candidate"] > 0  # a rejected run tells what it measured


def test_an_explosion(settle: Settle) -> None:
    explosive = {**SMALL, "ppo": {**SMALL["ppo"], "learning_rate": 1.0, "maximum_gradient": 1000.0, "kl_stop": 1000.0}}
    rejected(settle(), "", explosive)


def test_a_loss_that_is_no_number(settle: Settle, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = ppo.policy_loss, []

    def poisoned(*arguments: Any) -> Tensor:
        calls.append(1)
        return real(*arguments) * (math.nan if len(calls) == 3 else 1.0)

    monkeypatch.setattr(ppo, "policy_loss", poisoned)
    run = rejected(settle(), "became nan")
    assert run.stage == "policy"


def test_weights_that_become_no_number_after_the_gate(settle: Settle, monkeypatch: pytest.MonkeyPatch) -> None:
    real = publish.served_state

    def spoiled(policy: Any) -> dict[str, Tensor]:
        state = real(policy)
        next(iter(state.values())).view(-1)[7] = math.nan
        return state

    monkeypatch.setattr(publish, "served_state", spoiled)
    run = rejected(settle(), "holds what is no number")
    assert run.stage == "publish"


def test_live_weights_that_are_no_number(settle: Settle, speaking_directory: Path, tmp_path: Path) -> None:
    house = settle()
    broken = load(speaking_directory)
    with torch.no_grad():
        next(broken.parameters())[7] = math.nan
    made = weights.workspace(house.settings.weights_dir)
    weights.copy_model(speaking_directory, made)
    broken.save_pretrained(made)
    key = weights.signing_key(house.settings.keys_dir)
    directory, manifest = weights.publish(made, house.settings.weights_dir, key, number=1)
    with house.database.write() as session:
        policies.add(session, 1, directory.name, manifest.digest)
        policies.go_live(session, 1, "test")
    run = house.train()
    assert run.state == "rejected"
    assert live_number(house.database) == 1


def test_a_recipe_that_nobody_understands(settle: Settle) -> None:
    rejected(settle(people=1, each=1), "recipe field ppo.wings", {"ppo": {"wings": 2}})


def test_live_files_that_were_changed_by_hand(settle: Settle) -> None:
    house = settle()
    (path,) = house.settings.weights_dir.glob("0-*/model.safetensors")
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(weights.WeightsError, match="not those that were published"):
        house.train()
    with house.database.read() as session:
        (run,) = session.exec(select(Run))
    assert (run.state, live_number(house.database)) == ("failed", 0)
    assert "not those that were published" in (run.error or "")


# What changes while a run is under way --------------------------------------------------------------------------------


def when(stage: str, act: Callable[[], None]) -> Callable[[Progress], None]:
    """Do something once, when a stage begins."""
    done: list[bool] = []

    def watch(progress: Progress) -> None:
        if progress.stage == stage and not done:
            done.append(True)
            act()

    return watch


def test_consent_taken_back_before_publication(settle: Settle) -> None:
    house = settle()

    def take_back() -> None:
        with house.database.write() as session:
            session.execute(sa.update(Person).where(col(Person.id) == house.people[3]).values(consent_train=False))

    run = house.train(watch=when("publish", take_back))
    assert run.state == "rejected"
    assert "12 of the opinions may no longer train: consent was taken back" in (run.error or "")
    assert live_number(house.database) == 0
    assert len(house.versions()) == 1  # the files are gone again


def test_another_version_live_meanwhile(settle: Settle) -> None:
    house = settle()

    def promote_another() -> None:
        with house.database.write() as session:
            policies.add(session, 7, "7-elsewhere", "elsewhere")
            policies.go_live(session, 7, "test")

    run = house.train(watch=when("gate", promote_another))
    assert run.state == "rejected"
    assert "another version went live" in (run.error or "")
    assert live_number(house.database) == 7


@pytest.mark.parametrize("stage", runs.STAGES)
def test_a_cancelled_run_stops_in_any_stage(stage: str, settle: Settle, monkeypatch: pytest.MonkeyPatch) -> None:
    house = settle() if stage == "publish" else settle(people=5, each=8)  # only what passes the gate comes so far
    monkeypatch.setattr(record, "RENEW_EVERY", 0.02)
    journals: list[RunJournal] = []
    real = RunJournal.start_over

    def remember(self: RunJournal) -> None:
        journals.append(self)
        real(self)

    monkeypatch.setattr(RunJournal, "start_over", remember)

    def cancel() -> None:
        with house.database.write() as session:
            (run,) = session.exec(select(Run))
            runs.cancel(session, run.id, "test")
        assert journals[0].cancelled.wait(60)

    run = house.train(watch=when(stage, cancel))
    assert (run.state, run.error) == ("cancelled", None)
    assert run.stage in runs.STAGES[runs.STAGES.index(stage) :]
    assert live_number(house.database) == 0
    assert len(house.versions()) == 1


def test_a_run_that_somebody_else_holds_by_now(settle: Settle) -> None:
    house = settle(people=5, each=8)

    def seize() -> None:
        with house.database.write() as session:
            session.execute(sa.update(Run).values(epoch=5, owner="another"))

    with pytest.raises(runs.LeaseLost):
        house.train(watch=when("policy", seize))
    with house.database.read() as session:
        (run,) = session.exec(select(Run))
    assert (run.state, run.owner) == ("running", "another")
    assert live_number(house.database) == 0


def test_an_unforeseen_error_is_a_failed_run_with_its_words(settle: Settle, monkeypatch: pytest.MonkeyPatch) -> None:
    house = settle(people=5, each=8)

    def burst(*arguments: object) -> None:
        raise MemoryError("the device has 3 bytes left")

    monkeypatch.setattr(train, "learn_reward", burst)
    with pytest.raises(MemoryError):
        house.train()
    with house.database.read() as session:
        (run,) = session.exec(select(Run))
    assert (run.state, run.stage) == ("failed", "reward_model")
    assert run.error is not None
    assert run.error.startswith("in step reward_model: MemoryError: the device has 3 bytes left; lower `ppo.minibatch`")
    lines = said(house, run)
    assert "step snapshot begins" in lines[0] and any("40 opinions of 5 people" in line for line in lines)
    assert lines[-1].startswith("failed in step reward_model") and lines[-1].endswith("the device has 3 bytes left")
    assert "Traceback" in lines[-1]


# Few or unusual opinions ----------------------------------------------------------------------------------------------


def test_people_who_only_judge_what_others_asked(settle: Settle, speaking_directory: Path) -> None:
    """One person chats, raters judge: nobody held out has questions of their own."""
    house = settle(people=1, each=60)
    with house.database.write() as session:
        town = Town(session, Template(speaking_directory))
        raters = [town.person() for _ in range(6)]
        given = session.exec(select(Opinion).order_by(col(Opinion.created_at), col(Opinion.id))).all()
        for number, opinion in enumerate(given):
            town.rate(raters[number % 6], opinion.message_id, opinion.rating)
        session.execute(sa.update(Opinion).where(col(Opinion.person_id) == house.people[0]).values(excluded=True))
    run = house.train()
    assert run.state in ("promoted", "rejected")
    assert run.stage in ("gate", "publish")
    assert run.counts["people"] == 6


def test_imported_replies_without_log_probs(settle: Settle) -> None:
    from backtalk.tables import Reply

    house = settle()
    with house.database.write() as session:
        session.execute(sa.update(Reply).values(logprobs=b"", sampling={}))
    run = house.train()
    assert run.state == "promoted"
    assert run.report["policy"]["ledger"]["effective_share"] == 0.0


def test_where_the_engine_takes_no_weights_the_reward_model_is_measured_and_no_version_is_made(settle: Settle) -> None:
    house = settle()
    elsewhere = house.settings.model_copy(update={"engine": "openai+http://127.0.0.1:9"})
    run = replace(house, settings=elsewhere).train()
    assert run.state == "rejected"
    assert run.error is not None and "takes no weights" in run.error
    assert live_number(house.database) == 0 and run.to_version is None
    assert "reward_model" in run.report
