"""What people open a chat with: questions from the generator, for simulated people."""

from dataclasses import dataclass
from random import Random

from backtalk.starter.dialogues import ask, pick


@dataclass(frozen=True, slots=True)
class Prompt:
    """An opening question, what a right reply to it contains (see `backtalk.starter.probes.is_right`), and one such
    reply.
    """

    text: str
    accepted: tuple[str, ...]
    domain: str
    language: str
    answer: str
    """A right answer as one sentence without its full stop: what somebody who rewrites a reply says in their own style.
    """


def sample_prompts(n: int, seed: int, *, language: str | None = None, held_out: bool = False) -> list[Prompt]:
    """`n` openings over all domains, in English and Chinese (3 to 2) or in one `language` ("en", "zh"); the same ones
    for the same seed.

    `held_out` asks in phrasings, and misses with things, that the first policy was not trained on.
    """
    rng = Random(seed)
    prompts: list[Prompt] = []
    for _ in range(n):
        spoken = language or ("zh" if rng.random() < 0.4 else "en")
        asked = ask(pick(rng), spoken, rng, held_out)
        prompts.append(
            Prompt(asked.question, asked.accepted, asked.name, asked.language, rng.choice(asked.content.says))
        )
    return prompts
