"""Sends announcements to the operators' webhook: signed, tried again for half a day, never into a private network.

Body and headers follow Standard Webhooks (standardwebhooks.com): `webhook-id`, `webhook-timestamp`, and
`webhook-signature`, an HMAC-SHA256 over both and the body. Redirects are not followed. The name is looked up here,
once, and the connection goes to the very address that was checked: a name that changes its mind gains nothing.
"""

import asyncio
import base64
import hmac
import ipaddress
import json
import logging
import socket
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import httpx2
import sqlalchemy as sa
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from backtalk import release
from backtalk.announcements import secret
from backtalk.database import Database
from backtalk.settings import Settings
from backtalk.tables import Announcement, now
from backtalk.writer import StorageError, Writer

LOOK_SECONDS = 1.0
PATIENCE = 10.0  # seconds that a receiver has
HELD = timedelta(seconds=60)  # who sends an announcement has this long before another server may
DELAYS = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 300, 1800, 7200, 18000, 18000))
"""Between two attempts, some more each time; after the last one it is given up."""
MOST_ERROR = 300
TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")  # holds an IPv4 address (RFC 6052)

log = logging.getLogger(__name__)


class Unsent(Exception):
    """The receiver did not take it; the message says why."""


def signature(secret: str, id: str, timestamp: int, body: str) -> str:
    """`v1,` and the HMAC-SHA256 over id, timestamp and body."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{id}.{timestamp}.{body}".encode(), "sha256")
    return "v1," + base64.b64encode(digest).decode()


class Webhook:
    """Looks for announcements that nobody has taken yet, and sends them."""

    def __init__(
        self, settings: Settings, database: Database, writer: Writer, delays: Sequence[timedelta] = DELAYS
    ) -> None:
        self._secret = secret(settings)
        self._database = database
        self._writer = writer
        self._delays = delays

    async def follow(self) -> None:
        """Runs for ever."""
        while True:
            try:
                while await self.send_next():
                    pass
            except StorageError:
                pass  # told by the writer; it is sent later, perhaps twice: its id says so
            except Exception:
                log.exception("the webhook stumbled; it goes on in a moment")
            await asyncio.sleep(LOOK_SECONDS)

    async def send_next(self) -> bool:
        """Send the oldest announcement that is due; False when there is none."""
        if not await asyncio.to_thread(self._is_one_due):
            return False
        taken = await self._writer.write(_take)
        if taken is None:
            return False
        announcement, url, may_be_private = taken
        error: str | None = None
        if url is None:
            error = "no webhook is set any more"
        else:
            try:
                await self._send(announcement, url, may_be_private)
            except (Unsent, httpx2.HTTPError, OSError, ValueError) as reason:
                error = (str(reason) or type(reason).__name__)[:MOST_ERROR]
                log.warning("announcement %s was not taken: %s", announcement.kind, error)
        id, attempts = announcement.id, announcement.attempts
        next_at = now() + self._delays[attempts] if url and error and attempts < len(self._delays) else None
        await self._writer.write(lambda session: _settle(session, id, error, next_at))
        return True

    async def _send(self, announcement: Announcement, url: str, may_be_private: bool) -> None:
        body = json.dumps(
            {"type": announcement.kind, "timestamp": announcement.at.isoformat(), "data": announcement.content}
        )
        id, timestamp = str(announcement.id), int(now().timestamp())
        parts = urlsplit(url)
        assert parts.hostname is not None
        address = await _address(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80), may_be_private)
        host = f"[{address}]" if ":" in address else address
        target = urlunsplit(parts._replace(netloc=f"{host}:{parts.port}" if parts.port else host))
        headers = {
            "content-type": "application/json",
            "host": parts.netloc,
            "user-agent": "backtalk",
            "webhook-id": id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._secret, id, timestamp, body),
        }
        async with httpx2.AsyncClient(timeout=PATIENCE, trust_env=False, follow_redirects=False) as client:
            request = client.build_request("POST", target, content=body, headers=headers)
            request.extensions["sni_hostname"] = parts.hostname  # the certificate is the name's, not the address's
            answer = await client.send(request, stream=True)
            await answer.aclose()
        if not answer.is_success:
            raise Unsent(f"the receiver answered {answer.status_code}")

    def _is_one_due(self) -> bool:
        with self._database.read() as session:
            return session.exec(_due()).first() is not None


def _due() -> SelectOfScalar[UUID]:
    waiting = select(Announcement.id).where(col(Announcement.next_at) <= now())
    return waiting.order_by(col(Announcement.next_at)).limit(1)


def _take(session: Session) -> tuple[Announcement, str | None, bool] | None:
    """The oldest one that is due, ours for a while, and where it goes."""
    id = session.exec(_due()).first()
    if id is None:
        return None
    taken = session.execute(
        sa.update(Announcement)
        .where(col(Announcement.id) == id, col(Announcement.next_at) <= now())
        .values(next_at=now() + HELD)
        .returning(col(Announcement.id))
    ).scalar()
    if taken is None:
        return None  # another server was faster
    session.expire_all()
    rules = release.rules(session)
    announcement = session.exec(select(Announcement).where(Announcement.id == id)).one()
    return announcement, rules.webhook_url, rules.webhook_private


def _settle(session: Session, id: UUID, error: str | None, next_at: datetime | None) -> None:
    announcement = session.get(Announcement, id)
    if announcement is None:
        return
    announcement.attempts += 1
    announcement.error, announcement.next_at = error, next_at
    announcement.delivered_at = now() if error is None else None
    session.add(announcement)


async def _address(host: str, port: int, may_be_private: bool) -> str:
    """The address that a name leads to.

    Raises:
        Unsent: it leads nowhere, or one of its addresses is not of the public internet, and that is not allowed.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise Unsent(f"{host} leads nowhere: {error.strerror}") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not may_be_private:
        for address in addresses:
            if not is_public(address):
                raise Unsent(f"{host} leads to {address}, which is in a private network; allow that, or use another")
    return addresses[0]


def is_public(address: str) -> bool:
    """Is this an address of the public internet, whatever it is wrapped in?"""
    found: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        translated = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF) if found in TRANSLATED else None
        found = found.ipv4_mapped or found.sixtofour or translated or found
    return found.is_global and not found.is_multicast
