"""That opinions matter is seen: a new version says whose opinions it learned from, and people are asked to compare."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from playwright.sync_api import expect
from sqlmodel import col, select

from backtalk import asking, policies
from backtalk.asking import ASPECTS, REASONS, Reason
from backtalk.opinions import Judgement
from backtalk.tables import Comparison, Opinion, Policy, Run, RunItem
from tests.browser.backtalk import Backtalk
from tests.browser.visitor import Visit, Visitor


@pytest.fixture
def asked_as_before(backtalk: Backtalk) -> Iterator[None]:
    """What people are asked for is put back at the end."""
    yield
    with backtalk.database.write() as session:
        asking.ask_for(session, "test", 0.05, ASPECTS, REASONS)


def test_a_new_version_says_from_how_many_opinions_it_learned_and_how_many_were_mine(
    guest: Visitor, backtalk: Backtalk
) -> None:
    me, number = guest.me, backtalk.saying_version("uvw")
    others = [backtalk.person() for _ in range(2)]
    laid = backtalk.lay(me, ["Is it raining?", "Yes.", "And now?", "No."])
    backtalk.judge(me, laid.replies[0], Judgement(rating=1))
    backtalk.judge(me, laid.replies[1], Judgement(rewrite="No, it has stopped."))
    with backtalk.database.write() as session:
        mine = session.exec(select(Opinion.id).where(Opinion.person_id == me)).all()
        run = Run(state="promoted", from_version=0, to_version=number)
        session.add(run)
        session.flush()
        for person_id, item_id in (*((me, one) for one in mine), *((other, uuid4()) for other in others)):
            session.add(RunItem(run_id=run.id, kind="opinion", item_id=item_id, person_id=person_id, digest=""))
        session.get_one(Policy, number).run_id = run.id
    guest.open(laid.path)
    with backtalk.saying("uvw"):
        notice = guest.page.get_by_role("status").filter(has_text=f"Version {number} is live")
        expect(notice).to_contain_text("it learned from 4 opinions.")
        expect(notice).to_contain_text("2 of them are yours.")
        for what in ("opinion", "correction"):  # told under the replies that are on the page already
            learned = guest.page.get_by_role("article").get_by_text(f"Your {what} is in version {number}, live since")
            expect(learned).to_be_visible(timeout=10_000)
        assert not guest.ills()
        notice.get_by_role("link", name="What my opinions did").click()
        row = guest.page.get_by_role("row").filter(has_text="Thumb up")
        expect(row).to_contain_text(f"In version {number}")
        guest.page.go_back()
        guest.button("Dismiss").click()
        expect(notice).to_have_count(0)
    assert backtalk.read(lambda session: policies.live(session)) is not None


def test_now_and_then_one_is_asked_to_compare(visit: Visit, backtalk: Backtalk, asked_as_before: None) -> None:
    with backtalk.database.write() as session:
        asking.ask_for(session, "test", compare_share=1)
    guest = visit(backtalk.person(consent=True)).open()
    me = guest.me
    guest.ask("Tell me a short story.")
    expect(guest.page.get_by_text("Help it learn: compare this with a second answer?")).to_be_visible()
    guest.button("Compare").click()
    expect(guest.page.get_by_role("region", name="Answer 2")).to_be_visible()
    guest.page.keyboard.press("1")
    expect(guest.page.get_by_role("dialog")).to_have_count(0)
    mine = select(Comparison).where(col(Comparison.person_id) == me)
    guest.until_stored()
    assert backtalk.read(lambda session: session.exec(mine).one()).verdict == "left"
    expect(guest.page.get_by_text("Help it learn: compare this with a second answer?")).to_have_count(0)


def test_reasons_of_the_operators_own_are_offered_in_both_languages(
    visit: Visit, backtalk: Backtalk, asked_as_before: None
) -> None:
    operator = visit(backtalk.person("operator")).open("/operate/asking")
    page = operator.page
    reasons = page.get_by_role("region", name="Reasons")
    for name in [reason.id for reason in REASONS[1:]]:
        reasons.get_by_role("button", name=f"Remove {name}").click()
    reasons.get_by_role("button", name="Add a reason").click()
    row = reasons.get_by_role("listitem").last
    row.get_by_label("Name in the data").fill("made_me_laugh")
    row.get_by_label("English").fill("Made me laugh")
    row.get_by_label("Chinese").fill("让我笑了")
    row.get_by_label("After").select_option("thumb up")
    operator.button("Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()  # the button is disabled while it is being saved, too
    expect(operator.button("Save")).to_be_disabled()
    assert backtalk.read(asking.asked).reasons[1] == Reason("made_me_laugh", "Made me laugh", "让我笑了", "up")
    guest = visit(language="zh").open()
    laid = backtalk.lay(guest.me, ["讲个笑话", "好的。"])
    guest.open(laid.path)
    guest.button("Good reply").click()
    guest.page.get_by_role("button", name="让我笑了").click()
    guest.until_stored()
    stored = select(Opinion).where(Opinion.message_id == laid.replies[0])
    assert backtalk.read(lambda session: session.exec(stored).one()).reasons == ["made_me_laugh"]
