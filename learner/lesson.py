"""What a run learns from, split in two: one part of the people teaches, the other judges."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel

from backtalk.recipe import Recipe
from backtalk.tables import Json
from backtalk.template import Template
from learner.dataset import Logged, Snapshot
from learner.examples import Examples
from learner.gate import Rejected
from learner.journal import Journal
from learner.reward_model import RewardModel
from learner.rollouts import Draw, draw
from learner.sequences import Exchange


@dataclass(frozen=True, slots=True)
class Lesson:
    """Made by `split`, read by everything that fits, trains or judges."""

    live: PreTrainedModel
    template: Template
    taught: Examples
    held_out: Examples
    replies: Sequence[Logged]  # of the ledger, of people who teach
    prompts: Sequence[tuple[int, ...]]  # of people who teach
    unseen: Sequence[tuple[int, ...]]  # of people held out
    version: int  # the live one's number

    @property
    def shown(self) -> list[Exchange]:
        """Everybody's rewrites. Whoever judges has corrected something too, and has it learned by imitation, which asks
        no reward; the question is not asked at the gate.
        """
        said = [*self.taught.demonstrations, *self.held_out.demonstrations]
        return list(dict.fromkeys(demonstration.exchange for demonstration in said))

    @property
    def current(self) -> list[Logged]:
        """Replies of the live version itself."""
        return [logged for logged in self.replies if logged.version == self.version]


@dataclass(frozen=True, slots=True)
class Study:
    """A lesson with its reward: all that a way of improving the policy has at hand."""

    lesson: Lesson
    reward: RewardModel
    recipe: Recipe
    journal: Journal
    checkpoints: Path | None = None  # where a run keeps what it can go on from
    draw: Draw = draw  # how PPO's fresh replies are drawn


def split(
    snapshot: Snapshot, live: PreTrainedModel, template: Template, version: int, recipe: Recipe, report: Json
) -> Lesson:
    """Divide people into those who teach and those who judge.

    Raises:
        Rejected: too few opinions, or all of one kind.
    """
    examples = snapshot.examples
    if len(snapshot.items) < recipe.data.minimum_opinions:
        raise Rejected(
            f"too few opinions: {len(snapshot.items)} from people who let theirs train, "
            f"{recipe.data.minimum_opinions} needed"
        )
    # Others with each version, so that nobody judges for ever and never teaches.
    held_out = snapshot.hold_out(recipe.data.share_held_out(len(examples)), f"{recipe.seed} {version}")
    teaching = set(examples.people()) - held_out
    taught, kept = examples.of(teaching), examples.of(held_out)
    for name, part in (("taught", taught), ("held out", kept)):
        kinds = {thumb.liked for thumb in part.thumbs}
        if len(kinds) < 2 and not part.pairs:
            raise Rejected(f"the opinions {name} are all alike: likes and dislikes are needed to tell what is liked")
    if not taught or not kept:
        raise Rejected("nobody can be held out: opinions on at least two different questions are needed")
    report["split"] = {"by": snapshot.split_by, "taught": len(taught), "held_out": len(kept)}
    replies = [logged for logged in snapshot.replies if logged.person not in held_out]
    corrected = {demonstration.exchange.prompt for demonstration in kept.demonstrations}
    asked = [logged.exchange for logged in snapshot.replies if logged.person in held_out] or kept.exchanges()
    unseen = [exchange for exchange in asked if exchange.prompt not in corrected] or asked
    return Lesson(
        live,
        template,
        taught,
        kept,
        replies,
        # Who only judges what others asked has no questions of their own.
        prompts_of([logged.exchange for logged in replies] or taught.exchanges()),
        prompts_of(unseen),
        version,
    )


def prompts_of(exchanges: Sequence[Exchange]) -> list[tuple[int, ...]]:
    """Each prompt once."""
    return list(dict.fromkeys(exchange.prompt for exchange in exchanges))
