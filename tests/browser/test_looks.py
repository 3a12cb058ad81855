"""How the pages look: nothing sticks out, nothing bars the way of those who see or move differently, in every look."""

from playwright.sync_api import expect

from backtalk.tables import Run, now
from tests.browser.backtalk import Backtalk
from tests.browser.gallery import PICTURES, Gallery

MARKDOWN = '''Here is **how to count words**, step by step:

1. Split the text at spaces.
2. Count each word, ignoring case.
3. Sort by count.

```python
from collections import Counter

def frequent(text: str, most: int = 3) -> list[tuple[str, int]]:
    """The most frequent words of a text."""
    return Counter(text.lower().split()).most_common(most)
```

| Word | Count | Share |
|:-----|------:|------:|
| the  | 12    | 8 %   |
| of   | 7     | 5 %   |

> The share is $s_i = \\frac{c_i}{\\sum_j c_j}$, and the entropy

$$H = -\\sum_i s_i \\log s_i$$

中文也可以：**“强调”**正常显示。See [the manual](https://docs.python.org/3/library/collections.html).
'''
EARLIER = (
    "What is the capital of Peru?",
    "How many centimetres are 2 metres?",
    "What is the opposite of early?",
    "How do I boil an egg?",
)
STORIES = (
    "Once a heron stood in the rain. It waited, and the rain ended, and there were fish. That was a good day.",
    "A fox found a red ball and gave it to a cub. The cub laughed. The end.",
    "A fox found a blue ball and gave it to her cub. The cub laughed, and so did she.",
)


def test_the_chat_looks_right(gallery: Gallery, backtalk: Backtalk) -> None:
    visitor, page = gallery.visitor.open(), gallery.visitor.page
    gallery.hang("empty")
    page.locator("form button").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    gallery.hang("manner")
    me = visitor.me
    backtalk.lay(me, ["What is the opposite of hot?", "The opposite of hot is cold."], days_ago=3)
    laid = backtalk.lay(me, ["How do I count words in Python?", MARKDOWN])
    visitor.open(laid.path)
    expect(page.locator(".katex-display")).to_be_visible()
    gallery.hang("markdown")
    if gallery.is_phone:
        page.locator("header button").first.click()
        expect(page.get_by_role("dialog")).to_be_visible()
        gallery.hang("list")
    page.locator("button[aria-haspopup=menu]").last.click()
    expect(page.get_by_role("menu")).to_be_visible()
    gallery.hang("account")
    page.get_by_role("menuitem").first.click()
    expect(page.locator("input[type=password]")).to_be_visible()
    gallery.hang("sign-up")
    page.keyboard.press("Escape")
    if gallery.is_phone:
        page.locator("header button").first.click()
    page.locator("button[aria-haspopup=menu]").last.click()
    page.get_by_role("menuitem").nth(1).click()
    settings = page.get_by_role("dialog").filter(has=page.get_by_role("switch"))
    expect(settings.get_by_role("listitem")).to_be_visible()
    gallery.hang("settings")
    settings.get_by_role("button").last.click()
    expect(settings).to_have_count(0)
    gallery.hang("erase")


def test_opinions_look_right(gallery: Gallery, backtalk: Backtalk) -> None:
    visitor, page = gallery.visitor.open(), gallery.visitor.page
    for days_ago, question in enumerate(EARLIER, 1):
        backtalk.lay(visitor.me, [question, "Of course."], days_ago=days_ago)
    greeting = ["Hello! My name is Ada.", "Hello Ada! It is nice to meet you. What would you like to talk about?"]
    laid = backtalk.lay(visitor.me, [*greeting, "Tell me a short story.", STORIES[0]])
    backtalk.lay_beside(laid.replies[-1], STORIES[1])
    visitor.open(laid.path)
    reply = page.get_by_role("article").last
    reply.locator("[aria-pressed]").first.click()
    expect(reply.get_by_role("region")).to_be_visible()
    reply.get_by_role("region").get_by_role("group").first.get_by_role("button").nth(3).click()
    reply.get_by_role("region").locator("[aria-label*='4']").first.click()
    visitor.until_stored()
    gallery.hang("opinion")
    reply.locator("[aria-pressed]").nth(2).click()
    page.locator("article textarea").fill(STORIES[2])
    expect(page.locator("ins").first).to_be_visible()
    gallery.hang("rewrite")
    page.locator("article textarea").press("Control+Enter")
    expect(reply.get_by_role("group").first).to_be_visible()
    reply.get_by_role("group").first.get_by_role("button").last.click()
    gallery.hang("changes")
    page.locator("article [aria-pressed] ~ button:has(rect)").last.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    gallery.hang("compare")
    visitor.open("/receipts")
    expect(page.get_by_role("table")).to_be_visible()
    gallery.hang("receipts")


CONSOLE = ("", "/runs", "/versions", "/schedules", "/rewards", "/asking", "/feedback", "/people", "/audit")


def test_the_console_looks_right(gallery: Gallery, backtalk: Backtalk) -> None:
    visitor = gallery.visitor
    if PICTURES:
        backtalk.after_some_time()
    visitor.become(backtalk.sign_in(backtalk.person("operator", language=gallery.look[1])))
    with backtalk.database.write() as session:
        run = Run(state="promoted", from_version=0, to_version=0, started_at=now(), ended_at=now())
        session.add(run)
    for path in CONSOLE:
        visitor.open("/operate" + path)
        expect(visitor.page.get_by_role("heading", level=1)).to_be_visible()
        visitor.page.wait_for_load_state("networkidle")
        gallery.hang(f"console{path.replace('/', '-')}")
    with backtalk.database.write() as session:
        session.delete(session.get_one(Run, run.id))
