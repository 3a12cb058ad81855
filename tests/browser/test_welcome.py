"""What follows the one-time link: a model, who is let in, a first schedule."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect
from sqlmodel import select

from backtalk.tables import EntranceRules, Policy, Schedule
from tests.browser.backtalk import Backtalk
from tests.browser.gallery import Gallery
from tests.browser.test_reach import tab_to
from tests.browser.visitor import Visit


@pytest.fixture(autouse=True)
def undone(backtalk: Backtalk) -> Iterator[None]:
    """Nothing of what other tests have chosen is here, and nothing of what is chosen here stays for them."""

    def undo() -> None:
        with backtalk.database.write() as session:
            session.execute(sa.delete(EntranceRules))
            session.execute(sa.delete(Schedule))

    undo()
    yield
    undo()


def test_an_admin_goes_through_it_by_key_alone(visit: Visit, backtalk: Backtalk) -> None:
    page = visit(backtalk.person("admin")).open("/operate/welcome").page
    expect(page.get_by_role("heading", name="The model")).to_be_focused()
    expect(page.get_by_text("LlamaForCausalLM").first).to_be_visible()
    tab_to(page, "Continue")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Who may chat")).to_be_focused()
    expect(page.get_by_role("radio", name="Anybody, as a guest")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name="Whoever is invited")).to_be_checked()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="The first schedule")).to_be_focused()
    rules = backtalk.read(lambda session: session.get_one(EntranceRules, 1))
    assert rules.signup == "invite"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/operate")
    schedule = backtalk.read(lambda session: session.exec(select(Schedule)).one())
    assert (schedule.cron, schedule.after_feedback, schedule.enabled) == ("", 50, True)


def test_who_may_chat_is_chosen_later_on_the_page_about_people(visit: Visit, backtalk: Backtalk) -> None:
    admin = visit(backtalk.person("admin")).open("/operate/people")
    admin.page.get_by_text("Who may chat: Anybody, as a guest").click()
    expect(admin.button("Save")).to_be_disabled()
    admin.page.get_by_role("radio", name="Whoever is invited").check()
    assert not admin.ills()
    admin.button("Save").click()
    expect(admin.page.get_by_text("Who may chat: Whoever is invited")).to_be_visible()
    assert backtalk.read(lambda session: session.get_one(EntranceRules, 1)).signup == "invite"
    operator = visit(backtalk.person("operator")).open("/operate/people")
    operator.page.get_by_text("Who may chat: Whoever is invited").click()
    expect(operator.page.get_by_text("Only an admin can change this.")).to_be_visible()
    expect(operator.page.get_by_role("radio", name="Nobody new")).to_be_disabled()


def test_a_version_that_was_taken_in_can_be_chosen(visit: Visit, backtalk: Backtalk) -> None:
    admin = visit(backtalk.person("admin")).open("/operate/welcome")
    number = backtalk.saying_version("xyz")
    choice = admin.page.get_by_role("radio", name=f"Version {number}")
    choice.check()
    admin.button("Continue").click()
    expect(admin.page.get_by_role("heading", name="Who may chat")).to_be_visible()
    assert backtalk.read(lambda session: session.get_one(Policy, number)).state == "live"
    with backtalk.saying("xyz"):  # until it answers; then the first one again
        pass


def test_the_steps_look_right(gallery: Gallery, backtalk: Backtalk) -> None:
    visitor, page = gallery.visitor, gallery.visitor.page
    visitor.become(backtalk.sign_in(backtalk.person("admin", language=gallery.look[1])))
    visitor.open("/operate/welcome")
    for number, shown in enumerate(("dl", "input[type=radio]", "input[type=radio]"), 1):
        expect(page.locator("form").locator(shown).first).to_be_visible()
        gallery.hang(f"welcome-{number}")
        page.locator("form button[type=submit]").click()
    page.wait_for_url("**/operate")
