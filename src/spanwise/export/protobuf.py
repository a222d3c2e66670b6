"""The protocol's messages as bytes, made of their JSON, and the fields in a message's bytes.

The bytes are written directly: a field is its tag, the length of what follows where that varies,
and the content, and a field that has the default value is left out. What is no value of its
field's type counts as the default.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

import orjson

# A request has seven messages around an attribute's value, and a mapping or a sequence in it adds
# up to three; protobuf's readers refuse the whole request at more than a hundred.
MOST_NESTED: Final = 30

LARGEST_32: Final = 2**32 - 1
LARGEST_INT: Final = 2**63 - 1
_SMALLEST_INT = -(2**63)
_LARGEST_64 = 2**64 - 1
_LARGEST_ENUM = 2**31 - 1
_MOST_DIGITS = 20
_LONGEST_TEXT, _MOST_REMEMBERED = 64, 1024  # of keys and values
_ODD = (AttributeError, KeyError, OverflowError, TypeError, ValueError)

_LAST = tuple(bytes((number,)) for number in range(128))
_NOT_LAST = tuple(bytes((number | 128,)) for number in range(128))
# The beginning of a short text as a value: its length with and without its own tag.
_SHORT = tuple(bytes((length + 2, 0x0A, length)) for length in range(126))
_PACK_32 = struct.Struct("<I").pack
_PACK_64 = struct.Struct("<Q").pack
_PACK_DOUBLE = struct.Struct("<d").pack
_PACK_TIMES = struct.Struct("<BQBQ").pack
_NO_TRACE_ID, _NO_SPAN_ID = bytes(16), bytes(8)
# What all spans have, and nothing else: others have events, links, or more than they can hold.
_PLAIN = frozenset(
    (
        "traceId spanId parentSpanId flags name kind startTimeUnixNano endTimeUnixNano attributes"
        " status"
    ).split()
)
_USUAL_DIGITS = 19  # of a time in nanoseconds, in this century
_UNSET = {"code": 0}

_Fields: TypeAlias = Mapping[str, Callable[[Any], bytes]]


def span_bytes(span: Any) -> bytes:
    """Return a span's JSON as a `Span` of the protocol.

    Raises:
        ValueError: it has no ids, or what it has are none.
    """
    if type(span) is not dict:
        raise ValueError("a span is an object")
    trace_id, span_id = _id(span.get("traceId"), 16), _id(span.get("spanId"), 8)
    if trace_id == _NO_TRACE_ID or span_id == _NO_SPAN_ID:
        raise ValueError("an id is all zeros")
    content = _plain_content(span) if _PLAIN.issuperset(span) else None
    if content is None:
        content = _content(SPAN, span)
    return b"\x0a\x10%b\x12\x08%b%b" % (trace_id, span_id, content)


def _plain_content(span: Mapping[str, Any]) -> bytes | None:
    """Return what most spans consist of; None where a part of it is missing or odd."""
    try:
        start, end = span["startTimeUnixNano"], span["endTimeUnixNano"]
        flags, kind = span["flags"], span["kind"]
        if not (
            type(start) is type(end) is str
            and len(start) == len(end) == _USUAL_DIGITS
            and type(kind) is type(flags) is int
            and 0 < kind < 128
            and 0 < flags <= LARGEST_32
        ):
            return None
        parent = span.get("parentSpanId")
        name, status = span["name"].encode(), span["status"]
        start, end = int(start), int(end)
        if not (name and start > 0 and end > 0) or status is None:
            return None
        return b"%b*%b%b0%b%b%b%b\x85\x01%b" % (
            b"" if parent is None else _parent_id(parent),
            varint(len(name)),
            name,
            _LAST[kind],
            _PACK_TIMES(0x39, start, 0x41, end),
            attributes(b"\x4a", span["attributes"]),
            b"\x7a\x00" if status == _UNSET else message(b"\x7a", STATUS, status),
            _PACK_32(flags),
        )
    except (AttributeError, KeyError, ValueError, struct.error):
        return None


def fields_in(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the fields of a message of any kind: numbers as int, all else as bytes.

    Raises:
        ValueError: it is none.
    """
    position = 0
    while position < len(data):
        tag, position = _read_varint(data, position)
        kind = tag & 7
        if kind in (0, 2):
            number, position = _read_varint(data, position)
        elif kind in (1, 5):
            number = 8 if kind == 1 else 4
        else:
            raise ValueError("no protobuf")
        begin, position = position, position + number if kind else position
        if position > len(data):
            raise ValueError("cut off")
        yield tag >> 3, data[begin:position] if kind else number


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    number = 0
    for shift, byte in zip(range(0, 70, 7), data[position : position + 10], strict=False):
        position += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, position
    raise ValueError("no protobuf")


def integer(value: Any, most: int, least: int = 0) -> int | None:
    """Return a number, which JSON may hold as a text; None for what is none of that size."""
    kind = type(value)
    if kind is str and len(value) <= _MOST_DIGITS:
        try:
            value = int(value)
        except ValueError:
            return None
    elif kind is float and value == value // 1:
        value = int(value)
    elif kind is not int:
        return None
    return value if least <= value <= most else None


def _id(value: Any, length: int) -> bytes:
    made = bytes.fromhex(value) if type(value) is str and len(value) == 2 * length else b""
    if len(made) != length:  # as it is with spaces in it
        raise ValueError("no id")
    return made


def varint(number: int) -> bytes:
    """Return a number in as many bytes as it takes, seven bits in each."""
    if number < 128:
        return _LAST[number]
    if number < 16_384:
        return _NOT_LAST[number & 127] + _LAST[number >> 7]
    return _NOT_LAST[number & 127] + varint(number >> 7)


def _content(fields: _Fields, content: Mapping[str, Any]) -> bytes:
    """Return what a message consists of, in the order of its fields."""
    pieces = []
    for name, write in fields.items():
        value = content.get(name)
        if value is not None:
            pieces.append(write(value))
    return b"".join(pieces)


def field(tag: bytes, content: bytes) -> bytes:
    """Return a field of any content."""
    return tag + varint(len(content)) + content


def text(tag: bytes, value: Any) -> bytes:
    """Return a field of a text."""
    return field(tag, value.encode()) if type(value) is str and value else b""


def message(tag: bytes, fields: _Fields, value: Any) -> bytes:
    """Return a field of a message."""
    return field(tag, _content(fields, value) if type(value) is dict else b"")


def _texts(tag: bytes, values: Any) -> bytes:
    texts = [v for v in values if type(v) is str] if type(values) is list else []
    return b"".join(field(tag, value.encode()) for value in texts)


def _messages(tag: bytes, fields: _Fields, values: Any) -> bytes:
    pieces = []
    for value in values if type(values) is list else ():
        if type(value) is dict:
            try:
                pieces.append(message(tag, fields, value))
            except ValueError:  # ids that are none: collectors refuse the whole request
                continue
    return b"".join(pieces)


def _number(tag: bytes, most: int, write: Callable[[int], bytes], value: Any) -> bytes:
    number = integer(value, most)
    return tag + write(number) if number else b""


def _link_id(tag: bytes, length: int, value: Any) -> bytes:
    return field(tag, _id(value, length)) if value else b""


def _parent_id(value: Any) -> bytes:
    parent = _id(value, 8) if value else b""
    return b"\x22\x08" + parent if parent.strip(b"\0") else b""


def attributes(tag: bytes, items: Any, depth: int = 0) -> bytes:
    """Return fields of attributes, each a mapping of a key and a value."""
    pieces: list[bytes] = []
    for item in items if type(items) is list else ():
        try:
            key, value = item["key"], item["value"]
            if "stringValue" in value:
                value = value["stringValue"]
                if len(value) < _LONGEST_TEXT:
                    pieces += (tag, _short_texts[key, value])
                    continue
                utf8 = value.encode()
                content = _SHORT[len(utf8)] + utf8 if len(utf8) < 126 else _nested(b"\x0a", utf8)
            else:
                content = _value(value, depth)
            start = _starts[key]
            pieces += (tag, varint(len(start) + len(content)), start, content)
        except _ODD:
            if type(item) is dict:
                key, value = text(b"\x0a", item.get("key")), item.get("value")
                content = b"" if value is None else b"\x12" + _value(value, depth)
                pieces.append(field(tag, key + content))
    return b"".join(pieces)


class _Starts(dict[str, bytes]):
    """Attributes up to the length of their value, by key: attributes have few different keys."""

    def __missing__(self, key: str) -> bytes:
        start = text(b"\x0a", key) + b"\x12"
        if len(key) < _LONGEST_TEXT:
            remember(self, key, start)
        return start


class _ShortTexts(dict[tuple[str, str], bytes]):
    """Attributes of short texts, with their length before them: many say the same again."""

    def __missing__(self, said: tuple[str, str]) -> bytes:
        key, value = said
        start, utf8 = _starts[key], value.encode()
        whole = start + (_nested(b"\x0a", utf8) if len(utf8) > 125 else _SHORT[len(utf8)] + utf8)
        whole = varint(len(whole)) + whole
        if len(key) < _LONGEST_TEXT:
            remember(self, said, whole)
        return whole


def remember(known: dict[Any, Any], key: Any, made: Any) -> None:
    """Remember what was made of a key, unless it is one of very many: then begin anew."""
    if len(known) >= _MOST_REMEMBERED:
        known.clear()
    known[key] = made


_starts, _short_texts = _Starts(), _ShortTexts()


def _value(value: Any, depth: int) -> bytes:
    """Return an `AnyValue` with its length before it; one that is odd is empty."""
    for kind, content in value.items() if type(value) is dict else ():
        try:
            if kind == "stringValue":
                utf8 = content.encode()
                return _SHORT[len(utf8)] + utf8 if len(utf8) < 126 else _nested(b"\x0a", utf8)
            if kind == "intValue":
                number = integer(content, LARGEST_INT, _SMALLEST_INT)
                written = b"" if number is None else b"\x18" + varint(number & _LARGEST_64)
                return _LAST[len(written)] + written
            if kind == "bytesValue":
                # In both alphabets, padded or not, as protobuf's own readers take it.
                base64 = content.replace("-", "+").replace("_", "/")
                return _nested(b"\x3a", binascii.a2b_base64(base64 + "=="))
            if kind == "doubleValue" and type(content) is not bool:
                return b"\x09\x21" + _PACK_DOUBLE(float(content))
            if kind == "boolValue" and type(content) is bool:
                return b"\x02\x10" + _LAST[content]
            if kind in ("arrayValue", "kvlistValue"):
                return _several(kind, content, depth)
        except _ODD:
            break
    return b"\0"


def _several(kind: str, content: Any, depth: int) -> bytes:
    if depth >= MOST_NESTED:
        # As text, which every reader takes. What orjson reads it cannot always write: that is odd.
        return _nested(b"\x0a", orjson.dumps({kind: content}))
    values = content.get("values")
    if kind == "kvlistValue":
        return _nested(b"\x32", attributes(b"\x0a", values, depth + 1))
    pieces: list[bytes] = []
    for item in values if type(values) is list else ():
        pieces += (b"\x0a", _value(item, depth + 1))
    return _nested(b"\x2a", b"".join(pieces))


def _nested(tag: bytes, content: bytes) -> bytes:
    length = varint(len(content))
    return varint(1 + len(length) + len(content)) + tag + length + content


# The messages of the protocol by the JSON names of their fields, in the order of their numbers.
# The ids of a span, its fields 1 and 2, are written apart from the rest because they must be there.

STATUS: Final[_Fields] = {
    "message": partial(text, b"\x12"),
    "code": partial(_number, b"\x18", _LARGEST_ENUM, varint),
}
EVENT: Final[_Fields] = {
    "timeUnixNano": partial(_number, b"\x09", _LARGEST_64, _PACK_64),
    "name": partial(text, b"\x12"),
    "attributes": partial(attributes, b"\x1a"),
    "droppedAttributesCount": partial(_number, b"\x20", LARGEST_32, varint),
}
LINK: Final[_Fields] = {
    "traceId": partial(_link_id, b"\x0a", 16),
    "spanId": partial(_link_id, b"\x12", 8),
    "traceState": partial(text, b"\x1a"),
    "attributes": partial(attributes, b"\x22"),
    "droppedAttributesCount": partial(_number, b"\x28", LARGEST_32, varint),
    "flags": partial(_number, b"\x35", LARGEST_32, _PACK_32),
}
SPAN: Final[_Fields] = {
    "traceState": partial(text, b"\x1a"),
    "parentSpanId": _parent_id,
    "name": partial(text, b"\x2a"),
    "kind": partial(_number, b"\x30", _LARGEST_ENUM, varint),
    "startTimeUnixNano": partial(_number, b"\x39", _LARGEST_64, _PACK_64),
    "endTimeUnixNano": partial(_number, b"\x41", _LARGEST_64, _PACK_64),
    "attributes": partial(attributes, b"\x4a"),
    "droppedAttributesCount": partial(_number, b"\x50", LARGEST_32, varint),
    "events": partial(_messages, b"\x5a", EVENT),
    "droppedEventsCount": partial(_number, b"\x60", LARGEST_32, varint),
    "links": partial(_messages, b"\x6a", LINK),
    "droppedLinksCount": partial(_number, b"\x70", LARGEST_32, varint),
    "status": partial(message, b"\x7a", STATUS),
    "flags": partial(_number, b"\x85\x01", LARGEST_32, _PACK_32),
}
ENTITY: Final[_Fields] = {
    "schemaUrl": partial(text, b"\x0a"),
    "type": partial(text, b"\x12"),
    "idKeys": partial(_texts, b"\x1a"),
    "descriptionKeys": partial(_texts, b"\x22"),
}
RESOURCE: Final[_Fields] = {
    "attributes": partial(attributes, b"\x0a"),
    "droppedAttributesCount": partial(_number, b"\x10", LARGEST_32, varint),
    "entityRefs": partial(_messages, b"\x1a", ENTITY),
}
SCOPE: Final[_Fields] = {
    "name": partial(text, b"\x0a"),
    "version": partial(text, b"\x12"),
    "attributes": partial(attributes, b"\x1a"),
    "droppedAttributesCount": partial(_number, b"\x20", LARGEST_32, varint),
}
