"""What the chat page loads before anything is asked of it stays small, whatever is built into it later."""

from bench.client.page import bundle

BUDGET = 250.0
"""Kilobytes, gzipped: scripts and styles together."""


def test_the_scripts_and_styles_of_the_chat_page_fit_their_budget() -> None:
    script, style = bundle(".js"), bundle(".css")
    assert script > 50 and style > 1, "server/web holds no built page; `make install` builds it"
    assert script + style <= BUDGET, (
        f"the chat page loads {script} KB of script and {style} KB of style at first, {BUDGET} KB are allowed: "
        "what few people need at once belongs behind an import()"
    )
