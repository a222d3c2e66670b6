"""Spans that are too large for a request, cut to what one can hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from spanwise import semconv
from spanwise._value_kinds import TRUNCATED
from spanwise.export import wire
from spanwise.export.foreign_otlp import in_order, normal_span
from spanwise.export.otlp_json import BEGINNING
from spanwise.export.protobuf import LARGEST_32, LARGEST_INT, SPAN, integer, span_bytes

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
        text, group = wire.parts(line)
        document = orjson.loads(text)
        whole = len(span_bytes(document))
        span = normal_span(document)
    except ValueError:
        return None
    room = most_bytes - len(group)
    if whole > room:
        cut_before = _without_note(span)
        left = _shorten(span, room - _NOTE_BYTES)
        if left is None:
            return None
        cut = min(cut_before + whole - left, LARGEST_INT)
        span["attributes"].append(
            {"key": semconv.OBSERVATION_CUT_BYTES, "value": {"intValue": str(cut)}}
        )
        text = orjson.dumps(in_order(span))
    return b"".join((BEGINNING, text, group, b"}"))


def _without_note(span: dict[str, Any]) -> int:
    """Take the note of an earlier cut out of the span, and return how much that one cut."""
    cut = 0
    attributes = span.setdefault("attributes", [])
    for position, attribute in enumerate(attributes):
        if attribute["key"] == semconv.OBSERVATION_CUT_BYTES:
            cut = integer(attribute.get("value", {}).get("intValue"), LARGEST_INT) or 0
            del attributes[position]
            break
    return cut


def _shorten(span: dict[str, Any], room: int) -> int | None:
    """Cut a span to its room, and return how many bytes it has now, or None if it cannot be."""
    size = len(span_bytes(span))
    texts = _long_texts(span)
    for limit in _LIMITS:
        cuts = [text.cut(limit) for text in texts]
        if any(cuts):
            size = len(span_bytes(span))
            if size <= room:
                return size
    for name, count in _DROPPED.items():
        if size > room and span.get(name):
            size -= _drop_largest(span, name, count, size - room + _COUNT_BYTES)
    return size if size <= room else None


def _drop_largest(span: dict[str, Any], name: str, count: str, excess: int) -> int:
    """Drop so many bytes of the span's parts of one name, and return how many went."""
    parts = span[name]
    sizes = [len(SPAN[name]([part])) for part in parts]
    dropped: set[int] = set()
    saved = 0
    for position in sorted(range(len(parts)), key=sizes.__getitem__, reverse=True):
        if saved >= excess:
            break
        if parts[position].get("key") not in _KEPT:
            dropped.add(position)
            saved += sizes[position]
    span[name] = [part for position, part in enumerate(parts) if position not in dropped]
    before = integer(span.get(count), LARGEST_32) or 0
    span[count] = min(before + len(dropped), LARGEST_32)
    return saved - len(SPAN[count](span[count])) + len(SPAN[count](before))


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
