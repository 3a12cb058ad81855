"""What text-generation-inference's client speaks, tried with that client over a real server and a real engine."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from huggingface_hub import AsyncInferenceClient
from huggingface_hub.errors import UnknownError, ValidationError

from tests.server.conftest import ENDLESS
from tests.server.scripted import count_tokens
from tests.server.stack import Someone, Stack

HELLO = "Hello! Who are you?"


@pytest.fixture
async def client(running: Stack, someone: Someone) -> AsyncIterator[AsyncInferenceClient]:
    """The maintained client as it is."""
    async with AsyncInferenceClient(running.url, token=someone.key) as client:
        yield client


@pytest.fixture
async def endless_client(endless: Stack) -> AsyncIterator[AsyncInferenceClient]:
    """A client of somebody whose replies do not end by themselves."""
    async with AsyncInferenceClient(endless.url, token=endless.someone().key) as client:
        yield client


async def test_a_reply_comes_whole(client: AsyncInferenceClient) -> None:
    text = await client.text_generation(HELLO)
    assert text
    assert await client.text_generation(HELLO) == text, "greedy, unless something is said about sampling"
    assert await client.text_generation(HELLO, return_full_text=True) == HELLO + text


async def test_details_name_tokens_seed_and_end(client: AsyncInferenceClient) -> None:
    answer = await client.text_generation(HELLO, details=True, do_sample=True, temperature=0.9, top_k=50, seed=5)
    assert answer.details is not None
    assert answer.details.finish_reason == "eos_token" and answer.details.seed == 5
    assert answer.details.generated_tokens == len(answer.details.tokens)
    *words, end = answer.details.tokens
    assert "".join(word.text for word in words) == answer.generated_text
    assert end.special and not any(word.special for word in words)
    assert all(word.logprob <= 0 for word in words)


async def test_a_stream_of_texts_is_the_whole_text(client: AsyncInferenceClient) -> None:
    whole = await client.text_generation(HELLO)
    pieces = [piece async for piece in await client.text_generation(HELLO, stream=True)]
    assert "".join(pieces) == whole


async def test_a_stream_of_details_ends_with_the_whole_text(client: AsyncInferenceClient) -> None:
    events = [event async for event in await client.text_generation(HELLO, stream=True, details=True)]
    assert [event.index for event in events] == list(range(1, len(events) + 1))
    assert all(event.generated_text is None and event.details is None for event in events[:-1])
    last = events[-1]
    assert last.generated_text == "".join(event.token.text for event in events if not event.token.special)
    assert last.details is not None
    assert last.details.finish_reason == "eos_token" and last.details.generated_tokens == len(events)
    assert last.details.input_length > 0


async def test_limits_and_stop_strings_end_a_reply(endless_client: AsyncInferenceClient) -> None:
    tokens = count_tokens(ENDLESS)
    answer = await endless_client.text_generation(HELLO, max_new_tokens=tokens, details=True)
    assert answer.generated_text == ENDLESS and answer.details is not None
    assert answer.details.finish_reason == "length" and answer.details.generated_tokens == tokens
    answer = await endless_client.text_generation(HELLO, max_new_tokens=99, stop=["🙂"], details=True)
    assert answer.generated_text == "abc" and answer.details is not None
    assert answer.details.finish_reason == "stop_sequence"
    pieces = [
        piece async for piece in await endless_client.text_generation(HELLO, max_new_tokens=2 * tokens, stream=True)
    ]
    assert "".join(pieces) == ENDLESS * 2, "no character is broken, however many tokens it has"


async def test_the_named_routes_answer_as_the_address_alone_does(running: Stack, someone: Someone) -> None:
    async with httpx2.AsyncClient(base_url=running.url, headers=someone.headers, timeout=30) as http:
        body = {"inputs": HELLO, "parameters": {"max_new_tokens": 3}}
        named, alone = await http.post("/generate", json=body), await http.post("/", json=body)
        assert alone.json() == [named.json()] and set(named.json()) == {"generated_text"}
        streamed = await http.post("/generate_stream", json=body)
        assert streamed.headers["content-type"].startswith("text/event-stream")
        assert streamed.text.count("data:") == 3
        info = (await http.get("/info")).json()
    assert info["model_id"] == "backtalk-0" and info["max_total_tokens"] > info["max_input_tokens"]
    async with httpx2.AsyncClient(base_url=running.url) as browser:
        page = await browser.get("/")
        assert page.status_code == 200 and "html" in page.headers["content-type"], "the page of the chat stays"
        assert (await browser.put("/", headers={"X-Backtalk": "1"})).status_code in (404, 405)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"inputs": ""}, "empty"),
        ({"inputs": "x" * 32_769}, "32768"),
        ({}, "inputs"),
        ({"inputs": "x", "parameters": {"best_of": 2}}, "best_of"),
        ({"inputs": "x", "parameters": {"watermark": True}}, "watermark is not offered"),
        ({"inputs": "x", "parameters": {"temperature": 99}}, "temperature"),
        ({"inputs": "x", "parameters": {"max_new_tokens": 0}}, "max_tokens"),
    ],
)
async def test_what_is_wrong_is_said_in_tgis_shape(
    running: Stack, someone: Someone, body: dict[str, object], words: str
) -> None:
    async with httpx2.AsyncClient(base_url=running.url, headers=someone.headers, timeout=30) as http:
        answer = await http.post("/generate", json=body)
    assert answer.status_code == 422 and answer.json()["error_type"] == "validation"
    assert words in answer.json()["error"]


async def test_a_body_that_cannot_be_read_is_refused_in_tgis_shape(running: Stack, someone: Someone) -> None:
    async with httpx2.AsyncClient(base_url=running.url, headers=someone.headers, timeout=30) as http:
        answer = await http.post("/generate", content=b'{"inputs": "\xff"}')
    assert answer.status_code == 422 and set(answer.json()) == {"error", "error_type"}


async def test_the_client_raises_what_it_raises_at_tgi(running: Stack, client: AsyncInferenceClient) -> None:
    with pytest.raises(ValidationError, match="empty"):
        await client.text_generation(" ")
    async with AsyncInferenceClient(running.url, token="bt_wrong") as stranger:
        with pytest.raises(UnknownError, match="API key"):
            await stranger.text_generation(HELLO)
