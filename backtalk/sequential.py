"""Is the new version worse? A test that may be looked at after every reply, for as long as one likes.

Two streams of people, those with the canary and those without, are compared in blocks by the e-variables of Turner, Ly
and Grünwald ("Generic E-Variables for Exact Sequential k-Sample Tests that Allow for Optional Stopping", 2024,
arXiv 2106.02693): for a block with outcomes y of n_a people here and n_b there, an alternative (θ_a, θ_b) and
θ_0 = (n_a θ_a + n_b θ_b) / (n_a + n_b), the product over all people of p(y; θ) / p(y; θ_0) has an expectation of at
most 1 while the canary is no worse, whatever the common rate is. Products of blocks and averages over alternatives are
martingales under that hypothesis, so by Ville's inequality they ever reach 1/α with a chance of at most α.

A block is one person with the canary and those without it who came first and have not been in one, at most `MATCHED`:
whoever comes waits for somebody of the other side. So it does not matter in which order the sides come: a version that
answers at once, or never comes to an end, has all its people before or after all others.

What counts is people, not replies: one person's replies resemble each other, and a person who likes nothing must not
condemn a version by rating a hundred times. So each person gives every comparison one outcome: whether at least the
share `share` of their first `first` outcomes was bad. Averages of e-processes are e-processes (Vovk and Wang,
"E-values: calibration, combination and applications", Annals of Statistics 49, 2021), so several such comparisons, and
several measures, are weighed together without a correction for their number.
"""

from collections import defaultdict, deque
from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def alternatives() -> Array:
    """Pairs of rates (canary, control) that are tried all at once: [A, 2]. The canary's is the worse one."""
    rates = []
    for control in (0.02, 0.1, 0.3, 0.6):
        for log_odds in (1.5, 3.0, 5.0):
            odds = control / (1 - control) * np.exp(log_odds)
            rates.append((odds / (1 + odds), control))
    return np.array(rates)


ALTERNATIVES = alternatives()
ENOUGH = 300.0  # nats; beyond them nothing is left to decide, and numbers end
MATCHED = 4
WAITING = 1000  # people of a side; beyond them the oldest are forgotten


@dataclass(slots=True)
class Comparison:
    """The e-process of one yes-or-no outcome a person."""

    log_wealth: Array = field(default_factory=lambda: np.zeros(len(ALTERNATIVES)))  # [A]
    evidence: float = 1.0  # the e-value so far: 1 is nothing, 20 is as much as α = 0.05 asks for
    _canary: deque[bool] = field(default_factory=lambda: deque(maxlen=WAITING))
    _control: deque[bool] = field(default_factory=lambda: deque(maxlen=WAITING))

    def add(self, is_canary: bool, is_bad: bool) -> None:
        """One person's outcome."""
        (self._canary if is_canary else self._control).append(is_bad)
        if self._canary and self._control:
            matched = [self._control.popleft() for _ in range(min(MATCHED, len(self._control)))]
            self.log_wealth += log_block([self._canary.popleft()], matched)
            self.evidence = float(np.exp(np.minimum(self.log_wealth, ENOUGH)).mean())


def log_block(canary: list[bool], control: list[bool]) -> Array:
    """Logarithm of the e-variable of one block under each alternative: [A]."""
    count, bad = (len(canary), len(control)), (sum(canary), sum(control))
    theta = ALTERNATIVES  # [A, 2]
    null = (theta @ np.array(count)) / sum(count)  # [A]
    log = np.zeros(len(theta))
    for side in (0, 1):
        log += bad[side] * np.log(theta[:, side] / null)
        log += (count[side] - bad[side]) * np.log((1 - theta[:, side]) / (1 - null))
    return log


@dataclass(frozen=True, slots=True)
class Span:
    """One way to turn a person's first outcomes into one."""

    first: int  # so many outcomes of a person are looked at
    share: float  # bad for them if at least this share was


SPANS = (Span(1, 0.5), Span(4, 0.5), Span(4, 0.75), Span(4, 1.0), Span(10, 0.6), Span(10, 0.8))
LONGEST = max(span.first for span in SPANS)


class Measure:
    """The e-process of one measure: thumbs down, failures, length or pace. Fed with outcomes in the order they came."""

    def __init__(self) -> None:
        self.comparisons = {span: Comparison() for span in SPANS}
        self.outcomes: dict[bool, list[bool]] = {True: [], False: []}
        self._people: dict[Hashable, list[bool]] = defaultdict(list)

    def add(self, person: Hashable, is_canary: bool, is_bad: bool) -> None:
        """One outcome of a person, who stays on one side."""
        self.outcomes[is_canary].append(is_bad)
        own = self._people[person]
        if len(own) == LONGEST:
            return  # they have said what they have to say
        own.append(is_bad)
        for span, comparison in self.comparisons.items():
            if len(own) == span.first:
                comparison.add(is_canary, sum(own) >= span.share * span.first)

    @property
    def evidence(self) -> float:
        """Average over the spans."""
        return sum(comparison.evidence for comparison in self.comparisons.values()) / len(self.comparisons)

    def rate(self, is_canary: bool) -> float | None:
        """Share of bad outcomes on one side; for people to read, not for the test."""
        outcomes = self.outcomes[is_canary]
        return sum(outcomes) / len(outcomes) if outcomes else None


WEIGHTS = {"thumbs_down": 0.4, "failed": 0.2, "length": 0.2, "latency": 0.2}
"""What is measured, and how much each counts in the average."""


class Evidence:
    """All measures together."""

    def __init__(self) -> None:
        self.measures = {name: Measure() for name in WEIGHTS}

    def add(self, name: str, person: Hashable, is_canary: bool, is_bad: bool) -> None:
        """One outcome of a person by one measure, in the order they came."""
        self.measures[name].add(person, is_canary, is_bad)

    @property
    def total(self) -> float:
        """The e-value that decides: 1/α is reached with a chance of at most α while the canary is no worse."""
        return sum(weight * self.measures[name].evidence for name, weight in WEIGHTS.items())
