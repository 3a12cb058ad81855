"""The labelling queue: whose replies are shown to raters, in which order, and what becomes of their ratings."""

from collections.abc import Callable

import pytest
from sqlmodel import select

from backtalk.opinions import Judgement, judge
from backtalk.tables import Message, Opinion
from server import rate
from tests.server.api.conftest import Home


def test_a_rater_sees_only_replies_of_people_who_consent(start: Callable[..., Home]) -> None:
    home = start()
    rater = home.person("rater", consent=True)
    home.reply(home.person(consent=False), "a secret")
    home.reply(home.person(consent=None), "not asked yet")
    home.reply(rater, "the rater's own")
    consenting = home.person(consent=True)
    home.reply(consenting, "half", state="streaming")
    home.reply(consenting, "broken", state="failed")
    assert rater.get("/api/rate/next").status_code == 204
    shown = home.reply(consenting, "Paris.")
    item = rater.get("/api/rate/next").json()
    assert item["message_id"] == str(shown) and item["content"] == "Paris."
    assert item["turns"] == [{"role": "user", "content": "What is the capital of France?"}]
    assert str(consenting.id) not in str(item), "a rater does not learn whose it is"


def test_a_conversation_kept_out_of_training_is_not_shown_to_raters(start: Callable[..., Home]) -> None:
    home = start()
    rater, author = home.person("rater"), home.person(consent=True)
    with home.database.read() as session:
        conversation_id = session.get_one(Message, home.reply(author, "for me alone")).conversation_id
    assert rater.get("/api/rate/next").status_code == 200
    kept_out = author.patch(f"/api/conversations/{conversation_id}", json={"train": False})
    assert kept_out.json()["train"] is False
    assert rater.get("/api/rate/next").status_code == 204
    author.patch(f"/api/conversations/{conversation_id}", json={"train": True})
    assert rater.get("/api/rate/next").json()["content"] == "for me alone"


def test_an_open_item_stays_until_it_is_rated(start: Callable[..., Home]) -> None:
    home = start()
    rater = home.person("rater")
    for text in ("one", "two"):
        home.reply(home.person(consent=True), text)
    first = rater.get("/api/rate/next").json()
    assert rater.get("/api/rate/next").json() == first
    rated = rater.post(f"/api/rate/{first['id']}", json={"rating": -1, "rewrite": "better", "labels": {"quality": 2}})
    assert rated.status_code == 200 and rated.json()["rewrite"] == "better" and rated.json()["revision"] == 1
    assert rater.post(f"/api/rate/{first['id']}", json={"rating": -1}).json()["revision"] == 2
    second = rater.get("/api/rate/next").json()
    assert second["message_id"] != first["message_id"]
    rater.post(f"/api/rate/{second['id']}", json={"rating": 1})
    assert rater.get("/api/rate/next").status_code == 204


def test_replies_with_fewest_opinions_come_first(start: Callable[..., Home]) -> None:
    home = start()
    rater, author = home.person("rater"), home.person(consent=True)
    fresh = home.reply(author, "without an opinion")
    judged = home.reply(author, "with one")
    with home.database.write() as session:
        judge(session, author.id, judged, Judgement(rating=1))
    assert rater.get("/api/rate/next").json()["message_id"] == str(fresh)


def test_an_item_is_its_raters_alone(start: Callable[..., Home]) -> None:
    home = start()
    one, other = home.person("rater"), home.person("rater")
    home.reply(home.person(consent=True))
    item = one.get("/api/rate/next").json()
    assert other.post(f"/api/rate/{item['id']}", json={"rating": 1}).status_code == 404
    assert other.get("/api/rate/next").json()["message_id"] == item["message_id"], "two raters may judge one reply"
    assert other.post(f"/api/rate/{item['id']}", json={"rating": 1}).status_code == 404, "each by their own item"


def test_who_takes_consent_back_is_read_no_longer(start: Callable[..., Home]) -> None:
    home = start()
    rater, author = home.person("rater"), home.person(consent=True)
    home.reply(author)
    assert rater.get("/api/rate/next").status_code == 200
    author.patch("/api/me", json={"consent": {"train": False}})
    assert rater.get("/api/rate/next").status_code == 204


def test_the_item_after_the_open_one_can_be_had_ahead(start: Callable[..., Home]) -> None:
    home = start()
    rater = home.person("rater")
    for text in ("one", "two"):
        home.reply(home.person(consent=True), text)
    first = rater.get("/api/rate/next").json()
    second = rater.get("/api/rate/next", params={"after": first["id"]}).json()
    assert second["id"] != first["id"]
    assert rater.get("/api/rate/next").json() == first, "it is open still"
    assert rater.get("/api/rate/next", params={"after": first["id"]}).json() == second
    rater.post(f"/api/rate/{first['id']}", json={"rating": 1})
    assert rater.get("/api/rate/next").json() == second
    assert rater.get("/api/rate/next", params={"after": second["id"]}).status_code == 204


def test_a_rater_is_asked_again_later_and_learns_how_often_they_agree_with_themselves(
    start: Callable[..., Home], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate, "REPEAT_EVERY", 2)
    home = start()
    rater, author = home.person("rater"), home.person(consent=True)
    for number in range(8):
        home.reply(author, f"reply {number}")
    asked: list[str] = []
    for turn in range(10):
        item = rater.get("/api/rate/next").json()
        thumb = -1 if turn == 4 else 1
        rewrite = "better" if turn == 0 else None
        rater.post(f"/api/rate/{item['id']}", json={"rating": thumb, "rewrite": rewrite}).raise_for_status()
        asked.append(item["content"])
    # After four came the first again, and was judged otherwise; after six the second, and was judged the same.
    assert asked[4] == asked[0] and asked[7] == asked[1]
    assert len(set(asked)) == 8
    assert rater.get("/api/rate/progress").json() == {"done": 8, "since": 8, "waiting": 0, "repeated": 2, "agreed": 1}
    told = rater.get("/api/rate/progress", params={"since": "2100-01-01T00:00:00Z"}).json()
    assert (told["done"], told["since"]) == (8, 0)
    with home.database.read() as session:
        twice = select(Opinion).where(Opinion.person_id == rater.id, Opinion.revision == 2)
        changed = session.exec(twice).one()
        assert (changed.rating, changed.rewrite) == (-1, "better"), "a rewrite is not lost by asking again"
