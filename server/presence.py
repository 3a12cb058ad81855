"""The servers of one database: each holds a lease, and the replies it writes are its own for as long as that stands.

What proves that a server still has its replies is its row (`tables.Server`), looked at in the very transaction that
writes: whoever takes them over removes that row first. Plain functions on a session.
"""

import os
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from backtalk.tables import Server, now

LEASE = timedelta(seconds=15)
RENEW_SECONDS = 3.0


class LeaseLost(RuntimeError):
    """Another server has taken this one for dead and its replies over: write nothing more of them."""

    def __init__(self, id: UUID) -> None:
        super().__init__(f"server {id} no longer holds its lease; another one has taken its replies up")
        self.id = id


def here() -> str:
    """Where this process can be asked for by its number: containers may share a name, and not their processes."""
    try:
        return f"{socket.gethostname()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # not Linux
        return socket.gethostname()


def enrol(session: Session, id: UUID) -> None:
    """Say that this server is here."""
    session.add(Server(id=id, host=here(), pid=os.getpid(), lease_until=_moment(session) + LEASE))


def renew(session: Session, id: UUID) -> None:
    """Go on being here.

    Raises:
        LeaseLost: for the others this server has gone.
    """
    kept = sa.update(Server).where(col(Server.id) == id).values(lease_until=_moment(session) + LEASE)
    if session.execute(kept.returning(col(Server.id))).scalar() is None:
        raise LeaseLost(id)


def demand(session: Session, id: UUID) -> None:
    """Make sure that nobody takes this server's replies over until the transaction ends.

    Raises:
        LeaseLost: somebody has done so already.
    """
    held = select(Server.id).where(Server.id == id).with_for_update(read=True)
    if session.exec(held).first() is None:
        raise LeaseLost(id)


def leave(session: Session, id: UUID) -> None:
    """Say that this server goes: the others need not wait for its lease to end."""
    session.execute(sa.delete(Server).where(col(Server.id) == id))


def bury(session: Session, id: UUID, is_alive: Callable[[int], bool]) -> None:
    """Remove the rows of other servers that are no more: their lease has run out, or their process here is gone.

    Args:
        id: of this server.
        is_alive: whether a process of this host is there.
    """
    moment, host = _moment(session), here()
    for server in session.exec(select(Server).where(Server.id != id)).all():
        is_gone = server.host == host and server.pid != os.getpid() and not is_alive(server.pid)
        if is_gone or server.lease_until < moment:
            # Once more in the statement: it may have renewed its lease while we looked.
            same = sa.delete(Server).where(col(Server.id) == server.id)
            session.execute(same if is_gone else same.where(col(Server.lease_until) < moment))


def _moment(session: Session) -> datetime:
    """Now, by the clock that all servers share: they may disagree, and must not take each other for dead over it."""
    if session.get_bind().dialect.name != "postgresql":
        return now()
    moment: datetime = session.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    return moment


def is_alive(pid: int) -> bool:
    """Whether there is such a process here."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
