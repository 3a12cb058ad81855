"""Who says the opposite of what the others say, of everything: an attacker, as far as anybody can tell.

What everybody says is foretold by people of other folds. Each person's opinions then have a likelihood under four ways
of giving them: as foretold; the opposite of what is foretold; by a taste of one's own that goes the other way; or by
chance, at a rate of one's own. The second and the third differ in what nobody likes: where others like one reply in
ten, who says the opposite likes nine, and who only wants something else likes as few as the others. How many people
go which way, how sharp the foretelling is, how often a finger slips and how easily people are content: all of it is
estimated from the opinions themselves by EM (Dempster, Laird & Rubin 1977; for raters, Dawid & Skene 1979), so that
the same few lines serve any rate of likes. Then everything is foretold again, by each person as far as believed, the
opposite of those found contrary; where they are many, the first foretelling is poor and the second is not.

The start is the leading direction in which people agree with each other: where two in five say the opposite of the
others, the mean of all hardly says anything, but who agrees with whom still does.

Shapes: M opinions, G people, K nodes of how easily somebody is content, S slips, T turns of taste.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from learner.hearing import Hearing

FEWEST = 8
"""With fewer people nobody knows who speaks for the others."""
ROUNDS = 6
SLIPS = (0.02, 0.1, 0.2, 0.3)  # shares of one's opinions that point the wrong way; their weights are estimated
TURNS = (0.4, 1.0)  # how strongly a taste of one's own goes the other way
DOUBT = 0.1  # so much less likely is that than the plain opposite, where both explain somebody as well
OWN_EASE = 0.7  # spread of how easily somebody with a taste of their own is content, in logits
EASE = ((-2.857, 0.01126), (-1.3556, 0.22208), (0.0, 0.53333), (1.3556, 0.22208), (2.857, 0.01126))  # Gauss-Hermite
LARGEST_START = 400  # people whose agreement with each other is worked out; it grows with their cube
EVIDENCE = 12.0
"""Twice the log of how much likelier all opinions become if some people are contrary, at least. It is small where all
want one thing, and may be large where some are content with anything: for those there is the slope."""
SLOPE = -1.65
"""Where contrary people like more than they usually do, the others like less: in standard deviations, at most."""


@dataclass(frozen=True, slots=True)
class Candour:
    """Made by `examine`, read by `trust.py`."""

    contrary: Tensor  # [G], the chance that a person says the opposite
    candid: Tensor  # [G], that they say what the others would say
    foretold: Tensor  # [M], logits by the others
    evidence: float
    slope: float

    @property
    def is_attack(self) -> bool:
        """Whether there are contrary people at all, beyond what chance and people content with anything look like."""
        return self.evidence > EVIDENCE and self.slope < SLOPE

    @property
    def share(self) -> float:
        """Of those who are candid or contrary, how many are contrary."""
        return float(self.contrary.sum() / (self.contrary + self.candid).sum().clamp_min(1e-9))


def examine(said: Hearing, seed: int) -> Candour:
    """Foretell and tell apart in turn, until nobody changes sides."""
    contrary = _start(said)
    foretold, before = said.foretold(1 - 2 * contrary, seed), None
    found = _Mixture(said, foretold)
    for number in range(ROUNDS):
        if number:
            # Who only wants something else foretells nothing of what the others say, nor of its opposite.
            foretold = said.foretold(1 - 2 * contrary - found.shares[:, 2], seed)
            found = _Mixture(said, foretold, like=found)
        found.fit()
        candid, contrary = found.shares[:, 0], found.shares[:, 1]
        if float(contrary.sum()) > float(candid.sum()):
            contrary, before = candid, None  # the larger side is right: once more from there
            continue
        now = (20 * contrary).round().tolist()
        if now == before:
            break
        before = now
    without = _Mixture(said, foretold, has_contrary=False, like=found)
    without.fit()
    evidence = 2 * (found.likelihood - without.likelihood)
    return Candour(
        found.shares[:, 1], found.shares[:, 0], foretold, evidence, slope(said, foretold, found.shares[:, 1] > 0.5)
    )


def slope(said: Hearing, foretold: Tensor, of: Tensor) -> float:
    """How these people's opinions go with what is foretold, each person's own mean taken away; a score test's z.

    Somebody content with everything looks contrary where the others like little. But they like no more of what the
    others dislike than of what they like: their z is about 0.

    Args:
        of: [G] bool.
    """
    weights = of[said.of].double()
    count = said.each(weights).clamp_min(1.0)

    def mean(values: Tensor) -> Tensor:
        return (said.each(weights * said.is_thumb * values) / count)[said.of]

    share, thumb = mean(said.targets), said.is_thumb > 0
    moved = torch.where(thumb, foretold - mean(foretold), foretold)  # [M]
    more = torch.where(thumb, said.targets - share, said.targets - 0.5)  # [M]
    spread = torch.where(thumb, share * (1 - share), torch.full_like(share, 0.25))
    variance = float((weights * moved**2 * spread).sum())
    return float((weights * moved * more).sum()) / math.sqrt(variance) if variance > 0 else 0.0


def _start(said: Hearing) -> Tensor:
    """How contrary each person looks at first: [G] in 0..1."""
    fair, thumb = said.fair, said.is_thumb > 0
    mean = float((fair * said.is_thumb * said.targets).sum() / (fair * said.is_thumb).sum().clamp_min(1e-9))
    more = torch.where(thumb, said.targets - mean, said.targets - 0.5)
    pull = said.each((fair * more)[:, None] * said.lines)  # [G, D]
    most = said.each(said.weights).argsort(descending=True)[:LARGEST_START]
    agreement = pull[most] @ pull[most].T
    agreement.fill_diagonal_(0.0)  # everybody agrees with themselves
    side = torch.linalg.eigh(agreement).eigenvectors[:, -1]
    if float(side.sign().sum() + 0.5 * side.sum().sign()) < 0:
        side = -side  # the larger side is right
    found = torch.zeros(len(said.people), dtype=said.lines.dtype)
    found[most] = (-2 * side / side.abs().max()).clamp(0.0, 1.0)
    return found


class _Mixture:
    """People as a mixture of four kinds, given what the others foretell of each opinion."""

    def __init__(
        self, said: Hearing, foretold: Tensor, has_contrary: bool = True, like: "_Mixture | None" = None
    ) -> None:
        """
        Args:
            foretold: [M], logits by the others.
            like: one whose form to begin with.
        """
        self._said, self._foretold = said, foretold
        nodes = torch.tensor(EASE, dtype=foretold.dtype)
        self._ease, self._ease_weights = nodes[:, 0], nodes[:, 1].log()  # [K]
        self._slips = torch.tensor(SLIPS, dtype=foretold.dtype)  # [S]
        self._turns = torch.tensor(TURNS, dtype=foretold.dtype)  # [T]
        self._middle = float((said.is_thumb * foretold).sum() / said.is_thumb.sum().clamp_min(1.0))
        self._prior = torch.tensor([1.0, 0.1 if has_contrary else 0.0, 0.1, 0.1], dtype=foretold.dtype)
        thumbs = said.each(said.weights * said.is_thumb)
        likes = said.each(said.weights * said.is_thumb * said.targets)
        pairs = said.each(said.weights * (1 - said.is_thumb))
        # At a rate of one's own, any being as likely as any other: the integral of the binomial over all rates.
        self._by_chance = (  # [G]
            torch.lgamma(likes + 1) + torch.lgamma(thumbs - likes + 1) - torch.lgamma(thumbs + 2) - pairs * math.log(2)
        )
        self._kinds = self._prior / self._prior.sum()
        self._slip_weights = torch.full_like(self._slips, 1 / len(SLIPS))
        # Offset of thumbs; log of the foretelling's slope; log of the spread of how easily people are content.
        self._form = torch.tensor([0.0, 0.0, math.log(0.3)], dtype=foretold.dtype)
        self._form_mean = self._form.clone()
        self._form_spread = torch.tensor([2.0, 0.7, 0.7], dtype=foretold.dtype)
        if like is not None:
            self._form = like._form

    def fit(self) -> None:
        """EM: who is of which kind, then what each kind does."""
        for number in range(12):
            for _ in range(15 if number == 0 else 1):
                self._tell_apart()
            moved = self._shape()
            if moved < 0.02:
                break
        self._tell_apart()

    shares: Tensor  # [G, 4]: the chances of each kind
    likelihood: float

    @torch.no_grad()
    def _tell_apart(self) -> None:
        parts = self._parts(self._form)
        whole = parts.logsumexp(1, keepdim=True)
        chances, count = (parts - whole).exp(), len(SLIPS)
        candid, contrary, otherwise = chances[:, :count], chances[:, count : 2 * count], chances[:, 2 * count : -1]
        self.shares = torch.stack([candid.sum(1), contrary.sum(1), otherwise.sum(1), chances[:, -1]], 1)
        self.likelihood = float(whole.sum())
        self._kinds = (self.shares.sum(0) + self._prior) / (len(chances) + self._prior.sum())
        slips = (candid + contrary).sum(0) + 1
        self._slip_weights = slips / slips.sum()

    def _shape(self) -> float:
        """Make the opinions as likely as their form can; tells how far it went."""
        form = self._form.clone().requires_grad_(True)
        optimizer: torch.optim.Optimizer = torch.optim.LBFGS([form], max_iter=4, line_search_fn="strong_wolfe")

        def unlikely() -> float:
            optimizer.zero_grad()
            far = ((form - self._form_mean) / self._form_spread).square().sum() / 2
            loss = far - self._parts(form).logsumexp(1).sum()
            torch.autograd.backward(loss)
            return float(loss.detach())

        optimizer.step(unlikely)
        moved = float((form.detach() - self._form).abs().max())
        self._form = form.detach()
        return moved

    def _parts(self, form: Tensor) -> Tensor:
        """Log-likelihood of everybody's opinions under each kind and slip, with its weight: [G, 2S + T + 1]."""
        said, thumb = self._said, self._said.is_thumb[:, None]
        logits = form[0] * thumb + form[1].exp() * self._foretold[:, None] + form[2].exp() * thumb * self._ease
        liked = logits.sigmoid()[:, :, None]  # [M, K, 1]
        likes = (1 - self._slips) * liked + self._slips * (1 - liked)  # [M, K, S]
        yes, no = likes.clamp_min(1e-6).log(), (1 - likes).clamp_min(1e-6).log()
        weights, targets = said.weights[:, None, None], said.targets[:, None, None]
        candid = said.each(weights * (targets * yes + (1 - targets) * no)) + self._ease_weights[:, None]
        contrary = said.each(weights * ((1 - targets) * yes + targets * no)) + self._ease_weights[:, None]
        sharp, middle = form[1].exp(), self._middle * thumb
        moved = sharp * (self._foretold[:, None] - middle)
        own = (form[0] * thumb + sharp * middle + OWN_EASE * thumb * self._ease)[:, :, None] - moved[
            :, :, None
        ] * self._turns
        otherwise = said.each(weights * (targets * F.logsigmoid(own) + (1 - targets) * F.logsigmoid(-own)))  # [G, K, T]
        otherwise = otherwise + self._ease_weights[:, None]
        slips, kinds = self._slip_weights.log(), self._kinds.log()
        return torch.cat(
            [
                candid.logsumexp(1) + slips + kinds[0],
                contrary.logsumexp(1) + slips + kinds[1],
                otherwise.logsumexp(1) + kinds[2] + math.log(DOUBT / len(TURNS)),
                (self._by_chance + kinds[3])[:, None],
            ],
            1,
        )
