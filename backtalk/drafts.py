"""Replies that nobody keeps: what versions would say to the same questions, for operators to hold side by side.

They wait behind every chat.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from sqlmodel import Session, col, select

from backtalk.consent import may_train
from backtalk.engine.client import Engine
from backtalk.engine.sampling import Sampling
from backtalk.privacy import Redactor, Rule
from backtalk.tables import Message
from backtalk.template import Template, Turn

MOST = 20
"""Questions at once."""
NEWEST = 500
"""Real questions are drawn from so many of the newest."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """A version that the engine holds."""

    number: int
    template: Template


async def answers(
    engine: Engine, speaker: Speaker, questions: Sequence[str], sampling: Sampling, draws: int = 1
) -> list[list[str]]:
    """What a version answers: `draws` replies to each question, all drawn at once.

    Raises:
        TemplateError, TooLong: a question that cannot be asked.
        EngineLost, EngineRefused: the engine went away or refused.
    """
    prompts = [speaker.template.fit([Turn("user", text)], sampling.max_tokens) for text in questions]
    replies = await asyncio.gather(
        *(_draft(engine, speaker.number, prompt, sampling, draw) for prompt in prompts for draw in range(draws))
    )
    return [replies[at : at + draws] for at in range(0, len(replies), draws)]


async def _draft(engine: Engine, number: int, prompt: Sequence[int], sampling: Sampling, draw: int) -> str:
    own = replace(sampling, seed=(sampling.seed or 0) + draw)
    generation = engine.generate(prompt, number, own, priority="rollout", group="drafts")
    async with contextlib.aclosing(generation):
        return "".join([chunk.text async for chunk in generation])


def real_questions(session: Session, count: int, seed: int = 0, own: Sequence[Rule] = ()) -> list[str]:
    """Questions that people asked lately at the beginning of a conversation, without what is private in them.

    Only of people who let theirs train.

    Args:
        seed: another number, other questions.
        own: the operators' patterns of what is private.
    """
    first = select(Message).where(col(Message.role) == "user", col(Message.parent_id).is_(None), may_train(Message))
    newest = session.exec(first.order_by(col(Message.created_at).desc()).limit(NEWEST))
    texts = [Redactor(own)(message.content).strip() for message in newest]
    found = list(dict.fromkeys(text for text in texts if text))
    Random(seed).shuffle(found)
    return found[:count]
