"""A program whose spans hold whatever OTLP can hold; it says what it produced.

    python -m otel_collector.producer EXPECTED [--end-at-once]

EXPECTED is where the same spans are written by OpenTelemetry's own encoder.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

import spanwise

ODD = 'ünïcödé \u2028 \U0001f600 "quotes" \\ back\tslash\nnew line \x00\x1f </script>'
LARGE = "0123456789abcdef" * 100_000  # longer than what a reader of lines takes by default
VALUES = {
    "text": ODD,
    "empty": "",
    "true": True,
    "zero": 0,
    "most": 2**63 - 1,
    "least": -(2**63),
    "beyond double": 2**53 + 1,
    "small": 5e-324,
    "nan": float("nan"),
    "infinite": float("inf"),
    "minus infinite": float("-inf"),
    "whole": 3.0,
    "bytes": b"\xff\x00\xfe",
    "texts": ["a", "", ODD],
    "numbers": [1, 2, -3],
    "fractions": [0.5, 1e300],
    "flags": [True, False],
    "none of it": [],
    ODD: "a key can be odd, too",
    "crc": "00000000",
    "line": '{"resourceSpans":[]},"crc":"00000000"}',
}


@spanwise.tool(description="Adds")
def add(left: int, right: int) -> int:
    """Add two numbers."""
    return left + right


@spanwise.tool
def fail(reason: str) -> None:
    """Raise an error with a traceback."""
    raise ValueError(reason)


@spanwise.generation(model="a-model")
def stream(prompt: str) -> object:
    """Stream two chunks."""
    yield "one "
    yield prompt


@spanwise.agent(name="Answer", version="2")
def answer(question: str) -> str:
    """Call everything once."""
    try:
        fail(ODD)
    except ValueError:
        spanwise.event("failed", reason=ODD)
    return "".join(stream(question)) + str(add(1, 2))


def produce() -> None:
    """Make spans by our decorators, and by OpenTelemetry's own means."""
    with spanwise.identify(user="jane", account="org_7", session_id="s-1", tags=["a", "b"]):
        answer(ODD)
    tracer = trace.get_tracer("a library", "1.2.3", schema_url="https://opentelemetry.io/schemas/1")
    with tracer.start_as_current_span("all values", kind=SpanKind.CLIENT, attributes=VALUES) as one:
        one.add_event("an event", {"with": "attributes", "and": 1})
        links = [Link(one.get_span_context(), {"why": "it is linked"})]
        with tracer.start_as_current_span("linked", kind=SpanKind.PRODUCER, links=links) as other:
            other.set_status(Status(StatusCode.ERROR, ODD))
        with tracer.start_as_current_span("well", kind=SpanKind.SERVER) as well:
            well.set_status(Status(StatusCode.OK))
    with tracer.start_as_current_span("large") as large:
        large.set_attribute("large", LARGE)
    for number in range(300):
        add(number, 1)


def main(expected: Path, *, ends_at_once: bool) -> int:
    """Produce, and say what."""
    spanwise.configure(service_name=f"ünït {os.getpid()}", service_version="1", environment="test")
    kept = InMemorySpanExporter()
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(kept))
    produce()
    expected.write_bytes(encode_spans(kept.get_finished_spans()).SerializeToString())
    if ends_at_once:
        os._exit(0)
    return 0 if spanwise.flush(30) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), ends_at_once="--end-at-once" in sys.argv))
