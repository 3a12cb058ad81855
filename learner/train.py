"""One run from top to bottom: snapshot, reward model, policy, gate, publish.

`python -m learner.train RUN_ID EPOCH` is the child process that the worker starts; `train` does the same in place.
`torchrun … -m learner.train next` does the oldest queued run on many devices (see `crew`).
"""

import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from uuid import UUID

import sqlalchemy as sa
import torch
from sqlmodel import Session, col

from backtalk import policies, privacy, runs, tracing, trouble, weights
from backtalk.database import Database
from backtalk.engine.loading import pick_device
from backtalk.recipe import Recipe, RecipeError, load_recipe
from backtalk.settings import Settings, load_settings
from backtalk.tables import Contested, Json, Run, RunPerson, Sample
from backtalk.template import Template
from learner import advice, contested, crew, influence, linear, mixture, parallel, remote, reward_model, trust
from learner.dataset import Snapshot, take_snapshot
from learner.gate import Rejected
from learner.giveway import give_way
from learner.influence import Influence
from learner.intervals import auc, calibration_error, pairs_right, thumbs_auc
from learner.journal import Journal, NotFinite, part, whole
from learner.ladder import climb, judge
from learner.lesson import Lesson, Study, split
from learner.lines import told_to
from learner.publish import publish
from learner.record import Cancelled, Progress, RunJournal, lease
from learner.reward_model import RewardModel
from learner.rollouts import RolloutFailed
from learner.sequences import load
from learner.trial import Answered

log = logging.getLogger("learner.train")  # also where this is `__main__`

SAMPLES = 8


def train(
    settings: Settings,
    database: Database,
    run: Run,
    epoch: int,
    on_progress: Callable[[Progress], None] | None = None,
    leave: Callable[[str], object] = lambda reason: None,
) -> str:
    """Do a claimed run and give it its terminal state, which is returned.

    Args:
        epoch: under which the run was claimed.
        on_progress: called after every step, in this thread.
        leave: called from the lease's thread when this process must not go on with the run.

    Raises:
        LeaseLost: the run is no longer ours; nothing more was written.
    """
    journal = RunJournal(database, run.id, epoch, on_progress)
    report: Json = {}
    with lease(database, journal, leave), told_to(journal.say), journal.span:
        try:
            journal.start_over()
            recipe = load_recipe(run.recipe)
            number = learn(settings, database, run.id, recipe, journal, report)
            tracing.current().set_attribute("backtalk.policy.version", number)
        except (Rejected, RecipeError, NotFinite, RolloutFailed) as reason:
            log.info("rejected: %s", reason)
            journal.end("rejected", str(reason), report)
            return "rejected"
        except Cancelled:
            log.info("cancelled by an operator")
            journal.end("cancelled", None, report)
            return "cancelled"
        except runs.LeaseLost:
            raise
        except Exception as error:
            log.exception("failed in step %s", journal.stage or "start")
            journal.end("failed", trouble.of_error(journal.stage or None, error), report)
            raise
    journal.done = 1.0
    report["number"] = number
    return "promoted"


def learn(
    settings: Settings,
    database: Database,
    run_id: UUID,
    recipe: Recipe,
    journal: RunJournal,
    report: Json,
) -> int:
    """The run itself. Returns the number of the version that went live.

    Args:
        report: filled as the run goes on, so that a rejected run tells what it measured.

    Raises:
        Rejected: there will be no new version, and why.
    """
    torch.manual_seed(recipe.seed)

    journal.begin("snapshot")
    with crew.same_view(database) as session:
        live_now, parent = policies.live(session), policies.start(session)
        if live_now is None or parent is None:
            raise Rejected("no version is live; start the server once")
        directory = settings.weights_dir / parent.directory
        template = Template(directory)
        data = recipe.data.under(settings.trust)
        snapshot = take_snapshot(session, run_id, template, data, privacy.load(settings.data_dir))
    journal.flush(
        lambda session: session.add_all([*snapshot.items, *snapshot.givers]),
        recipe=recipe.model_dump(),
        from_version=parent.number,
        counts=snapshot.counts,
        snapshot_digest=snapshot.digest,
    )
    _tell_of(snapshot, parent.number)
    weights.verify(directory, weights.public_key(settings.keys_dir))
    live = parallel.shard(load(directory, parallel.device(pick_device(settings.learner_device))))
    parallel.settle(live)
    if parent.number != live_now.number:
        report["forgets"] = {"live": live_now.number, "begins_at": parent.number}
    snapshot, heard = trust.sift(snapshot, live, template.ends, recipe, report)
    journal.flush(partial(trust.keep, run_id, heard), counts=snapshot.counts, snapshot_digest=snapshot.digest)
    lesson = split(snapshot, live, template, parent.number, recipe, report)
    log.info("%s opinions teach, %s judge; on %s", len(lesson.taught), len(lesson.held_out), live.device)

    journal.begin("reward_model")
    opinions = linear.tabulate(live, lesson.taught, template.ends)
    reward = learn_reward(lesson, opinions, recipe, journal, report)
    journal.flush(partial(keep_contested, contested.find(run_id, reward, snapshot.siblings)))
    if not settings.takes_weights:
        raise Rejected(
            "no version is made, because the engine serves a model of its own and takes no weights; the reward model "
            "was measured. Set BACKTALK_ENGINE to local, vllm+, sglang+ or tgi+ to serve what is learned"
        )

    journal.begin("policy")
    with remote.drawing(settings, directory) as drawing:
        study = Study(lesson, reward, recipe, journal, settings.checkpoints_dir / str(run_id), drawing)
        candidates = climb(study)

    journal.begin("gate")
    best = judge(study, candidates, report, snapshot.replies)
    shown = best.answered[:: max(1, len(best.answered) // SAMPLES)][:SAMPLES]
    replies = ([one.before for one in best.answered], [one.after for one in best.answered])
    weighed = influence.measure(opinions, live, *replies, template.ends)

    def keep(session: Session) -> None:
        session.add_all(sample_rows(run_id, shown))
        keep_influence(session, run_id, weighed)

    journal.flush(keep)
    if best.reason is not None:
        raise Rejected(best.reason)

    journal.begin("publish")
    candidate = parallel.copied(best.candidate.policy) if parallel.size() > 1 else best.candidate.policy
    if parallel.rank():
        return parent.number  # the first process publishes
    return publish(settings, database, run_id, candidate, parent, live_now.number, snapshot, recipe, report, journal)


def learn_reward(
    lesson: Lesson, opinions: linear.Design, recipe: Recipe, journal: Journal, report: Json
) -> RewardModel:
    """Fit the reward model on those who teach, and tell how well it foretells those held out, beside the linear one."""
    ends, seed = lesson.template.ends, recipe.seed
    reward = reward_model.fit(
        lesson.live, lesson.taught, ends, recipe.reward_model, seed, journal, part(whole, 0.0, 0.9), recipe.lora
    )
    # The live version's own replies say what a usual reward is.
    usual = [logged.exchange for logged in lesson.current]
    usual = (usual or lesson.taught.exchanges())[:500]
    reward.normalise(usual, recipe.rewards, recipe.reward_model.caution)
    mixture.examine(reward, usual, recipe.gate.maximum_clash, report)
    baseline = linear.fit(opinions)

    thumbs = lesson.held_out.thumbs
    exchanges, liked = [thumb.exchange for thumb in thumbs], [thumb.liked for thumb in thumbs]
    found = reward.preference(exchanges)
    plain = baseline.preference(exchanges, lesson.live, ends)
    pairs = lesson.held_out.pairs
    better, worse = reward.preference([p.better for p in pairs]), reward.preference([p.worse for p in pairs])
    confidence = recipe.gate.confidence
    right = pairs_right(better, worse, pairs, confidence, seed)
    report["reward_model"] = {
        "auc": thumbs_auc(found, thumbs, confidence, seed).to_json(),
        "pair_accuracy": right.to_json() if right else None,
        "calibration_error": calibration_error(found, liked),
        "linear": {"auc": thumbs_auc(plain, thumbs, confidence, seed).to_json(), "weights": baseline.readable()},
    }
    report["reward_model"] |= advice.of_reward(lesson, reward, opinions, usual, found, recipe)
    told = report["reward_model"]["auc"]
    log.info("the reward model foretells people held out with AUC %.3f (%.3f to %.3f)", *told.values())
    journal.step(1.0, auc=auc(found, liked), linear_auc=auc(plain, liked))
    return reward


def _tell_of(snapshot: Snapshot, version: int) -> None:
    counts = snapshot.counts
    log.info("%s opinions of %s people, beginning at version %s", counts["opinions"], counts["people"], version)
    for reason, count in counts["skipped"].items():
        log.info("%s opinions are left out: %s", count, reason)


def keep_contested(found: Sequence[Contested], session: Session) -> None:
    """Those of this run take the place of those of the one before."""
    session.execute(sa.delete(Contested))
    session.add_all(found)


def keep_influence(session: Session, run_id: UUID, weighed: Sequence[Influence]) -> None:
    """Beside what each person gave; who was erased meanwhile has no row any more."""
    for one in weighed:
        theirs = sa.update(RunPerson).where(
            col(RunPerson.run_id) == run_id, col(RunPerson.person_id) == UUID(one.giver)
        )
        session.execute(theirs.values(influence=one.influence, leaning=one.leaning))


def sample_rows(run_id: UUID, answered: Sequence[Answered]) -> list[Sample]:
    """Before and after, as rows."""
    return [
        Sample(
            run_id=run_id,
            number=number,
            prompt=one.question,
            before=one.before.text,
            after=one.after.text,
            reward_before=one.reward_before,
            reward_after=one.reward_after,
        )
        for number, one in enumerate(answered)
    ]


def main() -> None:
    """The child process: nobody's child when its parent dies, low in priority, gone when the lease is."""
    settings = load_settings()
    database = Database(settings.database)
    give_way()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    parallel.join()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // parallel.here()))
    run = _asked_for(database, sys.argv[1:])
    if run is None:
        print("no run waits")
        return

    def leave(reason: str) -> None:
        print(f"run {run.id}: {reason}", file=sys.stderr, flush=True)
        os._exit(1)

    if parallel.rank():
        logging.getLogger().setLevel(logging.WARNING)  # the first one tells
        follow(settings, database, run)
    elif _traced(settings, database, run, leave) == "cancelled" and parallel.size() > 1:
        leave("cancelled")  # the others wait for this process; torchrun ends them when it has gone
    parallel.leave()


def _traced(settings: Settings, database: Database, run: Run, leave: Callable[[str], object]) -> str:
    """Do the run as one trace, with a span for each stage."""
    with tracing.exporting("learner"), tracing.span("run", {"backtalk.run.id": str(run.id)}) as span:
        state = train(settings, database, run, run.epoch, leave=leave)
        span.set_attribute("backtalk.run.state", state)
        return state


def _asked_for(database: Database, arguments: Sequence[str]) -> Run | None:
    """The run that the worker has claimed, or the next one; None when there is none."""
    if list(arguments) == ["next"]:
        return crew.claim(database, f"{socket.gethostname()}:{os.getpid()}")
    run_id, epoch = UUID(arguments[0]), int(arguments[1])
    run = crew.held(database, run_id)
    if run is None or run.epoch != epoch:
        raise SystemExit(f"run {run_id} is not held under epoch {epoch}")
    return run


def follow(settings: Settings, database: Database, run: Run) -> None:
    """Do a run in step with the first process, which writes what comes of it."""
    with suppress(Rejected, RecipeError, NotFinite, RolloutFailed):
        learn(settings, database, run.id, load_recipe(run.recipe), crew.Follower(database, run.id, run.epoch), {})


if __name__ == "__main__":
    main()
