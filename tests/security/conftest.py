from collections.abc import Iterator

import pytest

from tests.server.stack import Someone, Stack


@pytest.fixture(scope="session")
def running() -> Iterator[Stack]:
    """A Backtalk with the bundled policy, for all tests that only ask it."""
    stack = Stack()
    try:
        yield stack.start()
    finally:
        stack.close()


@pytest.fixture
def someone(running: Stack) -> Someone:
    """A new person."""
    return running.someone()
