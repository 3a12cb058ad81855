"""Nothing is fetched from anywhere on anybody's behalf: without a network all works (SEC-11)."""

import shutil
import subprocess
import sys

import pytest

from tests.faults.figures import ROOT
from tests.server.stack import PATIENCE

WITHOUT_NETWORK = ("unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "alone")


def test_people_chat_where_there_is_only_the_loopback() -> None:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("needs `unshare` and `ip` (apt-get install util-linux iproute2)")
    probe = subprocess.run([*WITHOUT_NETWORK, "true"], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"this machine lets nobody make a network of their own: {probe.stderr.strip()}")
    done = subprocess.run(
        [*WITHOUT_NETWORK, sys.executable, "-m", "tests.security.alone"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Paris" in done.stdout
