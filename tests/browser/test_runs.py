"""A real run of the bundled policy, watched to its promotion; and a version that waits until operators let it out."""

import json
import math
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from playwright.sync_api import ElementHandle, Locator, Page, expect
from sqlmodel import Session, select

from backtalk import policies, release
from backtalk.delays import PARTS, Delays, quantile
from backtalk.tables import Metric, Policy, Run, RunLine, now
from tests.browser.backtalk import Backtalk
from tests.browser.gallery import Gallery
from tests.browser.visitor import Visit, Visitor

ENTHUSIASTS, EACH = 8, 10
MANY, BURSTS, BURST = 20_000, 3, 500
COUNT_DRAWS = """
window.draws = new Map()
const { clearRect } = CanvasRenderingContext2D.prototype
CanvasRenderingContext2D.prototype.clearRect = function (...where) {
    window.draws.set(this.canvas, (window.draws.get(this.canvas) ?? 0) + 1)
    return clearRect.apply(this, where)
}
"""
LONG = 300_000  # milliseconds that a run may take on a machine with other work
RECIPE: dict[str, Any] = {
    "algorithm": "distill",
    "steps": [1.0, 0.7, 0.5],
    "reward_model": {"steps": 5, "batch": 16},
    "distill": {"draws": 0, "epochs": 20, "share": 0.5, "learning_rate": 2e-3},
    "sampling": {"maximum_tokens": 24},
    "gate": {"prompts": 24, "maximum_kl": 1000, "maximum_lost": 1, "maximum_endless": 1, "maximum_growth": 1000},
}
"""Learns one loud taste by heart in seconds; the gate takes back as much of it as it has forgotten of refusing harm."""


@pytest.fixture(scope="module")
def house() -> Iterator[Backtalk]:
    """A Backtalk of its own, with nothing in it but people who like enthusiasm."""
    house = Backtalk()
    try:
        house.start()
        lay_enthusiasm(house)
        yield house
    finally:
        house.close()


@pytest.fixture
def operator(visit: Visit, house: Backtalk) -> Visitor:
    visitor = visit(home=house.url)
    visitor.become(house.sign_in(house.person("operator")))
    return visitor.open("/operate")


@pytest.fixture
def talker(visit: Visit, house: Backtalk) -> Visitor:
    return visit(home=house.url).open()


@pytest.mark.timeout(600)
def test_a_run_is_watched_to_its_promotion_and_people_hear_the_new_version(
    operator: Visitor, talker: Visitor, house: Backtalk
) -> None:
    page = operator.page
    with house.learning():
        operator.button("Train now").click()
        page.get_by_role("textbox", name="What else differs").fill(json.dumps(RECIPE))
        operator.button("Start the run").click()
        page.wait_for_url("**/operate/runs/*")
        log = page.get_by_role("list", name="Log")
        expect(log).to_contain_text("80 opinions of 8 people, beginning at version 0", timeout=LONG)
        assert page.get_by_text("Running", exact=True).is_visible(), "the log is told while the run goes on"
        expect(page.get_by_text("Promoted", exact=True)).to_be_visible(timeout=LONG)
    expect(log).to_contain_text("it may go live")
    expect(log).to_contain_text("version 1 is written")
    expect(page.get_by_role("figure").first).to_be_visible()
    expect(page.get_by_role("region", name="Before and after").get_by_role("article").first).to_contain_text(
        "wonderful"
    )
    people = page.get_by_role("row").filter(has_text="imported opinions")
    expect(people).to_have_count(ENTHUSIASTS)
    expect(people.filter(has_text="only judged")).to_have_count(judges(house))
    gallery = Gallery(operator, ("light", "en", "desktop"))
    log.scroll_into_view_if_needed()
    gallery.hang("operate-run")
    assert not gallery.ills
    assert "wonderful" in talker.ask("What is 3 + 4?")
    expect(talker.page.get_by_role("img", name="Written by version 1 of the model")).to_be_visible()
    stored = house.read(lambda session: session.exec(select(RunLine)).all())
    assert log.get_by_role("listitem").count() == len(stored)
    operator.open("/operate")
    expect_way(operator, house)


def test_a_run_of_many_steps_is_drawn_once_for_each_burst_and_only_where_somebody_looks(
    visit: Visit, house: Backtalk
) -> None:
    with house.database.write() as session:
        run = Run(state="running", stage="policy", progress=0.5, from_version=0, started_at=now())
        session.add(run)
        session.flush()
        measure(session, run.id, range(1, MANY + 1))
    visitor = visit(home=house.url)
    visitor.become(house.sign_in(house.person("operator")))
    page, heard = visitor.page, list[str]()
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: heard.append(str(frame))))
    page.add_init_script(COUNT_DRAWS)
    visitor.open(f"/operate/runs/{run.id}")
    first, last = page.get_by_role("figure").first, page.get_by_role("figure").last
    expect(last).to_contain_text(f"{MANY} steps")
    until(lambda: any('"type":"run"' in frame for frame in heard), page)  # from now on it is told what comes
    first.scroll_into_view_if_needed()
    visitor.until_drawn()
    before = draws(first), draws(last)
    for burst in range(BURSTS):
        with house.database.write() as session:
            measure(session, run.id, range(MANY + 1 + burst * BURST, MANY + 1 + (burst + 1) * BURST))
    expect(first).to_contain_text(f"{MANY + BURSTS * BURST} steps")
    visitor.until_drawn()
    told = sum('"type":"metric"' in frame for frame in heard)
    assert told == BURSTS * BURST
    assert before[0] < draws(first) <= before[0] + told / 20, "many steps, few draws"
    assert draws(last) == before[1], "nobody sees it"
    last.scroll_into_view_if_needed()
    page.wait_for_function("([it, before]) => (window.draws.get(it) ?? 0) > before", arg=[canvas(last), before[1]])
    with house.database.write() as session:
        session.delete(session.get_one(Run, run.id))


def test_where_operators_approve_a_version_waits_for_their_word(
    operator: Visitor, talker: Visitor, house: Backtalk
) -> None:
    page = operator.page
    page.get_by_role("navigation", name="Sections").get_by_role("link", name="Release").click()
    page.get_by_role("combobox", name="Who lets it out").click()
    page.get_by_role("option", name="An operator").click()
    page.get_by_role("region", name="Rules").get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    version = passed_the_gate(house, "xyz")
    assert house.read(lambda session: session.get_one(Policy, version)).state == "candidate", (
        "it did not go out by itself"
    )
    operator.open("/operate")
    waiting = page.get_by_role("region", name="Waiting for a decision")
    expect(waiting.get_by_role("link", name=f"Version {version}")).to_be_visible()
    expect(page.get_by_text(f"Version {version} passed the gate and waits").first).to_be_visible()
    waiting.get_by_role("button", name=f"Approve v{version}").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("it spells well")
    page.get_by_role("dialog").get_by_role("button", name="Approve").click()
    expect(talker.page.get_by_text(f"Version {version} is live.")).to_be_visible()
    expect(waiting).to_have_count(0)
    operator.open("/operate/audit")
    expect(page.get_by_text("it spells well")).to_be_visible()


def expect_way(operator: Visitor, house: Backtalk) -> None:
    """The overview tells how long the opinions were on their way into the version, and where the time went."""
    (deployed,) = house.read(Delays().look)
    way = operator.page.get_by_role("region", name="From opinion to live version")
    expect(way).to_contain_text(f"({ENTHUSIASTS * EACH} opinions)")
    row = way.get_by_role("listitem").filter(has_text="v1")
    told = f"Version 1: median {span(quantile(deployed.totals, 0.5))}, "
    assert (row.get_attribute("aria-label") or "").startswith(told)
    shown = row.locator("[data-part]").evaluate_all("all => all.map(it => [it.dataset.part, it.title])")
    assert [part for part, _ in shown] == list(PARTS)
    assert dict(shown)["policy"] == f"policy: {span(deployed.parts['policy'])}"


def measure(session: Session, run_id: UUID, steps: range) -> None:
    """What a learner measures at each of these steps."""
    names = ("reward", "kl", "entropy", "length", "policy_loss", "value_loss", "clipped", "ess", "change")
    rows = [
        {
            "run_id": run_id,
            "step": step,
            "stage": "policy",
            "at": now(),
            "values": {name: math.sin(step / 900 + place) for place, name in enumerate(names)},
        }
        for step in steps
    ]
    session.execute(sa.insert(Metric), rows)


def until(holds: Callable[[], bool], page: Page) -> None:
    """Let the page go on until this holds."""
    while not holds():
        page.wait_for_timeout(20)


def canvas(figure: Locator) -> ElementHandle:
    """What a curve is drawn on."""
    found = figure.locator("canvas").element_handle()
    assert found is not None
    return found


def draws(figure: Locator) -> int:
    """How often it was drawn."""
    count: int = canvas(figure).evaluate("it => window.draws.get(it) ?? 0")
    return count


def span(seconds: float | None) -> str:
    """As the console tells how long something took."""
    whole = math.floor((seconds or 0) + 0.5)  # halves go up, as in JavaScript
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


def lay_enthusiasm(house: Backtalk) -> None:
    """People who like a sum with a cheer and dislike it without."""
    rows = [
        {
            "person_id": f"person {person}",
            "prompt": [{"role": "user", "content": f"What is {number} + {person}?"}],
            "reply": f"{number} plus {person} is {number + person}! Is it not wonderful?"
            if (number + person) % 2
            else f"{number + person}.",
            "rating": 1 if (number + person) % 2 else -1,
        }
        for person in range(ENTHUSIASTS)
        for number in range(EACH)
    ]
    house.take_in(rows)


def judges(house: Backtalk) -> int:
    """How many of them only judged: a fifth of the opinions is held out, by whole people."""
    run = house.read(lambda session: session.exec(select(Run)).one())
    held_out: int = run.report["split"]["held_out"]
    return held_out // EACH


def passed_the_gate(house: Backtalk, script: str) -> int:
    """A version that a run has just made, let out as the rules of release say."""
    version = house.saying_version(script)
    with house.database.write() as session:
        start = policies.start(session)
        assert start is not None
        run = Run(state="promoted", stage="publish", progress=1.0, from_version=start.number, to_version=version)
        session.add(run)
        session.flush()
        policy = session.get_one(Policy, version)
        policy.run_id, policy.parent = run.id, start.number
        session.add(policy)
        release.release(session, version, "learner")
    return version
