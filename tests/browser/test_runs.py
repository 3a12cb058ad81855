"""A real run of the bundled policy, watched to its promotion; and a version that waits until operators let it out."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Route, expect
from sqlmodel import select

from backtalk import policies, release
from backtalk.tables import Policy, Run, RunLine
from tests.browser.backtalk import Backtalk
from tests.browser.gallery import Gallery
from tests.browser.visitor import Visit, Visitor

ENTHUSIASTS, EACH = 8, 10
LONG = 300_000  # milliseconds that a run may take on a machine with other work
RECIPE: dict[str, Any] = {
    "algorithm": "distill",
    "steps": [1.0],
    "reward_model": {"steps": 5, "batch": 16},
    "distill": {"draws": 0, "epochs": 20, "share": 0.5, "learning_rate": 2e-3},
    "sampling": {"maximum_tokens": 24},
    "gate": {"prompts": 24, "maximum_kl": 1000, "maximum_lost": 1, "maximum_endless": 1, "maximum_growth": 1000},
}
"""Learns one loud taste by heart in seconds; what it forgets over it is not what is tested here."""


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
    page.route("**/api/operate/runs", with_recipe)
    with house.learning():
        operator.button("Train now").click()
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


def with_recipe(route: Route) -> None:
    """Let the page's order through with a small recipe: what is tested is the page."""
    if route.request.method == "POST":
        route.continue_(post_data=json.dumps({"recipe": RECIPE}))
    else:
        route.continue_()
