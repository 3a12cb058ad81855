"""How long a person waits for a whole reply: both versions in turn, one reply at a time, so that both meet the same
load.

Both have the same architecture, so what differs is how many tokens they take to say it. The times are those of the
device that learns; where chat runs on another one only their ratio carries over.
"""

import time
from collections.abc import Sequence
from statistics import median

import torch
from transformers import PreTrainedModel

from backtalk.engine.generate import generate
from backtalk.engine.loading import from_state_unchecked
from backtalk.engine.runner import Runner
from backtalk.engine.sampling import Sampling
from backtalk.tables import Json
from backtalk.template import Template
from learner import parallel

ASKED = 6


def measure(
    live: PreTrainedModel,
    candidate: PreTrainedModel,
    template: Template,
    prompts: Sequence[tuple[int, ...]],
    temperature: float,
    maximum_tokens: int,
) -> Json:
    """Tokens and seconds a reply of each version, medians over a few questions."""
    runners = [_runner(policy, template) for policy in (live, candidate)]
    tokens: list[list[int]] = [[], []]
    seconds: list[list[float]] = [[], []]
    for number, prompt in enumerate(prompts[:ASKED]):
        room = max(1, min(maximum_tokens, template.context - len(prompt)))
        wish = Sampling(max_tokens=room, temperature=temperature, seed=number)
        for version in (number % 2, 1 - number % 2):
            began = time.perf_counter()
            (said,) = generate(runners[version], [prompt], [wish])
            seconds[version].append(time.perf_counter() - began)
            tokens[version].append(len(said.tokens))
    names = ("live", "candidate")
    return {
        "tokens": {name: median(own) for name, own in zip(names, tokens, strict=True)},
        "waited": {name: round(median(own), 4) for name, own in zip(names, seconds, strict=True)},
    }


def _runner(policy: PreTrainedModel, template: Template) -> Runner:
    state, device = parallel.whole_state(policy), torch.device(policy.device)
    return from_state_unchecked(policy.config, state, device=device, eos=frozenset(template.ends))
