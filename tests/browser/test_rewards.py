"""Reward profiles and the feedback desk in the console: a profile changes and is tried, a person is kept out."""

import json
from typing import Any

import pytest
from playwright.sync_api import expect
from sqlmodel import select

from backtalk import announcements, exports, profiles
from backtalk.opinions import Judgement
from backtalk.tables import Opinion, Person, RewardProfile, Schedule, Slot, now
from tests.browser.backtalk import Backtalk
from tests.browser.gallery import Gallery
from tests.browser.visitor import Visit, Visitor


@pytest.fixture
def operator(visit: Visit, backtalk: Backtalk) -> Visitor:
    backtalk.lay_opinions(people=6, each=8)
    return visit(backtalk.person("operator")).open("/operate/rewards")


def test_a_profile_is_changed_and_previewed_before_it_trains(operator: Visitor, backtalk: Backtalk) -> None:
    page = operator.page
    page.get_by_role("button", name="New profile").first.click()
    page.get_by_role("dialog").get_by_role("textbox", name="Name").fill("curt")
    page.get_by_role("dialog").get_by_role("button", name="Add").click()
    panel = page.get_by_role("region", name="curt")
    panel.get_by_role("slider", name="Brevity").focus()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    panel.get_by_role("textbox", name="Name of the rule").fill("calm")
    panel.get_by_role("textbox", name="What it says").fill("-exclamations")
    panel.get_by_role("button", name="Add a rule").click()
    expect(panel.get_by_role("slider", name="calm")).to_be_visible()
    panel.get_by_role("button", name="Preview", exact=True).click()
    expect(panel.get_by_text("This profile would choose").first).to_be_visible()
    assert backtalk.read(lambda session: session.get_one(RewardProfile, "curt")).revision == 1, "nothing is kept yet"
    panel.get_by_role("button", name="Save and activate").click()
    expect(panel.get_by_text("revision 2")).to_be_visible()
    stored = backtalk.read(lambda session: session.get_one(RewardProfile, "curt"))
    assert (stored.active, stored.rules) == (True, {"calm": "-exclamations"})
    assert stored.weights["brevity"] == pytest.approx(0.3) and stored.weights["calm"] == 1


def test_a_person_is_kept_out_of_training(operator: Visitor, backtalk: Backtalk) -> None:
    page = operator.open("/operate/feedback").page
    card = page.get_by_role("article").first
    card.get_by_text("The conversation").click()
    expect(card.get_by_text("What is").last).to_be_visible()
    card.get_by_role("link").first.click()
    page.get_by_role("button", name="Exclude this person").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("clicks at random")
    page.get_by_role("dialog").get_by_role("button", name="Exclude this person").click()
    expect(page.get_by_role("button", name="Let this person train again")).to_be_visible()
    (excluded,) = backtalk.read(lambda session: session.exec(select(Person).where(Person.excluded)).all())
    given = backtalk.read(lambda session: session.exec(select(Opinion).where(Opinion.person_id == excluded.id)).all())
    with page.expect_download() as download:
        page.get_by_role("link", name="Export these").click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == len(given) and all('"person_excluded":true' in line for line in lines)
    operator.button("For training").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="Thumbs (KTO)").click()
    rows = [json.loads(line) for line in download.value.path().read_text().splitlines()]
    assert rows == backtalk.read(lambda session: list(exports.rows(session, "unpaired")))


def test_the_desk_shows_what_one_person_said(operator: Visitor, backtalk: Backtalk) -> None:
    rated = [backtalk.person(consent=True) for _ in range(2)]
    for person_id in rated:
        backtalk.judge(person_id, backtalk.lay(person_id, ["Hello", "Hello!"]).replies[0], Judgement(rating=1))
    name = backtalk.read(lambda session: session.get_one(Person, rated[0]).name)
    assert name is not None
    page = operator.open("/operate/feedback").page
    who = page.get_by_role("combobox", name="Person")
    who.fill(name.removeprefix("user "))
    page.get_by_role("option", name=name).click()
    expect(page.get_by_role("article")).to_have_count(1)
    expect(page.get_by_role("region", name=name)).to_be_visible()
    operator.button("Clear").click()
    expect(page.get_by_role("article").nth(1)).to_be_visible()
    expect(who).to_have_value("")
    # Pages that lead here know the person, and need not know the name.
    operator.open(f"/operate/feedback?person={rated[0]}")
    expect(who).to_have_value(name)
    assert not operator.ills()


def test_the_pages_that_decide_what_is_learned_look_right(gallery: Gallery, backtalk: Backtalk) -> None:
    backtalk.lay_opinions(people=6, each=8)
    happened(backtalk)
    visitor, page = gallery.visitor, gallery.visitor.page
    visitor.become(backtalk.sign_in(backtalk.person("operator", language=gallery.look[1])))
    visitor.open("/operate")
    expect(page.get_by_role("list").filter(has_text="nightly")).to_be_visible()
    gallery.hang("operate-overview")
    visitor.open("/operate/rewards")
    panel = page.get_by_role("region").filter(has=page.get_by_role("slider")).first
    expect(panel).to_be_visible()
    gallery.hang("operate-rewards")
    preview = panel.get_by_role("button").last
    preview.click()
    expect(panel.locator("[aria-live] li").first).to_be_visible()
    preview.scroll_into_view_if_needed()
    gallery.hang("operate-preview")
    visitor.open("/operate/feedback")
    card = page.get_by_role("article").first
    card.locator("summary").first.click()
    card.locator("summary").last.click()
    right = card.get_by_role("group").get_by_role("button").first
    right.click()
    expect(right).to_have_attribute("aria-pressed", "true")
    raters = page.locator("main details").first
    raters.locator("summary").first.click()
    expect(raters.get_by_role("region").last.get_by_role("button")).to_be_visible()
    gallery.hang("operate-raters")
    raters.locator("summary").first.click()
    card.get_by_role("link").first.click()
    expect(page.get_by_role("region").first).to_be_visible()
    gallery.hang("operate-feedback")


def happened(backtalk: Backtalk) -> None:
    """A profile that counts something of everything, and a night with something to tell."""
    content: dict[str, Any] = {
        "weights": {"preference": 1.0, "accuracy": 0.5, "brevity": 0.4, "humorous": -0.2, "calm": 0.3},
        "rules": {"calm": "-exclamations", "fillers": ["well", "um"]},
    }
    with backtalk.database.write() as session:
        profiles.put(session, "test", "calm and correct", content["weights"], {}, True, content["rules"])
        schedule = session.exec(select(Schedule).where(Schedule.name == "nightly")).first()
        if schedule is None:
            schedule = Schedule(name="nightly", cron="0 3 * * *")
            session.add(schedule)
            session.flush()
            session.add(Slot(schedule_id=schedule.id, planned_at=now(), missed="3 new opinions, 50 wanted"))
            announcements.announce(session, "promoted", policy=3)
