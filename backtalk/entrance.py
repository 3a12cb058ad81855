"""Who is let in: as `BACKTALK_SIGNUP` says where it is set, otherwise as operators have chosen, otherwise anybody."""

from typing import Literal, get_args

from sqlmodel import Session

from backtalk import audit
from backtalk.settings import PREFIX, Settings
from backtalk.tables import EntranceRules, now

EntranceMode = Literal["guest", "open", "invite", "closed"]
"""Anybody as a guest; whoever signs up; whoever has an invitation; nobody new."""
MODES: tuple[EntranceMode, ...] = get_args(EntranceMode)


class EntranceError(ValueError):
    """It cannot be chosen here; the message says what was found and what to do."""


def is_fixed(settings: Settings) -> bool:
    """Does the setting decide, so that nobody can choose on a page?"""
    return "signup" in settings.model_fields_set


def mode(session: Session, settings: Settings) -> EntranceMode:
    """Who is let in now."""
    rules = None if is_fixed(settings) else session.get(EntranceRules, 1)
    return settings.signup if rules is None else next(one for one in MODES if one == rules.signup)


def choose(session: Session, settings: Settings, actor: object, signup: EntranceMode) -> None:
    """Let others in from now on; whoever is in stays in.

    Raises:
        EntranceError: the setting decides.
    """
    if is_fixed(settings):
        raise EntranceError(
            f"{PREFIX}SIGNUP is set to {settings.signup!r} for this server and decides; unset it to choose here"
        )
    rules = session.get(EntranceRules, 1) or EntranceRules()
    before = mode(session, settings)
    rules.signup, rules.updated_at = signup, now()
    session.add(rules)
    audit.record(session, actor, "entrance.set", before=before, signup=signup)
