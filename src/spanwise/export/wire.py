"""Lines of OTLP-JSON as the requests that collectors take, and what collectors answer.

A line holds one span. It is encoded without its resource and scope, which most lines share; a
request puts both around all the spans that have them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from spanwise.export import protobuf, wire_operations, wire_plain
from spanwise.export.otlp_json import BEGINNING, BEHIND_SPAN
from spanwise.export.otlp_operations import Parts

_CHECKSUM = re.compile(rb',"crc":"[0-9a-f]{8}"}')
_CHECKSUM_BEGINS = b',"crc":"'
_CHECKSUM_BYTES = len(b',"crc":"89abcdef"}')
_LARGEST_GROUP = 65_536  # of those that are remembered
_last_group = [b""]


@dataclass(slots=True)  # frozen ones take three times as long to make
class Encoded:
    """One span on its way into a request.

    Attributes:
        span: it as a `Span` of the protocol.
        group: the bytes behind the span in its line; lines with the same ones have the same
            resource and scope.
    """

    span: bytes
    group: bytes


def encoded_operation(said: Parts) -> Encoded | None:
    """Return the span of an operation; None where its line must be read.

    Args:
        said: by its line.
    """
    span = wire_operations.span_bytes(said)
    return None if span is None else Encoded(span, wire_operations.groups[said[-1]])


def encoded(line: bytes) -> Encoded:
    """Return the span of a canonical line, whatever odd values are in it.

    Args:
        line: with or without a checksum and a newline at its end.

    Raises:
        ValueError: it is no such line, or the span's ids are not ones.
    """
    span, group = parts(line)
    written = wire_plain.span_bytes(span)
    if written is None:
        written = protobuf.span_bytes(orjson.loads(span))
    return Encoded(written, group)


def request(items: Sequence[Encoded]) -> bytes:
    """Return an `ExportTraceServiceRequest` of the spans, those that belong together together."""
    spans_by_group: dict[bytes, list[bytes]] = {}
    for item in items:
        spans_by_group.setdefault(item.group, []).append(item.span)
    by_resource: dict[tuple[bytes, bytes], list[bytes]] = {}
    for group, spans in spans_by_group.items():
        resource, resource_schema, scope, scope_schema = _surroundings(group)
        pieces = [scope]
        for span in spans:
            pieces += (b"\x12", protobuf.varint(len(span)), span)
        pieces.append(scope_schema)
        by_resource.setdefault((resource, resource_schema), []).append(b"".join(pieces))
    whole = []
    for (resource, resource_schema), scopes in by_resource.items():
        content = [resource, *(protobuf.field(b"\x12", scope) for scope in scopes), resource_schema]
        whole.append(protobuf.field(b"\x0a", b"".join(content)))
    return b"".join(whole)


def rejected(body: bytes, content_type: str) -> tuple[int, str]:
    """Return how many spans the collector left out of a request that it took, and why.

    Args:
        body: an `ExportTraceServiceResponse`; one that cannot be read says nothing.
        content_type: as the answer's header names it; JSON is told from protobuf by it.
    """
    try:
        if content_type.partition(";")[0].strip().lower() == "application/json":
            return _rejected_in_json(orjson.loads(body))
        answer = dict(protobuf.fields_in(body))
        partial = dict(protobuf.fields_in(answer.get(1, b"")))
        count = protobuf.integer(partial.get(1), protobuf.LARGEST_INT)
        return count or 0, partial.get(2, b"").decode("utf-8", "replace")
    except (AttributeError, TypeError, ValueError):
        return 0, ""


def _rejected_in_json(answer: Any) -> tuple[int, str]:
    partial = answer.get("partialSuccess") or answer.get("partial_success")
    count = partial.get("rejectedSpans", partial.get("rejected_spans", 0))
    reason = partial.get("errorMessage", partial.get("error_message", ""))
    count = protobuf.integer(count, protobuf.LARGEST_INT)
    return count or 0, reason if type(reason) is str else ""


def parts(line: bytes) -> tuple[bytes, bytes]:
    """Return the JSON of the span, and the bytes behind it without checksum and last brace.

    Raises:
        ValueError: the line is not put together like this.
    """
    (group,) = _last_group  # most lines have the one of the line before
    end = len(line) - _CHECKSUM_BYTES
    if (
        group
        and line.startswith(_CHECKSUM_BEGINS, end)
        and line.endswith(group, 0, end)
        and line.startswith(BEGINNING)
    ):
        return line[len(BEGINNING) : end - len(group)], group
    end = len(line) - line.endswith(b"\n")
    start = end - _CHECKSUM_BYTES
    if _CHECKSUM.match(line, start, end):
        end = start
    elif line.endswith(b"}", 0, end):
        end -= 1
    else:
        raise ValueError("no end of a line")
    behind = line.rfind(BEHIND_SPAN, 0, end)
    group = line[behind:end]
    if behind >= 0:
        _surroundings(group)
        _last_group[0] = group
    if behind < 0 or not line.startswith(BEGINNING):
        raise ValueError("no line of one span")
    return line[len(BEGINNING) : behind], group


def _surroundings(group: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Return the resource, its schema, the scope and its schema as fields of the protocol.

    Raises:
        ValueError: the bytes behind a span say something else.
    """
    if len(group) > _LARGEST_GROUP:
        return _read_group.__wrapped__(group)
    return _read_group(group)


@functools.lru_cache(maxsize=64)
def _read_group(group: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    around = orjson.loads(b'[{"scopeSpans":[{"spans":[' + group)
    if len(around) != 1 or type(around[0].get("scopeSpans")) is not list:
        raise ValueError("not one resource")
    scopes = around[0]["scopeSpans"]
    if len(scopes) != 1 or type(scopes[0]) is not dict:
        raise ValueError("not one scope")
    return (
        protobuf.message(b"\x0a", protobuf.RESOURCE, around[0].get("resource")),
        protobuf.text(b"\x1a", around[0].get("schemaUrl")),
        protobuf.message(b"\x0a", protobuf.SCOPE, scopes[0].get("scope")),
        protobuf.text(b"\x1a", scopes[0].get("schemaUrl")),
    )
