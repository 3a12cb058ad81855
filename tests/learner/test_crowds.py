"""Two groups that want different things are told; people who want one thing are not divided."""

import re
from random import Random

import pytest
import torch

from learner import candour, crowds, trust
from learner.crowds import Crowds
from learner.features import NAMES
from learner.hearing import Hearing, of_lines

PEOPLE = 24


def votes(second: int, seed: int = 0, shift: float = -5.0) -> Hearing:
    """The first people like the first of twelve directions, the `second` last ones another; everybody slips."""
    rng, generator = Random(seed), torch.Generator().manual_seed(seed)
    lines, targets, givers = [], list[float](), list[str]()
    for person in range(PEOPLE):
        direction, slips = 1 + (person >= PEOPLE - second), rng.uniform(0, 0.2)
        for _ in range(rng.randint(12, 40)):
            line = torch.randn(13, generator=generator, dtype=torch.float64)
            line[0] = 3.0
            likes = rng.random() < float((5 * line[direction] - 3 * line[3 - direction] + shift).sigmoid())
            lines.append(line)
            targets.append(float(likes != (rng.random() < slips)))
            givers.append(f"{person:02}")
    stacked = torch.stack(lines)
    one = torch.ones(len(lines), dtype=torch.float64)
    features = torch.zeros(len(lines), len(NAMES), dtype=torch.float64)
    features[:, :12] = stacked[:, 1:]
    return of_lines(stacked, one.new_tensor(targets), one, one, givers, stacked, features)


def find(said: Hearing, seed: int = 0) -> Crowds | None:
    trusted = torch.ones(len(said.people), dtype=torch.float64)
    return crowds.find(said, said.foretold(trusted, seed), trusted, 0.95, seed)


@pytest.mark.parametrize("second", [7, 12])
def test_two_crowds_are_told_with_their_shares(second: int) -> None:
    found = find(votes(second))
    assert found is not None
    smaller = found.second > 0.5
    expected = torch.arange(PEOPLE) >= PEOPLE - second
    agreeing = max(int((smaller == expected).sum()), int((smaller != expected).sum()) if second == 12 else 0)
    assert agreeing >= PEOPLE - 3
    assert found.share.low < second / PEOPLE < found.share.high
    assert found.own > 0.7
    assert found.own - found.other == pytest.approx(found.ahead.value)


def test_what_they_want_is_named_with_its_direction() -> None:
    found = find(votes(7))
    assert found is not None
    assert found.likes[NAMES[1]] > 0.3
    assert found.likes[NAMES[0]] < -0.3
    assert found.is_opposed


@pytest.mark.parametrize("seed", range(2))
def test_people_who_want_one_thing_are_not_divided(seed: int) -> None:
    assert find(votes(0, seed), seed) is None


def test_a_crowd_is_no_attack() -> None:
    heard = trust.weigh(votes(7), 0.9, 0.45, 0.95, 0)
    assert not heard.left_out.any()
    assert heard.crowds is not None
    sentence = trust.told(heard)["crowds_told"]
    assert re.match(
        r"people do not want one thing: \d+% of them \(\d+% to \d+%\) like what the others dislike: ", sentence
    )
    assert f"more {NAMES[1]}" in sentence


def test_too_few_people_are_not_divided() -> None:
    said = votes(12)
    few = torch.arange(PEOPLE) < crowds.FEWEST - 1
    everybody = torch.ones(PEOPLE, dtype=torch.float64)
    assert crowds.find(said, said.foretold(everybody, 0), few.double(), 0.95, 0) is None


def test_who_is_left_out_moves_no_crowd() -> None:
    """Everything of theirs may change, and nothing else does."""
    said = votes(7)
    trusted = (torch.arange(PEOPLE) > 2).double()
    foretold = said.foretold(trusted, 0)
    targets = torch.where(trusted[said.of] == 0, 1 - said.targets, said.targets)
    changed = Hearing(
        said.lines, targets, said.weights, said.is_thumb, said.of, said.people, said.replies, said.features
    )
    one, other = (crowds.find(which, foretold, trusted, 0.95, 0) for which in (said, changed))
    assert one is not None and other is not None
    assert one.share == other.share
    assert one.ahead == other.ahead
    assert torch.equal(one.second[3:] > 0.5, other.second[3:] > 0.5)


def test_contrary_people_left_out_are_no_crowd() -> None:
    rng = Random(1)
    said = votes(0)
    contrary = (said.of < 7) & torch.tensor([rng.random() < 0.95 for _ in said.targets])
    targets = torch.where(contrary, 1 - said.targets, said.targets)
    turned = Hearing(
        said.lines, targets, said.weights, said.is_thumb, said.of, said.people, said.replies, said.features
    )
    heard = trust.weigh(turned, 0.9, 0.45, 0.95, 0)
    assert int(heard.left_out.sum()) >= 6
    assert heard.crowds is None


def test_candour_of_two_crowds_is_not_doubted() -> None:
    assert not candour.examine(votes(12), 0).is_attack
