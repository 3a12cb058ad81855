"""`/v1`, tried with the official client over a real server and a real engine."""

import time
from collections.abc import AsyncIterator, Iterator
from uuid import UUID

import httpx2
import pytest
from openai import APIStatusError, AsyncOpenAI, BadRequestError, NotFoundError, OpenAI, RateLimitError
from openai.types.chat import ChatCompletionMessageParam
from sqlmodel import col, select

from backtalk.tables import Conversation, Message, Opinion, Reply
from server import ledger
from tests.server.conftest import ENDLESS
from tests.server.scripted import count_tokens
from tests.server.stack import Someone, Stack

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello! Who are you?"}]


@pytest.fixture
def client(running: Stack, someone: Someone) -> Iterator[OpenAI]:
    """The official client as it is."""
    with OpenAI(base_url=f"{running.url}/v1", api_key=someone.key, max_retries=0) as client:
        yield client


@pytest.fixture
async def endless_client(endless: Stack) -> AsyncIterator[AsyncOpenAI]:
    """A client of somebody whose replies do not end by themselves."""
    key = endless.someone().key
    async with AsyncOpenAI(base_url=f"{endless.url}/v1", api_key=key, max_retries=0) as client:
        yield client


def stored(stack: Stack, reply_id: str) -> tuple[Message, Reply]:
    with stack.database.read() as session:
        return session.get_one(Message, UUID(reply_id)), session.get_one(Reply, UUID(reply_id))


def test_the_models_are_the_live_version_under_two_names(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["backtalk", "backtalk-0"]
    assert client.models.retrieve("backtalk-0").owned_by == "backtalk"
    with pytest.raises(NotFoundError):
        client.models.retrieve("gpt-9")


def test_a_completion_is_a_stored_reply_of_the_callers(client: OpenAI, running: Stack, someone: Someone) -> None:
    made = client.chat.completions.create(model="backtalk", messages=HELLO, seed=7, user="ignored", metadata={"a": "b"})
    choice = made.choices[0]
    assert choice.finish_reason == "stop" and choice.message.content
    assert made.model == "backtalk-0" and made.usage is not None
    assert made.usage.total_tokens == made.usage.prompt_tokens + made.usage.completion_tokens
    assert made.model_extra is not None
    reply, entry = stored(running, made.model_extra["backtalk"]["message_id"])
    assert made.model_extra["backtalk"]["policy_version"] == 0
    assert reply.content == choice.message.content and reply.person_id == someone.id
    assert entry.sampling["seed"] == 7 and entry.completion_tokens == made.usage.completion_tokens


def test_a_stream_holds_the_same_text_as_is_stored(client: OpenAI, running: Stack) -> None:
    text, ids, finishes, usages = "", set(), [], []
    stream = client.chat.completions.create(
        model="backtalk", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    for chunk in stream:
        assert chunk.object == "chat.completion.chunk" and chunk.model_extra is not None
        ids.add(chunk.model_extra["backtalk"]["message_id"])
        if chunk.usage is not None:
            usages.append(chunk.usage)
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finishes += [choice.finish_reason] if choice.finish_reason else []
    assert len(ids) == 1 and finishes == ["stop"] and len(usages) == 1
    reply, entry = stored(running, ids.pop())
    assert reply.content == text and reply.state == "done"
    assert usages[0].completion_tokens == entry.completion_tokens


def test_log_probs_are_those_under_which_the_tokens_were_drawn(client: OpenAI, running: Stack) -> None:
    made = client.chat.completions.create(model="backtalk", messages=HELLO, logprobs=True, temperature=1)
    assert made.choices[0].logprobs is not None and made.choices[0].logprobs.content is not None
    assert made.model_extra is not None
    told = made.choices[0].logprobs.content
    _, entry = stored(running, made.model_extra["backtalk"]["message_id"])
    kept = ledger.unpack_logprobs(entry.logprobs)
    assert [one.logprob for one in told] == pytest.approx(kept[: len(told)])
    assert "".join(one.token for one in told) == made.choices[0].message.content
    streamed = []
    for chunk in client.chat.completions.create(model="backtalk", messages=HELLO, logprobs=True, stream=True, seed=3):
        for choice in chunk.choices:
            if choice.logprobs is not None:
                streamed += choice.logprobs.content or []
    assert streamed


def test_the_turns_before_the_question_are_kept_as_they_were(client: OpenAI, running: Stack, someone: Someone) -> None:
    conversation: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": "My name is Mei."},
        {"role": "assistant", "content": "Hello Mei!"},
        {"role": "user", "content": [{"type": "text", "text": "What is "}, {"type": "text", "text": "my name?"}]},
    ]
    made = client.chat.completions.create(model="backtalk", messages=conversation, temperature=0)
    assert made.model_extra is not None
    reply, _ = stored(running, made.model_extra["backtalk"]["message_id"])
    with running.database.read() as session:
        turns = session.exec(
            select(Message).where(Message.conversation_id == reply.conversation_id).order_by(col(Message.position))
        ).all()
        assert session.get_one(Conversation, reply.conversation_id).person_id == someone.id
    assert [(turn.role, turn.content) for turn in turns[:3]] == [
        ("user", "My name is Mei."),
        ("assistant", "Hello Mei!"),
        ("user", "What is my name?"),
    ]
    assert reply.parent_id == turns[2].id


def test_the_same_seed_gives_the_same_reply(client: OpenAI) -> None:
    texts = {
        client.chat.completions.create(model="any-name", messages=HELLO, seed=11, temperature=1.0)
        .choices[0]
        .message.content
        for _ in range(2)
    }
    assert len(texts) == 1


async def test_max_tokens_ends_a_reply_by_length(endless_client: AsyncOpenAI) -> None:
    made = await endless_client.chat.completions.create(
        model="backtalk", messages=HELLO, max_tokens=count_tokens(ENDLESS)
    )
    assert made.choices[0].finish_reason == "length"
    assert made.choices[0].message.content == ENDLESS
    short = await endless_client.chat.completions.create(model="backtalk", messages=HELLO, max_completion_tokens=1)
    assert short.usage is not None and short.usage.completion_tokens == 1


async def test_a_stop_string_ends_a_reply_before_it(endless_client: AsyncOpenAI) -> None:
    made = await endless_client.chat.completions.create(model="backtalk", messages=HELLO, max_tokens=99, stop="🙂")
    assert made.choices[0].finish_reason == "stop" and made.choices[0].message.content == "abc"


async def test_a_client_that_leaves_a_stream_ends_its_reply(endless: Stack, endless_client: AsyncOpenAI) -> None:
    stream = await endless_client.chat.completions.create(
        model="backtalk", messages=HELLO, stream=True, max_tokens=7000
    )
    async for chunk in stream:
        assert chunk.model_extra is not None
        reply_id = chunk.model_extra["backtalk"]["message_id"]
        if chunk.choices[0].delta.content:
            break
    await stream.close()
    until_ended(endless, reply_id)


async def test_a_client_that_leaves_while_waiting_ends_its_reply(endless: Stack) -> None:
    someone = endless.someone()
    async with httpx2.AsyncClient(base_url=endless.url, headers=someone.headers) as client:
        body = {"messages": HELLO, "max_tokens": 7000}
        with pytest.raises(httpx2.ReadTimeout):
            await client.post("/v1/chat/completions", json=body, timeout=0.5)
    with endless.database.read() as session:
        reply = session.exec(select(Message).where(Message.person_id == someone.id, Message.role == "assistant")).one()
    until_ended(endless, str(reply.id))


def until_ended(stack: Stack, reply_id: str) -> None:
    deadline = time.monotonic() + 30
    while stored(stack, reply_id)[0].state == "streaming":
        assert time.monotonic() < deadline, "the reply runs on"
        time.sleep(0.05)
    assert stored(stack, reply_id)[0].state == "stopped"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n": 2}, "n is 2"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools is not offered"),
        ({"presence_penalty": 0.5}, "presence_penalty is not offered"),
        ({"top_logprobs": 3, "logprobs": True}, "top_logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"temperature": -1}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": ["x"] * 20}, "stop has 20 strings"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "expected 'user'"),
        ({"messages": [{"role": "user", "content": " "}]}, "empty"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "only text"),
    ],
)
def test_what_is_wrong_is_said_in_openais_shape(client: OpenAI, change: dict[str, object], words: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        client.post("/chat/completions", body={"model": "backtalk", "messages": HELLO, **change}, cast_to=object)
    error = raised.value
    assert error.type == "invalid_request_error" and error.code == "bad_request"
    assert words in error.message


def test_a_body_that_cannot_be_read_is_refused_in_openais_shape(running: Stack, someone: Someone) -> None:
    url = f"{running.url}/v1/chat/completions"
    answer = httpx2.post(url, content=b'{"model": "\xff"}', headers=someone.headers, timeout=30)
    assert answer.status_code == 400 and answer.json()["error"]["type"] == "invalid_request_error"


def test_a_message_over_the_limit_is_refused_with_the_number(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as raised:
        client.chat.completions.create(model="backtalk", messages=[{"role": "user", "content": "x" * 32_769}])
    assert raised.value.code == "context_length_exceeded" and "32768" in raised.value.message


def test_another_version_than_the_live_one_is_not_there(client: OpenAI) -> None:
    with pytest.raises(NotFoundError, match="backtalk-0 is"):
        client.chat.completions.create(model="backtalk-99", messages=HELLO)


def test_without_a_good_key_nothing_is_said(running: Stack) -> None:
    stranger = OpenAI(base_url=f"{running.url}/v1", api_key="sk-wrong", max_retries=0)
    with stranger, pytest.raises(APIStatusError) as raised:
        stranger.chat.completions.create(model="backtalk", messages=HELLO)
    assert raised.value.status_code == 401 and raised.value.type == "authentication_error"


def test_the_31st_message_in_a_minute_is_refused(running: Stack) -> None:
    key = running.someone().key
    with OpenAI(base_url=f"{running.url}/v1", api_key=key, max_retries=0) as client:
        for _ in range(30):
            client.chat.completions.create(model="backtalk", messages=HELLO, max_tokens=1)
        with pytest.raises(RateLimitError) as raised:
            client.chat.completions.create(model="backtalk", messages=HELLO, max_tokens=1)
    assert raised.value.code == "rate_limited" and "at most 30" in raised.value.message
    assert int(raised.value.response.headers["retry-after"]) > 0


def test_an_opinion_names_the_completion_it_is_about(client: OpenAI, running: Stack, someone: Someone) -> None:
    made = client.chat.completions.create(model="backtalk", messages=HELLO)
    assert made.model_extra is not None
    message_id = made.model_extra["backtalk"]["message_id"]
    body = {"message_id": message_id, "rating": -1, "rewrite": "I am Backtalk.", "labels": {"quality": 2}}
    kept = client.post("/feedback", body=body, cast_to=object)
    assert isinstance(kept, dict) and kept["revision"] == 1 and kept["message_id"] == message_id
    with running.database.read() as session:
        assert session.exec(select(Opinion).where(Opinion.person_id == someone.id)).one().rewrite == "I am Backtalk."
    with pytest.raises(BadRequestError):
        client.post("/feedback", body={**body, "rating": 3}, cast_to=object)
    with pytest.raises(NotFoundError):
        client.post("/feedback", body={**body, "message_id": str(someone.id)}, cast_to=object)
