"""Lines of OTLP-JSON become the bytes that OpenTelemetry's own classes make of the same spans."""

from __future__ import annotations

import base64
import math
from collections import Counter

import orjson
import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    EntityRef,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from spanwise.export import wire
from spanwise.export.foreign_otlp import canonical
from spanwise.export.shortening import shortened
from spanwise.export.wire import encoded, rejected, request

# The fixtures of conftest.py set up nothing that one example could leave to the next.
quick = settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# These make large messages of many parts.
fewer = settings(quick, max_examples=50)

texts = st.text(max_size=12) | st.sampled_from(["x" * 125, "x" * 126, "x" * 127, "ü" * 9000])
counts = st.just(0) | st.integers(0, 2**32 - 1)
times = st.integers(0, 2**64 - 1)


def some(strategy, most=3):
    """Return a strategy for a few of what another makes."""
    return st.lists(strategy, max_size=most)


def ids(length):
    """Return a strategy for ids that are not all zeros."""
    return st.binary(min_size=length, max_size=length).filter(any)


values = st.recursive(
    st.builds(AnyValue)
    | st.builds(AnyValue, string_value=texts)
    | st.builds(AnyValue, bool_value=st.booleans())
    | st.builds(AnyValue, int_value=st.integers(-(2**63), 2**63 - 1))
    | st.builds(AnyValue, double_value=st.floats(allow_nan=False) | st.just(math.nan))
    | st.builds(AnyValue, bytes_value=st.binary(max_size=200)),
    lambda inner: (
        st.builds(AnyValue, array_value=st.builds(ArrayValue, values=some(inner)))
        | st.builds(
            AnyValue,
            kvlist_value=st.builds(
                KeyValueList, values=some(st.builds(KeyValue, key=texts, value=inner))
            ),
        )
    ),
    max_leaves=6,
)
attributes = some(st.builds(KeyValue, key=texts, value=st.none() | values), 4)
spans = st.builds(
    Span,
    trace_id=ids(16),
    span_id=ids(8),
    parent_span_id=st.just(b"") | ids(8),
    trace_state=texts,
    flags=counts,
    name=texts,
    kind=st.integers(0, 5),
    start_time_unix_nano=times,
    end_time_unix_nano=times,
    attributes=attributes,
    dropped_attributes_count=counts,
    events=some(
        st.builds(
            Span.Event,
            time_unix_nano=times,
            name=texts,
            attributes=attributes,
            dropped_attributes_count=counts,
        )
    ),
    dropped_events_count=counts,
    links=some(
        st.builds(
            Span.Link,
            trace_id=st.just(b"") | st.binary(min_size=16, max_size=16),
            span_id=st.just(b"") | st.binary(min_size=8, max_size=8),
            trace_state=texts,
            attributes=attributes,
            dropped_attributes_count=counts,
            flags=counts,
        )
    ),
    dropped_links_count=counts,
    status=st.none() | st.builds(Status, message=texts, code=st.integers(0, 2)),
)
scopes = st.builds(
    InstrumentationScope,
    name=texts,
    version=texts,
    attributes=attributes,
    dropped_attributes_count=counts,
)
entities = st.builds(
    EntityRef, schema_url=texts, type=texts, id_keys=some(texts), description_keys=some(texts)
)
resources = st.builds(
    Resource, attributes=attributes, dropped_attributes_count=counts, entity_refs=some(entities)
)
requests = st.builds(
    ExportTraceServiceRequest,
    resource_spans=some(
        st.builds(
            ResourceSpans,
            resource=st.none() | resources,
            schema_url=texts,
            scope_spans=some(
                st.builds(ScopeSpans, scope=st.none() | scopes, schema_url=texts, spans=some(spans))
            ),
        )
    ),
)


def with_hexadecimal_ids(document):
    """Change the ids of protobuf's JSON to those of OTLP-JSON."""
    if isinstance(document, list):
        return [with_hexadecimal_ids(item) for item in document]
    if not isinstance(document, dict):
        return document
    return {
        name: base64.b64decode(value).hex()
        if name.lower().replace("_", "") in ("traceid", "spanid", "parentspanid")
        else with_hexadecimal_ids(value)
        for name, value in document.items()
    }


def contents(message):
    """Return each span of a request with the resource and scope that it stands in, as bytes."""
    return Counter(
        (
            resource_spans.resource.SerializeToString(),
            resource_spans.schema_url,
            scope_spans.scope.SerializeToString(),
            scope_spans.schema_url,
            span.SerializeToString(),
        )
        for resource_spans in message.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    )


@fewer
@given(requests, st.booleans(), st.booleans(), st.booleans())
def test_any_request_is_the_same_after_its_way_through_lines(
    message, hexadecimal, snake_case, numbers
):
    """All fields, in each of the spellings of protobuf's JSON, byte for byte."""
    document = json_format.MessageToDict(
        message, preserving_proto_field_name=snake_case, use_integers_for_enums=numbers
    )
    if hexadecimal:
        document = with_hexadecimal_ids(document)
    lines = list(canonical(document))
    sent = request([encoded(line) for line in lines])
    assert contents(message) == contents(ExportTraceServiceRequest.FromString(sent))
    assert contents(message) == Counter(content_of(line) for line in lines)


def content_of(line):
    """Return what a line says, as bytes."""
    item = encoded(line)
    (content,) = contents(ExportTraceServiceRequest.FromString(request([item])))
    return (*content[:4], item.span)


TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def line_of(span=None, scope=None, resource=None, **fields):
    """Return the line of one span."""
    span = {"traceId": TRACE_ID, "spanId": SPAN_ID, **(span or {}), **fields}
    scope_spans = {"spans": [span], "scope": scope or {}}
    (line,) = canonical({"resourceSpans": [{"scopeSpans": [scope_spans], "resource": resource}]})
    return line


def attribute(key, value, kind="stringValue"):
    return {"key": key, "value": {kind: value}}


def raw_line(span, behind=b'],"scope":{}}],"resource":{}}]}'):
    """Return a line with any bytes in the place of its span."""
    return b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + span + behind


def read(line):
    """Return a line's span as OpenTelemetry reads it."""
    return Span.FromString(encoded(line).span)


FULL = line_of(
    {
        "parentSpanId": "00f067aa0ba902b7",
        "flags": 257,
        "name": "sérver",
        "kind": 2,
        "startTimeUnixNano": "1700000000000000000",
        "endTimeUnixNano": "1700000000000000001",
        "attributes": [
            attribute("s", "text"),
            attribute("i", "-7", "intValue"),
            attribute("d", 0.5, "doubleValue"),
            attribute("b", True, "boolValue"),
            attribute("y", "/wA=", "bytesValue"),
            attribute("a", {"values": [{"stringValue": "x"}]}, "arrayValue"),
            attribute("m", {"values": [attribute("k", "v")]}, "kvlistValue"),
        ],
        "events": [{"timeUnixNano": "5", "name": "e", "attributes": [attribute("k", "v")]}],
        "links": [{"traceId": TRACE_ID, "spanId": SPAN_ID, "flags": 256}],
        "status": {"message": "broken", "code": 2},
    },
    scope={"name": "library", "version": "1"},
    resource={"attributes": [attribute("service.name", "bot")]},
)


def checked(line, checksum=b"89abcdef"):
    """Return the line as it lies in a spool."""
    return line[:-1] + b',"crc":"' + checksum + b'"}\n'


def test_a_checksum_and_a_newline_belong_to_neither_span_nor_group():
    """Lines with the same resource and scope have the same group, checked or not."""
    assert encoded(FULL) == encoded(checked(FULL)) == encoded(FULL + b"\n")
    assert encoded(checked(FULL, b"00000000")) == encoded(checked(FULL))
    assert b"crc" not in encoded(checked(FULL)).group
    with pytest.raises(ValueError):
        encoded(checked(FULL, b"89ABCDEF"))


def test_spans_with_the_same_resource_and_scope_are_sent_together():
    """One resource each, in it one scope each, in the order in which they came first."""
    one, two = ({"attributes": [attribute("r", name)]} for name in ("one", "two"))
    a, b = {"name": "a"}, {"name": "b"}
    lines = [
        line_of(name="1", scope=a, resource=one),
        line_of(name="2", scope=b, resource=one),
        line_of(name="3", scope=a, resource=two),
        line_of(name="4", scope=a, resource=one),
    ]
    sent = ExportTraceServiceRequest.FromString(request([encoded(line) for line in lines]))
    assert [
        ("one", [("a", ["1", "4"]), ("b", ["2"])]),
        ("two", [("a", ["3"])]),
    ] == [
        (
            resource_spans.resource.attributes[0].value.string_value,
            [
                (scope_spans.scope.name, [span.name for span in scope_spans.spans])
                for scope_spans in resource_spans.scope_spans
            ],
        )
        for resource_spans in sent.resource_spans
    ]


def test_a_request_of_nothing_is_an_empty_one():
    """No bytes at all."""
    assert b"" == request([])


def test_a_large_resource_is_not_remembered():
    """It is read anew, so that no memory is held by it."""
    wire._read_group.cache_clear()
    line = line_of(resource={"attributes": [attribute("big", "x" * 100_000)]})
    sent = ExportTraceServiceRequest.FromString(request([encoded(line)]))
    assert 100_000 == len(sent.resource_spans[0].resource.attributes[0].value.string_value)
    assert 0 == wire._read_group.cache_info().currsize


def test_what_looks_like_the_end_of_a_span_may_stand_in_it():
    """Only the last one ends it."""
    text = '],"scope":{}}],"resource":{}}]}'
    line = line_of(name=text, attributes=[attribute(text, text)], scope={"name": text})
    span = read(line)
    assert (text, text, text) == (
        span.name,
        span.attributes[0].key,
        span.attributes[0].value.string_value,
    )


def test_every_cut_off_line_is_refused():
    """Wherever the disk was full."""
    for line in (FULL, checked(FULL)):
        for length in range(len(line) - 2):
            with pytest.raises(ValueError):
                encoded(line[:length])


def test_no_flipped_bit_raises_anything_else():
    """A damaged line is refused, or read as what it then says."""
    for line in (FULL, checked(FULL)):
        for position in range(len(line)):
            for mask in (0x01, 0x20, 0x80):
                flipped = bytearray(line)
                flipped[position] ^= mask
                accept(bytes(flipped))


def accept(line):
    """Encode a line of any content, and send it if it could be."""
    try:
        item = encoded(line)
    except ValueError:
        assert shortened(line, 100) is None
        return
    ExportTraceServiceRequest.FromString(request([item]))
    for most_bytes in (0, 200, 10_000):
        shorter = shortened(line, most_bytes)
        assert shorter is None or size(shorter) <= most_bytes


def size(line):
    item = encoded(line)
    return len(item.span) + len(item.group)


names = st.sampled_from(
    [
        *("traceId", "spanId", "parentSpanId", "traceState", "flags", "name", "kind", "status"),
        *("startTimeUnixNano", "attributes", "events", "links", "code", "message", "key", "value"),
        *("stringValue", "intValue", "doubleValue", "boolValue", "bytesValue", "arrayValue"),
        *("kvlistValue", "values", "droppedAttributesCount", "schemaUrl", "scope", "resource"),
        *("scopeSpans", "spans", "entityRefs", "idKeys", "timeUnixNano"),
    ]
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([TRACE_ID, SPAN_ID, "0" * 16, "NaN", "1e400", "9" * 30, "=", "x" * 300])
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5),
    max_leaves=12,
)


@quick
@given(st.binary(max_size=40))
def test_hostile_bytes_raise_nothing_but_a_value_error(data):
    """Alone, as a span, behind it, and as an answer."""
    rejected(data, "application/x-protobuf")
    rejected(data, "application/json")
    behind = b'],"scope":'
    for line in (data, raw_line(data), raw_line(data, data), raw_line(b"{}", behind + data)):
        accept(line)


@quick
@given(st.dictionaries(names, json_values), json_values, json_values)
def test_hostile_json_raises_nothing_but_a_value_error(span, scope, resource):
    """Names of the protocol with values of any other type."""
    identified = {"traceId": TRACE_ID, "spanId": SPAN_ID}
    behind = b'],"scope":%b}],"resource":%b}]}' % (orjson.dumps(scope), orjson.dumps(resource))
    for content in (span, {**identified, **span}, {**span, **identified}):
        accept(raw_line(orjson.dumps(content), behind))
    document = {"resourceSpans": [{"scopeSpans": [{"spans": [{**span, **identified}]}]}]}
    for line in canonical(document):
        encoded(line)
    rejected(orjson.dumps(span), "application/json")


@pytest.mark.parametrize(
    "span",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"{} {}",
        b"{",
        b'{"traceId":"%b"}' % TRACE_ID.encode(),
        *(
            orjson.dumps({"traceId": trace_id, "spanId": span_id, "parentSpanId": parent_id})
            for trace_id, span_id, parent_id in [
                (TRACE_ID, SPAN_ID[:-1], ""),
                (TRACE_ID[:-2], SPAN_ID, ""),
                ("0" * 32, SPAN_ID, ""),
                (TRACE_ID, "0" * 16, ""),
                (" " * 16 + TRACE_ID[16:], SPAN_ID, ""),
                ("g" * 32, SPAN_ID, ""),
                (7, SPAN_ID, ""),
                (TRACE_ID, None, ""),
                (TRACE_ID, SPAN_ID, "ff"),
                (TRACE_ID, SPAN_ID, 7),
            ]
        ),
    ],
)
def test_what_is_no_span_is_refused(span):
    """No collector would take it, nor what is sent with it."""
    with pytest.raises(ValueError):
        encoded(raw_line(span))


@pytest.mark.parametrize(
    "behind",
    [
        b'],"scope":{}}],"resource":{}},{}]}',
        b'],"scope":{}},{}],"resource":{}}]}',
        b'],"scope":{}}],"resource":{}}]',
        b'],"scope":{}}],"resource":{}}]} ',
        b'],"scope":{}}],"resource":{},"scopeSpans":7}]}',
        b'],"scope":{}}],"resource":{},"scopeSpans":[7]}]}',
        b'],"scope":{}}],"resource":{}}],"more":1}',
        b'],"scope":x}],"resource":{}}]}',
        b"]}]}]}",
    ],
)
def test_a_line_that_is_not_put_together_like_ours_is_refused(behind):
    """More than one resource or scope, or none."""
    span = orjson.dumps({"traceId": TRACE_ID, "spanId": SPAN_ID})
    assert encoded(raw_line(span))
    with pytest.raises(ValueError):
        encoded(raw_line(span, behind))


@fewer
@given(spans, st.integers(0, 4_000))
def test_what_is_cut_fits_and_is_a_line_like_any_other(span, most_bytes):
    """Any span, any room."""
    document = json_format.MessageToDict(span)
    line = line_of(document)
    shorter = shortened(line, most_bytes)
    if shorter is None:
        assert size(line) > most_bytes
        return
    assert size(shorter) <= most_bytes
    assert [shorter] == list(canonical(orjson.loads(shorter)))
    assert (span.trace_id, span.span_id) == (read(shorter).trace_id, read(shorter).span_id)


@quick
@given(st.integers(0, 2**63 - 1), st.text(max_size=300))
def test_a_partial_success_is_read_from_protobuf_and_json(count, message):
    """How many spans were refused, and why."""
    partial = ExportTracePartialSuccess(rejected_spans=count, error_message=message)
    answer = ExportTraceServiceResponse(partial_success=partial)
    body = answer.SerializeToString()
    assert (count, message) == rejected(body, "application/x-protobuf")
    # Fields of a later protocol do not matter.
    unknown = b"\x7a\x03abc\x78\x05\x7d1234\x7912345678"
    assert (count, message) == rejected(unknown + body + unknown, "")
    for snake_case in (False, True):
        text = json_format.MessageToJson(answer, preserving_proto_field_name=snake_case)
        assert (count, message) == rejected(text.encode(), "Application/JSON; charset=utf-8")


@pytest.mark.parametrize(
    "content_type", ["application/x-protobuf", "application/json", "", "text/html"]
)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<html><body>Bad gateway</body></html>",
        b"\x0a",
        b"\x0a\x05\x08",
        b"\x0a\x02\x08\xff",
        b"\x08\x05",
        b"\x0a\x00",
        b"\xff" * 20,
        b"null",
        b"[]",
        b'{"partialSuccess":7}',
        b'{"partialSuccess":{}}',
        b'{"partialSuccess":{"rejectedSpans":"many","errorMessage":7}}',
        b'{"partialSuccess":{"rejectedSpans":-1}}',
        ExportTraceServiceResponse(
            partial_success=ExportTracePartialSuccess(rejected_spans=-1)
        ).SerializeToString(),
    ],
)
def test_an_answer_that_says_nothing_refuses_nothing(body, content_type):
    """Empty, of another protocol, cut off, or with a count that is none."""
    assert (0, "") == rejected(body, content_type)


def test_the_reason_is_text_whatever_its_bytes():
    """Protobuf says UTF-8, and not everyone keeps to it."""
    assert (3, "\ufffdno") == rejected(b"\x0a\x07\x08\x03\x12\x03\xffno", "")
