"""A reply goes on where it was: no character missing, none doubled, whatever breaks in the middle of it."""

import pytest
from playwright.sync_api import expect

from tests.browser.backtalk import Backtalk
from tests.browser.conftest import ENDLESS
from tests.browser.link import Link
from tests.browser.visitor import Visit, Visitor
from tests.server.scripted import count_tokens

pytestmark = pytest.mark.usefixtures("endless")

TIMES = 600
WHOLE = ENDLESS * TIMES
LONG = {"max_tokens": TIMES * count_tokens(ENDLESS)}


@pytest.fixture
def writing(visit: Visit) -> Visitor:
    """Somebody whose reply is being written, slowly enough to break into."""
    visitor = visit(manner=LONG).open()
    visitor.say("Go on.")
    expect(visitor.replies.last).to_contain_text(ENDLESS * 3)
    return visitor


def check_whole(visitor: Visitor, backtalk: Backtalk) -> None:
    """The page and the database hold every character once."""
    shown = visitor.written()
    assert shown == WHOLE
    assert backtalk.stored(visitor.conversation)[-1].content == WHOLE


def test_a_reply_grows_piece_by_piece(visit: Visit) -> None:
    visitor = visit(manner=LONG).open()
    visitor.page.evaluate(
        """() => {
            window.lengths = []
            const growing = () => document.querySelector('article[aria-busy=true]')
            new MutationObserver(() => window.lengths.push(growing()?.textContent.length))
                .observe(document.body, { subtree: true, childList: true, characterData: true })
        }"""
    )
    visitor.say("Go on.")
    assert visitor.written() == WHOLE
    lengths = visitor.page.evaluate("window.lengths.filter((length) => length)")
    assert lengths == sorted(lengths)
    assert len(set(lengths)) > 3


@pytest.mark.parametrize("way", ["key", "button"])
def test_a_stopped_reply_keeps_what_was_written(writing: Visitor, backtalk: Backtalk, way: str) -> None:
    with backtalk.paused_engine():
        stop = writing.button("Stop (Esc)")
        expect(stop).to_be_visible()
        writing.page.keyboard.press("Escape") if way == "key" else stop.click()
    expect(writing.page.get_by_text("Stopped.")).to_be_visible()
    stored = backtalk.stored(writing.conversation)[-1]
    assert stored.state == "stopped"
    assert writing.text_of(writing.replies.last) == stored.content
    assert 0 < len(stored.content) < len(WHOLE)


def test_escape_closes_what_lies_over_the_page_and_the_reply_goes_on(writing: Visitor, backtalk: Backtalk) -> None:
    page = writing.page
    with backtalk.paused_engine():
        writing.button("How replies are made").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.get_by_role("button", name="Account").click()
        expect(page.get_by_role("menuitem", name="Settings")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("menu")).to_have_count(0)
        page.get_by_role("button", name="More about").click()
        page.get_by_role("menuitem", name="Rename").click()
        page.keyboard.press("Escape")
        expect(page.get_by_role("textbox", name="Title")).to_have_count(0)
    check_whole(writing, backtalk)


def test_a_reload_in_the_middle_misses_nothing(writing: Visitor, backtalk: Backtalk) -> None:
    with backtalk.paused_engine():
        expect(writing.button("Stop (Esc)")).to_be_visible()
        writing.page.reload()
        expect(writing.replies.last).to_contain_text(ENDLESS * 3)
        expect(writing.button("Stop (Esc)")).to_be_visible()
    check_whole(writing, backtalk)


def test_a_second_tab_shows_the_same_reply(writing: Visitor, backtalk: Backtalk) -> None:
    address = f"/c/{writing.conversation}"
    with backtalk.paused_engine():
        second = Visitor.beside(writing).open(address)
        expect(second.button("Stop (Esc)")).to_be_visible()
    check_whole(writing, backtalk)
    assert second.written() == WHOLE


def test_a_second_tab_hears_what_is_asked_in_the_first_and_goes_on_from_there(visit: Visit, backtalk: Backtalk) -> None:
    first = visit(manner={"max_tokens": 8}).open()
    first.ask("Go on.")
    second = Visitor.beside(first).open(f"/c/{first.conversation}")
    expect(second.replies).to_have_count(1)
    answer = first.ask("And then?")
    expect(second.replies).to_have_count(2)
    assert second.written() == answer
    answer = second.ask("And now?")
    expect(first.replies).to_have_count(3)
    assert first.written() == answer
    ids = [message.id for message in backtalk.stored(first.conversation)]
    assert [message.parent_id for message in backtalk.stored(first.conversation)] == [None, *ids[:-1]]


def test_a_connection_that_died_while_the_laptop_slept_is_replaced(visit: Visit, backtalk: Backtalk) -> None:
    with Link(backtalk.port).open() as link:
        visitor = visit(home=link.url, manner=LONG)
        visitor.page.clock.install()
        visitor.open().say("Go on.")
        expect(visitor.replies.last).to_contain_text(ENDLESS * 3)
        with backtalk.paused_engine():
            expect(visitor.button("Stop (Esc)")).to_be_visible()
            link.go_dead()
        visitor.page.clock.fast_forward("08:00:00")
        check_whole(visitor, backtalk)


def test_a_server_killed_in_the_middle_is_waited_for(writing: Visitor, backtalk: Backtalk) -> None:
    backtalk.kill_server()
    expect(writing.page.get_by_text("Connection lost. Reconnecting…")).to_be_visible()
    backtalk.start_server()
    check_whole(writing, backtalk)
    expect(writing.page.get_by_text("Connection lost. Reconnecting…")).to_have_count(0)


def test_an_engine_killed_in_the_middle_is_waited_for(writing: Visitor, backtalk: Backtalk) -> None:
    backtalk.kill_engine()
    expect(writing.page.get_by_text("The model is restarting. Replies go on in a moment.")).to_be_visible()
    backtalk.start_engine()
    check_whole(writing, backtalk)


def test_a_question_asked_while_the_server_is_away_is_asked_once(visit: Visit, backtalk: Backtalk) -> None:
    visitor = visit(manner={"max_tokens": 8}).open()
    visitor.ask("Go on.")
    backtalk.kill_server()
    expect(visitor.page.get_by_text("Connection lost. Reconnecting…")).to_be_visible()
    visitor.say("And now?")
    expect(visitor.questions).to_have_count(2)
    backtalk.start_server()
    expect(visitor.replies).to_have_count(2)
    visitor.written()
    asked = [message.content for message in backtalk.stored(visitor.conversation) if message.role == "user"]
    assert asked == ["Go on.", "And now?"]


def test_a_question_survives_a_reload_before_it_was_taken(visit: Visit, backtalk: Backtalk) -> None:
    visitor = visit(manner={"max_tokens": 8}).open()
    backtalk.kill_server()
    expect(visitor.page.get_by_text("Connection lost. Reconnecting…")).to_be_visible()
    visitor.say("Are you there?")
    expect(visitor.questions).to_have_count(1)
    backtalk.start_server()
    visitor.page.reload()
    visitor.written()
    asked = [message.content for message in backtalk.stored(visitor.conversation) if message.role == "user"]
    assert asked == ["Are you there?"]


def test_words_typed_before_a_conversation_has_begun_belong_to_it(visit: Visit, backtalk: Backtalk) -> None:
    visitor = visit(manner={"max_tokens": 8}).open()
    backtalk.kill_server()
    expect(visitor.page.get_by_text("Connection lost. Reconnecting…")).to_be_visible()
    visitor.say("Are you there?")
    visitor.composer.fill("another thought")
    backtalk.start_server()
    visitor.written()
    expect(visitor.composer).to_have_value("another thought")
    visitor.button("New chat").click()
    expect(visitor.composer).to_have_value("")
    visitor.page.go_back()
    expect(visitor.composer).to_have_value("another thought")
