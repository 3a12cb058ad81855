"""A conversation of a thousand messages: only what is near is drawn, and everything is there."""

from playwright.sync_api import expect

from tests.browser.backtalk import Backtalk
from tests.browser.visitor import Visit

TURNS = 1000


def test_a_thousand_messages_are_all_there_and_few_are_drawn(visit: Visit, backtalk: Backtalk) -> None:
    person = backtalk.person()
    said = [
        f"Answer {turn} is **bold** enough.\n\n- one\n- two" if turn % 2 else f"What is number {turn}?"
        for turn in range(TURNS)
    ]
    laid = backtalk.lay(person, said)
    guest = visit(person, manner={"temperature": 0}).open(laid.path)
    page = guest.page
    articles = page.get_by_role("article")
    expect(articles).to_have_count(TURNS)
    expect(articles.last).to_be_in_viewport()
    expect(articles.last.locator("strong")).to_have_text("bold")
    drawn = page.locator("article strong")
    assert drawn.count() < 60
    assert not guest.ills()

    far = articles.nth(419)
    assert far.evaluate("it => it.checkVisibility()"), "the browser's search looks into it"
    expect(far).to_contain_text("Answer 419 is **bold** enough.")
    far.scroll_into_view_if_needed()
    expect(far.locator("strong")).to_have_text("bold")
    expect(far).to_be_in_viewport()
    assert drawn.count() < 200

    page.evaluate("document.querySelector('[class*=thread]').parentElement.scrollTop = 0")
    expect(articles.first).to_be_in_viewport()
    expect(articles.nth(1).locator("strong")).to_have_text("bold")

    guest.say("What is the capital of France?")
    expect(articles).to_have_count(TURNS + 2)
    expect(articles.last.get_by_role("button", name="Another answer")).to_be_visible()
    expect(articles.last).to_be_in_viewport()
    last = backtalk.stored(laid.id)[-1]
    assert guest.text_of(articles.last) == last.content.strip()
