"""Replies drawn from a policy in training, by the engine's own scheduler and runner in this process."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from backtalk.engine.generate import generate
from backtalk.engine.loading import from_state_unchecked
from backtalk.engine.sampling import Sampling
from backtalk.template import Template
from learner.sequences import Exchange


class RolloutFailed(ArithmeticError):
    """The policy's logits are no numbers any more; it must not be published."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """A drawn reply with the log-probs it was drawn with. Made here, read by PPO and the gate."""

    exchange: Exchange
    logprobs: tuple[float, ...]
    ended: bool


def draw(
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
        RolloutFailed: the policy's logits are not finite.
    """
    runner = from_state_unchecked(
        model.config, model.state_dict(), device=torch.device(model.device), eos=frozenset(template.ends)
    )
    wishes = [
        Sampling(
            max_tokens=max(1, min(maximum_tokens, template.context - len(prompt))),
            temperature=temperature,
            seed=seed * 1_000_003 + number,
        )
        for number, prompt in enumerate(prompts)
    ]
    rollouts = []
    for prompt, completion in zip(prompts, generate(runner, prompts, wishes), strict=True):
        if completion.finish_reason == "error":
            raise RolloutFailed("the policy's logits became NaN or infinite while drawing replies")
        exchange = Exchange(prompt, tuple(completion.tokens), template.text(completion.tokens))
        rollouts.append(Rollout(exchange, tuple(completion.logprobs), completion.finish_reason == "stop"))
    return rollouts
