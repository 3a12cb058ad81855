"""Accounts: signing up and in, language, appearance, taking one's data along, leaving for good."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from playwright.sync_api import Locator, expect

from backtalk import people
from backtalk.tables import Person
from tests.browser.backtalk import Backtalk
from tests.browser.gallery import in_every_look
from tests.browser.visitor import Visit, Visitor
from tests.server.provider import CLIENT, SECRET, serve

PASSWORD = "a heron in the rain"


def menu(visitor: Visitor) -> Locator:
    """The account menu, opened."""
    visitor.show_list()
    visitor.page.get_by_role("button", name=re.compile(f"^{visitor.word('account.menu')}")).click()
    return visitor.page.get_by_role("menu")


def settings(visitor: Visitor) -> Locator:
    """The settings, opened."""
    menu(visitor).get_by_role("menuitem", name=visitor.word("Settings")).click()
    return visitor.page.get_by_role("dialog", name=visitor.word("Settings"))


def sign_up(visitor: Visitor) -> str:
    """Become somebody with a name."""
    name = f"wren {uuid4().hex[:8]}"
    form = sign_in_form(visitor)
    form.get_by_role("textbox", name=visitor.word("account.name")).fill(name)
    form.locator("input[type=password]").fill(PASSWORD)
    form.get_by_role("button", name=visitor.word("Sign up"), exact=True).click()
    expect(form).to_have_count(0)
    return name


def sign_in_form(visitor: Visitor) -> Locator:
    """Where one signs up, or in, opened."""
    menu(visitor).get_by_role("menuitem", name=visitor.word("Sign up")).click()
    return visitor.page.get_by_role("dialog").filter(has=visitor.page.locator("input[type=password]"))


def test_a_guest_who_signs_up_keeps_what_was_said(guest: Visitor, backtalk: Backtalk) -> None:
    laid = backtalk.lay(guest.me, ["Will this stay?", "Yes."])
    guest.open(laid.path)
    name = sign_up(guest)
    expect(guest.page.get_by_role("button", name=f"Account: {name}")).to_be_visible()
    expect(guest.page.get_by_role("link", name="Will this stay?")).to_be_visible()


@in_every_look
def test_one_signs_out_and_in_again(guest: Visitor, backtalk: Backtalk) -> None:
    word = guest.word
    backtalk.lay(guest.me, ["Mine alone?", "Yes."])
    name = sign_up(guest)
    menu(guest).get_by_role("menuitem", name=word("Sign out")).click()
    guest.show_list()
    expect(guest.page.get_by_role("button", name=f"{word('account.menu')}: {word('Guest')}")).to_be_visible()
    expect(guest.page.get_by_role("link", name="Mine alone?")).to_have_count(0)
    form = sign_in_form(guest)
    guest.button("I have an account").click()
    form.get_by_role("textbox", name=word("account.name")).fill(name)
    form.locator("input[type=password]").fill("something else")
    form.get_by_role("button", name=word("Sign in"), exact=True).click()
    expect(form.get_by_role("alert")).to_contain_text(word("Name and password do not fit together."))
    form.locator("input[type=password]").fill(PASSWORD)
    form.get_by_role("button", name=word("Sign in"), exact=True).click()
    expect(form).to_have_count(0)
    guest.show_list()
    expect(guest.page.get_by_role("link", name="Mine alone?")).to_be_visible()


def test_language_and_appearance_are_chosen_and_kept(guest: Visitor, backtalk: Backtalk) -> None:
    me = guest.me
    settings(guest).get_by_role("button", name="中文").click()
    guest.page.get_by_role("dialog", name="设置").get_by_role("button", name="深色").click()
    expect(guest.page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    guest.page.reload()
    expect(guest.page.get_by_role("button", name="新对话")).to_be_visible()
    expect(guest.page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    assert backtalk.read(lambda session: session.get_one(Person, me)).language == "zh"


def test_the_appearance_follows_the_system_where_nobody_chose(visit: Visit) -> None:
    expect(visit(theme="dark").open().page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    expect(visit(theme="light").open().page.locator("html")).to_have_attribute("data-mantine-color-scheme", "light")


def test_ones_data_is_taken_along_as_a_file(guest: Visitor, backtalk: Backtalk, tmp_path: Path) -> None:
    backtalk.lay(guest.me, ["Remember this.", "I will."])
    with guest.page.expect_download() as download:
        settings(guest).get_by_role("link", name="Export my data").click()
    file = tmp_path / "mine.json"
    download.value.save_as(file)
    kept = json.loads(file.read_text())
    assert [turn["content"] for turn in kept["conversations"][0]["messages"]] == ["Remember this.", "I will."]


def test_whoever_erases_themselves_is_gone(guest: Visitor, backtalk: Backtalk) -> None:
    me = guest.me
    laid = backtalk.lay(me, ["Forget this.", "I will."])
    guest.open(laid.path)
    settings(guest).get_by_role("button", name="Erase me").click()
    guest.page.get_by_role("dialog").get_by_role("button", name="Erase me").click()
    expect(guest.page.get_by_role("heading", name="Talk, then talk back.")).to_be_visible()
    expect(guest.page.get_by_text("Your conversations will be kept here.")).to_be_visible()
    assert backtalk.read(lambda session: session.get(Person, me)) is None


def test_ones_other_sessions_are_seen_and_ended(visit: Visit, backtalk: Backtalk) -> None:
    me = backtalk.person()
    here, there = visit(me).open(), visit(me).open()
    listed = settings(here).get_by_role("listitem")
    expect(listed).to_have_count(2)
    expect(listed.filter(has_text="This browser")).to_have_count(1)
    listed.get_by_role("button", name="Sign out").click()
    expect(listed).to_have_count(1)
    expect(there.page.get_by_role("button", name="Account: Guest")).to_be_visible()


def test_where_guests_are_not_let_in_one_is_asked_to_sign_in(visit: Visit, backtalk: Backtalk) -> None:
    with backtalk.beside(BACKTALK_SIGNUP="closed") as home:
        visitor = visit(home=home).open()
        expect(visitor.page.get_by_role("dialog", name="Sign in")).to_be_visible()
        visitor.page.keyboard.press("Escape")
        expect(visitor.page.get_by_role("dialog", name="Sign in")).to_be_visible()
        assert not visitor.ills()
        dark = visit(home=home, theme="dark", language="zh", width="phone").open()
        expect(dark.page.get_by_role("dialog", name="登录")).to_be_visible()
        assert not dark.ills() and dark.overflow() <= 0 and not dark.covered()


def test_an_invitation_leads_to_an_account_once(visit: Visit, backtalk: Backtalk) -> None:
    with backtalk.database.write() as session:
        word = people.invite(session, backtalk.settings, "test")
    with backtalk.beside(BACKTALK_SIGNUP="invite") as home:
        visitor = visit(home=home)
        visitor.page.goto(f"{home}/join#{word}")
        form = visitor.page.get_by_role("dialog", name="Sign up")
        expect(form.get_by_role("textbox", name="Invitation")).to_have_value(word)
        assert not visitor.ills()
        name = f"lark {uuid4().hex[:8]}"
        form.get_by_role("textbox", name="Name").fill(name)
        form.locator("input[type=password]").fill(PASSWORD)
        form.get_by_role("button", name="Sign up", exact=True).click()
        expect(visitor.page.get_by_role("button", name=f"Account: {name}")).to_be_visible()
        assert visitor.page.url == f"{home}/"
        late = visit(home=home)
        late.page.goto(f"{home}/join#{word}")
        form = late.page.get_by_role("dialog", name="Sign up")
        form.get_by_role("textbox", name="Name").fill(f"late {name}")
        form.locator("input[type=password]").fill(PASSWORD)
        form.get_by_role("button", name="Sign up", exact=True).click()
        expect(form.get_by_role("alert")).to_contain_text("was used already")


def test_whoever_comes_through_the_provider_has_an_account_and_keeps_what_was_said(
    visit: Visit, backtalk: Backtalk, tmp_path: Path
) -> None:
    secret = tmp_path / "oidc.secret"
    secret.write_text(SECRET)
    with serve() as provider:
        provider.name = f"Ada {uuid4().hex[:8]}"
        given = {"OIDC_ISSUER": provider.url, "OIDC_CLIENT_ID": CLIENT, "OIDC_SECRET_FILE": str(secret)}
        with backtalk.beside(**{f"BACKTALK_{name}": value for name, value in given.items()}) as home:
            visitor = visit(home=home).open()
            backtalk.lay(visitor.me, ["Who was I?", "A guest."])
            menu(visitor).get_by_role("menuitem", name="Sign up / Sign in").click()
            visitor.page.get_by_role("link", name="Continue with").click()
            expect(visitor.page.get_by_role("button", name=f"Account: {provider.name}")).to_be_visible()
            expect(visitor.page.get_by_role("link", name="Who was I?")).to_be_visible()
            assert {urlsplit(address).netloc for address in visitor.foreign} == {urlsplit(provider.url).netloc}
            visitor.foreign.clear()  # on purpose, and only there


def test_where_there_is_a_provider_one_may_sign_in_there_and_hears_what_went_wrong(
    visit: Visit, backtalk: Backtalk
) -> None:
    nowhere = {"BACKTALK_OIDC_ISSUER": "http://127.0.0.1:9", "BACKTALK_OIDC_CLIENT_ID": "test"}
    with backtalk.beside(BACKTALK_OIDC_NAME="The Firm", **nowhere) as home:
        visitor = visit(home=home).open()
        menu(visitor).get_by_role("menuitem", name="Sign up / Sign in").click()
        visitor.page.get_by_role("link", name="Continue with The Firm").click()
        expect(visitor.page.get_by_role("alert")).to_contain_text("What The Firm said could not be trusted.")
        assert not visitor.ills()
