"""How the pages look: nothing sticks out, nothing bars the way of those who see or move differently, in every look."""

from dataclasses import dataclass
from itertools import product

from playwright.sync_api import expect

from backtalk.tables import Run, now
from tests.browser.backtalk import Backtalk
from tests.browser.gallery import Gallery
from tests.browser.visitor import Visit

BROKEN = """() => {
    // The first sign of each line of the replies that may not begin one: Chinese typography forbids it.
    const found = []
    const words = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT)
    while (words.nextNode()) {
        const text = words.currentNode
        if (text.parentElement.closest('pre, .katex')) continue
        for (let at = 1; at < text.data.length; at += 1) {
            if (!'，。！？；：、）”’》'.includes(text.data[at])) continue
            const [before, here] = [at - 1, at].map((start) => {
                const range = document.createRange()
                range.setStart(text, start)
                range.setEnd(text, start + 1)
                return range.getBoundingClientRect()
            })
            const isFirst = here.height > 0 && here.top >= before.bottom - 1
            if (isFirst) found.push(text.data.slice(Math.max(0, at - 5), at + 1))
        }
    }
    return found.join(' ')
}"""
CODE = '''
```python
from collections import Counter

def frequent(text: str, most: int = 3) -> list[tuple[str, int]]:
    """The most frequent words of a text."""
    return Counter(text.lower().split()).most_common(most)
```
'''


@dataclass(frozen=True, slots=True)
class Said:
    """What is talked about in one language."""

    counting: tuple[str, str]
    earlier: tuple[str, ...]
    short: str
    greeting: tuple[str, str]
    story: str
    stories: tuple[str, str, str]
    """Two replies, and how the second could be better."""


ENGLISH = Said(
    counting=(
        "How do I count words in Python?",
        f"""Here is **how to count words**, step by step:

1. Split the text at spaces.
2. Count each word, ignoring case.
3. Sort by count.
{CODE}
| Word | Count | Share |
|:-----|------:|------:|
| the  | 12    | 8 %   |
| of   | 7     | 5 %   |

> The share is $s_i = \\frac{{c_i}}{{\\sum_j c_j}}$, and the entropy

$$H = -\\sum_i s_i \\log s_i$$

See [the manual](https://docs.python.org/3/library/collections.html).
""",
    ),
    earlier=(
        "What is the capital of Peru?",
        "How many centimetres are 2 metres?",
        "What is the opposite of early?",
        "How do I boil an egg?",
    ),
    short="Of course.",
    greeting=("Hello! My name is Ada.", "Hello Ada! It is nice to meet you. What would you like to talk about?"),
    story="Tell me a short story.",
    stories=(
        "Once a heron stood in the rain. It waited, and the rain ended, and there were fish. That was a good day.",
        "A fox found a red ball and gave it to a cub. The cub laughed. The end.",
        "A fox found a blue ball and gave it to her cub. The cub laughed, and so did she.",
    ),
)
CHINESE = Said(
    counting=(
        "怎样用 Python 统计词频？",
        f"""下面一步一步说明**“词频统计”**怎么做：

1. 按空格把文本切开。
2. 统计每个词，不分大小写。
3. 按次数排序。
{CODE}
| 词 | 次数 | 占比 |
|:---|----:|----:|
| 的 | 12  | 8 % |
| 了 | 7   | 5 % |

> 占比是 $s_i = \\frac{{c_i}}{{\\sum_j c_j}}$，熵是

$$H = -\\sum_i s_i \\log s_i$$

一篇反复说同样几个词的文章，占比大的词很少；每个词都只出现一次的文章，熵最大。详见[手册](https://docs.python.org/zh-cn/3/library/collections.html)。
""",
    ),
    earlier=("秘鲁的首都是哪里？", "2 米是多少厘米？", "“早”的反义词是什么？", "怎么煮鸡蛋？"),
    short="好的。",
    greeting=("你好！我叫小雨。", "你好，小雨！很高兴认识你。你想聊点什么？"),
    story="给我讲一个小故事。",
    stories=(
        "从前有一只苍鹭站在雨里。它等着等着，雨停了，鱼来了。那真是美好的一天。",
        "狐狸捡到一个红球，送给了小狐狸。小狐狸笑了。",
        "狐狸捡到一个蓝球，送给了她的孩子。小狐狸笑了，她也笑了。",
    ),
)
SAID = {"en": ENGLISH, "zh": CHINESE}


def test_the_chat_looks_right(gallery: Gallery, backtalk: Backtalk) -> None:
    visitor, page = gallery.visitor.open(), gallery.visitor.page
    gallery.hang("empty")
    page.locator("form button").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    gallery.hang("manner")
    me, said = visitor.me, SAID[gallery.look[1]]
    backtalk.lay(me, [said.earlier[2], said.short], days_ago=3)
    laid = backtalk.lay(me, said.counting)
    visitor.open(laid.path)
    expect(page.locator(".katex-display")).to_be_visible()
    assert not page.evaluate(BROKEN), "a line begins with a sign that may not stand there"
    page.evaluate("document.querySelector('[class*=thread]').parentElement.scrollTop = 0")
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
    said = SAID[gallery.look[1]]
    for days_ago, question in enumerate(said.earlier, 1):
        backtalk.lay(visitor.me, [question, said.short], days_ago=days_ago)
    laid = backtalk.lay(visitor.me, [*said.greeting, said.story, said.stories[0]])
    backtalk.lay_beside(laid.replies[-1], said.stories[1])
    visitor.open(laid.path)
    reply = page.get_by_role("article").last
    reply.locator("[aria-pressed]").first.click()
    expect(reply.get_by_role("region")).to_be_visible()
    reply.get_by_role("region").get_by_role("group").first.get_by_role("button").nth(3).click()
    reply.get_by_role("region").locator("[aria-label*='4']").first.click()
    visitor.until_stored()
    gallery.hang("opinion")
    reply.locator("[aria-pressed]").nth(2).click()
    page.locator("article textarea").fill(said.stories[2])
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


def test_what_is_shared_refused_and_waited_for_looks_right(gallery: Gallery, backtalk: Backtalk) -> None:
    visitor, page = gallery.visitor.open(), gallery.visitor.page
    said = SAID[gallery.look[1]]
    laid = backtalk.lay(visitor.me, said.counting)
    page.locator("#composer").fill("word " * 5000)
    page.locator("#composer").press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    gallery.hang("refused")
    visitor.open(laid.path)
    if gallery.is_phone:
        page.locator("header button").first.click()
    page.locator("nav li button[aria-haspopup=menu]").click()
    page.get_by_role("menuitem").nth(2).click()
    expect(page.get_by_role("dialog")).to_have_count(2 if gallery.is_phone else 1)
    page.get_by_role("dialog").last.locator("button").last.click()
    link = page.get_by_role("dialog").last.get_by_role("textbox")
    expect(link).to_be_visible()
    gallery.hang("share")
    page.goto(link.input_value())
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    gallery.hang("shared")
    visitor.open(laid.path)
    with backtalk.paused_engine():
        page.locator("article [aria-pressed] ~ button:has(rect)").last.click()
        expect(page.get_by_role("dialog").get_by_role("status")).to_be_visible()
        gallery.hang("compare-waiting")


def test_every_theme_language_and_width_has_room_and_contrast(visit: Visit, backtalk: Backtalk) -> None:
    ills: list[str] = []
    for width in ("desktop", "phone"):
        visitor = visit(width=width).open()
        page = visitor.page
        laid = {language: backtalk.lay(visitor.me, said.counting) for language, said in SAID.items()}
        for theme, language in product(("light", "dark"), SAID):
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            page.evaluate("(language) => localStorage.setItem('backtalk.language', language)", language)
            page.context.request.patch(
                f"{visitor.home}/api/me", data={"language": language}, headers={"X-Backtalk": "1"}
            )
            gallery = Gallery(visitor, (theme, language, width))
            visitor.open(laid[language].path)
            expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", theme)
            expect(page.locator("html")).to_have_attribute("lang", "zh-Hans" if language == "zh" else "en")
            page.get_by_role("article").last.locator("[aria-pressed]").nth(1).click()
            expect(page.get_by_role("article").last.get_by_role("region")).to_be_visible()
            gallery.hang("judged")
            page.get_by_role("article").last.locator("[aria-pressed]").nth(1).click()
            ills += [f"{theme}, {language}, {width}: {ill}" for ill in gallery.ills]
    assert not ills, "\n".join(ills)
