"""One Backtalk on one data directory: the port it takes, the lock it holds, the address where it is ready."""

import contextlib
import errno
import fcntl
import http.client
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from backtalk.settings import PREFIX, Settings


class InstanceError(RuntimeError):
    """Backtalk cannot be started; the message says what was found and what to do."""


def claim_port(settings: Settings) -> int:
    """The port the server will take; a free one for port 0.

    Raises:
        InstanceError: it cannot be had.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise InstanceError(
                    f"port {settings.port} on {settings.host} is in use by another program; "
                    f"stop it or choose another port: {PREFIX}PORT=8001 (0 takes a free one)"
                ) from error
            raise InstanceError(
                f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}; "
                f"set {PREFIX}HOST and {PREFIX}PORT to an address of this machine"
            ) from error
        port: int = probe.getsockname()[1]
        return port


def local_url(host: str, port: int) -> str:
    """The address of a server as this machine reaches it."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104  # a comparison, nothing is bound here
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.contextmanager
def only_one(data_dir: Path) -> Iterator[IO[str]]:
    """Hold the data directory for this process; its file tells `backtalk status` what runs.

    Raises:
        InstanceError: another Backtalk holds it.
    """
    path = data_dir / "up.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise _occupied(data_dir, _parse(file.read())) from error
        try:
            yield file
        finally:
            file.seek(0)
            file.truncate()


def running(data_dir: Path) -> dict[str, Any] | None:
    """What runs on a data directory: `{pid, url, started_at, children}`; None when nothing does."""
    try:
        with (data_dir / "up.lock").open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return _parse(file.read())
    except OSError:
        return None
    return None


def demand_free(data_dir: Path) -> None:
    """See that no other Backtalk runs on the data directory, without making it.

    Raises:
        InstanceError: one does.
    """
    other = running(data_dir)
    if other is not None:
        raise _occupied(data_dir, other)


def _occupied(data_dir: Path, other: dict[str, Any]) -> InstanceError:
    return InstanceError(
        f"Backtalk already runs on {data_dir} (process {other.get('pid', '?')}, {other.get('url', 'still starting')}); "
        f"stop it, or give this one its own {PREFIX}DATA_DIR"
    )


def _parse(text: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        content = json.loads(text)
        if isinstance(content, dict):
            return content
    return {}


def ready(url: str, timeout: float = 2.0) -> bool:
    """Whether the server at `url` says that it can answer people now."""
    return _look(url, timeout).get("ready", False) is True


def served(url: str, timeout: float = 2.0) -> int | None:
    """The number of the version that the server at `url` gives to new replies; None while it has none."""
    version = _look(url, timeout).get("policy_version")
    return version if isinstance(version, int) else None


def _look(url: str, timeout: float) -> dict[str, Any]:
    """What the server says of itself; nothing when it is not there."""
    host = url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=timeout)
    try:
        connection.request("GET", "/readyz")
        return _parse(connection.getresponse().read().decode(errors="replace"))
    except (OSError, http.client.HTTPException):
        return {}
    finally:
        connection.close()
