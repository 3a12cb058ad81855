"""The webhook: signed, tried again, and never led into a private network."""

import base64
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from time import monotonic, sleep
from typing import ClassVar

import pytest

from backtalk import release
from backtalk.announcements import announce
from backtalk.database import Database
from backtalk.settings import Settings
from backtalk.tables import Announcement, Json
from backtalk.writer import Writer
from server.webhook import Webhook, is_public
from tests.server.api.conftest import Home, Somebody, refused
from tests.server.api.test_release import RELEASE, add_candidate

PATIENCE = 60


class Receiver(BaseHTTPRequestHandler):
    """Takes what comes, after refusing as often as it was told to."""

    taken: ClassVar[list[tuple[dict[str, str], bytes]]] = []
    refusals: ClassVar[list[int]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        status = self.refusals.pop(0) if self.refusals else 204
        if status == 204:
            self.taken.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(status)
        if status == 302:
            self.send_header("location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[str]:
    """The address of a receiver on this machine."""
    Receiver.taken, Receiver.refusals = [], []
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook?from=backtalk"
    server.shutdown()
    thread.join()
    server.server_close()


def until_settled(operator: Somebody, kind: str) -> Json:
    """The newest announcement of a kind, once the webhook has taken it or it was given up."""
    deadline = monotonic() + PATIENCE
    while True:
        items: list[Json] = operator.get("/api/operate/announcements").json()["items"]
        found = next(one for one in items if one["kind"] == kind)
        if found["next_at"] is None:
            return found
        assert monotonic() < deadline, found
        sleep(0.05)


def test_what_happens_is_sent_to_the_webhook_signed(own: Home, operator: Somebody, receiver: str) -> None:
    rules = operator.patch(RELEASE, json={"webhook_url": receiver, "webhook_private": True}).json()
    add_candidate(own, 1)
    operator.post("/api/operate/policies/1/promote", json={"reason": "好"})
    sent = until_settled(operator, "promoted")
    assert sent["delivered_at"] and sent["error"] is None and sent["attempts"] == 1
    ((headers, body),) = Receiver.taken
    told = json.loads(body)
    assert (told["type"], told["data"]["policy"], told["data"]["reason"]) == ("promoted", 1, "好")
    assert headers["webhook-id"] == sent["id"]
    # As a receiver checks it, by the letter of standardwebhooks.com.
    key = base64.b64decode(rules["webhook_secret"].removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


def test_a_test_message_can_be_sent_once_there_is_a_webhook(operator: Somebody, receiver: str) -> None:
    refused(operator.post(f"{RELEASE}/test"), 409, "conflict", "no webhook is set")
    operator.patch(RELEASE, json={"webhook_url": receiver, "webhook_private": True})
    assert operator.post(f"{RELEASE}/test").status_code == 202
    until_settled(operator, "test")
    assert json.loads(Receiver.taken[0][1])["type"] == "test"


async def test_a_receiver_that_refuses_is_asked_again_and_at_last_given_up(
    database: Database, tmp_path: Path, receiver: str
) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    settings.prepare()
    writer = Writer(database)
    webhook = Webhook(settings, database, writer, delays=(timedelta(), timedelta()))
    with database.write() as session:
        release.set_rules(session, "test", webhook_url=receiver, webhook_private=True)
    for refusals, delivered in (([500, 302], True), ([500, 500, 500], False)):
        Receiver.refusals[:] = refusals
        with database.write() as session:
            id = announce(session, "test").id
        while await webhook.send_next():
            pass
        with database.read() as session:
            settled = session.get_one(Announcement, id)
        assert (settled.attempts, settled.delivered_at is not None) == (3, delivered)
        assert settled.next_at is None
        assert settled.error == (None if delivered else "the receiver answered 500")
    writer.close()


def test_a_name_that_leads_into_a_private_network_is_not_followed(operator: Somebody, receiver: str) -> None:
    address = receiver.replace("127.0.0.1", "localhost.localdomain")
    operator.patch(RELEASE, json={"webhook_url": address, "webhook_private": False})
    operator.post(f"{RELEASE}/test")
    deadline = monotonic() + PATIENCE
    while True:
        found = operator.get("/api/operate/announcements").json()["items"][0]
        if found["attempts"]:
            break
        assert monotonic() < deadline
        sleep(0.05)
    assert found["delivered_at"] is None
    assert Receiver.taken == []


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("10.0.0.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::5db8:d822", True),
        ("2002:a00:1::", False),
    ],
)
def test_only_the_public_internet_is_public(address: str, expected: bool) -> None:
    assert is_public(address) is expected
