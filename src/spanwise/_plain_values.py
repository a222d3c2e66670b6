"""Write small values of builtin types as they are, without the walk over them.

Almost all that is captured is a few texts and numbers, which the walk would only copy. Here they
are looked at and copied in one go. The copy is what is written, so that no other thread can
change what was looked at. Whatever is not plainly within the limits, or could be meant to be
hidden, is left to the walk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orjson import JSONEncodeError, dumps

from spanwise import _media

if TYPE_CHECKING:
    from spanwise._encoding import Limits
    from spanwise._masking import Masker

LONGEST_KEY: Final = 256
SHORT: Final = 256  # a longer string waits until its small neighbours have been encoded
FEW: Final = 4  # items of a sequence that share what is left between them

_MOST = 256  # values, and as much as so many weigh
_DEEPEST = 8
_CHARACTERS_OF_ONE = 128  # of a long text, that weigh as much as one value
_LARGEST: Final = 2**63 - 1  # of 64 bits
_SMALLEST: Final = -(2**63)
# Bytes for which one value counts beside its text. The walk takes up to 8 more than are written.
_ROOM_OF_ONE = 32

_Copy = tuple[Any, int, int]  # a copy; how many values it weighs; into how many parts a limit fell


class PlainValues:
    """Writes what is plain.

    Args:
        masker: says what is secret.
        limits: how much is kept.
    """

    __slots__ = (*("_deepest", "_harmless", "_longest", "_masker", "_most", "_room", "_short"),)

    def __init__(self, masker: Masker, limits: Limits) -> None:
        self._masker = masker
        self._harmless = masker.names.harmless
        # With less than this no share that the walk deals out is used up: it would cut nothing.
        characters = limits.characters or limits.bytes
        self._room = min(limits.bytes, characters, _ROOM_OF_ONE * limits.nodes)
        self._most = min(_MOST, limits.items)
        self._deepest = min(_DEEPEST, limits.depth)
        self._longest = limits.string
        self._short = min(SHORT, limits.string)

    def text_of(self, value: Any) -> str | None:
        """Return the JSON text that the walk would make of the value, or None if it must."""
        kind = type(value)
        if kind is dict:
            found = self._mapping(value, 0, self._most)
        elif kind is str:
            weight = self._weight(value) if len(value) > self._short else 1
            found = (value, weight, 1) if weight else None
        elif kind is list or kind is tuple:
            found = self._sequence(value, 0, self._most)
        else:
            found = (value, 1, 1) if value is None else None
        if found is None:
            return None
        copy, weight, parts = found
        try:
            data = dumps(copy)
        except JSONEncodeError:  # a lone surrogate
            return None
        if (len(data) + _ROOM_OF_ONE * (weight + 2)) * parts > self._room:
            return None
        return data.decode()

    def _mapping(self, value: dict[Any, Any], depth: int, most: int) -> _Copy | None:
        weight = len(value)
        if weight > most or depth >= self._deepest:
            return None
        copy = value.copy()
        large = 0
        harmless, short = self._harmless, self._short
        nested: list[str] | None = None
        is_telling = holds_content = False
        for key, item in copy.items():
            if type(key) is not str:
                return None
            if key not in harmless:
                if key == "content":
                    holds_content = True
                else:
                    is_telling = True
            kind = type(item)
            if kind is str:
                if len(item) > short:
                    added = self._weight(item)
                    if not added:
                        return None
                    weight += added
                    large += 1
            elif kind is int:
                if item > _LARGEST or item < _SMALLEST:
                    return None
            elif item is None or kind is bool:
                pass
            elif kind is float:
                if item - item != 0:
                    return None
            elif kind is dict or kind is list or kind is tuple:
                if nested is None:
                    nested = []
                nested.append(key)
                large += 1
            else:
                return None
        if holds_content and "role" not in copy:  # it is no message's, whose content is harmless
            is_telling = True
        if is_telling and (
            any(len(key) > LONGEST_KEY for key in copy)
            or self._masker.hidden_entries(list(copy.items()))
        ):
            return None
        if nested is None:
            return copy, weight, large or 1
        parts = 1
        for key in nested:
            item = copy[key]
            look = self._mapping if type(item) is dict else self._sequence
            found = look(item, depth + 1, most - weight)
            if found is None:
                return None
            copy[key], added, inner = found
            weight += added
            parts = max(parts, inner)
        return copy, weight, parts * large

    def _sequence(self, value: Any, depth: int, most: int) -> _Copy | None:
        length = weight = len(value)
        if length > most or depth >= self._deepest:
            return None
        copy = list(value)
        parts = 1
        short = self._short
        for position, item in enumerate(copy):
            kind = type(item)
            if kind is str:
                if len(item) > short:
                    added = self._weight(item)
                    if not added:
                        return None
                    weight += added
                if item.startswith("-"):  # the arguments of a command
                    return None
            elif kind is int:
                if item > _LARGEST or item < _SMALLEST:
                    return None
            elif item is None or kind is bool:
                pass
            elif kind is float:
                if item - item != 0:
                    return None
            elif kind is dict or kind is list or kind is tuple:
                look = self._mapping if kind is dict else self._sequence
                found = look(item, depth + 1, most - weight)
                if found is None:
                    return None
                copy[position], added, inner = found
                weight += added
                parts = max(parts, inner)
            else:
                return None
        if length == 2 and self._masker.hidden_items(copy):
            return None
        return copy, weight, parts * (2 if length > FEW else max(1, length))

    def _weight(self, text: str) -> int:
        """Return as how many values a long text counts; none if the walk must look at it."""
        length = len(text)
        if length > self._longest or text.startswith("<callable:"):
            return 0
        if length >= _media.SMALLEST and _media.may_be_in(text):
            return 0
        return 1 + length // _CHARACTERS_OF_ONE
