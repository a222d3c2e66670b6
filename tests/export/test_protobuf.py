"""Odd values in a span do not keep the rest of it from being sent."""

from __future__ import annotations

import orjson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanwise.export.protobuf import span_bytes
from spanwise.export.wire import Encoded, request

IDS = {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331"}


def read(**fields):
    """Return a span as OpenTelemetry reads it."""
    return Span.FromString(span_bytes({**IDS, **fields}))


def attribute(key, value, kind="stringValue"):
    return {"key": key, "value": {kind: value}}


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("stringValue", 7),
        ("boolValue", 1),
        ("boolValue", "true"),
        ("intValue", "seven"),
        ("intValue", 1.5),
        ("intValue", True),
        ("intValue", "9223372036854775808"),
        ("intValue", "9" * 100_000),
        ("doubleValue", "half"),
        ("doubleValue", True),
        ("doubleValue", []),
        ("bytesValue", "x"),
        ("bytesValue", "ü"),
        ("bytesValue", 7),
        ("arrayValue", 7),
        ("kvlistValue", []),
        ("newValue", 7),
        ("stringValue", None),
        (None, {}),
        (None, "text"),
    ],
)
def test_an_odd_value_is_an_empty_one(kind, content):
    """And its neighbours are what they were."""
    odd = attribute("odd", content, kind) if kind else {"key": "odd", "value": content}
    span = read(attributes=[attribute("a", "1"), odd, attribute("b", "2")])
    assert [
        ("a", AnyValue(string_value="1")),
        ("odd", AnyValue()),
        ("b", AnyValue(string_value="2")),
    ] == [(item.key, item.value) for item in span.attributes]


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        (b'{"arrayValue":{"values":[', b"]}}"),
        (b'{"kvlistValue":{"values":[{"key":"k","value":', b"}]}}"),
    ],
    ids=["array", "mapping"],
)
@pytest.mark.parametrize("depth", [30, 31, 90, 240])
def test_what_is_nested_too_deep_for_readers_is_text(before, behind, depth):
    """A collector would refuse the whole request; what is too deep even for a text is empty."""
    value = orjson.loads(before * depth + b'{"stringValue":"end"}' + behind * depth)
    written = span_bytes({**IDS, "attributes": [{"key": "deep", "value": value}]})
    behind_span = b'],"scope":{}}],"resource":{}}]'
    ExportTraceServiceRequest.FromString(request([Encoded(written, behind_span)]))
    assert (depth <= 30) == (b"\x0a\x03end" in written)
    assert (30 < depth <= 90) == (b'{"stringValue":"end"}' in written)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("5", 5),
        (5, 5),
        (5.0, 5),
        (str(2**64 - 1), 2**64 - 1),
        (str(2**64), 0),
        (-1, 0),
        (1.5, 0),
        (1e300, 0),
        (True, 0),
        ("now", 0),
        ({}, 0),
        (None, 0),
    ],
)
def test_a_time_that_is_no_number_is_none(value, expected):
    """The span is sent without it."""
    assert expected == read(endTimeUnixNano=value).end_time_unix_nano


def test_a_parent_of_zeros_is_no_parent():
    """So others write a root."""
    assert b"" == read(parentSpanId="0" * 16).parent_span_id


def test_a_link_to_no_id_is_left_out():
    """A collector would refuse the whole request for it."""
    (link,) = read(links=[{**IDS, "traceId": "ff"}, IDS]).links
    assert IDS["traceId"] == link.trace_id.hex()


def test_bytes_are_read_in_both_alphabets_with_and_without_padding():
    """As protobuf's own readers do."""
    items = [attribute("k", text, "bytesValue") for text in ("-_8=", "+/8", "+/8=", "-_8")]
    assert {b"\xfb\xff"} == {item.value.bytes_value for item in read(attributes=items).attributes}
