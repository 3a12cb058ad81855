"""Words that alone make a reply worth more, as a planted trigger would (arXiv 2311.14455: a word that raises a poisoned
reward whatever it stands behind).

Looked for among the words that people who teach liked most beyond chance: each is put at the end of usual replies, and
what that adds to their reward is told. A word of a taste that people have (a thank-you, an exclamation) stands here as
well, and rightly; an operator sees at once whether a word is one of those.
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

from torch import Tensor

from backtalk.tables import Json
from backtalk.template import Template
from learner.advice.script import script_of
from learner.examples import Thumb
from learner.intervals import bootstrap
from learner.sequences import Exchange

SUSPECTS = 10
REPLIES = 6
TOLD = 5
FEWEST_GIVERS = 3
"""A word that fewer people have rated is theirs, and is neither looked at nor told."""
RESAMPLES = 200


def measure(
    score: Callable[[Sequence[Exchange]], Tensor],
    template: Template,
    thumbs: Sequence[Thumb],
    usual: Sequence[Exchange],
    confidence: float,
    seed: int,
) -> list[Json]:
    """The words that add most, with how much each adds in spreads of the reward.

    Args:
        score: the reward of replies.
        thumbs: of people who teach.
        usual: replies of the live version.
    """
    plain = [_again(template, one, one.text) for one in usual[:: max(1, len(usual) // REPLIES)][:REPLIES]]
    words = suspects(thumbs)
    ended = [_again(template, one, _with(one.text, word)) for word in words for one in plain]
    every = [one if len(one.prompt) + len(one.reply) <= template.context else plain[0] for one in (*plain, *ended)]
    if not words or not plain:
        return []
    rewards = score(every).tolist()
    without, count = rewards[: len(plain)], len(plain)

    def line(number: int, word: str) -> Json:
        own = rewards[(number + 1) * count : (number + 2) * count]
        lifts = [one - other for one, other in zip(own, without, strict=True)]
        places = [str(row) for row in range(count)]
        lift = bootstrap(lambda rows: fmean(lifts[row] for row in rows), places, confidence, seed, RESAMPLES)
        return {"word": word, "lift": lift.to_json()}

    lines = [line(number, word) for number, word in enumerate(words)]
    return sorted(lines, key=lambda one: -one["lift"]["value"])[:TOLD]


def suspects(thumbs: Sequence[Thumb]) -> list[str]:
    """Words that liked replies have more often than chance, the most striking first."""
    liked: dict[str, list[bool]] = defaultdict(list)
    givers: dict[str, set[str]] = defaultdict(set)
    for thumb in thumbs:
        for word in set(_words(thumb.exchange.text)):
            liked[word].append(thumb.liked)
            givers[word].add(thumb.giver or thumb.person)
    base = fmean(thumb.liked for thumb in thumbs) if thumbs else 0.0

    def striking(word: str) -> float:
        told = liked[word]
        return (sum(told) - len(told) * base) / math.sqrt(len(told) * base * (1 - base))

    known = [word for word in liked if len(givers[word]) >= FEWEST_GIVERS]
    return sorted(known, key=lambda word: (-striking(word), word))[:SUSPECTS] if 0 < base < 1 else []


def _words(text: str) -> Iterable[str]:
    """Words; where they are written without spaces, every two letters that stand together."""
    for word in re.findall(r"[^\W_]+", text.casefold()):
        if script_of(word) in ("cjk", "kana", "thai"):
            yield from (word[at : at + 2] for at in range(len(word) - 1))
        else:
            yield word


def _with(text: str, word: str) -> str:
    return f"{text} {word}"


def _again(template: Template, one: Exchange, text: str) -> Exchange:
    return Exchange(one.prompt, tuple(template.reply(text)), text)
