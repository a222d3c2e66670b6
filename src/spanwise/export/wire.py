"""Lines of OTLP-JSON as the protobuf bytes that collectors take, and what they answer.

A line holds one span. It is encoded without its resource and scope, which most lines share; a
request puts both around all the spans that have them. The bytes are written directly: a field is
its tag, the length of what follows where that varies, and the content, and a field that has the
default value is left out.
"""

from __future__ import annotations

import binascii
import functools
import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson

from spanwise import semconv
from spanwise._value_kinds import TRUNCATED
from spanwise.export.otlp_json import (
    BEGINNING,
    BEHIND_SPAN,
    MOST_NESTED,
    LineEncoder,
    canonical,
    in_order,
    normal_span,
)

__all__ = ["Encoded", "LineEncoder", "canonical", "encoded", "rejected", "request", "shortened"]

CUT_BYTES: Final = "observation.cut_bytes"

_CHECKSUM = re.compile(rb',"crc":"[0-9a-f]{8}"}')
_CHECKSUM_BYTES = len(b',"crc":"89abcdef"}')
_ODD = (AttributeError, KeyError, OverflowError, TypeError, ValueError)
_LONGEST_KEY = 128  # of those that are remembered
_LARGEST_GROUP = 65_536
_LARGEST_ENUM = 2**31 - 1
_LARGEST_32 = 2**32 - 1
_LARGEST_INT = 2**63 - 1
_LARGEST_64 = 2**64 - 1
_MOST_DIGITS = 20

_SMALL = tuple(bytes((number,)) for number in range(128))
# The beginning of a short text as a value: its length with and without its own tag.
_SHORT = tuple(bytes((length + 2, 0x0A, length)) for length in range(126))
_INT_STARTS = tuple(bytes((length + 1, 0x18)) for length in range(11))
_NO_CONTENT = _SMALL[0]
_VALUE_TAG = b"\x12"

_LIMITS = (262_144, 65_536, 16_384, 4_096, 1_024, 256)
_AROUND_CUT = 80  # characters that say what was cut, at most
_LOOKED_AT = 64
_NOTE_BYTES = 48  # of the attribute that says how much was cut, at most
_COUNT_BYTES = 6  # of the field that says how many parts were dropped, at most
_CUTTABLE = frozenset({"stringValue", "bytesValue", "name", "message"})
_JSON_TEXTS = frozenset({semconv.OBSERVATION_INPUT, semconv.OBSERVATION_OUTPUT})
_KEPT = frozenset(
    {semconv.OBSERVATION_TYPE, semconv.SESSION_ID, semconv.USER_ID, semconv.ACCOUNT_ID}
)
_DROPPED = {
    "events": "droppedEventsCount",
    "links": "droppedLinksCount",
    "attributes": "droppedAttributesCount",
}

_Writer: TypeAlias = Callable[[Any], bytes]
_Fields: TypeAlias = Mapping[str, _Writer]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One span on its way into a request.

    Attributes:
        span: it as a `Span` of the protocol.
        group: the bytes behind the span in its line; lines with the same ones have the same
            resource and scope.
    """

    span: bytes
    group: bytes


def encoded(line: bytes) -> Encoded:
    """Return the span of a canonical line, whatever odd values are in it.

    Args:
        line: with or without a checksum and a newline at its end.

    Raises:
        ValueError: it is no such line, or the span's ids are not ones.
    """
    span, group = _parts(line)
    _surroundings(group)
    return Encoded(_span_bytes(orjson.loads(span)), group)


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
            pieces += (b"\x12", _varint(len(span)), span)
        pieces.append(scope_schema)
        by_resource.setdefault((resource, resource_schema), []).append(b"".join(pieces))
    whole = []
    for (resource, resource_schema), scopes in by_resource.items():
        content = [resource, *(_field(b"\x12", scope) for scope in scopes), resource_schema]
        whole.append(_field(b"\x0a", b"".join(content)))
    return b"".join(whole)


def shortened(line: bytes, most_bytes: int) -> bytes | None:
    """Return the line with so much cut from its span that a request can hold it.

    The longest texts are cut first, and say so. Where that is not enough, whole events, links and
    attributes go, the largest first, but not the span's type, session, user and account.

    Args:
        line: canonical.
        most_bytes: of the encoded span and the bytes behind it.

    Returns:
        A canonical line without checksum; None where the line holds no span, or where too little
        would be left of it.
    """
    try:
        text, group = _parts(line)
        _surroundings(group)
        document = orjson.loads(text)
        whole = len(_span_bytes(document))
        span = normal_span(document)
    except ValueError:
        return None
    room = most_bytes - len(group)
    if whole > room:
        cut_before = _without_note(span)
        left = _shorten(span, room - _NOTE_BYTES)
        if left is None:
            return None
        cut = min(cut_before + whole - left, _LARGEST_INT)
        span["attributes"].append({"key": CUT_BYTES, "value": {"intValue": str(cut)}})
        text = orjson.dumps(in_order(span))
    return b"".join((BEGINNING, text, group, b"}"))


def rejected(body: bytes, content_type: str) -> tuple[int, str]:
    """Return how many spans the collector left out of a request that it took, and why.

    Args:
        body: an `ExportTraceServiceResponse`; one that cannot be read says nothing.
        content_type: as the answer's header names it; JSON is told from protobuf by it.
    """
    try:
        if content_type.partition(";")[0].strip().lower() == "application/json":
            return _rejected_in_json(orjson.loads(body))
        count, message = 0, b""
        for number, partial in _fields_of(body):
            for field, value in _fields_of(partial) if number == 1 and partial else ():
                if field == 1 and type(value) is int:
                    count = value if value <= _LARGEST_INT else 0
                elif field == 2 and type(value) is bytes:
                    message = value
        return count, message.decode("utf-8", "replace")
    except _ODD:
        return 0, ""


def _parts(line: bytes) -> tuple[bytes, bytes]:
    """Return the JSON of the span, and the bytes behind it without checksum and last brace.

    Raises:
        ValueError: the line is not put together like this.
    """
    end = len(line)
    if line.endswith(b"\n"):
        end -= 1
    behind = line.rfind(BEHIND_SPAN, 0, end)
    if behind < 0 or not line.startswith(BEGINNING) or not line.endswith(b"}", 0, end):
        raise ValueError("no line of one span")
    has_checksum = _CHECKSUM.match(line, end - _CHECKSUM_BYTES, end)
    end -= _CHECKSUM_BYTES if has_checksum else 1
    return line[len(BEGINNING) : behind], line[behind:end]


def _span_bytes(span: Any) -> bytes:
    """Return a span's JSON as a `Span` of the protocol.

    Raises:
        ValueError: it has no ids, or what it has are none.
    """
    if type(span) is not dict:
        raise ValueError("a span is an object")
    trace_id, span_id = _id(span.get("traceId"), 16), _id(span.get("spanId"), 8)
    if not trace_id.strip(b"\0") or not span_id.strip(b"\0"):
        raise ValueError("an id is all zeros")
    return b"".join((b"\x0a\x10", trace_id, b"\x12\x08", span_id, _content(_SPAN, span)))


def _content(fields: _Fields, content: Mapping[str, Any]) -> bytes:
    """Return what a message consists of, in the order of its fields."""
    pieces = []
    for name, write in fields.items():
        value = content.get(name)
        if value is not None:
            pieces.append(write(value))
    return b"".join(pieces)


def _varint(number: int) -> bytes:
    if number < 128:
        return _SMALL[number]
    if number < 16_384:
        return bytes((number & 127 | 128, number >> 7))
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(tag: bytes, content: bytes) -> bytes:
    return b"".join((tag, _varint(len(content)), content))


# How a field is written. Each of these is given the tag and returns the function that is given
# the value; one that is no such value counts as the default.


def _text(tag: bytes) -> _Writer:
    def write(value: Any) -> bytes:
        return _field(tag, value.encode()) if type(value) is str and value else b""

    return write


def _texts(tag: bytes) -> _Writer:
    def write(values: Any) -> bytes:
        texts = [value for value in _list(values) if type(value) is str]
        return b"".join(_field(tag, text.encode()) for text in texts)

    return write


def _number(tag: bytes, most: int) -> _Writer:
    def write(value: Any) -> bytes:
        number = _integer(value, 0, most)
        return tag + _varint(number) if number else b""

    return write


def _fixed(tag: bytes, form: str, most: int) -> _Writer:
    pack = struct.Struct(form).pack

    def write(value: Any) -> bytes:
        number = _integer(value, 0, most)
        return tag + pack(number) if number else b""

    return write


def _message(tag: bytes, fields: _Fields) -> _Writer:
    def write(value: Any) -> bytes:
        return _field(tag, _content(fields, value) if type(value) is dict else b"")

    return write


def _messages(tag: bytes, fields: _Fields) -> _Writer:
    def write(values: Any) -> bytes:
        pieces = []
        for value in _list(values):
            if type(value) is dict:
                try:
                    pieces.append(_field(tag, _content(fields, value)))
                except ValueError:  # ids that are none: collectors refuse the whole request
                    continue
        return b"".join(pieces)

    return write


def _link_id(tag: bytes, length: int) -> _Writer:
    def write(value: Any) -> bytes:
        return _field(tag, _id(value, length)) if value else b""

    return write


def _parent(value: Any) -> bytes:
    parent = _id(value, 8) if value else b""
    return b"\x22\x08" + parent if parent.strip(b"\0") else b""


def _attributes(tag: bytes) -> _Writer:
    def write(values: Any) -> bytes:
        return _key_values(tag, values, 0)

    return write


def _key_values(tag: bytes, items: Any, depth: int) -> bytes:
    pieces: list[bytes] = []
    for item in _list(items):
        try:
            key = item["key"]
            start = _start(key) if len(key) < _LONGEST_KEY else _start.__wrapped__(key)
            value = item["value"]
            if "stringValue" in value:
                text = value["stringValue"].encode()
                length = len(text)
                if length < 126:  # most are; the general way takes twice the time
                    size = len(start) + length + 3
                    size_bytes = _SMALL[size] if size < 128 else _varint(size)
                    pieces += (tag, size_bytes, start, _SHORT[length], text)
                    continue
            content = _value(value, depth)
        except _ODD:
            if type(item) is not dict:
                continue
            start, content = _odd_key_value(item, depth)
        pieces += (tag, _varint(len(start) + len(content)), start, content)
    return b"".join(pieces)


@functools.lru_cache(maxsize=1024)
def _start(key: str) -> bytes:
    """Return an attribute up to the length of its value: attributes have few different keys."""
    return (_field(b"\x0a", key.encode()) if key else b"") + _VALUE_TAG


def _odd_key_value(item: dict[str, Any], depth: int) -> tuple[bytes, bytes]:
    key, value = item.get("key"), item.get("value")
    start = _start.__wrapped__(key if type(key) is str else "")
    if value is None:
        return start[: -len(_VALUE_TAG)], b""
    return start, _value(value, depth)


def _value(value: Any, depth: int) -> bytes:
    """Return an `AnyValue` with its length before it; one that is odd is empty."""
    if type(value) is not dict:
        return _NO_CONTENT
    for kind, content in value.items():
        write = _KINDS.get(kind)
        if write is not None and content is not None:
            try:
                return write(content, depth)
            except _ODD:
                return _NO_CONTENT
    return _NO_CONTENT


def _string_value(content: Any, depth: int) -> bytes:
    text = content.encode()
    length = _varint(len(text))
    return b"".join((_varint(1 + len(length) + len(text)), b"\x0a", length, text))


def _bool_value(content: Any, depth: int) -> bytes:
    if type(content) is not bool:
        raise TypeError("no boolean")
    return b"\x02\x10\x01" if content else b"\x02\x10\x00"


def _int_value(content: Any, depth: int) -> bytes:
    if type(content) is str and len(content) < 19:  # no such number is too large
        number = int(content)
    else:
        number = _integer(content, -_LARGEST_INT - 1, _LARGEST_INT, None)
    written = _varint(number & _LARGEST_64)
    return _INT_STARTS[len(written)] + written


def _double_value(content: Any, depth: int) -> bytes:
    if type(content) is bool:
        raise TypeError("no number")
    return b"\x09\x21" + struct.pack("<d", float(content))


def _array_value(content: Any, depth: int) -> bytes:
    if depth >= MOST_NESTED:
        return _deeper({"arrayValue": content})
    pieces: list[bytes] = []
    for item in _list(content.get("values")):
        pieces += (b"\x0a", _value(item, depth + 1))
    return _nested(b"\x2a", b"".join(pieces))


def _kvlist_value(content: Any, depth: int) -> bytes:
    if depth >= MOST_NESTED:
        return _deeper({"kvlistValue": content})
    return _nested(b"\x32", _key_values(b"\x0a", content.get("values"), depth + 1))


def _bytes_value(content: Any, depth: int) -> bytes:
    # Both alphabets, padded or not, as protobuf's own readers of JSON take it.
    text = content.replace("-", "+").replace("_", "/")
    return _nested(b"\x3a", binascii.a2b_base64(text + "=="))


_KINDS: Final[Mapping[str, Callable[[Any, int], bytes]]] = {
    "stringValue": _string_value,
    "boolValue": _bool_value,
    "intValue": _int_value,
    "doubleValue": _double_value,
    "arrayValue": _array_value,
    "kvlistValue": _kvlist_value,
    "bytesValue": _bytes_value,
}


def _nested(tag: bytes, content: bytes) -> bytes:
    length = _varint(len(content))
    return b"".join((_varint(1 + len(length) + len(content)), tag, length, content))


def _deeper(value: dict[str, Any]) -> bytes:
    # As text, which every reader takes. What orjson reads it cannot always write: that is empty.
    return _string_value(orjson.dumps(value).decode(), 0)


def _list(values: Any) -> list[Any]:
    return values if type(values) is list else []


def _integer(value: Any, least: int, most: int, default: int | None = 0) -> int:
    """Return a number, which JSON may hold as a text, or the default; None raises ValueError."""
    if type(value) is str and len(value) <= _MOST_DIGITS:
        try:
            value = int(value)
        except ValueError:
            value = None
    elif type(value) is float and value == value // 1:
        value = int(value)
    if type(value) is int and least <= value <= most:
        return value
    if default is None:
        raise ValueError("no number of this size")
    return default


def _id(value: Any, length: int) -> bytes:
    if type(value) is not str or len(value) != 2 * length:
        raise ValueError("no id")
    made = bytes.fromhex(value)
    if len(made) != length:  # it had spaces in it
        raise ValueError("no id")
    return made


# The messages of the protocol by the JSON names of their fields, in the order of their numbers.
# The ids of a span, its fields 1 and 2, are written apart from the rest because they must be there.

_STATUS: Final[_Fields] = {"message": _text(b"\x12"), "code": _number(b"\x18", _LARGEST_ENUM)}
_EVENT: Final[_Fields] = {
    "timeUnixNano": _fixed(b"\x09", "<Q", _LARGEST_64),
    "name": _text(b"\x12"),
    "attributes": _attributes(b"\x1a"),
    "droppedAttributesCount": _number(b"\x20", _LARGEST_32),
}
_LINK: Final[_Fields] = {
    "traceId": _link_id(b"\x0a", 16),
    "spanId": _link_id(b"\x12", 8),
    "traceState": _text(b"\x1a"),
    "attributes": _attributes(b"\x22"),
    "droppedAttributesCount": _number(b"\x28", _LARGEST_32),
    "flags": _fixed(b"\x35", "<I", _LARGEST_32),
}
_SPAN: Final[_Fields] = {
    "traceState": _text(b"\x1a"),
    "parentSpanId": _parent,
    "name": _text(b"\x2a"),
    "kind": _number(b"\x30", _LARGEST_ENUM),
    "startTimeUnixNano": _fixed(b"\x39", "<Q", _LARGEST_64),
    "endTimeUnixNano": _fixed(b"\x41", "<Q", _LARGEST_64),
    "attributes": _attributes(b"\x4a"),
    "droppedAttributesCount": _number(b"\x50", _LARGEST_32),
    "events": _messages(b"\x5a", _EVENT),
    "droppedEventsCount": _number(b"\x60", _LARGEST_32),
    "links": _messages(b"\x6a", _LINK),
    "droppedLinksCount": _number(b"\x70", _LARGEST_32),
    "status": _message(b"\x7a", _STATUS),
    "flags": _fixed(b"\x85\x01", "<I", _LARGEST_32),
}
_ENTITY: Final[_Fields] = {
    "schemaUrl": _text(b"\x0a"),
    "type": _text(b"\x12"),
    "idKeys": _texts(b"\x1a"),
    "descriptionKeys": _texts(b"\x22"),
}
_RESOURCE: Final[_Fields] = {
    "attributes": _attributes(b"\x0a"),
    "droppedAttributesCount": _number(b"\x10", _LARGEST_32),
    "entityRefs": _messages(b"\x1a", _ENTITY),
}
_SCOPE: Final[_Fields] = {
    "name": _text(b"\x0a"),
    "version": _text(b"\x12"),
    "attributes": _attributes(b"\x1a"),
    "droppedAttributesCount": _number(b"\x20", _LARGEST_32),
}

_RESOURCE_FIELD = _message(b"\x0a", _RESOURCE)
_SCOPE_FIELD = _message(b"\x0a", _SCOPE)
_SCHEMA_FIELD = _text(b"\x1a")


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
        _RESOURCE_FIELD(around[0].get("resource")),
        _SCHEMA_FIELD(around[0].get("schemaUrl")),
        _SCOPE_FIELD(scopes[0].get("scope")),
        _SCHEMA_FIELD(scopes[0].get("schemaUrl")),
    )


def _rejected_in_json(answer: Any) -> tuple[int, str]:
    partial = answer.get("partialSuccess") or answer.get("partial_success")
    count = partial.get("rejectedSpans", partial.get("rejected_spans", 0))
    reason = partial.get("errorMessage", partial.get("error_message", ""))
    return _integer(count, 0, _LARGEST_INT), reason if type(reason) is str else ""


def _fields_of(data: Any) -> Iterator[tuple[int, Any]]:
    """Yield the fields of a message of any kind: numbers as int, all else as bytes.

    Raises:
        ValueError: it is none.
    """
    position = 0
    while position < len(data):
        tag, position = _read_varint(data, position)
        kind = tag & 7
        if kind == 0:
            value, position = _read_varint(data, position)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, position = _read_varint(data, position)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError("no protobuf")
        if position + size > len(data):
            raise ValueError("cut off")
        yield tag >> 3, data[position : position + size]
        position += size


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, position
    raise ValueError("no protobuf")


# What is cut from a span that is too large.


def _without_note(span: dict[str, Any]) -> int:
    """Take the note of an earlier cut out of the span, and return how much that one cut."""
    cut = 0
    attributes = span.setdefault("attributes", [])
    for position, attribute in enumerate(attributes):
        if attribute["key"] == CUT_BYTES:
            cut = _integer(attribute.get("value", {}).get("intValue"), 0, _LARGEST_INT)
            del attributes[position]
            break
    return cut


def _shorten(span: dict[str, Any], room: int) -> int | None:
    """Cut a span to its room, and return how many bytes it has now, or None if it cannot be."""
    size = len(_span_bytes(span))
    texts = _long_texts(span)
    for limit in _LIMITS:
        cuts = [text.cut(limit) for text in texts]
        if any(cuts):
            size = len(_span_bytes(span))
            if size <= room:
                return size
    for name, count in _DROPPED.items():
        if size > room and span.get(name):
            size -= _drop_largest(span, name, count, size - room + _COUNT_BYTES)
    return size if size <= room else None


def _drop_largest(span: dict[str, Any], name: str, count: str, excess: int) -> int:
    """Drop so many bytes of the span's parts of one name, and return how many went."""
    parts = span[name]
    sizes = [len(_SPAN[name]([part])) for part in parts]
    dropped: set[int] = set()
    saved = 0
    for position in sorted(range(len(parts)), key=sizes.__getitem__, reverse=True):
        if saved >= excess:
            break
        if parts[position].get("key") not in _KEPT:
            dropped.add(position)
            saved += sizes[position]
    span[name] = [part for position, part in enumerate(parts) if position not in dropped]
    before = _integer(span.get(count), 0, _LARGEST_32)
    span[count] = min(before + len(dropped), _LARGEST_32)
    return saved - len(_SPAN[count](span[count])) + len(_SPAN[count](before))


class _LongText:
    """A text in a span that can be cut, each time from the whole of it.

    Args:
        holder: the object that it is a field of.
        name: of that field.
        is_json: it holds JSON, and does so when it is cut.
    """

    __slots__ = ("_excerpt", "_holder", "_name", "_text", "_whole")

    def __init__(self, holder: dict[str, Any], name: str, *, is_json: bool) -> None:
        self._holder = holder
        self._name = name
        self._whole: str = holder[name]
        self._text = self._whole
        self._excerpt: Callable[[str, int], str] = _excerpt
        if name == "bytesValue":
            self._excerpt = _excerpt_of_bytes
        elif is_json:
            self._excerpt_json(self._whole[:_LOOKED_AT].lstrip()[:1])

    def cut(self, limit: int) -> bool:
        """Leave about so many characters; return whether there were more."""
        if len(self._whole) <= limit:
            return False
        shorter = self._excerpt(self._text, limit)
        if len(shorter) >= len(self._whole):  # it has many quotes, which take two characters
            return False
        if self._name == "bytesValue":
            del self._holder[self._name]
            self._name = "stringValue"
        self._holder[self._name] = shorter
        return True

    def _excerpt_json(self, first: str) -> None:
        if first == '"':
            try:
                self._text = orjson.loads(self._whole)
            except ValueError:
                return
            self._excerpt = _excerpt_of_json_string
        elif first in ("{", "[", "-", *"0123456789"):
            # Not parsed to see whether it is JSON: that takes many times its size.
            self._excerpt = _excerpt_of_json


def _ends(text: str, limit: int) -> tuple[str, str, int]:
    """Return the head and the tail that are kept of a text, and how much of it is not."""
    kept = min((limit - _AROUND_CUT) // 2, len(text) // 2)
    return text[:kept], text[len(text) - kept :], len(text) - 2 * kept


def _excerpt(text: str, limit: int) -> str:
    head, tail, cut = _ends(text, limit)
    return f"{head}…[{cut} characters cut]…{tail}"


def _excerpt_of_bytes(text: str, limit: int) -> str:
    return f"…[{len(text.rstrip('=')) * 3 // 4} bytes cut]…"


def _excerpt_of_json_string(text: str, limit: int) -> str:
    head, tail, _ = _ends(text, limit)
    return orjson.dumps(f"{head}…[{TRUNCATED}: {len(text)} characters]…{tail}").decode()


def _excerpt_of_json(text: str, limit: int) -> str:
    head, tail, cut = _ends(text, limit)
    return orjson.dumps({TRUNCATED: cut, "length": len(text), "head": head, "tail": tail}).decode()


def _long_texts(span: dict[str, Any]) -> list[_LongText]:
    holders = {
        id(attribute.get("value"))
        for attribute in span["attributes"]
        if attribute["key"] in _JSON_TEXTS
    }
    found = []
    waiting: list[Any] = [span]
    while waiting:
        node = waiting.pop()
        if type(node) is list:
            waiting += node
        elif type(node) is dict:
            for name, value in node.items():
                if type(value) is not str:
                    waiting.append(value)
                elif len(value) > _LIMITS[-1] and name in _CUTTABLE:
                    found.append(_LongText(node, name, is_json=id(node) in holders))
    return found
