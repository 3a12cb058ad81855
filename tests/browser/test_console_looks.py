"""The console after a busy night: every page and what opens on it, in every look, and all of it without a mouse."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from playwright.sync_api import Locator, Page, expect
from sqlmodel import Session, select

from backtalk import canary, policies, profiles, release, schedules
from backtalk.tables import (
    Canary,
    Metric,
    Opinion,
    OpinionHistory,
    Person,
    Policy,
    Run,
    RunItem,
    RunLine,
    RunPerson,
    Sample,
    Schedule,
    Slot,
    now,
)
from tests.browser.backtalk import Backtalk
from tests.browser.gallery import PICTURES, Gallery, seen_by_an_operator
from tests.browser.told import FULL, TOO_FEW
from tests.browser.visitor import Visit
from tests.server.stack import PATIENCE

TURNED_DOWN = "the candidate is not surely liked more on held-out questions: gain 0.004 (-0.011 to 0.019)"
REPORT = {"gate": {"gain": {"value": 0.061, "low": 0.028, "high": 0.097}, "kl": 1.32}, "seconds": {"reward_model": 70}}
BETTER = {"gate": {"gain": {"value": 0.182, "low": 0.121, "high": 0.24}, "kl": 1.94}, "seconds": {"reward_model": 82}}
PAGES = (
    "",
    "/runs",
    "/versions",
    "/release",
    "/schedules",
    "/rewards",
    "/asking",
    "/feedback",
    "/people",
    "/audit",
)
SAID: dict[str, dict[str, Any]] = {
    "en": {
        "cron": "At 03:00 every day",
        "missed": "no run: 3 new opinions, 50 wanted",
        "canary": "thumbs down: 100% of 5 in the canary, 0% of 5 elsewhere",
        "gate": TURNED_DOWN,
        "advice": "Beside what decides",
        "report": (
            "none of this turns a version down",
            "-0.015 (-0.025 – -0.008)",
            "women for men, English",
            "Perplexity of a general text",
            TOO_FEW,
        ),
    },
    "zh": {
        "cron": "每天 03:00",
        "missed": "未训练：3 条新意见，需要 50 条",
        "canary": "差评：试用版本 100%（共 5），其他 0%（共 5）",
        "gate": "在留出的问题上，候选版本并不确定更受喜欢：提高 0.004",
        "advice": "不参与决定的观察",
        "report": ("这里的任何一项都不会否决版本", "女性换男性，英文", "通用文本的困惑度", "候选版本几乎不会再给出"),
    },
}
SIDE = 5
"""People on either side of the canary: as many as it takes to make it wait, and not to be taken back."""


@dataclass(frozen=True, slots=True)
class Night:
    """What happened."""

    running: UUID
    rejected: UUID
    waiting: int
    tried: int
    live: int


@pytest.fixture(scope="module")
def house() -> Iterator[Backtalk]:
    """A Backtalk of its own: what happens in it is nobody else's."""
    house = Backtalk()
    try:
        yield house.start()
    finally:
        house.close()


@pytest.fixture(scope="module")
def night(house: Backtalk) -> Night:
    """A version went live, one waits, one is on trial and disliked, a run goes on, another led nowhere."""
    house.lay_opinions(people=6, each=8)
    live, waiting, tried = (house.saying_version(script) for script in ("abc", "def", "ghi"))
    with house.database.write() as session:
        plan(session)
        went_live(session, live)
        wait(session, waiting, live)
        rejected = Run(
            state="rejected", stage="gate", from_version=live, error=TURNED_DOWN, report=FULL, ended_at=now()
        )
        session.add(rejected)
        running = go_on(session, live)
        rules = {"approval": "operator", "canary": True, "webhook_url": "http://127.0.0.1:9/", "webhook_private": True}
        release.set_rules(session, "test", **rules)
    doubt(house, house.try_on(tried))
    return Night(running, rejected.id, waiting, tried, live)


@pytest.fixture
def gallery(visit: Visit, house: Backtalk, look: tuple[str, str, str]) -> Iterator[Gallery]:
    with seen_by_an_operator(visit, house, look) as gallery:
        yield gallery


def test_every_page_of_a_busy_night_looks_right(gallery: Gallery, house: Backtalk, night: Night) -> None:
    visitor, page, said = gallery.visitor, gallery.visitor.page, SAID[gallery.look[1]]
    for path in PAGES:
        visitor.open("/operate" + path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.wait_for_load_state("networkidle")
        gallery.hang(f"night{path.replace('/', '-')}")
        keep(gallery, {"": "operate-waiting.png", "/release": "operate-release.png"}.get(path))
        if path == "/release":
            page.get_by_role("region").last.scroll_into_view_if_needed()
            keep(gallery, "operate-webhook.png")

    visitor.open(f"/operate/runs/{night.running}")
    curve = page.get_by_role("figure").first
    told = curve.inner_text()
    with house.database.write() as session:
        measured = session.exec(select(sa.func.max(Metric.step)).where(Metric.run_id == night.running)).one()
        measure(session, night.running, range(measured + 1, measured + 4))
    expect(curve).not_to_have_text(told)
    gallery.hang("night-run")

    visitor.open("/operate/versions")
    trial = page.locator("section").filter(has=page.locator("figure canvas")).first
    expect(trial).to_contain_text(said["canary"])
    trial.scroll_into_view_if_needed()
    keep(gallery, "operate-canary.png")
    trial.get_by_role("button").last.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("textbox")).to_be_focused()
    gallery.hang("night-confirm")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)

    visitor.open("/operate/schedules")
    card = page.get_by_role("region").first
    card.locator("summary").click()
    expect(card.locator("details li")).to_have_count(3)
    expect(card).to_contain_text(said["cron"])
    expect(card.locator("details li").last).to_contain_text(said["missed"])
    gallery.hang("night-slots")
    keep(gallery, "operate-schedules.png")
    buttons = card.get_by_role("button")
    buttons.nth(0).click()
    expect(dialog.locator("dl")).to_be_visible()
    gallery.hang("night-dry-run")
    page.keyboard.press("Escape")
    buttons.nth(1).click()
    expect(dialog.locator("dl")).to_be_visible()
    expect(dialog.locator("[aria-live] time").first).to_be_visible()
    gallery.hang("night-schedule")
    dialog.locator("[aria-live] time").last.scroll_into_view_if_needed()
    keep(gallery, "operate-schedule.png")
    dialog.locator("textarea").last.fill("{")
    expect(dialog.locator("textarea").last).to_have_attribute("aria-invalid", "true")
    page.keyboard.press("Escape")
    buttons.nth(2).click()
    expect(dialog).to_be_visible()
    gallery.hang("night-delete")

    visitor.open("/operate/feedback")
    page.locator("button[aria-haspopup=menu]").click()
    expect(page.get_by_role("menuitem")).to_have_count(3)
    gallery.hang("night-export")

    visitor.open(f"/operate/runs/{night.rejected}")
    expect(page.get_by_role("note")).to_contain_text(said["gate"])
    report = page.get_by_role("region").filter(has=page.get_by_role("heading", name=said["advice"]))
    for told in said["report"]:
        expect(report).to_contain_text(told)
    report.get_by_role("heading", name=said["advice"]).first.scroll_into_view_if_needed()
    gallery.hang("night-report")

    with resting(house, night.running):
        visitor.open("/operate/runs")
        page.locator("header button").last.click()
        expect(dialog.locator("dl")).to_be_visible()
        gallery.hang("night-train")


def test_operators_need_no_mouse(visit: Visit, house: Backtalk, night: Night) -> None:
    operator = visit(home=house.url)
    operator.become(house.sign_in(house.person("operator")))
    page = operator.open("/operate").page
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()

    go(page, page.get_by_role("link", name="Schedules", exact=True))
    go(page, page.get_by_role("button", name="New schedule"))
    expect(page.get_by_role("textbox", name="Name")).to_be_focused()
    page.keyboard.type("by keyboard")
    reach(page, page.get_by_role("textbox", name="Cron text"))
    page.keyboard.press("Control+A")
    page.keyboard.type("15 4 * * 1-5")
    expect(page.get_by_role("dialog")).to_contain_text("At 04:15 on Monday through Friday")
    go(page, page.get_by_role("dialog").get_by_role("button", name="Save"))
    expect(page.get_by_role("heading", name="by keyboard")).to_be_visible()
    stored = select(Schedule).where(Schedule.name == "by keyboard")
    assert house.read(lambda session: session.exec(stored).one()).cron == "15 4 * * 1-5"

    # On whatever page one is, the way to what needs a word says so.
    go(page, page.get_by_role("link", name="Versions 1 waits for a decision", exact=True))
    decide(page, page.get_by_role("button", name=f"Promote v{night.waiting}"), "Promote", "it spells well")
    expect(page.locator(f"#v{night.waiting}").get_by_text("Live", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Versions", exact=True)).to_be_visible()
    decide(page, page.get_by_role("button", name=f"Roll back v{night.waiting}"), "Roll back", "it does not, after all")
    expect(page.locator(f"#v{night.waiting}").get_by_text("Withdrawn", exact=True)).to_be_visible()
    expect(page.locator(f"#v{night.waiting}")).to_contain_text("it does not, after all")
    assert house.read(policies.live) == house.read(lambda session: session.get_one(Policy, night.live))


# Without a mouse -----------------------------------------------------------------------------------------------------


def reach(page: Page, wanted: Locator) -> None:
    """Go from one to the next until the focus is there."""
    expect(wanted).to_be_visible()
    for _ in range(150):
        if wanted.evaluate("it => it === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the focus never comes to {wanted}")


def go(page: Page, wanted: Locator) -> None:
    """Go there and press Enter."""
    reach(page, wanted)
    page.keyboard.press("Enter")


def decide(page: Page, button: Locator, action: str, reason: str) -> None:
    """Move a version and say why; afterwards the focus is where it was."""
    go(page, button)
    expect(page.get_by_role("dialog").get_by_role("textbox")).to_be_focused()
    page.keyboard.type(reason)
    go(page, page.get_by_role("dialog").get_by_role("button", name=action))
    expect(page.get_by_role("dialog")).to_have_count(0)


# The night -----------------------------------------------------------------------------------------------------------


def plan(session: Session) -> None:
    """A profile, a schedule that uses everything there is, and what became of its times; one that rests."""
    profiles.put(session, "test", "calm", {"preference": 1.0, "brevity": 0.3}, {}, False, {})
    used: dict[str, Any] = {
        "recipe": {"algorithm": "distill", "distill": {"epochs": 3}},
        "reward_profile": "calm",
        "blackouts": ["1-5 08:00-18:00"],
        "after_feedback": 500,
        "on_drift": 0.1,
    }
    nightly = schedules.add(session, "nightly", "0 3 * * *", time_zone="Asia/Shanghai", **used)
    schedules.add(session, "weekends", "30 4 * * 0,6", enabled=False)
    run = Run(state="cancelled", from_version=0, schedule_id=nightly.id, ended_at=now())
    session.add(run)
    session.flush()
    came: tuple[dict[str, Any], ...] = (
        {"run_id": run.id, "trigger": "feedback"},
        {"missed": "blackout 1-5 08:00-18:00"},
        {"missed": "3 new opinions, 50 wanted"},
    )
    for hours, slot in enumerate(came):
        session.add(Slot(schedule_id=nightly.id, planned_at=now() - timedelta(hours=hours), **slot))


def went_live(session: Session, number: int) -> None:
    """A run that learned from all there is made this version, and it is live."""
    session.execute(sa.update(OpinionHistory).values(at=now() - timedelta(hours=3)))
    began, ended = now() - timedelta(minutes=12), now() - timedelta(minutes=2)
    run = Run(state="promoted", stage="publish", progress=1.0, from_version=0, to_version=number, report=REPORT)
    run.started_at, run.ended_at, run.counts = began, ended, {"opinions": 48, "people": 6}
    session.add(run)
    session.flush()
    for opinion in session.exec(select(Opinion)).all():
        item = RunItem(run_id=run.id, kind="opinion", item_id=opinion.id, person_id=opinion.person_id, digest="")
        item.revision = opinion.revision
        session.add(item)
    policy = session.get_one(Policy, number)
    policy.run_id, policy.parent, policy.report = run.id, 0, REPORT
    session.add(policy)
    policies.go_live(session, number, "learner")


def wait(session: Session, number: int, parent: int) -> None:
    """This one passed the gate too, and waits for an operator."""
    run = Run(state="promoted", stage="publish", progress=1.0, from_version=parent, to_version=number, report=BETTER)
    session.add(run)
    session.flush()
    policy = session.get_one(Policy, number)
    policy.run_id, policy.parent, policy.report = run.id, parent, BETTER
    session.add(policy)
    release.set_rules(session, "test", approval="operator")
    release.release(session, number, "learner")


def go_on(session: Session, live: int) -> UUID:
    """A run in the middle of its way."""
    run = Run(state="running", stage="policy", progress=0.4, from_version=live, started_at=now() - timedelta(minutes=3))
    run.counts = {"opinions": 48, "people": 6, "liked": 24, "disliked": 24}
    session.add(run)
    session.flush()
    measure(session, run.id, range(1, 61))
    for number, text in enumerate(("48 opinions of 6 people, beginning at version 1", "distill took 12 s of CPU"), 1):
        session.add(RunLine(run_id=run.id, number=number, level="info", text=text))
    for person in session.exec(select(Person)).all()[:3]:
        session.add(RunPerson(run_id=run.id, person_id=person.id, given=8, used=8, influence=0.2, leaning=-0.1))
    said = {"prompt": "What is 3 + 3?", "before": "Well, 6.", "after": "6, of course!"}
    session.add(Sample(run_id=run.id, number=0, **said, reward_before=0.2, reward_after=1.1))
    return run.id


def measure(session: Session, run_id: UUID, steps: range) -> None:
    """What PPO measures at each of these steps."""
    names = ("reward", "kl", "entropy", "length", "clipped", "ess", "explained_variance")
    for step in steps:
        values = {name: math.sin(step / 9 + place) for place, name in enumerate(names)}
        session.add(Metric(run_id=run_id, step=step, stage="policy", values=values))


def doubt(house: Backtalk, running: Canary) -> None:
    """One after the other dislikes it, and each time the server has looked."""
    for replies in range(1, SIDE + 1):
        house.dislike(running, 1)
        until_weighed(house, running, replies)


def until_weighed(house: Backtalk, running: Canary, replies: int) -> None:
    """Wait until the server has looked at so many replies of the version on trial."""
    deadline = time.monotonic() + PATIENCE
    while (look := house.read(lambda session: canary.newest_look(session, running))) is None or (
        look.content["replies"] < replies
    ):
        assert time.monotonic() < deadline, "nobody watches the canary"
        time.sleep(0.1)


@contextmanager
def resting(house: Backtalk, run_id: UUID) -> Iterator[None]:
    """While the block runs, no run is under way."""
    for state in ("cancelled", "running"):
        with house.database.write() as session:
            session.get_one(Run, run_id).state = state
        if state == "cancelled":
            yield


def keep(gallery: Gallery, picture: str | None) -> None:
    """A picture for the documentation, where pictures are wanted."""
    if PICTURES and picture is not None and gallery.look == ("light", "en", "desktop"):
        gallery.visitor.page.screenshot(path=Path(PICTURES) / picture, animations="disabled", caret="hide")
