"""Does a loaded version say what its maker wrote down? Asked before anybody gets a reply from it.

A file can be whole and signed and the engine can still serve something else: weights laid out anew in part, a cache of
the version before, a kernel that is wrong on this machine. (vLLM 0.32 on a CPU answers `reload_weights` with 200 and
then serves a mixture.) So whoever makes a version writes `canary.json` beside the weights: log-probs of a few tokens
after a few fixed prompts, by `transformers` in float32. The engine recomputes them on the path on which it will serve.
"""

import json
import random
from pathlib import Path
from typing import Any

import torch

from backtalk.engine.errors import LoadFailed
from backtalk.engine.generate import generate
from backtalk.engine.runner import Runner
from backtalk.engine.sampling import Sampling

FILE = "canary.json"
LENGTHS = (3, 17, 40)
"""Tokens of the prompts: with the token that is asked for, less than a page of the cache, two pages, and three."""
LIKELIEST = 4
"""Tokens that are asked for after each prompt."""
TOLERANCE = {torch.float32: 0.02, torch.bfloat16: 0.75}
"""The largest difference of a log-prob. Another order of sums makes 1e-4 in float32; bfloat16 itself rounds logits of
about 20 by up to 0.06, and so does each layer before. Wrong weights are off by several."""


def write(directory: Path, model: Any) -> None:
    """Write down what this `transformers` model says; it must be in float32 and hold the weights that are served."""
    vocabulary, said = model.config.get_text_config().vocab_size, []
    chance = random.Random(vocabulary)
    for length in LENGTHS:
        prompt = [chance.randrange(vocabulary) for _ in range(length)]
        with torch.inference_mode():
            logits = model(torch.tensor([prompt], device=model.device)).logits[0, -1].float()
        logprobs, tokens = logits.log_softmax(-1).topk(LIKELIEST)
        said.append({"prompt": prompt, "tokens": tokens.tolist(), "logprobs": [round(x, 5) for x in logprobs.tolist()]})
    (directory / FILE).write_text(json.dumps(said))


def check(directory: Path, runner: Runner) -> None:
    """Compare what was written down with what this runner says; a version without the file is not checked.

    Raises:
        LoadFailed: it says something else.
    """
    file = directory / FILE
    if not file.exists():
        return
    asked = [
        (entry["prompt"], token, logprob)
        for entry in json.loads(file.read_text())
        for token, logprob in zip(entry["tokens"], entry["logprobs"], strict=True)
    ]
    # Nearly certain by its bias, so it is drawn; the raw log-prob is that without the bias.
    wishes = [Sampling(max_tokens=1, temperature=0, logit_bias=((token, 100.0),)) for _, token, _ in asked]
    answers = generate(runner, [prompt for prompt, _, _ in asked], wishes)
    for (prompt, token, expected), answer in zip(asked, answers, strict=True):
        found = answer.raw_logprobs[0] if answer.tokens == [token] else float("-inf")
        if not abs(found - expected) <= TOLERANCE.get(runner.dtype, TOLERANCE[torch.bfloat16]):
            raise LoadFailed(
                f"it says something else than its maker wrote down: token {token} after a prompt of {len(prompt)} has "
                f"the log-prob {found:.2f}, expected {expected:.2f}; it is not served"
            )
