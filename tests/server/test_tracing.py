"""Traces of replies and runs, made by the real processes and read by a collector from outside."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from uuid import UUID

import pytest

from backtalk import runs
from backtalk.tables import Reply
from tests.server.collector import Collector, Told, collecting
from tests.server.conftest import ENDLESS
from tests.server.scripted import write_model
from tests.server.stack import PATIENCE, Someone, Stack

ENGINE = ("generate", "queue", "prefill", "decode")
QUESTION = "wherefore zebras quietly waltz"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Backtalk that tells this collector, and whose replies end only at their limit."""
    model = tmp_path_factory.mktemp("model")
    write_model(model, ENDLESS)
    stack = Stack(model, **collector.environment)
    try:
        yield stack.start()
    finally:
        stack.close()


@pytest.fixture
def asking(traced: Stack) -> Someone:
    return traced.someone()


async def test_one_trace_leads_from_the_socket_to_the_steps_of_the_engine(
    traced: Stack, asking: Someone, collector: Collector
) -> None:
    async with traced.chat(asking) as chat:
        started = await chat.say(QUESTION, sampling={"max_tokens": 40})
        _, ended = await chat.listen(started["reply_id"])
    spans = collector.trace("/ws/chat say", "chat backtalk-0", *ENGINE)
    door, reply, generate = spans["/ws/chat say"], spans["chat backtalk-0"], spans["generate"]
    assert (door.parent, reply.parent, generate.parent) == ("", door.id, reply.id)
    assert {spans[name].parent for name in ("queue", "prefill", "decode")} == {generate.id}
    assert {span.service for span in (door, reply)} == {"backtalk-server"}
    assert {spans[name].service for name in ENGINE} == {"backtalk-engine"}
    assert reply.events == ["handed to the engine", "first text"]
    asked = ended["usage"]["prompt_tokens"]
    assert (
        reply.attributes.items()
        >= {
            "gen_ai.response.id": started["reply_id"],
            "gen_ai.conversation.id": started["conversation_id"],
            "gen_ai.usage.input_tokens": asked,
            "gen_ai.usage.output_tokens": 40,
            "gen_ai.response.finish_reasons": ["length"],
            "backtalk.policy.version": 0,
        }.items()
    )
    first = reply.attributes["gen_ai.response.time_to_first_chunk"]
    assert isinstance(first, float) and 0 < first * 1e9 < reply.ended - reply.began
    assert generate.attributes["gen_ai.usage.output_tokens"] == 40
    assert spans["prefill"].attributes.items() >= {"gen_ai.usage.input_tokens": asked, "backtalk.steps": 1}.items()
    assert spans["decode"].attributes["backtalk.steps"] == 39
    parts: list[Told] = [spans[name] for name in ("queue", "prefill", "decode")]
    moments = [moment for part in parts for moment in (part.began, part.ended)]
    assert moments == sorted(moments), "one after the other"
    assert moments[0] == generate.began and moments[-1] == generate.ended
    assert moments[1:-1:2] == moments[2::2], "without a gap"


async def test_a_reply_to_a_program_belongs_to_the_trace_of_its_request(
    traced: Stack, asking: Someone, collector: Collector
) -> None:
    wanted = {"model": "backtalk", "max_tokens": 8, "messages": [{"role": "user", "content": QUESTION}]}
    async with traced.http(asking) as client:
        answer = await client.post("/v1/chat/completions", json=wanted, headers={"traceparent": PARENT})
        assert answer.status_code == 200
        tgi = await client.post("/generate", json={"inputs": QUESTION, "parameters": {"max_new_tokens": 8}})
        assert tgi.status_code == 200
    _, trace, parent, _ = PARENT.split("-")
    spans = collector.trace("POST /v1/chat/completions", "chat backtalk-0", *ENGINE, trace=trace)
    door = spans["POST /v1/chat/completions"]
    assert door.parent == parent and door.attributes["http.response.status_code"] == 200
    assert spans["chat backtalk-0"].parent == door.id
    collector.trace("POST /generate", "chat backtalk-0", *ENGINE)


async def test_a_refusal_is_told_by_its_kind_alone(traced: Stack, asking: Someone, collector: Collector) -> None:
    async with traced.chat(asking) as chat:
        assert (await chat.say(QUESTION, parent_id=str(asking.id)))["type"] == "refused"
    refused = collector.trace("/ws/chat say")["/ws/chat say"]
    assert refused.has_failed and refused.attributes == {"error.type": "BadRequest"} and not refused.events


async def test_the_next_server_goes_on_with_the_trace_of_a_reply(
    traced: Stack, asking: Someone, collector: Collector
) -> None:
    async with traced.chat(asking) as chat:
        started = await chat.say(QUESTION, sampling={"max_tokens": 3000})
        await chat.hear_deltas(started["reply_id"], 1)
        door = collector.trace("/ws/chat say", trace=_trace(traced, started["reply_id"]))["/ws/chat say"]
    traced.kill_server()
    traced.start_server()
    traced.until_ready()
    async with traced.chat(asking) as chat:
        await chat.send(type="stop", reply_id=started["reply_id"])
        await chat.send(type="follow", reply_id=started["reply_id"], after=0)
        await chat.listen(started["reply_id"])
    reply = collector.trace("/ws/chat say", "chat backtalk-0", *ENGINE, trace=door.trace)["chat backtalk-0"]
    assert reply.parent == door.id


async def test_no_word_of_anybody_is_told(traced: Stack, asking: Someone, collector: Collector) -> None:
    """Run after the others: everything that was exported until now."""
    told = b"".join(collector.raw)
    assert b"gen_ai" in told
    for word in (*QUESTION.split(), ENDLESS, "abcd", "somebody", "127.0.0.1"):
        assert word.encode() not in told, word


async def test_a_collector_that_hangs_keeps_no_reply_and_no_end(
    traced: Stack, asking: Someone, collector: Collector
) -> None:
    async with traced.chat(asking) as chat:
        first = await chat.say(QUESTION, sampling={"max_tokens": 20})
        text, _ = await chat.listen(first["reply_id"])
        collector.hangs.set()
        for _ in range(3):
            again = await chat.say(QUESTION, sampling={"max_tokens": 20})
            assert (await chat.listen(again["reply_id"]))[0] == text
    traced.kill_server(signal.SIGTERM)


def test_a_run_is_a_trace_with_a_span_for_each_stage() -> None:
    """A run that ends early: there is no version yet that it could begin with."""
    stack = Stack()
    try:
        with collecting() as collector:
            with stack.database.write() as session:
                runs.queue(session, {})
                run = runs.claim(session, "test")
                assert run is not None
            environment = {
                **os.environ,
                **collector.environment,
                "BACKTALK_DATA_DIR": str(stack.data_dir),
                "OTEL_SERVICE_NAME": "ours",
            }
            command = [sys.executable, "-m", "learner.train", str(run.id), str(run.epoch)]
            subprocess.run(command, env=environment, check=True, timeout=PATIENCE)
            spans = collector.trace("run", "snapshot")
    finally:
        stack.close()
    assert spans["snapshot"].parent == spans["run"].id
    assert spans["run"].attributes == {"backtalk.run.id": str(run.id), "backtalk.run.state": "rejected"}
    assert spans["run"].service == "ours", "the environment's name goes before ours"


def _trace(stack: Stack, reply_id: str) -> str:
    with stack.database.read() as session:
        traceparent = session.get_one(Reply, UUID(reply_id)).traceparent
    assert traceparent is not None
    return traceparent.split("-")[1]
