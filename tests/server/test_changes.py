"""What somebody does on one page, their other pages are told of, and nobody else."""

from uuid import UUID

import pytest

from backtalk.tables import RateItem
from tests.server.stack import Chat, Someone, Stack


async def _is_told_nothing(page: Chat) -> bool:
    await page.send(type="ping")
    return await page.hear() == {"type": "pong"}


async def test_what_is_done_on_one_page_is_told_to_the_others_once(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat:
        first = await chat.say("Hello!")
        await chat.listen(first["reply_id"])
        await chat.send(type="regenerate", key="again", reply_id=first["reply_id"])
        second = await chat.hear()
        await chat.listen(second["reply_id"])
    conversation, reply = f"/api/conversations/{first['conversation_id']}", first["reply_id"]
    feedback = f"/api/messages/{reply}/feedback"
    pair = {"key": "k", "left_id": reply, "right_id": second["reply_id"], "verdict": "left"}
    async with (
        running.http(someone) as client,
        running.chat(someone, changes=True, page="phone") as phone,
        running.chat(someone, changes=True, page="laptop") as laptop,
        running.chat(someone) as program,
        running.chat(running.someone(), changes=True) as stranger,
    ):
        for method, path, body in (
            ("PATCH", conversation, {"title": "Tea"}),
            ("PATCH", conversation, {"archived": True}),
            ("PUT", f"{conversation}/share", {}),
            ("DELETE", f"{conversation}/share", None),
            ("PUT", feedback, {"rating": 1}),
            ("POST", "/v1/feedback", {"message_id": reply, "rating": -1}),
            ("DELETE", feedback, None),
            ("POST", "/api/comparisons", pair),
            ("DELETE", conversation, None),
        ):
            answer = await client.request(method, path, json=body, headers={"X-Backtalk": "phone"})
            assert answer.is_success, answer.text
            told = await laptop.hear()
            assert told == {"type": "changed", "conversation_id": first["conversation_id"]}, (method, path)
        for page in (phone, laptop, program, stranger):
            assert await _is_told_nothing(page)


@pytest.mark.parametrize("name", ["a name with blanks", "x" * 65, "näme"])
async def test_what_cannot_be_the_name_of_a_page_is_none(running: Stack, someone: Someone, name: str) -> None:
    async with running.chat(someone, changes=True) as page, running.http(someone) as client:
        started = await page.say("Hello!")
        await page.listen(started["reply_id"])
        path = f"/api/conversations/{started['conversation_id']}"
        answer = await client.patch(path, json={"title": "Tea"}, headers=[(b"X-Backtalk", name.encode("latin-1"))])
        assert answer.is_success, answer.text
        assert (await page.hear())["type"] == "changed"


async def test_nobody_is_told_what_a_rater_thinks_of_their_reply(running: Stack, someone: Someone) -> None:
    async with running.chat(someone, changes=True) as page:
        reply = (await page.say("Hello!"))["reply_id"]
        await page.listen(reply)
        rater = running.someone("rater")
        with running.database.write() as session:
            session.add(RateItem(person_id=rater.id, message_id=UUID(reply)))
        async with running.chat(rater, changes=True) as desk, running.http(rater) as client:
            answer = await client.put(f"/api/messages/{reply}/feedback", json={"rating": 1})
            assert answer.is_success, answer.text
            assert await _is_told_nothing(desk) and await _is_told_nothing(page)
