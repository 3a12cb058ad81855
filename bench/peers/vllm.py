"""vLLM's whole CPU server, asked over HTTP as its users do, with log-probs."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from bench.peers.job import CORE, Outcome, answer, cpu_of, pin_family, timed

PORT = 8917
SECONDS_TO_START = 400


async def complete(process: int, prompts: list[list[int]], count: int) -> Outcome:
    """All prompts at once, token by token."""
    import aiohttp  # its environment brings it

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        began, cpu = time.perf_counter(), cpu_of(process)

        async def read(prompt: list[int]) -> list[float]:
            wish: dict[str, Any] = {"model": "m", "prompt": prompt, "max_tokens": count, "temperature": 0}
            wish |= {"stream": True, "ignore_eos": True, "logprobs": 1, "return_token_ids": True}
            arrivals: list[float] = []
            async with session.post(f"http://127.0.0.1:{PORT}/v1/completions", json=wish) as response:
                async for line in response.content:
                    if line.startswith(b"data: {"):
                        choices = json.loads(line[6:])["choices"]
                        made = len(choices[0].get("token_ids") or ()) if choices else 0
                        arrivals += [time.perf_counter() - began] * made
            return arrivals

        arrivals = await asyncio.gather(*map(read, prompts))
        return timed(arrivals, time.perf_counter() - began, cpu_of(process) - cpu)


def main(model: Path) -> None:
    """Serve the model of this directory until there are no more jobs."""
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
    command += ["--served-model-name", "m", "--dtype", "bfloat16", "--max-model-len", "1024", "--port", str(PORT)]
    here = {"VLLM_CPU_OMP_THREADS_BIND": str(CORE), "VLLM_CPU_KVCACHE_SPACE": "2", "HF_HUB_OFFLINE": "1"}
    here["VLLM_NO_USAGE_STATS"] = "1"
    with subprocess.Popen(command, env={**os.environ, **here}, stdout=sys.stderr) as process:
        try:
            wait_for(process)
            pin_family(process.pid)
            answer(lambda prompts, count: asyncio.run(complete(process.pid, prompts, count)), dtype="bfloat16")
        finally:
            process.terminate()


def wait_for(process: "subprocess.Popen[bytes]") -> None:
    """Until it is healthy."""
    end = time.monotonic() + SECONDS_TO_START
    while process.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=1)
            return
        except OSError:
            time.sleep(0.5)
    sys.exit("vLLM's server did not start")


if __name__ == "__main__":
    assert shutil.which("g++"), "vLLM compiles at start: install g++"
    main(Path(sys.argv[1]))
