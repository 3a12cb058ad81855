from collections.abc import Iterator

import pytest

from tests.faults import link
from tests.server.scripted import write_model
from tests.server.stack import Stack


@pytest.fixture(scope="session")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Backtalk that says one script for ever; its processes write to a log."""
    model = tmp_path_factory.mktemp("model")
    write_model(model, link.SCRIPT)
    stack = Stack(model)
    stack.log = stack.data_dir / "processes.log"
    try:
        yield stack.start()
    finally:
        stack.close()
