"""From a conversation and a wish to what the engine is given: the prompt's tokens, and how to draw the reply."""

from collections.abc import Sequence
from dataclasses import replace

from backtalk.engine.errors import InvalidSampling
from backtalk.engine.sampling import Sampling
from backtalk.template import TemplateError, Turn
from backtalk.template import TooLong as PromptTooLong
from server.errors import BadRequest, TooLong
from server.events import SamplingWish
from server.swapper import Version

DEFAULT = Sampling(max_tokens=512, temperature=0.6)
"""The operator's default: what a wish leaves out."""
ROOM_SHARE = 4
"""At least one part in so many of the model's context is kept free for the reply; old turns make way."""


def settle(wish: SamplingWish | None) -> Sampling:
    """How the reply will be drawn: the wish, and what it leaves out.

    Raises:
        BadRequest: naming the field, what was found and what is allowed.
    """
    try:
        return (wish.over(DEFAULT) if wish is not None else DEFAULT).seeded()
    except InvalidSampling as error:
        raise BadRequest(f"sampling: {error}") from error


def render(version: Version, turns: Sequence[Turn], sampling: Sampling) -> tuple[list[int], Sampling]:
    """The prompt, and the sampling with as many tokens as there is room for. Computes: call it in a thread."""
    template = version.template
    try:
        prompt = template.fit(turns, min(sampling.max_tokens, max(1, template.context // ROOM_SHARE)))
    except PromptTooLong as error:
        raise TooLong(str(error)) from error
    except TemplateError as error:
        raise BadRequest(str(error)) from error
    return prompt, replace(sampling, max_tokens=min(sampling.max_tokens, template.context - len(prompt)))
