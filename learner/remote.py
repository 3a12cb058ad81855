"""Rollouts drawn by vLLM or SGLang: the policy in training goes there before each batch, and the replies come back.

Another engine computes in another precision and order, so it draws from a slightly other policy than the one that
learns. PPO measures how far they are apart on the very tokens drawn, weighs each token by the truncated ratio of both
(`ppo.truncated_weights`), and ends the run where they are too far apart (`Ppo.maximum_gap`): an engine that serves
other weights, or log-probs of another distribution, must not teach.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgpack
from transformers import PreTrainedModel
from typing_extensions import override

from backtalk.engine.errors import EngineBusy, EngineError, EngineLost
from backtalk.engine.remote import dialects
from backtalk.engine.remote.address import parse
from backtalk.engine.remote.fleet import Fleet
from backtalk.engine.sampling import FinishReason, Sampling
from backtalk.settings import Settings
from backtalk.template import Template
from learner import parallel
from learner.publish import round_as_served, write_model
from learner.rollouts import Draw, Drawn, RolloutFailed, draw

ATTEMPTS = 6
"""So often is a reply asked for anew whose replica was lost or busy."""
PAUSE_SECONDS = 0.5


@contextmanager
def drawing(settings: Settings, source: Path) -> Iterator[Draw]:
    """How a run draws its rollouts: in its own processes, or on the engines that `BACKTALK_ROLLOUT_ENGINE` names.

    Args:
        source: directory of the version that the run begins at, for all but the weights.
    """
    address = parse(settings.rollout_engine)
    if address is None:
        yield draw
        return
    make = dialects.of(address.kind)
    key = settings.engine_key()
    home = settings.weights_dir / f".rollouts-{uuid4().hex[:12]}"
    with asyncio.Runner() as runner:
        remote = RemoteDraw(runner, lambda: Fleet(address.kind, [make(url, key) for url in address.urls]), source, home)
        try:
            yield remote
        finally:
            remote.close()


class RemoteDraw(Draw):
    """One fleet, which holds the newest policy of one run."""

    is_remote = True

    def __init__(self, runner: asyncio.Runner, open_fleet: Any, source: Path, home: Path) -> None:
        """
        Args:
            open_fleet: makes the fleet, in the loop of `runner`.
            source: directory of a version, for all but the weights.
            home: directory for the weights under way, seen under the same path by the engines.
        """
        self._runner, self._open, self._source, self._home = runner, open_fleet, source, home
        self._fleet: Fleet | None = None
        self._number = 0

    @override
    def complete(
        self,
        model: PreTrainedModel,
        template: Template,
        prompts: Sequence[tuple[int, ...]],
        wishes: Sequence[Sampling],
    ) -> Sequence[Drawn]:
        """See `Draw`.

        Raises:
            RolloutFailed: the engines are not there, do not take the weights, or give no log-probs of their draws.
        """
        served = parallel.copied(model)
        found = b""
        if parallel.rank() == 0:
            try:
                found = msgpack.packb(self._runner.run(self._draw(served, prompts, wishes)))
            except EngineError as error:
                failure = f"the rollout engine failed: {error}"
                parallel.told(msgpack.packb(failure))
                raise RolloutFailed(failure) from error
        told: Sequence[Drawn] | str = msgpack.unpackb(parallel.told(found))
        if isinstance(told, str):
            raise RolloutFailed(told)
        return told

    def close(self) -> None:
        """Let go of the engines, and remove the weights."""
        if self._fleet is not None:
            with contextlib.suppress(EngineError):
                self._runner.run(self._fleet.close())
        shutil.rmtree(self._home, ignore_errors=True)

    async def _draw(
        self, served: PreTrainedModel, prompts: Sequence[tuple[int, ...]], wishes: Sequence[Sampling]
    ) -> list[Drawn]:
        if self._fleet is None:
            self._fleet = self._open()
            await self._fleet.connect()
        await self._give(self._fleet, served)
        places = asyncio.Semaphore(int(self._fleet.hello.get("slots", 1)))
        fleet = self._fleet
        wanted = zip(prompts, wishes, strict=True)
        tasks = [asyncio.create_task(self._one(fleet, places, prompt, wish)) for prompt, wish in wanted]
        try:
            return await asyncio.gather(*tasks)
        finally:  # where one fails, the others are wanted no more
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _give(self, fleet: Fleet, served: PreTrainedModel) -> None:
        """Have the fleet serve this policy, under a name that no other ever had."""
        before, self._number = self._number, self._number + 1
        directory = self._home / f"{self._number}-{uuid4().hex[:12]}"
        directory.mkdir(parents=True)
        round_as_served(served)
        await asyncio.to_thread(write_model, directory, served, self._source)
        await fleet.load(self._number, directory)
        fleet.prefer(self._number)
        await fleet.settled()
        if before:
            await fleet.unload(before)
            for old in self._home.glob(f"{before}-*"):
                shutil.rmtree(old)

    async def _one(self, fleet: Fleet, places: asyncio.Semaphore, prompt: tuple[int, ...], wish: Sampling) -> Drawn:
        async with places:
            for attempt in range(1, ATTEMPTS + 1):
                tokens, logprobs = list[int](), list[float]()
                reason: FinishReason = "error"
                try:
                    async with fleet.generate(prompt, self._number, wish, priority="rollout") as generation:
                        async for chunk in generation:
                            tokens += chunk.tokens
                            logprobs += chunk.logprobs
                            reason = chunk.finish_reason or reason
                except (EngineLost, EngineBusy):
                    if attempt == ATTEMPTS:
                        raise
                    await asyncio.sleep(PAUSE_SECONDS * 2**attempt)
                    continue
                break
        if len(logprobs) != len(tokens):
            raise EngineError(
                f"it gives {len(logprobs)} log-probs for {len(tokens)} tokens; PPO needs those of each draw"
            )
        return tokens, logprobs, reason
