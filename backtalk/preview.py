"""What a reward profile would change, before anything is trained: checked against opinions, tried by best of n."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from backtalk import appraisal, profiles
from backtalk.appraisal import Appraiser, Clash, Validation
from backtalk.recipe import load_recipe
from backtalk.rules import held

DRAWS = 8
"""Replies drawn for each question, today's among them."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What the newest opinions and replies say of a mixture of rewards."""

    replies: int
    missing: list[str]
    validation: dict[str, Validation]
    correlation: dict[str, dict[str, float | None]]
    clashes: list[Clash]
    forbidden: float
    """Share of the replies looked at that hold a forbidden word."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the live version says today, and what the mixture likes best of several tries."""

    prompt: str
    today: str
    best: str
    reward_today: float
    reward_best: float


def check(
    session: Session,
    weights: Mapping[str, float],
    rules: Mapping[str, Any],
    limits: Mapping[str, float],
    forbidden: Sequence[str] = (),
) -> tuple[Appraiser, Checked]:
    """Cross-validation by person, rank correlation between rewards, and clashes, of a profile with this content.

    Raises:
        ProfileError: the profile cannot be used.
    """
    recipe = load_recipe(profiles.check(weights, rules, limits, forbidden))
    appraiser, usual = appraisal.appraiser(session, recipe.rewards)
    values = {name: own.tolist() for name, own in appraiser.values(usual or [""]).items()}
    return appraiser, Checked(
        replies=len(usual),
        missing=appraiser.missing,
        validation=appraiser.validation(),
        correlation=appraisal.correlations(values),
        clashes=appraisal.clashes(values, appraiser.weights, recipe.gate.maximum_clash),
        forbidden=sum(bool(held(recipe.gate.forbidden, reply)) for reply in usual) / max(1, len(usual)),
    )


def choose(
    appraiser: Appraiser, prompts: Sequence[str], drawn: Sequence[Sequence[str]]
) -> tuple[list[Choice], dict[str, float]]:
    """The best of each question's replies, the first of which is today's.

    Args:
        drawn: replies to each prompt, as many to each.

    Returns:
        The choices; and how far the chosen lie from today's, in spreads, by reward.
    """
    shape = len(drawn), len(drawn[0])
    values = appraiser.values([text for own in drawn for text in own])
    rewards = appraiser.rewards(values).reshape(shape)
    best = rewards.argmax(axis=1)
    choices = [
        Choice(prompt, own[0], own[number], round(float(line[0]), 4), round(float(line[number]), 4))
        for prompt, own, line, number in zip(prompts, drawn, rewards, best, strict=True)
    ]
    tables = {name: own.reshape(shape) for name, own in values.items()}
    shift = {name: float((table[range(shape[0]), best] - table[:, 0]).mean()) for name, table in tables.items()}
    return choices, {name: round(value, 4) for name, value in shift.items()}
