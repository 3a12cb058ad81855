"""A real Chromium on a real Backtalk. The folder shares both; each test comes as somebody new."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Browser, StorageState, expect, sync_playwright

from tests.browser.backtalk import Backtalk
from tests.browser.gallery import LOOKS, PICTURES, Gallery
from tests.browser.visitor import Visit, Visitor

INSTALL = "apt-get install chromium fonts-noto-cjk, or name one in CHROMIUM"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
PATIENCE = 90_000  # milliseconds until a test that waits in vain gives up; nothing is timed
ENDLESS = "abc🙂"
WIDTHS = {"phone": 390, "desktop": 1280}

expect.set_options(timeout=PATIENCE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """One browser for the whole folder."""
    if CHROMIUM is None:
        pytest.skip(f"no Chromium is installed; {INSTALL}")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []  # as root it does not start with one
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def backtalk() -> Iterator[Backtalk]:
    """A Backtalk with the bundled policy, for the whole folder."""
    backtalk = Backtalk()
    try:
        yield backtalk.start()
    finally:
        backtalk.close()


@pytest.fixture
def visit(chromium: Browser, backtalk: Backtalk) -> Iterator[Visit]:
    """Lets somebody visit: a fresh browser, signed in as a person or come as a new guest.

    At the end no page may have broken, and none may have called another host.
    """
    visitors: list[Visitor] = []
    with ExitStack() as leaving:

        def come(
            person_id: UUID | None = None,
            *,
            width: int | str = "desktop",
            theme: str = "light",
            language: str = "en",
            home: str = backtalk.url,
            manner: dict[str, float] | None = None,
            **options: Any,
        ) -> Visitor:
            is_phone = width == "phone"
            look: dict[str, Any] = {
                "viewport": {"width": WIDTHS.get(str(width)) or int(width), "height": 844 if is_phone else 800},
                "has_touch": is_phone,
                "is_mobile": is_phone,
                "color_scheme": "dark" if theme == "dark" else "light",
                "locale": "zh-CN" if language == "zh" else "en-US",
                "reduced_motion": "reduce",
            }
            context = chromium.new_context(storage_state=_storage(home, manner), **look | options)
            leaving.callback(context.close)
            context.set_default_timeout(PATIENCE)
            visitors.append(Visitor(context, home, language=language, is_phone=is_phone))
            if person_id is not None:
                visitors[-1].become(backtalk.sign_in(person_id))
            return visitors[-1]

        yield come
    for visitor in visitors:
        assert not visitor.faults
        assert not visitor.foreign


def _storage(home: str, manner: dict[str, float] | None) -> StorageState:
    """What an earlier visit left: how replies shall be made."""
    kept = [{"name": "backtalk.manner", "value": json.dumps(manner)}] if manner else []
    return {"cookies": [], "origins": [{"origin": home, "localStorage": kept}]}  # type: ignore[typeddict-item]


@pytest.fixture(scope="module")
def endless(backtalk: Backtalk) -> Iterator[None]:
    """While a file's tests run, replies come from a version that says the same few characters until its limit."""
    with backtalk.saying(ENDLESS):
        yield


@pytest.fixture
def guest(visit: Visit, request: pytest.FixtureRequest) -> Visitor:
    """Somebody new on the chat page; in the look that `in_every_look` asks for."""
    theme, language, width = getattr(request, "param", LOOKS[0])
    return visit(theme=theme, language=language, width=width).open()


@pytest.fixture(params=LOOKS, ids=lambda look: "-".join(look))
def look(request: pytest.FixtureRequest) -> tuple[str, str, str]:
    theme, language, width = request.param
    return theme, language, width


@pytest.fixture
def gallery(visit: Visit, look: tuple[str, str, str]) -> Iterator[Gallery]:
    """A visitor in this look; what was found is told when all states were seen."""
    theme, language, width = look
    scale = 2 if PICTURES else 1
    gallery = Gallery(visit(theme=theme, language=language, width=width, device_scale_factor=scale), look)
    yield gallery
    assert not gallery.ills, "\n".join(gallery.ills)
