"""A reply that was cut off goes on as if it had never been cut."""

from uuid import uuid4

from tests.server.conftest import ENDLESS
from tests.server.scripted import count_tokens
from tests.server.stack import Chat, Someone, Stack, Word

DRAW = {"seed": 5, "temperature": 1.0}


async def go_on(chat: Chat, reply_id: str, **fields: object) -> Word:
    """Ask a reply to go on; returns `started` or `refused`."""
    await chat.send(**({"type": "continue", "key": str(uuid4()), "reply_id": reply_id} | fields))
    while (heard := await chat.hear())["type"] not in ("started", "refused"):
        pass
    return heard


async def test_what_comes_is_what_would_have_come_at_once(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat:
        at_once = await chat.say("Tell me a short story.", sampling=DRAW)
        whole, _ = await chat.listen(at_once["reply_id"])
        first = await chat.say("Tell me a short story.", sampling=DRAW | {"max_tokens": 9})
        cut, ended = await chat.listen(first["reply_id"])
        assert ended["finish_reason"] == "length"
        assert whole.startswith(cut)
        assert whole != cut
        second = await go_on(chat, first["reply_id"])
        text, ended = await chat.listen(second["reply_id"])
    assert (text, ended["finish_reason"]) == (whole, "stop")
    messages = {message["id"]: message for message in await running.messages(someone, first["conversation_id"])}
    assert messages[second["reply_id"]]["parent_id"] == first["question_id"]
    assert messages[first["reply_id"]]["content"] == cut


async def test_a_character_that_was_cut_in_two_is_whole_again(endless: Stack) -> None:
    someone = endless.someone()
    async with endless.chat(someone) as chat:
        first = await chat.say("Go on.", sampling={"max_tokens": count_tokens(ENDLESS) - 2})
        cut, _ = await chat.listen(first["reply_id"])
        assert cut.endswith("\N{REPLACEMENT CHARACTER}")
        second = await go_on(chat, first["reply_id"], max_tokens=2 + count_tokens(ENDLESS))
        text, _ = await chat.listen(second["reply_id"])
    assert text == ENDLESS * 2


async def test_it_goes_on_as_often_as_it_is_cut(endless: Stack) -> None:
    someone = endless.someone()
    async with endless.chat(someone) as chat:
        reply = await chat.say("Go on.", sampling={"max_tokens": count_tokens(ENDLESS)})
        await chat.listen(reply["reply_id"])
        for times in (2, 3):
            reply = await go_on(chat, reply["reply_id"], max_tokens=count_tokens(ENDLESS))
            text, _ = await chat.listen(reply["reply_id"])
            assert text == ENDLESS * times


async def test_a_longer_reply_survives_a_killed_server(endless: Stack) -> None:
    someone = endless.someone()
    async with endless.chat(someone) as chat:
        first = await chat.say("Go on.", sampling={"max_tokens": count_tokens(ENDLESS)})
        await chat.listen(first["reply_id"])
        second = await go_on(chat, first["reply_id"], max_tokens=400 * count_tokens(ENDLESS))
        await chat.hear_deltas(second["reply_id"], 3)
    endless.kill_server()
    endless.start_server()
    endless.until_ready()
    async with endless.chat(someone) as chat:
        await chat.send(type="follow", reply_id=second["reply_id"], after=0)
        text, _ = await chat.listen(second["reply_id"])
    assert text == ENDLESS * 401


async def test_the_same_request_twice_is_one_reply(endless: Stack) -> None:
    someone = endless.someone()
    async with endless.chat(someone) as chat:
        first = await chat.say("Go on.", sampling={"max_tokens": 8})
        await chat.listen(first["reply_id"])
        once = await go_on(chat, first["reply_id"], key="k", max_tokens=8)
        again = await go_on(chat, first["reply_id"], key="k", max_tokens=8)
    assert again == once


async def test_a_reply_that_came_to_its_end_does_not_go_on(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat:
        first = await chat.say("Hello!")
        await chat.listen(first["reply_id"])
        refused = await go_on(chat, first["reply_id"])
    assert (refused["type"], refused["code"]) == ("refused", "bad_request")
    assert "its own end" in refused["message"]


async def test_a_strangers_reply_does_not_go_on(running: Stack, someone: Someone) -> None:
    async with running.chat(running.someone()) as chat:
        first = await chat.say("Hello!", sampling={"max_tokens": 4})
        await chat.listen(first["reply_id"])
    async with running.chat(someone) as chat:
        refused = await go_on(chat, first["reply_id"])
    assert (refused["type"], refused["code"]) == ("refused", "not_found")
