"""Reward profiles: which rewards count and how much, kept under a name; the active one goes into every next run.

A profile names what people taught (the learned preference, the aspects they score), styles, and rules of the
operators' own (`rules.py`). Every state it ever had is kept as a revision.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from backtalk import audit
from backtalk.asking import ASPECTS
from backtalk.recipe import Gate, RecipeError, load_recipe
from backtalk.rules import STYLES
from backtalk.tables import Json, ProfileRevision, RewardProfile, Schedule, now

NAME_LENGTH = 128
PREFERENCE = "preference"
LEARNED = (PREFERENCE, *(aspect.name for aspect in ASPECTS))
"""Rewards that people's opinions teach."""
REWARDS = (*LEARNED, *STYLES)
LIMITS = tuple(name for name in Gate.model_fields if name.startswith(("maximum_", "minimum_")))


class ProfileError(ValueError):
    """A profile that cannot be had; the message says what was found, what was expected and what to do."""


def put(
    session: Session,
    actor: object,
    name: str,
    weights: Mapping[str, float],
    limits: Mapping[str, float],
    active: bool,
    rules: Mapping[str, str | list[str]] | None = None,
    forbidden: Sequence[str] = (),
) -> RewardProfile:
    """Make or change a profile; making one active makes the others inactive. A change is a new revision.

    Args:
        weights: by reward; of styles and own rules they may be below 0, for less of it.
        rules: the operators' own by name, each an expression or a list of words.
        forbidden: words that a version's replies may not hold, save as far as the limit `maximum_forbidden` lets them.

    Raises:
        ProfileError: an unknown reward or limit, a rule that cannot be used, or a value outside its bounds.
    """
    name = name.strip()
    if not name or len(name) > NAME_LENGTH or not name.isprintable():
        raise ProfileError(f"a profile's name has 1 to {NAME_LENGTH} printable characters; {name[:32]!r} does not")
    content: dict[str, Any] = {"weights": dict(weights), "rules": dict(rules or {}), "limits": dict(limits)}
    content["forbidden"] = list(dict.fromkeys(word.strip() for word in forbidden))
    check(**content)
    if active:
        session.execute(sa.update(RewardProfile).where(col(RewardProfile.name) != name).values(active=False))
    known = session.get(RewardProfile, name)
    is_changed = known is None or any(getattr(known, part) != value for part, value in content.items())
    profile = known or RewardProfile(name=name, revision=0)
    for part, value in content.items():
        setattr(profile, part, value)
    profile.active, profile.updated_at = active, now()
    profile.revision += is_changed
    session.add(profile)
    session.flush()
    if is_changed:
        session.add(ProfileRevision(name=name, revision=profile.revision, at=profile.updated_at, **content))
        session.flush()
    audit.record(session, actor, "profile.put", name, **content, active=active, revision=profile.revision)
    return profile


def check(
    weights: Mapping[str, float],
    rules: Mapping[str, Any],
    limits: Mapping[str, float],
    forbidden: Sequence[str] = (),
) -> Json:
    """What a profile of this content puts into a recipe.

    Raises:
        ProfileError: it cannot be used.
    """
    if known := [name for name in rules if name in REWARDS]:
        raise ProfileError(f"the rule {known[0]!r} has the name of a reward that is there already; choose another")
    _check_known("reward", weights, (*REWARDS, *rules))
    _check_known("limit", limits, LIMITS)
    if any(weights.get(name, 0) < 0 for name in LEARNED) or not any(weights.values()):
        raise ProfileError(
            "weights of what people taught are 0 or more, and some weight is not 0; with none there is nothing to learn"
        )
    recipe = _recipe_part(weights, rules, limits, forbidden)
    try:
        load_recipe(recipe)
    except RecipeError as error:
        raise ProfileError(str(error).replace("recipe field", "profile field")) from error
    return recipe


def by_name(session: Session, name: str) -> RewardProfile:
    """The profile of that name.

    Raises:
        ProfileError: there is none.
    """
    profile = session.get(RewardProfile, name)
    if profile is None:
        raise ProfileError(f"there is no reward profile {name[:64]!r}; choose one of those on the page of rewards")
    return profile


def history(session: Session, name: str) -> list[ProfileRevision]:
    """All revisions of a profile, newest first.

    Raises:
        ProfileError: there is no such profile.
    """
    by_name(session, name)
    found = select(ProfileRevision).where(ProfileRevision.name == name)
    return list(session.exec(found.order_by(col(ProfileRevision.revision).desc())))


def remove(session: Session, actor: object, name: str) -> None:
    """Delete a profile; runs keep what they were given.

    Raises:
        ProfileError: there is no such profile, or a schedule names it.
    """
    profile = by_name(session, name)
    schedule = session.exec(select(Schedule.name).where(Schedule.reward_profile == name)).first()
    if schedule is not None:
        raise ProfileError(f"the schedule {schedule!r} uses the reward profile {name!r}; give it another one first")
    session.execute(sa.delete(ProfileRevision).where(col(ProfileRevision.name) == name))
    session.delete(profile)
    audit.record(session, actor, "profile.remove", name)


def applied(session: Session, recipe: Json, name: str | None = None) -> Json:
    """`recipe` with a profile underneath: what the recipe itself says about rewards and limits stays.

    Args:
        name: of the profile; the active one, if there is one, when left out.

    Raises:
        ProfileError: there is no profile of that name.
    """
    active = select(RewardProfile).where(col(RewardProfile.active))
    profile = by_name(session, name) if name is not None else session.exec(active).first()
    if profile is None:
        return recipe
    part = _recipe_part(profile.weights, profile.rules, profile.limits, profile.forbidden)
    part["rewards"]["profile"] = f"{profile.name}@{profile.revision}"
    return _over(part, recipe)


def _recipe_part(
    weights: Mapping[str, float], rules: Mapping[str, Any], limits: Mapping[str, float], forbidden: Sequence[str]
) -> Json:
    aspects = {name: weight for name, weight in weights.items() if name in LEARNED[1:] and weight}
    ruled = {name: weight for name, weight in weights.items() if name not in LEARNED and weight}
    rewards: Json = {"preference": weights.get(PREFERENCE, 0.0), "aspects": aspects}
    if ruled:
        rewards |= {"rules": ruled, "own": {name: rule for name, rule in rules.items() if name in ruled}}
    gate: Json = {**limits, "forbidden": list(forbidden)} if forbidden else dict(limits)
    return {"rewards": rewards, "gate": gate}


def _over(below: Json, above: Json) -> Json:
    merged: Json = dict(below)
    for name, value in above.items():
        under: Any = merged.get(name)
        merged[name] = {**under, **value} if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def _check_known(what: str, given: Mapping[str, float], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise ProfileError(f"the {what} {name[:64]!r} is unknown; known are {', '.join(known)}")
