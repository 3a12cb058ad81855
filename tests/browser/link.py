"""The wire between a browser and the server, which a test can let go dead."""

import contextlib
import socket
import threading
from collections.abc import Iterator

LISTENING = 64


class Link:
    """Passes bytes both ways. What has gone dead stays open and passes nothing more, as behind a sleeping laptop."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._door = socket.create_server(("127.0.0.1", 0), backlog=LISTENING)
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._dead: set[socket.socket] = set()

    @property
    def url(self) -> str:
        """Where the browser goes."""
        return f"http://127.0.0.1:{self._door.getsockname()[1]}"

    @contextlib.contextmanager
    def open(self) -> Iterator["Link"]:
        """Pass on, while the block runs."""
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield self
        finally:
            with contextlib.suppress(OSError):
                self._door.shutdown(socket.SHUT_RDWR)
            self._door.close()
            for end in [end for pair in self._pairs for end in pair]:
                _close(end)

    def go_dead(self) -> None:
        """All connections there are pass nothing more; new ones do."""
        self._dead |= {end for pair in self._pairs for end in pair}

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._door.accept()
                there = socket.create_connection(("127.0.0.1", self._upstream))
                self._pairs.append((here, there))
                for source, target in ((here, there), (there, here)):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(65536):
                if source not in self._dead:
                    target.sendall(content)
        if source not in self._dead:
            _close(target)


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
