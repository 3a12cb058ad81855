"""A piece of the page that does not come, because the connection is gone or the server has other files by now."""

from playwright.sync_api import Page, Route, expect

from tests.browser.visitor import Visit, Visitor

MISSING = "This part could not be loaded"
FORMULA = r"Because $x^2$ is there."


def without_files(page: Page) -> None:
    """From now on nothing more of the client can be fetched, as without a connection."""
    page.route("**/assets/**", lambda route: route.abort())


def of_another_build(route: Route) -> None:
    route.fulfill(status=404, body="")


def test_a_dialog_that_does_not_come_says_so_and_takes_nothing_away(guest: Visitor) -> None:
    page = guest.page
    guest.composer.fill("half a thought")
    without_files(page)
    manner = guest.button("How replies are made")
    manner.focus()
    page.keyboard.press("Enter")
    notice = page.get_by_role("alertdialog")
    expect(notice.get_by_role("alert")).to_contain_text(MISSING)
    expect(guest.button("Try again")).to_be_focused()
    page.keyboard.press("Escape")
    expect(notice).to_have_count(0)
    expect(manner).to_be_focused()
    page.keyboard.press("Enter")
    expect(notice).to_be_visible()
    page.unroute("**/assets/**")
    page.evaluate("window.isThePageOfBefore = true")
    page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog", name="How replies are made")
    expect(drawer).to_be_visible()
    assert page.evaluate("window.isThePageOfBefore")
    expect(drawer.get_by_role("group")).to_have_css("border-top-width", "0px")  # its styles have come too
    page.keyboard.press("Escape")
    expect(manner).to_be_focused()
    expect(guest.composer).to_have_value("half a thought")


def test_a_page_of_a_newer_server_comes_with_a_reload(guest: Visitor) -> None:
    page = guest.page
    guest.composer.fill("half a thought")
    page.route("**/assets/receipts-page*", of_another_build)
    page.get_by_role("button", name="Account").click()
    page.get_by_role("menuitem", name="What my opinions did").click()
    expect(page.get_by_role("alert")).to_contain_text(MISSING)
    page.unroute("**/assets/receipts-page*")
    page.route("**/assets/receipts-page*", of_another_build, times=1)  # the reload asks for what is there
    guest.button("Try again").click()
    expect(page.get_by_role("heading", name="What my opinions did")).to_be_visible()
    page.get_by_role("link", name="Back to the chat").first.click()
    expect(guest.composer).to_have_value("half a thought")


def test_a_formula_stands_there_as_it_was_written_until_the_connection_is_back(visit: Visit) -> None:
    visitor = visit().open()
    page = visitor.page
    visitor.ask("Hello!")
    without_files(page)
    page.route("**/api/conversations/*/messages", lambda route: _say(route, FORMULA))
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    expect(visitor.replies.last.locator("code")).to_have_text("x^2")
    page.unroute("**/assets/**")
    page.evaluate("window.dispatchEvent(new Event('online'))")
    expect(visitor.replies.last.locator(".katex")).to_be_visible()
    assert "x^2" not in visitor.written(), "nothing of it is left as it was written"


def _say(route: Route, text: str) -> None:
    """What is stored, with other words in the reply."""
    stored = route.fetch().json()
    stored["items"][-1]["content"] = text
    route.fulfill(json=stored)


def test_a_second_tab_shows_what_was_renamed_judged_and_deleted_in_the_first(guest: Visitor) -> None:
    guest.ask("Hello!")
    second = Visitor.beside(guest).open(f"/c/{guest.conversation}")
    expect(second.replies).to_have_count(1)
    guest.button("Good reply").click()
    expect(second.button("Good reply")).to_have_attribute("aria-pressed", "true")
    guest.page.get_by_role("button", name="More about").click()
    guest.page.get_by_role("menuitem", name="Rename").click()
    guest.page.get_by_role("textbox", name="Title").fill("Greetings")
    guest.page.keyboard.press("Enter")
    expect(second.page.get_by_role("link", name="Greetings")).to_be_visible()
    guest.page.get_by_role("button", name="More about").click()
    guest.page.get_by_role("menuitem", name="Delete").click()
    expect(second.page.get_by_role("link", name="Greetings")).to_have_count(0)
    expect(second.page.get_by_role("alert")).to_be_visible()
