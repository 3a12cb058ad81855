"""Numbers are chosen by what pays here."""

import pytest
import torch

from backtalk.engine import calibrate
from backtalk.engine.calibrate import SMALL, choose, gain_of_bfloat16

CPU = torch.device("cpu")


def test_a_small_model_is_served_in_float32_without_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate, "gain_of_bfloat16", lambda: pytest.fail("measured"))
    assert choose(CPU, SMALL - 1).dtype == torch.float32


@pytest.mark.parametrize(("gain", "dtype"), [(0.3, torch.float32), (1.1, torch.float32), (1.9, torch.bfloat16)])
def test_a_large_one_takes_bfloat16_only_where_it_pays(
    gain: float, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate, "gain_of_bfloat16", lambda: gain)
    choice = choose(CPU, SMALL)
    assert choice.dtype == dtype
    assert f"{gain:.1f}" in choice.why


def test_this_machine_can_be_measured() -> None:
    assert 0.01 < gain_of_bfloat16() < 100
