"""A whole Backtalk on engines of other makes: the same socket, the same ledger, the same swap."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args
from uuid import UUID

import pytest

from backtalk import policies, release
from backtalk.engine.remote.address import Kind
from backtalk.tables import Policy, Reply
from server import ledger
from tests.engine.remote.conftest import FIRST, SECOND, Running, free_port, start_peer
from tests.server.scripted import write_model
from tests.server.stack import PATIENCE, Stack


@contextlib.contextmanager
def backtalk(kind: Kind, home: Path, *, launch: bool = False) -> Iterator[tuple[Stack, Running | None]]:
    """A server whose engine is a peer of this kind; with `launch` it starts its replicas itself."""
    model, port = home / "model", free_port()
    write_model(model, FIRST)
    stack = Stack(model, BACKTALK_ENGINE=f"{kind}+http://127.0.0.1:{port}")
    server = None
    try:
        policies.ensure_first(stack.database, stack.settings)
        with stack.database.read() as session:
            first = policies.live(session)
        assert first is not None
        if launch:
            command = f"{sys.executable} -m tests.engine.remote.peer {kind} {{port}} {{directory}}"
            stack.environment["BACKTALK_ENGINE_LAUNCH"] = command
        else:
            server = start_peer(kind, stack.settings.weights_dir / first.directory, port)
        stack.start_server()
        stack.until_ready()
        yield stack, server
    finally:
        stack.close()
        if server is not None:
            server.kill()


def reply_of(stack: Stack, reply_id: str) -> Reply:
    with stack.database.read() as session:
        return session.get_one(Reply, UUID(reply_id))


@pytest.mark.parametrize("kind", get_args(Kind))
async def test_people_chat_and_the_ledger_keeps_what_was_drawn(kind: Kind, tmp_path: Path) -> None:
    with backtalk(kind, tmp_path) as (stack, _):
        someone = stack.someone()
        async with stack.chat(someone) as chat:
            started = await chat.say("Hi", sampling={"max_tokens": 12})
            text, ended = await chat.listen(started["reply_id"])
        assert started["policy_version"] == 0 and text.startswith("abc")
        assert (ended["state"], ended["finish_reason"]) == ("done", "length")
        reply = reply_of(stack, started["reply_id"])
        assert reply.engine == kind and reply.tokens
        logprobs = ledger.unpack_logprobs(reply.logprobs)
        assert len(logprobs) == (0 if kind == "openai" else 12)
        async with stack.http(someone) as client:
            body = {"messages": [{"role": "user", "content": "Hi"}], "logprobs": True, "max_tokens": 12}
            choice = (await client.post("/v1/chat/completions", json=body)).json()["choices"][0]
            assert (choice["logprobs"] is None) == (kind == "openai"), "what is not known is not made up"
            assert choice["message"]["content"].startswith("abc")
            body = {"inputs": "Hi", "parameters": {"max_new_tokens": 12, "details": True}}
            tokens = (await client.post("/generate", json=body)).json()["details"]["tokens"]
            assert len(tokens) > 0 and tokens[0]["id"] > 0


@pytest.mark.parametrize(("kind", "launch"), [("vllm", False), ("sglang", False), ("tgi", True)])
async def test_a_new_version_goes_live_between_replies(kind: Kind, launch: bool, tmp_path: Path) -> None:
    with backtalk(kind, tmp_path, launch=launch) as (stack, _):
        someone = stack.someone()
        async with stack.chat(someone) as chat:
            first = await chat.say("Hi", sampling={"max_tokens": 300})
            await chat.hear_deltas(first["reply_id"], 1)
            number = stack.publish(SECOND)
            deadline = time.monotonic() + PATIENCE
            before, _ = await chat.listen(first["reply_id"], 1)
            assert "xyz" not in before, "one reply, one version"
            while True:
                started = await chat.say("Hi", sampling={"max_tokens": 12})
                assert started["type"] == "started", started
                text, ended = await chat.listen(started["reply_id"])
                script = SECOND if started["policy_version"] == number else FIRST
                assert text.startswith(script[:3]) and ended["state"] == "done"
                if started["policy_version"] == number:
                    break
                assert time.monotonic() < deadline, "the new version does not go live"


async def test_a_reply_whose_engine_dies_goes_on_when_there_is_one_again(tmp_path: Path) -> None:
    with backtalk("sglang", tmp_path) as (stack, server):
        assert server is not None
        server.fault(pace=0.02)
        async with stack.chat(stack.someone()) as chat:
            started = await chat.say("Hi", sampling={"max_tokens": 70})
            text = await chat.hear_deltas(started["reply_id"], 2)
            server.kill()
            with stack.database.read() as session:
                first = policies.live(session)
            assert first is not None
            again = start_peer("sglang", stack.settings.weights_dir / first.directory, server.port)
            try:
                rest, ended = await chat.listen(started["reply_id"], 2)
            finally:
                again.kill()
        assert ended["state"] == "done" and text + rest == FIRST * 14  # five tokens a round
        assert len(ledger.unpack_logprobs(reply_of(stack, started["reply_id"]).logprobs)) == 70


async def test_a_reply_that_an_openai_server_breaks_off_ends_as_failed_and_does_not_hang(tmp_path: Path) -> None:
    with backtalk("openai", tmp_path) as (stack, server):
        assert server is not None
        server.fault(die_at=5)
        async with stack.chat(stack.someone()) as chat:
            started = await chat.say("Hi", sampling={"max_tokens": 70})
            text, ended = await chat.listen(started["reply_id"])
        assert (ended["state"], ended["finish_reason"]) == ("failed", "error")
        assert text.startswith("ab"), "what had come is kept"


async def test_with_one_replica_that_holds_one_version_a_canary_is_taken_back_with_the_reason(tmp_path: Path) -> None:
    with backtalk("sglang", tmp_path) as (stack, _):
        number = stack.publish(SECOND, go_live=False)
        with stack.database.write() as session:
            release.set_rules(session, "test", canary=True)
            release.approve(session, number, "test")
        deadline = time.monotonic() + PATIENCE
        while True:
            with stack.database.read() as session:
                tried = session.get_one(Policy, number)
            if tried.state != "canary":
                break
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        assert tried.reason is not None and "second replica" in tried.reason
