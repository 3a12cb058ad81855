"""What people are asked for beyond the thumb, as operators have set it: reasons, aspects, and how often to compare."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from sqlmodel import Session

from backtalk import audit
from backtalk.tables import Json, OpinionRules, now

NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
LABEL_LENGTH = 40
MOST_ASPECTS = 8
MOST_REASONS = 24
RESERVED = frozenset({"preference"})
"""Names that mean something else where rewards are weighed."""


class AskingError(ValueError):
    """What nobody can be asked for; the message says what was found, what was expected and what to do."""


@dataclass(frozen=True, slots=True)
class Aspect:
    """Something a reply is scored on, from 1 to 5."""

    name: str
    label_en: str
    label_zh: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a thumb went up or down: what the page offers after the first click."""

    id: str
    label_en: str
    label_zh: str
    direction: Literal["up", "down", "both"]


@dataclass(frozen=True, slots=True)
class Asking:
    """All that people are asked for."""

    compare_share: float
    """Of the replies, under which a comparison with a second answer is offered."""
    aspects: tuple[Aspect, ...]
    reasons: tuple[Reason, ...]


ASPECTS = (
    Aspect("quality", "Quality", "质量"),
    Aspect("fluency", "Fluency", "流畅"),
    Aspect("accuracy", "Accuracy", "准确"),
)
"""Where no operator has set others."""

REASONS = (
    Reason("correct", "Correct", "内容正确", "up"),
    Reason("clear", "Clear", "表达清楚", "up"),
    Reason("helpful", "Helpful", "很有帮助", "up"),
    Reason("good_tone", "Good tone", "语气恰当", "up"),
    Reason("wrong", "Wrong", "内容有误", "down"),
    Reason("unclear", "Unclear", "表达不清", "down"),
    Reason("not_answered", "Did not answer", "答非所问", "down"),
    Reason("too_long", "Too long", "太长", "down"),
    Reason("too_short", "Too short", "太短", "down"),
    Reason("bad_tone", "Wrong tone", "语气不当", "down"),
    Reason("harmful", "Harmful", "有害内容", "down"),
)
"""Where no operator has set others."""


def asked(session: Session) -> Asking:
    """What people are asked for now."""
    rules = session.get(OpinionRules, 1) or OpinionRules()
    return Asking(
        compare_share=rules.compare_share,
        aspects=ASPECTS if rules.aspects is None else tuple(Aspect(**one) for one in rules.aspects),
        reasons=REASONS if rules.reasons is None else tuple(Reason(**one) for one in rules.reasons),
    )


def ask_for(
    session: Session,
    actor: object,
    compare_share: float | None = None,
    aspects: Iterable[Aspect] | None = None,
    reasons: Iterable[Reason] | None = None,
) -> Asking:
    """Change what people are asked for; what is None stays. Opinions that name what is no longer asked for keep it.

    Raises:
        AskingError: naming the aspect or reason that cannot be asked for.
    """
    rules = session.get(OpinionRules, 1) or OpinionRules()
    if compare_share is not None:
        rules.compare_share = compare_share
    if aspects is not None:
        chosen = list(aspects)
        _check("aspect", {one.name: one for one in chosen}, len(chosen), MOST_ASPECTS)
        rules.aspects = [asdict(one) for one in chosen]
    if reasons is not None:
        offered = list(reasons)
        _check("reason", {one.id: one for one in offered}, len(offered), MOST_REASONS)
        rules.reasons = [asdict(one) for one in offered]
    rules.updated_at = now()
    session.add(rules)
    session.flush()
    found = asked(session)
    audit.record(session, actor, "asking.set", **_told(found))
    return found


def unknown(what: str, given: Iterable[str], offered: Iterable[str], had: Collection[str]) -> str | None:
    """What is wrong with these names, if one is neither offered nor was in the opinion before."""
    known = list(offered)
    for name in given:
        if name not in known and name not in had:
            return f"the {what} {name[:64]!r} is unknown; known are {', '.join(known) or 'none'}"
    return None


def _check(what: str, named: Mapping[str, Aspect | Reason], count: int, most: int) -> None:
    if count > most:
        raise AskingError(f"{count} {what}s; at most {most} are asked for, since nobody reads more")
    if count > len(named):
        raise AskingError(f"two {what}s have the same name; give each its own")
    for name, one in named.items():
        if not NAME.fullmatch(name) or name in RESERVED:
            raise AskingError(
                f"the {what} {name[:64]!r} cannot be used as a name; take a small letter and up to 31 small letters, "
                f"digits and underscores, and none of {', '.join(sorted(RESERVED))}"
            )
        for language, label in (("English", one.label_en), ("Chinese", one.label_zh)):
            if not 0 < len(label.strip()) <= LABEL_LENGTH or not label.isprintable():
                raise AskingError(
                    f"the {language} label of {what} {name!r} is {label[:64]!r}; give 1 to {LABEL_LENGTH} characters"
                )


def _told(asking: Asking) -> Json:
    return {
        "compare_share": asking.compare_share,
        "aspects": [one.name for one in asking.aspects],
        "reasons": [one.id for one in asking.reasons],
    }
