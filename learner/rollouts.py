"""Replies drawn from a policy in training, by the engine's own scheduler and runner in this process."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import torch
from transformers import PreTrainedModel
from typing_extensions import override

from backtalk.engine.generate import Completion, generate
from backtalk.engine.loading import from_state_unchecked
from backtalk.engine.sampling import FinishReason, Sampling
from backtalk.template import Template
from learner import parallel
from learner.sequences import Exchange


class RolloutFailed(ArithmeticError):
    """The policy's logits are no numbers any more; it must not be published."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """A drawn reply with the log-probs it was drawn with. Made here, read by PPO and the gate."""

    exchange: Exchange
    logprobs: tuple[float, ...]
    ended: bool


Drawn = tuple[list[int], list[float], FinishReason]
"""A reply as an engine gives it: tokens, their log-probs, and why it ended."""


class Draw(ABC):
    """A way to draw replies from a policy in training."""

    is_remote = False
    """Whether another engine draws, whose log-probs have to be held against the trainer's own."""

    def __call__(
        self,
        model: PreTrainedModel,
        template: Template,
        prompts: Sequence[tuple[int, ...]],
        *,
        temperature: float,
        maximum_tokens: int,
        seed: int,
    ) -> list[Rollout]:
        """One reply to each prompt, in order; the same seed gives the same replies.

        Args:
            prompts: token ids; a prompt may come several times and gets a fresh reply each time.

        Raises:
            RolloutFailed: the policy's logits are not finite, or the engine that draws fails.
        """
        wishes = [
            Sampling(
                max_tokens=max(1, min(maximum_tokens, template.context - len(prompt))),
                temperature=temperature,
                seed=seed * 1_000_003 + number,
            )
            for number, prompt in enumerate(prompts)
        ]
        rollouts = []
        drawn = self.complete(model, template, prompts, wishes)
        for prompt, (tokens, logprobs, reason) in zip(prompts, drawn, strict=True):
            if reason == "error":
                raise RolloutFailed("the policy's logits became NaN or infinite while drawing replies")
            exchange = Exchange(prompt, tuple(tokens), template.text(tokens))
            rollouts.append(Rollout(exchange, tuple(logprobs), reason == "stop"))
        return rollouts

    @abstractmethod
    def complete(
        self,
        model: PreTrainedModel,
        template: Template,
        prompts: Sequence[tuple[int, ...]],
        wishes: Sequence[Sampling],
    ) -> Sequence[Drawn]:
        """A reply to each prompt, drawn as wished."""


class DrawHere(Draw):
    """By the engine's own scheduler and runner in this process; of several processes each draws its share."""

    @override
    def complete(
        self,
        model: PreTrainedModel,
        template: Template,
        prompts: Sequence[tuple[int, ...]],
        wishes: Sequence[Sampling],
    ) -> Sequence[Drawn]:
        """See `Draw`."""
        runner = from_state_unchecked(
            model.config, parallel.whole_state(model), device=torch.device(model.device), eos=frozenset(template.ends)
        )
        completions = _all(generate(runner, parallel.share(prompts), parallel.share(wishes)), len(prompts))
        return [(one.tokens, one.logprobs, one.finish_reason) for one in completions]


draw = DrawHere()


def _all(own: Sequence[Completion], count: int) -> list[Completion]:
    """What all processes have drawn, from what this one has of its share of the prompts."""
    if parallel.size() == 1:
        return list(own)
    reasons = get_args(FinishReason)
    lengths = parallel.gather(torch.tensor([len(one.tokens) for one in own], dtype=torch.int64))
    ends = parallel.gather(torch.tensor([reasons.index(one.finish_reason) for one in own], dtype=torch.int64))
    tokens = parallel.gather(torch.tensor([token for one in own for token in one.tokens], dtype=torch.int64))
    logprobs = parallel.gather(torch.tensor([line for one in own for line in one.logprobs], dtype=torch.float64))
    found: list[Completion | None] = [None] * count
    for process in range(parallel.size()):
        parts = torch.split(tokens[process], lengths[process].tolist())
        lines = torch.split(logprobs[process], lengths[process].tolist())
        for place, (part, line) in enumerate(zip(parts, lines, strict=True)):
            reason: FinishReason = reasons[int(ends[process][place])]
            number = process + place * parallel.size()  # as `share` has dealt them out
            found[number] = Completion(part.tolist(), line.tolist(), [], reason)
    return [one for one in found if one is not None]
