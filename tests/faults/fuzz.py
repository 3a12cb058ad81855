"""G13b: messages that are almost right, by the hundred thousand; none may break anything (F23, F25).

Each is a word of the contract with something changed: a field gone, doubled, of another kind, out of range, with text
that nobody expects; or the bytes of its frame changed. Broken is: an answer that says something went wrong here, a
trace in the server's log, a connection that ends without the reason the protocol gives, a server that is gone.
"""

import asyncio
import copy
import json
import random
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.faults import figures
from tests.faults.rfc6455 import CLOSE, PING, PONG, TEXT, Line, frame
from tests.server.scripted import write_model
from tests.server.stack import PATIENCE, Stack

TALKERS = 4
BURST = 200
LONG = "x" * 5000
TEXTS = [
    *("", " ", "\u0000", "\ufffd", "\u202e", "\u200d", "e" + "\u0301" * 64, "你好", "שלום", "👩‍👩‍👧‍👦", "null", "true"),
    *(
        "<script>",
        "'; DROP TABLE message; --",
        "{{7*7}}",
        "${jndi:ldap://x}",
        "../../etc/passwd",
        "%s%n",
        "<|im_start|>",
    ),
    *("\r\n", "\u2028", LONG, "0", "-1", "NaN", "[]", "{}", "00000000-0000-0000-0000-000000000000", "\udbff\udfff"),
]
NUMBERS = [0, 1, -1, 2**31, 2**53, 2**63, -(2**63), 2**64, 10**30, 0.5, -0.0, 1e308, 1e-308, 20, 1000001]
ODD: list[Any] = [None, True, False, [], {}, [[]], [{}], {"a": None}, [1, "a", None], {"": ""}, [[[[[[[[1]]]]]]]]]


def run(seed: int, trials: int) -> figures.Outcome:
    """Say `trials` things."""
    return on_a_stack(lambda stack: asyncio.run(say_all(stack, seed, trials)))


def on_a_stack(work: Callable[[Stack], figures.Outcome]) -> figures.Outcome:
    """Do it to a server of its own, which must be ready afterwards and have no trace of an error in its log."""
    with tempfile.TemporaryDirectory() as directory:
        write_model(Path(directory) / "model", "abc", ends=True)
        stack = Stack(Path(directory) / "model")
        stack.log = stack.data_dir / "processes.log"
        try:
            stack.start()
            outcome = work(stack)
            if not stack.is_ready():
                outcome.violations.append("the server is not ready afterwards")
            log = stack.log.read_text(errors="replace")
            if "Traceback" in log:
                outcome.violations.append(f"a trace in the log: …{log[log.index('Traceback') :][-1500:]}")
            return outcome
        finally:
            stack.close()


async def say_all(stack: Stack, seed: int, trials: int) -> figures.Outcome:
    """The same on a stack that runs already; its log is not looked at."""
    outcome = figures.Outcome()

    async def talk(chance: random.Random) -> None:
        talker = Talker(stack, chance)
        while outcome.trials < trials:
            count = min(BURST, trials - outcome.trials)
            outcome.trials += count
            outcome.violations += await talker.burst(count)
        await talker.close()

    await asyncio.gather(*(talk(random.Random(f"{seed} {number}")) for number in range(TALKERS)))
    return outcome


class Talker:
    """Somebody who says almost the right things."""

    def __init__(self, stack: Stack, chance: random.Random) -> None:
        self._stack, self._chance = stack, chance
        self._key = stack.someone().key
        self._line: Line | None = None
        self._ids = [str(uuid4())]

    async def burst(self, count: int) -> list[str]:
        """Say some things at once, and listen until a ping that comes after them is answered."""
        if self._line is None:
            self._line = await Line.open(self._stack.port, self._key)
        line, mark = self._line, self._chance.randbytes(8)
        sent = [self._frame() for _ in range(count)]
        line.writer.write(b"".join(sent) + frame(PING, mark))
        try:
            return await asyncio.wait_for(self._listen(line, mark), PATIENCE)
        except (asyncio.IncompleteReadError, OSError):  # too much was on its way for the close frame to come through
            await self.close()
            return []
        except TimeoutError:
            await self.close()
            return ["no answer"]

    async def close(self) -> None:
        """Hang up; the next burst has a line of its own."""
        if self._line is not None:
            await self._line.hang_up()
            self._line = None

    async def _listen(self, line: Line, mark: bytes) -> list[str]:
        wrong: list[str] = []
        while True:
            opcode, payload = await line.receive()
            if (opcode, payload) == (PONG, mark):
                return wrong
            if opcode == CLOSE:
                code = struct.unpack(">H", payload[:2])[0] if payload else 1005
                await self.close()
                if code == 1011 and b"ping" in payload:  # a broken length has swallowed all that came after it
                    return wrong
                return [*wrong, f"closed with {code}"] if code not in (1002, 1007, 1009) else wrong
            if opcode != TEXT:
                continue
            word = json.loads(payload)
            if word["type"] == "started":
                self._ids = [*self._ids[-20:], word["reply_id"], word["conversation_id"], word["question_id"]]
            if word["type"] == "refused" and "went wrong" in word["message"]:
                wrong.append("something went wrong in the server")

    def _frame(self) -> bytes:
        text = self._text()
        if self._chance.random() > 0.0005:
            return frame(TEXT, text)
        broken = bytearray(frame(TEXT, text))
        for _ in range(self._chance.randint(1, 3)):
            broken[self._chance.randrange(min(len(broken), 30))] = self._chance.randrange(256)
        return bytes(broken)

    def _text(self) -> bytes:
        word = self._word()
        for _ in range(self._chance.choice((0, 1, 1, 1, 2, 3))):
            self._change(word)
        text = json.dumps(word, ensure_ascii=self._chance.random() < 0.5)
        if self._chance.random() < 0.1:
            start = self._chance.randrange(len(text))
            text = self._chance.choice((text[:start], text[start:], text + text, text[:start] + "," + text[start:]))
        return text.encode(errors="replace")

    def _word(self) -> dict[str, Any]:
        id = self._chance.choice(self._ids)
        words: list[dict[str, Any]] = [
            {"type": "say", "key": str(uuid4()), "text": "Hello", "conversation_id": None, "parent_id": None},
            {
                "type": "say",
                "key": "same",
                "text": self._chance.choice(TEXTS),
                "sampling": {"max_tokens": 3, "stop": "a"},
            },
            {"type": "regenerate", "key": str(uuid4()), "reply_id": id, "sampling": {"temperature": 0.5, "top_p": 0.9}},
            {"type": "continue", "key": str(uuid4()), "reply_id": id, "max_tokens": 3},
            {"type": "stop", "reply_id": id},
            {"type": "follow", "reply_id": id, "after": 0},
        ]
        return self._chance.choice(words)

    def _change(self, word: dict[str, Any]) -> None:
        name = self._chance.choice(list(word) or ["type"])
        match self._chance.randrange(6):
            case 0:
                word.pop(name, None)
            case 1:
                word[name] = self._anything()
            case 2:
                word[self._chance.choice([*TEXTS, "type", "key", "after", "sampling"])] = self._anything()
            case 3:
                word[name] = [word.get(name)]
            case 4 if isinstance(word.get(name), dict):
                self._change(word[name])
            case 4:
                word["sampling"] = {self._chance.choice(("seed", "stop", "top_p", "max_tokens")): self._anything()}
            case 5 if isinstance(word.get(name), str):
                letters = list(word[name])
                letters.insert(self._chance.randint(0, len(letters)), self._chance.choice(TEXTS))
                word[name] = "".join(letters)

    def _anything(self) -> Any:
        return copy.deepcopy(self._chance.choice((*TEXTS, *NUMBERS, *ODD, float("nan"), float("inf"), *self._ids)))


FIGURE = figures.Figure(
    name="G13b",
    claim="Messages that are almost right: each is refused in words, and nothing breaks",
    unit="messages",
    run=run,
    minimum=100_000,
    goal=1_000_000,
    slice=50_000,
    faults="F22, F23, F25",
)
