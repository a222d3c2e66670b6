"""Write a few short values of builtin types, of which the text alone tells that it is harmless.

Most of what is captured is that. Types and sizes are looked at, in a copy, which no other thread
changes, and the copy is written; no name is looked at. One look at the text tells that it names
nothing secret, nor holds anything that looks like it. Whatever says more is left to `PlainValues`.
"""

from __future__ import annotations

from typing import Any, Final

from orjson import JSONEncodeError, dumps

from spanwise._plain_values import FEW, LONGEST_KEY, ROOM_OF_ONE, RUN, SHORT, PlainValues
from spanwise._secret_hints import Hints

_MOST: Final = 24  # items of a container
_DEEPEST: Final = 3

_Copy = tuple[Any, int, int]  # a copy; how many values there are; into how many parts a limit fell


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
        if kind is dict:
            found = self._mapping(value, 0)
        elif kind is list or kind is tuple:
            found = self._sequence(value, 0)
        else:
            is_short = kind is str and len(value) <= SHORT
            found = (value, 1, 1) if is_short or value is None else None
        if found is None:
            return None
        copy, weight, parts = found
        try:
            data = dumps(copy)
        except JSONEncodeError:  # a lone surrogate, a key that is no text, a number too small
            return None
        length = len(data)
        if (length + ROOM_OF_ONE * (weight + 2)) * parts > self._room or weight > self._most:
            return None
        text = data.decode()
        if tells_something(text) or (length > LONGEST_KEY and not _has_short_keys(copy)):
            return None
        return text

    # Mappings and sequences are looked at by two loops that say the same: a call for each item would
    # cost more than all the rest.

    def _mapping(self, value: dict[Any, Any], depth: int) -> _Copy | None:
        if len(value) > _MOST or depth >= self._deepest:
            return None
        copy = value.copy()
        weight, nested, parts = len(copy), 0, 1
        for key, item in copy.items():
            kind = type(item)  # told by identity: a class of its own may answer for all else
            if kind is str:
                if len(item) > SHORT:
                    return None
            elif kind is int or item is None or kind is bool:
                pass
            elif kind is float:
                if item - item != 0:
                    return None
            elif kind is dict or kind is list or kind is tuple:
                if type(key) is not str:  # its hash would be asked for
                    return None
                look = self._mapping if kind is dict else self._sequence
                found = look(item, depth + 1)
                if found is None:
                    return None
                copy[key], added, inner = found
                weight += added
                nested += 1
                parts = max(parts, inner)
            else:
                return None
        return copy, weight, parts * nested if nested else 1

    def _sequence(self, value: Any, depth: int) -> _Copy | None:
        if len(value) > RUN or depth >= self._deepest:
            return None
        copy = list(value)
        length = weight = len(copy)
        parts = 1
        for position, item in enumerate(copy):
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
                found = look(item, depth + 1)
                if found is None:
                    return None
                copy[position], added, inner = found
                weight += added
                parts = max(parts, inner)
            else:
                return None
        return copy, weight, parts * (2 if length > FEW else max(1, length))


def _has_short_keys(value: Any) -> bool:
    """Return whether no key of what was written is too long to be written as a whole."""
    items = value
    if type(value) is dict:
        if value and len(max(value, key=len)) > LONGEST_KEY:
            return False
        items = value.values()
    elif type(value) is not list:
        return True
    for item in items:
        kind = type(item)
        if (kind is dict or kind is list) and not _has_short_keys(item):
            return False
    return True
