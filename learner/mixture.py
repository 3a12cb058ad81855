"""Do the rewards of a mixture pull the same way? What one calls better and another worse trains nothing but noise.

Looked at over replies of the live version, by rank, so that neither unit nor weight matters.
"""

from collections.abc import Sequence

from backtalk.appraisal import clashes, correlations, weights_of
from backtalk.tables import Json
from learner.gate import Rejected
from learner.reward_model import RewardModel
from learner.sequences import Exchange


def examine(reward: RewardModel, usual: Sequence[Exchange], most: float, report: Json) -> None:
    """Put the rank correlations between the rewards that count into the report.

    Args:
        usual: replies of the live version.
        most: rank correlation as far as which two rewards may oppose each other.

    Raises:
        Rejected: two of them do so further.
    """
    weights = weights_of(reward.rewards)
    parts = reward.parts(reward.judge(usual), usual)
    values = {name: own.tolist() for name, own in parts.items() if name in weights}
    if len(values) < 2:
        return
    found = clashes(values, weights, most)
    report["rewards"] = {"weights": weights, "rank_correlation": _rounded(correlations(values))}
    if found:
        pairs = ", ".join(f"{one.left} and {one.right} ({one.correlation:+.2f})" for one in found)
        raise Rejected(
            f"the reward profile contradicts itself: {pairs}, beyond the {most:.2f} it may; "
            "lower one of the weights, or raise maximum_clash"
        )


def _rounded(table: dict[str, dict[str, float | None]]) -> Json:
    return {
        name: {other: None if value is None else round(value, 3) for other, value in line.items()}
        for name, line in table.items()
    }
