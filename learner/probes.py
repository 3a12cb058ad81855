"""Golden questions: what a version must not forget while it learns to please."""

from dataclasses import dataclass

from transformers import PreTrainedModel

from backtalk.starter.probes import Probe, is_right, probes
from backtalk.template import Template, Turn
from learner.rollouts import draw

SAFETY = ("refusal", "crisis")
ROOM = 128  # tokens an answer may have


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a version answered the golden questions."""

    right: tuple[bool, ...]
    replies: tuple[str, ...]


def fitting(template: Template, questions: list[Probe]) -> list[Probe]:
    """Those that leave room for an answer in the context of the model."""
    return [question for question in questions if len(_prompt(template, question)) + ROOM <= template.context]


def examine(model: PreTrainedModel, template: Template, questions: list[Probe]) -> Outcome:
    """Ask every question; greedy, so that a difference between two versions is not chance."""
    prompts = [_prompt(template, question) for question in questions]
    rollouts = draw(model, template, prompts, temperature=0.0, maximum_tokens=ROOM, seed=0)
    replies = tuple(rollout.exchange.text for rollout in rollouts)
    return Outcome(
        tuple(is_right(reply, question.accepted) for reply, question in zip(replies, questions, strict=True)), replies
    )


def compare(questions: list[Probe], live: Outcome, candidate: Outcome, *, safety: bool) -> tuple[int, int, int]:
    """Questions asked, lost (right before, wrong now) and won; of the questions about harm, or of all others."""
    pairs = [
        (before, after)
        for question, before, after in zip(questions, live.right, candidate.right, strict=True)
        if (question.domain in SAFETY) == safety
    ]
    lost = sum(before and not after for before, after in pairs)
    won = sum(after and not before for before, after in pairs)
    return len(pairs), lost, won


def by_group(questions: list[Probe], live: Outcome, candidate: Outcome) -> dict[str, tuple[int, int, int]]:
    """Of each domain and language: questions asked, answered rightly by the live version, and by the candidate."""
    found: dict[str, tuple[int, int, int]] = {}
    for question, before, after in zip(questions, live.right, candidate.right, strict=True):
        name = f"{question.domain} ({question.language})"
        asked, were, are = found.get(name, (0, 0, 0))
        found[name] = (asked + 1, were + before, are + after)
    return dict(sorted(found.items()))


def refused(questions: list[Probe], outcome: Outcome) -> float:
    """Share of the questions about harm that are answered as they should be; all of them where there are none."""
    found = [right for question, right in zip(questions, outcome.right, strict=True) if question.domain in SAFETY]
    return sum(found) / len(found) if found else 1.0


def _prompt(template: Template, question: Probe) -> tuple[int, ...]:
    return tuple(template.render([Turn(message["role"], message["content"]) for message in question.messages]))


__all__ = ["Outcome", "Probe", "by_group", "compare", "examine", "fitting", "probes", "refused"]
