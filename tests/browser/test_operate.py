"""What operators do in the console: claim the place, plan, train, watch, promote, take back."""

import json
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from playwright.sync_api import Locator, expect
from sqlmodel import select

from backtalk import forecast, people, schedules
from backtalk.tables import Policy, Run, Schedule, Slot, now
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
    backtalk.lay_opinions(people=6, each=8)
    section(operator, "Schedules")
    page = operator.page
    page.get_by_role("button", name="New schedule").first.click()
    form = page.get_by_role("dialog")
    form.get_by_role("textbox", name="Name").fill("nightly")
    form.get_by_role("textbox", name="Cron text").fill("61 3 * * *")
    form.get_by_role("button", name="Save").click()
    expect(form).to_contain_text("61")
    form.get_by_role("textbox", name="Cron text").fill("30 3 * * 0")
    expect(form).to_contain_text("At 03:30 on Sunday")
    expect_sundays(form.get_by_role("listitem"))
    form.get_by_text("How it learns").click()
    rest = form.get_by_role("textbox", name="What else differs")
    rest.fill('{"ppo": 3')
    expect(form).to_contain_text("This is no JSON object")
    rest.fill('{"ppo": {"iterations": 0.5}}')
    form.get_by_role("button", name="Save").click()
    expect(form).to_contain_text("recipe field ppo.iterations")
    rest.fill('{"ppo": {"iterations": 3}}')
    form.get_by_role("combobox", name="Way of learning").click()
    page.get_by_role("option", name="GRPO").click()
    expect(form.get_by_text("Nothing is trained.")).to_be_visible()
    form.get_by_role("button", name="Save").click()
    card = page.get_by_role("region", name="nightly")
    expect(card).to_contain_text("algorithm = grpo, ppo.iterations = 3")
    expect(card).to_contain_text("At 03:30 on Sunday")
    expect_sundays(card.get_by_role("listitem"))
    stored = backtalk.read(lambda session: session.exec(select(Schedule).where(Schedule.name == "nightly")).one())
    assert (stored.cron, stored.enabled) == ("30 3 * * 0", True)
    assert stored.recipe == {"algorithm": "grpo", "ppo": {"iterations": 3}}
    page.get_by_role("switch", name="nightly: Pause").click()
    expect(page.get_by_role("switch", name="nightly: Resume")).not_to_be_checked()
    operator.button("Delete “nightly”?").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="nightly")).to_have_count(0)


def test_a_schedule_tells_what_it_would_use_and_what_became_of_its_times(operator: Visitor, backtalk: Backtalk) -> None:
    backtalk.lay_opinions(people=6, each=8)
    with backtalk.database.write() as session:
        schedule = schedules.add(session, "every hour", "0 * * * *", minimum_feedback=10**6, enabled=False)
        run = Run(state="promoted", from_version=0, to_version=0, schedule_id=schedule.id)
        session.add(run)
        session.flush()
        session.add(Slot(schedule_id=schedule.id, planned_at=now(), run_id=run.id))
        before = now() - timedelta(hours=1)
        session.add(Slot(schedule_id=schedule.id, planned_at=before, missed="blackout 1-5 08:00-18:00"))
        expected = forecast.forecast(session, {}, 10**6)
    section(operator, "Schedules")
    card = operator.page.get_by_role("region", name="every hour")
    card.get_by_role("button", name="Dry run every hour").click()
    tried = operator.page.get_by_role("dialog")
    expect(tried).to_contain_text(
        f"No run, or none with a version: {expected.new_feedback} new opinions, 1000000 wanted."
    )
    for name, count in (("People", expected.people), ("opinions", expected.counts["opinions"])):
        expect(tried.locator("dl > div").filter(has_text=name).first).to_contain_text(f"{count:,}")
    operator.page.keyboard.press("Escape")
    card.get_by_text("Times that came").click()
    came = card.get_by_role("listitem").filter(has=operator.page.get_by_text("clock"))
    expect(came).to_have_count(2)
    expect(came.last).to_contain_text("no run: blackout 1-5 08:00-18:00")
    came.first.get_by_role("link", name="a run").click()
    operator.page.wait_for_url(f"**/operate/runs/{run.id}")
    with backtalk.database.write() as session:
        session.delete(session.get_one(Schedule, schedule.id))
        session.delete(session.get_one(Run, run.id))


def test_a_training_is_watched_while_its_curves_grow_and_cancelled(operator: Visitor, backtalk: Backtalk) -> None:
    backtalk.lay_opinions(people=6, each=8)
    page = operator.page
    with backtalk.learning():
        operator.button("Train now").click()
        asked = page.get_by_role("dialog", name="Train now")
        asked.get_by_role("textbox", name="What else differs").fill(json.dumps(SMALL))
        expect(asked).to_contain_text("A run would begin. Nothing is trained.")
        asked.get_by_role("button", name="Start the run").click()
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


def test_the_language_chosen_in_the_console_is_kept(operator: Visitor) -> None:
    operator.button("中文").click()
    expect(operator.page.get_by_role("heading", level=1, name="概览")).to_be_visible()
    operator.page.wait_for_load_state("networkidle")
    operator.page.reload()
    expect(operator.page.get_by_role("heading", level=1)).to_be_visible()
    operator.page.wait_for_load_state("networkidle")
    expect(operator.page.get_by_role("heading", level=1, name="概览")).to_be_visible(timeout=3_000)


def expect_sundays(times: Locator) -> None:
    """The next five times: five Sundays, half past three, a week apart."""
    expect(times).to_have_count(5)
    shown = [
        datetime.fromisoformat(time) for time in times.locator("time").evaluate_all("all => all.map(it => it.dateTime)")
    ]
    assert [(time.isoweekday(), time.hour, time.minute) for time in shown] == [(7, 3, 30)] * 5
    assert {(after - before).days for before, after in pairwise(shown)} <= {6, 7}, "an hour more or less for summer"
