"""Which pairs of replies are worth a rater's time: those that the heads of the reward model rank differently.

Each head was fitted on another bootstrap sample of the people, so where they disagree, too little is known (query by
committee: Seung, Opper & Sompolinsky 1992).
"""

from collections.abc import Sequence
from uuid import UUID

import torch

from backtalk.tables import Contested
from learner.dataset import Siblings
from learner.reward_model import RewardModel

MOST_LOOKED_AT = 1000
MOST_KEPT = 200


def find(run_id: UUID, reward: RewardModel, siblings: Sequence[Siblings]) -> list[Contested]:
    """The pairs that the heads disagree on most, those first.

    The disagreement is twice the chance, with margins spread normally over heads, that one more head ranks the pair
    the other way round: 0 where all are sure, 1 where it is a toss-up.
    """
    looked_at = siblings[:MOST_LOOKED_AT]
    if reward.heads < 2 or not looked_at:
        return []
    sides = [one.left for one in looked_at] + [one.right for one in looked_at]
    logits = reward.judge(sides)[:, : reward.heads].double()  # [2N, K]
    margins = logits[: len(looked_at)] - logits[len(looked_at) :]  # [N, K]
    spread = margins.std(1).clamp_min(1e-9)
    chance = torch.special.erfc(margins.mean(1).abs() / spread / 2**0.5)  # [N]: both tails of the normal
    order = chance.argsort(descending=True)[:MOST_KEPT].tolist()
    return [
        Contested(
            left_id=looked_at[row].left_id,
            right_id=looked_at[row].right_id,
            run_id=run_id,
            disagreement=round(float(chance[row]), 4),
        )
        for row in order
    ]
