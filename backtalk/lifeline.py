"""Start a process that dies with its parent, whatever kills the parent (rule R5).

`python -m backtalk.lifeline PARENT -m server` asks the kernel for a SIGKILL when PARENT ends and becomes
`python -m server`. Asking after the fork and before the exec leaves no moment without a lifeline and needs no code
between fork and exec in a parent that may have threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def command(*arguments: str) -> list[str]:
    """The command that runs `python ARGUMENTS…` on a lifeline of the calling process.

    The kernel watches the thread that starts the process, so start it from the main thread.
    """
    return [sys.executable, "-m", "backtalk.lifeline", str(os.getpid()), *arguments]


def hold(parent: int) -> None:
    """Ask the kernel to kill this process when `parent` ends; ends at once if it has ended already.

    Only Linux offers this; elsewhere an orderly stop of the parent still stops its children.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
        if os.getppid() != parent:
            sys.exit(f"lifeline: parent {parent} has ended before its child began")


if __name__ == "__main__":
    hold(int(sys.argv[1]))
    os.execv(sys.executable, [sys.executable, *sys.argv[2:]])  # noqa: S606  # no shell is the point
