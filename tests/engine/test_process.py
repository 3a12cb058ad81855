"""The engine as a process of its own, over its real socket."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from backtalk.engine import wire
from backtalk.engine.client import Chunk, Generation, LocalEngine, ask_state
from backtalk.engine.errors import EngineBusy, EngineLost, EngineRefused, LoadFailed
from backtalk.engine.process import MAX_OUTBOX, Connection, listening_at
from backtalk.engine.sampling import Sampling
from tests.engine.conftest import VOCABULARY, tiny_model
from tests.engine.test_runner import greedy_by_transformers

PROMPT = [5, 6, 7]
LONG = Sampling(max_tokens=400, temperature=1, seed=3)
GREEDY = Sampling(max_tokens=20, temperature=0)
ENDLESS = {"eos_token_id": None, "max_position_embeddings": 4096}


@pytest.fixture(scope="module")
def directories(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Two versions that never end a reply by themselves."""
    made = {}
    for number in (1, 2):
        made[number] = tmp_path_factory.mktemp(f"version{number}")
        tiny_model("llama", number, **ENDLESS).save_pretrained(made[number])
        tokenizer.save(str(made[number] / "tokenizer.json"))
    return made


def expected(number: int, count: int = 20) -> list[int]:
    return greedy_by_transformers(tiny_model("llama", number, **ENDLESS), PROMPT, count)


class Process:
    """An engine process."""

    def __init__(self) -> None:
        self.data_dir = Path(tempfile.mkdtemp(prefix="bt-"))  # short enough for a socket, unlike pytest's
        self.address = wire.address(self.data_dir)
        self.words = self.data_dir / "stderr"

    def start(self, *arguments: str) -> "Process":
        command = [sys.executable, "-m", "backtalk.engine", "--data-dir", str(self.data_dir), "--device", "cpu"]
        with self.words.open("ab") as words:
            self.child = subprocess.Popen([*command, "--threads", "1", *arguments], stderr=words)
        return self

    def kill(self, number: int = signal.SIGKILL) -> int:
        self.child.send_signal(number)  # harmless when it has ended
        return self.child.wait(10)

    def remove(self) -> None:
        self.kill()
        sys.stderr.write(self.words.read_text())  # shown where a test fails
        shutil.rmtree(self.data_dir)


@asynccontextmanager
async def client_of(process: Process) -> AsyncIterator[LocalEngine]:
    engine = LocalEngine(process.address)
    await asyncio.wait_for(engine.connect(), 120)
    try:
        yield engine
    finally:
        await engine.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Process]:
    """For tests that leave it alive."""
    process = Process().start()
    yield process
    process.remove()


@pytest.fixture
def process() -> Iterator[Process]:
    """For tests that kill it."""
    process = Process().start()
    yield process
    process.remove()


@asynccontextmanager
async def serving(process: Process, directories: dict[int, Path]) -> AsyncIterator[LocalEngine]:
    async with client_of(process) as engine:
        await engine.load(1, directories[1])
        yield engine
        if engine.is_connected:
            await engine.unload(2)


@pytest.fixture
async def engine(shared: Process, directories: dict[int, Path]) -> AsyncIterator[LocalEngine]:
    """The shared one, connected, with version 1 loaded and no other."""
    async with serving(shared, directories) as engine:
        yield engine


@pytest.fixture
async def mortal(process: Process, directories: dict[int, Path]) -> AsyncIterator[LocalEngine]:
    """One's own, likewise."""
    async with serving(process, directories) as engine:
        yield engine


async def read_all(generation: Generation) -> list[Chunk]:
    return [chunk async for chunk in generation]


def tokens_of(chunks: list[Chunk]) -> list[int]:
    return [token for chunk in chunks for token in chunk.tokens]


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        await asyncio.sleep(0.01)


async def test_a_reply_comes_token_by_token_with_logprobs_and_text(engine: LocalEngine, tokenizer: Tokenizer) -> None:
    chunks = await read_all(engine.generate(PROMPT, 1, GREEDY))
    assert tokens_of(chunks) == expected(1)
    assert "".join(chunk.text for chunk in chunks) == tokenizer.decode(expected(1))
    assert [chunk.finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["length"]
    model = tiny_model("llama", 1, **ENDLESS)
    with torch.inference_mode():
        logits = model(torch.tensor([PROMPT + expected(1)])).logits[0, 2:-1].float().log_softmax(-1)
    logprobs = logits.gather(1, torch.tensor(expected(1))[:, None])[:, 0].tolist()
    assert [logprob for chunk in chunks for logprob in chunk.logprobs] == pytest.approx(logprobs, abs=2e-4)


async def test_it_tells_how_it_computes_what_it_did_and_how_fast(shared: Process, directories: dict[int, Path]) -> None:
    first: list[float] = []
    following: list[float] = []
    engine = LocalEngine(shared.address, on_first=first.append, on_next=following.append)
    await asyncio.wait_for(engine.connect(), 120)
    await engine.load(1, directories[1])
    await read_all(engine.generate(PROMPT, 1, GREEDY, priority="rollout"))  # no person waits for these
    before = (await ask_state(shared.address, 60)) or {}
    await read_all(engine.generate(PROMPT, 1, GREEDY))
    after = (await ask_state(shared.address, 60)) or {}
    await engine.close()
    assert (after["tokens"] - before["tokens"], after["prompt_tokens"] - before["prompt_tokens"]) == (20, 3)
    assert (after["dtype"], after["pages_used"]) == ("float32", 0)
    assert "a small model" in after["how"]
    assert (len(first), len(following)) == (1, 19)
    assert min(first + following) >= 0


async def test_an_engine_that_is_not_there_has_no_state(tmp_path: Path) -> None:
    assert await ask_state(tmp_path / "engine.sock", 0.1) is None


async def test_a_second_version_is_loaded_beside_running_replies_and_the_first_runs_dry(
    engine: LocalEngine, directories: dict[int, Path]
) -> None:
    old = [engine.generate(PROMPT, 1, LONG) for _ in range(4)]
    first = [await anext(generation) for generation in old]
    await engine.load(2, directories[2])
    assert engine.versions == {1, 2}
    unloading = asyncio.create_task(engine.unload(1))
    assert tokens_of(await read_all(engine.generate(PROMPT, 2, GREEDY))) == expected(2)
    with pytest.raises(EngineRefused, match="version 1 is not loaded"):
        await read_all(engine.generate(PROMPT, 1, GREEDY))
    whole = [tokens_of([start, *await read_all(generation)]) for start, generation in zip(first, old, strict=True)]
    assert whole == [whole[0]] * 4  # one seed, one version, to the end
    assert len(whole[0]) == 400
    await asyncio.wait_for(unloading, 5)
    assert engine.versions == {2}


async def test_a_version_on_its_way_out_is_kept_when_it_is_asked_for_again(
    engine: LocalEngine, directories: dict[int, Path]
) -> None:
    generation = engine.generate(PROMPT, 1, Sampling(max_tokens=4000, temperature=1))
    await anext(generation)
    unloading = asyncio.create_task(engine.unload(1))
    await asyncio.sleep(0)
    assert await engine.load(1, directories[1]) == 0
    generation.cancel()
    assert tokens_of(await read_all(engine.generate(PROMPT, 1, GREEDY))) == expected(1)
    unloading.cancel()


async def test_a_cancelled_reply_ends_with_a_last_chunk(engine: LocalEngine) -> None:
    generation = engine.generate(PROMPT, 1, LONG)
    await anext(generation)
    generation.cancel()
    chunks = await read_all(generation)
    assert chunks[-1].finish_reason == "stopped"
    assert len(tokens_of(chunks)) < 400


async def test_closing_a_reply_early_frees_its_seat(engine: LocalEngine) -> None:
    async with engine.generate(PROMPT, 1, Sampling(max_tokens=4000, temperature=1)) as generation:
        await anext(generation)
    await until(lambda: engine.last_beat.get("running") == 0)


async def test_a_client_that_vanishes_in_mid_stream_frees_its_seats(shared: Process, engine: LocalEngine) -> None:
    other = LocalEngine(shared.address)
    await other.connect()
    generations = [other.generate(PROMPT, 1, Sampling(max_tokens=4000, temperature=1)) for _ in range(3)]
    for generation in generations:
        await anext(generation)
    await until(lambda: engine.last_beat.get("running") == 3)
    before = engine.last_beat["step"]
    await other.close()
    await until(lambda: engine.last_beat.get("running") == 0)
    assert engine.last_beat["step"] - before < 3000  # left alone, they would have gone on for some 4,000 steps


async def test_a_killed_engine_is_lost_and_its_successor_continues_the_reply(
    process: Process, mortal: LocalEngine, directories: dict[int, Path]
) -> None:
    engine = mortal
    wish = Sampling(max_tokens=300, temperature=1, seed=5, stop=("never said",))
    undisturbed = await read_all(engine.generate(PROMPT, 1, wish))
    generation, chunks = engine.generate(PROMPT, 1, wish), []
    for _ in range(5):
        chunks.append(await anext(generation))
    process.kill()
    with pytest.raises(EngineLost):
        while True:
            chunks.append(await anext(generation))
    with pytest.raises(EngineLost):
        await anext(engine.generate(PROMPT, 1, wish))
    so_far = tokens_of(chunks)
    assert 0 < len(so_far) < 300
    process.start()
    await asyncio.wait_for(engine.connect(), 120)
    await engine.load(1, directories[1])
    chunks += await read_all(engine.generate(PROMPT + so_far, 1, wish, position=len(so_far)))
    assert tokens_of(chunks) == tokens_of(undisturbed)
    assert "".join(chunk.text for chunk in chunks) == "".join(chunk.text for chunk in undisturbed)


async def test_a_load_that_waits_is_told_that_the_engine_died(process: Process, directories: dict[int, Path]) -> None:
    async with client_of(process) as engine:
        os.kill(process.child.pid, signal.SIGSTOP)
        loading = asyncio.create_task(engine.load(1, directories[1]))
        await asyncio.sleep(0.05)
        process.kill()
        with pytest.raises(EngineLost):
            await loading


async def test_a_frozen_engine_is_seen_to_be_stalled(shared: Process, engine: LocalEngine) -> None:
    generation = engine.generate(PROMPT, 1, Sampling(max_tokens=4000, temperature=1))
    await anext(generation)
    assert not engine.stalled(5)
    os.kill(shared.child.pid, signal.SIGSTOP)
    await until(lambda: engine.stalled(0.6))
    os.kill(shared.child.pid, signal.SIGCONT)
    await until(lambda: not engine.stalled(0.6))
    await generation.aclose()


async def test_beats_without_a_step_are_a_stall_only_while_there_is_work(tmp_path: Path) -> None:
    """A scripted engine: it beats, and its step stands still."""
    beat = {"event": "beat", "step": 7, "running": 1, "waiting": 0, "versions": [], "slots": 1}

    async def stand_still(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(wire.pack({"event": "hello", "versions": []}))
        while not reader.at_eof():
            writer.write(wire.pack(beat))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.02)
        writer.close()

    address = wire.address(tmp_path)
    with listening_at(address):
        server = await asyncio.start_unix_server(stand_still, str(address))
        engine = LocalEngine(address)
        await engine.connect()
        await until(lambda: engine.stalled(0.3))
        beat["running"] = 0
        await until(lambda: not engine.stalled(0.3))
        await asyncio.sleep(0.4)
        assert not engine.stalled(0.3)
        await engine.close()
        server.close()
        await asyncio.sleep(0.1)  # the script sees the end


async def test_an_idle_engine_is_not_stalled(engine: LocalEngine) -> None:
    step = engine.last_beat.get("step")
    await asyncio.sleep(0.8)
    assert engine.last_beat["step"] == step or step is None
    assert not engine.stalled(0.6)


async def test_a_full_engine_refuses_as_busy(directories: dict[int, Path], request: pytest.FixtureRequest) -> None:
    process = Process().start("--slots", "1", "--waiting", "1", "--model", str(directories[1]))
    request.addfinalizer(process.remove)
    async with client_of(process) as engine:
        assert engine.versions == {0}
        running, waiting, refused = (engine.generate(PROMPT, 0, LONG) for _ in range(3))
        await anext(running)
        with pytest.raises(EngineBusy):
            await anext(refused)
        running.cancel()
        assert len(tokens_of(await read_all(waiting))) == 400


async def test_bad_requests_are_refused_and_harm_nobody(engine: LocalEngine) -> None:
    with pytest.raises(EngineRefused, match="version 9 is not loaded") as refusal:
        await anext(engine.generate(PROMPT, 9, GREEDY))
    assert refusal.value.code == "version"
    with pytest.raises(EngineRefused, match="token id is outside"):
        await anext(engine.generate([VOCABULARY], 1, GREEDY))
    with pytest.raises(EngineRefused, match="the prompt has 5000 tokens"):
        await anext(engine.generate([1] * 5000, 1, GREEDY))
    assert tokens_of(await read_all(engine.generate(PROMPT, 1, GREEDY))) == expected(1)


async def test_what_is_no_request_loses_its_sender_and_nobody_else(shared: Process, engine: LocalEngine) -> None:
    for nonsense in (b"\xff\xff\xff\xff", wire.pack({"op": "dance"}), b"\x00\x00\x00\x01\x05", wire.pack({})):
        reader, writer = await asyncio.open_unix_connection(str(shared.address))
        writer.write(nonsense)
        while await reader.read(4096):  # hello, then the end
            pass
        writer.close()
    reader, writer = await asyncio.open_unix_connection(str(shared.address))
    writer.write(wire.pack({"op": "generate", "id": 1, "prompt": "text", "version": 1, "sampling": {"top_p": 7}}))
    while (message := await wire.read(reader))["event"] != "refused":
        pass
    assert (message["id"], message["code"]) == (1, "bad_request")
    writer.close()
    assert tokens_of(await read_all(engine.generate(PROMPT, 1, GREEDY))) == expected(1)


async def test_weights_that_cannot_be_served_are_refused_and_the_running_version_goes_on(
    engine: LocalEngine, directories: dict[int, Path], tmp_path: Path
) -> None:
    def damaged(name: str) -> Path:
        return Path(shutil.copytree(directories[2], tmp_path / name))

    with pytest.raises(LoadFailed, match=r"config.json is missing"):
        await engine.load(5, tmp_path / "nowhere")
    without_text = damaged("without_text")
    (without_text / "tokenizer.json").unlink()
    with pytest.raises(LoadFailed, match=r"tokenizer.json is missing"):
        await engine.load(6, without_text)
    cut_off = damaged("cut_off")
    weights = cut_off / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(LoadFailed, match="cut_off"):
        await engine.load(7, cut_off)
    forged = damaged("forged")
    files = {"config.json": {"sha256": "0" * 64, "size": 1}}
    (forged / "manifest.json").write_text(json.dumps({"number": 1, "parent": None, "run": None, "files": files}))
    with pytest.raises(LoadFailed, match="forged"):
        await engine.load(8, forged)
    with pytest.raises(LoadFailed, match=r"manifest.json"):
        await engine.load(9, directories[2], digest="0" * 64)
    assert engine.versions == {1}
    assert tokens_of(await read_all(engine.generate(PROMPT, 1, GREEDY))) == expected(1)


async def test_it_ends_at_once_when_asked_to_even_in_mid_stream(process: Process, mortal: LocalEngine) -> None:
    generation = mortal.generate(PROMPT, 1, Sampling(max_tokens=4000, temperature=1))
    await anext(generation)
    assert process.kill(signal.SIGTERM) == 0
    assert "Error" not in process.words.read_text(), "nothing went wrong"
    with pytest.raises(EngineLost):
        await read_all(generation)
    assert not process.address.exists()


async def test_a_second_engine_does_not_take_the_address(shared: Process, engine: LocalEngine) -> None:
    command = [sys.executable, "-m", "backtalk.engine", "--data-dir", str(shared.data_dir)]
    second = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert second.returncode == 1
    assert "another engine listens at" in second.stderr
    assert tokens_of(await read_all(engine.generate(PROMPT, 1, GREEDY))) == expected(1)


async def test_a_client_that_does_not_read_is_dropped_and_never_waited_for() -> None:
    server_side, client_side = socket.socketpair()
    _, writer = await asyncio.open_connection(sock=server_side)
    connection, text = Connection(1, writer), "x" * 100_000
    for _ in range(2 * MAX_OUTBOX // len(text)):
        connection.send({"event": "tokens", "items": [[1, text, [], [], None]]})
    assert writer.transport.is_closing()
    client_side.close()
    writer.close()


def test_the_address_lies_in_the_data_directory_unless_it_is_too_long_for_a_socket(tmp_path: Path) -> None:
    assert wire.address(Path("/srv/data")) == Path("/srv/data/engine.sock")
    long = tmp_path / ("x" * 100)
    assert len(os.fsencode(wire.address(long))) <= wire.MAX_ADDRESS
    assert wire.address(long) == wire.address(long)
    assert wire.address(long) != wire.address(long / "y")
