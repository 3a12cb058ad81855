"""What the documentation tells receivers to check signatures with."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from backtalk.announcements import secret
from backtalk.settings import Settings
from server.webhook import signature

DOCUMENT = Path(__file__).parents[2] / "docs" / "operating.md"
BODY = '{"type": "promoted", "data": {"reason": "更好"}}'


@pytest.fixture
def is_from_backtalk() -> Callable[[str, dict[str, str], bytes], bool]:
    """The function that stands there."""
    (told,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    names: dict[str, Callable[[str, dict[str, str], bytes], bool]] = {}
    exec(told, names)
    return names["is_from_backtalk"]


def test_it_takes_what_was_signed_and_nothing_else(
    is_from_backtalk: Callable[[str, dict[str, str], bytes], bool], tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path)
    settings.prepare()
    key = secret(settings)
    headers = {"webhook-id": "one", "webhook-timestamp": "1764126000"}
    headers["webhook-signature"] = signature(key, "one", 1764126000, BODY)
    assert is_from_backtalk(key, headers, BODY.encode())
    assert not is_from_backtalk(key, headers, BODY.replace("promoted", "rejected").encode())
    assert not is_from_backtalk(key, headers | {"webhook-timestamp": "1764126001"}, BODY.encode())
    assert not is_from_backtalk(key, headers | {"webhook-id": "two"}, BODY.encode())
    assert not is_from_backtalk("whsec_" + "A" * 44, headers, BODY.encode())
