"""Traces of what the processes do, for whoever collects them with OpenTelemetry. No text of people is in any of them.

The standard `OTEL_*` environment says where they go; without a collector named there nothing is traced. One trace is
one reply, from what came over the socket to the steps of the engine, or one run of the learner, stage by stage.
"""

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NoOpTracer, Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from backtalk import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

FAREWELL_SECONDS = 2.0
"""How long a process that ends waits for its last spans to be taken."""
COLLECTORS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"
TRACEPARENT = "traceparent"

Value = str | bool | int | float | list[str]

log = logging.getLogger(__name__)
_w3c = TraceContextTextMapPropagator()
# Our own, and not the one that libraries share: what they would tell of a request we do not know.
_tracer: Tracer = NoOpTracer()


@contextmanager
def exporting(role: str) -> Iterator[None]:
    """Send this process's spans to the collector, if one is named, while the block runs.

    They are sent in batches by a thread of their own: a collector that is slow or dead loses spans and keeps nobody.
    """
    global _tracer
    provider = _provider(role)
    if provider is None:
        yield
        return
    _tracer = provider.get_tracer("backtalk", __version__)
    try:
        yield
    finally:
        _tracer = NoOpTracer()
        farewell = threading.Thread(target=provider.shutdown, name="last spans", daemon=True)
        farewell.start()
        farewell.join(FAREWELL_SECONDS)


def start(
    name: str,
    attributes: Mapping[str, Value] | None = None,
    *,
    traceparent: str | None = None,
    at: int | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
) -> Span:
    """Begin a span that its owner ends.

    Args:
        traceparent: of the span that it belongs to; the current one when absent.
        at: when it began, in nanoseconds since 1970; now when absent.
    """
    return _tracer.start_span(name, _context(traceparent), kind, attributes, start_time=at)


@contextmanager
def span(
    name: str,
    attributes: Mapping[str, Value] | None = None,
    *,
    traceparent: str | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
) -> Iterator[Span]:
    """A span around the block, and the current one in it. Of an error its kind is told, never its words."""
    began = start(name, attributes, traceparent=traceparent, kind=kind)
    try:
        with trace.use_span(began, record_exception=False, set_status_on_exception=False):
            yield began
    except Exception as error:
        fail(began, type(error).__name__)
        raise
    finally:
        began.end()


def fail(span: Span, kind: str) -> None:
    """Say that what the span stands for has failed."""
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)


def current() -> Span:
    """The span around what runs now; one that keeps nothing when there is none."""
    return trace.get_current_span()


def traceparent() -> str | None:
    """The current span as it travels to another process (W3C Trace Context); None when nothing is traced."""
    if not current().is_recording():
        return None
    carrier: dict[str, str] = {}
    _w3c.inject(carrier)
    return carrier.get(TRACEPARENT)


def headers() -> dict[str, str]:
    """The same as headers of a request, or further fields of a message."""
    found = traceparent()
    return {} if found is None else {TRACEPARENT: found}


def _context(traceparent: str | None) -> Context | None:
    return None if traceparent is None else _w3c.extract({TRACEPARENT: traceparent}, Context())


def _provider(role: str) -> "TracerProvider | None":
    """What makes spans and sends them, as the environment has it; None where it asks for none."""
    named = next((name for name in COLLECTORS if os.environ.get(name)), None)
    is_off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or (
        os.environ.get("OTEL_TRACES_EXPORTER", "otlp").lower() == "none"
    )
    if named is None or is_off:
        return None
    protocol = next((os.environ[name] for name in PROTOCOLS if os.environ.get(name)), PROTOCOL)
    if protocol != PROTOCOL:
        log.warning("nothing is traced: the protocol is %s, and traces are sent by %s alone", protocol, PROTOCOL)
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.warning(
            "nothing is traced: %s is set, but %s is not installed; pip install 'backtalk[otel]'", named, error.name
        )
        return None
    ours = Resource.create({"service.name": f"backtalk-{role}", "service.version": __version__})
    provider = TracerProvider(resource=ours.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
