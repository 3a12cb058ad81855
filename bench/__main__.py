"""`python -m bench BENCH … [--peers] [--json FILE]`; `--help` names the benches."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from backtalk.tastes import TASTES
from backtalk.temporary import Temporary, temporary
from bench import actions, canary, gate, gateway, learner, loop, raters, reward, serving, soak, summary, swap
from bench.peers import house
from bench.report import Row, show
from bench.shapes import SHAPES

BENCHES: dict[str, Callable[[Temporary], Awaitable[list[Row]]]] = {
    "serving": serving.bench,
    "swap": swap.bench,
    "actions": actions.bench,
    "canary": canary.bench,
}
"""Those that measure a whole Backtalk."""
FROM_FEW: dict[str, Callable[[Sequence[str], int, int], list[Row]]] = {"gate": gate.bench, "reward": reward.bench}
"""Those that rate a pool of replies, and serve nothing."""
NAMES = ("serving", "swap", "actions", "gateway", "learner", "loop", "canary", "summary")


def main() -> None:
    """Run what was asked for, one after the other."""
    given = _parse()
    for name in given.benches or NAMES:
        if name == "peers":
            show(name, asyncio.run(house.installed_or_not()), given.json)
        elif name == "gateway":
            show(name, asyncio.run(gateway.bench()), given.json)
        elif name == "device":
            from bench import device  # imports torch

            rates, swaps = device.bench(given.shape or list(device.SHAPES))
            show("device, 1,024 tokens of context", rates, given.json)
            show("device, a version loaded beside", swaps, given.json)
        elif name == "summary":
            show(name, asyncio.run(summary.bench()), given.json)
        elif name == "soak":
            asyncio.run(_soak(given.minutes, given.every, given.json))
        elif name == "learner":
            show("learner, one core", learner.bench(peers=given.peers), given.json)
        elif name == "serving" and given.peers:
            for shape in given.shape or SHAPES:
                peers = given.only or serving.PEERS
                rows = serving.beside_peers(shape, peers, given.streams, given.tokens, given.rounds)
                show(f"serving {shape} beside peers", asyncio.run(rows), given.json)
        elif name in FROM_FEW:
            show(name, FROM_FEW[name](given.taste or (), given.thumbs, given.seeds), given.json)
        elif name == "raters":
            show(name, raters.bench(given.seeds), given.json)
        elif name == "loop":
            learned, parts = asyncio.run(loop.bench(given.taste or loop.LIKED, given.thumbs, given.seeds))
            show(name, learned, given.json)
            if parts:  # none where every run ended before its gate
                show("loop, parts of the way", parts, given.json)
        else:
            asyncio.run(_run(name, BENCHES[name], given.json))


async def _run(name: str, bench: Callable[[Temporary], Awaitable[list[Row]]], out: Path | None) -> None:
    async with temporary() as backtalk:
        show(name, await bench(backtalk), out)


async def _soak(minutes: float, every: float, out: Path | None) -> None:
    async with temporary() as backtalk:
        came, grew = await soak.bench(backtalk, minutes, every)
    show("soak", came, out)
    show("soak, what grows", grew, out)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="backtalk bench", description="Measure this Backtalk on this machine.")
    names = [*NAMES, *FROM_FEW, "raters", "device", "soak", "peers"]
    parser.add_argument("benches", nargs="*", choices=names, metavar="bench", help=", ".join(names))
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the figures to this file")
    tastes = [*TASTES, *loop.ODD]
    parser.add_argument(
        "--taste", action="append", choices=tastes, metavar="NAME", help="loop, gate, reward: what people like"
    )
    parser.add_argument(
        "--thumbs", type=int, default=loop.THUMBS, help="loop, gate, reward: opinions to learn from (%(default)s)"
    )
    parser.add_argument(
        "--seeds", type=int, default=1, help="loop, gate, reward, raters: crowds for each taste (%(default)s)"
    )
    parser.add_argument("--peers", action="store_true", help="serving, learner: beside others on the same weights")
    parser.add_argument(
        "--shape", action="append", metavar="NAME", help="with --peers: S, M or a model's directory; device: 0.5B, 8B"
    )
    parser.add_argument("--only", action="append", metavar="PEER", choices=serving.PEERS, help="with --peers: these")
    crowds = list(serving.CROWDS)
    parser.add_argument("--streams", type=int, nargs="+", default=crowds, help="with --peers: replies at once")
    parser.add_argument("--tokens", type=int, default=128, help="with --peers: of each reply (%(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="with --peers: how often each is measured (%(default)s)")
    parser.add_argument("--minutes", type=float, default=60, help="soak: how long (%(default)s)")
    parser.add_argument("--every", type=float, default=15, help="soak: minutes between two trainings (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
