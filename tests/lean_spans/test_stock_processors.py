"""OpenTelemetry's own processors and exporters get the same of lean spans as of its own spans."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
    SpanExporter,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from support.receiver import Receiver
from support.twins import Sent, compared, sent

KINDS: list[Callable[[SpanExporter], sdk.SpanProcessor]] = [SimpleSpanProcessor, BatchSpanProcessor]


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
