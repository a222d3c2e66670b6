"""Records as the lines of the daily files: what a line of each kind says."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import orjson
from opentelemetry.trace import SpanKind, StatusCode

from spanwise import semconv
from spanwise.export.otlp_json import nanoseconds
from spanwise.export.record import Record, from_json

LAST_SECOND: Final = 253_402_300_799  # of the year 9999

_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
# Looked up here: an enumeration is slow to say what its members are called.
_INTERNAL = SpanKind.INTERNAL
_ERROR = StatusCode.ERROR

# Said by a field of their own in an observation's line, or meant for us alone.
_TYPE: Final = semconv.OBSERVATION_TYPE
_INPUT, _OUTPUT = semconv.OBSERVATION_INPUT, semconv.OBSERVATION_OUTPUT
_SHOWN_ELSEWHERE: Final = (
    semconv.OBSERVATION_LEVEL,
    semconv.OBSERVATION_TAGS,
    semconv.OBSERVATION_STATUS_MESSAGE,
)
# Most spans have none of these, and so no fields for them.
_OPTIONAL: Final = frozenset(
    {
        semconv.OBSERVATION_LEVEL,
        semconv.OBSERVATION_STATUS_MESSAGE,
        semconv.GEN_AI_REQUEST_MODEL,
        semconv.GEN_AI_RESPONSE_MODEL,
        semconv.GEN_AI_USAGE_INPUT_TOKENS,
        semconv.GEN_AI_USAGE_OUTPUT_TOKENS,
        semconv.OBSERVATION_USAGE_TOTAL_TOKENS,
        semconv.OBSERVATION_TAGS,
        semconv.USER_ID,
        semconv.ACCOUNT_ID,
        semconv.SESSION_ID,
    }
)
_TYPES: Final = frozenset(semconv.OBSERVATION_TYPE_VALUES)
_METADATA: Final = f"{semconv.OBSERVATION_METADATA}."
_PARTIES: Final = (("user", f"{semconv.USER}."), ("account", f"{semconv.ACCOUNT}."))
_WHO: Final = ("error", "user_id", "account_id")
# How they begin among all names; see `_names`.
_ANY_METADATA: Final = f"\n{_METADATA}"
_ANY_USER, _ANY_ACCOUNT = (f"\n{prefix}" for _, prefix in _PARTIES)


def observation_line(record: Record) -> dict[str, Any]:
    """Return the observation as the documents show it, with what more there is to say."""
    attributes, span = record.attributes, record.span
    context: Any = span.context
    get = attributes.get
    has_metadata = _ANY_METADATA in _names(attributes)
    metadata = record.metadata() if has_metadata else {}
    is_error = span.status.status_code is _ERROR
    if is_error:
        _describe_error(record, metadata)
    kind = get(_TYPE)
    above = record.observation_above
    line: dict[str, Any] = {
        "id": "%016x" % context.span_id,  # noqa: UP031 - in half of a format's time
        "trace_id": "%032x" % context.trace_id,  # noqa: UP031
        "parent_id": f"{above:016x}" if above else None,
        "type": kind if type(kind) is str and kind in _TYPES else "span",
        "name": record.name,
        "start_time": iso_time(span.start_time or 0),
        "end_time": iso_time(span.end_time or 0),
        "input": said(get(_INPUT)),
        "output": said(get(_OUTPUT)),
        "metadata": metadata,
    }
    shown = dict(attributes)
    shown.pop(_TYPE, None)
    shown.pop(_INPUT, None)
    shown.pop(_OUTPUT, None)
    if is_error or not _OPTIONAL.isdisjoint(attributes):
        _add_optional(line, record)
        for key in _SHOWN_ELSEWHERE:
            shown.pop(key, None)
    if has_metadata:
        shown = {key: value for key, value in shown.items() if not key.startswith(_METADATA)}
    line["attributes"] = shown
    if record.events:
        line["events"] = [
            {"name": event.name, "time": iso_time(event.time_ns), "attributes": event.attributes}
            for event in record.events
        ]
    if record.links:
        line["links"] = [
            {
                "trace_id": format(link.context.trace_id, "032x"),
                "span_id": format(link.context.span_id, "016x"),
                "attributes": link.attributes,
            }
            for link in record.links
        ]
    if record.scope is not None:
        line["scope"] = record.scope.name
    if span.kind is not _INTERNAL:
        line["kind"] = span.kind.name.lower()
    return line


def trace_line(
    record: Record, observation: Mapping[str, Any] | None = None, resource: Any = None
) -> dict[str, Any]:
    """Return the trace as the documents show it, from the span that it began with.

    Args:
        record: of that span.
        observation: its line, where that is known: it says much of the same.
        resource: what stands in the place of the record's, which it says.
    """
    attributes = record.attributes
    tags = attributes.get(semconv.OBSERVATION_TAGS, ())  # a third party may write anything there
    known = observation_line(record) if observation is None else observation
    line: dict[str, Any] = {
        "trace_id": known["trace_id"],
        "name": record.name,
        "session_id": known.get("session_id"),
        "start_time": known["start_time"],
        "end_time": known["end_time"],
        "metadata": record.metadata() if known["metadata"] else {},
        "tags": list(tags) if isinstance(tags, (tuple, list)) else [tags],
        "status": "error" if "error" in known else "success",
    }
    names = _names(attributes)
    if "error" in known or _ANY_USER in names or _ANY_ACCOUNT in names:
        line |= {field: known[field] for field in _WHO if field in known}
        for field, prefix in _PARTIES:
            if party := _below(attributes, prefix):
                line[field] = party
    if (message := attributes.get(semconv.MESSAGE_ID)) is not None:
        line["message_id"] = message
    if known["input"] is not None:
        line["input"] = known["input"]
    if known["output"] is not None:
        line["output"] = known["output"]
    if not record.is_trace:
        line["root_id"] = known["id"]
    line["resource"] = dict(record.resource) if resource is None else resource
    return line


def iso_time(time_ns: int) -> str:
    """Return a time as ISO 8601 in UTC, to the microsecond."""
    if type(time_ns) is not int:
        time_ns = nanoseconds(time_ns)
    second, rest_ns = divmod(time_ns, 1_000_000_000)
    if 0 < second < LAST_SECOND and rest_ns >= 1000:
        return f"{to_the_second(second)}.{rest_ns // 1000:06d}+00:00"
    return _odd_time(time_ns)


@lru_cache(maxsize=8)
def to_the_second(second: int) -> str:
    """Return the beginning of a time, which spans that follow each other have in common."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _odd_time(time_ns: int) -> str:
    microseconds = min(max(time_ns // 1000, 0), LAST_SECOND * 1_000_000)
    return (_EPOCH + datetime.timedelta(microseconds=microseconds)).isoformat()


def encoded(line: Mapping[str, Any]) -> bytes:
    """Return a line as JSON, with the newline at its end.

    Raises:
        TypeError, ValueError: it holds what cannot be written.
    """
    try:
        return orjson.dumps(line, default=_json_safe, option=_OPTIONS)
    except TypeError:
        # Nested deeper than the encoder goes: such a value is kept as text.
        flat = {
            key: value if isinstance(value, (str, int, float, type(None))) else _flat(value)
            for key, value in line.items()
        }
        return orjson.dumps(flat, default=_json_safe, option=_OPTIONS)


def _add_optional(line: dict[str, Any], record: Record) -> None:
    meaning, get = record.meaning, record.attributes.get
    optional = {
        "error": record.error,
        "level": get(semconv.OBSERVATION_LEVEL),
        "status_message": get(semconv.OBSERVATION_STATUS_MESSAGE),
        "model": meaning.model,
        "prompt_tokens": meaning.input_tokens,
        "completion_tokens": meaning.output_tokens,
        "total_tokens": get(
            semconv.OBSERVATION_USAGE_TOTAL_TOKENS,
            _total(meaning.input_tokens, meaning.output_tokens),
        ),
        "tags": get(semconv.OBSERVATION_TAGS),
        "user_id": meaning.user_id,
        "account_id": get(semconv.ACCOUNT_ID),
        "session_id": meaning.session_id,
    }
    line |= {key: value for key, value in optional.items() if value is not None}


def said(value: Any) -> Any:
    """Return what a text of ours says, which is JSON as a rule."""
    if isinstance(value, str):
        try:
            return orjson.loads(value)
        except ValueError:
            pass
    return value


def _names(attributes: Mapping[str, Any]) -> str:
    """Return all names, each behind a newline: one look tells whether any begins like something."""
    return "\n" + "\n".join(attributes)


def _below(attributes: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    start = len(prefix)
    return {k[start:]: from_json(v) for k, v in attributes.items() if k.startswith(prefix)}


def _flat(value: Any) -> Any:
    try:
        orjson.dumps(value, default=_json_safe, option=_OPTIONS)
    except TypeError:
        return str(value)[:65_536].encode("utf-8", "backslashreplace").decode()
    return value


def _describe_error(record: Record, metadata: dict[str, Any]) -> None:
    exceptions = [event for event in record.events if event.name == "exception"]
    error_type = record.attributes.get(semconv.ERROR_TYPE)
    if exceptions:
        last = exceptions[-1].attributes
        error_type = error_type or last.get(semconv.EXCEPTION_TYPE)
        metadata.setdefault("traceback", last.get(semconv.EXCEPTION_STACKTRACE))
    if error_type is not None:
        metadata.setdefault("error_type", str(error_type).rpartition(".")[2])


def _total(prompt: int | None, completion: int | None) -> int | None:
    return (prompt or 0) + (completion or 0) if (prompt, completion) != (None, None) else None


def _json_safe(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bytes):
        return value.hex()
    return str(value)
