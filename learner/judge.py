"""The gate's own opinion of replies: fitted on people whose opinions nothing else has seen, on features nothing moves.

Ridge logistic regression on the frozen live version's states and the named features of a reply. Nothing in it could be
tuned towards a candidate, and it is fitted in milliseconds, so each resample of people gets its own: the gain's
interval then holds the doubt about the judge as well.

Shapes: N replies, M opinions, P inputs.
"""

from collections.abc import Sequence
from random import Random

import torch
from torch import Tensor
from transformers import PreTrainedModel

from learner.examples import Examples
from learner.inputs import BIAS_PRIOR, Scale, look_at
from learner.intervals import Interval, percentiles
from learner.logistic import dual
from learner.sequences import Exchange

LARGEST = 1500  # opinions a judge is fitted on: its cost grows with their cube
RESAMPLES = 200


class Judge:
    """Foretells who likes what, from the opinions it is given and no others."""

    def __init__(
        self, live: PreTrainedModel, opinions: Examples, usual: Sequence[Exchange], ends: Sequence[int]
    ) -> None:
        """
        Args:
            live: frozen; its states are the inputs.
            opinions: of the people held out.
            usual: replies of any kind, whose spread gives the inputs their scale.
            ends: tokens that end a reply.
        """
        self._live, self._ends = live, tuple(ends)
        self._scale = Scale(live.config.hidden_size).double()
        self._scale.fit(look_at(live, usual, ends))
        exchanges = opinions.exchanges()
        row = {exchange: number for number, exchange in enumerate(exchanges)}
        inputs = self.look(exchanges)
        lines = [inputs[row[thumb.exchange]] for thumb in opinions.thumbs]
        lines += [inputs[row[pair.better]] - inputs[row[pair.worse]] for pair in opinions.pairs]
        targets = [float(thumb.liked) for thumb in opinions.thumbs] + [pair.target for pair in opinions.pairs]
        weights = [thumb.weight for thumb in opinions.thumbs] + [pair.weight for pair in opinions.pairs]
        people = [thumb.person for thumb in opinions.thumbs] + [pair.person for pair in opinions.pairs]
        self._people = people[-LARGEST:]
        self._lines = torch.stack(lines[-LARGEST:])  # [M, 1 + P]: a thumb's inputs, or a pair's difference
        self._targets = self._lines.new_tensor(targets[-LARGEST:])  # [M]
        self._weights = self._lines.new_tensor(weights[-LARGEST:])  # [M]
        self._kernel = self._lines @ self._lines.T  # [M, M]
        self._alpha = dual(self._kernel, self._targets, self._weights)  # [M]

    def preference(self, exchanges: Sequence[Exchange]) -> Tensor:
        """Logit of being liked: [N]."""
        return (self.look(exchanges) @ (self._lines.T @ self._alpha)).float()

    def gain(
        self, asked: Sequence[tuple[int, ...]], before: Tensor, after: Tensor, confidence: float, seed: int
    ) -> Interval:
        """How much likelier the second reply to each prompt is liked than the first, on average over prompts.

        The interval is a bootstrap over the held-out people, the judge fitted again for each, and over the prompts.

        Args:
            asked: the N prompts; one may come several times.
            before: [N, 1 + P], what `look` has found in the first replies.
            after: in the second ones.
        """
        rng = Random(seed)
        half = len(asked)
        products = torch.cat([before, after]) @ self._lines.T  # [2N, M]
        groups: dict[tuple[int, ...], list[int]] = {}
        for row, prompt in enumerate(asked):
            groups.setdefault(prompt, []).append(row)

        def gains(alpha: Tensor) -> Tensor:
            chance = (products @ alpha).sigmoid()
            return chance[half:] - chance[:half]  # [N]

        names, prompts = sorted(set(self._people)), sorted(groups)
        found = []
        for _ in range(RESAMPLES):
            drawn = rng.choices(names, k=len(names))
            weights = self._weights * self._weights.new_tensor([drawn.count(person) for person in self._people])
            each = gains(dual(self._kernel, self._targets, weights, self._alpha, rounds=4))
            rows = [row for prompt in rng.choices(prompts, k=len(prompts)) for row in groups[prompt]]
            found.append(float(each[rows].mean()))
        return percentiles(float(gains(self._alpha).mean()), found, confidence)

    def look(self, exchanges: Sequence[Exchange]) -> Tensor:
        """What it goes by: [N, 1 + P], the first column being the bias."""
        scaled: Tensor = self._scale(look_at(self._live, exchanges, self._ends))
        return torch.cat([torch.full((len(scaled), 1), BIAS_PRIOR**0.5, dtype=scaled.dtype), scaled], 1)
