"""The console after four weeks: what it shows when there is something to show, in every look; the manual's pictures."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser import month
from tests.browser.backtalk import Backtalk
from tests.browser.gallery import Gallery, seen_by_an_operator
from tests.browser.month import ERAS, NAMES, RATERS, Month
from tests.browser.visitor import Visit


@pytest.fixture(scope="module")
def house() -> Iterator[Backtalk]:
    """A Backtalk of its own: what happened in it is nobody else's."""
    house = Backtalk()
    try:
        yield house.start()
    finally:
        house.close()


@pytest.fixture(scope="module")
def laid(house: Backtalk) -> Month:
    return month.lay(house)


@pytest.fixture
def gallery(visit: Visit, house: Backtalk, look: tuple[str, str, str]) -> Iterator[Gallery]:
    with seen_by_an_operator(visit, house, look) as gallery:
        yield gallery


def test_a_month_of_learning_is_seen(gallery: Gallery, house: Backtalk, laid: Month) -> None:
    visitor, page = gallery.visitor, gallery.visitor.page
    visitor.open("/operate")
    expect(page.get_by_role("listitem").filter(has_text="nightly")).to_be_visible()
    gallery.hang("month-overview")

    visitor.open(f"/operate/runs/{laid.running}")
    expect(page.locator("figure canvas").first).to_be_visible()
    gallery.hang("month-run")

    visitor.open("/operate/versions")
    expect(page.locator("svg a[href^='#v']")).to_have_count(len(ERAS))
    gallery.hang("month-versions")
    node = page.locator(f"svg a[href='#v{laid.live}']")
    expect(node).to_have_accessible_name(node.locator("title").text_content() or "")
    node.click()
    card = page.locator(f"#v{laid.live}")
    bar, title = page.locator("header").first.bounding_box(), card.locator("h2").bounding_box()
    assert bar and title and title["y"] >= bar["y"] + bar["height"], "the bar that stays hides nothing of the card"
    gallery.hang("month-version")
    card.locator("summary").last.click()
    expect(card.get_by_role("row").filter(has_text=NAMES[0])).to_be_visible()

    visitor.open("/operate/feedback")
    raters = page.locator("main details").first
    raters.locator("summary").first.click()
    for name in RATERS:
        expect(raters.get_by_role("row").filter(has_text=name)).to_be_visible()
    gallery.hang("month-raters")

    visitor.open(f"/operate/feedback?person={laid.talkative}")
    first = page.get_by_role("article").first
    first.locator("summary").first.click()
    expect(first.locator("details > div").first).to_be_visible()
    expect(page.get_by_role("combobox").nth(1)).to_have_value(NAMES[0])
    gallery.hang("month-feedback")
