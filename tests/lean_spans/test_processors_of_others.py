"""The processors of others' packages get the same of lean spans as of OpenTelemetry's own.

`make test-processors` installs them; where one is not installed its test is skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace as trace_api
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

import spanwise
from spanwise._lean_spans import LeanSpan
from support.twins import SdkIds, Sent, compared, on_both, sent, sides


@pytest.fixture(autouse=True)
def registered_attributes() -> None:
    """Others put on our spans what they like, whatever our registry says."""


def of_langfuse(exporter: SpanExporter) -> sdk.SpanProcessor:
    pytest.importorskip("langfuse")
    from langfuse._client.span_processor import LangfuseSpanProcessor

    return LangfuseSpanProcessor(
        public_key="pk-1",
        secret_key="sk-1",
        base_url="http://127.0.0.1:1",
        span_exporter=exporter,
        should_export_span=lambda span: True,
    )


def of_traceloop(exporter: SpanExporter) -> sdk.SpanProcessor:
    pytest.importorskip("traceloop.sdk")
    from traceloop.sdk.tracing.tracing import get_default_span_processor

    return get_default_span_processor(disable_batch=True, exporter=exporter)


def of_logfire(exporter: SpanExporter) -> sdk.SpanProcessor:
    pytest.importorskip("logfire")
    from logfire._internal.exporters.processor_wrapper import (
        CheckSuppressInstrumentationProcessorWrapper,
        MainSpanProcessorWrapper,
    )
    from logfire._internal.scrubbing import Scrubber

    inner = SimpleSpanProcessor(exporter)
    return CheckSuppressInstrumentationProcessorWrapper(
        MainSpanProcessorWrapper(inner, Scrubber([]))
    )


def of_logfire_pending(exporter: SpanExporter) -> sdk.SpanProcessor:
    pytest.importorskip("logfire")
    from logfire._internal.tracer import PendingSpanProcessor

    return PendingSpanProcessor(SdkIds(), SimpleSpanProcessor(exporter))


OTHERS: list[Callable[[SpanExporter], sdk.SpanProcessor]] = [
    of_langfuse,
    of_traceloop,
    of_logfire,
    of_logfire_pending,
]


@pytest.mark.parametrize("made", OTHERS)
def test_a_processor_of_others_gets_the_same_spans(made):
    """It exports the same bytes."""
    exporters = [Sent(), Sent()]
    compared([made(exporter) for exporter in exporters])
    assert exporters[0].spans == exporters[1].spans
    assert exporters[1].spans != []


@spanwise.agent
def answer(question: str) -> str:
    spanwise.current().update(metadata={"k": 5})
    return question.upper()


@pytest.mark.parametrize("made", OTHERS)
def test_a_processor_of_others_gets_the_same_of_decorated_calls(made, tmp_path):
    """Whichever spans our provider makes."""
    told = []
    for lean in (True, False):
        exporter = Sent()
        spanwise.configure(traces_dir=tmp_path / str(lean), lean_spans=lean)
        processor = made(exporter)
        provider: Any = trace_api.get_tracer_provider()
        provider.add_span_processor(processor)
        answer("why?")
        assert processor.force_flush()
        processor.shutdown()
        told.append([(span.name, dict(span.attributes)) for span in exporter.exported])
    assert told[0] == told[1]
    assert ["answer"] == [name for name, _ in told[0]]


def test_a_tracer_of_openinference_makes_the_same_spans():
    """It hides what it is to hide, and sets what it sets, when a span ends, too."""
    pytest.importorskip("openinference.instrumentation")
    from openinference.instrumentation import OITracer, TraceConfig, using_attributes

    both = sides()
    for side in both:
        side.provider.add_span_processor(side.recorder)

    def work(side: Any) -> None:
        tracer = OITracer(side.tracer, TraceConfig(hide_inputs=True))
        with (
            using_attributes(session_id="s", user_id="u", metadata={"m": 1}),
            tracer.start_as_current_span("chain", openinference_span_kind="chain") as span,
        ):
            span.set_input("secret")
            span.set_output({"o": 1})
            span.set_attribute("llm.input_messages.0.message.content", "secret")
            side.spans.append(span.__wrapped__)

    theirs, ours = on_both(both, work)
    assert theirs == ours
    ended = [[sent(span) for span in side.recorder.ended] for side in both]
    assert ended[0] == ended[1]
    assert type(both[1].spans[0]) is LeanSpan


def test_a_tracer_of_logfire_goes_on_our_provider(tmp_path):
    """Its provider wraps ours, and its spans stand around lean ones."""
    pytest.importorskip("logfire")
    from logfire._internal.config import GLOBAL_CONFIG
    from logfire._internal.tracer import ProxyTracerProvider

    ended = []
    for side in sides():
        side.provider.add_span_processor(side.recorder)
        tracer = ProxyTracerProvider(side.provider, GLOBAL_CONFIG).get_tracer("t")
        with side.at_work(), tracer.start_as_current_span("one", attributes={"a": 1}) as span:
            span.set_attribute("b", [2])
        ended.append([dict(span.attributes) for span in side.recorder.ended])
    assert ended[0] == ended[1]
    assert len(ended[1]) == 1
