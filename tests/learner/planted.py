"""Opinions of people whose taste is known: what a reward model has to find out."""

from collections.abc import Callable
from random import Random

from backtalk.template import Template, Turn
from learner.examples import Examples, Thumb
from learner.sequences import Exchange

WORDS = ("ab", "cab", "dad", "egg", "fig", "go", "hat", "ink", "jam", "kit", "log", "mud", "no", "oak", "pea")


def exchange(template: Template, question: str, answer: str) -> Exchange:
    """What the template makes of a question and an answer."""
    return Exchange(tuple(template.render([Turn("user", question)])), tuple(template.reply(answer)), answer)


def sentence(rng: Random) -> str:
    """A few words; half of all sentences end with an exclamation mark."""
    words = " ".join(rng.choice(WORDS) for _ in range(rng.randint(2, 5)))
    return words + rng.choice((".", "!"))


def exclaims(text: str) -> bool:
    """The planted taste."""
    return text.endswith("!")


def thumbs(
    template: Template,
    people: int = 8,
    each: int = 12,
    *,
    likes: Callable[[str], bool] = exclaims,
    flip: float = 0.0,
    seed: int = 0,
) -> Examples:
    """Thumbs of several people on random replies, some pointing the wrong way."""
    rng = Random(seed)
    said = Examples()
    for person in range(people):
        for _ in range(each):
            text = sentence(rng)
            liked = likes(text) != (rng.random() < flip)
            said.thumbs.append(Thumb(f"p{person}", exchange(template, rng.choice(WORDS), text), liked))
    return said
