"""The lines of plain records, put together from bytes: the same ones in half of the time.

Plain is a span without identity, metadata, errors and the like, as most are. What is not plain is
told by `jsonl_lines`, which says what a line holds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from opentelemetry.trace import SpanKind, StatusCode
from orjson import dumps

from spanwise import semconv
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
_TYPES: Final[dict[Any, bytes]] = {kind: kind.encode() for kind in semconv.OBSERVATION_TYPE_VALUES}


def plain_lines(record: Record, resource: bytes) -> tuple[bytes, bytes] | None:
    """Return the line of the observation and that of the trace; None for what is not plain.

    Args:
        record: of a span that has ended.
        resource: as JSON; empty where there is no line of the trace, which is empty then, too.
    """
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
    content = b"" if went_in == b"null" else b',"input":' + went_in
    if came_out != b"null":
        content += b',"output":' + came_out
    return observation, (
        b'{%b,"name":%b,"session_id":null,%b,"metadata":{},"tags":[],"status":"success"%b,'
        b'"root_id":%b,"resource":%b}\n' % (ids, name, times, content, span_id, resource)
    )


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
