"""The list of conversations: found, renamed, put away, thrown away, and taken back."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from backtalk.tables import Conversation
from tests.browser.backtalk import Backtalk, Laid
from tests.browser.gallery import in_every_look
from tests.browser.visitor import Visit, Visitor


@pytest.fixture
def laid(guest: Visitor, backtalk: Backtalk) -> list[Laid]:
    """Three conversations, the first of them open."""
    me = guest.me
    laid = [
        backtalk.lay(me, ["How tall is a giraffe?", "About five metres."]),
        backtalk.lay(me, ["Tell me a story.", "Once a heron stood in the rain."], days_ago=2),
        backtalk.lay(me, ["长城有多长？", "两万多公里。"], days_ago=40),
    ]
    guest.open(laid[0].path)
    return laid


def link(guest: Visitor, title: str) -> Locator:
    return guest.page.get_by_role("link", name=title, exact=True)


def choose(guest: Visitor, title: str, what: str) -> None:
    """Pick something in the menu of a conversation."""
    guest.show_list()
    link(guest, title).hover()
    guest.button("More about “{{title}}”", title=title).click()
    guest.page.get_by_role("menuitem", name=guest.word(what)).click()


def test_conversations_are_listed_by_age_and_open_where_they_ended(guest: Visitor, laid: list[Laid]) -> None:
    for name in ("Today", "This week", "Earlier"):
        expect(guest.page.get_by_role("heading", name=name)).to_be_visible()
    link(guest, "Tell me a story.").click()
    expect(guest.replies).to_contain_text("heron")
    guest.page.go_back()
    expect(guest.replies).to_contain_text("five metres")


def test_search_finds_words_in_titles_and_in_what_was_said(guest: Visitor, laid: list[Laid]) -> None:
    search = guest.page.get_by_role("searchbox", name="Search conversations")
    search.fill("heron")
    expect(link(guest, "How tall is a giraffe?")).to_have_count(0)
    expect(link(guest, "Tell me a story.")).to_be_visible()
    search.fill("公里")
    expect(link(guest, "长城有多长？")).to_be_visible()
    search.fill("unicorn")
    expect(guest.page.get_by_text("Nothing found for “unicorn”.")).to_be_visible()


@in_every_look
def test_a_conversation_is_renamed_in_place(guest: Visitor, laid: list[Laid], backtalk: Backtalk) -> None:
    choose(guest, "How tall is a giraffe?", "Rename")
    title = guest.page.get_by_role("textbox", name=guest.word("Title"))
    title.fill("Long necks")
    title.press("Enter")
    expect(link(guest, "Long necks")).to_be_visible()
    guest.page.reload()
    guest.show_list()
    expect(link(guest, "Long necks")).to_be_visible()
    assert backtalk.read(lambda session: session.get_one(Conversation, laid[0].id)).title == "Long necks"


def test_an_archived_conversation_can_be_moved_back(guest: Visitor, laid: list[Laid]) -> None:
    choose(guest, "Tell me a story.", "Archive")
    expect(guest.page.get_by_text("Archived (1)")).to_be_visible()
    guest.page.get_by_text("Archived (1)").click()
    choose(guest, "Tell me a story.", "Move back")
    expect(guest.page.get_by_text("Archived (1)")).to_have_count(0)
    expect(link(guest, "Tell me a story.")).to_be_visible()


@in_every_look
def test_a_deleted_conversation_comes_back_when_one_says_undo(
    guest: Visitor, laid: list[Laid], backtalk: Backtalk
) -> None:
    choose(guest, "How tall is a giraffe?", "Delete")
    expect(link(guest, "How tall is a giraffe?")).to_have_count(0)
    guest.button("Undo").click()
    expect(link(guest, "How tall is a giraffe?")).to_be_visible()
    guest.page.reload()
    guest.show_list()
    expect(link(guest, "How tall is a giraffe?")).to_be_visible()


def test_a_deleted_conversation_is_gone_for_good_when_the_page_is_left(
    guest: Visitor, laid: list[Laid], backtalk: Backtalk
) -> None:
    choose(guest, "How tall is a giraffe?", "Delete")
    expect(link(guest, "How tall is a giraffe?")).to_have_count(0)
    guest.page.reload()
    expect(link(guest, "Tell me a story.")).to_be_visible()
    while backtalk.read(lambda session: session.get(Conversation, laid[0].id)) is not None:
        guest.page.wait_for_timeout(50)
    guest.page.goto(guest.home + laid[0].path)
    expect(guest.page.get_by_role("alert")).to_contain_text("does not exist, or it belongs to somebody else")


def test_what_is_done_on_one_device_shows_on_the_other_and_is_not_fetched_again_here(
    guest: Visitor, laid: list[Laid], visit: Visit
) -> None:
    other = visit(guest.me).open(laid[0].path)
    expect(link(other, "How tall is a giraffe?")).to_be_visible()
    choose(guest, "How tall is a giraffe?", "Rename")
    title = guest.page.get_by_role("textbox", name="Title")
    title.fill("Long necks")
    title.press("Enter")
    expect(link(other, "Long necks")).to_be_visible()
    fetched: list[str] = []
    guest.page.on("request", lambda request: fetched.append(request.url) if request.method == "GET" else None)
    guest.button("Good reply").click()
    expect(other.button("Good reply")).to_have_attribute("aria-pressed", "true")
    other.button("Good reply").click()
    expect(guest.button("Good reply")).to_have_attribute("aria-pressed", "false")
    assert len([url for url in fetched if url.endswith("/messages")]) == 1, "once for the thumb taken back there"
    choose(guest, "Long necks", "Delete")
    expect(link(other, "Long necks")).to_have_count(0)
    expect(other.page.get_by_role("alert")).to_contain_text("does not exist")


@in_every_look
def test_a_conversation_is_shared_read_by_a_stranger_and_taken_back(
    guest: Visitor, visit: Visit, backtalk: Backtalk
) -> None:
    laid = backtalk.lay(guest.me, ["Shall I share?", "Please **do**."])
    backtalk.lay_beside(laid.replies[0], "Better not.")
    guest.open(laid.path)
    guest.button("Previous version of this turn").click()
    choose(guest, "Shall I share?", "Share…")
    guest.button("Make a link").click()
    link = guest.page.get_by_role("textbox", name=guest.word("Link"))
    address = link.input_value()
    stranger = visit(language=guest.language)
    stranger.page.goto(address)
    expect(stranger.page.get_by_role("heading", name="Shall I share?", level=1)).to_be_visible()
    expect(stranger.page.locator("strong")).to_have_text("do")
    expect(stranger.page.get_by_text("Better not.")).to_have_count(0)
    assert not stranger.ills()
    assert not stranger.context.cookies(), "whoever only reads does not become a guest"
    guest.button("Take the link back").click()
    expect(guest.page.get_by_text(guest.word("The link leads nowhere now."))).to_be_visible()
    stranger.page.reload()
    expect(stranger.page.get_by_role("heading", name=guest.word("This link leads nowhere"))).to_be_visible()


def test_a_conversation_is_kept_out_of_training_and_let_in_again(guest: Visitor, backtalk: Backtalk) -> None:
    laid = backtalk.lay(guest.me, ["Between us?", "Of course."])
    guest.open(laid.path)
    choose(guest, "Between us?", "Keep out of training")
    expect(guest.page.get_by_text("This conversation is kept out of training.")).to_be_visible()
    assert not backtalk.read(lambda session: session.get_one(Conversation, laid.id)).train
    choose(guest, "Between us?", "Let it train again")
    expect(guest.page.get_by_text("This conversation is kept out of training.")).to_have_count(0)
    assert backtalk.read(lambda session: session.get_one(Conversation, laid.id)).train


def test_a_strangers_conversation_looks_like_a_missing_one(guest: Visitor, backtalk: Backtalk) -> None:
    laid = backtalk.lay(backtalk.person(), ["A secret?", "Yes."])
    guest.page.goto(guest.home + laid.path)
    expect(guest.page.get_by_role("alert")).to_contain_text("does not exist, or it belongs to somebody else")
    expect(guest.page.get_by_text("A secret?")).to_have_count(0)


def test_a_conversation_is_saved_as_markdown_and_as_json(
    guest: Visitor, laid: list[Laid], backtalk: Backtalk, tmp_path: Path
) -> None:
    backtalk.lay_beside(laid[0].replies[0], "Five metres and a half.", version=0)
    files = {}
    for form in ("Markdown", "JSON"):
        with guest.page.expect_download() as download:
            choose(guest, "How tall is a giraffe?", f"Export as {form}")
        file = tmp_path / download.value.suggested_filename
        download.value.save_as(file)
        files[file.name] = file.read_text()
    text = files["How tall is a giraffe.md"]
    assert text == (
        "# How tall is a giraffe?\n\n## You\n\nHow tall is a giraffe?\n\n"
        "## Backtalk, version 0\n\nFive metres and a half.\n"
    )
    kept = json.loads(files["How tall is a giraffe.json"])
    assert [turn["content"] for turn in kept["messages"]][1:] == ["About five metres.", "Five metres and a half."]
