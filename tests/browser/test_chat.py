"""Chatting with the bundled model: what a person does on the first day."""

from playwright.sync_api import expect

from backtalk.tables import Reply
from tests.browser.backtalk import Backtalk
from tests.browser.gallery import in_every_look
from tests.browser.visitor import Visit, Visitor

SURE = {"temperature": 0.0}
"""No chance: what the model knows it says."""


def test_a_newcomer_presses_a_prompt_and_gets_a_right_answer(visit: Visit) -> None:
    guest = visit(manner=SURE).open()
    guest.button("What is the capital of France?").click()
    assert "Paris" in guest.written()
    expect(guest.replies.last.get_by_role("img", name="Written by version 0 of the model")).to_have_text("v0")


def test_chinese_is_spoken_to_whoever_speaks_it(visit: Visit) -> None:
    guest = visit(language="zh", manner=SURE).open()
    expect(guest.page.locator("html")).to_have_attribute("lang", "zh-Hans")
    guest.page.get_by_role("button", name="法国的首都是哪里？").click()
    expect(guest.page.get_by_role("button", name="换一个回答")).to_be_visible()
    assert "巴黎" in guest.page.get_by_role("article").last.inner_text()


@in_every_look
def test_another_answer_becomes_a_branch_that_can_be_paged(guest: Visitor) -> None:
    first = guest.ask("Tell me a short story.")
    guest.button("Another answer").click()
    expect(guest.page.get_by_role("img", name=guest.word("{{n}} of {{of}}", n=2, of=2))).to_be_visible()
    second = guest.written()
    guest.button("Previous version of this turn").click()
    expect(guest.page.get_by_role("img", name=guest.word("{{n}} of {{of}}", n=1, of=2))).to_be_visible()
    assert guest.text_of(guest.replies.last) == first
    guest.button("Next version of this turn").click()
    assert guest.text_of(guest.replies.last) == second


def test_an_edited_question_begins_a_branch_and_keeps_the_old_one(visit: Visit) -> None:
    guest = visit(manner=SURE).open()
    guest.ask("What is the capital of Spain?")
    guest.ask("What is the opposite of hot?")
    guest.questions.first.hover()
    guest.questions.first.get_by_role("button", name="Edit").click()
    guest.page.get_by_role("textbox", name="Edit your message").fill("What is the capital of Italy?")
    guest.button("Send as a new branch").click()
    expect(guest.page.get_by_role("img", name="2 of 2")).to_be_visible()
    assert "Rome" in guest.written()
    expect(guest.replies).to_have_count(1)
    guest.button("Previous version of this turn").click()
    expect(guest.replies).to_have_count(2)
    expect(guest.questions.first).to_contain_text("What is the capital of Spain?")


def test_the_arrow_upwards_edits_what_was_said_last(guest: Visitor) -> None:
    guest.ask("What is 2 plus 2?")
    guest.composer.press("ArrowUp")
    editor = guest.page.get_by_role("textbox", name="Edit your message")
    expect(editor).to_have_value("What is 2 plus 2?")
    editor.press("Escape")
    expect(editor).to_have_count(0)


def test_shift_and_enter_begin_a_new_line(guest: Visitor) -> None:
    guest.composer.press_sequentially("one")
    guest.composer.press("Shift+Enter")
    guest.composer.press_sequentially("two")
    expect(guest.composer).to_have_value("one\ntwo")
    expect(guest.replies).to_have_count(0)


def test_words_not_yet_sent_survive_a_reload_each_in_its_place(guest: Visitor, backtalk: Backtalk) -> None:
    laid = backtalk.lay(guest.me, ["What is 2 plus 2?", "Four."])
    guest.composer.fill("a new thought")
    guest.open(laid.path)
    expect(guest.composer).to_have_value("")
    guest.composer.fill("a second thought")
    guest.page.reload()
    expect(guest.composer).to_have_value("a second thought")
    guest.open()
    expect(guest.composer).to_have_value("a new thought")


def test_a_question_that_is_being_edited_survives_a_reload(guest: Visitor, backtalk: Backtalk) -> None:
    laid = backtalk.lay(guest.me, ["What is 2 plus 2?", "Four.", "And 3 plus 3?", "Six."])
    guest.open(laid.path)
    guest.questions.first.hover()
    guest.questions.first.get_by_role("button", name="Edit").click()
    editor = guest.page.get_by_role("textbox", name="Edit your message")
    editor.fill("What is 2 plus 5?")
    guest.page.reload()
    expect(editor).to_have_value("What is 2 plus 5?")
    editor.press("Escape")
    guest.page.reload()
    expect(guest.questions.first).to_contain_text("What is 2 plus 2?")
    expect(editor).to_have_count(0)


def test_a_message_that_is_too_long_is_not_sent_and_says_so(guest: Visitor) -> None:
    guest.composer.fill("多" * 11_000)
    expect(guest.page.get_by_text("This is 33 KB; at most 32 KB can be sent at once.")).to_be_visible()
    expect(guest.button("Send")).to_be_disabled()


def test_what_the_server_refuses_is_given_back(guest: Visitor) -> None:
    guest.say("word " * 5000)
    expect(guest.page.get_by_role("alert")).to_contain_text("That is too long.")
    guest.page.get_by_role("alert").get_by_role("button", name="Edit").click()
    expect(guest.composer).to_have_value("word " * 5000)


def test_code_is_coloured_and_copied_as_it_is(visit: Visit, backtalk: Backtalk) -> None:
    guest = visit(permissions=["clipboard-read", "clipboard-write"]).open()
    code = "def add(a, b):\n    return a + b  # <b>"
    laid = backtalk.lay(
        guest.me, ["Code?", f"Here:\n\n```python\n{code}\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n$x^2$"]
    )
    guest.open(laid.path)
    expect(guest.page.locator("code .hljs-keyword").first).to_have_text("def")
    expect(guest.page.get_by_role("cell", name="2")).to_be_visible()
    expect(guest.page.locator(".katex")).to_be_visible()
    guest.page.get_by_role("figure").get_by_role("button", name="Copy").click()
    expect(guest.page.get_by_role("figure").get_by_role("button", name="Copied")).to_be_visible()
    assert guest.page.evaluate("navigator.clipboard.readText()") == code


def test_how_replies_are_made_is_chosen_once_and_kept(guest: Visitor, backtalk: Backtalk) -> None:
    guest.button("How replies are made").click()
    guest.page.get_by_role("radio", name="Precise").check()
    guest.page.get_by_role("combobox", name="Longest reply").select_option("64")
    guest.page.get_by_role("spinbutton", name="Seed").fill("7")
    guest.page.keyboard.press("Escape")
    first = guest.ask("Tell me a short story.")
    guest.page.reload()
    guest.button("New chat").click()
    assert guest.ask("Tell me a short story.") == first
    reply = backtalk.stored(guest.conversation)[-1]
    sampling = backtalk.read(lambda session: session.get_one(Reply, reply.id)).sampling
    assert {name: sampling[name] for name in ("temperature", "top_p", "max_tokens", "seed")} == {
        "temperature": 0.2,
        "top_p": 0.9,
        "max_tokens": 64,
        "seed": 7,
    }


def test_a_reply_that_reached_its_limit_goes_on_where_it_was(visit: Visit, backtalk: Backtalk) -> None:
    guest = visit(manner={"max_tokens": 8, "seed": 3}).open()
    cut = guest.ask("Tell me a short story.")
    expect(guest.page.get_by_text("The reply reached its length limit.")).to_be_visible()
    guest.page.reload()
    guest.button("Continue").click()
    expect(guest.page.get_by_role("img", name="2 of 2")).to_be_visible()
    whole = guest.written()
    assert whole.startswith(cut)
    assert len(whole) > len(cut)
    assert backtalk.stored(guest.conversation)[-1].content.split() == whole.split()


def test_a_page_that_came_without_encryption_lacks_nothing(visit: Visit) -> None:
    """Of an address like http://192.168.1.20:8000 browsers keep these back."""
    guest = visit(manner=SURE, permissions=["clipboard-read", "clipboard-write"])
    guest.context.add_init_script(
        "delete Crypto.prototype.randomUUID; delete Navigator.prototype.locks;"
        "const { clipboard } = navigator; window.pasted = () => clipboard.readText();"
        "delete Navigator.prototype.clipboard"
    )
    assert "Paris" in guest.open().ask("What is the capital of France?")
    guest.replies.last.get_by_role("button", name="Copy", exact=True).click()
    expect(guest.replies.last.get_by_role("button", name="Copied")).to_be_visible()
    assert "Paris" in guest.page.evaluate("pasted()")
    guest.button("Good reply").click()
    guest.until_stored()
