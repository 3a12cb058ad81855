"""The same over a real Postgres: each kind of query that the routes make, once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import sqlalchemy as sa

from backtalk import people
from backtalk.tables import Json
from tests.server.api.conftest import Home

PASSWORD = "correct horse battery"


@pytest.fixture
def house(start: Callable[..., Home], postgres_url: str) -> Home:
    """A server on an empty database of its own."""
    name = f"api_{uuid4().hex[:12]}"
    engine = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return start(database_url=postgres_url.replace("/postgres?", f"/{name}?"))


@pytest.mark.postgres
def test_people_judge_raters_rate_and_operators_operate(house: Home) -> None:
    token = people.offer_claim(house.settings, house.database)
    with house.browser() as browser, ThreadPoolExecutor(20) as crowd:

        def claim(number: int) -> int:
            body = {"token": token, "name": f"root{number}", "password": PASSWORD}
            return browser.post("/api/operate/claim", json=body).status_code

        assert sorted(crowd.map(claim, range(40))) == [201] + [403] * 39

    person, rater, operator = house.person(consent=True), house.person("rater"), house.person("operator")
    left = house.reply(person, "Lyon.")
    right = house.reply(person, "Paris.", beside=left)
    opinion: Json = {"rating": -1, "rewrite": "巴黎", "labels": {"accuracy": 1}, "reasons": ["wrong"]}
    with ThreadPoolExecutor(8) as crowd:
        path = f"/api/messages/{left}/feedback"
        revisions = {kept.json()["revision"] for kept in crowd.map(lambda _: person.put(path, json=opinion), range(16))}
    assert revisions == {1}
    body = {"key": "k", "left_id": str(left), "right_id": str(right), "verdict": "right"}
    assert person.post("/api/comparisons", json=body).json() == person.post("/api/comparisons", json=body).json()

    item = rater.get("/api/rate/next").json()
    assert item["message_id"] == str(right), "the one with the fewest opinions"
    assert rater.post(f"/api/rate/{item['id']}", json={"rating": 1}).status_code == 200

    for query in ("aspect=accuracy", "reason=wrong", "rating=-1", "rewritten=true", "version=0&excluded=false"):
        found = operator.get(f"/api/operate/feedback?{query}").json()["items"]
        assert str(left) in {one["message_id"] for one in found}, query
    page = operator.get("/api/operate/feedback?limit=1").json()
    rest = operator.get("/api/operate/feedback", params={"before": page["next"]}).json()["items"]
    assert {page["items"][0]["message_id"], rest[0]["message_id"]} == {str(left), str(right)}
    assert operator.get("/api/operate/feedback?kind=comparison").json()["items"][0]["verdict"] == "right"

    profile = {"weights": {"preference": 1, "accuracy": 2}, "active": True}
    assert operator.put("/api/operate/rewards/r", json=profile).status_code == 200
    assert operator.post("/api/operate/schedules", json={"name": "s", "cron": "0 3 * * *"}).status_code == 201
    run = operator.post("/api/operate/runs").json()
    assert run["recipe"]["rewards"]["aspects"] == {"accuracy": 2.0}
    summary = operator.get("/api/operate/summary").json()
    assert summary["running_run"]["id"] == run["id"] and summary["opinions_since_last_run"] == 3
    assert summary["policies"][0]["liked"] == 1 and summary["policies"][0]["rated"] == 2
    assert operator.get("/api/operate/people?query=RATER-").json()["items"][0]["name"] == rater.name

    assert person.get("/api/me/export").json()["opinions"][0]["rewrite"] == "巴黎"
    assert len(person.get("/api/me/receipts").json()["items"]) == 2
    assert person.delete("/api/me").status_code == 204
    assert operator.get("/api/operate/feedback").json()["items"] == []


@pytest.mark.postgres
def test_an_invitation_is_used_once_even_by_two_at_once(start: Callable[..., Home], house: Home) -> None:
    home = start(database_url=house.settings.database_url, signup="invite")
    word = home.person("operator").post("/api/operate/people/invites", json={}).json()["invite"]

    def sign_up(number: int) -> int:
        with home.browser() as browser:
            body = {"name": f"guest{number}", "password": PASSWORD, "invite": word}
            return browser.post("/api/people", json=body).status_code

    with ThreadPoolExecutor(4) as crowd:
        assert sorted(crowd.map(sign_up, range(4))) == [201, 409, 409, 409]
