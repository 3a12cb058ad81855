from collections.abc import Iterator

import pytest

from tests.server.scripted import write_model
from tests.server.stack import Someone, Stack

ENDLESS = "abc🙂"
"""What the endless version says, over and over; the last of it takes four tokens."""


@pytest.fixture(scope="session")
def running() -> Iterator[Stack]:
    """A Backtalk with the bundled policy that all tests share; each takes a person of its own."""
    stack = Stack()
    try:
        yield stack.start()
    finally:
        stack.close()


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Backtalk whose replies end only at their limit. A test that kills a part of it starts it again."""
    model = tmp_path_factory.mktemp("model")
    write_model(model, ENDLESS)
    stack = Stack(model)
    try:
        yield stack.start()
    finally:
        stack.close()


@pytest.fixture
def someone(running: Stack) -> Someone:
    """A new person."""
    return running.someone()
