"""A collector of traces as OpenTelemetry publishes it: OTLP over HTTP, read by the official definitions."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from tests.server.stack import PATIENCE


@dataclass(frozen=True)
class Told:
    """A span as it was exported."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    began: int
    ended: int
    attributes: dict[str, object]
    events: list[str]
    has_failed: bool


class Collector:
    """Takes spans until it hangs: then it takes connections and never answers."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self._spans: list[Told] = []
        self._came = threading.Condition()
        self.hangs = threading.Event()
        self.is_over = threading.Event()
        self.port = 0

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process export here, often."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}", "OTEL_BSP_SCHEDULE_DELAY": "50"}

    def take(self, path: str, body: bytes) -> None:
        """Read what was exported."""
        assert path == "/v1/traces", path
        request = ExportTraceServiceRequest.FromString(body)
        with self._came:
            self.raw.append(body)
            for resource in request.resource_spans:
                names = {one.key: _value(one.value) for one in resource.resource.attributes}
                for scope in resource.scope_spans:
                    self._spans += [
                        Told(
                            service=str(names["service.name"]),
                            name=span.name,
                            trace=span.trace_id.hex(),
                            id=span.span_id.hex(),
                            parent=span.parent_span_id.hex(),
                            began=span.start_time_unix_nano,
                            ended=span.end_time_unix_nano,
                            attributes={one.key: _value(one.value) for one in span.attributes},
                            events=[event.name for event in span.events],
                            has_failed=span.status.code == 2,
                        )
                        for span in scope.spans
                    ]
            self._came.notify_all()

    def trace(self, *names: str, trace: str | None = None) -> dict[str, Told]:
        """The spans of the one trace that has spans of these names and no others, each once, when all have come.

        Args:
            trace: its id, where several have the same names.
        """

        def whole() -> dict[str, Told] | None:
            for id in [trace] if trace else dict.fromkeys(span.trace for span in self._spans):
                spans = [span for span in self._spans if span.trace == id]
                if sorted(span.name for span in spans) == sorted(names):
                    return {span.name: span for span in spans}
            return None

        with self._came:
            assert self._came.wait_for(lambda: whole() is not None, PATIENCE), [
                (span.trace, span.name) for span in self._spans
            ]
            found = whole()
        assert found is not None
        return found

    def spans(self, trace: str) -> list[Told]:
        """What has come of a trace."""
        with self._came:
            return [span for span in self._spans if span.trace == trace]


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens while the block runs."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if collector.hangs.is_set():
                collector.is_over.wait(PATIENCE)
                return
            collector.take(self.path, body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.port = server.server_port
    listening = threading.Thread(target=server.serve_forever, args=(0.05,))
    listening.start()
    try:
        yield collector
    finally:
        collector.is_over.set()
        server.shutdown()
        listening.join()
        server.server_close()


def _value(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return None if kind is None else getattr(value, kind)
