"""Titles made by the model, on a real engine: taken where they are titles, never in the way of a chat."""

import asyncio
from collections.abc import Iterator
from uuid import UUID

import pytest

from backtalk import policies
from backtalk.tables import Conversation
from server.titles import title_in
from tests.server.conftest import ENDLESS
from tests.server.scripted import write_model
from tests.server.stack import Chat, Someone, Stack

TITLE = "Tea and kettle"


@pytest.fixture(scope="module")
def titled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Backtalk whose model says one title, whatever it is asked, and ends."""
    model = tmp_path_factory.mktemp("model")
    write_model(model, TITLE, ends=True)
    stack = Stack(model)
    try:
        yield stack.start()
    finally:
        stack.close()


def title_of(stack: Stack, conversation_id: str) -> tuple[str, str]:
    with stack.database.read() as session:
        found = session.get_one(Conversation, UUID(conversation_id))
        return found.title, found.titled_by


async def until_titled(chat: Chat) -> None:
    """Wait until the page hears that a conversation has its title."""
    while (await chat.hear_all()).get("kind") != "conversation_titled":
        pass


async def converse(stack: Stack, someone: Someone, text: str) -> str:
    """Ask something new; returns the conversation once it has its title."""
    async with stack.chat(someone) as chat:
        started = await chat.say(text)
        await until_titled(chat)
        return str(started["conversation_id"])


async def test_a_conversation_gets_its_title_from_the_model(titled: Stack) -> None:
    someone = titled.someone()
    conversation_id = await converse(titled, someone, "How do I make tea?")
    assert title_of(titled, conversation_id) == (TITLE, "model")
    async with titled.http(someone) as client:
        listed = (await client.get("/api/conversations")).json()["items"]
    assert [one["title"] for one in listed] == [TITLE]


async def test_a_name_that_a_person_gave_is_never_touched(titled: Stack) -> None:
    someone = titled.someone()
    conversation_id = await converse(titled, someone, "How do I make tea?")
    async with titled.http(someone) as client, titled.chat(someone) as chat:
        await client.patch(f"/api/conversations/{conversation_id}", json={"title": "Mine"})
        started = await chat.say("And without a kettle?", conversation_id=conversation_id)
        await chat.listen(started["reply_id"])
    await converse(titled, titled.someone(), "And tea?")  # one after the other: the first is settled by now
    assert title_of(titled, conversation_id) == ("Mine", "person")


async def go_live(stack: Stack, number: int) -> None:
    """Make a version live, and wait until new replies come from it."""
    with stack.database.write() as session:
        policies.go_live(session, number, "test")
    async with stack.http() as client:
        while (await client.get("/readyz")).json()["policy_version"] != number:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.05)


async def test_nobody_waits_for_a_title(titled: Stack) -> None:
    """While any reply is under way, whoever it is for, no title is made; afterwards it is."""
    await go_live(titled, titled.publish(ENDLESS, go_live=False))
    asker, other = titled.someone(), titled.someone()
    async with titled.chat(titled.someone()) as long, titled.chat(asker) as chat:
        running = await long.say("Go on for ever.", sampling={"max_tokens": 8000})
        await go_live(titled, 0)
        asked = await chat.say("How do I make tea?")
        await chat.listen(asked["reply_id"])
        for _ in range(5):
            async with titled.chat(other) as passing:
                await passing.listen((await passing.say("Hello"))["reply_id"])
        assert title_of(titled, asked["conversation_id"]) == ("How do I make tea?", "words")
        await long.send(type="stop", reply_id=running["reply_id"])
        await until_titled(chat)
    assert title_of(titled, asked["conversation_id"]) == (TITLE, "model")


SAID = "How do I count words in Python?\nUse a Counter from collections.\n如何煮一杯好茶？先把水烧开。"


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("Counting words in Python", "Counting words in Python"),
        ('"Python word counts"\n', "Python word counts"),
        ("**Title: Python Counter basics**", "Python Counter basics"),
        ("标题：《煮茶的方法》", None),
        ("标题：煮一杯好茶", "煮一杯好茶"),
        ("Use a Counter from collections.", None),
        ("What is a Counter?", None),
        ("Gardening tips", None),
        ("Python Python words", None),
        ("words " * 30, None),
        ("a title of far too many words for one line about Python and so on", None),
        ("", None),
        ("…", None),
        ("先把水烧开。", None),
    ],
)
def test_only_what_looks_like_a_title_of_this_conversation_is_taken(written: str, title: str | None) -> None:
    assert title_in(written, SAID) == title
