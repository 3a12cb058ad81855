"""Passwords, sessions and cookies (SEC-01, 02, 03): what is stored of them, how long they hold, who can read them."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import argon2
import httpx2
import pytest
from sqlmodel import select

from backtalk import people
from backtalk.people import PersonError
from backtalk.tables import Login, Person, now
from server.access import COOKIE, HOST_COOKIE, sign_in
from tests.server.api.conftest import Home, running

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with running(tmp_path_factory.mktemp("home")) as home:
        yield home


# Passwords -----------------------------------------------------------------------------------------------------------


def test_a_password_costs_at_least_what_owasp_demands() -> None:
    """Password Storage Cheat Sheet: Argon2id with 19 MiB and two passes at least."""
    found = argon2.extract_parameters(people.hash_password(PASSWORD))
    assert found.type is argon2.low_level.Type.ID
    assert found.memory_cost >= 19 * 1024
    assert found.time_cost >= 2
    assert not people.is_outdated(people._NOBODY), "an unknown name must take as long as a wrong password"


@pytest.mark.parametrize(("length", "fits"), [(7, False), (8, True), (128, True), (129, False)])
def test_the_lengths_of_a_password_hold_to_the_letter(length: int, fits: bool) -> None:
    password = ("Zw4!" * 40)[:length]
    if fits:
        assert people.password_fits(password, people.hash_password(password))
    else:
        with pytest.raises(PersonError, match="8 to 128"):
            people.hash_password(password)


def test_a_hash_from_weaker_days_is_made_anew_at_the_next_sign_in(home: Home) -> None:
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
    with home.database.write() as session:
        person_id = people.add(session, "veteran", password_hash=weak).id
    with home.browser() as browser:
        assert browser.post("/api/session", json={"name": "veteran", "password": PASSWORD}).status_code == 200
    stored = home.row(person_id)
    assert stored is not None and stored.password_hash is not None
    assert stored.password_hash != weak
    assert not people.is_outdated(stored.password_hash)


def test_of_many_who_sign_in_at_once_two_are_hashed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes 64 MiB and a core for a moment; a crowd must not take all of both from those who chat."""
    real, lock, at_once = people.password_fits, threading.Lock(), [0, 0]

    def counted(password: str, stored: str | None) -> bool:
        with lock:
            at_once[0] += 1
            at_once[1] = max(at_once)
        time.sleep(0.02)  # so that others would have the time to come beside
        try:
            return real(password, stored)
        finally:
            with lock:
                at_once[0] -= 1

    monkeypatch.setattr(people, "password_fits", counted)

    def attempt(number: int) -> int:
        with home.browser() as browser:
            return browser.post("/api/session", json={"name": f"crowd {number}", "password": PASSWORD}).status_code

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(attempt, range(12))) == {401}
    assert at_once == [0, 2]


# Sessions ------------------------------------------------------------------------------------------------------------

MOMENT = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("role", "idle", "age", "status"),
    [
        ("user", timedelta(days=7) - MOMENT, timedelta(days=8), 200),
        ("user", timedelta(days=7) + MOMENT, timedelta(days=8), 401),
        ("user", MOMENT, timedelta(days=30) - MOMENT, 200),
        ("user", MOMENT, timedelta(days=30) + MOMENT, 401),
        ("rater", timedelta(hours=13), timedelta(days=1), 200),
        ("operator", timedelta(hours=12) - MOMENT, timedelta(days=1), 200),
        ("operator", timedelta(hours=12) + MOMENT, timedelta(days=1), 401),
        ("admin", timedelta(hours=12) + MOMENT, timedelta(days=1), 401),
    ],
)
def test_a_session_ends_when_it_is_idle_or_old(
    home: Home, role: str, idle: timedelta, age: timedelta, status: int
) -> None:
    with home.database.write() as session:
        person = people.add(session, f"{role} {idle} {age}", role)
        secret = sign_in(session, person)
        session.flush()
        login = session.get_one(Login, people.digest(secret))
        login.created_at, login.seen_at = now() - age, now() - idle
        session.add(login)
    with httpx2.Client(base_url=home.url, cookies={COOKIE: secret}) as browser:
        assert browser.get("/api/me").status_code == status


def test_a_session_that_somebody_planted_is_not_the_one_after_signing_in(home: Home) -> None:
    """Session fixation: whoever knew the cookie before knows nothing afterwards."""
    with home.browser() as browser:
        browser.post("/api/people", json={"name": "fixed", "password": PASSWORD})
        planted = browser.cookies[COOKIE]
        browser.post("/api/session", json={"name": "fixed", "password": PASSWORD})
        assert browser.cookies[COOKIE] != planted
    with httpx2.Client(base_url=home.url, cookies={COOKIE: planted}) as thief:
        assert thief.get("/api/me").status_code == 401
    with httpx2.Client(base_url=home.url, cookies={COOKIE: "x" * 43}) as thief:
        assert thief.get("/api/me").status_code == 401


def test_of_a_session_only_its_digest_is_stored(home: Home) -> None:
    with home.browser() as browser:
        browser.post("/api/people", json={})
        secret = browser.cookies[COOKIE]
    assert len(secret) >= 43, "256 bits in base64"
    with home.database.read() as session:
        stored = session.exec(select(Login)).all()
    assert people.digest(secret) in {login.digest for login in stored}
    assert not any(secret in str(value) for login in stored for value in login.model_dump().values())


# Cookies -------------------------------------------------------------------------------------------------------------


def test_over_https_the_browser_keeps_the_cookie_to_this_host_and_to_https(tmp_path: Path) -> None:
    with running(tmp_path, public_url="https://chat.example.org") as home, httpx2.Client(base_url=home.url) as client:
        headers = {"Host": "chat.example.org", "Origin": "https://chat.example.org", "X-Backtalk": "1"}
        answer = client.post("/api/people", json={}, headers=headers)
        assert answer.status_code == 201, answer.text
        name, _, rest = answer.headers["set-cookie"].partition("=")
        assert name == HOST_COOKIE == "__Host-backtalk"
        attributes = {part.strip().lower() for part in rest.split(";")[1:]}
        assert {"httponly", "secure", "samesite=lax", "path=/"} <= attributes
        assert not any(attribute.startswith("domain") for attribute in attributes)
        assert "max-age=" in answer.headers["strict-transport-security"]
        plain = answer.headers["set-cookie"].split(";")[0].partition("=")[2]
        cookie = f"{COOKIE}={plain}"
        assert client.get("/api/me", headers={"Host": "chat.example.org", "Cookie": cookie}).status_code == 401
        with home.database.read() as session:
            assert len(session.exec(select(Person)).all()) == 1


def test_the_page_keeps_nothing_secret_where_scripts_can_read(home: Home) -> None:
    with home.browser() as browser:
        answer = browser.post("/api/people", json={"name": "scripted", "password": PASSWORD})
        told = answer.text + browser.get("/api/me").text + browser.get("/api/me/sessions").text
        secret = browser.cookies[COOKIE]
    assert secret not in told
    assert people.digest(secret) not in told, "nor what is stored of it"
