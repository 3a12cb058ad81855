"""The figures of one page in a real Chromium."""

import gzip
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from bench.client.stage import conversation
from bench.report import Row
from server.access import COOKIE
from server.pages import WEB

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
PATIENCE = 120_000
LONG_TASKS = """
window.longTasks = []
new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((it) => it.duration)))
    .observe({ type: 'longtask' })
"""
READY = """
new MutationObserver((_, watch) => {
    if (!document.querySelector('#composer')) return
    watch.disconnect()
    requestAnimationFrame(() => setTimeout(() => (window.readyAt = performance.now())))
}).observe(document, { childList: true, subtree: true })
"""
SCROLL = """async (pixelsPerSecond) => {
    const view = document.querySelector('[class*=thread]').parentElement
    const frames = []
    const began = performance.now()
    let last = began
    for (;;) {
        const now = await new Promise(requestAnimationFrame)
        frames.push(now - last)
        last = now
        view.scrollTop = view.scrollHeight - view.clientHeight - ((now - began) / 1000) * pixelsPerSecond
        if (view.scrollTop <= 0) return frames.slice(2)
    }
}"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A Chromium for all pages."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


def bundle(ending: str, directory: Path = WEB) -> float:
    """Kilobytes, compressed, of all that the chat page itself names; what is fetched later is not in it."""
    index = (directory / "index.html").read_text()
    files = [file for file in (directory / "assets").iterdir() if file.name in index and file.suffix == ending]
    return round(sum(len(gzip.compress(file.read_bytes())) for file in files) / 1000, 1)


def first_sight(browser: Browser, home: str, rounds: int = 5) -> Row:
    """Median milliseconds until somebody new sees something, and until they could type; nothing cached."""
    painted, ready = [], []
    for _ in range(rounds):
        context = browser.new_context()
        page = context.new_page()
        page.add_init_script(READY)
        page.goto(home)
        page.wait_for_function("window.readyAt && performance.getEntriesByName('first-contentful-paint').length")
        ready.append(page.evaluate("window.readyAt"))
        painted.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        context.close()
    return {"first paint ms": round(statistics.median(painted)), "can type after ms": round(statistics.median(ready))}


def ours(browser: Browser, home: str, earlier: int) -> Row:
    """Our page while the standard stream comes."""
    page = _page(browser)
    page.goto(f"{home}/c/{conversation(earlier)}")
    page.wait_for_function("(count) => document.querySelectorAll('article').length === count", arg=earlier)
    page.wait_for_timeout(1500)

    def start() -> None:
        page.fill("#composer", "Go on.")
        page.press("#composer", "Enter")
        page.wait_for_selector("article[aria-busy=true]")

    return _while_streaming(page, "backtalk", start, "!document.querySelector('article[aria-busy=true]')")


def peer(browser: Browser, home: str, name: str, earlier: int) -> Row:
    """A page made with a peer while the same stream comes."""
    page = _page(browser)
    page.goto(f"{home}/peers/{name}.html?conversation={conversation(earlier)}")
    page.wait_for_function("window.isReady")
    page.wait_for_timeout(1500)
    return _while_streaming(page, name, lambda: page.evaluate("window.start()"), "window.isDone")


def scrolling(browser: Browser, home: str, messages: int, pixels_per_second: int = 4000) -> Row:
    """Frames while a long conversation is scrolled from its end to its beginning."""
    page = _page(browser)
    page.goto(f"{home}/c/{conversation(messages)}")
    page.wait_for_function("(count) => document.querySelectorAll('article').length === count", arg=messages)
    page.wait_for_timeout(1500)
    opening: list[float] = page.evaluate("window.longTasks.splice(0)")
    costs = _costs(page)
    before = _metrics(costs)
    frames: list[float] = page.evaluate(SCROLL, pixels_per_second)
    spent = _metrics(costs)["TaskDuration"] - before["TaskDuration"]
    tasks: list[float] = page.evaluate("window.longTasks")
    page.context.close()
    return {
        "messages": messages,
        "longest task while opening ms": round(max(opening, default=0)),
        "frames/s": round(1000 * len(frames) / sum(frames), 1),
        "median frame ms": round(statistics.median(frames), 1),
        "CPU share": f"{100_000 * spent / sum(frames):.0f} %",
        "frames over 34 ms": f"{100 * sum(frame > 34 for frame in frames) / len(frames):.1f} %",
        "tasks over 50 ms": len(tasks),
    }


def growing(browser: Browser, home: str, path: str, secret: str, grow: Callable[[Page], object]) -> Row:
    """The page of a run while its curves grow.

    Args:
        secret: of an operator's session.
        grow: lets them, and comes back when all is on the page.
    """
    page = _page(browser)
    page.context.add_cookies([{"name": COOKIE, "value": secret, "url": home}])
    page.goto(home + path)
    page.wait_for_selector("figure canvas")
    page.wait_for_timeout(1500)
    opening: list[float] = page.evaluate("window.longTasks.splice(0)")
    costs = _costs(page)
    before, began = _metrics(costs), time.monotonic()
    grow(page)
    wall, after = time.monotonic() - began, _metrics(costs)
    tasks: list[float] = page.evaluate("window.longTasks")
    page.context.close()
    return {
        "longest task while opening ms": round(max(opening, default=0)),
        "wall s": round(wall, 1),
        "script s": round(after["ScriptDuration"] - before["ScriptDuration"], 2),
        "all s": round(after["TaskDuration"] - before["TaskDuration"], 2),
        "CPU share": f"{100 * (after['TaskDuration'] - before['TaskDuration']) / wall:.0f} %",
        "tasks over 50 ms": len(tasks),
        "longest ms": round(max(tasks, default=0)),
    }


def _page(browser: Browser) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.set_default_timeout(PATIENCE)
    page.add_init_script(LONG_TASKS)
    return page


def _while_streaming(page: Page, name: str, start: Callable[[], object], done: str) -> Row:
    costs = _costs(page)
    page.evaluate("window.longTasks.length = 0")
    with _busy(page) as busy:
        before = _metrics(costs)
        start()
        page.wait_for_function(done, polling=500)  # asking at each frame would be a good part of what is measured
        after = _metrics(costs)
    tasks: list[float] = page.evaluate("window.longTasks")
    page.context.close()
    spent = {key: after[key] - before[key] for key in after}
    return {
        "page": name,
        "script s": round(spent["ScriptDuration"], 2),
        "layout s": round(spent["LayoutDuration"] + spent["RecalcStyleDuration"], 2),
        "all s": round(spent["TaskDuration"], 2),
        "tasks over 50 ms": len(tasks),
        "longest ms": round(max(tasks, default=0)),
        "longest, CPU ms": round(max(busy)),
    }


@contextmanager
def _busy(page: Page) -> Iterator[list[float]]:
    """Milliseconds of CPU of each task of the page's thread while the block runs; there when it has ended.

    Long tasks are told by the clock, so that those of a busy machine are mostly waiting.
    """
    browser = page.context.browser
    assert browser is not None
    trace, events, tasks, ended = browser.new_browser_cdp_session(), list[Row](), list[float](), list[Row]()
    trace.on("Tracing.dataCollected", lambda found: events.extend(found["value"]))
    trace.on("Tracing.tracingComplete", lambda end: ended.append(end))
    categories = {"transferMode": "ReportEvents", "traceConfig": {"includedCategories": ["toplevel"]}}
    trace.send("Tracing.start", categories)
    yield tasks
    trace.send("Tracing.end")
    while not ended:
        page.wait_for_timeout(50)
    trace.detach()
    names = {(one["pid"], one["tid"]): one["args"]["name"] for one in events if one["name"] == "thread_name"}
    of_pages = {thread for thread, name in names.items() if name == "CrRendererMain"}
    found = (one for one in events if one["name"].endswith("RunTask") and (one["pid"], one["tid"]) in of_pages)
    tasks += [one["tdur"] / 1000 for one in found if "tdur" in one]


def _costs(page: Page) -> CDPSession:
    """Where Chromium tells what the page's thread has spent: CPU time, so that other processes do not count."""
    costs = page.context.new_cdp_session(page)
    costs.send("Performance.enable", {"timeDomain": "threadTicks"})
    return costs


def _metrics(costs: CDPSession) -> dict[str, float]:
    return {one["name"]: one["value"] for one in costs.send("Performance.getMetrics")["metrics"]}
