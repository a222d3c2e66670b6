"""The OTLP-JSON of operations that say no more than what they always do: most of it is known.

`otlp_json` says what a line holds, and tells of all else.
"""

from __future__ import annotations

from typing import Any, Final

from opentelemetry.trace import StatusCode
from orjson import dumps

from spanwise import semconv
from spanwise.export.protobuf import LARGEST_INT
from spanwise.export.record import Record

_UNSET = StatusCode.UNSET
_INPUT, _OUTPUT = semconv.OBSERVATION_INPUT, semconv.OBSERVATION_OUTPUT
_START: Final = b',{"key":%b,"value":{"stringValue":'
_IN, _OUT = (_START % dumps(key) for key in (_INPUT, _OUTPUT))

# Of what an operation is made of: how many attributes it has, its name, and both in the line.
Told = tuple[int, str, bytes, bytes]


def operation_line(record: Record, told: Told, behind: bytes) -> bytes | None:
    """Return the line of an operation; None where it is out of the ordinary.

    Args:
        record: of its span.
        told: what lines of that operation say each time.
        behind: what stands behind the span in the line.
    """
    count, name, known_name, known = told
    span, attributes = record.span, record.attributes
    went_in: Any = attributes.get(_INPUT)
    came_out: Any = attributes.get(_OUTPUT)
    start, end = span._start_time, span._end_time
    if (
        len(attributes) != count + (went_in is not None) + (came_out is not None)
        or record.name is not name
        or record.events
        or record.links
        or record.status_message
        or span._status.status_code is not _UNSET
        or type(start) is not int
        or type(end) is not int
        or not (0 < start < LARGEST_INT and 0 < end < LARGEST_INT)
    ):
        return None
    context: Any = span._context
    parent = span._parent
    above = b""
    flags = context[3] & 0xFF | 0x100
    if parent is not None:
        above = b',"parentSpanId":"%016x"' % parent[1]
        if parent[2]:
            flags |= 0x200
    return (
        b'{"resourceSpans":[{"scopeSpans":[{"spans":['
        b'{"traceId":"%032x","spanId":"%016x"%b,"flags":%d,"name":%b,"kind":1,"startTimeUnixNano":"%d",'
        b'"endTimeUnixNano":"%d","attributes":[%b%b%b],"status":{"code":0}}%b'
        % (
            context[0],
            context[1],
            above,
            flags,
            known_name,
            start,
            end,
            known,
            b"" if went_in is None else _IN + dumps(went_in) + b"}}",
            b"" if came_out is None else _OUT + dumps(came_out) + b"}}",
            behind,
        )
    )
