"""What a run tells of its reward model and its candidate beside what the gate decides by. Nothing in this room turns
anything down: it is for whoever reads the report.
"""

from collections.abc import Sequence

from torch import Tensor
from transformers import PreTrainedModel

from backtalk.recipe import Recipe
from backtalk.tables import Json
from learner.advice import backtest, by_group, by_time, pace, sentiment, swaps, sway, triggers, wins
from learner.advice.script import script_of
from learner.dataset import Logged
from learner.judge import Judge
from learner.lesson import Lesson
from learner.linear import Design
from learner.reward_model import RewardModel
from learner.sequences import Exchange

COMPARED = 150
"""Pairs of answers, at most, that the judge looks at once more to tell who wins."""


def of_reward(
    lesson: Lesson, reward: RewardModel, design: Design, usual: Sequence[Exchange], logits: Tensor, recipe: Recipe
) -> Json:
    """For the report's `reward_model`.

    Args:
        design: the opinions of those who teach.
        usual: replies of the live version.
        logits: of being liked, of the thumbs held out: [N].
    """
    confidence, seed, template = recipe.gate.confidence, recipe.seed, lesson.template
    return {
        "by_time": by_time.measure(lesson.taught, design, lesson.held_out, logits, confidence, seed),
        "by_group": by_group.measure(lesson.held_out.thumbs, logits, template, confidence, seed),
        **swaps.measure(reward.score, template, confidence, seed),
        "triggers": triggers.measure(reward.score, template, lesson.taught.thumbs, usual, confidence, seed),
    }


def of_candidate(
    lesson: Lesson,
    candidate: PreTrainedModel,
    answers: tuple[Sequence[Exchange], Sequence[Exchange]],
    judge: Judge,
    logged: Sequence[Logged],
    recipe: Recipe,
) -> Json:
    """For the report's `advice`.

    Args:
        answers: of the live version and of the candidate, to the same questions.
        judge: the gate's.
        logged: the ledger, of people held out as well.
    """
    (before, after), gate, live, template = answers, recipe.gate, lesson.live, lesson.template
    every = -(-len(before) // COMPARED) or 1
    pairs = before[::every], after[::every]
    liked = judge.preference([*pairs[0], *pairs[1]])
    room = recipe.sampling.maximum_tokens
    return {
        "wins": wins.measure(*pairs, liked, gate.confidence, recipe.seed),
        "backtest": backtest.measure(live, candidate, lesson.held_out.thumbs, logged, gate.confidence, recipe.seed),
        "same_script": _same_script(lesson, before, after),
        "sway": sway.measure(live, candidate, template),
        "sentiment": sentiment.measure(live, candidate, template, gate.names),
        "pace": pace.measure(live, candidate, template, [e.prompt for e in before], gate.temperature, room),
    }


def _same_script(lesson: Lesson, before: Sequence[Exchange], after: Sequence[Exchange]) -> Json:
    """What share of the replies are in the script of their question, as far as both can be told."""

    def share(answers: Sequence[Exchange]) -> float:
        pairs = [(script_of(lesson.template.text(one.prompt)), script_of(one.text)) for one in answers]
        clear = [asked == told for asked, told in pairs if asked and told]
        return round(sum(clear) / len(clear), 4) if clear else 1.0

    return {"live": share(before), "candidate": share(after)}
