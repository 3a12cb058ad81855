"""`backtalk policy compare`: two versions side by side, asked of the running engine."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from backtalk.cli.opened import opened
from backtalk.cli.output import CommandError

if TYPE_CHECKING:
    from backtalk.engine.sampling import Sampling
    from backtalk.settings import Settings

CONNECT_SECONDS = 10.0
MOST_TOKENS = 256
QUESTIONS = 5


def compared(
    left: int, right: int, prompts: Sequence[str] | None, temperature: float, seed: int
) -> list[dict[str, str]]:
    """Questions with what both versions answer; none when nobody has asked anything yet.

    Raises:
        CommandError: there is no such version, or no running engine.
    """
    from backtalk import drafts, privacy, weights
    from backtalk.engine.sampling import Sampling
    from backtalk.tables import Policy

    with opened() as (settings, database):
        directories = {}
        with database.read() as session:
            for number in (left, right):
                policy = session.get(Policy, number)
                if policy is None:
                    raise CommandError(f"there is no policy {number}; `backtalk policy list` shows those there are")
                directories[number] = settings.weights_dir.resolve() / policy.directory
            asked = list(prompts or drafts.real_questions(session, QUESTIONS, seed, privacy.load(settings.data_dir)))
        for directory in directories.values():
            weights.verify(directory, weights.public_key(settings.keys_dir))
        if not asked:
            return []
        sampling = Sampling(max_tokens=MOST_TOKENS, temperature=temperature, seed=seed)
        sides = asyncio.run(ask(settings, directories, asked, sampling))
    return [
        {"prompt": prompt, "left": sides[left][at][0], "right": sides[right][at][0]} for at, prompt in enumerate(asked)
    ]


async def ask(
    settings: "Settings", directories: dict[int, Path], asked: Sequence[str], sampling: "Sampling", draws: int = 1
) -> dict[int, list[list[str]]]:
    """What each version answers to each question, `draws` times; versions that were not loaded are not afterwards."""
    from backtalk import drafts
    from backtalk.engine.opening import open_engine
    from backtalk.template import Template

    engine = open_engine(settings)
    ours: list[int] = []
    found: dict[int, list[list[str]]] = {}
    try:
        try:
            await asyncio.wait_for(engine.connect(), CONNECT_SECONDS)
        except TimeoutError as error:
            raise CommandError("no engine answers; start Backtalk with `backtalk up` and try again") from error
        for number, directory in directories.items():
            if number not in engine.versions:
                await engine.load(number, directory)
                ours.append(number)
            speaker = drafts.Speaker(number, Template(directory))
            found[number] = await drafts.answers(engine, speaker, asked, sampling, draws)
        for number in ours:
            await engine.unload(number)
    finally:
        await engine.close()
    return found
