"""Figures are counted rightly; how large they are is nobody's test."""

import json
import math
from pathlib import Path

import pytest

from bench import learner, serving
from bench.peers import house
from bench.peers.job import Outcome
from bench.report import percentile, show
from bench.shapes import make
from bench.streams import Timed


def test_percentiles_are_values_that_were_measured() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [percentile(values, share) for share in (0.0, 0.2, 0.5, 0.95, 1.0)] == [1, 1, 3, 5, 5]
    assert math.isnan(percentile([], 0.5))


def test_a_reply_with_a_hole_a_repeat_or_no_end_is_not_whole() -> None:
    assert Timed(0.0, numbers=[1, 2, 3], state="done").is_whole
    assert not Timed(0.0, numbers=[1, 3], state="done").is_whole
    assert not Timed(0.0, numbers=[1, 2, 2], state="done").is_whole
    assert not Timed(0.0, numbers=[1, 2], state="failed").is_whole
    assert not Timed(0.0, numbers=[1, 2]).is_whole


def test_moments_are_counted_from_the_question() -> None:
    reply = Timed(asked=10.0, arrivals=[10.5, 10.75, 11.25])
    assert reply.first == 0.5
    assert reply.gaps == [0.25, 0.5]


def test_each_bench_adds_to_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures.json"
    show("one", [{"people": 1, "ms": 2.5}], out)
    show("two", [{"people": 8}], out)
    figures = json.loads(out.read_text())
    assert figures["one"]["rows"] == [{"people": 1, "ms": 2.5}]
    assert set(figures) == {"one", "two"}
    assert {"cores", "load", "command", "commit"} <= set(figures["one"])
    assert "2.5" in capsys.readouterr().out


def test_peers_are_listed_with_what_pip_installs() -> None:
    peers = house.listed()
    assert all(wanted for wanted in peers.values())
    assert set(peers) <= {*house.MODULES, *learner.PEERS}


@pytest.mark.slow
async def test_ours_answers_a_job_as_every_peer_does(tmp_path: Path) -> None:
    make("S", tmp_path)
    peer = await house.Peer.start("backtalk", tmp_path)
    try:
        outcome = await peer.complete([[5, 6, 7], [8, 9]], 4)
    finally:
        await peer.stop()
    assert outcome.tokens == 8
    assert (len(outcome.first), len(outcome.gaps)) == (2, 6)
    assert outcome.seconds > 0


@pytest.mark.slow
async def test_a_peer_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(house.PeerFailed, match=r"config.json is missing"):
        await house.Peer.start("backtalk", tmp_path)


def test_a_peer_is_compared_by_tokens_per_cpu_second() -> None:
    done = {("backtalk", 1): [Outcome(1, 2.0, 300), Outcome(1, 2.0, 100)], ("other", 1): [Outcome(9, 1.0, 50)]}
    ours, other = serving._compare(["backtalk", "other"], [1], done, {}, {"other": "slow"})
    assert (ours["tok/cpu-s at 1"], ours["ours/theirs at 1"]) == (100, "1.00")
    assert (other["tok/cpu-s at 1"], other["ours/theirs at 1"], other["why not"]) == (50, "2.00", "slow")
