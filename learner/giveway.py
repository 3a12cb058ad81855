"""Chat goes first: training takes what of the processor is left over."""

import os
from contextlib import suppress
from pathlib import Path

NICE = 10


def give_way() -> None:
    """Be nice to all other processes.

    A kernel that shares the processor out between sessions (sched_autogroup, sched(7)) heeds niceness within a session
    alone, so one that this process has begun is made nice as a whole.
    """
    os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # no such kernel
            Path("/proc/self/autogroup").write_text(str(NICE))
