"""What `transformers` says, to hold engines against."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM


def greedy(directory: Path, prompt: list[int], count: int) -> tuple[list[int], list[float]]:
    """The likeliest tokens after a prompt, one after the other, with their log-probs at temperature 1."""
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    tokens, logprobs = list(prompt), []
    with torch.inference_mode():
        for _ in range(count):
            line = model(torch.tensor([tokens])).logits[0, -1].log_softmax(-1)
            tokens.append(int(line.argmax()))
            logprobs.append(float(line.max()))
    return tokens[len(prompt) :], logprobs
