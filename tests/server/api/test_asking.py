"""What people are asked for beyond the thumb: reasons and aspects of the operator's own."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.server.api.conftest import Home, Somebody, refused

WITTY = {"name": "wit", "label_en": "Wit", "label_zh": "风趣"}
DULL = {"id": "dull", "label_en": "Dull", "label_zh": "无趣", "for": "down"}
HOME_TRUTH = {"id": "home_truth", "label_en": "Home truth", "label_zh": "大实话", "for": "both"}
PLACE = "/api/operate/asking"


@pytest.fixture
def house(start: Callable[..., Home]) -> Home:
    return start()


@pytest.fixture
def operator(house: Home) -> Somebody:
    return house.person("operator")


def test_a_page_learns_how_often_to_offer_a_comparison(house: Home, operator: Somebody) -> None:
    assert house.person().get("/api/me").json()["compare_share"] == 0.05
    operator.put(PLACE, json={"compare_share": 0.5}).raise_for_status()
    assert house.person().get("/api/me").json()["compare_share"] == 0.5
    assert operator.put(PLACE, json={"compare_share": 2}).status_code == 422
    assert operator.get(PLACE).json()["compare_share"] == 0.5


def test_people_are_asked_for_what_the_operator_has_chosen(house: Home, operator: Somebody) -> None:
    chosen = {"aspects": [WITTY], "reasons": [DULL, HOME_TRUTH]}
    shown = operator.put(PLACE, json=chosen).raise_for_status().json()
    assert shown == {"compare_share": 0.05, **chosen}
    person = house.person()
    me = person.get("/api/me").json()
    assert (me["aspects"], me["reasons"]) == ([WITTY], [DULL, HOME_TRUTH])
    place = f"/api/messages/{house.reply(person)}/feedback"
    given = person.put(place, json={"labels": {"wit": 2}, "reasons": ["home_truth", "dull"]}).raise_for_status().json()
    assert (given["labels"], given["reasons"]) == ({"wit": 2}, ["home_truth", "dull"])
    refused(person.put(place, json={"labels": {"quality": 2}}), 400, "bad_request", "known are wit")


def test_an_opinion_keeps_what_is_no_longer_asked_for(house: Home, operator: Somebody) -> None:
    person = house.person()
    place = f"/api/messages/{house.reply(person)}/feedback"
    before = {"rating": -1, "labels": {"quality": 2}, "reasons": ["wrong"]}
    person.put(place, json=before).raise_for_status()
    operator.put(PLACE, json={"aspects": [], "reasons": [DULL]}).raise_for_status()
    after = person.put(place, json=before | {"reasons": ["wrong", "dull"], "note": "still"}).raise_for_status().json()
    assert (after["labels"], after["reasons"]) == ({"quality": 2}, ["wrong", "dull"])
    person.put(place, json={"rating": -1}).raise_for_status()
    refused(person.put(place, json=before), 400, "bad_request", "known are none")


def test_what_is_left_out_stays(operator: Somebody) -> None:
    operator.put(PLACE, json={"aspects": [WITTY]}).raise_for_status()
    shown = operator.put(PLACE, json={"compare_share": 0}).raise_for_status().json()
    assert (shown["aspects"], shown["compare_share"], len(shown["reasons"])) == ([WITTY], 0, 11)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"aspects": [WITTY | {"name": "Wit!"}]}, "small letters"),
        ({"aspects": [WITTY | {"name": "preference"}]}, "none of preference"),
        ({"aspects": [WITTY, WITTY]}, "two aspects"),
        ({"aspects": [WITTY | {"label_zh": " "}]}, "Chinese label"),
        ({"reasons": [DULL | {"label_en": "x" * 41}]}, "1 to 40 characters"),
        ({"reasons": [DULL | {"id": f"dull_{number}"} for number in range(25)]}, "at most 24"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(operator: Somebody, chosen: dict[str, Any], words: str) -> None:
    before = operator.get(PLACE).json()
    refused(operator.put(PLACE, json=chosen), 400, "bad_request", words)
    assert operator.get(PLACE).json() == before


def test_a_rater_is_asked_for_the_same(house: Home, operator: Somebody) -> None:
    house.reply(house.person(consent=True))
    operator.put(PLACE, json={"aspects": [WITTY], "reasons": [DULL]}).raise_for_status()
    rater = house.person("rater")
    item = rater.get("/api/rate/next").raise_for_status().json()
    assert (item["aspects"], item["reasons"]) == (["wit"], ["dull"])
