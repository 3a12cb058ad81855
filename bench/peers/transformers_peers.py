"""`transformers`, three ways: one reply after another, in one static batch, and by its own continuous batching."""

import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from bench.peers.job import alone, answer, pin


def one_by_one(model: Any, prompts: list[list[int]], count: int) -> int:
    """A queue: each waits for the one before."""
    return sum(in_a_batch(model, [prompt], count) for prompt in prompts)


def in_a_batch(model: Any, prompts: list[list[int]], count: int) -> int:
    """All at once, padded on the left."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    out = model.generate(ids, attention_mask=mask, max_new_tokens=count, min_new_tokens=count, do_sample=False)
    return int(out.shape[0] * (out.shape[1] - longest))


def batching(model: Any, prompts: list[list[int]], count: int) -> int:
    """By its continuous batching."""
    wish: Any = GenerationConfig  # untyped
    settings = wish(max_new_tokens=count, do_sample=False, eos_token_id=-1)
    out = model.generate_batch(inputs=prompts, generation_config=settings, progress_bar=False)
    return sum(len(result.generated_tokens) for result in out.values())


WAYS = {"one_by_one": one_by_one, "static": in_a_batch, "batching": batching}


def main(directory: Path, way: str) -> None:
    """Serve the model of this directory until there are no more jobs."""
    pin()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    model: Any = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.bfloat16)
    model.generation_config.pad_token_id = 0
    answer(alone(lambda prompts, count: WAYS[way](model, prompts, count)), dtype="bfloat16")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
