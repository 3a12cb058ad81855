"""A reward model and PPO on a tiny policy, alone or under torchrun.

`python -m tests.learner.many OUT MODEL [--checkpoints DIRECTORY] [--dies-in ITERATION] [--device-batch N]
[--rank N]`: the first process writes to OUT what its journal has kept, and what the policy makes of the examples in the
end.
"""

import argparse
import json
import os
from pathlib import Path
from random import Random

import torch
from typing_extensions import override

from backtalk.recipe import Lora, Ppo, RewardModel, Rewards, Sampling
from backtalk.template import Template
from learner import parallel, reward_model, sequences
from learner.examples import Demonstration, Examples, Pair, Score, Thumb
from learner.improve import Improver
from learner.journal import Journal
from learner.lora import adapt
from learner.sequences import all_logprobs, load
from tests.learner.planted import exchange, sentence


def opinions(template: Template) -> Examples:
    """All kinds, of numbers that no share divides."""
    rng = Random(3)
    said = [exchange(template, sentence(rng), sentence(rng)) for _ in range(23)]
    return Examples(
        thumbs=[Thumb(f"p{row % 5}", one, "a" in one.text) for row, one in enumerate(said)],
        pairs=[Pair("p1", said[row], said[row + 1]) for row in range(0, 7)],
        scores=[Score("p2", one, "fluency", 1.0 + row % 5) for row, one in enumerate(said[:6])],
        demonstrations=[Demonstration("p3", one) for one in said[:3]],
    )


class Dies(Journal):
    """Ends the process in the middle of an iteration of PPO."""

    def __init__(self, iteration: int) -> None:
        super().__init__()
        self._left = iteration

    @override
    def write(self, done: float | None, values: dict[str, float]) -> None:
        self._left -= "policy_loss" in values
        if self._left <= 0:
            os._exit(3)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--checkpoints", type=Path)
    parser.add_argument("--dies-in", type=int)
    parser.add_argument("--device-batch", type=int)
    parser.add_argument("--rank", type=int, help="of adapters; none without it")
    given = parser.parse_args()
    torch.set_num_threads(1)
    # What is compared is the same to a thousandth in float32 only, whatever units this processor has.
    sequences._cpu_multiplies_bf16 = lambda: False
    parallel.join()
    template = Template(given.model)
    journal = Dies(given.dies_in) if given.dies_in else Journal()
    whole = load(given.model)
    live = parallel.shard(parallel.copied(whole))
    examples = opinions(template)
    wish = RewardModel(steps=4, batch=7, device_batch=given.device_batch)
    lora = Lora(rank=given.rank, alpha=given.rank) if given.rank else None
    reward = reward_model.fit(live, examples, template.ends, wish, 0, journal, lora=lora)
    reward.normalise(examples.exchanges(), Rewards(), 0.3)
    policy = parallel.shard(adapt(parallel.copied(live, checkpointing=given.device_batch is not None), lora))
    recipe = Ppo(
        iterations=3,
        episodes=11,
        minibatch=5,
        epochs=2,
        learning_rate=1e-3,
        checkpoint_every=1 if given.checkpoints else 0,
        device_batch=given.device_batch,
    )
    shown = [demonstration.exchange for demonstration in examples.demonstrations]
    improver = Improver(policy, live, reward, shown, recipe, 0, journal, given.checkpoints)
    prompts = [one.prompt for one in examples.exchanges()]
    improver.from_rollouts(template, prompts, Sampling(maximum_tokens=12))
    said = all_logprobs(policy, examples.exchanges())
    if parallel.rank() == 0:
        given.out.write_text(json.dumps({"rows": journal.rows, "said": [line.tolist() for line in said]}))
    parallel.leave()


if __name__ == "__main__":
    main()
