"""What the server counts, for Prometheus at `/metrics`."""

import math
from bisect import bisect_right
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from backtalk.delays import PARTS, Delays, Deployed
from backtalk.engine.client import Engine


class Metrics:
    """One server's counters, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.delays = Delays()
        self.registry.register(_Deployments(self.delays))

        def counter(name: str, help: str, *labels: str) -> Counter:
            return Counter(f"backtalk_{name}", help, labels, registry=self.registry)

        def gauge(name: str, help: str, *labels: str) -> Gauge:
            return Gauge(f"backtalk_{name}", help, labels, registry=self.registry)

        self.replies = counter(
            "replies", "Replies that have ended, by end state and policy version.", "state", "version"
        )
        self.tokens = counter("tokens", "Tokens drawn for replies, by policy version.", "version")
        self.refusals = counter("refusals", "Requests on the chat socket that were refused, by code.", "code")
        self.opinions = counter("opinions", "Opinions stored, by kind.", "kind")
        self.resumed = counter("replies_resumed", "Times a reply was taken up again after a restart.")
        self.slow = counter("slow_consumers", "Sockets closed because their reader was too slow.")
        self.running = gauge("replies_running", "Replies under way.")
        self.sockets = gauge("sockets", "Open chat sockets.")
        self.tasks = gauge("tasks", "Tasks of the server's event loop.")
        self.engine = gauge("engine_up", "1 while the engine is connected.")
        self.version = gauge("policy_version", "The policy version that new replies use.")
        self.first_token = Histogram(
            "backtalk_first_token_seconds",
            "Time from asking the engine for a reply until its first token.",
            registry=self.registry,
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
        )
        self.next_token = Histogram(
            "backtalk_next_token_seconds",
            "Time from one token of a reply to its next.",
            registry=self.registry,
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2),
        )
        self.commits = Histogram(
            "backtalk_commit_seconds",
            "Time from handing pieces of replies to the writer until they are durable.",
            registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
        )
        self.swaps = Histogram(
            "backtalk_swap_seconds",
            "Time from seeing a new live version until new replies use it.",
            registry=self.registry,
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
        )

    def watch(self, engine: Engine) -> None:
        """Tell what this engine says of itself, too."""
        self.registry.register(_Beats(engine))


class _Deployments(Collector):
    """How long opinions were on their way into a version that is live; `/metrics` has the versions looked up before."""

    BUCKETS = (60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 7 * 86400, 30 * 86400)

    def __init__(self, delays: Delays) -> None:
        self._delays = delays

    def collect(self) -> Iterator[Metric]:
        """One histogram with a label for each part of the way, and `total`."""
        family = HistogramMetricFamily(
            "backtalk_feedback_to_deployed_seconds",
            "Time from an opinion until a version that has learned from it was live, by part of the way.",
            labels=["part"],
        )
        versions = self._delays.known
        for part in ("total", *PARTS):
            counts = [sum(_within(version, part, most) for version in versions) for most in (*self.BUCKETS, math.inf)]
            names = [*(str(float(most)) for most in self.BUCKETS), "+Inf"]
            seconds = sum(_seconds(version, part) for version in versions)
            family.add_metric([part], list(zip(names, counts, strict=True)), seconds)
        yield family


def _within(version: Deployed, part: str, most: float) -> int:
    """Of how many opinions this part of the way took at most so many seconds. The waits are sorted: a scrape is quick
    whatever the number of opinions.
    """
    if part == "total":
        return bisect_right(version.waits, most - version.afterwards)
    if part == "waiting":
        return bisect_right(version.waits, most)
    return len(version.waits) if version.parts[part] <= most else 0


def _seconds(version: Deployed, part: str) -> float:
    """Seconds of one part of the way, of all opinions together."""
    if part == "waiting":
        return sum(version.waits)
    if part == "total":
        return sum(version.waits) + version.afterwards * len(version.waits)
    return version.parts[part] * len(version.waits)


class _Beats(Collector):
    """The engine's newest beat; nothing while there is none."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """The metrics, made when they are asked for."""
        beat = self._engine.last_beat
        gauges = {
            "running": "Replies and rollouts that the engine computes together: its batch.",
            "waiting": "Replies and rollouts that wait for a seat.",
            "slots": "Seats.",
            "pages": "Pages of the cache, 16 tokens each.",
            "pages_used": "Pages that running replies hold.",
            "pages_kept": "Pages that nobody holds, kept for texts that begin alike.",
        }
        counters = {
            "step": "Steps that the engine has run.",
            "tokens": "Tokens that the engine has drawn; by seconds its speed, by steps its mean batch.",
            "prompt_tokens": "Tokens of prompts that the engine has computed.",
        }
        for name, help in gauges.items():
            if name in beat:
                yield GaugeMetricFamily(f"backtalk_engine_{name}", help, value=beat[name])
        for name, help in counters.items():
            if name in beat:
                yield CounterMetricFamily(f"backtalk_engine_{name}", help, value=beat[name])
