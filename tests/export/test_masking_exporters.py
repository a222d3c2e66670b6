"""An exporter that the application owns gets masked spans and log records through ours."""

from __future__ import annotations

import base64
import json
import os
import random
import subprocess
import sys

import pytest
from opentelemetry import trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    InMemoryLogRecordExporter,
    LogRecordExportResult,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import spanwise
from spanwise import _masking
from spanwise.export import masking
from spanwise.export.masking import MaskingLogRecordExporter, MaskingSpanExporter

SECRET = "sk-" + "a1b2c3d4e5f6a7b8"


@pytest.fixture
def tracer():
    """A tracer of a provider of the application's, and the exporter behind the masking one."""
    inner = InMemorySpanExporter()
    resource = Resource({"service.name": "app", "deploy.token": "hidden-r", "text": SECRET})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(SimpleSpanProcessor(MaskingSpanExporter(inner)))
    return provider.get_tracer("third", attributes={"password": "hidden-s"}), inner


def test_every_part_of_a_span_is_masked(tracer):
    """And what is harmless, ids, times and kinds included, is as it was."""
    made, inner = tracer
    link = trace.Link(trace.SpanContext(1, 2, is_remote=True), {"api_key": "hidden-l"})
    with made.start_as_current_span(
        f"name {SECRET}", links=[link], kind=trace.SpanKind.CLIENT
    ) as s:
        s.set_attributes({"password": "hidden-a", "text": f"x {SECRET}", "n": 1, "list": [SECRET]})
        s.add_event(f"event {SECRET}", {"secret": "hidden-e", "ok": True}, 5)
        s.set_status(trace.StatusCode.ERROR, SECRET)
    (span,) = inner.get_finished_spans()
    told = span.to_json()
    for secret in (SECRET, "hidden-"):
        assert secret not in told
    assert s.get_span_context() == span.context
    assert (s.start_time, s.end_time, trace.SpanKind.CLIENT) == (
        span.start_time,
        span.end_time,
        span.kind,
    )
    assert 1 == span.attributes["n"]
    assert True is span.events[0].attributes["ok"]
    assert 5 == span.events[0].timestamp
    assert "app" == span.resource.attributes["service.name"]


def test_it_masks_as_configure_says(tracer, tmp_path):
    """Without being told again; a masker of its own has the last word."""
    made, inner = tracer
    spanwise.configure(traces_dir=None, mask=["ssn"], tracer_provider=TracerProvider())
    made.start_span("x", attributes={"ssn": "hidden"}).end()
    own = MaskingSpanExporter(inner, masker=_masking.Masker(["color"]))
    own.export([_span("y", {"ssn": "shown", "color": "hidden"})])
    first, second = inner.get_finished_spans()
    assert "***" == first.attributes["ssn"]
    assert ("shown", "***") == (second.attributes["ssn"], second.attributes["color"])


def test_without_content_it_hands_none_on(tracer):
    """The switch holds for exporters of the application's too."""
    made, inner = tracer
    spanwise.configure(traces_dir=None, capture_content=False, tracer_provider=TracerProvider())
    made.start_span("x", attributes={"gen_ai.input.messages": "CONTENT", "n": 1}).end()
    (span,) = inner.get_finished_spans()
    assert {"n": 1} == dict(span.attributes)


def test_a_span_that_cannot_be_masked_is_not_handed_on(monkeypatch, swallowed):
    """Its neighbours are, and the loss is counted."""
    inner = InMemorySpanExporter()
    real = masking.make_record

    def failing(span, *args, **kwargs):
        if span.name == "bad":
            raise ValueError("no")
        return real(span, *args, **kwargs)

    monkeypatch.setattr(masking, "make_record", failing)
    spans = [_span(name, {"t": SECRET}) for name in ("a", "bad", "b")]
    assert MaskingSpanExporter(inner).export(spans) is SpanExportResult.SUCCESS
    assert ["a", "b"] == [span.name for span in inner.get_finished_spans()]
    assert 1 == spanwise.stats()["dropped.unmaskable"]
    assert {"failures.masking": 1} == swallowed()


def test_flush_and_shutdown_reach_the_inner_exporter():
    """And its answers come back."""
    inner = InMemorySpanExporter()
    outer = MaskingSpanExporter(inner)
    assert outer.force_flush(10) is True
    outer.shutdown()
    assert outer.export([_span("late", {})]) is SpanExportResult.FAILURE


def log_provider(inner):
    provider = LoggerProvider(resource=Resource({"password": "hidden-r", "service.name": "app"}))
    provider.add_log_record_processor(SimpleLogRecordProcessor(MaskingLogRecordExporter(inner)))
    return provider


def test_every_part_of_a_log_record_is_masked():
    """Bodies of every kind, attributes, event name, exception, resource."""
    from opentelemetry._logs import LogRecord, SeverityNumber

    inner = InMemoryLogRecordExporter()
    provider = log_provider(inner)
    logger = provider.get_logger("third")
    bodies = [
        f"call with {SECRET}",
        {"role": "user", "content": f"my key {SECRET}", "password": "hidden-b"},
        [{"api_key": "hidden-b"}, "ok"],
        None,
        SECRET.encode(),
    ]
    for body in bodies:
        logger.emit(
            LogRecord(
                timestamp=3,
                body=body,
                event_name=f"gen_ai.user.message {SECRET}",
                attributes={"secret": "hidden-a", "n": 1, "text": SECRET},
                severity_number=SeverityNumber.INFO,
            )
        )
    told = "".join(log.to_json() for log in inner.get_finished_logs())
    for secret in (SECRET, SECRET.encode().hex(), "hidden-"):
        assert secret not in told
    first = inner.get_finished_logs()[0]
    assert (3, SeverityNumber.INFO) == (
        first.log_record.timestamp,
        first.log_record.severity_number,
    )
    assert 1 == first.log_record.attributes["n"]
    assert "ok" in told


def test_the_rest_of_a_log_record_is_masked_too():
    """Severity, scope, and a body whose names are no texts, or that holds an image."""
    from opentelemetry._logs import LogRecord

    inner = InMemoryLogRecordExporter()
    provider = log_provider(inner)
    logger = provider.get_logger(
        f"scope {SECRET}", f"1 {SECRET}", attributes={"password": "hidden-s"}
    )
    image = base64.b64encode(random.Random(1).randbytes(3000)).decode()
    body = {b"password": "hidden-b", 5: "five", "image": f"data:image/png;base64,{image}"}
    logger.emit(LogRecord(body=body, severity_text=f"password={SECRET}"))
    (log,) = inner.get_finished_logs()
    told = log.to_json() + repr(log.instrumentation_scope)
    assert SECRET not in told
    assert "hidden-" not in told
    assert image[:60] not in told
    assert "five" == log.log_record.body["5"]
    provider.shutdown()


def test_no_trace_state_is_handed_on(tracer):
    """Others fill it: of the span, of its parent, and of what it links to."""
    made, inner = tracer
    state = trace.TraceState([("v", SECRET)])
    above = trace.SpanContext(1 << 100, 5, True, trace.TraceFlags(1), state)
    context = trace.set_span_in_context(trace.NonRecordingSpan(above))
    made.start_span("x", context=context, links=[trace.Link(above)]).end()
    (span,) = inner.get_finished_spans()
    assert SECRET not in span.to_json()
    assert not span.parent.trace_state
    assert not span.links[0].context.trace_state
    assert above.span_id == span.parent.span_id == span.links[0].context.span_id


@pytest.mark.parametrize("made", [MaskingSpanExporter, MaskingLogRecordExporter])
def test_an_exporter_is_not_made_of_something_else(made):
    """It says what it was given."""
    with pytest.raises(TypeError, match="inner must be an exporter, not 3"):
        made(3)
    with pytest.raises(TypeError, match="masker must be a Masker, not 'x'"):
        made(InMemorySpanExporter(), masker="x")


def test_a_log_record_of_anothers_is_left_as_it_is():
    """Other processors get it too."""
    from opentelemetry._logs import LogRecord

    kept, inner = InMemoryLogRecordExporter(), InMemoryLogRecordExporter()
    provider = log_provider(inner)
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
    provider.get_logger("x").emit(LogRecord(body=SECRET, attributes={"a": SECRET}))
    (raw,) = kept.get_finished_logs()
    assert (SECRET, SECRET) == (raw.log_record.body, raw.log_record.attributes["a"])
    assert "***" == inner.get_finished_logs()[0].log_record.body
    provider.shutdown()


def test_without_content_events_lose_their_bodies():
    """A log line that is no event keeps its text."""
    from opentelemetry._logs import LogRecord

    spanwise.configure(traces_dir=None, capture_content=False, tracer_provider=TracerProvider())
    inner = InMemoryLogRecordExporter()
    provider = log_provider(inner)
    logger = provider.get_logger("x")
    logger.emit(LogRecord(body={"content": "CONTENT"}, event_name="gen_ai.user.message"))
    logger.emit(LogRecord(body="a line"))
    assert [None, "a line"] == [log.log_record.body for log in inner.get_finished_logs()]
    provider.shutdown()


def test_a_log_record_that_cannot_be_masked_is_not_handed_on(monkeypatch, swallowed):
    """Counted, and the exporter's answer comes back."""
    from opentelemetry._logs import LogRecord

    def failing(*args):
        raise ValueError("no")

    inner = InMemoryLogRecordExporter()
    provider = log_provider(inner)
    with monkeypatch.context() as patch:
        patch.setattr(masking, "masked_value", failing)
        provider.get_logger("x").emit(LogRecord(body=SECRET))
    assert () == inner.get_finished_logs()
    assert {"failures.masking": 1} == swallowed()
    assert MaskingLogRecordExporter(inner).export([]) is LogRecordExportResult.SUCCESS
    provider.shutdown()


PROGRAM = f"""
import spanwise
from opentelemetry import trace
spanwise.configure()
with trace.get_tracer("third").start_as_current_span("theirs {SECRET}") as span:
    span.set_attribute("password", "hidden-1")
    with spanwise.observe("ours", input={{"password": "hidden-2", "q": 1}}):
        pass
assert spanwise.flush(10) is True
assert spanwise.stats()["exported.console"] == 2
"""


@pytest.mark.parametrize("named", ["console", "console,none", " Console "])
def test_exporters_named_by_the_variable_get_masked_spans(tmp_path, named):
    """All spans of the provider, third parties' too; files are written all the same."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "OTEL_TRACES_EXPORTER": named},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert 0 == done.returncode, done.stderr
    assert SECRET not in done.stdout
    assert "hidden-" not in done.stdout
    assert ["theirs ***", "ours"] == sorted(_names(done.stdout), reverse=True)
    assert (tmp_path / "traces").exists()


def test_an_unknown_exporter_is_an_error(monkeypatch):
    """It names the variable and the exporters that there are."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "consol")
    with pytest.raises(
        spanwise.InvalidSettingError, match=r"OTEL_TRACES_EXPORTER.*'consol'.*console"
    ):
        spanwise.configure()


@pytest.mark.parametrize("named", ["none", "console"])
def test_an_endpoint_in_the_environment_is_for_the_otlp_exporter_only(
    monkeypatch, receiver, tmp_path, named
):
    """Where the variable names other exporters, or none, nothing is sent there."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", named)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    spanwise.configure(traces_dir=tmp_path / "t")
    with spanwise.observe("x"):
        pass
    assert spanwise.flush(10) is True
    assert [] == receiver.requests


def test_the_otlp_exporter_is_ours(monkeypatch, receiver):
    """Spans arrive once, not once by us and once by the stock exporter."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    spanwise.configure()
    with spanwise.observe("x"):
        pass
    assert spanwise.flush(10) is True
    assert ["x"] == [span.name for span in receiver.spans()]


def _span(name, attributes):
    inner = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(inner))
    provider.get_tracer("x").start_span(name, attributes=attributes).end()
    return inner.get_finished_spans()[0]


def _names(text):
    decoder, found, position = json.JSONDecoder(), [], 0
    while (start := text.find("{", position)) >= 0:
        span, position = decoder.raw_decode(text, start)
        found.append(span["name"])
    return found
