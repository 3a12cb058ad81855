"""The words of the chat socket, over a real server and a real engine."""

import json
from uuid import uuid4

import pytest

from tests.server.conftest import ENDLESS
from tests.server.scripted import count_tokens
from tests.server.stack import Chat, Someone, Stack, Word

LONG = {"max_tokens": 4000}


def times(count: int) -> dict[str, int]:
    """So many tokens that the endless version says its text `count` times."""
    return {"max_tokens": count * count_tokens(ENDLESS)}


async def test_a_question_gets_a_reply_whose_joined_deltas_are_what_is_stored(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat:
        started = await chat.say("Hello! Who are you?", key="my key")
        text, ended = await chat.listen(started["reply_id"])
    question, reply = await running.messages(someone, started["conversation_id"])
    assert started["key"] == "my key"
    assert started["policy_version"] == 0
    assert (question["id"], question["role"], question["content"]) == (
        started["question_id"],
        "user",
        "Hello! Who are you?",
    )
    assert (reply["id"], reply["parent_id"], reply["content"]) == (started["reply_id"], question["id"], text)
    assert (ended["state"], ended["finish_reason"], reply["state"]) == ("done", "stop", "done")
    assert ended["usage"]["completion_tokens"] > 0
    assert text


async def test_a_conversation_goes_on_after_its_last_message(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat:
        first = await chat.say("Hello!")
        await chat.listen(first["reply_id"])
        second = await chat.say("And then?", conversation_id=first["conversation_id"])
        await chat.listen(second["reply_id"])
    messages = await running.messages(someone, first["conversation_id"])
    assert [message["parent_id"] for message in messages] == [None, *(message["id"] for message in messages[:-1])]


async def test_an_edited_first_question_stands_at_the_root(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat:
        first = await chat.say("Hello!")
        await chat.listen(first["reply_id"])
        place = first["conversation_id"]
        second = await chat.say("Hello there!", conversation_id=place, parent_id=place)
        await chat.listen(second["reply_id"])
    messages = {message["id"]: message for message in await running.messages(someone, place)}
    assert messages[second["question_id"]]["parent_id"] is None


async def test_the_model_is_told_what_was_said_before(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat:
        first = await chat.say("Hello!")
        _, alone = await chat.listen(first["reply_id"])
        second = await chat.say("Hello!", conversation_id=first["conversation_id"])
        _, after = await chat.listen(second["reply_id"])
    assert after["usage"]["prompt_tokens"] > alone["usage"]["prompt_tokens"] + alone["usage"]["completion_tokens"]


async def test_the_same_seed_draws_the_same_reply(running: Stack, someone: Someone) -> None:
    texts = set()
    async with running.chat(someone) as chat:
        for _ in range(3):
            started = await chat.say("Tell me a story.", sampling={"seed": 7, "temperature": 1.5})
            texts.add((await chat.listen(started["reply_id"]))[0])
    assert len(texts) == 1


async def test_a_repeated_key_gets_the_same_started_and_the_same_events(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat:
        first = await chat.say("Hello!", key="once")
        heard = await chat.listen(first["reply_id"])
    async with running.chat(someone) as chat:
        assert await chat.say("Hello!", key="once") == first
        assert await chat.listen(first["reply_id"]) == heard
    assert len(await running.messages(someone, first["conversation_id"])) == 2


async def test_a_key_with_another_body_is_refused(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat:
        await chat.say("Hello!", key="once")
        refused = await chat.say("Something else", key="once")
    assert (refused["code"], refused["key"]) == ("bad_request", "once")
    assert "key" in refused["message"]


async def test_two_people_may_use_the_same_key(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as mine, running.chat(running.someone()) as theirs:
        assert (await mine.say("Hello!", key="k"))["reply_id"] != (await theirs.say("Hello!", key="k"))["reply_id"]


async def test_what_is_asked_is_told_to_the_other_sockets_that_want_to_hear_of_it(
    running: Stack, someone: Someone
) -> None:
    async with (
        running.chat(someone, changes=True) as asking,
        running.chat(someone, changes=True) as page,
        running.chat(someone) as program,
        running.chat(running.someone(), changes=True) as stranger,
    ):
        started = await asking.say("Hello!")
        await asking.listen(started["reply_id"])
        assert await page.hear() == {"type": "changed", "conversation_id": started["conversation_id"]}
        for other in (asking, program, stranger):
            await other.send(type="ping")
            assert await other.hear() == {"type": "pong"}


async def test_regenerate_makes_a_sibling_of_the_reply(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat:
        first = await chat.say("Hello!")
        await chat.listen(first["reply_id"])
        await chat.send(type="regenerate", key="again", reply_id=first["reply_id"])
        second = await chat.hear()
        await chat.listen(second["reply_id"])
        await chat.send(type="regenerate", key="again", reply_id=first["reply_id"])
        assert await chat.hear() == second
    assert (second["question_id"], second["key"]) == (first["question_id"], "again")
    siblings = [m for m in await running.messages(someone, first["conversation_id"]) if m["role"] == "assistant"]
    assert [m["id"] for m in siblings] == [first["reply_id"], second["reply_id"]]
    assert {m["parent_id"] for m in siblings} == {first["question_id"]}


async def test_a_stopped_reply_keeps_what_was_shown(endless: Stack) -> None:
    someone = endless.someone()
    async with endless.chat(someone) as chat:
        started = await chat.say("Go on", sampling=LONG)
        shown = await chat.hear_deltas(started["reply_id"], 3)
        await chat.send(type="stop", reply_id=started["reply_id"])
        rest, ended = await chat.listen(started["reply_id"], after=3)
    _, reply = await endless.messages(someone, started["conversation_id"])
    assert (ended["state"], ended["finish_reason"], reply["state"]) == ("stopped", "stopped", "stopped")
    assert reply["content"] == shown + rest
    assert ended["usage"]["completion_tokens"] < LONG["max_tokens"]


async def test_a_delta_never_holds_half_a_character(endless: Stack) -> None:
    async with endless.chat(endless.someone()) as chat:
        started = await chat.say("Go on", sampling=times(10))
        text, ended = await chat.listen(started["reply_id"])
    assert text == ENDLESS * 10
    assert ended["finish_reason"] == "length"


async def test_a_closed_socket_does_not_end_a_reply(endless: Stack) -> None:
    someone = endless.someone()
    async with endless.chat(someone) as chat:
        started = await chat.say("Go on", sampling=times(100))
    async with endless.chat(someone) as chat:
        await chat.send(type="follow", reply_id=started["reply_id"], after=0)
        text, _ = await chat.listen(started["reply_id"])
    assert text == ENDLESS * 100


@pytest.mark.parametrize("after", [0, 1, 2])
async def test_follow_replays_exactly_what_was_missed_of_an_ended_reply(
    running: Stack, someone: Someone, after: int
) -> None:
    async with running.chat(someone) as chat:
        started = await chat.say("Hello!")
        whole, ended = await chat.listen(started["reply_id"])
        after = min(after, ended["seq"] - 1)  # on a busy machine a short reply is one delta
        await chat.send(type="follow", reply_id=started["reply_id"], after=0)
        beginning = await chat.hear_deltas(started["reply_id"], after)
        await chat.send(type="follow", reply_id=started["reply_id"], after=after)
    async with running.chat(someone) as chat:
        await chat.send(type="follow", reply_id=started["reply_id"], after=after)
        rest, again = await chat.listen(started["reply_id"], after)
    assert beginning + rest == whole
    assert again == ended


async def test_follow_beyond_the_end_is_refused(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat:
        started = await chat.say("Hello!")
        await chat.listen(started["reply_id"])
        await chat.send(type="follow", reply_id=started["reply_id"], after=10_000)
        refused = await chat.hear()
    assert (refused["type"], refused["code"], refused["key"]) == ("refused", "bad_request", None)
    assert "10000" in refused["message"]


async def test_a_second_tab_that_follows_hears_the_same(endless: Stack) -> None:
    someone = endless.someone()
    async with endless.chat(someone) as first, endless.chat(someone) as second:
        started = await first.say("Go on", sampling=times(200))
        await second.send(type="follow", reply_id=started["reply_id"], after=0)
        assert await first.listen(started["reply_id"]) == await second.listen(started["reply_id"])


@pytest.mark.parametrize("word", [{"type": "stop"}, {"type": "follow", "after": 0}, {"type": "regenerate", "key": "k"}])
async def test_somebody_elses_reply_looks_missing(running: Stack, someone: Someone, word: Word) -> None:
    async with running.chat(running.someone()) as theirs:
        started = await theirs.say("Hello!")
        await theirs.listen(started["reply_id"])
    async with running.chat(someone) as chat:
        refusals = []
        for reply_id in (started["reply_id"], str(uuid4())):
            await chat.send(reply_id=reply_id, **word)
            refused = await chat.hear()
            refusals.append(refused | {"message": refused["message"].replace(reply_id, "…")})
    assert refusals[0] == refusals[1]
    assert refusals[0]["code"] == "not_found"


async def test_somebody_elses_conversation_looks_missing(running: Stack, someone: Someone) -> None:
    async with running.chat(running.someone()) as theirs:
        started = await theirs.say("Hello!")
    async with running.chat(someone) as chat:
        for conversation_id in (started["conversation_id"], str(uuid4())):
            assert (await chat.say("Hello!", conversation_id=conversation_id))["code"] == "not_found"


async def test_a_parent_from_another_conversation_is_refused(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat:
        one, two = await chat.say("Hello!"), await chat.say("Hello!")
        refused = await chat.say("Hi", conversation_id=one["conversation_id"], parent_id=two["question_id"])
    assert refused["code"] == "not_found"


NOT_WORDS = {
    "not JSON": "hello",
    "not an object": "[1]",
    "no type": "{}",
    "an unknown type": '{"type": "sing"}',
    "an unknown field": json.dumps({"type": "stop", "reply_id": str(uuid4()), "loud": True}),
    "an id that is none": '{"type": "stop", "reply_id": "7"}',
    "no key": '{"type": "say", "text": "hi"}',
    "an empty key": '{"type": "say", "key": "", "text": "hi"}',
    "an empty text": '{"type": "say", "key": "k", "text": "  "}',
    "a text that is none": '{"type": "say", "key": "k", "text": 5}',
    "half a character": '{"type": "say", "key": "k", "text": "\\ud83d"}',
    "a null character": '{"type": "say", "key": "k", "text": "a\\u0000b"}',
    "a parent without its conversation": json.dumps(
        {"type": "say", "key": "k", "text": "hi", "parent_id": str(uuid4())}
    ),
    "a negative number": json.dumps({"type": "follow", "reply_id": str(uuid4()), "after": -1}),
    "a truth for a number": json.dumps({"type": "follow", "reply_id": str(uuid4()), "after": True}),
    "a deep nest": '{"type": "say", "key": "k", "text": ' + "[" * 30 + "]" * 30 + "}",
    "too hot": '{"type": "say", "key": "k", "text": "hi", "sampling": {"temperature": 99}}',
    "an unknown sampling field": '{"type": "say", "key": "k", "text": "hi", "sampling": {"top_k": 2}}',
    "no tokens": '{"type": "say", "key": "k", "text": "hi", "sampling": {"max_tokens": 0}}',
}


@pytest.mark.parametrize("frame", NOT_WORDS.values(), ids=NOT_WORDS.keys())
async def test_what_is_not_a_word_is_refused_and_the_socket_stays_open(
    running: Stack, someone: Someone, frame: str
) -> None:
    async with running.chat(someone) as chat:
        await chat.connection.send(frame)
        refused = await chat.hear()
        assert (refused["type"], refused["code"]) == ("refused", "bad_request")
        assert (await chat.say("Hello!"))["type"] == "started"


async def test_a_refusal_names_the_field(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat:
        assert "max_tokens" in (await chat.say("Hello!", sampling={"max_tokens": -1}))["message"]
        assert "loud" in (await chat.say("Hello!", loud=True))["message"]


async def test_a_binary_frame_is_refused(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat:
        await chat.connection.send(b"{}")
        assert (await chat.hear())["code"] == "bad_request"


async def test_a_message_of_32_kib_passes_and_one_byte_more_is_too_long(endless: Stack) -> None:
    async with endless.chat(endless.someone()) as chat:
        text = "a " * (16 * 1024)
        refused = await chat.say(text + "a")
        assert (refused["code"], "32768" in refused["message"]) == ("too_long", True)
        refused = await chat.say(text)
        assert "tokens" in refused.get("message", "tokens")  # the model's context may be the next limit


async def test_a_message_longer_than_the_context_names_both_numbers(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat:
        refused = await chat.say("hello " * 3000)
    assert refused["code"] == "too_long"
    assert "tokens" in refused["message"]


async def test_a_frame_over_64_kib_is_refused_in_words(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat:
        await chat.connection.send(json.dumps({"type": "say", "key": "k", "text": "a" * 65_000, "pad": "b" * 1000}))
        refused = await chat.hear()
        assert (refused["code"], "65536" in refused["message"]) == ("too_long", True)
        assert (await chat.say("Hello!"))["type"] == "started"


async def test_a_third_running_reply_is_refused_until_one_ends(endless: Stack) -> None:
    async with endless.chat(endless.someone()) as chat:
        first = await chat.say("One", sampling=LONG)
        second = await chat.say("Two", sampling=LONG)
        refused = await chat.say("Three", sampling=LONG)
        assert (refused["code"], "2" in refused["message"]) == ("busy", True)
        await chat.send(type="stop", reply_id=first["reply_id"])
        await _until_ended(chat, first["reply_id"])
        assert (await chat.say("Three", sampling=LONG))["type"] == "started"
        await chat.send(type="stop", reply_id=second["reply_id"])


async def test_a_thirty_first_message_in_a_minute_is_refused(running: Stack, someone: Someone) -> None:
    async with running.chat(someone) as chat:
        for number in range(30):
            started = await chat.say("Hello!", key=f"key {number}", sampling={"max_tokens": 1})
            await chat.listen(started["reply_id"])
        refused = await chat.say("Hello!")
        assert (refused["code"], "30" in refused["message"]) == ("rate_limited", True)
        assert 0 < refused["retry_after"] <= 60
        assert (await chat.say("Hello!", key="key 3", sampling={"max_tokens": 1}))["type"] == "started"


async def test_a_sixth_socket_is_refused_in_words(running: Stack, someone: Someone) -> None:
    from contextlib import AsyncExitStack

    async with AsyncExitStack() as stack:
        for _ in range(5):
            await stack.enter_async_context(running.chat(someone))
        sixth = await stack.enter_async_context(running.chat(someone))
        refused = await sixth.hear()
        assert (refused["code"], "5" in refused["message"]) == ("busy", True)
    async with running.chat(someone) as chat:
        assert (await chat.say("Hello!"))["type"] == "started"


async def _until_ended(chat: Chat, reply_id: str) -> None:
    while (word := await chat.hear())["type"] != "ended" or word["reply_id"] != reply_id:
        pass
