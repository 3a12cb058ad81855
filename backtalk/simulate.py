"""Simulated people: they chat over the real socket of a running server and give real opinions, noise included.

Each has a taste (`tastes.py`), an API key and a socket of their own. What they truly think of each reply is counted by
policy version before noise turns some of their thumbs around: that count is satisfaction.
"""

import asyncio
import json
import math
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any
from uuid import UUID, uuid4

import httpx2
import sqlalchemy as sa
from sqlmodel import col
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from backtalk import people
from backtalk.agreement import wilson
from backtalk.database import Database
from backtalk.starter.prompts import Prompt, sample_prompts
from backtalk.tables import ApiKey, now
from backtalk.tastes import Taste, is_right

"""Of a 95 % interval."""
REPLY_SECONDS = 120.0
ATTEMPTS = 60
CONTINUES = 0.25
"""Share of questions asked in the conversation before; the others begin a new one."""
LONGEST_TALK = 4


class SimulationError(RuntimeError):
    """The simulation cannot go on; the message says what was found and what to do."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How simulated people behave. Made by the command line, read by every visitor."""

    taste: Taste
    flip: float = 0.1  # share of thumbs that point the wrong way
    rewrite: float = 0.1  # share of thumbs-down that bring a rewrite
    language: str | None = None  # en, zh; None for both


@dataclass(slots=True)
class Score:
    """What people truly thought of one version, and what they clicked."""

    replies: int = 0
    liked: int = 0
    right: int = 0
    thumbs_up: int = 0
    thumbs_down: int = 0
    rewrites: int = 0

    @property
    def satisfaction(self) -> float:
        """Share of replies that were liked."""
        return self.liked / self.replies if self.replies else math.nan

    def interval(self) -> tuple[float, float]:
        """95 % interval of the satisfaction (Wilson 1927)."""
        return wilson(self.liked, self.replies)

    def summary(self, version: int) -> dict[str, Any]:
        """As JSON shows it."""
        low, high = self.interval()
        return {
            "version": version,
            **asdict(self),
            "satisfaction": round(self.satisfaction, 4),
            "satisfaction_low": round(low, 4),
            "satisfaction_high": round(high, 4),
            "correctness": round(self.right / self.replies, 4) if self.replies else None,
        }


@dataclass(slots=True)
class Tally:
    """Scores by version, and what went wrong on the way."""

    scores: dict[int, Score] = field(default_factory=dict)
    failed: int = 0  # replies that ended as failed
    reconnects: int = 0

    def of(self, version: int) -> Score:
        """The score of a version."""
        return self.scores.setdefault(version, Score())

    def add(self, other: "Tally") -> None:
        """Count another tally's replies too."""
        for version, score in other.scores.items():
            mine = self.of(version)
            for name, value in asdict(score).items():
                setattr(mine, name, getattr(mine, name) + value)
        self.failed += other.failed
        self.reconnects += other.reconnects

    def summary(self) -> list[dict[str, Any]]:
        """Scores in order of version."""
        return [score.summary(version) for version, score in sorted(self.scores.items())]


@dataclass(frozen=True, slots=True)
class Heard:
    """One reply as it came over the socket."""

    reply_id: UUID
    conversation_id: UUID
    version: int
    text: str
    state: str


class Visitor:
    """One simulated person with a socket; asks one question after the other."""

    def __init__(self, url: str, key: str, tally: Tally) -> None:
        self._address = url.replace("http", "ws", 1) + "/ws/chat"
        self._headers = {"Authorization": f"Bearer {key}"}
        self._tally = tally
        self._socket: ClientConnection | None = None

    async def ask(self, text: str, conversation_id: UUID | None) -> Heard:
        """Say something and hear the reply to its end, whatever the connection does meanwhile.

        Raises:
            SimulationError: the server refused for good, or nothing was heard for two minutes.
        """
        say = {"type": "say", "key": str(uuid4()), "conversation_id": conversation_id, "text": text}
        started: dict[str, Any] | None = None
        heard: list[str] = []
        for attempt in range(ATTEMPTS):
            try:
                socket = await self._connected()
                if started is None:
                    await socket.send(json.dumps(say, default=str))
                else:
                    follow = {"type": "follow", "reply_id": started["reply_id"], "after": len(heard)}
                    await socket.send(json.dumps(follow))
                while True:
                    word = json.loads(await asyncio.wait_for(socket.recv(), REPLY_SECONDS))
                    match word["type"]:
                        case "started" if word["key"] == say["key"]:
                            started = word
                        case "delta" if started and word["reply_id"] == started["reply_id"]:
                            if word["seq"] == len(heard) + 1:
                                heard.append(word["text"])
                            elif word["seq"] > len(heard):
                                raise SimulationError(f"delta {word['seq']} came after {len(heard)}: a hole")
                        case "ended" if started and word["reply_id"] == started["reply_id"]:
                            return Heard(
                                UUID(started["reply_id"]),
                                UUID(started["conversation_id"]),
                                started["policy_version"],
                                "".join(heard),
                                word["state"],
                            )
                        case "refused":
                            await self._wait_or_give_up(word)
                            break  # and say it again
            except (OSError, ConnectionClosed, InvalidHandshake):
                self._socket = None
                self._tally.reconnects += 1
                await asyncio.sleep(min(2.0, 0.1 * 2**attempt))
            except TimeoutError as error:
                raise SimulationError(f"nothing was heard for {REPLY_SECONDS:.0f} s; is the engine alive?") from error
        raise SimulationError(f"no reply after {ATTEMPTS} attempts; is the server at {self._address} running?")

    async def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            await self._socket.close()
            self._socket = None

    async def _connected(self) -> ClientConnection:
        if self._socket is None:
            self._socket = await connect(self._address, additional_headers=self._headers, proxy=None)
        return self._socket

    async def _wait_or_give_up(self, refused: dict[str, Any]) -> None:
        if refused["code"] not in ("rate_limited", "busy", "storage"):
            raise SimulationError(f"the server refused: {refused['message']} ({refused['code']})")
        await asyncio.sleep(refused.get("retry_after") or 1.0)


class Crowd:
    """Simulated people of one taste, ready to chat for as long as they are wanted."""

    def __init__(self, url: str, keys: dict[UUID, str], habits: Habits, seed: int) -> None:
        self._url = url
        self._keys = keys
        self._habits = habits
        self._seed = seed
        self._rounds = 0

    def __len__(self) -> int:
        return len(self._keys)

    async def chat(
        self, replies: int, *, judge: bool = True, progress: Callable[[Tally, int], None] | None = None
    ) -> Tally:
        """Let everybody ask, equally often, until `replies` replies have been heard.

        Args:
            judge: give opinions, on every reply; otherwise only listen.
            progress: called after each reply with the tally and how many replies have been heard.
        """
        self._rounds += 1
        tally, done = Tally(), 0

        def count() -> None:
            nonlocal done
            done += 1
            if progress:
                progress(tally, done)

        shares = [replies // len(self._keys) + (at < replies % len(self._keys)) for at in range(len(self._keys))]
        client = httpx2.AsyncClient(base_url=self._url, timeout=30, trust_env=False)
        try:
            async with client, asyncio.TaskGroup() as group:
                for at, (key, share) in enumerate(zip(self._keys.values(), shares, strict=True)):
                    rng = Random(f"{self._seed} {self._rounds} {at}")
                    group.create_task(self._visit(client, key, share, rng, judge, tally, count))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures  # the others were stopped by the first
        return tally

    async def _visit(
        self,
        client: httpx2.AsyncClient,
        key: str,
        share: int,
        rng: Random,
        judge: bool,
        tally: Tally,
        count: Callable[[], None],
    ) -> None:
        visitor = Visitor(self._url, key, tally)
        conversation, turns = None, 0
        try:
            for prompt in sample_prompts(share, rng.getrandbits(31), language=self._habits.language):
                # "What is my name?" has its answer in the conversation, so that one begins afresh.
                if turns == LONGEST_TALK or prompt.domain == "names" or rng.random() >= CONTINUES:
                    conversation, turns = None, 0
                heard = await visitor.ask(prompt.text, conversation)
                conversation, turns = heard.conversation_id, turns + 1
                if heard.state != "done":
                    tally.failed += 1
                    continue
                likes = self._habits.taste.likes(heard.text, prompt.accepted)
                score = tally.of(heard.version)
                score.replies += 1
                score.liked += likes
                score.right += is_right(heard.text, prompt.accepted)
                if judge:
                    opinion = self._opinion(prompt, heard.text, likes, rng)
                    await _give(client, key, heard.reply_id, opinion)
                    score.thumbs_up += opinion["rating"] == 1
                    score.thumbs_down += opinion["rating"] == -1
                    score.rewrites += opinion["rewrite"] is not None
                count()
        finally:
            await visitor.close()

    def _opinion(self, prompt: Prompt, reply: str, likes: bool, rng: Random) -> dict[str, Any]:
        rating = 1 if likes != (rng.random() < self._habits.flip) else -1
        rewrite = None
        if rating == -1 and rng.random() < self._habits.rewrite:
            rewrite = self._habits.taste.rewrite(prompt.answer, prompt.accepted, prompt.language, rng)
        return {"rating": rating, "rewrite": rewrite if rewrite != reply.strip() else None}


async def _give(client: httpx2.AsyncClient, key: str, reply_id: UUID, opinion: dict[str, Any]) -> None:
    for _ in range(ATTEMPTS):
        try:
            answer = await client.put(
                f"/api/messages/{reply_id}/feedback", json=opinion, headers={"Authorization": f"Bearer {key}"}
            )
        except httpx2.TransportError:
            await asyncio.sleep(0.5)  # giving the same opinion twice is one opinion
            continue
        if answer.status_code == 200:
            return
        if answer.status_code not in (429, 503):
            raise SimulationError(f"the server did not take an opinion: {answer.status_code} {answer.text[:200]}")
        await asyncio.sleep(float(answer.headers.get("retry-after", 1)))
    raise SimulationError(f"the server did not take an opinion in {ATTEMPTS} attempts")


@asynccontextmanager
async def crowd(
    database: Database, url: str, count: int, habits: Habits, seed: int | None = None
) -> AsyncIterator[Crowd]:
    """Make people who agreed that their opinions may train; their keys end with the block, they stay."""
    with people_with_keys(database, count) as keys:
        yield Crowd(url, keys, habits, secrets.randbits(31) if seed is None else seed)


@contextmanager
def people_with_keys(database: Database, count: int) -> Iterator[dict[UUID, str]]:
    """People who agreed that their opinions may train, and their API keys; the keys end with the block."""
    keys = _make_people(database, count)
    try:
        yield keys
    finally:
        _drop_keys(database, keys)


def _make_people(database: Database, count: int) -> dict[UUID, str]:
    keys: dict[UUID, str] = {}
    group = secrets.token_hex(3)
    with database.write() as session:
        for number in range(1, count + 1):
            person = people.add(session, f"simulated {group} {number:02}")
            person.consent_train, person.consent_at = True, now()
            keys[person.id] = people.add_key(session, person).secret
    return keys


def _drop_keys(database: Database, owners: Iterable[UUID]) -> None:
    with database.write() as session:
        session.execute(sa.delete(ApiKey).where(col(ApiKey.person_id).in_(list(owners))))


async def simulate(
    database: Database,
    url: str,
    count: int,
    habits: Habits,
    replies: int,
    *,
    judge: bool = True,
    seed: int | None = None,
    progress: Callable[[Tally, int], None] | None = None,
) -> tuple[Tally, float]:
    """One round of a crowd; returns its tally and the seconds it took."""
    began = time.monotonic()
    async with crowd(database, url, count, habits, seed) as visitors:
        tally = await visitors.chat(replies, judge=judge, progress=progress)
    return tally, time.monotonic() - began
