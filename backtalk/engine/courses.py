"""What a traced reply did in the engine, as spans: one for all of it, and in it the wait, the prompt and the drawing.

They are made when the reply has ended, in another thread than that of the steps.
"""

import time

from opentelemetry.trace import SpanKind, use_span

from backtalk import tracing
from backtalk.engine.sampling import FinishReason
from backtalk.engine.scheduler import Course, Request


def tell(course: Course, request: Request, reason: FinishReason) -> None:
    """Tell of a request that has just ended."""
    now = time.time_ns()
    asked = request.drawn_before + request.position
    drawn = len(request.tokens) - asked
    whole = tracing.start(
        "generate",
        {
            "backtalk.policy.version": request.version,
            "gen_ai.usage.input_tokens": asked,
            "gen_ai.usage.output_tokens": drawn,
            "gen_ai.response.finish_reasons": [reason],
        },
        traceparent=course.traceparent,
        at=course.asked,
        kind=SpanKind.SERVER,
    )
    if reason == "error":
        tracing.fail(whole, "step")
    with use_span(whole):
        _part("queue", course.asked, course.begun or now, {})
        if course.begun is not None:
            computed: dict[str, tracing.Value] = {
                "gen_ai.usage.input_tokens": asked,
                "gen_ai.usage.cache_read.input_tokens": course.kept,
                "backtalk.steps": course.steps,
            }
            _part("prefill", course.begun, course.filled or now, computed)
        if course.filled is not None:
            made: dict[str, tracing.Value] = {"gen_ai.usage.output_tokens": drawn, "backtalk.steps": max(0, drawn - 1)}
            _part("decode", course.filled, now, made)
    whole.end(now)


def _part(name: str, began: int, ended: int, attributes: dict[str, tracing.Value]) -> None:
    tracing.start(name, attributes, at=began).end(ended)
