"""Plain spans as bytes of the protocol: what their lines have in common need not be read as JSON.

Plain is a span without events, links and a status, whose line is written as `otlp_json` writes it.
All else is left to `protobuf`, which says what a span's bytes are.
"""

from __future__ import annotations

import re
import struct
from binascii import unhexlify
from typing import Any, Final

from orjson import loads

from spanwise.export import protobuf

_SPAN: Final = re.compile(
    rb'\{"traceId":"(?!0{32})([0-9a-f]{32})","spanId":"(?!0{16})([0-9a-f]{16})"'
    rb'(?:,"parentSpanId":"(?!0{16})([0-9a-f]{16})")?,"flags":([1-9][0-9]{0,8}),'
    rb'"name":"([ !#-\[\]-~]+)","kind":([1-5]),"startTimeUnixNano":"([1-9][0-9]{18})",'
    rb'"endTimeUnixNano":"([1-9][0-9]{18})","attributes":\[(?:\{"key":(.+)\}\})?\],'
    rb'"status":\{"code":0\}\}'
)
# Neither can be a part of a text, in which quotes are escaped.
_BETWEEN: Final = b'}},{"key":'
_TEXT: Final = b',"value":{"stringValue":'
_LONGEST: Final = 160  # bytes of an attribute, or of a key, that is remembered
_LARGEST_LENGTH: Final = 16_384  # likewise
ATTRIBUTES: Final = b"\x4a"
_PARENT: Final = b"\x22\x08"
_KINDS: Final = {b"%d" % kind: bytes((kind,)) for kind in range(1, 6)}
_pack_times = struct.Struct("<BQBQ").pack
_pack_flags = struct.Struct("<I").pack


def span_bytes(span: bytes) -> bytes | None:
    """Return a span's JSON as a `Span` of the protocol; None for what is not plain."""
    found = _SPAN.fullmatch(span)
    if found is None:
        return None
    trace_id, span_id, parent, flags, name, kind, start, end, said = found.groups()
    try:
        attributes = b"" if said is None else b"".join(map(_attribute, said.split(_BETWEEN)))
    except ValueError:  # one around others was split, or it is no JSON at all
        return None
    return b"\x0a\x10%b\x12\x08%b%b*%b%b0%b%b%b\x7a\x00\x85\x01%b" % (
        unhexlify(trace_id),
        unhexlify(span_id),
        b"" if parent is None else _PARENT + unhexlify(parent),
        _varints[len(name)],
        name,
        _KINDS[kind],
        _pack_times(0x39, int(start), 0x41, int(end)),
        attributes,
        _pack_flags(int(flags)),
    )


def text_attribute(begun: bytes, utf8: bytes) -> bytes:
    """Return an attribute that is a text.

    Args:
        begun: it up to the length of its value.
        utf8: the text.
    """
    length = _varints[len(utf8)]
    size = _varints[1 + len(length) + len(utf8)]
    whole = len(begun) + len(size) + 1 + len(length) + len(utf8)
    return b"".join((ATTRIBUTES, _varints[whole], begun, size, b"\x0a", length, utf8))


class _Attributes(dict[bytes, bytes]):
    """Attributes by what their lines say of them, without what stands between any two."""

    def __missing__(self, piece: bytes) -> bytes:
        key, is_text, written = piece.partition(_TEXT)
        if is_text:
            text = loads(written)
            begun = _starts[key]
            if type(text) is not str or begun is None:
                raise ValueError("no text")
            made = text_attribute(begun, text.encode())
        else:
            made = protobuf.attributes(ATTRIBUTES, [loads(b'{"key":%b}}' % piece)])
        if len(piece) <= _LONGEST:
            protobuf.remember(self, piece, made)
        return made


class _Starts(dict[bytes, Any]):
    """Attributes up to the length of their value, by key as JSON; None where that is no key."""

    def __missing__(self, key: bytes) -> bytes | None:
        read = loads(key)
        start = protobuf.text(b"\x0a", read) + b"\x12" if type(read) is str and read else None
        if len(key) < _LONGEST:
            protobuf.remember(self, key, start)
        return start


class _Varints(dict[int, bytes]):
    """Lengths as the protocol writes them."""

    def __missing__(self, length: int) -> bytes:
        made = protobuf.varint(length)
        if length < _LARGEST_LENGTH:
            self[length] = made
        return made


_starts, _varints = _Starts(), _Varints()
_attribute = _Attributes().__getitem__
