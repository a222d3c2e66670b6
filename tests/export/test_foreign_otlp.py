"""Each span of a document that others wrote becomes a line like our own."""

from __future__ import annotations

import base64
import json
import math

import orjson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanwise.export.foreign_otlp import canonical
from spanwise.export.wire import encoded, request

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def parsed(line):
    """Return the line's span, scope with its schema, and resource with its schema."""
    (resource_spans,) = json.loads(line)["resourceSpans"]
    (scope_spans,) = resource_spans.pop("scopeSpans")
    (span,) = scope_spans.pop("spans")
    return span, scope_spans, resource_spans


def sent(line):
    """Return the line's span as it is sent."""
    message = ExportTraceServiceRequest.FromString(request([encoded(line)]))
    return message.resource_spans[0].scope_spans[0].spans[0]


def foreign(spans, **more):
    """Return a document as others write it."""
    return {"resourceSpans": [{"scopeSpans": [{"spans": spans}], **more}]}


def test_each_span_of_a_document_becomes_a_line():
    """Several resources, scopes and spans; each line has what the span stood in."""
    document = {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "r", "value": {"intValue": "1"}}]},
                "schemaUrl": "r-schema",
                "scopeSpans": [
                    {
                        "scope": {"name": "one"},
                        "schemaUrl": "s-schema",
                        "spans": [
                            {"traceId": TRACE_ID, "spanId": SPAN_ID, "name": "a"},
                            {"traceId": TRACE_ID, "spanId": SPAN_ID, "name": "b"},
                        ],
                    },
                    {"spans": [{"traceId": TRACE_ID, "spanId": SPAN_ID, "name": "c"}]},
                ],
            },
            {"scopeSpans": [{"spans": [{"traceId": TRACE_ID, "spanId": SPAN_ID, "name": "d"}]}]},
        ]
    }
    lines = [parsed(line) for line in canonical(document)]
    assert ["a", "b", "c", "d"] == [span["name"] for span, _, _ in lines]
    assert [
        {"scope": {"name": "one"}, "schemaUrl": "s-schema"},
        {"scope": {"name": "one"}, "schemaUrl": "s-schema"},
        {"scope": {}},
        {"scope": {}},
    ] == [scope for _, scope, _ in lines]
    assert ["r-schema", "r-schema", "r-schema", None] == [r.get("schemaUrl") for _, _, r in lines]


def test_other_spellings_are_understood():
    """Snake case, ids in base64 or capitals, enums by name."""
    document = {
        "resource_spans": [
            {
                "schema_url": "r",
                "scope_spans": [
                    {
                        "schema_url": "s",
                        "spans": [
                            {
                                "trace_id": base64.b64encode(bytes.fromhex(TRACE_ID)).decode(),
                                "span_id": SPAN_ID.upper(),
                                "parent_span_id": base64.urlsafe_b64encode(b"\xff" * 8).decode(),
                                "kind": "SPAN_KIND_CLIENT",
                                "start_time_unix_nano": "5",
                                "dropped_links_count": 3,
                                "status": {"code": "STATUS_CODE_ERROR"},
                                "attributes": [
                                    {
                                        "key": "k",
                                        "value": {"array_value": {"values": [{"int_value": 1}]}},
                                    }
                                ],
                            }
                        ],
                    }
                ],
            }
        ]
    }
    (line,) = canonical(document)
    span, scope, resource = parsed(line)
    assert {
        "traceId": TRACE_ID,
        "spanId": SPAN_ID,
        "parentSpanId": "ff" * 8,
        "kind": 3,
        "startTimeUnixNano": "5",
        "attributes": [{"key": "k", "value": {"arrayValue": {"values": [{"intValue": 1}]}}}],
        "droppedLinksCount": 3,
        "status": {"code": 2},
    } == span
    assert ("s", "r") == (scope["schemaUrl"], resource["schemaUrl"])
    sent(line)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "text",
        {},
        {"resourceSpans": None},
        {"resourceSpans": {}},
        {"resourceSpans": [None, 1, {"scopeSpans": [None, {"spans": [None, 1, "x"]}]}]},
        foreign([{}]),
        foreign([{"traceId": TRACE_ID}]),
        foreign([{"traceId": "0" * 32, "spanId": SPAN_ID}]),
        foreign([{"traceId": TRACE_ID, "spanId": "0" * 16}]),
        foreign([{"traceId": TRACE_ID[:-1], "spanId": SPAN_ID}]),
        foreign([{"traceId": "g" * 32, "spanId": SPAN_ID}]),
        foreign([{"traceId": "=" * 24, "spanId": SPAN_ID}]),
        foreign([{"traceId": "ü" * 24, "spanId": SPAN_ID}]),
        foreign([{"traceId": TRACE_ID, "spanId": 7}]),
        foreign([{"traceId": TRACE_ID, "spanId": SPAN_ID, "parentSpanId": "ff"}]),
    ],
)
def test_what_is_no_span_is_skipped(document):
    """Without ids nobody can take it."""
    assert [] == list(canonical(document))


def test_odd_values_of_others_do_not_lose_the_span():
    """Each is left out by itself, and what Python reads but JSON cannot say is mended."""
    odd = json.loads('{"n": NaN, "i": -Infinity, "big": 1' + "0" * 30 + ', "s": "\\ud800"}')
    span = {
        "traceId": TRACE_ID,
        "spanId": SPAN_ID,
        "name": odd["s"],
        "startTimeUnixNano": odd["big"],
        "kind": "SPAN_KIND_NEW",
        "flags": {},
        "attributes": [
            {"key": "nan", "value": {"doubleValue": odd["n"]}},
            {"key": "inf", "value": {"doubleValue": odd["i"]}},
            {"key": "big", "value": {"intValue": odd["big"]}},
            {"key": "kind", "value": {"newValue": 1}},
            {"key": "no value"},
            {"key": 5, "value": 5},
            {"key": "list", "value": {"arrayValue": {"values": {}}}},
            {"key": "map", "value": {"kvlistValue": None}},
            7,
        ],
        "events": {"name": "no list"},
        "links": [{"traceId": "malformed"}],
        "status": [],
        "unknown": object(),
    }
    (line,) = canonical(foreign([span]))
    sent_span = sent(line)
    assert "\\ud800" == sent_span.name
    assert ["nan", "inf", "big", "kind", "no value", "", "list", "map"] == [
        attribute.key for attribute in sent_span.attributes
    ]
    assert math.isnan(sent_span.attributes[0].value.double_value)
    assert -math.inf == sent_span.attributes[1].value.double_value
    assert 0 == len(sent_span.events) == len(sent_span.links)


def test_a_document_can_be_nested_as_deep_as_json_is_read():
    """Deeper than the protocol goes it becomes text, or nothing where it cannot be written."""
    for depth in (30, 31, 60, 200):
        value = {"stringValue": "end"}
        for _ in range(depth):
            value = {"arrayValue": {"values": [value]}}
        span = {
            "traceId": TRACE_ID,
            "spanId": SPAN_ID,
            "attributes": [{"key": "k", "value": value}],
        }
        # What orjson reads may be deeper than what it writes.
        (line,) = canonical(orjson.loads(json.dumps(foreign([span]))))
        sent(line)
