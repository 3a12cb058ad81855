"""Raters work through the queue with one key a reply, and the page is never behind them."""

import pytest
from playwright.sync_api import Locator, expect
from sqlmodel import col, select

from backtalk.tables import Opinion
from tests.browser.backtalk import Backtalk
from tests.browser.visitor import Visit, Visitor

TEXTS = ("First of three.", "Second of three.", "Third of three.")


@pytest.fixture
def rater(visit: Visit, backtalk: Backtalk) -> Visitor:
    """A rater before the queue, in which three replies wait."""
    author = backtalk.person(consent=True)
    for age, text in enumerate(TEXTS):
        backtalk.lay(author, ["What is it?", text], days_ago=-1 - age)  # newer than what other tests have laid
    return visit(backtalk.person("rater", consent=True)).open("/rate")


def desk(rater: Visitor) -> Locator:
    return rater.page.get_by_role("region", name="The reply to rate")


def test_one_key_rates_a_reply_and_the_next_is_there(rater: Visitor, backtalk: Backtalk) -> None:
    keys = rater.page.keyboard
    expect(desk(rater)).to_have_text(TEXTS[2])
    expect(rater.page.get_by_text("What is it?")).to_be_visible()
    assert not rater.ills()
    rater.page.wait_for_load_state("networkidle")  # the next one is here
    with rater.page.expect_response("**/api/rate/*"):
        keys.press("ArrowRight")
        assert desk(rater).inner_text() == TEXTS[1], "nobody waits for the server"
    keys.press("Shift+ArrowLeft")
    expect(rater.button("Wrong")).to_be_visible()
    keys.press("1")
    expect(rater.button("Wrong")).to_have_attribute("aria-pressed", "true")
    rater.page.get_by_role("textbox", name="Note").fill("No.")
    keys.press("Enter")
    expect(desk(rater)).to_have_text(TEXTS[0])
    keys.press("Backspace")
    expect(desk(rater)).to_have_text(TEXTS[1])
    expect(rater.button("Wrong")).to_have_attribute("aria-pressed", "true")
    rater.button("Accuracy: 2 of 5").click()
    rater.button("Save and go on").click()
    expect(desk(rater)).to_have_text(TEXTS[0])
    keys.press("0")
    expect(rater.page.get_by_text("3 in all")).to_be_visible()
    mine = select(Opinion).where(Opinion.person_id == rater.me).order_by(col(Opinion.created_at))
    good, bad, nothing = backtalk.read(lambda session: session.exec(mine).all())
    assert (good.rating, good.reasons) == (1, [])
    assert (bad.rating, bad.reasons, bad.note, bad.labels) == (-1, ["wrong"], "No.", {"accuracy": 2})
    assert nothing.rating is None


def test_somebody_else_is_told_whose_page_it_is(guest: Visitor) -> None:
    guest.open("/rate")
    expect(guest.page.get_by_text("This page is for raters.")).to_be_visible()
