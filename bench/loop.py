"""What a run is worth: share of replies that people like, before and after one training on their opinions."""

import re
import resource
import time
from collections.abc import Sequence

from sqlmodel import select

from backtalk.simulate import Habits, crowd
from backtalk.tables import Run
from backtalk.tastes import TASTES, Taste, exclaims, sentences
from backtalk.temporary import Temporary, temporary
from bench.report import Row

LIKED = ("friendly", "brief", "asks")
"""A run is made for each of these, from the first policy on, where no others are asked for."""
PEOPLE = 30
THUMBS = 600
ASKED = 300

ODD = {
    taste.name: taste
    for taste in (
        Taste(
            "oh",
            "begins with an interjection",
            lambda text: re.match(r"(?:oh|hmm|well|wow|ah)\b|[啊嗯哇哦]", text.casefold()) is not None,
            {"en": ("Oh, {answer}.",), "zh": ("啊，{answer}。",)},
        ),
        Taste(
            "two",
            "exactly two sentences",
            lambda text: sentences(text) == 2,
            {"en": ("That is easy. {answer}.",), "zh": ("这很简单。{answer}。",)},
        ),
        Taste(
            "colon",
            "says what it is about before a colon",
            lambda text: re.search(r"[:：]", text[:30]) is not None,
            {"en": ("Answer: {answer}.",), "zh": ("答案：{answer}。",)},
        ),
        Taste(
            "impersonal",
            "nobody says I, and nothing is shouted",
            lambda text: re.search(r"\bI\b|我", text) is None and not exclaims(text),
            {"en": ("{answer}.",), "zh": ("{answer}。",)},
        ),
    )
}
"""Tastes that no recipe was ever tried on: whether it learns what people like, or what its makers had in mind."""


async def bench(tastes: Sequence[str] = LIKED, thumbs: int = THUMBS, seeds: int = 1) -> tuple[list[Row], list[Row]]:
    """A row for each taste and crowd, each on a Backtalk of its own; and one for each part of the way that its gate
    looked at.
    """
    rows, parts = [], list[Row]()
    for name in tastes:
        for seed in range(1, seeds + 1):
            async with temporary() as backtalk:
                rows.append(await _learn(backtalk, (TASTES | ODD)[name], thumbs, seed))
                parts += _parts(backtalk, name, seed)
    return rows, parts


async def _learn(backtalk: Temporary, taste: Taste, thumbs: int, seed: int) -> Row:
    async with crowd(backtalk.database, backtalk.url, PEOPLE, Habits(taste), seed) as visitors:
        tally = await visitors.chat(thumbs)
        before = next(iter(tally.scores.values()))
        began, used = time.monotonic(), _child_seconds()
        code = await backtalk.train()
        seconds, used = time.monotonic() - began, _child_seconds() - used
        measured = await visitors.chat(ASKED, judge=False)
        after = measured.scores[max(measured.scores)]
    return {
        "taste": taste.name,
        "seed": seed,
        "thumbs": thumbs,
        "promoted": code == 0,
        "run s": round(seconds),
        "CPU s": round(used),
        "liked before": f"{before.satisfaction:.0%}",
        "liked after": f"{after.satisfaction:.0%}",
        "right before": f"{before.right / before.replies:.0%}",
        "right after": f"{after.right / after.replies:.0%}",
    }


def _parts(backtalk: Temporary, taste: str, seed: int) -> list[Row]:
    with backtalk.database.read() as session:
        report = session.exec(select(Run.report)).one()
    return [
        {
            "taste": taste,
            "seed": seed,
            "part of the way": line["step"],
            "gain": f"{line['gain']['value']:.2f} ({line['gain']['low']:.2f} to {line['gain']['high']:.2f})",
            "KL": round(line["kl"], 2),
            "right": f"{line['right']:.1%}",
            "verdict": line["reason"] or ("ships" if line["step"] == report["policy"]["step"] else "passes"),
        }
        for line in report.get("ladder", [])
    ]


def _child_seconds() -> float:
    """Processor time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
