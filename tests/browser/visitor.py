"""Somebody with a browser of their own, and what they can do on the page."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Request, expect

from server import access
from tests.browser import wording

AXE = Path(__file__).parents[2] / "client" / "node_modules" / "axe-core" / "axe.min.js"
# What the browser itself says of a lost connection or a refusal; the page's own words are what tests look at.
NETWORK = ("Failed to load resource", "WebSocket connection to")

COVERED = """() => {
    const isUnder = (it) => {
        const { left, right, top, bottom } = it.getBoundingClientRect()
        const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2)
        return !(hit && (it.contains(hit) || hit.contains(it) || it.labels?.[0]?.contains(hit)))
    }
    const layers = document.querySelectorAll('[role=dialog], [role=menu]')
    const top = layers.length ? layers[layers.length - 1] : document
    return [...top.querySelectorAll('button, a[href], input, textarea, select')].filter((it) => {
        if (!it.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return false
        const { left, right, top, bottom, width } = it.getBoundingClientRect()
        const [x, y] = [(left + right) / 2, (top + bottom) / 2]
        if (width < 2 || x < 0 || y < 0 || x >= innerWidth || y >= innerHeight) return false
        for (let box = it.parentElement; box; box = box.parentElement) { // scrolled out of sight is not covered
            if (getComputedStyle(box).overflow === 'visible') continue
            const edge = box.getBoundingClientRect()
            if (x < edge.left || x > edge.right || y < edge.top || y > edge.bottom) return false
        }
        if (!isUnder(it)) return false
        const boxes = []  // under a bar that stays while the page scrolls: one scrolls on
        for (let box = it.parentElement; box; box = box.parentElement) boxes.push([box, box.scrollTop, box.scrollLeft])
        it.scrollIntoView({ block: 'center', behavior: 'instant' })
        const stillIs = isUnder(it)
        for (const [box, down, right] of boxes) box.scrollTo({ top: down, left: right, behavior: 'instant' })
        return stillIs
    }).map((it) => it.getAttribute('aria-label') ?? it.textContent ?? it.outerHTML)
}"""


class Visitor:
    """A browser context with one page; what goes wrong unseen on any of its pages is kept for the end of the test."""

    def __init__(self, context: BrowserContext, home: str, *, language: str = "en", is_phone: bool = False) -> None:
        self.context = context
        self.home = home
        self.language = language
        self.is_phone = is_phone
        self.faults: list[str] = []
        """Uncaught errors, and what the console complained of."""
        self.foreign: list[str] = []
        """Addresses of other hosts that a page asked for."""
        context.on("weberror", lambda error: self.faults.append(f"{error.error}"))
        context.on("console", self._listen)
        context.on("request", self._watch)
        self.page = context.new_page()

    @classmethod
    def beside(cls, visitor: "Visitor") -> "Visitor":
        """The same person in a second tab."""
        return cls(visitor.context, visitor.home, language=visitor.language, is_phone=visitor.is_phone)

    def become(self, secret: str) -> None:
        """Take over a session: the secret of its cookie."""
        self.context.add_cookies([{"name": access.COOKIE, "value": secret, "url": self.home}])

    # Going somewhere

    def open(self, path: str = "/") -> "Visitor":
        """Go to a page of Backtalk, and wait until it has drawn something."""
        self.page.goto(self.home + path)
        expect(self.page.locator("main").first).to_be_visible()
        return self

    @property
    def me(self) -> UUID:
        """Who the server thinks this is."""
        id: str = self.page.evaluate("fetch('/api/me').then((it) => it.json()).then((it) => it.id)")
        return UUID(id)

    @property
    def conversation(self) -> str:
        """Id of the conversation in the address."""
        self.page.wait_for_url("**/c/*")
        return urlsplit(self.page.url).path.removeprefix("/c/")

    # Chatting

    @property
    def composer(self) -> Locator:
        return self.page.get_by_role("textbox", name=self.word("composer.label"), exact=True)

    @property
    def replies(self) -> Locator:
        """All replies on the page."""
        return self.page.get_by_role("article").filter(
            has=self.page.get_by_role("heading", name=self.word("Backtalk replied:"))
        )

    @property
    def questions(self) -> Locator:
        """All questions on the page."""
        return self.page.get_by_role("article").filter(
            has=self.page.get_by_role("heading", name=self.word("You said:"))
        )

    def say(self, text: str) -> None:
        """Type and press Enter."""
        self.composer.fill(text)
        self.composer.press("Enter")

    def ask(self, text: str) -> str:
        """Say something and wait for the whole reply; returns it."""
        before = self.replies.count()
        self.say(text)
        expect(self.replies).to_have_count(before + 1)
        return self.written()

    def written(self) -> str:
        """The last reply, once it has ended."""
        last = self.replies.last
        expect(last.get_by_role("button", name=self.word("Another answer"))).to_be_visible()
        return self.text_of(last)

    @staticmethod
    def text_of(reply: Locator) -> str:
        """What a reply says, without the buttons around it."""
        return reply.locator("[dir=auto]").first.inner_text()

    def until_stored(self) -> None:
        """Wait until the server has everything that was judged in this browser."""
        waiting = "Object.keys(localStorage).some((key) => key.startsWith('backtalk.outbox.'))"
        while self.page.evaluate(waiting):
            self.page.wait_for_timeout(20)

    # Looking

    def word(self, english: str, **holes: object) -> str:
        """What the chat's pages say for this in the visitor's language."""
        return wording.said(english, self.language, **holes)

    def button(self, english: str, **holes: object) -> Locator:
        """The button of exactly this name."""
        return self.page.get_by_role("button", name=self.word(english, **holes), exact=True)

    def show_list(self) -> None:
        """On a phone the conversations and the account lie in a list that slides in."""
        if self.is_phone and self.page.get_by_role("dialog", name=self.word("sidebar.label")).count() == 0:
            self.button("Show conversations").click()

    def until_drawn(self) -> None:
        """Wait until the page shows what it last decided to."""
        self.page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")

    def ills(self) -> list[str]:
        """What axe finds serious on the page as it is."""
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(AXE.read_text())  # not a script element: the page's policy would refuse it, rightly
        found = self.page.evaluate(
            """async () => {
                const { violations } = await axe.run(document, { resultTypes: ['violations'] })
                return violations
                    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
                    .flatMap(({ nodes }) => nodes.map(({ html, failureSummary }) => `${failureSummary} in ${html}`))
            }"""
        )
        return [str(ill) for ill in found]

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        wider: int = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        return wider

    def covered(self) -> list[str]:
        """What can be pressed, is in sight, and lies under something else."""
        names: list[str] = self.page.evaluate(COVERED)
        return names

    # Ends

    def leave(self) -> None:
        """Close the browser."""
        self.context.close()

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(NETWORK):
            self.faults.append(f"console: {message.text}")

    def _watch(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.netloc != urlsplit(self.home).netloc:
            self.foreign.append(request.url)


Visit = Callable[..., Visitor]
