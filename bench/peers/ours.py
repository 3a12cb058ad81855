"""Our engine, as the product runs it: a process of its own, asked over its socket, log-probs and all."""

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from backtalk import lifeline
from backtalk.engine import wire
from backtalk.engine.client import LocalEngine
from backtalk.engine.sampling import Sampling
from bench.peers.job import Outcome, answer, cpu_of, pin_family, timed


async def complete(engine: LocalEngine, process: int, prompts: list[list[int]], count: int) -> Outcome:
    """All prompts at once, token by token."""
    began, cpu = time.perf_counter(), cpu_of(process)

    async def read(prompt: list[int]) -> list[float]:
        arrivals: list[float] = []
        async for chunk in engine.generate(prompt, 0, Sampling(max_tokens=count, temperature=0)):
            arrivals += [time.perf_counter() - began] * len(chunk.tokens)
        return arrivals

    arrivals = await asyncio.gather(*map(read, prompts))
    return timed(arrivals, time.perf_counter() - began, cpu_of(process) - cpu)


async def is_there(engine: LocalEngine, process: "subprocess.Popen[bytes]") -> bool:
    """Wait for the engine, or for its end."""
    connecting = asyncio.create_task(engine.connect())
    while not connecting.done() and process.poll() is None:  # noqa: ASYNC110  # a process has no event to wait for
        await asyncio.sleep(0.05)
    return connecting.done()


def main(model: Path) -> None:
    """Serve the model of this directory until there are no more jobs."""
    with tempfile.TemporaryDirectory(prefix="bt-") as directory, asyncio.Runner() as runner:
        command = lifeline.command("-m", "backtalk.engine", "--data-dir", directory, "--model", str(model))
        command += ["--threads", "1", "--slots", "128", "--waiting", "1024", "--device", "cpu"]
        engine = LocalEngine(wire.address(Path(directory)))
        with subprocess.Popen(command, stdout=sys.stderr) as process:
            try:
                if not runner.run(is_there(engine, process)):
                    sys.exit("the engine did not start")
                pin_family(process.pid)
                answer(
                    lambda prompts, count: runner.run(complete(engine, process.pid, prompts, count)),
                    dtype=engine.hello["dtype"],
                )
            finally:
                process.terminate()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
