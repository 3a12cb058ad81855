"""Every route and every word × role × owner: the cells that `tests/server/api/test_rules.py` does not try already."""

import random
from collections.abc import Iterator

import pytest

from tests.security import matrix
from tests.server.api.conftest import Home
from tests.server.api.conftest import running as running_home
from tests.server.stack import Stack

CELLS = list(matrix.cells())
WORDS = [cell for cell in CELLS if cell.is_word]
OWNED = [cell for cell in CELLS if not cell.is_word and cell.whose != "any"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with running_home(tmp_path_factory.mktemp("home")) as home:
        yield home


def test_the_matrix_knows_every_route_and_word() -> None:
    assert len(CELLS) > 500
    assert {cell.what.split()[0] for cell in WORDS} == {"say", "regenerate", "continue", "stop", "follow", "ping"}
    assert {cell.rule for cell in CELLS} == {"anyone", "user", "rater", "operator", "admin"}


@pytest.mark.parametrize("cell", [*WORDS, *random.Random(1).sample(OWNED, 30)], ids=str)
def test_each_gets_their_own_and_nothing_of_others(home: Home, cell: matrix.Cell) -> None:
    assert matrix.try_cell(home, cell) is None


async def test_open_sockets_close_when_their_right_ends(running: Stack) -> None:
    outcome = await matrix.end_rights(running, seed=1, trials=20)
    assert outcome.violations == []
