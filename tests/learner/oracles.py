"""What other people's code says to the same numbers: writes `oracles.json`, which `test_oracles.py` holds ours against.

TRL and torchrl are large, so their answers are kept and they are only needed to make them again:
`pip install trl==1.16.0 torchrl==0.14.1 && python -m tests.learner.oracles`.
"""

import json
import math
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

FILE = Path(__file__).with_name("oracles.json")
LENGTHS = (5, 3, 1, 4)
GAMMA, LAM, CLIP, KL = 0.97, 0.9, 0.2, 0.05


def numbers(phase: float, scale: float = 1.0) -> Tensor:
    """[4, 5] numbers that anybody can make again."""
    rows = [[scale * math.sin(phase + 2.3 * row + 1.7 * column) for column in range(5)] for row in range(4)]
    return torch.tensor(rows, dtype=torch.float64)


def mask() -> Tensor:
    """[4, 5]: the replies have different lengths."""
    rows = [[float(column < length) for column in range(5)] for length in LENGTHS]
    return torch.tensor(rows, dtype=torch.float64)


def gae() -> list[list[float]]:
    """torchrl's generalised advantage estimation, one reply at a time."""
    from torchrl.objectives.value.functional import (  # type: ignore[import-not-found]
        generalized_advantage_estimate,
    )

    found = []
    for row, length in enumerate(LENGTHS):
        values, rewards = numbers(0.4)[row, :length, None], numbers(1.1)[row, :length, None]
        done = torch.zeros(length, 1, dtype=torch.bool)
        done[-1] = True
        following = torch.cat([values[1:], torch.zeros(1, 1, dtype=torch.float64)])
        gains, _ = generalized_advantage_estimate(GAMMA, LAM, values, following, rewards, done, done)
        found.append(gains[:, 0].tolist())
    return found


def surrogate() -> dict[str, float]:
    """TRL's clipped loss, mean over tokens, with and without the price of divergence."""
    from trl import GRPOTrainer

    new, old, prior = numbers(0.2, 0.7), numbers(0.9, 0.7), numbers(2.0, 0.7)
    found = {}
    for name, beta in (("plain", 0.0), ("priced", KL)):
        stub: Any = SimpleNamespace(
            aux_loss_enabled=False,
            top_entropy_quantile=1.0,
            off_policy_mask_threshold=None,
            importance_sampling_level="token",
            beta=beta,
            args=SimpleNamespace(use_bias_correction_kl=False, delta=None, entropy_coef=0.0),
            loss_type="bnpo",
            epsilon_low=CLIP,
            epsilon_high=CLIP,
            use_vllm=False,
            model=SimpleNamespace(training=False),
            _entropy_bonus_enabled=False,
            _get_per_token_logps_and_entropies=lambda *_, **__: (new, torch.zeros_like(new), None),
            accelerator=SimpleNamespace(gather=_same, gather_for_metrics=_same, reduce=_same, num_processes=1),
            _metrics={"eval": defaultdict(list)},
        )
        inputs = {
            "prompt_ids": torch.zeros(4, 1, dtype=torch.long),
            "prompt_mask": torch.ones(4, 1),
            "completion_ids": torch.zeros(4, 5, dtype=torch.long),
            "completion_mask": mask(),
            "advantages": numbers(4.4),
            "old_per_token_logps": old,
            "ref_per_token_logps": prior,
        }
        found[name] = float(GRPOTrainer._compute_loss(stub, None, inputs))
    return found


def _same(value: Tensor, **_: object) -> Tensor:
    """What a single process gathers."""
    return value


if __name__ == "__main__":
    FILE.write_text(json.dumps({"gae": gae(), "surrogate": surrogate()}, indent=1) + "\n")
