"""Signing in through a provider of OpenID Connect."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from joserfc.jwk import RSAKey
from sqlmodel import select

from backtalk.settings import SettingsError, load_settings
from backtalk.tables import Login, OidcIdentity, Person
from tests.server.api.conftest import Home
from tests.server.provider import CLIENT, SECRET, Provider, serve


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serve() as provider:
        yield provider


@pytest.fixture
def house(start: Callable[..., Home], provider: Provider, tmp_path: Any) -> Home:
    secret = tmp_path / "oidc.secret"
    secret.write_text(SECRET + "\n")
    return start(oidc_issuer=provider.url, oidc_client_id=CLIENT, oidc_secret_file=secret, oidc_name="The Firm")


def go(browser: httpx2.Client) -> str:
    """Sign in; returns where it leads in the end."""
    answer = browser.get("/api/oidc/start", follow_redirects=True)
    address = urlsplit(str(answer.url))
    problem = parse_qs(address.query).get("problem")
    return problem[0] if problem else address.path


def test_whoever_the_provider_vouches_for_is_in_and_is_the_same_next_time(house: Home, provider: Provider) -> None:
    with house.browser() as browser, house.browser() as later:
        assert browser.get("/api/entrance").json()["provider"] == "The Firm"
        assert go(browser) == "/"
        me = browser.get("/api/me").json()
        assert (me["name"], me["guest"], me["role"]) == ("Ada", False, "user")
        provider.name = "Ada Lovelace"  # people marry; the subject stays
        assert go(later) == "/"
        assert later.get("/api/me").json()["id"] == me["id"]


def test_a_guest_keeps_their_conversations(house: Home) -> None:
    with house.browser() as browser:
        guest = browser.post("/api/people", json={}).json()
        assert go(browser) == "/"
        me = browser.get("/api/me").json()
    assert (me["id"], me["guest"]) == (guest["id"], False)


def test_a_name_that_is_taken_opens_nobody_elses_account(house: Home) -> None:
    other = house.person(name="Ada")
    with house.browser() as browser:
        assert go(browser) == "/"
        me = browser.get("/api/me").json()
    assert me["id"] != str(other.id) and me["name"] == "Ada 2"


@pytest.mark.parametrize(
    "lie",
    [
        {"nonce": "another"},
        {"aud": "somebody else"},
        {"aud": [CLIENT, "somebody else"]},
        {"iss": "https://elsewhere.example"},
        {"exp": 1_000_000_000},
        {"iat": 9_000_000_000},
        {"azp": "somebody else"},
        {"sub": None},
    ],
    ids=str,
)
def test_a_token_that_was_not_made_for_this_is_not_believed(
    house: Home, provider: Provider, lie: dict[str, Any]
) -> None:
    provider.claims = lie
    with house.browser() as browser:
        assert go(browser) == "failed"
        assert browser.get("/api/me").status_code == 401
    with house.database.read() as session:
        assert session.exec(select(Login)).first() is None


def test_a_token_signed_by_another_key_is_not_believed(house: Home, provider: Provider) -> None:
    provider.signing_key = RSAKey.generate_key(2048, {"kid": "one"})
    with house.browser() as browser:
        assert go(browser) == "failed"
        assert browser.get("/api/me").status_code == 401


def test_only_the_browser_that_began_comes_to_an_end(house: Home) -> None:
    """Whoever is sent somebody else's way back is not signed in as them, and a way back is good once."""
    with house.browser() as attacker, house.browser() as victim:
        way = attacker.get("/api/oidc/start").headers["location"]
        back = attacker.get(way).headers["location"]
        answer = victim.get(back)
        assert "problem=stale" in answer.headers["location"] and "set-cookie" in answer.headers
        assert victim.get("/api/me").status_code == 401
        assert attacker.get(back).headers["location"] == "/"
        assert "problem=stale" in attacker.get(back).headers["location"]


def test_where_the_person_says_no_they_are_told_so(house: Home) -> None:
    with house.browser() as browser:
        way = urlsplit(browser.get("/api/oidc/start").headers["location"])
        state = parse_qs(way.query)["state"][0]
        answer = browser.get(f"/api/oidc/done?error=access_denied&state={state}")
        assert "problem=refused" in answer.headers["location"]


def test_where_nobody_new_is_let_in_only_those_who_are_known_come_in(
    start: Callable[..., Home], provider: Provider, house: Home
) -> None:
    with house.browser() as browser:
        assert go(browser) == "/"
    admin = house.person("admin")
    admin.put("/api/operate/entrance", json={"signup": "closed"}).raise_for_status()
    with house.browser() as known, house.browser() as stranger:
        assert go(known) == "/"
        provider.subject = "subject-2"
        assert go(stranger) == "closed"
    with house.database.read() as session:
        assert len(session.exec(select(OidcIdentity)).all()) == 1


def test_the_one_who_leaves_is_forgotten(house: Home) -> None:
    with house.browser() as browser:
        assert go(browser) == "/"
        assert browser.delete("/api/me").status_code == 204
    with house.database.read() as session:
        assert session.exec(select(OidcIdentity)).first() is None
        assert session.exec(select(Person).where(Person.name == "Ada")).first() is None


def test_a_provider_that_is_not_there_is_no_defect(start: Callable[..., Home]) -> None:
    house = start(oidc_issuer="http://127.0.0.1:9", oidc_client_id=CLIENT)
    with house.browser() as browser:
        assert go(browser) == "failed"


def test_without_a_provider_there_is_no_such_way(start: Callable[..., Home]) -> None:
    with start().browser() as browser:
        assert browser.get("/api/oidc/start").status_code == 404


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"oidc_issuer": "http://id.example.org", "oidc_client_id": "x"}, "https"),
        ({"oidc_issuer": "https://id.example.org"}, "belong together"),
    ],
)
def test_half_a_provider_is_refused(given: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load_settings(**given)
