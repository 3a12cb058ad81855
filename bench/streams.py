"""Many people on sockets of their own, each reply timed delta by delta."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from uuid import uuid4

from websockets.asyncio.client import connect


@dataclass(slots=True)
class Timed:
    """One reply as its reader saw it; moments on one steady clock, in seconds."""

    asked: float
    id: str = ""
    version: int = -1
    arrivals: list[float] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    tokens: int = 0
    state: str = "lost"
    ended: float = 0.0

    @property
    def first(self) -> float:
        """Seconds from the question to the first text."""
        return self.arrivals[0] - self.asked

    @property
    def gaps(self) -> list[float]:
        """Seconds between one delta and the next."""
        return [later - earlier for earlier, later in pairwise(self.arrivals)]

    @property
    def is_whole(self) -> bool:
        """Ended as it should, every delta there once and in order."""
        return self.state == "done" and self.numbers == list(range(1, len(self.numbers) + 1))


async def talk(url: str, key: str, questions: Sequence[str], sampling: dict[str, Any]) -> list[Timed]:
    """Ask one question after the other on one socket."""
    replies = []
    address = url.replace("http", "ws", 1) + "/ws/chat"
    async with connect(address, additional_headers={"Authorization": f"Bearer {key}"}, proxy=None) as socket:
        for text in questions:
            say = {"type": "say", "key": str(uuid4()), "text": text, "sampling": sampling}
            reply = Timed(asked=time.perf_counter())
            replies.append(reply)
            await socket.send(json.dumps(say))
            while True:
                word = json.loads(await socket.recv())
                match word["type"]:
                    case "started":
                        reply.id, reply.version = word["reply_id"], word["policy_version"]
                    case "delta":
                        reply.arrivals.append(time.perf_counter())
                        reply.numbers.append(word["seq"])
                    case "ended":
                        reply.ended = time.perf_counter()
                        reply.state, reply.tokens = word["state"], word["usage"]["completion_tokens"]
                        break
                    case "refused":
                        raise RuntimeError(f"refused: {word['message']}")
    return replies


async def talk_together(
    url: str, keys: Sequence[str], questions: Sequence[Sequence[str]], sampling: dict[str, Any]
) -> list[Timed]:
    """Everybody at once."""
    asked = (talk(url, key, own, sampling) for key, own in zip(keys, questions, strict=True))
    return [reply for replies in await asyncio.gather(*asked) for reply in replies]
