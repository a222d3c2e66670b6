"""The lines of plain records, put together from bytes: the same ones in half of the time.

Plain is a span without metadata, errors and the like, as most are; of operations the identity may
say anything. What is not plain is told by `jsonl_lines`, which says what a line holds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, TypeAlias

from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanKind, StatusCode
from orjson import dumps

from spanwise import semconv
from spanwise._identity import Identity
from spanwise._prepared import Prepared
from spanwise.export.jsonl_lines import (
    LAST_SECOND,
    observation_line,
    said,
    to_the_second,
    trace_line,
)
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
_KEY: Final = "jsonl"  # of what is remembered of an operation, and of an identity
# What an observation's line says of each span by itself, and what of whom it is for; likewise of a
# trace's. A line that says more is none that can be told beforehand.
_OF_A_SPAN: Final = frozenset(
    (
        "id trace_id parent_id type name start_time end_time input output metadata attributes scope"
    ).split()
)
_OF_SOMEBODY: Final = ("tags", "user_id", "account_id", "session_id")
_OF_A_ROOT: Final = frozenset(
    "trace_id name session_id start_time end_time input output root_id resource".split()
)
_OF_SOMEBODYS: Final = (
    *("metadata", "tags", "status", "user_id", "account_id", "user", "account", "message_id"),
)
_TYPES: Final[dict[Any, bytes]] = {kind: kind.encode() for kind in semconv.OBSERVATION_TYPE_VALUES}


# Of an operation: its type and its name as fields, its attributes behind a brace, its scope.
_Told: TypeAlias = tuple[bytes, bytes, bytes, bytes]
# Of an identity: the metadata, further fields, attributes; of its trace the session and more fields.
_Who: TypeAlias = tuple[bytes, bytes, bytes, bytes, bytes]
_NOBODY: Final = (b"{}", b"", b"", b"null", b'"metadata":{},"tags":[],"status":"success"')


def plain_lines(record: Record, resource: bytes) -> tuple[bytes, bytes] | None:
    """Return the line of the observation and that of the trace; None for what is not plain.

    Args:
        record: of a span that has ended.
        resource: as JSON; empty where there is no line of the trace, which is empty then, too.
    """
    prepared, identity = record.prepared, record.identity
    if prepared is not None:
        told = prepared.texts.get(_KEY)
        if told is None:
            told = prepared.texts[_KEY] = _told_by(prepared, record.scope)
        who: _Who | tuple[()] = _NOBODY
        if told and identity is not None:
            who = identity.texts.get(_KEY)  # type: ignore[assignment]
            if who is None:
                who = identity.texts[_KEY] = _who(record, identity)
        if told and who:
            lines = _of_prepared(record, told, who, resource)
            if lines is not None:
                return lines
    return _of_any(record, resource)


def _told_by(prepared: Prepared, scope: InstrumentationScope | None) -> _Told | tuple[()]:
    """Return of what an operation is made of, what its lines say each time; else nothing."""
    attributes, name = prepared.attributes, dumps(prepared.masked_name)
    kind = _TYPES.get(attributes.get(_TYPE))
    if not _ALWAYS_TOLD.issuperset(attributes) or scope is None or kind is None:
        return ()
    shown = dumps({key: value for key, value in attributes.items() if key != _TYPE})
    return b'"type":"%b",' % kind, b'"name":%b,' % name, shown[1:], dumps(scope.name)


def _who(record: Record, identity: Identity) -> _Who | tuple[()]:
    """Return what the lines of all operations with an identity say of it, as those of one do.

    Args:
        record: of an operation that says nothing but what is always told, and who it is for.
        identity: that it is for.
    """
    line = observation_line(record)
    trace = trace_line(record, line, {})
    shown = {key: value for key, value in line["attributes"].items() if key in identity}
    said = {key: line[key] for key in _OF_SOMEBODY if key in line}
    of_trace = {key: trace[key] for key in _OF_SOMEBODYS if key in trace}
    if len(line) > len(_OF_A_SPAN) + len(said) or not _OF_A_ROOT.issuperset(
        trace.keys() - of_trace.keys()
    ):
        return ()
    try:
        return (
            dumps(line["metadata"]),
            b"," + dumps(said)[1:-1] if said else b"",
            dumps(shown)[1:-1] + b"," if shown else b"",
            dumps(trace["session_id"]),
            dumps(of_trace)[1:-1],
        )
    except TypeError:  # what JSON has no form for
        return ()


def _of_prepared(
    record: Record, told: _Told, who: _Who, resource: bytes
) -> tuple[bytes, bytes] | None:
    """Return the lines of an operation that says nothing but what it was prepared of."""
    span, attributes = record.span, record.attributes
    kind, name, shown, scope = told
    metadata, fields, shown_too, session, of_trace = who
    went_in: Any = attributes.get(_INPUT)
    came_out: Any = attributes.get(_OUTPUT)
    start, end = span._start_time, span._end_time
    if type(start) is not int or type(end) is not int:
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
    if shown == b"}":
        shown_too = shown_too[:-1]
    observation = (
        b'{"id":"%016x",%b,"parent_id":%b,%b%b%b,"input":%b,"output":%b,"metadata":%b%b,'
        b'"attributes":{%b%b,"scope":%b}\n'
        % (
            context[1],
            ids,
            b'"%016x"' % above if above else b"null",
            kind,
            name,
            times,
            went_in,
            came_out,
            metadata,
            fields,
            shown_too,
            shown,
            scope,
        )
    )
    if not resource:
        return observation, b""
    texts = (went_in, came_out)
    return observation, _trace(ids, name, session, times, of_trace, *texts, context[1], resource)


def _trace(
    ids: bytes,
    name: bytes,
    session: bytes,
    times: bytes,
    of_trace: bytes,
    went_in: bytes,
    came_out: bytes,
    span_id: int,
    resource: bytes,
) -> bytes:
    content = b"" if went_in == b"null" else b',"input":' + went_in
    if came_out != b"null":
        content += b',"output":' + came_out
    return b'{%b,%b"session_id":%b,%b,%b%b,"root_id":"%016x","resource":%b}\n' % (
        ids,
        name,
        session,
        times,
        of_trace,
        content,
        span_id,
        resource,
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
    _, _, _, session, of_trace = _NOBODY
    told = (times, of_trace, went_in, came_out, context.span_id, resource)
    return observation, _trace(ids, b'"name":%b,' % name, session, *told)


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
