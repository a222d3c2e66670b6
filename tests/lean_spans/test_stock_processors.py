"""OpenTelemetry's own processors and exporters get the same of lean spans as of its own spans."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    set_span_in_context,
)

from support.receiver import Receiver
from support.twins import Side, is_of, on_both, sent, sides


def work(side: Side) -> None:
    """Make a trace with some of everything."""
    remote = SpanContext(7, 8, True, TraceFlags(1))
    context = set_span_in_context(NonRecordingSpan(remote), Context())
    link = Link(remote, {"l": [1]})
    with side.tracer.start_as_current_span(
        "root", context, SpanKind.SERVER, {"a": "b"}, [link]
    ) as root:
        side.spans.append(root)
        with side.tracer.start_as_current_span("plain", attributes={"a": 1}) as plain:
            side.spans.append(plain)
        root.set_attributes({"list": ["x"], "bytes": b"y", "a": 2.5})
        root.add_event("event", {"e": True})
        try:
            with side.tracer.start_as_current_span("fails") as fails:
                side.spans.append(fails)
                raise ValueError("wrong")
        except ValueError:
            pass
    side.tracer.start_span("unsampled", not_sampled()).end()


def not_sampled() -> Context:
    return set_span_in_context(NonRecordingSpan(SpanContext(7, 8, True, TraceFlags(0))), Context())


def compared(processors: Sequence[sdk.SpanProcessor]) -> None:
    """Give each side its processor, and its work."""
    both = sides()
    for side, processor in zip(both, processors, strict=True):
        side.provider.add_span_processor(processor)
    theirs, ours = on_both(both, work)
    assert theirs == ours
    assert is_of(both[1])
    for side in both:
        assert side.provider.force_flush()
        side.provider.shutdown()


KINDS: list[Callable[[SpanExporter], sdk.SpanProcessor]] = [SimpleSpanProcessor, BatchSpanProcessor]


class Sent(SpanExporter):
    """What the stock encoder makes of what is exported."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def export(self, spans: Any) -> SpanExportResult:
        self.spans += [(type(span), sent(span)) for span in spans]
        return SpanExportResult.SUCCESS


@pytest.mark.parametrize("kind", KINDS)
def test_an_exporter_gets_the_same_spans(kind):
    """At once or in batches: readable ones, as of the SDK's."""
    exporters = [Sent(), Sent()]
    compared([kind(exporter) for exporter in exporters])
    assert exporters[0].spans == exporters[1].spans
    assert [sdk.ReadableSpan] * 3 == [kind for kind, _ in exporters[1].spans]


@pytest.mark.parametrize("kind", KINDS)
def test_the_console_shows_the_same(kind):
    """Each span's JSON."""
    texts = [io.StringIO(), io.StringIO()]
    compared([kind(ConsoleSpanExporter(out=text)) for text in texts])
    assert texts[0].getvalue() == texts[1].getvalue()
    assert '"name": "fails"' in texts[1].getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_the_memory_keeps_the_same(kind):
    """As long as one likes: it does not change any more."""
    memories = [InMemorySpanExporter(), InMemorySpanExporter()]
    compared([kind(memory) for memory in memories])
    kept = [[sent(span) for span in memory.get_finished_spans()] for memory in memories]
    assert kept[0] == kept[1]
    assert 3 == len(kept[1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_receiver_gets_the_same_from_the_stock_exporter(kind):
    """By HTTP, in protobuf."""
    receivers = [Receiver(), Receiver()]
    try:
        compared([kind(OTLPSpanExporter(f"{r.url}/v1/traces", timeout=10)) for r in receivers])
        got = [[request for _, _, request in receiver.requests] for receiver in receivers]
        assert got[0] == got[1]
        assert got[1] != []
    finally:
        for receiver in receivers:
            receiver.close()
