"""OTLP-JSON that others wrote, as lines like our own."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from spanwise.export import protobuf
from spanwise.export.otlp_json import (
    deep_text,
    dumped,
    json_number,
    line_of,
    whole_number,
    with_schema,
)
from spanwise.export.protobuf import LARGEST_INT, MOST_NESTED

_Fields: TypeAlias = tuple[tuple[str, str], ...]


def _fields(names: Iterable[str]) -> _Fields:
    return tuple((name, re.sub("(?=[A-Z])", "_", name).lower()) for name in names)


# The fields of each message by both of their names, in the order in which a line has them: the
# protocol's, but for a span's flags.
_STATUS, _EVENT, _LINK = map(_fields, (protobuf.STATUS, protobuf.EVENT, protobuf.LINK))
_SPAN = _fields(
    dict.fromkeys(("traceId", "spanId", "traceState", "parentSpanId", "flags", *protobuf.SPAN))
)
_ENTITY, _RESOURCE, _SCOPE = map(_fields, (protobuf.ENTITY, protobuf.RESOURCE, protobuf.SCOPE))
_VALUE = _fields(
    "stringValue boolValue intValue doubleValue arrayValue kvlistValue bytesValue".split()
)
_VALUE_NAMES = {spelling: names[0] for names in _VALUE for spelling in names}
_ENUMS = {
    name: number
    for prefix, names in (
        ("SPAN_KIND", ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")),
        ("STATUS_CODE", ("UNSET", "OK", "ERROR")),
    )
    for number, name in enumerate(f"{prefix}_{name}" for name in names)
}
_BASE64_LENGTHS = frozenset({11, 12, 22, 24})  # of 8 and 16 bytes, with and without padding
_HEXADECIMAL = re.compile("[0-9a-f]+")


def canonical(document: Any) -> Iterator[bytes]:
    """Yield a line for each span of an OTLP-JSON document, whoever wrote it.

    Names may be in camel or in snake case, ids in hexadecimal or base64, enums by name or number.
    What is no span is left out.
    """
    for group in _objects(_get(document, "resourceSpans", "resource_spans")):
        resource = with_schema(_normal(_RESOURCE, group.get("resource")), _schema_url(group))
        for scoped in _objects(_get(group, "scopeSpans", "scope_spans")):
            scope = with_schema(_normal(_SCOPE, scoped.get("scope")), _schema_url(scoped))
            for given in _objects(scoped.get("spans")):
                try:
                    span = normal_span(given)
                except ValueError:
                    continue
                yield line_of(dumped(span), scope, resource)


def normal_span(given: Any) -> dict[str, Any]:
    """Return a span's JSON in the form of our lines; each of its parts has the type it must have.

    Raises:
        ValueError: it is none, or its ids are not ones.
    """
    span = _normal(_SPAN, given)
    if not (
        _is_id(span.get("traceId"), 32)
        and _is_id(span.get("spanId"), 16)
        and (not span.get("parentSpanId") or _is_id(span["parentSpanId"], 16, zero=True))
    ):
        raise ValueError("no span")
    return span


def in_order(span: Mapping[str, Any]) -> dict[str, Any]:
    """Return a span of that form with its fields in their places."""
    return {name: span[name] for name, _ in _SPAN if name in span}


def _get(document: Any, name: str, other_name: str) -> Any:
    if type(document) is not dict:
        return None
    value = document.get(name)
    return document.get(other_name) if value is None else value


def _schema_url(document: dict[str, Any]) -> Any:
    return _get(document, "schemaUrl", "schema_url")


def _is_id(value: Any, digits: int, *, zero: bool = False) -> bool:
    is_id = type(value) is str and len(value) == digits and _HEXADECIMAL.fullmatch(value)
    return bool(is_id) and (zero or bool(value.strip("0")))


def _objects(values: Any) -> list[dict[str, Any]]:
    return [v for v in values if type(v) is dict] if type(values) is list else []


def _normal(fields: _Fields, given: Any) -> dict[str, Any]:
    """Return what the protocol knows of a message."""
    described = {}
    for name, other_name in fields:
        value = _get(given, name, other_name)
        if value is not None:
            described[name] = _NORMAL.get(name, _scalar)(value)
    return described


def _scalar(value: Any) -> Any:
    kind = type(value)
    if kind is float:
        return json_number(value)
    if kind is int:
        return value if abs(value) <= LARGEST_INT else whole_number(value)
    return value if kind is str or kind is bool else None


def _texts(values: Any) -> list[str]:
    return [v for v in values if type(v) is str] if type(values) is list else []


def _id(value: Any) -> Any:
    if type(value) is str and len(value) in _BASE64_LENGTHS:
        try:
            return binascii.a2b_base64(value.replace("-", "+").replace("_", "/") + "==").hex()
        except ValueError:
            return value
    return value.lower() if type(value) is str else None


def _enum(value: Any) -> Any:
    return _ENUMS.get(value, value) if type(value) is str else _scalar(value)


def _normal_key_values(items: Any, depth: int = 0) -> list[dict[str, Any]]:
    described = []
    for item in _objects(items):
        key, value = item.get("key"), item.get("value")
        entry: dict[str, Any] = {"key": key if type(key) is str else ""}
        if value is not None:
            entry["value"] = _normal_value(value, depth)
        described.append(entry)
    return described


def _normal_value(value: Any, depth: int) -> dict[str, Any]:
    for spelling, content in value.items() if type(value) is dict else ():
        name = _VALUE_NAMES.get(spelling)
        if name is None or content is None:
            continue
        if name not in ("arrayValue", "kvlistValue"):
            return {name: _scalar(content)}
        if depth >= MOST_NESTED:
            return {"stringValue": deep_text({name: content})}
        items = content.get("values") if type(content) is dict else None
        if name == "kvlistValue":
            return {name: {"values": _normal_key_values(items, depth + 1)}}
        values = items if type(items) is list else []
        return {name: {"values": [_normal_value(item, depth + 1) for item in values]}}
    return {}


def _several(fields: _Fields) -> Callable[[Any], Any]:
    return lambda values: [_normal(fields, value) for value in _objects(values)]


_NORMAL: Final[Mapping[str, Callable[[Any], Any]]] = {
    "traceId": _id,
    "spanId": _id,
    "parentSpanId": _id,
    "kind": _enum,
    "code": _enum,
    "attributes": _normal_key_values,
    "events": _several(_EVENT),
    "links": _several(_LINK),
    "status": lambda status: _normal(_STATUS, status),
    "entityRefs": _several(_ENTITY),
    "idKeys": _texts,
    "descriptionKeys": _texts,
}
