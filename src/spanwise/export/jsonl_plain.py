"""The lines of plain records, put together from bytes: the same ones in half of the time.

Plain is a span without identity, metadata, errors and the like, as most are. What is not plain is
told by `jsonl_lines`, which says what a line holds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanKind, StatusCode
from orjson import dumps

from spanwise import semconv
from spanwise._prepared import Prepared
from spanwise.export.jsonl_lines import LAST_SECOND, said, to_the_second
from spanwise.export.record import Record

_INTERNAL, _ERROR = SpanKind.INTERNAL, StatusCode.ERROR
_TYPE: Final = semconv.OBSERVATION_TYPE
_INPUT, _OUTPUT = semconv.OBSERVATION_INPUT, semconv.OBSERVATION_OUTPUT
# All that a plain span says. The first three have fields of their own, the others none.
_TOLD: Final = frozenset(
    {
        _TYPE,
        _INPUT,
        _OUTPUT,
        semconv.CODE_FUNCTION_NAME,
        semconv.GEN_AI_AGENT_DESCRIPTION,
        semconv.GEN_AI_AGENT_NAME,
        semconv.GEN_AI_OPERATION_NAME,
        semconv.GEN_AI_PROVIDER_NAME,
        semconv.GEN_AI_TOOL_DESCRIPTION,
        semconv.GEN_AI_TOOL_NAME,
        semconv.GEN_AI_TOOL_TYPE,
        semconv.GEN_AI_WORKFLOW_NAME,
        semconv.OBSERVATION_VERSION,
    }
)
_ALWAYS_TOLD: Final = _TOLD - {_INPUT, _OUTPUT}
_KEY: Final = "jsonl"  # of what is remembered of an operation
_TYPES: Final[dict[Any, bytes]] = {kind: kind.encode() for kind in semconv.OBSERVATION_TYPE_VALUES}


def plain_lines(record: Record, resource: bytes) -> tuple[bytes, bytes] | None:
    """Return the line of the observation and that of the trace; None for what is not plain.

    Args:
        record: of a span that has ended.
        resource: as JSON; empty where there is no line of the trace, which is empty then, too.
    """
    prepared = record.prepared
    if prepared is not None:
        told = prepared.texts.get(_KEY)
        if told is None:
            told = prepared.texts[_KEY] = _told_by(prepared, record.scope)
        lines = _of_prepared(record, told, resource)
        if lines is not None:
            return lines
    return _of_any(record, resource)


def _told_by(
    prepared: Prepared, scope: InstrumentationScope | None
) -> tuple[int, str, bytes, bytes]:
    """Return of what an operation is made of, what its lines say each time.

    That is how many attributes it has, the name, and what stands before and behind the texts. The
    number is -1 where that is not plain.
    """
    attributes, name = prepared.attributes, prepared.masked_name
    kind = _TYPES.get(attributes.get(_TYPE))
    shown = {key: value for key, value in attributes.items() if key != _TYPE}
    if not _ALWAYS_TOLD.issuperset(attributes) or scope is None or kind is None:
        return -1, "", b"", b""
    before = b'"type":"%b","name":%b,' % (kind, dumps(name))
    behind = b',"metadata":{},"attributes":%b,"scope":%b}\n' % (dumps(shown), dumps(scope.name))
    return len(attributes), name, before, behind


def _of_prepared(
    record: Record, told: tuple[int, str, bytes, bytes], resource: bytes
) -> tuple[bytes, bytes] | None:
    """Return the lines of an operation that says no more than it always does."""
    span, attributes = record.span, record.attributes
    count, name, before, behind = told
    went_in: Any = attributes.get(_INPUT)
    came_out: Any = attributes.get(_OUTPUT)
    start, end = span._start_time, span._end_time
    if (
        len(attributes) != count + (went_in is not None) + (came_out is not None)
        or record.name is not name
        or record.events
        or record.links
        or span._status.status_code is _ERROR
        or type(start) is not int
        or type(end) is not int
    ):
        return None
    start, start_us = divmod(start // 1000, 1_000_000)
    end, end_us = divmod(end // 1000, 1_000_000)
    if not (start_us and end_us and 0 < start < LAST_SECOND and 0 < end < LAST_SECOND):
        return None  # one in a million says no fraction
    context: Any = span._context
    above = record.observation_above
    # Both texts are JSON: the encoder has made them.
    went_in = b"null" if went_in is None else went_in.encode()
    came_out = b"null" if came_out is None else came_out.encode()
    ids = b'"trace_id":"%032x"' % context[0]
    times = b'"start_time":"%b.%06d+00:00","end_time":"%b.%06d+00:00"' % (
        _second(start),
        start_us,
        _second(end),
        end_us,
    )
    observation = b'{"id":"%016x",%b,"parent_id":%b,%b%b,"input":%b,"output":%b%b' % (
        context[1],
        ids,
        b'"%016x"' % above if above else b"null",
        before,
        times,
        went_in,
        came_out,
        behind,
    )
    if not resource:
        return observation, b""
    return observation, _trace(
        ids, before[before.index(b'"name"') :], times, went_in, came_out, context[1], resource
    )


def _trace(
    ids: bytes,
    name: bytes,
    times: bytes,
    went_in: bytes,
    came_out: bytes,
    span_id: int,
    resource: bytes,
) -> bytes:
    content = b"" if went_in == b"null" else b',"input":' + went_in
    if came_out != b"null":
        content += b',"output":' + came_out
    return (
        b'{%b,%b"session_id":null,%b,"metadata":{},"tags":[],"status":"success"%b,'
        b'"root_id":"%016x","resource":%b}\n' % (ids, name, times, content, span_id, resource)
    )


def _of_any(record: Record, resource: bytes) -> tuple[bytes, bytes] | None:
    span, attributes, scope = record.span, record.attributes, record.scope
    if (
        not _TOLD.issuperset(attributes)
        or span.status.status_code is _ERROR
        or span.kind is not _INTERNAL
        or record.events
        or record.links
        or scope is None
    ):
        return None
    shown = dict(attributes)
    kind = shown.pop(_TYPE, None)
    context: Any = span.context
    above = record.observation_above
    try:
        ids = b'"trace_id":"%032x"' % context.trace_id
        span_id = b'"%016x"' % context.span_id
        name = dumps(record.name)
        times = _times(span.start_time, span.end_time)
        went_in = dumps(said(shown.pop(_INPUT, None)))
        came_out = dumps(said(shown.pop(_OUTPUT, None)))
        observation = (
            b'{"id":%b,%b,"parent_id":%b,"type":"%b","name":%b,%b,"input":%b,"output":%b,'
            b'"metadata":{},"attributes":%b,"scope":%b}\n'
            % (
                span_id,
                ids,
                b'"%016x"' % above if above else b"null",
                _TYPES[kind],
                name,
                times,
                went_in,
                came_out,
                dumps(shown),
                dumps(scope.name),
            )
        )
    except (KeyError, TypeError, ValueError):
        return None
    if not resource:
        return observation, b""
    told = (went_in, came_out, context.span_id, resource)
    return observation, _trace(ids, b'"name":%b,' % name, times, *told)


def _times(start_ns: Any, end_ns: Any) -> bytes:
    """Return the fields of both times; raises TypeError or ValueError where one is odd."""
    if type(start_ns) is not int or type(end_ns) is not int:
        raise TypeError("no times")
    start, start_rest = divmod(start_ns, 1_000_000_000)
    end, end_rest = divmod(end_ns, 1_000_000_000)
    if not (0 < start < LAST_SECOND and 0 < end < LAST_SECOND):
        raise ValueError("not of our time")
    if start_rest < 1000 or end_rest < 1000:  # one in a million says no fraction
        raise ValueError("a whole second")
    return b'"start_time":"%b.%06d+00:00","end_time":"%b.%06d+00:00"' % (
        _second(start),
        start_rest // 1000,
        _second(end),
        end_rest // 1000,
    )


@lru_cache(maxsize=8)
def _second(second: int) -> bytes:
    return to_the_second(second).encode()
