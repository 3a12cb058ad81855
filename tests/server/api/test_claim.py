"""How the first admin comes to be: by a token that is good once."""

import os
import stat
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlmodel import select

from backtalk import people
from backtalk.tables import Person
from tests.server.api.conftest import Home

PASSWORD = "correct horse battery"


def test_the_holder_of_the_token_becomes_admin_and_is_signed_in(start: Callable[..., Home]) -> None:
    home = start()
    token = people.offer_claim(home.settings, home.database)
    file = home.settings.keys_dir / "claim.token"
    assert token is not None and file.read_text() == token
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with home.browser() as browser:
        claimed = browser.post("/api/operate/claim", json={"token": token, "name": "root", "password": PASSWORD})
        assert claimed.status_code == 201 and claimed.json()["role"] == "admin"
        assert browser.get("/api/operate/summary").status_code == 200
    assert not file.exists()
    assert people.offer_claim(home.settings, home.database) is None


def test_a_wrong_or_an_old_token_makes_nobody_admin(start: Callable[..., Home]) -> None:
    home = start()
    token = people.offer_claim(home.settings, home.database)
    body = {"token": token, "name": "root", "password": PASSWORD}
    hour_ago = time.time() - people.CLAIM_SECONDS - 1
    os.utime(home.settings.keys_dir / "claim.token", (hour_ago, hour_ago))
    with home.browser() as browser:
        assert browser.post("/api/operate/claim", json={**body, "token": "guess"}).status_code == 403
        late = browser.post("/api/operate/claim", json=body)
    assert late.status_code == 403 and late.json()["error"]["code"] == "forbidden"
    with home.database.read() as session:
        assert session.exec(select(Person)).all() == []


def test_nobody_can_claim_where_nothing_is_offered(start: Callable[..., Home]) -> None:
    home = start()
    with home.browser() as browser:
        answer = browser.post("/api/operate/claim", json={"token": "", "name": "root", "password": PASSWORD})
    assert answer.status_code == 403


def test_of_a_thousand_claims_at_once_exactly_one_wins(start: Callable[..., Home]) -> None:
    home = start()
    token = people.offer_claim(home.settings, home.database)
    with home.browser() as browser, ThreadPoolExecutor(50) as crowd:

        def claim(number: int) -> int:
            body = {"token": token, "name": f"root{number}", "password": PASSWORD}
            return browser.post("/api/operate/claim", json=body).status_code

        statuses = list(crowd.map(claim, range(1000)))
    assert statuses.count(201) == 1
    assert set(statuses) == {201, 403}
    with home.database.read() as session:
        assert len(session.exec(select(Person).where(Person.role == "admin")).all()) == 1


def test_a_token_that_was_left_behind_makes_no_second_admin(start: Callable[..., Home]) -> None:
    """As when a server dies between making the admin and removing the token, or two claims are let in at once."""
    home = start()
    token = people.offer_claim(home.settings, home.database)
    assert token is not None
    with home.database.write() as session:
        people.claim(session, home.settings, token, "first", "hash")
    with home.database.write() as session, pytest.raises(people.PersonConflict, match="an admin already"):
        people.claim(session, home.settings, token, "second", "hash")
