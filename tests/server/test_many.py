"""Two servers on one database: each reply has one writer, and is heard whole from either."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from backtalk import policies
from backtalk.database import Database
from backtalk.tables import Message, Reply, Server, now
from server import presence
from tests.server.scripted import count_tokens, write_model
from tests.server.stack import Stack

SCRIPT = "abc🙂"
ROUNDS = 150
TOKENS = ROUNDS * count_tokens(SCRIPT)
LONG = {"max_tokens": TOKENS, "temperature": 0}
WHOLE = SCRIPT * ROUNDS


@pytest.fixture(scope="module")
def two(shared_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Stack]]:
    model = tmp_path_factory.mktemp("model") / "model"
    write_model(model, SCRIPT)
    stack = Stack(model, database_url=shared_database.url)
    try:
        stack.start()
        with stack.another_server() as other:
            yield stack, other
    finally:
        stack.close()


@pytest.fixture
def pair(two: tuple[Stack, Stack]) -> tuple[Stack, Stack]:
    """Both; the one that a test before has killed is started again."""
    first, _ = two
    if first.server is None:
        first.start_server()
        first.until_ready()
    return two


async def test_a_reply_begun_on_one_server_is_heard_whole_on_the_other_from_any_place(
    pair: tuple[Stack, Stack],
) -> None:
    first, second = pair
    someone = first.someone()
    async with first.chat(someone) as here, second.chat(someone) as there:
        reply_id = (await here.say("Hi", sampling=LONG))["reply_id"]
        beginning = await here.hear_deltas(reply_id, 3)
        await there.send(type="follow", reply_id=reply_id, after=3)
        (rest, ended), (own, _) = await asyncio.gather(there.listen(reply_id, 3), here.listen(reply_id, 3))
        assert beginning + rest == beginning + own == WHOLE and ended["state"] == "done"
        await there.send(type="follow", reply_id=reply_id, after=0)  # and when it has ended
        assert (await there.listen(reply_id))[0] == WHOLE


async def test_a_reply_is_stopped_from_the_other_server(pair: tuple[Stack, Stack]) -> None:
    first, second = pair
    someone = first.someone()
    async with first.chat(someone) as here, second.chat(someone) as there:
        reply_id = (await here.say("Hi", sampling={"max_tokens": 8000, "temperature": 0}))["reply_id"]
        await here.hear_deltas(reply_id, 1)
        await there.send(type="stop", reply_id=reply_id)
        text, ended = await here.listen(reply_id, 1)
        assert ended["state"] == "stopped" and len(text) < 8000
        stranger = first.someone()
    async with second.chat(stranger) as there:
        await there.send(type="stop", reply_id=reply_id)
        assert (await there.hear())["code"] == "not_found"


async def test_a_page_on_the_other_server_is_told_what_was_asked_and_done_here(pair: tuple[Stack, Stack]) -> None:
    if pair[0].database.is_sqlite:
        pytest.skip("no bells on SQLite: a page looks when it is looked at")
    first, second = pair
    someone = first.someone()
    async with first.chat(someone, changes=True) as here, second.chat(someone, changes=True) as there:
        started = await here.say("Hi", sampling={"max_tokens": 4})
        await here.listen(started["reply_id"])
        assert await there.hear() == {"type": "changed", "conversation_id": started["conversation_id"]}
        await here.send(type="ping")
        assert await here.hear() == {"type": "pong"}, "the asking page has `started`, and needs no more"
    async with (
        first.http(someone) as client,
        first.chat(someone, changes=True) as here,
        second.chat(someone, changes=True) as there,
        second.chat(someone, changes=True, page="mine") as mine,
    ):
        conversation = f"/api/conversations/{started['conversation_id']}"
        for method, path, body in (
            ("PATCH", conversation, {"title": "Tea"}),
            ("PUT", f"/api/messages/{started['reply_id']}/feedback", {"rating": 1}),
            ("DELETE", conversation, None),
        ):
            answer = await client.request(method, path, json=body, headers={"X-Backtalk": "mine"})
            assert answer.is_success, answer.text
            for page in (here, there):
                assert await page.hear() == {"type": "changed", "conversation_id": started["conversation_id"]}
        for page in (here, there, mine):
            await page.send(type="ping")
            assert await page.hear() == {"type": "pong"}, "each was told once, and the page that did it not at all"


async def test_what_a_killed_server_was_writing_is_taken_up_by_the_other_and_heard_whole(
    pair: tuple[Stack, Stack],
) -> None:
    first, second = pair
    someone = first.someone()
    async with second.chat(someone) as there:
        async with first.chat(someone) as here:
            reply_id = (await here.say("Hi", sampling=LONG))["reply_id"]
            await here.hear_deltas(reply_id, 1)
            await there.send(type="follow", reply_id=reply_id, after=0)
            beginning = await there.hear_deltas(reply_id, 1)
            first.kill_server()
        rest, ended = await there.listen(reply_id, 1)
        assert beginning + rest == WHOLE and ended["state"] == "done"
    with first.database.read() as session:
        reply = session.get_one(Reply, UUID(reply_id))
        others = session.exec(select(Server.id)).all()
    assert others == [reply.server_id], "the one that is left, and it wrote the end"


async def test_a_server_that_was_taken_for_dead_writes_nothing_more_and_goes_on_telling(
    pair: tuple[Stack, Stack],
) -> None:
    first, second = pair
    someone = first.someone()
    async with first.chat(someone) as here, second.chat(someone) as there:
        reply_id = (await here.say("Hi", sampling=LONG))["reply_id"]
        beginning = await here.hear_deltas(reply_id, 2)
        with first.database.read() as session:
            owner = session.get_one(Reply, UUID(reply_id)).server_id
        with first.database.write() as session:  # as another server does after a pause longer than its lease
            session.execute(sa.delete(Server).where(col(Server.id) == owner))
        await there.send(type="follow", reply_id=reply_id, after=0)
        (text, ended), (rest, same) = await asyncio.gather(there.listen(reply_id), here.listen(reply_id, 2))
        assert text == beginning + rest == WHOLE and ended == same
        again = await here.say("Hi", sampling={"max_tokens": 12})  # it is a server like any other again
        assert (await here.listen(again["reply_id"]))[1]["state"] == "done"
    with first.database.read() as session:
        reply = session.get_one(Reply, UUID(reply_id))
        assert session.get_one(Message, reply.id).content == WHOLE
        assert reply.completion_tokens == TOKENS and reply.server_id != owner


async def test_one_key_at_both_servers_at_once_starts_one_reply(pair: tuple[Stack, Stack]) -> None:
    first, second = pair
    someone = first.someone()
    async with first.chat(someone) as here, second.chat(someone) as there:
        for _ in range(20):
            word = {"key": str(uuid4()), "sampling": {"max_tokens": 4}}
            begun = await asyncio.gather(here.say("Hi", **word), there.say("Hi", **word))
            assert [one["type"] for one in begun] == ["started"] * 2, begun
            assert len({one["reply_id"] for one in begun}) == 1
            await asyncio.gather(here.listen(begun[0]["reply_id"]), there.listen(begun[0]["reply_id"]))


async def test_both_servers_add_to_one_conversation_at_once(pair: tuple[Stack, Stack]) -> None:
    first, second = pair
    someone = first.someone()
    async with first.chat(someone) as here, second.chat(someone) as there:
        begun = await here.say("Hi", sampling={"max_tokens": 4})
        conversation = begun["conversation_id"]
        await here.listen(begun["reply_id"])
        for _ in range(10):
            word = {"conversation_id": conversation, "sampling": {"max_tokens": 4}}
            both = await asyncio.gather(here.say("one", **word), there.say("two", **word))
            assert [one["type"] for one in both] == ["started"] * 2, both
            await asyncio.gather(here.listen(both[0]["reply_id"]), there.listen(both[1]["reply_id"]))
    assert len(await first.messages(someone, conversation)) == 2 + 10 * 4


async def test_both_servers_turn_to_a_new_version(pair: tuple[Stack, Stack]) -> None:
    first, second = pair
    number = first.publish("xyz")
    someone = first.someone()
    for stack in pair:
        async with stack.chat(someone) as chat:
            while True:
                begun = await chat.say("Hi", sampling={"max_tokens": 6, "temperature": 0})
                text, _ = await chat.listen(begun["reply_id"])
                assert text == ("xyz" * 2 if begun["policy_version"] == number else text)
                if begun["policy_version"] == number:
                    break
    with first.database.write() as session:
        policies.roll_back(session, "test")
    async with second.chat(someone) as chat:
        while True:
            begun = await chat.say("Hi", sampling={"max_tokens": 2})
            await chat.listen(begun["reply_id"])
            if begun["policy_version"] == 0:
                break


def test_a_lease_that_was_renewed_meanwhile_is_nobody_elses(database: Database) -> None:
    mine, others, gone = uuid4(), uuid4(), uuid4()
    with database.write() as session:
        for id in (mine, others, gone):
            presence.enrol(session, id)
        expired = sa.update(Server).where(col(Server.id) == gone)
        session.execute(expired.values(lease_until=now() - timedelta(seconds=1)))
        session.execute(sa.update(Server).where(col(Server.id) == others).values(pid=1 << 30))
        session.flush()
        session.execute(sa.update(Server).where(col(Server.id) == mine).values(lease_until=now() - presence.LEASE))
        presence.bury(session, mine, presence.is_alive)
        assert session.exec(select(Server.id)).all() == [mine], "nobody buries themselves"
        presence.renew(session, mine)
        with pytest.raises(presence.LeaseLost):
            presence.demand(session, gone)
        presence.leave(session, mine)
        assert session.exec(select(Server.id)).all() == []
