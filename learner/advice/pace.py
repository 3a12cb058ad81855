"""How long a person waits for a whole reply: a few questions to both versions, one reply at a time.

Both have the same architecture, so what differs is how many tokens they take to say it. The times are those of the
device that learns, under the load that it has just then: only where they are far apart do they say anything.
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
    asked = prompts[:ASKED]
    rooms = [max(1, min(maximum_tokens, template.context - len(prompt))) for prompt in asked]
    wishes = [Sampling(max_tokens=room, temperature=temperature, seed=row) for row, room in enumerate(rooms)]
    tokens, waited = dict[str, float](), dict[str, float]()
    for name, policy in (("live", live), ("candidate", candidate)):
        runner = _runner(policy, template)  # one at a time: a large model has no room for two
        said, took = list[int](), list[float]()
        for prompt, wish in zip(asked, wishes, strict=True):
            began = time.perf_counter()
            (completion,) = generate(runner, [prompt], [wish])
            took.append(time.perf_counter() - began)
            said.append(len(completion.tokens))
        tokens[name], waited[name] = median(said), round(median(took), 4)
    return {"tokens": tokens, "waited": waited}


def _runner(policy: PreTrainedModel, template: Template) -> Runner:
    state, device = parallel.whole_state(policy), torch.device(policy.device)
    return from_state_unchecked(policy.config, state, device=device, eos=frozenset(template.ends))
