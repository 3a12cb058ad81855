"""The labelling queue: whose replies are shown to raters, in which order, and what becomes of their ratings."""

from collections.abc import Callable

import pytest
from sqlmodel import select

from backtalk import labelling
from backtalk.opinions import Judgement, judge
from backtalk.tables import Contested, Message, Opinion, Run
from server import queue
from tests.server.api.conftest import Home, Somebody, actions


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
    monkeypatch.setattr(queue, "REPEAT_EVERY", 2)
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
    refused = rater.get("/api/rate/progress", params={"since": "4102444800"})
    assert refused.status_code == 422 and "ISO 8601" in refused.json()["error"]["message"]
    told = rater.get("/api/rate/progress", params={"since": "2100-01-01T00:00:00Z"}).json()
    assert (told["done"], told["since"]) == (8, 0)
    with home.database.read() as session:
        twice = select(Opinion).where(Opinion.person_id == rater.id, Opinion.revision == 2)
        changed = session.exec(twice).one()
        assert (changed.rating, changed.rewrite) == (-1, "better"), "a rewrite is not lost by asking again"


# Gold, pairs, and two raters for one reply ----------------------------------------------------------------------------


def test_gold_is_met_unmarked_and_tells_who_can_be_relied_on(start: Callable[..., Home]) -> None:
    home = start()
    operator, author = home.person("operator"), home.person(consent=True)
    careful, hasty = home.person("rater"), home.person("rater")
    share(home, gold_share=1.0)
    replies = [home.reply(author, f"reply {number}") for number in range(4)]
    for number, reply in enumerate(replies):
        author.put(f"/api/messages/{reply}/feedback", json={"rating": 1 if number % 2 else -1})
    path = "/api/operate/feedback"
    rows = {row["message_id"]: row for row in operator.get(path).json()["items"]}
    right = {str(reply): "up" if number % 2 else "down" for number, reply in enumerate(replies[:3])}
    for shown, answer in right.items():
        marked = operator.put(f"{path}/opinion/{rows[shown]['id']}/gold", json={"answer": answer, "reason": "plain"})
        assert marked.json()["gold"] == answer, marked.text
    assert len(operator.get(path, params={"gold": True}).json()["items"]) == 3
    for rater, always in ((careful, None), (hasty, "up")):
        for _ in range(3):
            item = rater.get("/api/rate/next").json()
            assert "gold" not in str(item)
            answer = always or right[item["message_id"]]
            rater.post(f"/api/rate/{item['id']}", json={"rating": 1 if answer == "up" else -1}).raise_for_status()
        assert rater.get("/api/rate/next").json()["message_id"] == str(replies[3]), "when all gold is known, the rest"
    told = operator.get("/api/operate/labelling").json()
    first, second = (next(one for one in told["raters"] if one["person_id"] == str(who.id)) for who in (careful, hasty))
    assert (first["gold"], first["gold_right"], second["gold"], second["gold_right"]) == (3, 3, 3, 1)
    assert first["gold_low"] == pytest.approx(0.4385, abs=1e-3) and first["gold_high"] == 1  # Wilson, 3 of 3
    assert (told["answered"], told["items"], told["doubled"], told["gold"]) == (6, 3, 3, 3)
    assert (first["shared"], first["shared_same"]) == (3, 1)
    # Two ups and a down against three ups: both agree on one of three, as often as by chance.
    assert told["kappa"] == pytest.approx(0) and first["kappa"] == pytest.approx(0)
    # D_o = 4/6 unlike pairs, D_e = (36 - 16 - 4) / (6 · 5); α = 1 - (4/6) / (16/30).
    assert told["alpha"] == pytest.approx(-0.25)
    gone = operator.delete(f"{path}/opinion/{rows[str(replies[0])]['id']}/gold").json()
    assert gone["gold"] is None and operator.get("/api/operate/labelling").json()["gold"] == 2
    wrong = operator.put(f"{path}/opinion/{rows[str(replies[0])]['id']}/gold", json={"answer": "left"})
    assert wrong.status_code == 400 and "up or down" in wrong.json()["error"]["message"]
    assert actions(home)[-2:] == ["gold.mark", "gold.unmark"]


def test_a_share_of_the_replies_is_given_to_two_raters(start: Callable[..., Home]) -> None:
    home = start()
    one, other, author = home.person("rater"), home.person("rater"), home.person(consent=True)
    for number in range(4):
        home.reply(author, f"reply {number}")
    share(home, double_share=0.0)
    done = [judged(one) for _ in range(2)]
    assert judged(other) not in done, "what nobody has judged comes first"
    share(home, double_share=1.0)
    # Of the times that a reply is given, half are a second time; a coin that always falls so gives what one has judged.
    with home.database.read() as session:
        found = queue.following(session, other.id, [], lambda: 0.49)
        assert found is not None and session.get_one(Message, found.message_id).content == sorted(done)[0]
        fresh = queue.following(session, other.id, [], lambda: 0.51)
        assert fresh is not None and session.get_one(Message, fresh.message_id).content not in done


def test_pairs_that_the_reward_heads_disagree_on_are_compared(start: Callable[..., Home]) -> None:
    home = start()
    operator, rater, author = home.person("operator"), home.person("rater"), home.person(consent=True)
    share(home, pair_share=1.0)
    left = home.reply(author, "Paris. Ask ada@example.org.")
    right = home.reply(author, "Lyon.", beside=left)
    home.reply(author, "alone")
    with home.database.write() as session:
        run = Run(state="promoted")
        session.add(run)
        session.flush()
        session.add(Contested(left_id=left, right_id=right, run_id=run.id, disagreement=0.9))
    item = rater.get("/api/rate/next").json()
    assert item["kind"] == "pair" and [turn["role"] for turn in item["turns"]] == ["user"]
    assert {item[side]["content"] for side in ("left", "right")} == {"Paris. Ask [mail 1].", "Lyon."}
    assert rater.get("/api/rate/next").json() == item, "it is open still"
    refused = rater.post(f"/api/rate/{item['id']}", json={"rating": 1})
    assert refused.status_code == 400 and "verdict" in refused.json()["error"]["message"]
    better = "left" if item["left"]["message_id"] == str(left) else "right"
    assert rater.post(f"/api/rate/{item['id']}", json={"verdict": better}).json()["verdict"] == better
    assert rater.post(f"/api/rate/{item['id']}", json={"verdict": better}).status_code == 200, "a repeat is harmless"
    assert rater.post(f"/api/rate/{item['id']}", json={"verdict": "tie"}).json()["verdict"] == "tie", "gone back to"
    assert rater.post(f"/api/rate/{item['id']}", json={"verdict": better}).json()["verdict"] == better
    assert rater.get("/api/rate/next").json()["kind"] == "reply", "the pair is done"
    assert rater.get("/api/rate/progress").json()["done"] == 1
    # The comparison can be made gold in turn, and another rater may see it the other way round.
    (row,) = operator.get("/api/operate/feedback?kind=comparison").json()["items"]
    answer = operator.put(f"/api/operate/feedback/comparison/{row['id']}/gold", json={"answer": better}).json()["gold"]
    assert answer == better
    (told,) = operator.get("/api/operate/labelling").json()["raters"]
    assert (told["answered"], told["gold"], told["gold_right"]) == (1, 1, 1)
    author.patch("/api/me", json={"consent": {"train": False}})
    assert home.person("rater").get("/api/rate/next").status_code == 204


def test_how_items_are_handed_out_is_for_operators_to_set(start: Callable[..., Home]) -> None:
    home = start()
    operator, rater = home.person("operator"), home.person("rater")
    assert operator.put("/api/operate/labelling", json={"gold_share": 0.3}).json()["gold_share"] == 0.3
    rules = operator.get("/api/operate/labelling").json()["rules"]
    assert rules == {"gold_share": 0.3, "double_share": 0.2, "pair_share": 0.3}
    assert operator.put("/api/operate/labelling", json={"gold_share": 2}).status_code == 422
    assert rater.get("/api/operate/labelling").status_code == 403
    assert actions(home)[-1] == "labelling.set"


def share(home: Home, **shares: float) -> None:
    """Items are handed out by these shares and no others."""
    none = {"gold_share": 0.0, "double_share": 0.0, "pair_share": 0.0}
    with home.database.write() as session:
        labelling.set_rules(session, "test", **none | shares)


def judged(rater: Somebody) -> str:
    """What the rater was given and has liked."""
    item = rater.get("/api/rate/next").json()
    rater.post(f"/api/rate/{item['id']}", json={"rating": 1}).raise_for_status()
    content: str = item["content"]
    return content
