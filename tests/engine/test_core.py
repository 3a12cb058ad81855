"""The engine without a process: versions beside each other, admission, cancelling."""

import os
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from backtalk.engine.core import Core, Resident
from backtalk.engine.errors import EngineBusy, EngineRefused
from backtalk.engine.runner import PackedRunner
from backtalk.engine.sampling import Sampling
from backtalk.engine.scheduler import Limits
from tests.engine.conftest import tiny_model
from tests.engine.test_runner import greedy_by_transformers, run, runner_of

PROMPT = [5, 6, 7]
GREEDY = Sampling(max_tokens=12, temperature=0)


def core_with(*numbers: int, tokenizer: Tokenizer | None = None, **limits: int) -> Core:
    core = Core(Limits(**limits))
    for number in numbers:
        core.install(number, Resident(runner_of(tiny_model("llama", seed=number, eos_token_id=None)), tokenizer))
    return core


def expected(number: int) -> list[int]:
    return greedy_by_transformers(tiny_model("llama", seed=number, eos_token_id=None), PROMPT, 12)


def test_two_versions_run_at_once_and_each_reply_is_of_its_own() -> None:
    core = core_with(1, 2)
    for id in range(6):
        core.submit(id, PROMPT, GREEDY, version=1 + id % 2)
    replies: dict[object, list[int | None]] = {id: [] for id in range(6)}
    for output in run(core):
        replies[output.request.id].append(output.token)
    assert expected(1) != expected(2)
    assert replies == {id: expected(1 + id % 2) for id in range(6)}


def test_a_version_whose_prompts_all_wait_for_those_of_another_loses_none() -> None:
    """The first request of a new version comes while the old one's prompts take up whole steps."""
    core = core_with(1, 2, prefill=8)
    long = [5 + at % 50 for at in range(40)]
    core.submit("long", long, GREEDY, version=1)
    core.submit("new", PROMPT, GREEDY, version=2)
    replies: dict[object, list[int | None]] = {"long": [], "new": []}
    for output in run(core):
        assert output.finish_reason != "error"
        replies[output.request.id].append(output.token)
    assert replies["new"] == expected(2)
    assert replies["long"] == greedy_by_transformers(tiny_model("llama", seed=1, eos_token_id=None), long, 12)


def test_a_retired_version_runs_dry_and_takes_nobody_new() -> None:
    core = core_with(1, 2)
    core.submit("old", PROMPT, GREEDY, version=1)
    core.step()
    core.retire(1)
    with pytest.raises(EngineRefused, match=r"version 1 is not loaded; loaded are \[2\]") as refusal:
        core.submit("new", PROMPT, GREEDY, version=1)
    assert refusal.value.code == "version"
    assert core.sweep() == []
    tokens = [output.token for output in run(core)]
    assert tokens == expected(1)[1:]
    assert core.sweep() == [1]
    assert list(core.versions) == [2]


def test_a_newcomer_joins_running_replies_at_the_next_step() -> None:
    core = core_with(1)
    core.submit("first", PROMPT, GREEDY, version=1)
    core.step()
    core.submit("second", PROMPT, GREEDY, version=1)
    assert {output.request.id for output in core.step()} == {"first", "second"}


def test_a_cancelled_reply_makes_no_further_token() -> None:
    core = core_with(1)
    core.submit("kept", PROMPT, GREEDY, version=1)
    core.submit("cancelled", PROMPT, GREEDY, version=1)
    core.step()
    output = core.cancel("cancelled")
    assert output is not None
    assert (output.finish_reason, output.token) == ("stopped", None)
    assert {output.request.id for output in core.step()} == {"kept"}
    assert core.cancel("cancelled") is None


def test_a_cancelled_reply_leaves_its_neighbours_undisturbed() -> None:
    """The last row moves into the freed seat, keys and all."""
    core = core_with(1)
    for id in range(4):
        core.submit(id, PROMPT, GREEDY, version=1)
    before = [output.token for output in core.step() + core.step() if output.request.id == 3]
    core.cancel(0)
    after = [output.token for output in run(core) if output.request.id == 3]
    assert before + after == expected(1)


def test_a_preempted_rollout_goes_on_where_it_was() -> None:
    core = core_with(1, slots=1)
    core.submit("rollout", PROMPT, GREEDY, version=1, priority="rollout")
    outputs = core.step() + core.step()
    core.submit("chat", [9, 9], GREEDY, version=1)
    outputs += run(core)
    assert [output.token for output in outputs if output.request.id == "rollout"] == expected(1)
    assert outputs[2].request.id == "chat"


def test_a_version_that_comes_back_finds_nothing_of_its_old_cache() -> None:
    core = core_with(1)
    prompt = list(range(1, 60))
    core.submit(0, prompt, GREEDY, version=1)
    before = [output.token for output in run(core)]
    core.retire(1)
    assert core.sweep() == [1]
    core.install(1, Resident(runner_of(tiny_model("llama", seed=1, eos_token_id=None))))
    core.submit(1, prompt, GREEDY, version=1)
    assert [output.token for output in run(core)] == before


def test_versions_of_one_shape_share_the_room_of_one_cache() -> None:
    core = core_with(1, 2)
    one, two = (core.versions[number].runner for number in (1, 2))
    assert isinstance(one, PackedRunner) and isinstance(two, PackedRunner)
    assert one._cache is two._cache


def test_a_large_cache_costs_nothing_until_it_is_used() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    core = core_with(1, tokens=2_000_000)  # of 1 KiB each
    core.submit(0, PROMPT, GREEDY, version=1)
    assert len(run(core)) == 12
    assert resident() - before < 200_000_000


def test_text_comes_with_the_tokens_and_a_stop_string_ends_it(tokenizer: Tokenizer) -> None:
    core = core_with(1, tokenizer=tokenizer)
    whole = tokenizer.decode(expected(1))
    core.submit("free", PROMPT, GREEDY, version=1)
    assert "".join(output.text for output in run(core)) == whole
    stop = whole[3:5]
    core.submit("stopped", PROMPT, Sampling(max_tokens=12, temperature=0, stop=(stop,)), version=1)
    outputs = run(core)
    assert "".join(output.text for output in outputs) == whole[: whole.index(stop)]
    assert outputs[-1].finish_reason == "stop"


def test_a_resumed_reply_does_not_repeat_its_text_and_stops_across_the_cut(tokenizer: Tokenizer) -> None:
    core = core_with(1, tokenizer=tokenizer)
    tokens = expected(1)
    whole = tokenizer.decode(tokens)
    for cut in range(1, 11):
        core.submit("a", PROMPT, Sampling(max_tokens=cut, temperature=0), version=1)
        outputs = run(core)
        shown = "".join(output.text for output in outputs[:-1])
        # Lost before the last chunk's flush came: what is resumed gives exactly what is missing.
        core.submit("b", PROMPT + tokens[: cut - 1], GREEDY, version=1, position=cut - 1)
        assert shown + "".join(output.text for output in run(core)) == whole


@pytest.mark.parametrize(
    ("prompt", "position", "code"),
    [
        ([], 0, "bad_request"),
        ([320], 0, "bad_request"),
        ([-1], 0, "bad_request"),
        ([1] * 256, 0, "too_long"),
        (PROMPT, 3, "bad_request"),
        (PROMPT, -1, "bad_request"),
        ([1] * 20, 12, "bad_request"),
    ],
)
def test_what_cannot_be_answered_is_refused(prompt: list[int], position: int, code: str) -> None:
    with pytest.raises(EngineRefused) as refusal:
        core_with(1).submit("x", prompt, GREEDY, version=1, position=position)
    assert refusal.value.code == code


def test_a_full_line_is_refused_and_leaves_nothing_behind() -> None:
    core = core_with(1, slots=1, waiting=1)
    core.submit(0, PROMPT, GREEDY, version=1)
    core.submit(1, PROMPT, GREEDY, version=1)
    with pytest.raises(EngineBusy):
        core.submit(2, PROMPT, GREEDY, version=1)
    run(core)
    core.submit(2, PROMPT, GREEDY, version=1)
    assert len(run(core)) == 12


def test_a_device_that_fails_ends_that_versions_requests_only(monkeypatch: pytest.MonkeyPatch) -> None:
    core = core_with(1, 2)
    core.submit("unlucky", PROMPT, GREEDY, version=1)
    core.submit("lucky", PROMPT, GREEDY, version=2)

    def fail(chunks: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(core.versions[1].runner, "_compute", lambda decoding, chunks: fail(chunks))
    outputs = run(core)
    assert [o.finish_reason for o in outputs if o.request.id == "unlucky"] == ["error"]
    assert [o.token for o in outputs if o.request.id == "lucky"] == expected(2)
    monkeypatch.undo()
    core.submit("again", PROMPT, GREEDY, version=1)
    assert [output.token for output in run(core)] == expected(1)
