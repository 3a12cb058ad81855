"""Raters work through the queue with one key a reply, and the page is never behind them."""

from collections.abc import Iterator
from uuid import UUID

import pytest
import sqlalchemy as sa
from playwright.sync_api import Locator, expect
from sqlmodel import col, select

from backtalk import labelling
from backtalk.tables import Comparison, Contested, LabellingRules, Opinion, RateItem, Run, now
from tests.browser.backtalk import Backtalk
from tests.browser.gallery import Gallery
from tests.browser.visitor import Visit, Visitor

TEXTS = ("First of three.", "Second of three.", "Third of three.")


@pytest.fixture
def rater(visit: Visit, backtalk: Backtalk) -> Iterator[Visitor]:
    """A rater before the queue, in which three replies wait and nothing comes by lot."""
    with backtalk.database.write() as session:
        labelling.set_rules(session, "test", pair_share=0.0, gold_share=0.0, double_share=0.0)
    author = backtalk.person(consent=True)
    for age, text in enumerate(TEXTS):
        backtalk.lay(author, ["What is it?", text], days_ago=-1 - age)  # newer than what other tests have laid
    yield visit(backtalk.person("rater", consent=True)).open("/rate")
    with backtalk.database.write() as session:
        session.execute(sa.delete(LabellingRules))


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
    keys.press("n")
    keys.type("No.")
    keys.press("Enter")
    expect(desk(rater)).to_have_text(TEXTS[0])
    keys.press("Backspace")
    expect(desk(rater)).to_have_text(TEXTS[1])
    expect(rater.button("Wrong")).to_have_attribute("aria-pressed", "true")
    keys.press("d")
    keys.press("2")
    expect(rater.button("Accuracy: 2 of 5")).to_have_attribute("aria-pressed", "true")
    keys.press("e")
    better = rater.page.get_by_role("textbox", name="Your version of this reply")
    expect(better).to_be_focused()
    keys.press("Control+a")
    keys.type("A word: better.")
    keys.press("Escape")
    expect(better).not_to_be_focused()
    keys.press("1")
    expect(rater.button("Wrong")).to_have_attribute("aria-pressed", "false")
    keys.press("1")
    assert not rater.ills()
    keys.press("Enter")
    expect(desk(rater)).to_have_text(TEXTS[0])
    keys.press("0")
    expect(rater.page.get_by_text("3 in all")).to_be_visible()
    mine = select(Opinion).where(Opinion.person_id == rater.me).order_by(col(Opinion.created_at))
    good, bad, nothing = backtalk.read(lambda session: session.exec(mine).all())
    assert (good.rating, good.reasons) == (1, [])
    assert (bad.rating, bad.reasons, bad.note, bad.labels) == (-1, ["wrong"], "No.", {"accuracy": 2})
    assert bad.rewrite == "A word: better."
    assert nothing.rating is None


@pytest.fixture
def disputed(backtalk: Backtalk) -> Iterator[set[UUID]]:
    """Two replies that the reward heads cannot agree on; raters are given such pairs and nothing else."""
    (left,) = backtalk.lay(backtalk.person(consent=True), ["Which is better?", "The one."], days_ago=-9).replies
    right = backtalk.lay_beside(left, "The other.")
    with backtalk.database.write() as session:
        labelling.set_rules(session, "test", pair_share=1.0, gold_share=0.0)
        session.execute(sa.delete(Contested))  # what trainings of other tests have found
        run = Run(state="rejected")
        session.add(run)
        session.flush()
        session.add(Contested(left_id=left, right_id=right, run_id=run.id, disagreement=0.9))
    yield {left, right}
    with backtalk.database.write() as session:
        session.execute(sa.delete(Contested))
        session.execute(sa.delete(LabellingRules))


def test_two_replies_in_dispute_are_compared_with_one_key(
    visit: Visit, backtalk: Backtalk, disputed: set[UUID]
) -> None:
    rater = visit(backtalk.person("rater", consent=True)).open("/rate")
    sides = rater.page.get_by_role("region", name="Answer")
    expect(sides).to_have_count(2)
    better = sides.nth(1).inner_text()
    assert not rater.ills()
    mine = select(Comparison).where(Comparison.person_id == rater.me)
    for key, verdict in (("0", "tie"), ("ArrowRight", "right")):  # on second thoughts
        with rater.page.expect_response("**/api/rate/*"):
            rater.page.keyboard.press(key)
        expect(sides).to_have_count(0)
        rater.until_stored()
        (said,) = backtalk.read(lambda session: session.exec(mine).all())
        assert said.verdict == verdict and {said.left_id, said.right_id} == disputed
        if verdict == "tie":
            expect(rater.button("Back to the one before")).to_be_visible()
            rater.page.keyboard.press("Backspace")
            expect(sides).to_have_count(2)
            expect(rater.button("Both are good")).to_have_attribute("aria-pressed", "true")
    assert backtalk.message(said.right_id).content == better


def test_a_rater_is_told_how_often_they_agree_with_themselves(visit: Visit, backtalk: Backtalk) -> None:
    author, rater = backtalk.person(consent=True), backtalk.person("rater", consent=True)
    for again in (1, 1, -1):
        (reply,) = backtalk.lay(author, ["And again?", "Again."]).replies
        with backtalk.database.write() as session:
            item = RateItem(person_id=rater, message_id=reply, first_rating=1, second_rating=again, done_at=now())
            session.add(item)
    expect(visit(rater).open("/rate").page.get_by_text("67 % agreement with yourself")).to_be_visible()


def test_the_desk_looks_right(gallery: Gallery, backtalk: Backtalk, disputed: set[UUID]) -> None:
    visitor, page = gallery.visitor, gallery.visitor.page
    visitor.become(backtalk.sign_in(backtalk.person("rater", language=gallery.look[1])))
    visitor.open("/rate")
    desks = page.locator("section[tabindex='-1']")
    expect(desks).to_have_count(2)
    gallery.hang("rate-pair")
    page.keyboard.press("ArrowRight")
    expect(desks).to_have_count(1)
    page.keyboard.press("Shift+ArrowLeft")
    expect(page.get_by_role("region").get_by_role("group").first).to_be_visible()
    gallery.hang("rate")


def test_somebody_else_is_told_whose_page_it_is(guest: Visitor) -> None:
    guest.open("/rate")
    expect(guest.page.get_by_text("This page is for raters.")).to_be_visible()
