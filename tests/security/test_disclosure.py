"""`SECURITY.md` names every demand, where it is kept and what proves it; and all of that is there (SEC-24)."""

import re

import pytest

from tests.faults.figures import ROOT

PAGE = (ROOT / "SECURITY.md").read_text()
ROWS = {cells[1].strip(): cells[2:5] for line in PAGE.splitlines() if len(cells := line.split("|")) == 6}
ITEMS = [f"SEC-{number:02}" for number in range(1, 25)]


@pytest.mark.parametrize("item", ITEMS)
def test_each_demand_has_a_keeper_and_a_proof_or_is_called_open(item: str) -> None:
    _, keepers, proof = ROWS[item]
    paths = re.findall(r"`([^`]+)`", keepers)
    assert paths
    proofs = [path for path in re.findall(r"`([^`]+)`", proof) if path.startswith("tests/")]
    assert proofs or "open" in proof
    for path in [*paths, *proofs]:
        assert (ROOT / path).exists(), path


def test_what_is_not_defended_is_said() -> None:
    section = PAGE.split("## What is not defended")[1].split("\n## ")[0]
    for word in ("malicious admin", "host", "majority of trusted raters", "Supply chain"):
        assert word in section


def test_somebody_who_finds_a_hole_learns_how_to_tell_us() -> None:
    assert "Report a vulnerability" in PAGE
    assert "Supported is" in PAGE
