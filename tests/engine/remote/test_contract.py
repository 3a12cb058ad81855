"""What every remote engine does, whatever words it is spoken to in."""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import pytest

from backtalk.engine.client import Chunk, Generation
from backtalk.engine.errors import EngineBusy, EngineLost, EngineRefused, LoadFailed
from backtalk.engine.opening import open_engine
from backtalk.engine.remote import dialects
from backtalk.engine.remote import fleet as fleets
from backtalk.engine.remote import replica as replicas
from backtalk.engine.remote.address import Kind, parse
from backtalk.engine.remote.fleet import Fleet
from backtalk.engine.remote.launch import Launcher
from backtalk.engine.remote.replica import Breaker
from backtalk.engine.sampling import Sampling
from backtalk.settings import Settings
from backtalk.template import Template, Turn
from tests.engine.remote.conftest import FIRST, SECOND, Running, fleet

PATIENCE = 100
KINDS = list(get_args(Kind))
OURS = [kind for kind in KINDS if kind != "openai"]
"""Those that serve our weights."""
TURNS = [Turn("user", "Hi")]
Peers = Callable[..., Running]


@lru_cache
def template_of(directory: Path) -> Template:
    """Read once."""
    return Template(directory)


async def until(condition: Callable[[], Any]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        await asyncio.sleep(0.02)


def ask(engine: Fleet, directory: Path, number: int, count: int = 8, **how: Any) -> Generation:
    """A reply of this version."""
    prompt = template_of(directory).render(TURNS)
    sampling = Sampling(**({"max_tokens": count, "temperature": 0.6, "seed": 1} | how))
    return engine.generate(prompt, number, sampling, turns=TURNS)


async def whole(generation: Generation) -> Chunk:
    """All of a reply."""
    async with asyncio.timeout(PATIENCE):
        chunks = [chunk async for chunk in generation]
    return Chunk(
        "".join(chunk.text for chunk in chunks),
        [token for chunk in chunks for token in chunk.tokens],
        [logprob for chunk in chunks for logprob in chunk.logprobs],
        chunks[-1].finish_reason,
    )


def length(directory: Path, script: str) -> int:
    """Tokens of one round."""
    return len(template_of(directory).tokenizer.encode(script, add_special_tokens=False).ids)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_reply_comes_with_its_tokens_and_the_log_probs_that_it_was_drawn_under(
    kind: Kind, peer: Peers, versions: dict[int, Path]
) -> None:
    round_ = length(versions[0], FIRST)
    async with fleet(peer(kind)) as engine:
        await engine.load(0, versions[0])
        assert engine.versions == {0}
        reply = await whole(ask(engine, versions[0], 0, 2 * round_))
    assert reply.finish_reason == "length"
    if kind == "openai":
        assert reply.text.startswith("abc") and reply.logprobs == []
        assert template_of(versions[0]).text(reply.tokens) == reply.text
        return
    assert reply.text == FIRST * 2
    assert reply.tokens == template_of(versions[0]).tokenizer.encode(FIRST * 2, add_special_tokens=False).ids
    assert reply.logprobs == pytest.approx([0.0] * len(reply.tokens), abs=1e-4)


@pytest.mark.parametrize("kind", OURS)
async def test_a_stop_string_ends_a_reply_and_is_not_said(kind: Kind, peer: Peers, versions: dict[int, Path]) -> None:
    async with fleet(peer(kind)) as engine:
        await engine.load(0, versions[0])
        reply = await whole(ask(engine, versions[0], 0, 100, stop=("bc",)))
    assert (reply.text, reply.finish_reason) == ("a", "stop")
    assert len(reply.tokens) == len(reply.logprobs) <= 3


@pytest.mark.parametrize("kind", KINDS)
async def test_a_cancelled_reply_ends_as_stopped_and_the_engine_stops_working_on_it(
    kind: Kind, peer: Peers, versions: dict[int, Path]
) -> None:
    server = peer(kind)
    server.fault(pace=0.02)
    async with fleet(server) as engine:
        await engine.load(0, versions[0])
        generation = ask(engine, versions[0], 0, 5000)
        first = await anext(generation)
        generation.cancel()
        last = first
        async for chunk in generation:
            last = chunk
        assert last.finish_reason == "stopped"
        await until(lambda: server.tell()["running"] == 0)


@pytest.mark.parametrize("kind", OURS)
async def test_a_reply_goes_on_where_it_was_on_another_replica(
    kind: Kind, peer: Peers, versions: dict[int, Path]
) -> None:
    one, other = peer(kind), peer(kind, copy=1)
    round_ = length(versions[0], FIRST)
    async with fleet(one, other) as engine:
        await engine.load(0, versions[0])
        await until(lambda: all(state["versions"] == [0] for state in engine.state()["replicas"]))
        one.fault(die_at=round_ + 1)
        other.fault(die_at=round_ + 1)
        generation, text, tokens = ask(engine, versions[0], 0, 2 * round_), "", list[int]()
        with pytest.raises(EngineLost):
            async for chunk in generation:
                text, tokens = text + chunk.text, tokens + chunk.tokens
        assert text == FIRST
        one.fault(status=500)
        other.fault()
        prompt = template_of(versions[0]).render(TURNS)
        sampling = Sampling(max_tokens=2 * round_, temperature=0.6, seed=1)
        rest = await whole(engine.generate([*prompt, *tokens], 0, sampling, position=len(tokens), turns=TURNS))
    assert text + rest.text == FIRST * 2
    assert len(tokens) + len(rest.tokens) == 2 * round_


@pytest.mark.parametrize("kind", OURS)
async def test_an_engine_that_serves_other_weights_than_it_was_asked_for_fails_the_reply_loudly(
    kind: Kind, peer: Peers, versions: dict[int, Path]
) -> None:
    server = peer(kind)
    async with fleet(server) as engine:
        await engine.load(0, versions[0])
        server.fault(says="9-999999999999")
        with pytest.raises(EngineRefused) as caught:
            await whole(ask(engine, versions[0], 0))
        assert caught.value.code == "wrong_version"
        assert "9-999999999999" in str(caught.value)
        assert 0 not in engine.versions, "it is asked again what it serves before it gets another reply"


@pytest.mark.parametrize("kind", OURS)
async def test_a_version_that_says_something_else_than_its_maker_wrote_down_is_not_served(
    kind: Kind, peer: Peers, versions: dict[int, Path], tmp_path: Path
) -> None:
    directory = tmp_path / versions[0].name
    directory.mkdir()
    for file in versions[0].iterdir():
        (directory / file.name).write_bytes(file.read_bytes())
    template = template_of(directory)
    prompt = template.render(TURNS)
    right, wrong = (template.tokenizer.encode(text, add_special_tokens=False).ids[0] for text in (FIRST, SECOND))
    async with fleet(peer(kind)) as engine:
        for token in (wrong, right):
            canary = [{"prompt": prompt, "tokens": [token], "logprobs": [0.0]}]
            (directory / "canary.json").write_text(json.dumps(canary))
            if token == wrong:
                with pytest.raises(LoadFailed, match="says something else"):
                    await engine.load(0, directory)
                assert not engine.versions
        await until(lambda: engine.state()["replicas"][0]["up"])
        await engine.load(0, directory)
        assert engine.versions == {0}


@pytest.mark.parametrize("kind", ["vllm", "tgi"])
async def test_an_engine_that_reads_other_tokens_is_not_served_from(
    kind: Kind, peer: Peers, versions: dict[int, Path]
) -> None:
    server = peer(kind)
    server.fault(reads_wrong=True)
    async with fleet(server) as engine:
        with pytest.raises(LoadFailed, match="reads other tokens"):
            await engine.load(0, versions[0])


@pytest.mark.parametrize("kind", KINDS)
async def test_a_reply_that_gets_no_token_fails_in_time_and_never_hangs(
    kind: Kind, peer: Peers, versions: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = peer(kind)
    async with fleet(server) as engine:
        await engine.load(0, versions[0])
        monkeypatch.setattr(fleets, "NEXT_SECONDS", 0.5)
        monkeypatch.setattr(fleets, "FIRST_SECONDS", 0.5)
        server.fault(hang_at=3)
        with pytest.raises((EngineLost, EngineRefused), match="sent nothing"):
            await whole(ask(engine, versions[0], 0))
        await until(lambda: server.tell()["running"] == 0)


async def test_a_reply_that_begins_goes_to_the_least_busy_replica(peer: Peers, versions: dict[int, Path]) -> None:
    one, other = peer("vllm"), peer("vllm", copy=1)
    for server in (one, other):
        server.fault(pace=0.02)
    async with fleet(one, other) as engine:
        await engine.load(0, versions[0])
        await until(lambda: all(state["versions"] == [0] for state in engine.state()["replicas"]))
        generations = [ask(engine, versions[0], 0, 2000) for _ in range(6)]
        for generation in generations:
            await anext(generation)
        assert [state["running"] for state in engine.state()["replicas"]] == [3, 3]
        for generation in generations:
            await generation.aclose()


async def test_a_replica_that_fails_is_left_alone_and_the_others_answer(
    peer: Peers, versions: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "FIRST_PAUSE", 1000.0)
    monkeypatch.setattr(replicas, "LAST_PAUSE", 1000.0)
    bad, good = peer("vllm"), peer("vllm", copy=1)
    async with fleet(bad, good) as engine:
        await engine.load(0, versions[0])
        await until(lambda: all(state["versions"] == [0] for state in engine.state()["replicas"]))
        before = bad.tell()["asked"]
        bad.fault(die_at=1)
        for _ in range(12):
            assert (await whole(ask(engine, versions[0], 0))).tokens, "nobody sees that a replica fails"
        assert engine.state()["replicas"][0]["resting"]
        assert bad.tell()["asked"] - before == replicas.FAILURES


def test_a_breaker_opens_after_failures_in_a_row_and_lets_one_through_later() -> None:
    breaker = Breaker()
    for _ in range(replicas.FAILURES - 1):
        breaker.fail(100.0)
    assert breaker.allows(100.0)
    breaker.fail(100.0)
    assert not breaker.allows(100.9) and breaker.allows(101.0)
    breaker.fail(101.0)
    assert not breaker.allows(102.9) and breaker.allows(103.0)
    breaker.succeed()
    assert breaker.allows(103.0) and breaker.failures == 0


async def test_an_adapter_lies_beside_the_full_weights_under_a_name_of_its_own(
    peer: Peers, versions: dict[int, Path]
) -> None:
    server = peer("vllm", fresh=True)
    async with fleet(server) as engine:
        await engine.load(0, versions[0])
        await engine.load(2, versions[2])
        assert engine.versions == {0, 2} and engine.room > 2
        assert server.tell()["adapters"] == [versions[2].name]
        both = await asyncio.gather(whole(ask(engine, versions[0], 0, 12)), whole(ask(engine, versions[2], 2, 12)))
        assert both[0].text.startswith("abc") and both[1].text.startswith("xyz")
        await engine.unload(2)
        assert server.tell()["adapters"] == [] and engine.versions == {0}


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
async def test_the_only_replica_turns_to_new_weights_between_replies(
    kind: Kind, peer: Peers, versions: dict[int, Path]
) -> None:
    server = peer(kind, fresh=True)
    server.fault(pace=0.01)
    async with fleet(server) as engine:
        await engine.load(0, versions[0])
        engine.prefer(0)
        assert engine.room == 1
        running = ask(engine, versions[0], 0, 60)
        await anext(running)
        await engine.load(1, versions[1])  # the peer asserts that nobody is cut
        assert running.is_finished and engine.versions == {1}
        assert (await whole(ask(engine, versions[1], 1, 12))).text.startswith("xyz")
        with pytest.raises(EngineRefused) as caught:
            await whole(ask(engine, versions[0], 0))
        assert caught.value.code == "version", "whoever is bound to it loads it again"
    server.kill()


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
async def test_two_replicas_turn_one_after_the_other_while_people_go_on_writing(
    kind: Kind, peer: Peers, versions: dict[int, Path]
) -> None:
    servers = [peer(kind, fresh=True), peer(kind, copy=1, fresh=True)]
    for server in servers:
        server.fault(pace=0.005)
    async with fleet(*servers) as engine:
        await engine.load(0, versions[0])
        engine.prefer(0)
        await until(lambda: all(state["versions"] == [0] for state in engine.state()["replicas"]))
        live, is_over = 0, False
        failures: list[str] = []

        async def write() -> int:
            count = 0
            while not is_over:
                number = live
                try:
                    reply = await whole(ask(engine, versions[number], number, 30))
                except EngineRefused as refused:
                    assert isinstance(refused, EngineBusy) or refused.code == "version"  # the same again will do
                    await asyncio.sleep(0.05)
                    continue
                if not reply.text.startswith(("abc", "xyz")[number]) or reply.text[3:6] in ("xyz", "abc"):
                    failures.append(f"{number}: {reply.text}")
                count += 1
            return count

        writers = [asyncio.create_task(write()) for _ in range(4)]
        await asyncio.sleep(0.2)
        await engine.load(1, versions[1])
        live = 1
        engine.prefer(1)
        await engine.unload(0)
        await until(lambda: all(state["versions"] == [1] for state in engine.state()["replicas"]))
        is_over = True
        counts = await asyncio.gather(*writers)
    assert not failures and sum(counts) > 4
    for server in servers:
        server.kill()


async def test_tgi_takes_a_new_version_by_a_new_replica_and_ends_the_old_one_when_it_is_dry(
    versions: dict[int, Path],
) -> None:
    launch = f"{sys.executable} -m tests.engine.remote.peer tgi {{port}} {{directory}}"
    launcher = Launcher(launch, "http://127.0.0.1:1", dialects.of("tgi"))
    engine = Fleet("tgi", [], launcher=launcher)
    try:
        await engine.connect()
        await engine.load(0, versions[0])
        engine.prefer(0)
        (old,) = engine.state()["replicas"]
        running = ask(engine, versions[0], 0, 400)
        await anext(running)
        await engine.load(1, versions[1])
        assert engine.versions == {0, 1}
        unloading = asyncio.create_task(engine.unload(0))
        assert (await whole(ask(engine, versions[1], 1, 12))).text.startswith("xyz")
        rest = await whole(running)
        assert rest.finish_reason == "length", "it was not cut"
        await unloading
        (left,) = engine.state()["replicas"]
        assert left["url"] != old["url"] and left["versions"] == [1]
        with pytest.raises(LoadFailed, match="ended with"):
            bad = versions[0].with_name("3-dddddddddddd")
            bad.mkdir(exist_ok=True)
            for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
                (bad / name).write_bytes((versions[0] / name).read_bytes())
            await engine.load(3, bad)
    finally:
        await engine.close()


async def test_tgi_started_by_others_joins_when_it_says_what_it_should(peer: Peers, versions: dict[int, Path]) -> None:
    async with fleet(peer("tgi"), peer("tgi", 1)) as engine:
        await engine.load(0, versions[0])
        await engine.load(1, versions[1])
        assert engine.versions == {0, 1}
        assert (await whole(ask(engine, versions[1], 1, 12))).text.startswith("xyz")
    async with fleet(peer("tgi")) as engine:
        with pytest.raises(LoadFailed, match="needs a replica started with 1-bbbbbbbbbbbb"):
            await engine.load(1, versions[1])


async def test_tgi_is_not_given_text_that_it_would_read_otherwise(peer: Peers, versions: dict[int, Path]) -> None:
    prompt = template_of(versions[0]).render([Turn("user", "what is <|end|>?")])
    async with fleet(peer("tgi")) as engine:
        await engine.load(0, versions[0])
        with pytest.raises(EngineRefused, match="special token") as caught:
            await whole(engine.generate(prompt, 0, Sampling(max_tokens=4)))
        assert caught.value.code == "bad_request"


async def test_tgi_that_is_full_is_told_as_busy(peer: Peers, versions: dict[int, Path]) -> None:
    server = peer("tgi")
    async with fleet(server) as engine:
        await engine.load(0, versions[0])
        server.fault(overloaded=True)
        with pytest.raises(EngineBusy):
            await whole(ask(engine, versions[0], 0))


async def test_raw_log_probs_of_vllm_are_kept_only_where_they_are_those_of_the_draw(
    peer: Peers, versions: dict[int, Path], tmp_path: Path
) -> None:
    soft = tmp_path / "0-eeeeeeeeeeee"
    soft.mkdir()
    for file in versions[0].iterdir():
        (soft / file.name).write_bytes(file.read_bytes())
    from safetensors.numpy import load_file, save_file

    tensors = load_file(soft / "model.safetensors")
    tensors["lm_head.weight"] = tensors["lm_head.weight"] / 500  # so that no token is certain
    save_file(tensors, soft / "model.safetensors", metadata={"format": "pt"})
    from tests.engine.remote.conftest import start_peer

    server = start_peer("vllm", soft)
    try:
        server.fault(raw=True)
        async with fleet(server) as engine:
            await engine.load(0, soft)
            assert "processed_logprobs" in engine.hello["note"]
            assert (await whole(ask(engine, soft, 0))).logprobs == []
            assert len((await whole(ask(engine, soft, 0, temperature=1.0))).logprobs) == 8
    finally:
        server.kill()


async def test_an_openai_server_takes_no_weights_and_says_so(peer: Peers, versions: dict[int, Path]) -> None:
    async with fleet(peer("openai")) as engine:
        await engine.load(0, versions[0])
        with pytest.raises(LoadFailed, match="takes no weights"):
            await engine.load(1, versions[1])
        assert "PPO is off" in engine.hello["note"] and engine.hello["logprobs"] is False
        with pytest.raises(EngineRefused, match="cannot go on"):
            await whole(engine.generate([5, 6], 0, Sampling(max_tokens=4), position=1))


async def test_when_no_engine_is_there_it_is_said_and_it_is_found_when_it_comes(
    peer: Peers, versions: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = peer("sglang", fresh=True)
    told: list[str] = []
    callbacks = {"on_connected": lambda: told.append("there"), "on_lost": lambda: told.append("lost")}
    async with fleet(server, **callbacks) as engine:
        await engine.load(0, versions[0])
        server.kill()
        await until(lambda: not engine.is_connected)
        assert engine.versions == frozenset() and engine.state()["replicas"][0]["problem"]
        with pytest.raises(EngineLost):
            await whole(ask(engine, versions[0], 0))
        monkeypatch.setattr(fleets, "GIVE_UP_SECONDS", 0.2)
        with pytest.raises(EngineLost, match="no engine is there"):
            await engine.connect()
        from tests.engine.remote.conftest import start_peer

        again = start_peer("sglang", versions[0], server.port)
        try:
            await until(lambda: engine.versions == {0})  # it is loaded again by itself
            assert told == ["there", "lost", "there"]
        finally:
            again.kill()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vllm", "expected local, vllm"),
        ("ollama+http://a", "expected local, vllm"),
        ("vllm+ftp://a", "expected an address"),
        ("tgi+http://me:secret@a", "engine_key_file"),
        ("tgi+http://a,http://a/", "twice"),
    ],
)
def test_an_address_that_is_none_is_refused_with_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_several_replicas_stand_after_commas() -> None:
    address = parse("vllm+http://a:8000, http://b:8000/")
    assert address is not None and address.urls == ("http://a:8000", "http://b:8000")
    assert parse("local") is None


async def test_the_key_of_an_engine_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret\n")
    settings = Settings(data_dir=tmp_path, engine="vllm+http://127.0.0.1:9", engine_key_file=tmp_path / "key")
    engine = open_engine(settings)
    assert isinstance(engine, Fleet)
    assert [one.dialect.http.headers["authorization"] for one in engine._replicas] == ["Bearer secret"]
    await engine.close()
