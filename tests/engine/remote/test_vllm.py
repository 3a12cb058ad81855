"""The same contract against the real vLLM (its build for CPUs), where its environment is installed."""

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backtalk import lifeline, starter
from backtalk.engine.errors import EngineRefused
from backtalk.engine.remote.fleet import Fleet
from backtalk.engine.remote.vllm import Vllm
from backtalk.engine.sampling import Sampling
from backtalk.template import Template, Turn
from bench.peers import house
from tests.engine.remote.conftest import free_port

PYTHON = house.home("vllm") / "bin" / "python"
SECONDS_TO_START = 400

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        os.environ.get("BACKTALK_TEST_VLLM") is None or not PYTHON.exists(),
        reason="starts a whole vLLM: install it with `.venv/bin/python -m bench peers` and set BACKTALK_TEST_VLLM=1",
    ),
]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled policy under a version's name."""
    made = tmp_path_factory.mktemp("weights") / "0-aaaaaaaaaaaa"
    copy(Path(starter.FILES), made)
    return made


def copy(source: Path, target: Path) -> None:
    """The files of a version under another name."""
    target.mkdir(exist_ok=True)
    for file in source.iterdir():
        if file.is_file():
            (target / file.name).write_bytes(file.read_bytes())


@pytest.fixture(scope="module")
def address(directory: Path) -> Iterator[str]:
    """A running vLLM."""
    port = free_port()
    here = {
        "VLLM_SERVER_DEV_MODE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
    }
    command = ["-m", "vllm.entrypoints.openai.api_server", "--model", str(directory), "--served-model-name", "base"]
    command += ["--dtype", "float32", "--max-model-len", "1024", "--port", str(port), "--enforce-eager"]
    command += ["--logprobs-mode", "processed_logprobs"]
    whole = [str(PYTHON), lifeline.__file__, str(os.getpid()), *command]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BACKTALK_")} | here
    with subprocess.Popen(whole, env=environment, start_new_session=True) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


async def test_real_vllm_says_what_it_should_and_takes_weights_only_if_it_then_serves_them(
    address: str, directory: Path, tmp_path: Path
) -> None:
    from tests.engine.remote.oracle import greedy

    engine = Fleet("vllm", [Vllm(address)])
    try:
        async with asyncio.timeout(SECONDS_TO_START):
            while not engine.is_connected:
                try:
                    await engine.connect()
                except Exception as error:
                    print(error)
        template = Template(directory)
        prompt = template.render([Turn("user", "What is the capital of France?")])
        tokens, logprobs = await asyncio.to_thread(greedy, directory, prompt, 16)
        canary = [{"prompt": prompt, "tokens": tokens[:1], "logprobs": logprobs[:1]}]
        (directory / "canary.json").write_text(json.dumps(canary))
        await engine.load(0, directory)
        assert engine.versions == {0} and engine.hello["note"] is None

        generation = engine.generate(prompt, 0, Sampling(max_tokens=16, temperature=0))
        chunks = [chunk async for chunk in generation]
        drawn = [token for chunk in chunks for token in chunk.tokens]
        assert drawn == tokens[: len(drawn)] and "".join(chunk.text for chunk in chunks) == template.text(drawn)
        found = [logprob for chunk in chunks for logprob in chunk.logprobs]
        assert found == pytest.approx(logprobs[: len(found)], abs=0.05) and len(found) == len(drawn)

        long = engine.generate(
            prompt, 0, Sampling(max_tokens=900, temperature=1.0, logit_bias=((template.ends[0], -100),))
        )
        await anext(long)
        long.cancel()
        assert [chunk async for chunk in long][-1].finish_reason == "stopped"

        # Weights of which the engine would say something else are refused, and the ones before come back.
        lying = tmp_path / "1-bbbbbbbbbbbb"
        copy(directory, lying)
        wrong = (tokens[0] + 1) % 2048
        (lying / "canary.json").write_text(json.dumps([{**canary[0], "tokens": [wrong]}]))
        with pytest.raises(Exception, match="says something else"):
            await engine.load(1, lying)
        with pytest.raises(EngineRefused):
            async for _ in engine.generate(prompt, 1, Sampling(max_tokens=2)):
                pass
    finally:
        await engine.close()
