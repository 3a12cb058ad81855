"""Versions in the console: their lineage, what lies behind each, and two of them side by side."""

import contextlib
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from playwright.sync_api import Locator, Page, TimeoutError, expect
from sqlmodel import col

from backtalk import canary, people
from backtalk.tables import Policy, Run, RunPerson, now
from tests.browser.backtalk import Backtalk
from tests.browser.conftest import ENDLESS
from tests.browser.gallery import Gallery
from tests.browser.visitor import Visit

TURNED_DOWN = "the candidate is not surely liked more on held-out questions: gain 0.004 (-0.011 to 0.019)"
REPORT = {"gate": {"gain": {"value": 0.061, "low": 0.028, "high": 0.097}, "kl": 1.32}}


@pytest.fixture
def rejected(backtalk: Backtalk) -> UUID:
    """A run that led nowhere; the scripted version is what another one made of three opinions of one and one of two."""
    version = backtalk.saying_version(ENDLESS)
    with backtalk.database.write() as session:
        teachers = [people.add(session, f"{name} of the ferry {uuid4().hex[:4]}", "user") for name in ("Ada", "Bo")]
        made, turned_down = (
            Run(state=state, stage="gate", from_version=0, to_version=to, error=error, report=REPORT, ended_at=now())
            for state, to, error in (("promoted", version, None), ("rejected", None, TURNED_DOWN))
        )
        made.counts, made.snapshot_digest = {"people": 2, "opinions": 4, "liked": 3, "disliked": 1}, "4c1d" * 16
        session.add_all([made, turned_down])
        session.flush()
        for teacher, used, influence in zip(teachers, (3, 1), (0.12, 0.48), strict=True):
            row = RunPerson(run_id=made.id, person_id=teacher.id, given=4, used=used, influence=influence, leaning=0.1)
            session.add(row)
        policy = session.get_one(Policy, version)
        policy.run_id, policy.parent, policy.report = made.id, 0, REPORT
        session.add(policy)
        return turned_down.id


def test_a_version_opens_and_two_answer_the_same_questions(
    gallery: Gallery, backtalk: Backtalk, rejected: UUID
) -> None:
    version = backtalk.saying_version(ENDLESS)
    visitor, page = gallery.visitor, gallery.visitor.page
    visitor.become(backtalk.sign_in(backtalk.person("operator", language=gallery.look[1])))
    visitor.open("/operate/versions")
    card = page.locator(f"#v{version}")
    card.locator("summary").last.click()
    teachers = card.get_by_role("row").filter(has_text="of the ferry")
    expect(teachers.first).to_contain_text("Bo of the ferry")
    expect(teachers.first).to_contain_text("0.48")
    expect(teachers.last).to_contain_text("75")
    card.scroll_into_view_if_needed()
    gallery.hang("version-card")

    form = page.locator("form").filter(has=page.locator("textarea"))
    form.locator("textarea").fill("\n".join(f"{number} + {number}?" for number in range(21)))
    too_many = {"en": "Only the first 20 of these 21", "zh": "共 21 个问题，只提出前 20 个"}
    expect(form).to_contain_text(too_many[gallery.look[1]])
    form.locator("textarea").fill("What is the capital of Peru?\nHow do I boil an egg?")
    choose(page, form.get_by_role("combobox").first, "v0 ·")
    choose(page, form.get_by_role("combobox").last, f"v{version} ·")
    form.get_by_role("button").click()
    asked = page.get_by_role("list").filter(has_text="What is the capital of Peru?").last
    expect(asked).to_contain_text("How do I boil an egg?")
    expect(asked.get_by_text(ENDLESS * 8)).to_have_count(2)
    differing = asked.locator("..").get_by_role("row").filter(has_text="0.061")
    expect(differing).to_contain_text("0.028 – 0.097")
    asked.scroll_into_view_if_needed()
    gallery.hang("version-compare")

    stub = page.locator(f"a[href='/operate/runs/{rejected}']")
    said = {"en": TURNED_DOWN, "zh": "在留出的问题上，候选版本并不确定更受喜欢：提高 0.004"}[gallery.look[1]]
    assert said in (stub.get_attribute("aria-label") or "")
    stub.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/operate/runs/{rejected}")
    expect(page.get_by_text(said)).to_be_visible()


def test_what_older_runs_led_to_is_said_to_be_missing_from_the_picture(
    visit: Visit, backtalk: Backtalk, rejected: UUID
) -> None:
    operator = visit(backtalk.person("operator")).open("/operate/versions")
    states = operator.page.get_by_role("list", name="States")
    expect(states).to_contain_text("turned down by the gate")
    expect(states).not_to_contain_text("is not drawn")
    newer = [Run(state="cancelled", ended_at=now()) for _ in range(200)]
    with backtalk.database.write() as session:
        session.add_all(newer)
    try:
        operator.page.reload()
        expect(states).to_contain_text("What was turned down before the newest 200 runs is not drawn.")
        operator.open("/operate/runs")
        expect(operator.page.get_by_role("region", name="All runs")).to_contain_text("The newest 200;")
    finally:
        with backtalk.database.write() as session:
            session.execute(sa.delete(Run).where(col(Run.id).in_([run.id for run in newer])))


def test_a_version_on_trial_is_watched_and_taken_back_by_itself(visit: Visit, backtalk: Backtalk) -> None:
    """So many dislike it that it waits, and with some more it is gone; each time the page says why, in figures."""
    number = backtalk.saying_version("mnop")
    running = backtalk.try_on(number)
    page = visit(backtalk.person("operator")).open("/operate/versions").page
    trial = page.get_by_role("region", name=f"Version {number} on trial")
    expect(trial).to_contain_text("Watching")
    expect(trial).to_contain_text("0 of 200, with 1 reply each")
    backtalk.dislike(running, 1)
    expect(trial.get_by_role("row").filter(has_text="Thumbs down")).to_contain_text("100% of 1")
    backtalk.dislike(running, 4)
    expect(trial).to_contain_text("Waiting")
    thumbs = trial.get_by_role("row").filter(has_text="Thumbs down").get_by_role("cell")
    expect(thumbs.nth(1)).to_contain_text("100% of 5")
    expect(thumbs.nth(2)).to_contain_text("0% of 5")
    look = backtalk.read(lambda session: canary.newest_look(session, running))
    assert look is not None and running.alpha**-0.5 <= look.content["evidence"] < 1 / running.alpha
    expect(trial).to_contain_text(f"{look.content['evidence']:.3g}; taken back at 20")
    expect(trial).to_contain_text("thumbs down: 100% of 5 in the canary, 0% of 5 elsewhere")
    expect(trial.get_by_role("figure")).to_contain_text("Evidence by replies of the version on trial")
    expect(trial.locator("figure canvas")).to_be_visible()
    backtalk.dislike(running, 3)
    expect(trial).to_contain_text("Taken back")
    card = page.locator(f"#v{number}")
    expect(card.get_by_text("Withdrawn", exact=True)).to_be_visible()
    expect(card).to_contain_text("thumbs down: 100%")
    expect(trial.get_by_role("button")).to_have_count(0)


def choose(page: Page, box: Locator, words: str) -> None:
    """Choose from a box whose list closes whenever the page moves below it, as pages do that hear what happens."""
    for _ in range(20):
        if box.input_value().startswith(words):
            return
        box.evaluate("it => it.scrollIntoView({ block: 'center' })")
        box.click()
        with contextlib.suppress(TimeoutError):
            page.get_by_role("option").filter(has_text=words).click(timeout=4000)
        page.keyboard.press("Escape")
    raise AssertionError(f"{words!r} cannot be chosen")
