"""Who runs next: decided without a tensor in sight."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtalk.engine.errors import EngineBusy
from backtalk.engine.sampling import Priority, Sampling
from backtalk.engine.scheduler import Limits, Plan, Request, Scheduler


def request(
    id: int, prompt: int = 4, new: int = 4, priority: Priority = "chat", group: str = "", version: int = 0
) -> Request:
    return Request(id, [1] * prompt, Sampling(max_tokens=new), 0, version, priority, group)


def scheduler_with(*requests: Request, **limits: int) -> Scheduler:
    scheduler = Scheduler(Limits(**limits))
    for each in requests:
        scheduler.add(each)
    return scheduler


def chunks(plan: Plan) -> list[tuple[object, int, int]]:
    return [(chunk.request.id, chunk.start, chunk.count) for part in plan.chunks.values() for chunk in part]


def test_importing_what_the_server_needs_loads_no_torch() -> None:
    modules = "client, errors, sampling, scheduler, text, wire"
    code = f"import sys; from backtalk.engine import {modules}; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_as_many_run_as_there_are_slots() -> None:
    scheduler = scheduler_with(*(request(i) for i in range(3)), slots=2)
    scheduler.plan()
    assert list(scheduler.running) == [0, 1]
    scheduler.drop(scheduler.running[0])
    scheduler.plan()
    assert list(scheduler.running) == [1, 2]


def test_no_more_run_than_the_cache_may_come_to_hold() -> None:
    scheduler = scheduler_with(request(0, 10, 10), request(1, 10, 23), tokens=64)  # 2 + 3 pages of 4
    scheduler.plan()
    assert list(scheduler.running) == [0]


def test_what_ends_gives_its_share_of_the_cache_back() -> None:
    first, second = request(0, 10, 10), request(1, 10, 23)
    scheduler = scheduler_with(first, second, tokens=64)
    scheduler.plan()
    scheduler.drop(first)
    scheduler.add(request(2, 10, 6))
    scheduler.plan()
    assert list(scheduler.running) == [1, 2]


def test_a_chat_takes_the_pages_of_a_rollout() -> None:
    scheduler = scheduler_with(request(0, 10, 40, "rollout"), tokens=64)
    scheduler.plan()
    scheduler.add(request(1, 10, 10))
    assert [each.id for each in scheduler.plan().preempted] == [0]
    assert list(scheduler.running) == [1]


def test_who_comes_back_computes_only_what_is_not_kept() -> None:
    rollout = request(0, 40, priority="rollout")
    scheduler = scheduler_with(rollout, slots=1)
    scheduler.plan()
    chat = Request(1, [2] * 20, Sampling(max_tokens=4), 0)
    scheduler.add(chat)
    assert scheduler.plan().preempted == [rollout]
    scheduler.drop(chat)
    assert chunks(scheduler.plan()) == [(0, 32, 8)]  # two full pages are still there


def test_the_next_turn_of_a_conversation_computes_only_what_is_new() -> None:
    first = Request(0, list(range(30)), Sampling(max_tokens=10), 0)
    scheduler = scheduler_with(first)
    scheduler.plan()
    for token in range(30, 40):
        first.tokens.append(token)
        scheduler.plan()
    scheduler.drop(first)
    scheduler.add(Request(1, list(range(50)), Sampling(max_tokens=4), 0))
    assert chunks(scheduler.plan()) == [(1, 32, 18)]


def test_prompts_that_begin_alike_are_computed_once_even_in_one_step() -> None:
    scheduler = scheduler_with(*(request(i, 36) for i in range(3)))
    assert chunks(scheduler.plan()) == [(0, 0, 36), (1, 32, 4), (2, 32, 4)]
    assert scheduler.pages.used == 2 + 3


def test_no_version_takes_what_another_has_computed() -> None:
    scheduler = scheduler_with(request(0, 36, version=1), request(1, 36, version=2))
    assert chunks(scheduler.plan()) == [(0, 0, 36), (1, 0, 36)]


def test_a_long_prompt_is_computed_in_chunks_of_the_budget() -> None:
    scheduler = scheduler_with(request(0, 10), prefill=4)
    assert [chunks(scheduler.plan()) for _ in range(4)] == [[(0, 0, 4)], [(0, 4, 4)], [(0, 8, 2)], []]


def test_what_one_prompt_leaves_of_the_budget_goes_to_the_next() -> None:
    scheduler = scheduler_with(request(0, 3), request(1, 3), prefill=5)
    assert chunks(scheduler.plan()) == [(0, 0, 3), (1, 0, 2)]
    assert chunks(scheduler.plan()) == [(1, 2, 1)]


def test_chats_are_admitted_and_computed_before_rollouts() -> None:
    scheduler = scheduler_with(request(0, priority="rollout"), request(1), prefill=6)
    assert chunks(scheduler.plan()) == [(1, 0, 4), (0, 0, 2)]


def test_a_chat_takes_the_seat_of_the_youngest_rollout_which_goes_on_later() -> None:
    old, young = request(0, priority="rollout"), request(1, priority="rollout")
    scheduler = scheduler_with(old, young, slots=2)
    scheduler.plan()
    young.tokens.append(7)
    scheduler.add(request(2))
    plan = scheduler.plan()
    assert plan.preempted == [young]
    assert list(scheduler.running) == [0, 2]
    scheduler.drop(old)
    assert chunks(scheduler.plan()) == [(1, 0, 5)]  # the token that it drew is kept


def test_groups_take_turns() -> None:
    greedy = [request(i, group="greedy") for i in range(3)]
    scheduler = scheduler_with(*greedy, request(3, group="patient"), slots=1)
    order = []
    while scheduler.has_work:
        scheduler.plan()
        (running,) = scheduler.running.values()
        order.append(running.id)
        scheduler.drop(running)
    assert order == [0, 3, 1, 2]


def test_a_full_line_is_busy() -> None:
    scheduler = scheduler_with(request(0), request(1), slots=1, waiting=1)
    with pytest.raises(EngineBusy, match="2 requests are waiting"):
        scheduler.add(request(2))
    scheduler.plan()
    with pytest.raises(EngineBusy, match="1 requests are waiting"):
        scheduler.add(request(2))


def test_one_who_is_dropped_while_waiting_or_in_the_middle_of_a_prompt_leaves_nothing() -> None:
    first, second = request(0, 10), request(1)
    scheduler = scheduler_with(first, second, slots=1, prefill=4)
    scheduler.plan()
    scheduler.drop(first)
    scheduler.drop(second)
    assert not scheduler.has_work
    assert chunks(scheduler.plan()) == []


def test_a_version_is_in_use_while_anyone_waits_for_it() -> None:
    waiting = request(1, version=4)
    scheduler = scheduler_with(request(0, version=3), waiting, slots=1)
    scheduler.plan()
    assert scheduler.uses(3)
    assert scheduler.uses(4)
    scheduler.drop(waiting)
    assert not scheduler.uses(4)


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 5), st.sampled_from(["chat", "rollout"])), max_size=12),
    st.integers(1, 4),
    st.integers(1, 9),
)
def test_everyone_is_computed_exactly_once_and_budgets_hold(
    wishes: list[tuple[int, int, Priority]], slots: int, prefill: int
) -> None:
    requests = [request(i, *wish) for i, wish in enumerate(wishes)]
    for each in requests:
        each.tokens = [int(str(each.id))] * len(each.tokens)  # none begins like another
    scheduler = scheduler_with(*requests, slots=slots, prefill=prefill)
    seen: dict[object, int] = dict.fromkeys(range(len(wishes)), 0)
    for _ in range(1000):
        if not scheduler.has_work:
            break
        plan = scheduler.plan()
        assert not plan.preempted
        assert len(scheduler.running) <= slots
        assert sum(count for _, _, count in chunks(plan)) <= prefill
        for id, start, count in chunks(plan):
            assert start == seen[id]
            seen[id] += count
        for each in list(scheduler.running.values()):
            if each.computed == len(each.tokens):
                scheduler.drop(each)
    assert seen == {i: prompt for i, (prompt, _, _) in enumerate(wishes)}
