"""Pages are given, known, found again and forgotten: checked against a plain model of what they hold."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from backtalk.engine.pages import PAGE, Held, Pages


def test_the_last_token_is_always_computed() -> None:
    pages, first, again = Pages(8), Held((0, 0)), Held((0, 0))
    text = list(range(2 * PAGE))
    pages.extend(first, len(text))
    pages.learn(first, text, len(text))
    assert pages.match(again, text) == PAGE


def test_a_text_is_forgotten_from_its_end() -> None:
    pages, held, other, again = Pages(3), Held((0, 0)), Held((0, 0)), Held((0, 0))
    text = list(range(3 * PAGE))
    pages.extend(held, len(text))
    pages.learn(held, text, len(text))
    pages.release(held)
    assert (pages.used, pages.kept) == (0, 3)
    pages.extend(other, 2 * PAGE)
    assert pages.match(again, [*text, 0]) == PAGE


def test_what_is_spoiled_is_not_found_again() -> None:
    pages, held, again = Pages(4), Held((0, 0)), Held((0, 0))
    text = list(range(2 * PAGE))
    pages.extend(held, len(text))
    pages.learn(held, text, len(text))
    pages.forget(held.pages)
    pages.release(held)
    assert pages.match(again, [*text, 0]) == 0
    assert pages.kept == 0


def test_a_version_that_is_gone_leaves_nothing() -> None:
    pages, text = Pages(4), list(range(PAGE))
    for version in (1, 2):
        held = Held((version, 0))
        pages.extend(held, PAGE)
        pages.learn(held, text, PAGE)
        pages.release(held)
    pages.forget_version(1)
    assert [pages.match(Held((version, 0)), [*text, 0]) for version in (1, 2)] == [0, PAGE]


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(8, 20))
def test_whoever_takes_a_page_finds_its_own_tokens_in_it(chance: random.Random, count: int) -> None:
    """Texts over two letters, so that many begin alike; `memory` holds what was really written to each page."""
    pages, memory = Pages(count), dict[int, list[tuple[int, list[int]]]]()
    running: list[tuple[Held, int, list[int]]] = []
    for _ in range(60):
        room = count - sum(-(-len(text) // PAGE) for _, _, text in running)
        length = chance.randrange(1, 4 * PAGE)
        if room >= -(-length // PAGE) and chance.random() < 0.6:
            version = chance.randrange(2)
            text = [letter for _ in range(-(-length // PAGE)) for letter in [chance.randrange(2)] * PAGE][:length]
            held = Held((version, 0))
            spared = pages.match(held, text)
            assert spared < length
            for at, page in enumerate(held.pages):
                assert memory[page] == [(version, text[: PAGE * (at + 1)])]
            pages.extend(held, length)
            for at in range(spared // PAGE, len(held.pages)):
                memory[held.pages[at]] = [(version, text[: PAGE * (at + 1)])]
            pages.learn(held, text, length)
            running.append((held, version, text))
        elif running:
            held, _, text = running.pop(chance.randrange(len(running)))
            assert len(set(held.pages)) == len(held.pages) == -(-len(text) // PAGE)
            pages.release(held)
        assert 0 not in memory
        assert pages.used + pages.kept + len(pages._fresh) == count
        own = [page for held, _, _ in running for page in held.pages if pages._users[page] == 1]
        assert len(own) == len(set(own))
