"""`backtalk.client` against a real server, over sockets that break."""

from uuid import uuid4

import pytest

from backtalk import client as clients
from backtalk.client import Client, Refused, Unreachable
from tests.server.conftest import ENDLESS
from tests.server.stack import Someone, Stack


async def test_a_reply_comes_piece_by_piece_and_an_opinion_on_it_is_kept(running: Stack, someone: Someone) -> None:
    async with Client(running.url, someone.key) as client:
        reply = await client.say("Hello!", sampling={"max_tokens": 12, "seed": 3})
        pieces = [piece async for piece in reply]
        assert reply.end is not None and reply.end.state == "done" and reply.end.completion_tokens <= 12
        (question, answer) = await client.messages(reply.conversation_id)
        assert question["content"] == "Hello!" and answer["content"] == "".join(pieces) == await reply.text()
        assert await client.judge(reply.id, rating=1, labels={"quality": 5}) == 1
        assert await client.judge(reply.id, rating=-1, rewrite="Hi!") == 2
        other = await client.regenerate(reply.id, sampling={"max_tokens": 4})
        await other.text()
        await client.compare(reply.id, other.id, "left")
        assert {receipt["message_id"] for receipt in await client.receipts()} >= {str(reply.id)}
        await client.withdraw(reply.id)


async def test_the_same_key_is_one_question(running: Stack, someone: Someone) -> None:
    async with Client(running.url, someone.key) as one, Client(running.url, someone.key) as other:
        key = str(uuid4())
        first = await one.say("Once.", sampling={"max_tokens": 4}, key=key)
        again = await other.say("Once.", sampling={"max_tokens": 4}, key=key)
        assert first.id == again.id


async def test_a_reply_is_whole_although_its_socket_breaks_again_and_again(endless: Stack) -> None:
    someone = endless.someone()
    async with Client(endless.url, someone.key) as client:
        reply = await client.say("Go on.", sampling={"max_tokens": 2100})
        text, breaks = "", 0
        async for piece in reply:
            text += piece
            if breaks < 3 and client._socket is not None:
                breaks += 1
                client._socket.transport.abort()
        assert breaks == 3 and reply.end is not None
        assert text == (await client.messages(reply.conversation_id))[1]["content"]
        assert text.startswith(ENDLESS * 100)


async def test_a_reply_can_be_stopped(endless: Stack) -> None:
    async with Client(endless.url, endless.someone().key) as client:
        reply = await client.say("Go on.", sampling={"max_tokens": 100_000})
        async for _ in reply:
            await reply.stop()
            break
        await reply.text()
        assert reply.end is not None and reply.end.state == "stopped"


async def test_what_the_server_refuses_is_raised_with_its_code(running: Stack, someone: Someone) -> None:
    async with Client(running.url, someone.key) as client:
        with pytest.raises(Refused) as caught:
            await client.say("Hi", conversation_id=uuid4())
        assert caught.value.code == "not_found"
        with pytest.raises(Refused) as caught:
            await client.judge(uuid4(), rating=1)
        assert caught.value.code == "not_found"
    async with Client(running.url, "no such key") as client:
        with pytest.raises(Refused) as caught:
            await client.say("Hi")
        assert caught.value.code == "unauthorised"


async def test_without_a_server_it_is_said_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "PATIENCE", 0.3)
    async with Client("http://127.0.0.1:9", "key") as client:
        with pytest.raises(Unreachable, match="no server"):
            await client.say("Hi")
        with pytest.raises(Unreachable):
            await client.receipts()
