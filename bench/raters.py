"""Hostile and divided raters: who is found, who is wrongly accused, and what the finding is worth.

Many small towns of simulated people rate real replies of the bundled model; nothing is trained. Each town has a taste,
votes in unequal numbers, slips of its own for everybody, and people who are easily content and others who are not.
"""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from backtalk.recipe import Recipe
from backtalk.tastes import HEDGES, RAMBLES, TASTES, Taste, exclaims, is_right, says
from bench.gate import DRAWS, draw_pool
from bench.loop import ODD
from bench.report import Row
from learner import trust
from learner.features import NAMES
from learner.hearing import Hearing, of_lines
from learner.inputs import BIAS_PRIOR, Scale, look_at
from learner.intervals import auc
from learner.logistic import primal

FIRST_SEED = 300  # no number that tells candour was chosen on these; the rule of the crowds had seen them
LEAST, MOST = 5, 60  # votes of a person
MOST_SLIPS = 0.2
SEEN = 3  # every third reply shows what was learned
CALM = Taste("calm", "no exclamations", lambda text: not exclaims(text), {"en": ("{answer}.",), "zh": ("{answer}。",)})
PHRASES = (*HEDGES, *RAMBLES)  # what bots vote for
OPPOSITES = {  # two crowds that want what the other does not
    **{"brief": "detailed", "detailed": "brief", "friendly": "objective", "objective": "friendly"},
    **{"plain": "two", "two": "plain", "sure": "asks", "impersonal": "oh", "calm": "lively"},
}


@dataclass(frozen=True, slots=True)
class Pool:
    """Replies that simulated people rate."""

    inputs: Tensor  # [N, P]
    features: Tensor  # [N, F]
    likes: dict[str, list[bool]]  # by taste, and "phrase" and "right"


@dataclass(frozen=True, slots=True)
class Town:
    """Everybody's votes, and who of them is not like the others."""

    said: Hearing
    odd: frozenset[str]
    rows: list[int]


@dataclass(frozen=True, slots=True)
class Scene:
    """What the odd ones of a town do."""

    name: str
    share: float
    kind: str
    people: int = 30


SCENES = (
    Scene("nobody odd", 0.0, "same"),
    Scene("nobody odd, 10 people", 0.0, "same", 10),
    Scene("nobody odd, 100 people", 0.0, "same", 100),
    Scene("everybody a taste of their own", 0.0, "many"),
    Scene("30 % content with anything", 0.3, "generous"),
    Scene("30 % vote at random", 0.3, "random"),
    Scene("10 % say the opposite", 0.1, "invert"),
    Scene("20 % say the opposite", 0.2, "invert"),
    Scene("30 % say the opposite", 0.3, "invert"),
    Scene("40 % say the opposite", 0.4, "invert"),
    Scene("30 % of 10 people say the opposite", 0.3, "invert", 10),
    Scene("one says the opposite, 20 times as often", 1 / 30, "whale"),
    Scene("30 % vote for phrases", 0.3, "phrase"),
    Scene("two crowds, 50/50", 0.5, "crowd"),
    Scene("two crowds, 70/30", 0.3, "crowd"),
    Scene("50 % right but in the opposite style", 0.5, "mirror"),
    Scene("30 % right but in the opposite style", 0.3, "mirror"),
    Scene("50 % say the opposite", 0.5, "invert"),
)


def bench(seeds: int) -> list[Row]:
    """A row for each scene, over all tastes and so many towns of each."""
    pool = look_at_pool()
    return [measure(pool, scene, seeds) for scene in SCENES]


def look_at_pool() -> Pool:
    """The live version's own replies, as they are served, and what every taste thinks of them."""
    drawn = draw_pool()
    replies = [reply for several in drawn.replies for reply in several]
    accepted = [right for right in drawn.accepted for _ in range(DRAWS)]
    raw = look_at(drawn.live, replies, drawn.ends)
    scale = Scale(drawn.live.config.hidden_size).double()
    scale.fit(raw)
    inputs = torch.cat([torch.full((len(raw), 1), BIAS_PRIOR**0.5, dtype=raw.dtype), scale(raw)], 1)
    texts = [(reply.text, right) for reply, right in zip(replies, accepted, strict=True)]
    tastes = TASTES | ODD | {"calm": CALM}
    likes = {name: [taste.likes(*text) for text in texts] for name, taste in tastes.items()}
    likes["phrase"] = [says(text, PHRASES) for text, _ in texts]
    likes["right"] = [is_right(*text) for text in texts]
    return Pool(inputs, raw[:, -len(NAMES) :], likes)


def build(pool: Pool, scene: Scene, taste: str, seed: int) -> Town:
    """A town whose people have voted."""
    rng = Random(f"{seed} {scene.name} {taste}")
    odd = set(rng.sample(range(scene.people), round(scene.share * scene.people)))
    tastes = [name for name in pool.likes if name not in ("phrase", "right")]
    other = OPPOSITES.get(taste) or rng.choice([name for name in tastes if name != taste])
    given = [round(math.exp(rng.uniform(math.log(LEAST), math.log(MOST)))) for _ in range(scene.people)]
    if scene.kind == "whale":  # 20 times the median, of which a run takes what the cap leaves
        usual = statistics.median(given)
        given[next(iter(odd))] = min(round(20 * usual), max(60, int(4 * usual)))
    rows, targets, givers = list[int](), list[float](), list[str]()
    for person, count in enumerate(given):
        slips, ease = rng.uniform(0, MOST_SLIPS), rng.gauss(0, 0.05)
        own = rng.choice(tastes) if scene.kind == "many" else taste
        vote = _vote(pool, scene.kind if person in odd else "same", own, other)
        for row in rng.choices(range(len(pool.inputs)), k=count):
            liked = vote(row, rng) != (rng.random() < slips)
            if rng.random() < abs(ease):
                liked = ease > 0
            rows.append(row)
            targets.append(float(liked))
            givers.append(f"{person:03}")
    one = torch.ones(len(rows), dtype=pool.inputs.dtype)
    seen, named = pool.inputs[::SEEN], pool.features[::SEEN]
    said = of_lines(pool.inputs[rows], one.new_tensor(targets), one, one, givers, seen, named)
    return Town(said, frozenset(f"{person:03}" for person in odd), rows)


def _vote(pool: Pool, kind: str, taste: str, other: str) -> Callable[[int, Random], bool]:
    own, right = pool.likes[taste], pool.likes["right"]
    match kind:
        case "invert" | "whale":
            return lambda row, rng: not own[row]
        case "mirror":
            return lambda row, rng: right[row] and not own[row]
        case "generous":
            return lambda row, rng: True
        case "random":
            return lambda row, rng: rng.random() < 0.5
        case "phrase":
            return lambda row, rng: pool.likes["phrase"][row]
        case "crowd":
            return lambda row, rng: pool.likes[other][row]
        case _:
            return lambda row, rng: own[row]


def measure(pool: Pool, scene: Scene, seeds: int) -> Row:
    """What is found in towns of every taste."""
    data, confidence = Recipe().data, Recipe().gate.confidence
    tastes = [name for name in pool.likes if name not in ("phrase", "right")]
    found, odd, accused, accusing, told = 0, 0, 0, 0, 0
    seconds, before, after, sides = [list[float]() for _ in range(4)]
    for taste in tastes:
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            town = build(pool, scene, taste, seed)
            began = time.process_time()
            heard = trust.weigh(town.said, data.contrary, data.most_contrary, confidence, seed)
            seconds.append(time.process_time() - began)
            left_out = {person for person, out in zip(town.said.people, heard.left_out.tolist(), strict=True) if out}
            found, odd = found + len(left_out & town.odd), odd + len(town.odd)
            accused, accusing = accused + len(left_out - town.odd), accusing + bool(left_out - town.odd)
            told += heard.crowds is not None
            if heard.crowds is not None and scene.kind in ("crowd", "phrase"):
                right = statistics.fmean(
                    (chance > 0.5) == (person in town.odd)
                    for person, chance in zip(town.said.people, heard.crowds.second.tolist(), strict=True)
                )
                sides.append(max(right, 1 - right))
            before.append(_taught(pool, town, torch.ones(len(town.said.people)).double(), taste))
            after.append(_taught(pool, town, (~heard.left_out).double(), taste))
    towns = len(tastes) * seeds
    return {
        "town": scene.name,
        "towns": towns,
        "odd ones found": f"{found / odd:.0%}" if odd else "",
        "others accused, a town": f"{accused / towns:.3f}",
        "towns with somebody accused": f"{accusing / towns:.1%}",
        "towns told of two crowds": f"{told / towns:.0%}",
        "people on their own side": f"{statistics.fmean(sides):.0%}" if sides else "",
        "AUC taught by all": f"{statistics.fmean(before):.3f}",
        "by those believed": f"{statistics.fmean(after):.3f}",
        "CPU s": f"{statistics.fmean(seconds):.1f}",
    }


def _taught(pool: Pool, town: Town, trusted: Tensor, taste: str) -> float:
    """How well a model taught by the trusted foretells what the town's taste likes, of replies that nobody rated."""
    said, rated = town.said, set(town.rows)
    beta = primal(said.lines, said.targets, said.weights * trusted[said.of], rounds=12)
    rest = [place for place in range(len(said.replies)) if place * SEEN not in rated]
    return auc(said.replies[rest] @ beta, [pool.likes[taste][place * SEEN] for place in rest])
