"""A record becomes one line of OTLP-JSON."""

from __future__ import annotations

import collections
import dataclasses
import enum
import json
import math
import types

import pytest
from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from spanwise._masking import Masker
from spanwise.export import otlp_json
from spanwise.export.foreign_otlp import canonical
from spanwise.export.making import make_record
from spanwise.export.otlp_json import LineEncoder
from spanwise.export.readable import Readable
from spanwise.export.wire import encoded, request

RESOURCE = {"service.name": "bot", "process.command_args": ("python", "app.py"), "n": 1}
REMOTE = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1))


@pytest.fixture
def tracing():
    """Make spans on a provider of their own, and records of those that ended."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(
        resource=Resource(RESOURCE, "https://example.com/resource"),
        span_limits=SpanLimits(max_events=3, max_links=2),
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    def records():
        ended = exporter.get_finished_spans()
        exporter.clear()
        resource = dict(RESOURCE)
        return [make_record(span, Masker(), resource=resource) for span in ended]

    yield provider.get_tracer("library", "1.2", "https://example.com/scope"), records
    provider.shutdown()


@pytest.fixture
def record(tracing):
    """A record of a small span."""
    tracer, records = tracing
    with tracer.start_as_current_span("small", attributes={"a": "b"}):
        pass
    (made,) = records()
    return made


def parsed(line):
    """Return the line's span, scope with its schema, and resource with its schema."""
    document = json.loads(line)
    (resource_spans,) = document["resourceSpans"]
    (scope_spans,) = resource_spans.pop("scopeSpans")
    (span,) = scope_spans.pop("spans")
    return span, scope_spans, resource_spans


def line_with(record, **attributes):
    """Return the line of the record with these attributes."""
    return LineEncoder()(record.translated(attributes, {}))


def values(line):
    """Return the attributes of a line's span by key, as OTLP-JSON."""
    return {item["key"]: item["value"] for item in parsed(line)[0]["attributes"]}


def sent(lines):
    """Return the request that the lines are sent in."""
    return ExportTraceServiceRequest.FromString(request([encoded(line) for line in lines]))


def every_kind_of_span(tracer):
    """End spans with everything that a span can have."""
    parent = trace.set_span_in_context(trace.NonRecordingSpan(REMOTE))
    links = [
        Link(SpanContext(9, 10, is_remote=False), {"x": 1}),
        Link(SpanContext(11, 12, is_remote=True, trace_flags=TraceFlags(1))),
    ]
    with tracer.start_as_current_span(
        "sérver 🎉", parent, SpanKind.SERVER, {"start": True}, links
    ) as span:
        span.set_attributes(
            {
                "text": 'quoted " \\ \n \x00 ü 日本 🎉',
                "long": "x" * 70_000,
                "int": -3,
                "ends": [-(2**63) + 1, 2**63 - 1, 0, 127, 128],
                "float": 0.1,
                "special": [math.inf, -math.inf, -0.0, 1e300],
                "bytes": b"\x00\xff",
                "texts": ["a", "", "c"],
                "empty": [],
                "nested": {"a": {"b": [1, {"c": None}]}, "d": [[1, 2], ["x"]]},
                "nothing": None,
            }
        )
        span.add_event("event", {"a": 1.5}, timestamp=5)
        with tracer.start_as_current_span("child", kind=SpanKind.CLIENT) as child:
            child.set_status(Status(StatusCode.OK))
        try:
            raise ValueError("broken")
        except ValueError as error:
            span.record_exception(error)
            span.set_status(StatusCode.ERROR, "it is broken")
    tracer.start_span("early", start_time=-5).end(10**21)
    tracer.start_span("producer", kind=SpanKind.PRODUCER).end()
    tracer.start_span("consumer", kind=SpanKind.CONSUMER).end()


def test_a_record_is_sent_as_the_stock_exporter_sends_it(tracing):
    """All fields of all kinds of spans; in addition the flags say what was sampled."""
    tracer, records = tracing
    every_kind_of_span(tracer)
    encoder, readable = LineEncoder(), Readable()
    for record in records():
        expected = encode_spans([readable(record)])
        (stock,) = expected.resource_spans[0].scope_spans[0].spans
        stock.flags |= record.span.context.trace_flags
        for link, given in zip(stock.links, record.links, strict=True):
            link.flags |= given.context.trace_flags
        assert expected == sent([encoder(record)])
        assert expected.SerializeToString() == sent([encoder(record)]).SerializeToString()


def test_a_line_says_its_span_before_its_resource(record):
    """Fields in a fixed order, so that the lines of one file differ early."""
    line = LineEncoder()(record)
    assert line.startswith(b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"')
    span, scope, resource = parsed(line)
    assert [
        *("traceId", "spanId", "flags", "name", "kind", "startTimeUnixNano", "endTimeUnixNano"),
        *("attributes", "status"),
    ] == list(span)
    assert (record.trace_id, record.span_id) == (span["traceId"], span["spanId"])
    assert record.span.context.trace_flags | 0x100 == span["flags"]
    assert {
        "scope": {"name": "library", "version": "1.2"},
        "schemaUrl": "https://example.com/scope",
    } == scope
    assert ["resource", "schemaUrl"] == list(resource)
    assert "https://example.com/resource" == resource["schemaUrl"]


def test_values_are_written_as_otlp_says(record):
    """64-bit integers as texts, bytes in base64, what is no number by its name."""
    line = line_with(
        record, i=2**63 - 1, f=0.5, nan=math.nan, inf=-math.inf, b=b"\xff\x00", t=True, n=None
    )
    assert {
        "a": {"stringValue": "b"},
        "i": {"intValue": "9223372036854775807"},
        "f": {"doubleValue": 0.5},
        "nan": {"doubleValue": "NaN"},
        "inf": {"doubleValue": "-Infinity"},
        "b": {"bytesValue": "/wA="},
        "t": {"boolValue": True},
        "n": {},
    } == values(line)


def test_what_was_dropped_is_counted(tracing):
    """Events, links and attributes that went beyond a limit, on the span and in its parts."""
    tracer, records = tracing
    links = [Link(SpanContext(1, number, is_remote=False)) for number in range(1, 5)]
    span = tracer.start_span("full", links=links)
    for number in range(200):
        span.set_attribute(f"a{number}", number)
    for number in range(5):
        span.add_event("many", {f"e{n}": n for n in range(130 if number == 4 else 1)})
    span.end()
    (record,) = records()
    described = parsed(LineEncoder()(record))[0]
    assert (72, 2, 2) == tuple(
        described[f"dropped{part}Count"] for part in ("Attributes", "Events", "Links")
    )
    assert [None, None, 2] == [e.get("droppedAttributesCount") for e in described["events"]]
    (resource_spans,) = sent([LineEncoder()(record)]).resource_spans
    (told,) = resource_spans.scope_spans[0].spans
    assert (72, 2, 2) == (
        told.dropped_attributes_count,
        told.dropped_events_count,
        told.dropped_links_count,
    )


class Text(str):
    __slots__ = ()

    def __str__(self):
        raise AssertionError("the value's own code was called")

    __repr__ = __format__ = encode = __str__


class Number(enum.IntEnum):
    THREE = 3


class Real(float):
    def __repr__(self):
        raise AssertionError("the value's own code was called")

    __str__ = __float__ = __sub__ = __eq__ = __repr__
    __hash__ = None


class Opaque:
    def __repr__(self):
        raise AssertionError("the value's own code was called")

    __str__ = __hash__ = __len__ = __iter__ = __int__ = __repr__

    @property
    def __class__(self):
        raise AssertionError("the value's own code was called")


class Broken(collections.UserDict):
    def items(self):
        raise RuntimeError


def array(*items):
    return {"arrayValue": {"values": list(items)}}


def mapping(key, value):
    return {"kvlistValue": {"values": [{"key": key, "value": value}]}}


ONE = {"intValue": "1"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Text("text"), {"stringValue": "text"}),
        ("\ud800x", {"stringValue": "\\ud800x"}),
        (Number.THREE, {"intValue": "3"}),
        (-(2**63), {"intValue": "-9223372036854775808"}),
        (2**63, {"stringValue": "9223372036854775808"}),
        (1 << 40_000, {"stringValue": "<int of 40001 bits>"}),
        (Real(1.5), {"doubleValue": 1.5}),
        (["a", (1,)], array({"stringValue": "a"}, array(ONE))),
        ({"k": "\udfff"}, mapping("k", {"stringValue": "\\udfff"})),
        ({1: 1}, mapping("1", ONE)),
        ({None: 1}, mapping("None", ONE)),
        ({Text("k"): 1}, mapping("k", ONE)),
        ({Opaque: 1}, mapping("<type object>", ONE)),
        (types.MappingProxyType({"k": 1}), mapping("k", ONE)),
        (BoundedAttributes(attributes={"k": 1}), mapping("k", ONE)),
        (Broken(), {"stringValue": f"<{Broken.__module__}.Broken object>"}),
        (Opaque(), {"stringValue": f"<{Opaque.__module__}.Opaque object>"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_value_breaks_a_line(record, value, expected):
    """Whatever it is, it is written in a form that the protocol holds, without its own code."""
    line = line_with(record, value=value)
    assert expected == values(line)["value"]
    encoded(line)


@pytest.mark.parametrize("make", [lambda inner: (inner,), lambda inner: {"k": inner}])
@pytest.mark.parametrize("depth", [29, 30, 31, 64, 900])
def test_deep_nesting_becomes_text_before_a_collector_would_refuse_it(record, make, depth):
    """Readers of protobuf take a hundred messages in each other, and no more."""
    value = "end"
    for _ in range(depth):
        value = make(value)
    line = line_with(record, deep=value)
    sent([line])
    assert (depth > 30) == (b'"stringValue":"end"' not in line)


def test_a_lone_surrogate_anywhere_is_escaped(tracing):
    """In names, keys, events, links, status, scope and resource."""
    tracer, records = tracing
    with tracer.start_as_current_span("small", links=[Link(REMOTE)]) as started:
        started.add_event("event")
    (record,) = records()
    bad = "\ud800"
    span = record.translated({bad: bad}, {bad: bad})
    changed = types.SimpleNamespace(
        prepared=None,
        **{
            **{f: getattr(span, f) for f in ("span", "attributes", "resource")},
            "name": bad,
            "status_message": bad,
            "events": (types.SimpleNamespace(name=bad, time_ns=1, attributes={bad: bad}),),
            "links": (Link(REMOTE, {bad: bad}),),
            "scope": types.SimpleNamespace(
                name=bad, version=bad, schema_url=bad, attributes={bad: bad}
            ),
        },
    )
    line = LineEncoder()(changed)
    assert 16 == line.count(rb"\\ud800")
    sent([line])


@pytest.mark.parametrize("time_ns", [None, -1, 2**64, 1.5e18, math.nan, math.inf, "x"])
def test_an_impossible_time_is_a_possible_one(record, time_ns):
    """One bad time would lose the whole batch."""
    record.span._start_time = time_ns
    assert 0 <= int(parsed(LineEncoder()(record))[0]["startTimeUnixNano"]) < 2**63


def test_a_resource_is_encoded_once(record, monkeypatch):
    """Known by its identity, and by its content where dialects make a new mapping each time."""
    encoder = LineEncoder()
    encoder(record)
    described = []
    monkeypatch.setattr(otlp_json, "with_schema", lambda *args: described.append(args) or b"{}")
    encoder(record)
    encoder(record.translated({}, {}))
    assert [] == described
    encoder(record.translated({}, {"n": True}))
    encoder(record.translated({}, {"n": 1.0}))
    assert 2 == len(described)


def test_what_is_remembered_is_bounded(record):
    """A thousand resources and scopes leave no more than a few behind."""
    encoder = LineEncoder()
    for number in range(1000):
        changed = record.translated({}, {"number": number})
        assert (
            str(number)
            == parsed(encoder(changed))[2]["resource"]["attributes"][-1]["value"]["intValue"]
        )
    assert 64 >= len(encoder._resources)
    assert 64 >= len(encoder._equal_resources)


def test_resources_with_what_cannot_be_compared_are_still_told_apart(record):
    """Equal by their own code is not the same."""
    encoder = LineEncoder()
    for value in ([1], [True], (1,), (True,), ([1],), 0.0, -0.0):
        line = encoder(record.translated({}, {"value": value}))
        assert LineEncoder()(record.translated({}, {"value": value})) == line


def test_a_scope_with_attributes_is_not_taken_for_one_without(tracing):
    """Nor the other way round."""
    tracer, records = tracing
    provider = TracerProvider()
    provider.add_span_processor(tracer.span_processor)
    for attributes in (None, {"a": 1}, {"a": 2}):
        provider.get_tracer("same", attributes=attributes).start_span("s").end()
    encoder = LineEncoder()
    assert [
        {"name": "same"},
        {"name": "same", "attributes": [{"key": "a", "value": {"intValue": "1"}}]},
        {"name": "same", "attributes": [{"key": "a", "value": {"intValue": "2"}}]},
    ] == [parsed(encoder(record))[1]["scope"] for record in records()]


def test_a_record_without_a_scope_has_an_empty_one(record):
    """Every line has one, by which its span is told from what is behind it."""
    line = LineEncoder()(dataclasses.replace(record, scope=None))
    assert {"scope": {}} == parsed(line)[1]
    sent([line])


def test_a_line_of_ours_is_canonical_already(record):
    """Reading it and writing it again changes nothing."""
    line = LineEncoder()(record)
    assert [line] == list(canonical(json.loads(line)))
