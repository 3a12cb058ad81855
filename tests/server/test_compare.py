"""Two versions side by side, over HTTP and from the command line, on a real engine."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

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
