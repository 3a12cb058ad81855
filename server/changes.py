"""What somebody changes on one page, their other pages hear of: those of this server at once, of others by a bell.

A page gives itself a name, any word that it makes up: in the address of its socket (`/ws/chat?changes=true&page=…`) and
in the header `X-Backtalk` of its calls. Of what it did itself it is not told, on whichever server its socket is.
"""

import re
from collections.abc import Callable
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Depends
from fastapi.requests import HTTPConnection
from sqlmodel import Session

from backtalk import bells
from backtalk.writer import Writer
from server.sockets import Sockets

T = TypeVar("T")
NAME = re.compile(r"[0-9A-Za-z_-]{1,64}")
"""Travels with the bell, where a blank would end it."""


def page_of(connection: HTTPConnection) -> str | None:
    """The name of the page behind this request or socket; None where it has none, or none that could be one."""
    is_socket = connection.scope["type"] == "websocket"
    name = connection.query_params.get("page") if is_socket else connection.headers.get("x-backtalk")
    return name if name is not None and NAME.fullmatch(name) else None


Page = Annotated[str | None, Depends(page_of)]


class Changes:
    """Writes what people change, and tells their other pages when it is durable."""

    def __init__(self, server_id: UUID, writer: Writer, sockets: Sockets) -> None:
        self._server_id = server_id
        self._writer = writer
        self._sockets = sockets

    async def write(self, person_id: UUID, page: str | None, change: Callable[[Session], tuple[T, UUID | None]]) -> T:
        """Run `change` in the writer and wait until it is durable.

        Args:
            page: where it is done; the person's other pages are told.
            change: returns what is returned here, and the person's conversation that looks otherwise now, or None.
        """

        def write(session: Session) -> tuple[T, UUID | None]:
            done, conversation_id = change(session)
            if conversation_id is not None:
                bells.ring(session, "conversation", self._server_id, person_id, conversation_id, page or "")
            return done, conversation_id

        done, conversation_id = await self._writer.write(write)
        if conversation_id is not None:
            self._sockets.tell_of_change(person_id, conversation_id, page)
        return done

    def hear(self, ids: list[str]) -> None:
        """A bell rang, perhaps on another server; this one has told its own sockets already."""
        if ids and ids[0] != str(self._server_id):
            person_id, conversation_id, *page = ids[1:]
            self._sockets.tell_of_change(UUID(person_id), UUID(conversation_id), next(iter(page), None))
