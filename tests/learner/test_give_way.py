"""Training leaves the processor to chat, whatever the kernel shares it out by."""

import subprocess
import sys
from pathlib import Path

import pytest

TOLD = """
import os, pathlib
from learner.giveway import give_way
give_way()
group = pathlib.Path("/proc/self/autogroup")
print(os.getpriority(os.PRIO_PROCESS, 0), group.read_text() if group.exists() else "")
"""
AUTOGROUP = Path("/proc/self/autogroup")


def told(*, alone: bool) -> str:
    done = subprocess.run(
        [sys.executable, "-c", TOLD], capture_output=True, text=True, start_new_session=alone, check=True
    )
    return done.stdout


def test_it_is_nice() -> None:
    assert told(alone=True).startswith("10 ")


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel does not share the processor out between sessions")
def test_a_session_of_its_own_is_nice_as_a_whole() -> None:
    assert told(alone=True).rstrip().endswith("nice 10")


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel does not share the processor out between sessions")
def test_a_session_that_others_share_stays_as_it_is() -> None:
    before = AUTOGROUP.read_text()
    told(alone=False)
    assert AUTOGROUP.read_text() == before
