"""One connection, before any request is whole: its head must come in time and be of a sensible size (SEC-23)."""

import asyncio

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0
"""How long the first line and the headers of a request may take to come."""
HEAD_BYTES = 64 * 1024
"""How much of them may come before they have ended."""


class Connection(HttpToolsProtocol):
    """uvicorn's connection, which by itself would wait for ever and take any number of headers."""

    _deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._await_head()

    @override
    def data_received(self, data: bytes) -> None:
        """Take some more of a request."""
        super().data_received(data)
        if self._deadline is not None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
                self._refuse(b"431 Request Header Fields Too Large", f"at most {HEAD_BYTES} bytes of headers")

    @override
    def on_message_begin(self) -> None:
        """The next request begins."""
        super().on_message_begin()
        self._await_head()

    @override
    def on_headers_complete(self) -> None:
        """The head is here."""
        self._head_has_come()
        super().on_headers_complete()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come."""
        self._head_has_come()
        super().connection_lost(exc)

    @override
    def _should_upgrade(self) -> bool:
        """WebSocket begins with HTTP/1.1 (RFC 6455, 4.1)."""
        return super()._should_upgrade() and self.parser.get_http_version() != "1.0"

    def _await_head(self) -> None:
        if self._deadline is None:
            self._head_bytes = 0
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _head_has_come(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if self.cycle is not None and not self.cycle.response_complete:
            self._await_head()  # the answer before it is still on its way
            return
        self._refuse(b"408 Request Timeout", f"no whole request within {HEAD_SECONDS:.0f} s")

    def _refuse(self, status: bytes, reason: str) -> None:
        self._head_has_come()
        head = b"HTTP/1.1 %s\r\ncontent-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (status, len(reason)) + reason.encode())
        self.transport.close()
