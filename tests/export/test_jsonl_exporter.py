"""The files as an exporter of a pipeline that is not ours."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

from spanwise.export.jsonl_exporter import JsonlSpanExporter
from support.files import Files

USAGE = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")


@pytest.fixture(params=[SimpleSpanProcessor, BatchSpanProcessor])
def provider(request, tmp_path, monkeypatch):
    monkeypatch.setenv("SPANWISE_TRACES_DIR", str(tmp_path / "t"))
    made = TracerProvider()
    made.add_span_processor(request.param(JsonlSpanExporter()))
    yield made
    made.shutdown()


def written(provider, tmp_path):
    """Return the tokens that each observation was written with, by name."""
    assert provider.force_flush() is True
    return {
        line["name"]: (line.get("prompt_tokens"), line.get("completion_tokens"))
        for line in Files(tmp_path / "t").observations()
    }


def told(kind, tokens):
    return {"gen_ai.operation.name": kind, **dict(zip(USAGE, tokens, strict=False))}


def test_tokens_are_counted_once(provider, tmp_path):
    """An agent far above its calls repeats them; a generation around an embedding does not."""
    tracer = provider.get_tracer("framework")
    with (
        tracer.start_as_current_span("agent", attributes=told("invoke_agent", (13, 8))),
        tracer.start_as_current_span("step"),
        tracer.start_as_current_span("inner step"),
    ):
        with (
            tracer.start_as_current_span("one", attributes=told("chat", (3, 4))),
            tracer.start_as_current_span("provider's", attributes=told("chat", (3, 4))),
        ):
            pass
        with tracer.start_as_current_span("two", attributes=told("chat", (5, 4))):
            with tracer.start_as_current_span("embed", attributes=told("embeddings", (5,))):
                pass
            provider.force_flush()
    nothing = (None, None)
    assert {
        "agent": nothing,
        "step": nothing,
        "inner step": nothing,
        "one": nothing,
        "provider's": (3, 4),
        "two": (5, 4),
        "embed": (5, None),
    } == written(provider, tmp_path)


def test_a_call_that_two_instrumentors_tell_of_side_by_side_is_counted_once(provider, tmp_path):
    """Though neither is above the other."""
    with provider.get_tracer("app").start_as_current_span("all"):
        spans = [
            provider.get_tracer(name).start_span(name, attributes=told("chat", (3, 4)))
            for name in ("one", "two")
        ]
        for span in spans:
            span.end()
    assert {"all": (None, None), "one": (3, 4), "two": (None, None)} == written(provider, tmp_path)


def test_what_is_remembered_of_spans_has_a_bound(provider, tmp_path, monkeypatch):
    """Traces of calls that were forgotten are counted as they come."""
    monkeypatch.setattr("spanwise.processors.ended_spans._REMEMBERED", 2)
    tracer = provider.get_tracer("framework")
    outer = tracer.start_span("outer", attributes=told("chat", (3, 4)))
    below = trace.set_span_in_context(outer)
    tracer.start_span("call", below, attributes=told("chat", (3, 4))).end()
    for number in range(4):
        tracer.start_span(str(number)).end()
    outer.end()
    assert (3, 4) == written(provider, tmp_path)["outer"]
