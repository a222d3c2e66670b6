"""On a provider that the application made, operations' spans are lean, and everything else is its own."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace as trace_api
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_OFF,
    DEFAULT_ON,
    Decision,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, use_span

import spanwise
from spanwise._lean_spans import LeanSpan
from support.files import Files
from support.twins import RESOURCE, Recorder, SdkIds


@pytest.fixture(autouse=True)
def registered_attributes() -> None:
    """Samplers of others give our spans what they like, whatever our registry says."""


class Adds(Sampler):
    """Decides as it was told to, and gives the span more, in the way it was told to."""

    def __init__(self, decision: Decision, *, in_place: bool = False) -> None:
        self.decision = decision
        self.in_place = in_place

    def should_sample(
        self, parent_context: Any, trace_id: Any, name: Any, kind: Any = None,
        attributes: Any = None, links: Any = None, trace_state: Any = None,
    ) -> SamplingResult:  # fmt: skip
        if not self.in_place:
            attributes = dict(attributes or {})
        attributes["api_key"] = "hunter2hunter2"
        return SamplingResult(self.decision, attributes, TraceState([("vendor", "1")]))

    def get_description(self) -> str:
        return "adds"


SAMPLERS = {
    "default": DEFAULT_ON,
    "default off": DEFAULT_OFF,
    "on": ALWAYS_ON,
    "off": ALWAYS_OFF,
    "ratio": TraceIdRatioBased(0.5),
    **{decision.name: Adds(decision) for decision in Decision},
}
PARENTS = {
    "none": None,
    "sampled": SpanContext(7, 8, True, TraceFlags(1), TraceState([("a", "b")])),
    "random": SpanContext(7, 8, True, TraceFlags(3)),
    "unsampled": SpanContext(7, 8, True, TraceFlags(0)),
    "unknown bits": SpanContext(7, 8, False, TraceFlags(0xFD)),
}


@spanwise.tool
def search(query: str, api_key: str = "b") -> list[str]:
    if query == "wrong":
        raise ValueError("sk-" + "a" * 40)
    return [query]


@spanwise.agent
def answer(question: str) -> list[str]:
    with pytest.raises(ValueError, match="sk-"):
        search("wrong")
    with trace_api.get_tracer_provider().get_tracer("t").start_as_current_span("a.third.party"):
        return search(question)


def told(span: sdk.ReadableSpan) -> tuple[Any, ...]:
    return (
        type(span),
        span.name,
        tuple(span.context),
        None if span.parent is None else tuple(span.parent),
        span.kind,
        {k: v for k, v in span.attributes.items() if "traceback" not in k},
        [(event.name, event.attributes.keys()) for event in span.events],
        [tuple(link.context) for link in span.links],
        (span.status.status_code, span.status.description),
        (span.dropped_attributes, span.dropped_events, span.dropped_links),
        span.instrumentation_scope,
    )


def made(tmp_path: Any, lean: bool, sampler: Sampler, limits: Any, parent: Any) -> tuple[Any, ...]:
    """Return what a processor of the application is told of a program, and what is written."""
    recorder = Recorder()
    provider = sdk.TracerProvider(
        sampler=sampler,
        resource=RESOURCE,
        shutdown_on_exit=False,
        id_generator=SdkIds(),
        span_limits=limits,
    )
    provider.add_span_processor(recorder)
    folder = tmp_path / str(lean)
    spanwise.configure(tracer_provider=provider, traces_dir=folder, lean_spans=lean)
    around = trace_api.INVALID_SPAN if parent is None else NonRecordingSpan(parent)
    with use_span(around):
        assert ["why?"] == answer("why?")
    assert spanwise.flush()
    written = [(one["name"], one["input"], one["output"]) for one in Files(folder).observations()]
    return [told(span) for span in recorder.ended], written, [what[0] for what in recorder.told]


@pytest.mark.parametrize("parent", PARENTS.values(), ids=PARENTS)
@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_the_applications_sampler_decides_alike(tmp_path, sampler, parent):
    """Its ids, its trace state, its attributes, and who is told."""
    lean, sdks = (made(tmp_path, lean, sampler, sdk.SpanLimits(), parent) for lean in (True, False))
    assert lean == sdks


@pytest.mark.parametrize("most", [0, 1, 5, 7])
@pytest.mark.parametrize("longest", [None, 3])
def test_the_applications_limits_hold_alike(tmp_path, most, longest):
    """The oldest attributes go first, and are counted."""
    limits = sdk.SpanLimits(max_span_attributes=most, max_span_attribute_length=longest)
    lean, sdks = (made(tmp_path, lean, DEFAULT_ON, limits, None) for lean in (True, False))
    assert lean == sdks


def test_its_operations_are_lean_and_its_other_spans_are_not(tmp_path):
    """And neither are where the setting says so."""
    provider = sdk.TracerProvider(shutdown_on_exit=False)
    kinds = []
    for lean in (True, False):
        spanwise.configure(tracer_provider=provider, traces_dir=tmp_path, lean_spans=lean)
        with spanwise.observe("one"):
            kinds.append(type(trace_api.get_current_span()))
        kinds.append(type(provider.get_tracer("t").start_span("other", Context())))
    assert [LeanSpan, sdk._Span, sdk._Span, sdk._Span] == kinds


@pytest.mark.parametrize("in_place", [False, True])
def test_what_a_sampler_adds_is_masked(tmp_path, in_place):
    """Also where it adds to the attributes that it is given."""
    provider = sdk.TracerProvider(
        sampler=Adds(Decision.RECORD_AND_SAMPLE, in_place=in_place), shutdown_on_exit=False
    )
    spanwise.configure(tracer_provider=provider, traces_dir=tmp_path)
    search("why?")
    assert spanwise.flush()
    assert "hunter2" not in Files(tmp_path).text()
