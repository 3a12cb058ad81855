"""What operators do in the console: claim the place, plan, train, watch, promote, take back."""

import json

import pytest
from playwright.sync_api import Route, expect
from sqlmodel import select

from backtalk import people
from backtalk.tables import Policy, Schedule
from tests.browser.backtalk import Backtalk
from tests.browser.conftest import ENDLESS
from tests.browser.visitor import Visit, Visitor

SMALL = {
    "reward_model": {"steps": 8, "batch": 16},
    "distill": {"epochs": 1, "draws": 1, "prompts": 16},
    "ppo": {"iterations": 400, "episodes": 16, "minibatch": 8, "epochs": 1},
    "sampling": {"maximum_tokens": 24},
}
"""Soon at its curves, and long enough to be cancelled while they grow."""


@pytest.fixture
def operator(visit: Visit, backtalk: Backtalk) -> Visitor:
    return visit(backtalk.person("operator")).open("/operate")


def section(operator: Visitor, name: str) -> None:
    operator.page.get_by_role("navigation", name="Sections").get_by_role("link", name=name).click()
    expect(operator.page.get_by_role("heading", level=1, name=name)).to_be_visible()


def test_the_one_time_link_makes_the_first_operator_and_only_once(visit: Visit, backtalk: Backtalk) -> None:
    token = people.offer_claim(backtalk.settings, backtalk.database)
    first = visit().open(f"/operate/claim#{token}")
    first.page.get_by_role("textbox", name="Name").fill("the first")
    first.page.locator("input[type=password]").fill("a heron in the rain")
    first.page.locator("form").get_by_role("button").last.click()
    expect(first.page.get_by_role("heading", name="The model")).to_be_visible()
    first.button("Leave this for later").click()
    expect(first.page.get_by_role("button", name="Train now")).to_be_visible()
    second = visit().open(f"/operate/claim#{token}")
    second.page.get_by_role("textbox", name="Name").fill("the second")
    second.page.locator("input[type=password]").fill("a heron in the rain")
    second.page.locator("form").get_by_role("button").last.click()
    expect(second.page.get_by_role("alert")).to_be_visible()


def test_the_console_is_closed_to_everybody_else(guest: Visitor) -> None:
    guest.open("/operate/versions")
    expect(guest.page.get_by_role("heading", name="Versions")).to_have_count(0)
    expect(guest.page.get_by_role("button", name="Promote")).to_have_count(0)


def test_a_schedule_is_made_paused_and_deleted(operator: Visitor, backtalk: Backtalk) -> None:
    section(operator, "Schedules")
    page = operator.page
    page.get_by_role("button", name="New schedule").first.click()
    form = page.get_by_role("dialog")
    form.get_by_role("textbox", name="Name").fill("nightly")
    form.get_by_role("textbox", name="Cron text").fill("61 3 * * *")
    form.get_by_role("button", name="Save").click()
    expect(form).to_contain_text("61")
    form.get_by_role("textbox", name="Cron text").fill("30 3 * * 0")
    form.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="nightly")).to_be_visible()
    stored = backtalk.read(lambda session: session.exec(select(Schedule).where(Schedule.name == "nightly")).one())
    assert (stored.cron, stored.enabled) == ("30 3 * * 0", True)
    page.get_by_role("switch", name="nightly: Pause").click()
    expect(page.get_by_role("switch", name="nightly: Resume")).not_to_be_checked()
    operator.button("Delete “nightly”?").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="nightly")).to_have_count(0)


def test_a_training_is_watched_while_its_curves_grow_and_cancelled(operator: Visitor, backtalk: Backtalk) -> None:
    backtalk.lay_opinions(people=6, each=8)
    page = operator.page
    page.route("**/api/operate/runs", with_small_recipe)
    with backtalk.learning():
        operator.button("Train now").click()
        page.wait_for_url("**/operate/runs/*")
        expect(page.get_by_text("Running", exact=True)).to_be_visible()
        curves = page.get_by_role("figure")
        expect(curves.first).to_be_visible()
        first = curves.first.inner_text()
        expect(curves.first).not_to_have_text(first)
        operator.button("Cancel this run").click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel this run").click()
        expect(page.get_by_text("The run was cancelled")).to_be_visible()
    section(operator, "Overview")
    expect(page.get_by_text("Cancelled", exact=True)).to_be_visible()


def test_a_version_is_promoted_and_taken_back_and_chats_hear_of_it(
    operator: Visitor, guest: Visitor, backtalk: Backtalk
) -> None:
    version = backtalk.saying_version(ENDLESS)
    section(operator, "Versions")
    operator.page.get_by_role("button", name=f"Promote v{version}", exact=True).click()
    operator.page.get_by_role("dialog").get_by_role("textbox").fill("it says abc")
    operator.page.get_by_role("dialog").get_by_role("button", name="Promote").click()
    expect(guest.page.get_by_text(f"Version {version} is live.")).to_be_visible()
    guest.say("Hello")
    expect(guest.page.get_by_role("img", name=f"Written by version {version} of the model")).to_be_visible()
    operator.page.get_by_role("button", name=f"Roll back v{version}", exact=True).click()
    operator.page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(guest.page.get_by_text("Version 0 is live.")).to_be_visible()
    assert backtalk.read(lambda session: session.get_one(Policy, version)).state == "withdrawn"
    guest.button("Another answer").click()
    expect(guest.page.get_by_role("img", name="Written by version 0 of the model")).to_be_visible()
    section(operator, "Audit log")
    expect(operator.page.get_by_text("it says abc")).to_be_visible()


def with_small_recipe(route: Route) -> None:
    """Let the page's order through with a small recipe: what is tested is the page."""
    if route.request.method == "POST":
        route.continue_(post_data=json.dumps({"recipe": SMALL}))
    else:
        route.continue_()
