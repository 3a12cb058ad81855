"""An empty chat: it says what it is and what its model knows, and each of its four prompts works."""

from typing import Any

import pytest
from playwright.sync_api import expect

from backtalk.starter import texts
from backtalk.starter.domains import table
from backtalk.starter.probes import is_right
from tests.browser.backtalk import Backtalk
from tests.browser.visitor import Visit, Visitor

STORIES = table(texts.STORIES, "about one two three zh zh1 zh2 zh3")
RIGHT: dict[str, list[tuple[str, ...]]] = {
    "en": [
        ("Paris",),
        ("boil fresh water",),
        tuple(row[part] for row in STORIES for part in ("one", "three")),
        ("cold",),
    ],
    "zh": [("巴黎",), ("烧开水",), tuple(row[part] for row in STORIES for part in ("zh1", "zh3")), ("冷",)],
}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_of_the_four_prompts_is_answered_rightly(visit: Visit, backtalk: Backtalk, language: str) -> None:
    asked: list[dict[str, Any]] = []
    guest = visit(language=language, manner={"temperature": 0, "seed": 1})
    for number, accepted in enumerate(RIGHT[language]):
        guest.open()
        prompts = guest.page.locator("main ul button")
        expect(prompts).to_have_count(4)
        question = prompts.nth(number).inner_text()
        prompts.nth(number).click()
        written = guest.page.locator("article[aria-busy=false]")
        expect(written).to_have_count(1)
        reply = guest.text_of(written)
        asked.append({"question": question, "reply": reply, "is right": is_right(reply, accepted)})
    assert all(one["is right"] for one in asked), asked


def test_it_is_told_what_the_bundled_model_knows_and_of_no_other(guest: Visitor, backtalk: Backtalk) -> None:
    small = guest.page.get_by_text("a very small model")
    expect(small).to_be_visible()
    with backtalk.saying("xyz"):
        guest.open()
        expect(guest.page.get_by_text("depends on the model that was chosen")).to_be_visible()
        expect(small).to_have_count(0)
