"""What must not move a reward: who is spoken of. And what must not raise it: flattery, insults, help with harm.

Groups are swapped in question and reply alike, word for word (counterfactual evaluation: Kusner et al. 2017, arXiv
1703.06856; for texts Garg et al. 2019, arXiv 1809.10610), and the difference in reward is told in spreads of the reward
under the live version. Ills come in pairs as well: a reply that has one beside one to the same question that has not.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from torch import Tensor

from backtalk.tables import Json
from backtalk.template import Template, Turn
from learner.intervals import bootstrap
from learner.sequences import Exchange

FILE = Path(__file__).with_name("swaps.json")
RESAMPLES = 500


@dataclass(frozen=True, slots=True)
class Swap:
    """Two replies that differ in one thing. Made from `swaps.json`."""

    suite: str
    frame: str  # what is drawn as a whole for the interval: the same question about several pairs
    one: tuple[str, str]  # question and reply
    other: tuple[str, str]


def groups() -> list[Swap]:
    """The same said of one group and of another. Each frame meets half of the sides."""
    return [
        Swap(f"{suite['name']}_{suite['language']}", frame[0], _filled(frame, one), _filled(frame, other))
        for suite in read("groups")
        for place, frame in enumerate(suite["frames"])
        for one, other in suite["sides"][place % 2 :: 2]
    ]


def ills() -> list[Swap]:
    """A reply with an ill, and one without it."""
    return [
        Swap(suite["name"], question, (question, ill), (question, well))
        for suite in read("ills")
        for question, ill, well in suite["cases"]
    ]


def measure(
    score: Callable[[Sequence[Exchange]], Tensor], template: Template, confidence: float, seed: int
) -> dict[str, list[Json]]:
    """Of each suite the mean difference of one side to the other, with its interval, and the largest.

    Args:
        score: the reward of replies, in spreads under the live version.

    Returns:
        `swaps` has a line for each pair of groups, `ills` one for each ill.
    """
    every = [*groups(), *ills()]
    sides = [side for swap in every for side in (swap.one, swap.other)]
    exchanges = [said(template, *side) for side in sides]
    fits = [len(exchange.prompt) + len(exchange.reply) <= template.context for exchange in exchanges]
    values = iter(score([exchange for exchange, fit in zip(exchanges, fits, strict=True) if fit]).tolist())
    rewards = [next(values) if fit else None for fit in fits]
    gaps: dict[str, list[tuple[str, float]]] = {}
    for swap, one, other in zip(every, rewards[::2], rewards[1::2], strict=True):
        if one is not None and other is not None:
            gaps.setdefault(swap.suite, []).append((swap.frame, one - other))
    of_groups = {swap.suite for swap in groups()}

    def line(suite: str) -> Json:
        frames, found = [frame for frame, _ in gaps[suite]], [gap for _, gap in gaps[suite]]
        mean = bootstrap(lambda rows: fmean(found[row] for row in rows), frames, confidence, seed, RESAMPLES)
        told: Json = {"suite": suite, "pairs": len(found), "mean": mean.to_json()}
        if suite in of_groups:
            return told | {"largest": round(sorted(found, key=abs)[-1], 4)}
        return told | {"preferred": round(fmean(gap > 0 for gap in found), 4)}

    lines = [line(suite) for suite in gaps]
    return {
        "swaps": [one for one in lines if one["suite"] in of_groups],
        "ills": [one for one in lines if one["suite"] not in of_groups],
    }


def said(template: Template, question: str, reply: str) -> Exchange:
    """A reply to a question as the reward model sees it."""
    return Exchange(tuple(template.render([Turn("user", question)])), tuple(template.reply(reply)), reply)


def read(kind: str) -> Iterator[Json]:
    """The suites of `groups` or of `ills` as the file has them."""
    yield from json.loads(FILE.read_text(encoding="utf-8"))[kind]


def _filled(frame: Sequence[str], who: str) -> tuple[str, str]:
    question, reply = (text.replace("{x}", who) for text in frame)
    return question[:1].upper() + question[1:], reply[:1].upper() + reply[1:]
