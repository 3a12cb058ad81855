"""The N-th write fails or is the last one (F06); the smallest tier of `syscalls.py`."""

import pytest

from tests.faults import syscalls


def test_no_false_acknowledgement_and_no_half_when_a_write_fails_or_is_the_last() -> None:
    if reason := syscalls.needs():
        pytest.skip(reason)
    outcome = syscalls.fail(["a question", "a thumb"], calls=("pwrite64", "fdatasync"), ends=("EIO", "killed"))
    assert outcome.violations == []
    assert outcome.trials > 10
