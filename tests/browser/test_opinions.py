"""Opinions take two clicks, can be taken back, and reach the server exactly once."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from playwright.sync_api import Locator, expect
from sqlmodel import col, select

from backtalk import labelling, opinions, policies
from backtalk.opinions import Judgement
from backtalk.tables import (
    Comparison,
    Conversation,
    LabellingRules,
    Opinion,
    OpinionHistory,
    Person,
    Policy,
    Run,
    RunItem,
)
from tests.browser.backtalk import Backtalk, Laid
from tests.browser.gallery import in_every_look
from tests.browser.visitor import Visit, Visitor


@pytest.fixture
def laid(guest: Visitor, backtalk: Backtalk) -> Laid:
    """A conversation of the guest, open before them."""
    laid = backtalk.lay(guest.me, ["What is the capital of France?", "Paris is the capital of Germany."])
    guest.open(laid.path)
    return laid


def stored(backtalk: Backtalk, reply_id: UUID) -> dict[str, Any] | None:
    """The opinion on a reply as the database has it."""
    opinion = backtalk.read(lambda session: session.exec(select(Opinion).where(Opinion.message_id == reply_id)).first())
    return None if opinion is None else opinion.model_dump()


def strip(visitor: Visitor) -> Locator:
    return visitor.page.get_by_role("region", name=visitor.word("Your opinion on this reply"))


@in_every_look
def test_a_thumb_then_a_reason_scores_and_a_note(guest: Visitor, laid: Laid, backtalk: Backtalk) -> None:
    word, note = guest.word, strip(guest).get_by_role("textbox", name=guest.word("Note"))
    guest.button("Bad reply").click()
    for reason in ("Wrong", "Too short"):
        strip(guest).get_by_role("button", name=word(reason), exact=True).click()
    for aspect, score in (("Accuracy", 1), ("Fluency", 5)):
        named = word("{{aspect}}: {{score}} of 5", aspect=word(aspect), score=score)
        strip(guest).get_by_role("button", name=named).click()
    note.fill("Paris is in France.")
    note.press("Enter")
    expect(strip(guest).get_by_role("status")).to_have_text(word("Saved."))
    opinion = stored(backtalk, laid.replies[0])
    assert opinion is not None
    assert (opinion["rating"], opinion["note"], opinion["withdrawn"]) == (-1, "Paris is in France.", False)
    assert opinion["labels"] == {"accuracy": 1, "fluency": 5}
    assert opinion["reasons"] == ["wrong", "too_short"]
    guest.page.reload()
    expect(guest.button("Bad reply")).to_have_attribute("aria-pressed", "true")
    guest.button("Say more").click()
    expect(strip(guest).get_by_role("button", name=word("Too short"))).to_have_attribute("aria-pressed", "true")


def test_the_same_thumb_again_takes_the_opinion_back(guest: Visitor, laid: Laid, backtalk: Backtalk) -> None:
    guest.button("Good reply").click()
    expect(strip(guest).get_by_role("status")).to_have_text("Saved.")
    guest.button("Good reply").click()
    expect(guest.button("Good reply")).to_have_attribute("aria-pressed", "false")
    guest.until_stored()
    opinion = stored(backtalk, laid.replies[0])
    assert opinion is not None
    assert opinion["withdrawn"]


def test_a_thumb_goes_alone_and_an_opinion_is_withdrawn_as_a_whole(
    guest: Visitor, laid: Laid, backtalk: Backtalk
) -> None:
    def stands() -> tuple[int | None, dict[str, int], str | None, bool]:
        guest.until_stored()
        opinion = stored(backtalk, laid.replies[0])
        assert opinion is not None
        return opinion["rating"], opinion["labels"], opinion["note"], opinion["withdrawn"]

    guest.button("Bad reply").click()
    strip(guest).get_by_role("button", name="Accuracy: 1 of 5").click()
    strip(guest).get_by_role("textbox", name="Note").fill("Paris is in France.")
    guest.button("Bad reply").click()
    expect(guest.button("Bad reply")).to_have_attribute("aria-pressed", "false")
    assert stands() == (None, {"accuracy": 1}, "Paris is in France.", False)
    strip(guest).get_by_role("button", name="Withdraw my opinion").click()
    expect(strip(guest)).to_have_count(0)
    expect(guest.button("Say more")).to_have_count(0)
    assert stands()[3]
    guest.button("Undo").click()
    assert stands() == (None, {"accuracy": 1}, "Paris is in France.", False)
    guest.page.reload()
    guest.button("Say more").click()
    expect(strip(guest).get_by_role("button", name="Accuracy: 1 of 5")).to_have_attribute("aria-pressed", "true")


def test_an_opinion_is_withdrawn_in_chinese(visit: Visit, backtalk: Backtalk) -> None:
    visitor = visit(language="zh").open()
    laid = backtalk.lay(visitor.me, ["你好", "您好！"])
    visitor.open(laid.path)
    visitor.button("Good reply").click()
    visitor.button("Withdraw my opinion").click()
    expect(visitor.page.get_by_text(visitor.word("Your opinion is withdrawn."))).to_be_visible()
    visitor.until_stored()
    opinion = stored(backtalk, laid.replies[0])
    assert opinion is not None
    assert opinion["withdrawn"]


@in_every_look
def test_a_rewrite_is_shown_as_ones_own_beside_the_reply(guest: Visitor, laid: Laid, backtalk: Backtalk) -> None:
    guest.button("Write it better").click()
    editor = guest.page.get_by_role("textbox", name=guest.word("Your version of this reply"))
    expect(editor).to_have_value("Paris is the capital of Germany.")
    editor.fill("Paris is the capital of France.")
    expect(guest.page.locator("del")).to_have_text("Germany")
    expect(guest.page.locator("ins")).to_have_text("France")
    guest.button("Save your version").click()
    expect(guest.button("Your version")).to_have_attribute("aria-pressed", "true")
    expect(guest.replies.last).to_contain_text("capital of France")
    guest.until_stored()
    opinion = stored(backtalk, laid.replies[0])
    assert opinion is not None
    assert opinion["rewrite"] == "Paris is the capital of France."
    assert backtalk.message(laid.replies[0]).content == "Paris is the capital of Germany."
    guest.button("opinion.original").click()
    expect(guest.replies.last).to_contain_text("capital of Germany")
    guest.button("Write it better").click()
    guest.button("Remove your version").click()
    expect(guest.button("Your version")).to_have_count(0)


def test_a_version_of_ones_own_survives_a_reload_while_it_is_written(
    guest: Visitor, laid: Laid, backtalk: Backtalk
) -> None:
    guest.button("Write it better").click()
    editor = guest.page.get_by_role("textbox", name="Your version of this reply")
    editor.fill("Paris is the capital of France.")
    guest.page.reload()
    expect(editor).to_have_value("Paris is the capital of France.")
    guest.button("Save your version").click()
    guest.until_stored()
    opinion = stored(backtalk, laid.replies[0])
    assert opinion is not None
    assert opinion["rewrite"] == "Paris is the capital of France."
    guest.page.reload()
    expect(guest.button("Your version")).to_be_visible()
    expect(editor).to_have_count(0)


@in_every_look
@pytest.mark.parametrize(("key", "verdict"), [("1", "left"), ("0", "tie"), ("9", "neither")])
def test_two_answers_are_compared_with_one_key(
    guest: Visitor, laid: Laid, backtalk: Backtalk, key: str, verdict: str
) -> None:
    other = backtalk.lay_beside(laid.replies[0], "Paris.")
    guest.page.reload()
    guest.button("Compare answers").click()
    first = guest.page.get_by_role("region", name=guest.word("Answer {{n}}", n=1))
    left = first.locator("[dir=auto]").inner_text()
    guest.page.keyboard.press(key)
    asked = guest.page.get_by_role("group", name=guest.word("May Backtalk learn from your opinions?"))
    expect(asked).to_be_visible()
    guest.until_stored()
    whole = select(Comparison).where(col(Comparison.right_id).in_([other, laid.replies[0]]))
    guest.until_stored()
    comparison = backtalk.read(lambda session: session.exec(whole).one())
    assert comparison.verdict == verdict
    assert backtalk.message(comparison.left_id).content == left


def test_a_second_answer_is_written_to_be_compared(visit: Visit, backtalk: Backtalk) -> None:
    guest = visit(backtalk.person(consent=True)).open()
    guest.ask("Tell me a short story.")
    guest.button("Compare answers").click()
    expect(guest.page.get_by_role("region", name="Answer 2")).to_be_visible()
    guest.page.keyboard.press("2")
    expect(guest.page.get_by_role("dialog")).to_have_count(0)
    expect(guest.replies.last.get_by_role("img", name=re.compile("of 2"))).to_be_visible()
    mine = select(Comparison).where(Comparison.person_id == guest.me)
    guest.until_stored()
    comparison = backtalk.read(lambda session: session.exec(mine).one())
    assert comparison.verdict == "right"
    assert words(guest.text_of(guest.replies.last)) == words(backtalk.message(comparison.right_id).content)


def words(text: str) -> list[str]:
    """Without what Markdown makes of a list."""
    return re.findall(r"[^\W\d_]+", text)


def test_consent_is_asked_once_and_can_be_changed(guest: Visitor, laid: Laid, backtalk: Backtalk) -> None:
    me = guest.me
    guest.button("Good reply").click()
    asked = guest.page.get_by_role("group", name="May Backtalk learn from your opinions?")
    asked.get_by_role("button", name="Yes, learn from them").click()
    expect(asked).to_have_count(0)
    assert backtalk.read(lambda session: session.get_one(Person, me)).consent_train is True
    guest.page.reload()
    guest.button("Say more").click()
    expect(strip(guest)).to_be_visible()
    expect(asked).to_have_count(0)
    guest.page.get_by_role("button", name="Account").click()
    guest.page.get_by_role("menuitem", name="Settings").click()
    guest.page.get_by_role("switch", name="Learn from my opinions").click()
    expect(guest.page.get_by_role("switch", name="Learn from my opinions")).not_to_be_checked()
    guest.page.keyboard.press("Escape")
    assert backtalk.read(lambda session: session.get_one(Person, me)).consent_train is False


def test_what_learning_means_is_one_click_away(guest: Visitor, laid: Laid, backtalk: Backtalk) -> None:
    page, me = guest.page, guest.me
    meaning = page.get_by_role("dialog").get_by_text("are used to train the next versions on this server")
    page.get_by_role("button", name="More about").click()
    page.get_by_role("menuitem", name="Keep out of training").click()
    guest.button("What does learning mean?").click()
    expect(meaning).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Account").click()
    page.get_by_role("menuitem", name="Settings").click()
    expect(page.get_by_text("You have not been asked yet.")).to_be_visible()
    expect(meaning).to_be_visible()
    guest.open("/receipts")
    guest.button("What does learning mean?").click()
    expect(meaning).to_be_visible()
    page.get_by_role("switch", name="Learn from my opinions").click()
    expect(page.get_by_role("switch", name="Learn from my opinions")).to_be_checked()
    assert backtalk.read(lambda session: session.get_one(Person, me)).consent_train is True


def test_an_opinion_given_offline_is_sent_later_exactly_once(guest: Visitor, laid: Laid, backtalk: Backtalk) -> None:
    guest.context.set_offline(True)
    guest.button("Bad reply").click()
    expect(strip(guest).get_by_role("status")).to_have_text("Kept here; sent as soon as the server is reachable.")
    guest.context.set_offline(False)
    expect(strip(guest).get_by_role("status")).to_have_text("Saved.")
    opinion = stored(backtalk, laid.replies[0])
    assert opinion is not None
    assert (opinion["rating"], opinion["revision"]) == (-1, 1)
    history = select(OpinionHistory).where(OpinionHistory.opinion_id == opinion["id"])
    assert len(backtalk.read(lambda session: session.exec(history).all())) == 1


def test_an_opinion_given_offline_outlives_the_page(visit: Visit, backtalk: Backtalk) -> None:
    visitor = visit().open()
    laid = backtalk.lay(visitor.me, ["Hello", "Hello!"])
    visitor.open(laid.path)
    visitor.context.set_offline(True)
    visitor.button("Good reply").click()
    expect(strip(visitor).get_by_role("status")).to_have_text("Kept here; sent as soon as the server is reachable.")
    visitor.page.close()
    visitor.context.set_offline(False)
    assert stored(backtalk, laid.replies[0]) is None
    visitor.page = visitor.context.new_page()
    visitor.open()
    visitor.until_stored()
    opinion = stored(backtalk, laid.replies[0])
    assert opinion is not None
    assert (opinion["rating"], opinion["revision"]) == (1, 1)


def come_back(visitor: Visitor) -> None:
    """Close every tab, find the network again, and open a new tab, from which all that waits goes out."""
    for page in visitor.context.pages:
        page.close()
    visitor.context.set_offline(False)
    visitor.page = visitor.context.new_page()
    visitor.open()
    visitor.until_stored()


def test_opinions_given_offline_in_two_tabs_are_all_sent(guest: Visitor, laid: Laid, backtalk: Backtalk) -> None:
    other = backtalk.lay(guest.me, ["Hello", "Hello!"])
    second = Visitor.beside(guest).open(other.path)
    guest.context.set_offline(True)
    guest.button("Bad reply").click()
    second.button("Good reply").click()
    for tab in (guest, second):
        expect(strip(tab).get_by_role("status")).to_have_text("Kept here; sent as soon as the server is reachable.")
    come_back(guest)
    opinions = [stored(backtalk, reply_id) for reply_id in (laid.replies[0], other.replies[0])]
    assert [(opinion["rating"], opinion["revision"]) for opinion in opinions if opinion] == [(-1, 1), (1, 1)]


def test_a_comparison_made_offline_outlives_the_page(guest: Visitor, laid: Laid, backtalk: Backtalk) -> None:
    me = guest.me
    backtalk.lay_beside(laid.replies[0], "Paris.")
    guest.page.reload()
    guest.button("Compare answers").click()
    expect(guest.page.get_by_role("region", name="Answer 2")).to_be_visible()
    guest.context.set_offline(True)
    guest.page.keyboard.press("0")
    expect(guest.page.get_by_role("group", name="May Backtalk learn from your opinions?")).to_be_visible()
    come_back(guest)
    mine = select(Comparison).where(Comparison.person_id == me)
    assert [one.verdict for one in backtalk.read(lambda session: session.exec(mine).all())] == ["tie"]


@pytest.fixture
def only(backtalk: Backtalk) -> Iterator[Laid]:
    """The first reply in everybody's queue, in which nothing comes by lot."""
    with backtalk.database.write() as session:
        labelling.set_rules(session, "test", pair_share=0.0, gold_share=0.0, double_share=0.0)
    laid = backtalk.lay(backtalk.person(consent=True), ["What is it?", "A kettle."], days_ago=-9)
    yield laid
    with backtalk.database.write() as session:
        session.execute(sa.delete(Conversation).where(col(Conversation.id) == laid.id))
        session.execute(sa.delete(LabellingRules))


def test_what_a_rater_judged_offline_outlives_the_page(only: Laid, visit: Visit, backtalk: Backtalk) -> None:
    rater = visit(backtalk.person("rater", consent=True)).open("/rate")
    desk = rater.page.get_by_role("region", name="The reply to rate").filter(has_text="A kettle.")
    expect(desk).to_be_visible()
    rater.page.wait_for_load_state("networkidle")
    rater.context.set_offline(True)
    rater.page.keyboard.press("ArrowLeft")
    expect(desk).to_have_count(0)
    come_back(rater)
    opinion = stored(backtalk, only.replies[0])
    assert opinion is not None
    assert (opinion["rating"], opinion["revision"]) == (-1, 1)


def test_the_page_of_ones_opinions_says_what_nothing_will_learn_from(visit: Visit, backtalk: Backtalk) -> None:
    visitor = visit(backtalk.person(consent=True)).open()
    laid = [backtalk.lay(visitor.me, ["Hello", "Hello!"]) for _ in range(3)]
    for one in laid:
        backtalk.judge(visitor.me, one.replies[0], Judgement(rating=1))
    rows = visitor.open("/receipts").page.get_by_role("row").filter(has_text="Thumb up")
    expect(rows.filter(has_text="Waiting for the next training")).to_have_count(3)
    with backtalk.database.write() as session:
        opinions.withdraw(session, visitor.me, laid[0].replies[0])
        session.get_one(Conversation, laid[1].id).train = False
    visitor.page.reload()
    expect(rows.filter(has_text="Withdrawn: no later training uses it")).to_have_count(1)
    expect(rows.filter(has_text="Kept out of training, like its conversation")).to_have_count(1)
    expect(rows.filter(has_text="Waiting for the next training")).to_have_count(1)
    assert not visitor.ills()


def test_who_was_away_when_a_version_went_live_hears_of_it_once(guest: Visitor, laid: Laid, backtalk: Backtalk) -> None:
    me, number = guest.me, backtalk.saying_version("away")
    people = [me, backtalk.person(), backtalk.person()]
    with backtalk.database.write() as session:
        run = Run(state="promoted", from_version=0, to_version=number)
        session.add(run)
        session.flush()
        for person_id in people:
            row = RunItem(run_id=run.id, kind="opinion", item_id=uuid4(), person_id=person_id, digest="")
            session.add(row)
        session.get_one(Policy, number).run_id = run.id
    known = "localStorage.getItem('backtalk.version')"
    guest.page.wait_for_function(f"{known} === '0'")
    backtalk.kill_server()
    with backtalk.database.write() as session:
        policies.go_live(session, number, "test")
    backtalk.start_server()
    try:
        news = guest.page.get_by_text(f"Version {number} is live: it learned from 3 opinions.")
        expect(news).to_contain_text("One of them is yours.")
        guest.page.evaluate("localStorage.setItem('backtalk.version', '0')")  # a browser that has not heard of it yet
        guest.open(laid.path)
        expect(news).to_contain_text("One of them is yours.")
        with guest.page.expect_response("**/receipts/live?*"):
            guest.page.reload()
        guest.until_drawn()
        expect(news).to_have_count(0)
    finally:
        backtalk.until_ready()
        backtalk.go_live(0)
