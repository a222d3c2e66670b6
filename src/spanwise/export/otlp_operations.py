"""The OTLP-JSON of operations that say nothing but what they always do: most of it is known.

`otlp_json` says what a line holds, and tells of all else.
"""

from __future__ import annotations

from typing import Any, Final

from orjson import dumps

from spanwise import semconv
from spanwise.export.protobuf import LARGEST_INT
from spanwise.export.record import Record

_INPUT, _OUTPUT = semconv.OBSERVATION_INPUT, semconv.OBSERVATION_OUTPUT
_START: Final = b',{"key":%b,"value":{"stringValue":'
_IN, _OUT = (_START % dumps(key) for key in (_INPUT, _OUTPUT))

# Of what an operation is made of: its name and its attributes, as the line says them.
Told = tuple[bytes, bytes]
# Of a line: the span's context and that of its parent, flags, name, start, end, the attributes of
# the identity, those of the operation, what went in, what came out, what stands behind the span.
Parts = tuple[Any, Any, int, bytes, int, int, bytes, bytes, Any, Any, bytes]


def operation_line(
    record: Record, told: Told, who: bytes, behind: bytes
) -> tuple[bytes, Parts] | None:
    """Return the line of an operation, and what it says; None where its times are odd.

    Args:
        record: of its span, which says nothing but what it was prepared of.
        told: what lines of that operation say each time.
        who: the attributes of the identity.
        behind: what stands behind the span in the line.
    """
    span, attributes = record.span, record.attributes
    name, known = told
    went_in: Any = attributes.get(_INPUT)
    came_out: Any = attributes.get(_OUTPUT)
    start, end = span._start_time, span._end_time
    if (
        type(start) is not int
        or type(end) is not int
        or not (0 < start < LARGEST_INT and 0 < end < LARGEST_INT)
    ):
        return None
    context: Any = span._context
    parent = span._parent
    flags = context[3] & 0xFF | 0x100
    if parent is not None and parent[2]:
        flags |= 0x200
    parts = (context, parent, flags, name, start, end, who, known, went_in, came_out, behind)
    return line_from(parts), parts


def line_from(parts: Parts) -> bytes:
    """Return the line that says so."""
    context, parent, flags, name, start, end, who, known, went_in, came_out, behind = parts
    return (
        b'{"resourceSpans":[{"scopeSpans":[{"spans":['
        b'{"traceId":"%032x","spanId":"%016x"%b,"flags":%d,"name":%b,"kind":1,"startTimeUnixNano":"%d",'
        b'"endTimeUnixNano":"%d","attributes":[%b%b%b%b],"status":{"code":0}}%b'
        % (
            context[0],
            context[1],
            b"" if parent is None else b',"parentSpanId":"%016x"' % parent[1],
            flags,
            name,
            start,
            end,
            who,
            known,
            b"" if went_in is None else _IN + dumps(went_in) + b"}}",
            b"" if came_out is None else _OUT + dumps(came_out) + b"}}",
            behind,
        )
    )
