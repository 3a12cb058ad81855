"""`python -m bench.client [--peers] [--json FILE]`: what the chat page costs whoever looks at it.

The client must be built (`make install`). With `--peers`, pages made with open-source peers are installed, built and
measured in turn with ours, on the same stage and the same stream.
"""

import argparse
import statistics
import subprocess
from pathlib import Path

from playwright.sync_api import Browser

from bench.client import page
from bench.client.stage import stage
from bench.report import Row, show

PEERS = Path(__file__).parent / "peers"
NAMES = ("assistant-ui", "chatscope", "deep-chat", "streamdown")
EARLIER = 40
"""Messages above the stream where pages are held side by side."""


def main() -> None:
    """Measure, and print a table each."""
    given = _parse()
    built = _built() if given.peers else None
    with page.chromium() as browser, stage(built) as home:
        seen: Row = {"script kB (gzip)": page.bundle(".js"), "style kB (gzip)": page.bundle(".css")}
        seen |= page.first_sight(browser, home)
        show("client, first sight", [seen], given.json)
        show("client, stream under 200 messages", [page.ours(browser, home, 200)], given.json)
        show("client, scrolling", [page.scrolling(browser, home, 1000)], given.json)
        if built is not None:
            rows = _side_by_side(browser, home, given.rounds)
            show(f"client, stream under {EARLIER} messages", rows, given.json)


def _side_by_side(browser: Browser, home: str, rounds: int) -> list[Row]:
    """All pages in turn, so that what else the machine does meets them alike; medians, and how often ours it takes."""
    measured: dict[str, list[Row]] = {}
    for _ in range(rounds):
        for row in (page.ours(browser, home, EARLIER), *(page.peer(browser, home, name, EARLIER) for name in NAMES)):
            measured.setdefault(row["page"], []).append(row)
    middle = {
        name: {"page": name} | {key: statistics.median(row[key] for row in rows) for key in rows[0] if key != "page"}
        for name, rows in measured.items()
    }
    own = middle["backtalk"]["script s"]
    return [{**row, "script / ours": round(row["script s"] / own, 2)} for row in middle.values()]


def _built() -> Path:
    """The peers' pages, installed and built where they are not yet."""
    if not (PEERS / "node_modules").exists():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=PEERS, check=True)
    subprocess.run(["npx", "vite", "build", "--logLevel", "warn"], cwd=PEERS, check=True)
    return PEERS / "dist"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.client", description="Measure the chat page in Chromium.")
    parser.add_argument("--peers", action="store_true", help="beside pages made with open-source peers")
    parser.add_argument("--rounds", type=int, default=3, help="with --peers: how often each is measured (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the figures to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
