"""Two versions side by side, and a profile tried before it trains: over HTTP and the command line, on a real engine."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from sqlmodel import select

from backtalk.tables import Message
from tests.server.stack import Stack

WORDS = {"left": "abc", "right": "xyz"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    stack = Stack()
    try:
        yield stack.start()
    finally:
        stack.close()


async def test_both_answer_the_same_questions_and_nothing_of_it_is_kept(stack: Stack) -> None:
    operator, person = stack.someone("operator"), stack.someone()
    left, right = (stack.publish(script, go_live=False) for script in WORDS.values())
    body = {"left": left, "right": right, "prompts": ["One?", "Two?"], "max_tokens": 6}
    async with stack.http(operator) as client:
        answer = await client.post("/api/operate/policies/compare", json=body)
        assert answer.status_code == 200, answer.text
        compared = answer.json()
        assert [one["prompt"] for one in compared["items"]] == ["One?", "Two?"]
        assert all(set(one["left"]) == set("abc") and set(one["right"]) == set("xyz") for one in compared["items"])
        assert (compared["left"]["number"], compared["right"]["number"]) == (left, right)
        without = await client.post("/api/operate/policies/compare", json={"left": left, "right": right})
        assert without.status_code == 409, "nobody has asked anything"
        missing = await client.post("/api/operate/policies/compare", json=body | {"right": 99})
        assert missing.status_code == 404
        long = await client.post("/api/operate/policies/compare", json=body | {"prompts": ["é" * 4000] * 2})
        assert long.status_code in (200, 400)
        engine = (await client.get("/api/operate/summary")).json()["engine"]
        assert 0 in engine["versions"]
    async with stack.http(person) as client:
        assert (await client.post("/api/operate/policies/compare", json=body)).status_code == 403


async def test_a_profile_is_tried_on_the_live_version_and_nothing_of_it_is_kept(stack: Stack) -> None:
    operator, person = stack.someone("operator"), stack.someone()
    asked = ["What is the capital of France?", "Tell me a story."]
    body = {"weights": {"preference": 0, "brevity": 1}, "prompts": asked, "draws": 4, "max_tokens": 24}
    async with stack.http(operator) as client:
        answer = await client.post("/api/operate/rewards/preview", json=body)
        assert answer.status_code == 200, answer.text
        tried = answer.json()
        assert [one["prompt"] for one in tried["items"]] == asked and tried["draws"] == 4
        assert all(one["reward_best"] >= one["reward_today"] for one in tried["items"])
        assert any(len(one["best"]) < len(one["today"]) for one in tried["items"]), "the shortest of four is chosen"
        assert tried["shift"]["brevity"] > 0 and tried["clashes"] == []
        again = (await client.post("/api/operate/rewards/preview", json=body)).json()
        assert again["items"] == tried["items"], "the same seed draws the same"
        assert (await client.post("/api/operate/rewards/preview", json=body | {"draws": 1})).status_code == 422
        assert (await client.get("/api/operate/rewards")).json()["items"] == []
    async with stack.http(person) as client:
        assert (await client.post("/api/operate/rewards/preview", json=body)).status_code == 403
    with stack.database.read() as session:
        assert session.exec(select(Message)).first() is None


async def test_rewards_that_pull_apart_are_flagged_where_there_are_replies_to_see_it(stack: Stack) -> None:
    operator, person = stack.someone("operator"), stack.someone()
    async with stack.http(person) as client:
        await client.patch("/api/me", json={"consent": {"train": True}})
        for length in (2, 4, 8, 16):
            asked = {"messages": [{"role": "user", "content": "Tell me a story."}], "max_tokens": length}
            (await client.post("/v1/chat/completions", json={"model": "backtalk", **asked})).raise_for_status()
    torn = {"weights": {"brevity": 1, "long": 1}, "rules": {"long": "words"}}
    async with stack.http(operator) as client:
        checked = (await client.post("/api/operate/rewards/check", json=torn)).json()
        assert checked["correlation"]["brevity"]["long"] == -1.0
        assert [(one["left"], one["right"]) for one in checked["clashes"]] == [("brevity", "long")]
        one_way = torn | {"weights": {"brevity": 1, "long": -1}}
        assert (await client.post("/api/operate/rewards/check", json=one_way)).json()["clashes"] == []


def test_the_command_line_asks_the_running_engine(stack: Stack) -> None:
    left, right = (stack.publish(script, go_live=False) for script in WORDS.values())
    done = subprocess.run(
        [
            *(sys.executable, "-m", "backtalk.cli", "policy", "compare", str(left), str(right)),
            *("--prompt", "One?", "--json"),
        ],
        env=os.environ | {"BACKTALK_DATA_DIR": str(stack.data_dir)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert row["prompt"] == "One?"
    assert set(row["left"]) == set("abc")
    assert set(row["right"]) == set("xyz")
