"""What was produced beside what came out, span by span."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_IDS = frozenset({"traceId", "spanId", "parentSpanId"})
_MOST_TOLD = 10
_MOST_SHOWN = 300


def spans_of(requests: Iterable[ExportTraceServiceRequest]) -> list[tuple[str, dict[str, Any]]]:
    """Return (span id, all that is said of the span) for each span."""
    found = []
    for request in requests:
        for of_resource in request.resource_spans:
            resource = MessageToDict(of_resource.resource), of_resource.schema_url
            for of_scope in of_resource.scope_spans:
                scope = MessageToDict(of_scope.scope), of_scope.schema_url
                for span in of_scope.spans:
                    # OpenTelemetry's own encoder leaves out of them what the W3C's flags say.
                    for flagged in (span, *span.links):
                        flagged.flags &= ~0xFF
                    said = {"span": MessageToDict(span), "scope": scope, "resource": resource}
                    found.append((span.span_id.hex(), said))
    return found


def parsed(line: bytes) -> ExportTraceServiceRequest:
    """Return a line of OTLP-JSON as the request that it stands for."""
    request = ExportTraceServiceRequest()
    # OTLP writes ids in hexadecimal digits, and JSON of protobuf in base64.
    ParseDict(_with_ids_in_base64(json.loads(line)), request)
    return request


def differences(
    expected: list[tuple[str, dict[str, Any]]], found: list[tuple[str, dict[str, Any]]]
) -> Iterator[str]:
    """Yield what is not as it should be: missing, twice, strange or changed."""
    wanted, got = dict(expected), dict(found)
    counts = Counter(span_id for span_id, _ in found)
    if missing := wanted.keys() - got.keys():
        yield f"{len(missing)} of {len(wanted)} spans are missing"
    if strange := got.keys() - wanted.keys():
        yield f"{len(strange)} spans came out that nobody sent"
    if twice := [span_id for span_id, count in counts.items() if count > 1]:
        yield f"{len(twice)} spans came out more than once"
    changed = [span_id for span_id in wanted if span_id in got and wanted[span_id] != got[span_id]]
    for span_id in changed[:_MOST_TOLD]:
        for part in ("span", "scope", "resource"):
            one, other = str(wanted[span_id][part]), str(got[span_id][part])
            if one != other:
                yield f"{part} of {span_id}: {_apart(one, other)}"
    if len(changed) > _MOST_TOLD:
        yield f"and {len(changed) - _MOST_TOLD} other spans are changed"


def _apart(one: str, other: str) -> str:
    """Return both texts from shortly before they differ."""
    at = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
    start = max(0, at - 60)
    return f"{one[start : start + _MOST_SHOWN]!r} is {other[start : start + _MOST_SHOWN]!r}"


def _with_ids_in_base64(document: Any) -> Any:
    if isinstance(document, list):
        return [_with_ids_in_base64(item) for item in document]
    if isinstance(document, dict):
        return {
            name: base64.b64encode(bytes.fromhex(value)).decode()
            if name in _IDS and isinstance(value, str)
            else _with_ids_in_base64(value)
            for name, value in document.items()
        }
    return document
