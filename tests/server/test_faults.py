"""What people were shown survives whatever is killed: processes, sockets, versions."""

import asyncio
import json
import shutil
import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import UUID

import pytest
from sqlmodel import select
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from backtalk import policies
from backtalk.tables import Audit, Message, Policy
from tests.server.conftest import ENDLESS
from tests.server.scripted import count_tokens
from tests.server.stack import PATIENCE, Chat, Someone, Stack, Word

pytestmark = pytest.mark.slow

TIMES = 400
LONG = {"max_tokens": TIMES * count_tokens(ENDLESS)}
ENDLESSLY = {"max_tokens": 5000}  # fifty of them fit the engine at once
OTHER = "xyz!"


async def hear_some(chat: Chat, reply_id: str) -> list[str]:
    """The first deltas of a reply."""
    return [await chat.hear_deltas(reply_id, 1) for _ in range(5)]


async def hear_until_lost(chat: Chat) -> list[str]:
    """The deltas that come before the socket breaks."""
    texts = []
    try:
        while True:
            word = await chat.hear()
            if word["type"] == "delta":
                texts.append(word["text"])
            else:
                assert word["type"] == "ended"  # a server that goes gently may outlive the reply
    except ConnectionClosed:
        return texts


def is_cut_from_endless(text: str) -> bool:
    """Is this what the endless version says, up to some token? The last character may have been cut in two."""
    whole = text.removesuffix("\N{REPLACEMENT CHARACTER}")
    return (ENDLESS * len(whole)).startswith(whole)


async def next_notice(chat: Chat) -> Word:
    while (word := await chat.hear_all())["type"] != "notice":
        pass
    return word


def spoil(path: Path) -> None:
    """Change one byte."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


async def until_ended(chat: Chat, reply_id: str) -> Word:
    while (word := await chat.hear())["type"] != "ended" or word["reply_id"] != reply_id:
        pass
    return word


async def say_until(chat: Chat, version: int, **fields: object) -> Word:
    """Ask until the server has turned to this version."""
    for _ in range(25):
        started = await chat.say("Hello", **fields)
        if started["policy_version"] == version:
            return started
        await chat.send(type="stop", reply_id=started["reply_id"])
        await until_ended(chat, started["reply_id"])
        await asyncio.sleep(0.2)
    raise AssertionError(f"the server does not turn to version {version}")


@pytest.mark.parametrize("victims", ["server", "server and engine", "server, gently"])
async def test_a_reply_goes_on_after_a_kill_and_nothing_shown_is_lost_or_doubled(endless: Stack, victims: str) -> None:
    someone = endless.someone()
    async with endless.chat(someone) as chat:
        started = await chat.say("Go on", sampling=LONG)
        shown = await hear_some(chat, started["reply_id"])
        endless.kill_server(signal.SIGTERM if "gently" in victims else signal.SIGKILL)
        shown += await hear_until_lost(chat)
    if "engine" in victims:
        endless.kill_engine()
        endless.start_engine()
    endless.start_server()
    async with endless.chat(someone) as chat:
        await chat.send(type="follow", reply_id=started["reply_id"], after=len(shown))
        rest, ended = await chat.listen(started["reply_id"], len(shown))
        await chat.send(type="follow", reply_id=started["reply_id"], after=0)
        whole, _ = await chat.listen(started["reply_id"])
    _, reply = await endless.messages(someone, started["conversation_id"])
    assert "".join(shown) + rest == whole == reply["content"] == ENDLESS * TIMES
    assert (ended["state"], ended["usage"]["completion_tokens"]) == ("done", LONG["max_tokens"])


async def test_a_reply_goes_on_in_the_same_socket_when_the_engine_is_killed(endless: Stack) -> None:
    async with endless.chat(endless.someone()) as chat, endless.chat(endless.someone()) as other:
        started = await chat.say("Go on", sampling=LONG)
        shown = await hear_some(chat, started["reply_id"])
        endless.kill_engine()
        endless.start_engine()
        rest, ended = await chat.listen(started["reply_id"], len(shown))
        notices = [await next_notice(other), await next_notice(other)]
    assert "".join(shown) + rest == ENDLESS * TIMES
    assert ended["state"] == "done"
    assert [notice["kind"] for notice in notices] == ["engine_restarting", "engine_ready"]


async def test_while_the_engine_is_gone_new_messages_are_refused_and_old_replies_can_be_stopped(endless: Stack) -> None:
    someone = endless.someone()
    async with endless.chat(someone) as chat, endless.http() as client:
        started = await chat.say("Go on", sampling=ENDLESSLY)
        shown = "".join(await hear_some(chat, started["reply_id"]))
        endless.kill_engine()
        assert (await next_notice(chat))["kind"] == "engine_restarting"
        health = await client.get("/readyz")
        refused = await chat.say("Hello")
        await chat.send(type="stop", reply_id=started["reply_id"])
        ended = await until_ended(chat, started["reply_id"])
        _, reply = await endless.messages(someone, started["conversation_id"])
    endless.start_engine()
    endless.until_ready()
    assert (health.status_code, health.json()["reasons"]) == (503, ["the engine is not there"])
    assert (refused["code"], refused["retry_after"] > 0) == ("busy", True)
    assert (ended["state"], reply["state"]) == ("stopped", "stopped")
    assert reply["content"].startswith(shown)
    assert is_cut_from_endless(reply["content"])


async def test_a_reply_whose_version_cannot_be_loaded_any_more_ends_as_failed(endless: Stack) -> None:
    someone = endless.someone()
    number = endless.publish(OTHER)
    async with endless.chat(someone) as chat:
        started = await say_until(chat, number, sampling=ENDLESSLY)
        shown = await hear_some(chat, started["reply_id"])
        endless.kill_server()
        shown += await hear_until_lost(chat)
    endless.kill_engine()
    with endless.database.write() as session:
        assert policies.roll_back(session, "test").number == 0
        withdrawn = session.get(Policy, number)
        assert withdrawn is not None
    shutil.rmtree(endless.settings.weights_dir / withdrawn.directory)
    endless.start_engine()
    endless.start_server()
    async with endless.chat(someone) as chat:
        await chat.send(type="follow", reply_id=started["reply_id"], after=0)
        text, ended = await chat.listen(started["reply_id"])
    assert text.startswith("".join(shown))
    assert (ended["state"], ended["finish_reason"]) == ("failed", "error")
    endless.until_ready()


async def test_a_message_sent_twice_at_once_is_one_question(endless: Stack) -> None:
    someone = endless.someone()
    async with AsyncExitStack() as stack:
        chats = [await stack.enter_async_context(endless.chat(someone)) for _ in range(5)]
        heard = await asyncio.gather(*(chat.say("Go on", key="once", sampling={"max_tokens": 9}) for chat in chats))
    assert len({json.dumps(word) for word in heard}) == 1
    assert len(await endless.messages(someone, heard[0]["conversation_id"])) == 2
    async with endless.http(someone) as client:
        assert len((await client.get("/api/conversations")).json()["items"]) == 1


async def test_fifty_streams_run_on_through_a_swap_and_each_keeps_its_version(endless: Stack) -> None:
    asyncio.get_running_loop().set_debug(False)  # fifty streams are more than it can bear
    begun: set[str] = set()
    all_begun, swapped = asyncio.Event(), asyncio.Event()

    async def talk(someone: Someone) -> list[Word]:
        """Hear two replies begin, go on after the swap, and stop when told to; returns how they ended."""
        replies: dict[str, Word] = {}
        endings: list[Word] = []
        async with endless.chat(someone) as chat:
            for number in range(2):
                await chat.send(type="say", key=str(number), text="Go on", sampling=ENDLESSLY)
            while len(endings) < 2:
                word = await chat.hear()
                if word["type"] == "started":
                    replies[word["reply_id"]] = word
                    assert word["policy_version"] == 0
                elif word["type"] == "delta":
                    begun.add(word["reply_id"])
                    if len(begun) == 50:
                        all_begun.set()
                    if swapped.is_set() and word["reply_id"] in replies:
                        del replies[word["reply_id"]]
                        await chat.send(type="stop", reply_id=word["reply_id"])
                else:
                    endings.append(word)
        return endings

    people = [endless.someone() for _ in range(25)]
    talks = [asyncio.create_task(talk(someone)) for someone in people]
    await asyncio.wait([asyncio.create_task(all_begun.wait()), *talks], return_when=asyncio.FIRST_COMPLETED)
    assert all_begun.is_set()
    number = endless.publish(OTHER)
    async with endless.chat(endless.someone()) as late:
        started = await say_until(late, number, sampling={"max_tokens": 40})
        swapped.set()
        new, _ = await late.listen(started["reply_id"])
    endings = [ending for talk in await asyncio.gather(*talks) for ending in talk]
    assert [ending["state"] for ending in endings] == ["stopped"] * 50
    assert new == (OTHER * 40)[: len(new)]
    with endless.database.write() as session:
        policies.roll_back(session, "test")
        for ending in endings:
            message = session.get(Message, UUID(ending["reply_id"]))
            assert message is not None
            assert message.content
            assert is_cut_from_endless(message.content)


async def test_everybody_is_told_of_a_new_version_and_of_going_back(endless: Stack) -> None:
    async with endless.chat(endless.someone()) as chat:
        await say_until(chat, 0, sampling={"max_tokens": 1})
        number = endless.publish(OTHER)
        assert await next_notice(chat) == {"type": "notice", "kind": "policy_live", "policy_version": number}
        assert (await chat.say("Hello", sampling={"max_tokens": 1}))["policy_version"] == number
        with endless.database.write() as session:
            policies.roll_back(session, "test")
        assert (await next_notice(chat))["policy_version"] == 0
        assert (await chat.say("Hello", sampling={"max_tokens": 1}))["policy_version"] == 0


async def test_a_live_version_that_cannot_be_loaded_leaves_the_old_one_serving(endless: Stack) -> None:
    number = endless.publish(OTHER, go_live=False)
    with endless.database.write() as session:
        policy = session.get(Policy, number)
        assert policy is not None
        spoil(endless.settings.weights_dir / policy.directory / "model.safetensors")
        policies.go_live(session, number, "test")
    async with endless.http() as client:
        for _ in range(600):
            health = (await client.get("/readyz")).json()
            if "problem" in health:
                break
            await asyncio.sleep(0.05)
    assert health["ready"]
    assert f"policy {number}" in health["problem"]
    async with endless.chat(endless.someone()) as chat:
        assert (await chat.say("Hello", sampling={"max_tokens": 1}))["policy_version"] == 0
    with endless.database.write() as session:
        failed = session.exec(select(Audit).where(Audit.action == "policy.load_failed")).one()
        assert failed.target == str(number)
        policies.roll_back(session, "test")


async def test_a_reader_who_does_not_read_is_told_to_come_back(running: Stack, someone: Someone) -> None:
    asyncio.get_running_loop().set_debug(False)  # thousands of frames are more than it can bear
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.setblocking(False)
    await asyncio.get_running_loop().sock_connect(small, ("127.0.0.1", running.port))
    address = f"ws://127.0.0.1:{running.port}/ws/chat"
    async with (
        connect(address, sock=small, additional_headers=someone.headers, ping_interval=None) as connection,
        running.http() as client,
    ):
        connection.transport.pause_reading()

        async def provoke() -> None:
            for _ in range(200_000):
                await connection.send("nonsense")

        provoking = asyncio.create_task(provoke())
        for _ in range(600):
            if "backtalk_slow_consumers_total 1.0" in (await client.get("/metrics")).text:
                break
            await asyncio.sleep(0.05)
        connection.transport.resume_reading()
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await asyncio.wait_for(connection.recv(), PATIENCE)
        provoking.cancel()
        await asyncio.gather(provoking, return_exceptions=True)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1013, "slow_consumer, resume=yes")
