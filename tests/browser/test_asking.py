"""How often people are asked to compare two answers: set with a slider, and felt in the chat."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from backtalk.tables import OpinionRules
from tests.browser.backtalk import Backtalk, Laid
from tests.browser.visitor import Visit


@pytest.fixture(autouse=True)
def unasked(backtalk: Backtalk) -> Iterator[None]:
    """Nobody asks differently after this."""
    yield
    with backtalk.database.write() as session:
        session.execute(sa.delete(OpinionRules))


def test_the_slider_says_under_which_replies_a_comparison_is_offered(visit: Visit, backtalk: Backtalk) -> None:
    operator = visit(backtalk.person("operator")).open("/operate/asking")
    share = operator.page.get_by_role("slider", name="Share of the replies")
    expect(share).to_have_attribute("aria-valuetext", "5%")
    share.focus()
    operator.page.keyboard.press("End")
    expect(share).to_have_attribute("aria-valuetext", "50%")
    operator.button("Save").click()
    expect(operator.page.get_by_text("Saved. Open pages follow")).to_be_visible()
    guest = visit().open()
    drawn: dict[bool, Laid] = {}
    while len(drawn) < 2:  # a reply's id is its lot
        laid = backtalk.lay(guest.me, ["Which one?", "This one."])
        drawn[laid.replies[0].int < 2**127] = laid
    for is_asked, laid in drawn.items():
        guest.open(laid.path)
        expect(guest.replies).to_have_count(1)
        expect(guest.page.get_by_text("Help it learn: compare this")).to_have_count(1 if is_asked else 0)
    guest.open(drawn[True].path)
    guest.button("Compare").click()
    expect(guest.page.get_by_role("dialog", name="Which answer is better?")).to_be_visible()
