"""Write a few short values of builtin types, of which the text alone tells that it is harmless.

Most of what is captured is that. Types and sizes are looked at, and the whole is written at once;
then one look at the text tells that it names nothing secret, nor holds anything that looks like
it. What another thread changes in between is looked at in the text as well. Whatever says more is
left to `PlainValues`.
"""

from __future__ import annotations

from typing import Any, Final

from orjson import JSONEncodeError, dumps

from spanwise._plain_values import FEW, LONGEST_KEY, ROOM_OF_ONE, RUN, SHORT, PlainValues
from spanwise._secret_hints import Hints

_MOST: Final = 24  # items of a container
_DEEPEST: Final = 3

_Size = tuple[int, int]  # how many values there are, and into how many parts a limit falls


class SmallValues:
    """Writes what is small.

    Args:
        plain: says how much is kept.
        hints: of secrets.
    """

    __slots__ = ("_deepest", "_hints", "_most", "_room")

    def __init__(self, plain: PlainValues, hints: Hints) -> None:
        self._hints = hints
        self._room = plain.room if plain.short == SHORT else 0
        self._most = plain.most
        self._deepest = min(_DEEPEST, plain.deepest)

    def text_of(self, value: Any) -> str | None:
        """Return the JSON text that `PlainValues` makes of the value, or None if it must."""
        tells_something = self._hints.tells_something
        if tells_something is None:
            return None
        kind = type(value)
        try:
            if kind is dict:
                size = self._mapping(value, 0)
            elif kind is list or kind is tuple:
                size = self._sequence(value, 0)
            else:
                is_short = kind is str and len(value) <= SHORT
                size = (1, 1) if is_short or value is None else None
            if size is None:
                return None
            data = dumps(value)
        except (JSONEncodeError, RuntimeError):  # a lone surrogate, or another thread
            return None
        weight, parts = size
        length = len(data)
        if (length + ROOM_OF_ONE * (weight + 2)) * parts > self._room or weight > self._most:
            return None
        text = data.decode()
        if tells_something(text) or (length > LONGEST_KEY and not _has_short_keys(value)):
            return None
        return text

    def _mapping(self, value: dict[Any, Any], depth: int) -> _Size | None:
        weight = len(value)
        if weight > _MOST or depth >= self._deepest:
            return None
        nested, parts = 0, 1
        for item in value.values():
            kind = type(item)
            if kind is str:
                if len(item) > SHORT:
                    return None
            elif kind is int or item is None or kind is bool:
                pass
            elif kind is float:
                if item - item != 0:
                    return None
            elif kind is dict or kind is list or kind is tuple:
                look = self._mapping if kind is dict else self._sequence
                size = look(item, depth + 1)
                if size is None:
                    return None
                added, inner = size
                weight += added
                nested += 1
                parts = max(parts, inner)
            else:
                return None
        return weight, parts * nested if nested else 1

    def _sequence(self, value: Any, depth: int) -> _Size | None:
        length = weight = len(value)
        if length > RUN or depth >= self._deepest:
            return None
        parts = 1
        for item in value:
            kind = type(item)
            if kind is str:
                if len(item) > SHORT:
                    return None
            elif kind is int or item is None or kind is bool:
                pass
            elif kind is float:
                if item - item != 0:
                    return None
            elif kind is dict or kind is list or kind is tuple:
                look = self._mapping if kind is dict else self._sequence
                size = look(item, depth + 1)
                if size is None:
                    return None
                added, inner = size
                weight += added
                parts = max(parts, inner)
            else:
                return None
        return weight, parts * (2 if length > FEW else max(1, length))


def _has_short_keys(value: Any) -> bool:
    """Return whether no key is too long to be written as a whole."""
    items = value
    if type(value) is dict:
        if value and len(max(value, key=len)) > LONGEST_KEY:
            return False
        items = value.values()
    elif type(value) is str or value is None:
        return True
    for item in items:
        kind = type(item)
        if (kind is dict or kind is list or kind is tuple) and not _has_short_keys(item):
            return False
    return True
