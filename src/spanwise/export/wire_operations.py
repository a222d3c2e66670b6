"""Operations as bytes of the protocol, made of what their lines say, without the lines.

The bytes are those that are made of the line by reading it, which is done for all else.
"""

from __future__ import annotations

import struct
from typing import Final

from orjson import loads

from spanwise import semconv
from spanwise.export import protobuf
from spanwise.export.otlp_operations import Parts
from spanwise.export.wire_plain import ATTRIBUTES, text_attribute

_LONGEST: Final = 65_536  # bytes of what is remembered
_pack = struct.Struct("<BQBQ").pack
_pack_flags = struct.Struct("<I").pack


def span_bytes(said: Parts) -> bytes | None:
    """Return an operation's span as a `Span` of the protocol; None where the line must be read."""
    context, parent, flags, name, start, end, who, known, went_in, came_out, _ = said
    try:
        return b"\x0a\x10%b\x12\x08%b%b%b0\x01%b%b%b%b%b\x7a\x00\x85\x01%b" % (
            _id(context[0], 16),
            _id(context[1], 8),
            b"" if parent is None else b"\x22\x08" + _id(parent[1], 8),
            _names[name],
            _pack(0x39, start, 0x41, end),
            _attributes[who],
            _attributes[known],
            b"" if went_in is None else text_attribute(_INPUT, went_in.encode()),
            b"" if came_out is None else text_attribute(_OUTPUT, came_out.encode()),
            _pack_flags(flags),
        )
    except (AttributeError, OverflowError, TypeError, ValueError, struct.error):
        return None


def _id(number: int, length: int) -> bytes:
    if not number:
        raise ValueError("no id")
    return number.to_bytes(length, "big")


def _begun(key: str) -> bytes:
    """Return an attribute up to the length of its value."""
    return protobuf.text(b"\x0a", key) + b"\x12"


class _Attributes(dict[bytes, bytes]):
    """Attributes by what lines say of them; the ones of an identity have a comma behind each."""

    def __missing__(self, written: bytes) -> bytes:
        made = protobuf.attributes(ATTRIBUTES, loads(b"[%b]" % written.removesuffix(b",")))
        if len(written) <= _LONGEST:
            protobuf.remember(self, written, made)
        return made


class _Names(dict[bytes, bytes]):
    """Names by what lines say of them."""

    def __missing__(self, written: bytes) -> bytes:
        made = protobuf.text(b"\x2a", loads(written))
        if len(written) <= _LONGEST:
            protobuf.remember(self, written, made)
        return made


class _Groups(dict[bytes, bytes]):
    """What tells which lines belong together, by what stands behind their spans."""

    def __missing__(self, behind: bytes) -> bytes:
        group = behind[:-1]  # as it is read of a line: without the last brace
        if len(behind) <= _LONGEST:
            protobuf.remember(self, behind, group)
        return group


_INPUT, _OUTPUT = _begun(semconv.OBSERVATION_INPUT), _begun(semconv.OBSERVATION_OUTPUT)
_attributes, _names, groups = _Attributes(), _Names(), _Groups()
