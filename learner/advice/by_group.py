"""Is the reward model equally good for everybody? Held-out opinions by the kind of question they are about.

Kinds are what can be seen without another model: the script it is written in, whether it is long, whether numbers
stand in it. Of each: how well likes are foretold, how far that is from all other kinds, and whether more likes are
foretold than there are, which would favour that kind in training.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from torch import Tensor

from backtalk.tables import Json
from backtalk.template import Template
from learner.advice.script import script_of
from learner.examples import Thumb
from learner.intervals import auc, bootstrap

FEWEST = 10
"""Of fewer thumbs nothing is told, nor of a kind that nearly all or nearly none belong to."""
RESAMPLES = 200


def measure(thumbs: Sequence[Thumb], logits: Tensor, template: Template, confidence: float, seed: int) -> list[Json]:
    """A line for each kind of question.

    Args:
        thumbs: of the people held out.
        logits: of being liked, [N], as the reward model foretells them.
    """
    rows = []
    for name, members in kinds([template.text(thumb.exchange.prompt) for thumb in thumbs]).items():
        own, others = list(members), sorted(set(range(len(thumbs))) - set(members))
        if min(_fewer(thumbs, own), _fewer(thumbs, others)) < 1 or min(len(own), len(others)) < FEWEST:
            continue
        rows.append({"group": name, "thumbs": len(own)} | _compared(thumbs, logits, own, confidence, seed))
    return rows


def kinds(questions: Sequence[str]) -> Mapping[str, list[int]]:
    """Which questions are of which kind, by their place; one may be of several."""
    found: dict[str, list[int]] = {}
    usual = median(len(question) for question in questions) if questions else 0
    for row, question in enumerate(questions):
        script = script_of(question)
        names = [
            script and f"{script}_questions",
            "long_questions" if len(question) > usual else "short_questions",
            "questions_with_numbers" if any(letter.isdigit() for letter in question) else None,
        ]
        for name in filter(None, names):
            found.setdefault(name, []).append(row)
    return dict(sorted(found.items()))


def _compared(thumbs: Sequence[Thumb], logits: Tensor, own: Sequence[int], confidence: float, seed: int) -> Json:
    members, people = set(own), [thumb.person for thumb in thumbs]
    chance: list[float] = logits.sigmoid().tolist()

    def told(of: Callable[[list[int]], float]) -> Json:
        return bootstrap(of, people, confidence, seed, RESAMPLES).to_json()

    def auc_of(rows: list[int]) -> float:
        return auc(logits[rows], [thumbs[row].liked for row in rows])

    def inside(rows: list[int]) -> list[int]:
        return [row for row in rows if row in members]

    def gap(rows: list[int]) -> float:
        return auc_of(inside(rows)) - auc_of([row for row in rows if row not in members])

    def excess(rows: list[int]) -> float:
        mine = inside(rows)
        return sum(chance[row] - thumbs[row].liked for row in mine) / max(len(mine), 1)

    return {"auc": told(lambda rows: auc_of(inside(rows))), "gap": told(gap), "excess": told(excess)}


def _fewer(thumbs: Sequence[Thumb], rows: Sequence[int]) -> int:
    """Likes or dislikes among these, whichever are fewer."""
    liked = sum(thumbs[row].liked for row in rows)
    return min(liked, len(rows) - liked)
