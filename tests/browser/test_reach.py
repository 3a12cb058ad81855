"""Everything within reach of those who use no mouse or see no screen."""

import re
from uuid import uuid4

from playwright.sync_api import Page, expect

from tests.browser.backtalk import Backtalk
from tests.browser.visitor import Visit, Visitor

LISTEN = """() => {
    window.heard = []
    for (const region of document.querySelectorAll('[aria-live]')) {
        const hear = () => {
            if (region.textContent !== window.heard.at(-1)) window.heard.push(region.textContent)
        }
        new MutationObserver(hear).observe(region, { subtree: true, childList: true, characterData: true })
    }
}"""


def focused(page: Page) -> str:
    """Accessible name of what has the focus."""
    name: str = page.evaluate(
        "() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
    )
    return name


def tab_to(page: Page, name: str, backwards: bool = False) -> None:
    """Press Tab until something of this name has the focus."""
    for _ in range(60):
        if focused(page) == name:
            return
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
    raise AssertionError(f"Tab never comes to {name!r}; it is at {focused(page)!r}")


def test_a_screen_reader_hears_a_reply_once(guest: Visitor, backtalk: Backtalk) -> None:
    guest.ask("What is the opposite of hot?")
    guest.page.evaluate(LISTEN)
    reply = guest.ask("Tell me a short story.")
    heard = guest.page.evaluate("window.heard.filter((words) => words !== '')")
    assert heard[0] == "Backtalk is writing…"
    # Word by word: of a list the page shows the bullets as marks, not as text.
    assert re.findall(r"\w+", heard[1]) == re.findall(r"\w+", f"Backtalk replied: {reply}")
    assert len(heard) == 2


def test_the_whole_way_can_be_gone_with_keys_alone(guest: Visitor, backtalk: Backtalk) -> None:
    page = guest.page
    page.keyboard.type("What is the capital of France?")
    page.keyboard.press("Enter")
    guest.written()
    expect(guest.composer).to_be_focused()
    tab_to(page, "Bad reply", backwards=True)
    page.keyboard.press("Enter")
    tab_to(page, "Wrong")
    page.keyboard.press("Space")
    expect(guest.button("Wrong")).to_have_attribute("aria-pressed", "true")
    tab_to(page, "Accuracy: 2 of 5")
    page.keyboard.press("Space")
    tab_to(page, "No, do not train on them")
    page.keyboard.press("Enter")
    expect(guest.button("No, do not train on them")).to_have_count(0)
    tab_to(page, "Write it better", backwards=True)
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Your version of this reply")).to_be_focused()
    page.keyboard.type("Paris, of course. ")
    page.keyboard.press("Control+Enter")
    expect(guest.button("Your version")).to_be_visible()
    guest.until_stored()


def test_the_menus_open_walk_and_close_by_key(guest: Visitor, backtalk: Backtalk) -> None:
    backtalk.lay(guest.me, ["A tale of keys", "Once."])
    guest.page.reload()
    page = guest.page
    expect(page.get_by_role("link", name="A tale of keys")).to_be_visible()
    tab_to(page, "More about “A tale of keys”", backwards=True)
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Rename")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Archive")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Title")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("Renamed by keys")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Renamed by keys")).to_be_visible()


def test_everything_else_on_the_page_can_be_done_with_keys_alone(guest: Visitor, backtalk: Backtalk) -> None:
    page, keys = guest.page, guest.page.keyboard
    dialog = page.get_by_role("dialog")
    laid = backtalk.lay(guest.me, ["A tale of keys", "Once."])
    backtalk.lay_beside(laid.replies[0], "Twice.")
    guest.open(laid.path)

    tab_to(page, "Previous version of this turn", backwards=True)
    keys.press("Enter")
    expect(guest.replies).to_contain_text("Once.")
    tab_to(page, "Compare answers", backwards=True)
    keys.press("Enter")
    expect(dialog).to_contain_text("Which answer is better?")
    keys.press("Escape")
    expect(dialog).to_have_count(0)
    tab_to(page, "Another answer", backwards=True)
    keys.press("Enter")
    expect(page.get_by_role("img", name="3 of 3")).to_be_visible()
    guest.written()

    tab_to(page, "How replies are made")
    keys.press("Enter")
    expect(dialog).to_be_visible()
    for _ in range(10):
        if page.evaluate("document.activeElement.type") == "radio":
            break
        keys.press("Tab")
    keys.press("ArrowDown")
    expect(page.get_by_role("radio", name="Lively")).to_be_checked()
    keys.press("Escape")
    expect(dialog).to_have_count(0)
    assert focused(page) == "How replies are made"

    row_by_keys(page, downwards=2)
    tab_to(page, "Make a link")
    keys.press("Enter")
    expect(page.get_by_role("textbox", name="Link")).to_be_visible()
    tab_to(page, "Take the link back")
    keys.press("Enter")
    expect(page.get_by_text("The link leads nowhere now.")).to_be_visible()
    keys.press("Escape")
    expect(dialog).to_have_count(0)

    with page.expect_download() as download:
        row_by_keys(page, downwards=4)
    assert download.value.suggested_filename.endswith(".md")

    account_by_keys(page, downwards=1)
    tab_to(page, "Dark")
    keys.press("Space")
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    keys.press("Escape")
    expect(dialog).to_have_count(0)

    row_by_keys(page, downwards=-1)
    expect(page.get_by_role("link", name="A tale of keys")).to_have_count(0)
    expect(guest.button("Undo")).to_be_focused()
    keys.press("Enter")
    expect(page.get_by_role("link", name="A tale of keys")).to_be_visible()

    account_by_keys(page, downwards=0)
    expect(page.get_by_role("textbox", name="Name")).to_be_focused()
    keys.type(name := f"wren {uuid4().hex[:8]}")
    keys.press("Tab")
    keys.type("a heron in the rain")
    keys.press("Enter")
    expect(page.get_by_role("button", name=f"Account: {name}")).to_be_visible()


def row_by_keys(page: Page, downwards: int) -> None:
    """Pick what stands so far down in the menu of the only conversation; -1 is the last."""
    tab_to(page, "More about “A tale of keys”", backwards=True)
    page.keyboard.press("Enter")
    pick(page, downwards)


def account_by_keys(page: Page, downwards: int) -> None:
    """Pick what stands so far down in the menu of the account."""
    tab_to(page, "Account: Guest", backwards=True)
    page.keyboard.press("Enter")
    pick(page, downwards)


def pick(page: Page, downwards: int) -> None:
    expect(page.get_by_role("menuitem").first).to_be_focused()
    for _ in range(abs(downwards)):
        page.keyboard.press("ArrowDown" if downwards > 0 else "ArrowUp")
    page.keyboard.press("Enter")
    expect(page.get_by_role("menu")).to_have_count(0)


def test_the_first_tab_stop_skips_to_the_conversation(guest: Visitor) -> None:
    tab_to(guest.page, "Skip to the conversation", backwards=True)
    guest.page.keyboard.press("Enter")
    expect(guest.composer).to_be_focused()


def test_on_a_phone_the_list_slides_in_holds_the_focus_and_closes_by_escape(visit: Visit, backtalk: Backtalk) -> None:
    guest = visit(width="phone").open()
    laid = backtalk.lay(guest.me, ["Pocket size?", "Yes."])
    guest.page.reload()
    guest.button("Show conversations").click()
    drawer = guest.page.get_by_role("dialog", name="Conversations")
    expect(drawer.get_by_role("link", name="Pocket size?")).to_be_visible()
    guest.page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)
    guest.button("Show conversations").click()
    drawer.get_by_role("link", name="Pocket size?").click()
    expect(drawer).to_have_count(0)
    expect(guest.replies).to_contain_text("Yes.")
    assert guest.conversation == str(laid.id)
