"""Conversations over HTTP."""

from uuid import UUID

from sqlmodel import Session, select

from backtalk.tables import Conversation, Delta, Message, Reply
from tests.server.stack import Chat, Someone, Stack, Word

BRIEF = {"max_tokens": 3}


async def talk(chat: Chat, text: str, **fields: object) -> Word:
    """Say something and hear the reply to its end."""
    started = await chat.say(text, sampling=BRIEF, **fields)
    await chat.listen(started["reply_id"])
    return started


async def test_a_conversation_is_named_by_its_first_words(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat, running.http(someone) as client:
        await talk(chat, "How do I\n cook rice?")
        await talk(chat, "word " * 40)
        await talk(chat, "你好" * 50)
        titles = [item["title"] for item in (await client.get("/api/conversations")).json()["items"]]
    assert titles == ["你好" * 30 + "…", " ".join(["word"] * 11) + " word…", "How do I cook rice?"]


async def test_a_search_looks_at_titles_and_at_what_was_said(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat, running.http(someone) as client:
        first = await talk(chat, "Tell me about apples")
        await talk(chat, "and 100% of pears", conversation_id=first["conversation_id"])
        await talk(chat, "Something else")
        found = {}
        for query in ("APPLES", "100%", "%", "nothing like it"):
            answer = await client.get("/api/conversations", params={"query": query})
            found[query] = [item["title"] for item in answer.json()["items"]]
    apples = ["Tell me about apples"]
    assert found == {"APPLES": apples, "100%": apples, "%": apples, "nothing like it": []}


async def test_the_conversation_talked_in_last_comes_first(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat, running.http(someone) as client:
        first, _ = await talk(chat, "First"), await talk(chat, "Second")
        await talk(chat, "Again", conversation_id=first["conversation_id"])
        titles = [item["title"] for item in (await client.get("/api/conversations")).json()["items"]]
    assert titles == ["First", "Second"]


async def test_a_conversation_is_renamed_and_archived(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat, running.http(someone) as client:
        place = f"/api/conversations/{(await talk(chat, 'Hello'))['conversation_id']}"
        changed = (await client.patch(place, json={"title": "Greetings"})).json()
        archived = (await client.patch(place, json={"archived": True})).json()
        shown = (await client.get(place)).json()
        refused = await client.patch(place, json={"titel": "?"})
    assert (changed["title"], changed["archived"]) == ("Greetings", False)
    assert shown == archived
    assert (shown["title"], shown["archived"]) == ("Greetings", True)
    assert (refused.status_code, "titel" in refused.json()["error"]["message"]) == (422, True)


async def test_a_deleted_conversation_leaves_no_row_behind_even_while_a_reply_is_running(endless: Stack) -> None:
    someone = endless.someone()
    async with endless.chat(someone) as chat, endless.http(someone) as client:
        started = await chat.say("Go on", sampling={"max_tokens": 5000})
        await chat.hear_deltas(started["reply_id"], 2)
        place = f"/api/conversations/{started['conversation_id']}"
        assert (await client.delete(place)).status_code == 204
        while (await chat.hear())["type"] != "ended":
            pass
        assert (await client.get(place)).status_code == 404
        assert (await chat.say("Hello", sampling=BRIEF))["type"] == "started"  # its place is free again
    with endless.database.read() as session:
        assert not rows_of(session, someone, started["reply_id"])


async def test_an_opinion_is_shown_with_its_reply(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat, running.http(someone) as client:
        started = await talk(chat, "Hello")
        feedback = f"/api/messages/{started['reply_id']}/feedback"
        await client.put(feedback, json={"rating": -1, "rewrite": "Better", "reasons": ["wrong"]})
        _, reply = await running.messages(someone, started["conversation_id"])
        assert (reply["feedback"]["rating"], reply["feedback"]["rewrite"]) == (-1, "Better")
        assert set(reply["feedback"]) == {"rating", "rewrite", "labels", "reasons", "note", "revision"}
        await client.delete(feedback)
        _, reply = await running.messages(someone, started["conversation_id"])
    assert reply["feedback"] is None


async def test_a_running_reply_shows_its_durable_beginning(endless: Stack) -> None:
    someone = endless.someone()
    async with endless.chat(someone) as chat:
        started = await chat.say("Go on", sampling={"max_tokens": 5000})
        shown = await chat.hear_deltas(started["reply_id"], 3)
        _, reply = await endless.messages(someone, started["conversation_id"])
        await chat.send(type="stop", reply_id=started["reply_id"])
    assert reply["state"] == "streaming"
    assert reply["content"].startswith(shown)


def rows_of(session: Session, someone: Someone, reply_id: str) -> list[object]:
    """What is left of a person's only conversation."""
    mine = select(Conversation).where(Conversation.person_id == someone.id, Conversation.title == "Go on")
    left: list[object] = [*session.exec(mine)]
    for table, column in ((Message, Message.id), (Reply, Reply.id), (Delta, Delta.reply_id)):
        left += session.exec(select(table).where(column == UUID(reply_id))).all()
    return left
