"""Spans from files, as lines that can be sent again: OTLP-JSON, spools, and our JSONL files.

A JSONL file says what there is to know of an observation, not of its span: the parent is the
nearest observation above, and a span that stands for a FluxLoop trace is not there.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import orjson

from spanwise import _state, semconv
from spanwise.export.foreign_otlp import canonical
from spanwise.export.segments import Line, intact

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_KINDS = ("internal", "server", "client", "producer", "consumer")
_ERROR = 2
_METADATA_OF_ERRORS = ("error_type", "traceback")
_OWN_FIELDS = {
    "type": semconv.OBSERVATION_TYPE,
    "level": semconv.OBSERVATION_LEVEL,
    "status_message": semconv.OBSERVATION_STATUS_MESSAGE,
    "tags": semconv.OBSERVATION_TAGS,
}
_JSON_FIELDS = {"input": semconv.OBSERVATION_INPUT, "output": semconv.OBSERVATION_OUTPUT}


def lines_in(paths: list[Path]) -> Iterator[Line]:
    """Yield a line for each span in the files, of whichever of the formats each line is.

    What is no span is counted as `unreadable.file`, but for lines of traces, which only say once
    more what their spans say.

    Raises:
        OSError: a file cannot be read.
    """
    resources = _resources(paths)
    for path in paths:
        for document in _documents(path):
            if isinstance(document, Mapping) and "resourceSpans" in _spelled(document):
                found = list(canonical(document))
            elif isinstance(document, Mapping) and "id" in document and "trace_id" in document:
                found = list(canonical(_from_observation(document, resources)))
            elif isinstance(document, Mapping) and "trace_id" in document:
                continue
            else:
                found = []
            if not found:
                _state.count("unreadable.file")
            yield from map(Line, found)


def _documents(path: Path) -> Iterator[Any]:
    """Yield the JSON documents of a file: one a line, or one in all."""
    with open(path, "rb") as stream:
        pieces = iter(stream)
        for piece in pieces:
            text = piece.strip()
            if not text:
                continue
            whole = intact(text)
            if whole:
                yield from map(orjson.loads, whole)
                continue
            try:
                found = orjson.loads(text)
                yield None if "crc" in found else found  # which is damaged
                continue
            except (TypeError, ValueError):
                pass
            if text in (b"{", b"["):  # printed over many lines
                try:
                    found = orjson.loads(piece + b"".join(pieces))
                    yield from found if isinstance(found, list) else [found]
                except ValueError:
                    yield None
            else:
                yield None


def _spelled(document: Mapping[str, Any]) -> set[str]:
    return {"resourceSpans" if key == "resource_spans" else key for key in document}


def _resources(paths: list[Path]) -> dict[str, Mapping[str, Any]]:
    """Return the resource of each trace: of an observation only its trace's line tells it."""
    found: dict[str, Mapping[str, Any]] = {}
    for path in paths:
        if path.name.startswith("traces"):
            for document in _documents(path):
                if isinstance(document, Mapping) and isinstance(document.get("resource"), Mapping):
                    found[str(document.get("trace_id"))] = document["resource"]
    return found


def _from_observation(
    line: Mapping[str, Any], resources: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    trace_id = str(line["trace_id"])
    attributes: dict[str, Any] = {}
    if isinstance(line.get("attributes"), Mapping):
        attributes |= line["attributes"]
    for field, name in _OWN_FIELDS.items():
        if line.get(field) is not None:
            attributes[name] = line[field]
    for field, name in _JSON_FIELDS.items():
        if line.get(field) is not None:
            attributes[name] = orjson.dumps(line[field]).decode()
    error = line.get("error")
    metadata = line.get("metadata")
    for key, value in metadata.items() if isinstance(metadata, Mapping) else ():
        # Of an error they were taken from its event, which is here as well.
        if error is None or key not in _METADATA_OF_ERRORS:
            is_plain = isinstance(value, (str, bool, int, float))
            text = value if is_plain else orjson.dumps(value).decode()
            attributes[f"{semconv.OBSERVATION_METADATA}.{key}"] = text
    kind = line.get("kind")
    span: dict[str, Any] = {
        "traceId": trace_id,
        "spanId": str(line["id"]),
        "parentSpanId": str(line.get("parent_id") or ""),
        "name": str(line.get("name") or ""),
        "kind": 1 + (_KINDS.index(kind) if kind in _KINDS else 0),
        "startTimeUnixNano": _nanoseconds(line.get("start_time")),
        "endTimeUnixNano": _nanoseconds(line.get("end_time")),
        "attributes": _attributes(attributes),
        "events": [
            {
                "timeUnixNano": _nanoseconds(event.get("time")),
                "name": str(event.get("name") or ""),
                "attributes": _attributes(event.get("attributes")),
            }
            for event in _mappings(line.get("events"))
        ],
        "links": [
            {
                "traceId": str(link.get("trace_id")),
                "spanId": str(link.get("span_id")),
                "attributes": _attributes(link.get("attributes")),
            }
            for link in _mappings(line.get("links"))
        ],
    }
    if error is not None:
        span["status"] = {"code": _ERROR, "message": str(error)}
    scope = {"scope": {"name": str(line.get("scope") or "")}, "spans": [span]}
    resource = {"attributes": _attributes(resources.get(trace_id))}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _attributes(attributes: Any) -> list[dict[str, Any]]:
    if not isinstance(attributes, Mapping):
        return []
    return [{"key": str(key), "value": _value(value)} for key, value in attributes.items()]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, bytes):
        return {"bytesValue": base64.b64encode(value).decode()}
    if isinstance(value, (list, tuple)):
        return {"arrayValue": {"values": [_value(item) for item in value]}}
    if isinstance(value, Mapping):
        return {"kvlistValue": {"values": _attributes(value)}}
    return {}


def _nanoseconds(moment: Any) -> str:
    try:
        when = datetime.fromisoformat(str(moment).replace("Z", "+00:00"))
    except ValueError:
        return "0"
    if when.tzinfo is None:
        when = when.replace(tzinfo=timezone.utc)
    return str((when - _EPOCH) // _MICROSECOND * 1000)
