"""The operators' socket: how things stand, then what changes, and no longer than one may see it."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from backtalk.tables import Metric, Policy, Run, RunLine
from tests.server.api.conftest import Home, Somebody

Word = dict[str, Any]


@asynccontextmanager
async def feed(home: Home, operator: Somebody) -> AsyncIterator[ClientConnection]:
    headers = {"Authorization": f"Bearer {operator.key}"}
    async with connect(home.url.replace("http", "ws") + "/ws/operate", additional_headers=headers) as socket:
        yield socket


async def hear(socket: ClientConnection) -> Word:
    word: Word = json.loads(await socket.recv())
    return word


def change(home: Home, **values: object) -> None:
    with home.database.write() as session:
        run = session.get_one(Run, values.pop("id"))
        for name, value in values.items():
            setattr(run, name, value)
        session.add(run)


def measure(home: Home, run: Run, step: int) -> None:
    with home.database.write() as session:
        session.add(Metric(run_id=run.id, step=step, stage="policy", values={"reward": step}))


def say(home: Home, run: Run, number: int, text: str) -> None:
    with home.database.write() as session:
        session.add(RunLine(run_id=run.id, number=number, level="info", text=text))


@pytest.mark.timeout(60)
async def test_whoever_doubts_that_the_server_is_there_is_answered(own: Home) -> None:
    async with feed(own, own.person("operator")) as socket:
        await socket.send('{"type": "ping"}')
        while (await hear(socket))["type"] != "pong":
            pass


async def test_an_operator_sees_how_things_stand_and_then_each_change_once(start: Callable[..., Home]) -> None:
    home = start()
    operator = home.person("operator")
    run = Run(state="running", stage="policy")
    with home.database.write() as session:
        session.add(run)
    measure(home, run, 0)
    say(home, run, 1, "step policy begins")
    async with feed(home, operator) as socket, feed(home, operator) as second:
        for listener in (socket, second):
            first = [await hear(listener), await hear(listener)]
            assert [word["type"] for word in first] == ["run", "policy"]
            assert first[0]["run"]["stage"] == "policy" and first[1]["policy"]["state"] == "live"
        measure(home, run, 1)
        measure(home, run, 2)
        change(home, id=run.id, progress=0.5)
        with home.database.write() as session:
            session.add(Policy(number=1, state="candidate", directory="", digest=""))
        for listener in (socket, second):
            told = [await hear(listener) for _ in range(4)]
            told.sort(key=lambda word: (word["type"], word.get("step", 0)))
            assert [word["type"] for word in told] == ["metric", "metric", "policy", "run"]
            assert [word["step"] for word in told[:2]] == [1, 2], "the past is asked for over HTTP"
            assert told[0] == {
                "type": "metric",
                "run_id": str(run.id),
                "step": 1,
                "stage": "policy",
                "values": {"reward": 1},
            }
            assert told[3]["run"]["progress"] == 0.5
        say(home, run, 2, "ppo took 3 s of CPU")
        for listener in (socket, second):
            log = await hear(listener)
            assert (log["type"], log["run_id"]) == ("log", str(run.id))
            assert [(line["number"], line["text"]) for line in log["lines"]] == [(2, "ppo took 3 s of CPU")]
        change(home, id=run.id, state="promoted")
        assert (await hear(socket))["run"]["state"] == "promoted", "nothing was told twice"


@pytest.mark.timeout(60)
async def test_a_demoted_operator_is_shown_out(start: Callable[..., Home]) -> None:
    home = start()
    operator, admin = home.person("operator"), home.person("admin")
    async with feed(home, operator) as socket:
        assert (await hear(socket))["type"] == "policy"
        admin.patch(f"/api/operate/people/{operator.id}", json={"role": "user"})
        with pytest.raises(ConnectionClosed) as closed:
            await hear(socket)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401


@pytest.mark.timeout(60)
async def test_who_listens_again_after_all_have_left_hears_it_all_again(start: Callable[..., Home]) -> None:
    home = start()
    operator = home.person("operator")
    for _ in range(7):  # more than a person may have open at once
        async with feed(home, operator) as socket:
            assert (await hear(socket))["type"] == "policy"
