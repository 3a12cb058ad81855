"""A visitor who goes from state to state in one look, and judges each.

Pictures are written only when they are asked for, so that they change when somebody wants them to and not with every
run: `PICTURES=docs/images` writes those that the documentation shows, `LOOKS=/tmp/looks` every state in every look.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pytest

from tests.browser.backtalk import Backtalk
from tests.browser.visitor import Visit, Visitor

PICTURES, EVERYTHING = os.environ.get("PICTURES"), os.environ.get("LOOKS")
DOCUMENTED = {
    ("opinion", "light", "en", "desktop"): "chat.png",
    ("markdown", "dark", "zh", "phone"): "chat-phone.png",
    ("empty", "light", "en", "desktop"): "empty.png",
    ("rewrite", "light", "en", "desktop"): "rewrite.png",
    ("opinion", "dark", "zh", "phone"): "opinion-phone.png",
    ("compare", "light", "en", "desktop"): "compare.png",
    ("welcome-2", "light", "en", "desktop"): "welcome.png",
    ("month-overview", "light", "en", "desktop"): "operate-overview.png",
    ("month-run", "light", "en", "desktop"): "operate-run.png",
    ("month-versions", "light", "en", "desktop"): "operate-versions.png",
    ("month-version", "light", "en", "desktop"): "operate-version.png",
    ("month-raters", "light", "en", "desktop"): "operate-raters.png",
    ("month-feedback", "light", "en", "desktop"): "operate-feedback.png",
    ("operate-preview", "light", "en", "desktop"): "operate-preview.png",
}
EVERY = list(product(("light", "dark"), ("en", "zh"), ("desktop", "phone")))
# Colours depend on the theme alone and widths on the device alone, so two looks tell what eight would.
LOOKS = EVERY if EVERYTHING else [("light", "en", "desktop"), ("dark", "zh", "phone")]
in_every_look = pytest.mark.parametrize("guest", LOOKS, indirect=True, ids="-".join)
"""For what everybody does: the guest comes once in each look."""


class Gallery:
    """Takes a visitor in one look from state to state and judges each."""

    def __init__(self, visitor: Visitor, look: tuple[str, str, str]) -> None:
        self.visitor = visitor
        self.look = look
        self.ills: list[str] = []

    @property
    def is_phone(self) -> bool:
        return self.look[2] == "phone"

    def hang(self, name: str) -> None:
        """Judge the page as it is, and keep a picture of it if pictures are wanted."""
        self.visitor.until_drawn()
        self.ills += [f"{name}: {ill}" for ill in self.visitor.ills()]
        if self.visitor.overflow() > 0:
            self.ills.append(f"{name}: the page is {self.visitor.overflow()} pixels too wide")
        self.ills += [f"{name}: {covered} lies under something else" for covered in self.visitor.covered()]
        if EVERYTHING:
            self._keep(Path(EVERYTHING) / ("-".join((name, *self.look)) + ".png"))
        documented = DOCUMENTED.get((name, *self.look))
        if PICTURES and documented:
            self._keep(Path(PICTURES) / documented)

    def _keep(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.visitor.page.mouse.move(0, 0)  # what it hovered over would look chosen
        self.visitor.page.screenshot(path=file, animations="disabled", caret="hide")


@contextmanager
def seen_by_an_operator(visit: Visit, house: Backtalk, look: tuple[str, str, str]) -> Iterator[Gallery]:
    """An operator in this look; what was found is told when all was seen."""
    theme, language, width = look
    scale = 2 if PICTURES else 1
    visitor = visit(theme=theme, language=language, width=width, home=house.url, device_scale_factor=scale)
    visitor.become(house.sign_in(house.person("operator", language=language)))
    gallery = Gallery(visitor, look)
    yield gallery
    assert not gallery.ills, "\n".join(gallery.ills)
