import sys

import pytest

from backtalk import tracing


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")


def test_what_is_not_installed_is_told_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with tracing.exporting("server"), tracing.span("reply"):
        assert tracing.headers() == {}, "it goes on, untraced"
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is set" in caplog.text
    assert "pip install 'backtalk[otel]'" in caplog.text


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("OTEL_SDK_DISABLED", "true", ""),
        ("OTEL_TRACES_EXPORTER", "none", ""),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "", ""),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "the protocol is grpc"),
    ],
)
def test_the_environment_turns_traces_off(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(name, value)
    with tracing.exporting("server"), tracing.span("reply") as span:
        assert tracing.headers() == {} and not span.is_recording()
    assert words in caplog.text and bool(words) == bool(caplog.text)


def test_traces_are_on_while_the_block_runs() -> None:
    with tracing.exporting("server"), tracing.span("reply"):
        assert list(tracing.headers()) == ["traceparent"]
    with tracing.span("reply"):
        assert tracing.headers() == {}
