"""Text from prompts in one's own process: the batch verb that the learner's rollouts use."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from tokenizers import Tokenizer

from backtalk.engine.core import Core, Output, Resident
from backtalk.engine.pages import PAGE, pages_for
from backtalk.engine.runner import Runner
from backtalk.engine.sampling import FinishReason, Sampling
from backtalk.engine.scheduler import Limits


@dataclass(slots=True)
class Completion:
    """One generated reply."""

    tokens: list[int]
    """As drawn, the end token included."""
    logprobs: list[float]
    """Of the behaviour: after temperature and filters."""
    raw_logprobs: list[float]
    """At temperature 1 without filters."""
    finish_reason: FinishReason
    text: str = ""
    """Empty unless a tokenizer was given."""


def generate(
    runner: Runner,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling | Sequence[Sampling],
    *,
    n: int = 1,
    tokenizer: Tokenizer | None = None,
    slots: int = 256,
    prefill: int = 4096,
) -> list[Completion]:
    """Complete all prompts, continuously batched: a finished one leaves at once and the next takes its seat.

    Args:
        runner: the policy (`loading.from_directory(...).runner` or `loading.from_state(...)`).
        prompts: token ids of each prompt.
        sampling: one for all, or one for each. Without a seed each reply gets a random one.
        n: replies to each prompt; the i-th of them (from 0) is drawn with seed + i.
        tokenizer: needed for `text` and for stop strings.
        slots: how many run at once.
        prefill: prompt tokens a step.

    Returns:
        n completions for each prompt, in order.

    Raises:
        EngineRefused: a prompt is empty, too long or holds unknown tokens, or stop strings have no tokenizer.
    """
    wishes = [sampling] * len(prompts) if isinstance(sampling, Sampling) else list(sampling)
    longest = [min(len(prompt) + wish.max_tokens, runner.context) for prompt, wish in zip(prompts, wishes, strict=True)]
    tokens = sum(PAGE * pages_for(most) for most in sorted(longest * n)[-slots:])
    core = Core(Limits(slots=slots, waiting=n * len(prompts), prefill=prefill, tokens=tokens))
    core.install(0, Resident(runner, tokenizer))
    completions = [Completion([], [], [], "length") for _ in range(n * len(prompts))]
    for number, (prompt, wish) in enumerate(zip(prompts, wishes, strict=True)):
        for sample in range(n):
            own = wish if wish.seed is None else replace(wish, seed=wish.seed + sample)
            core.submit(n * number + sample, prompt, own, version=0, priority="rollout")
    while core.has_work:
        for output in core.step():
            _extend(completions[cast(int, output.request.id)], output)
    return completions


def _extend(completion: Completion, output: Output) -> None:
    if output.token is not None:
        completion.tokens.append(output.token)
        completion.logprobs.append(output.logprob)
        completion.raw_logprobs.append(output.raw_logprob)
    completion.text += output.text
    if output.finish_reason is not None:
        completion.finish_reason = output.finish_reason
