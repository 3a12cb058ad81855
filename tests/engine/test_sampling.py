"""The value that says how a reply is drawn."""

from typing import Any

import pytest

from backtalk.engine.errors import InvalidSampling
from backtalk.engine.sampling import Sampling


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", 0),
        ("max_tokens", 1.5),
        ("max_tokens", True),
        ("temperature", -0.1),
        ("temperature", 0.001),
        ("temperature", float("nan")),
        ("temperature", "hot"),
        ("top_p", 0),
        ("top_p", 1.01),
        ("top_k", -1),
        ("min_p", 2),
        ("repetition_penalty", 0),
        ("seed", 2**63),
        ("seed", 0.5),
        ("stop", "word"),
        ("stop", ("",)),
        ("stop", ("x",) * 17),
        ("stop", (3,)),
        ("logit_bias", (3,)),
        ("logit_bias", {"3": 1}),
        ("logit_bias", ((-1, 1.0),)),
        ("logit_bias", ((3, 101.0),)),
        ("logit_bias", ((3, 1.0),) * 1025),
    ],
)
def test_what_cannot_be_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(InvalidSampling, match=field):
        Sampling(**{field: value})


def test_it_survives_the_wire() -> None:
    wish = Sampling(max_tokens=5, temperature=0, top_k=3, seed=-4, stop=("\n", "你"), logit_bias=((7, -2.5), (8, 1)))
    assert Sampling.from_dict(wish.to_dict()) == wish


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(InvalidSampling, match="unknown sampling field 'temprature'"):
        Sampling.from_dict({"temprature": 1})


def test_a_seed_is_drawn_once_and_kept() -> None:
    seeded = Sampling().seeded()
    assert seeded.seed is not None
    assert seeded.seeded() is seeded
    assert Sampling().seeded() != seeded
