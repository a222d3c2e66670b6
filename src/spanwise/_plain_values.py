"""Write small values of builtin types as they are, without the walk over them.

Almost all that is captured is a few texts and numbers, which the walk would only copy. Here they
are looked at and copied in one go. The copy is what is written, so that no other thread can
change what was looked at. Whatever is not plainly within the limits, or could be meant to be
hidden, is left to the walk.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from orjson import JSONEncodeError, dumps

from spanwise import _media

if TYPE_CHECKING:
    from spanwise._limits import Limits
    from spanwise._masking import Masker

LONGEST_KEY: Final = 256
SHORT: Final = 256  # a longer string waits until its small neighbours have been encoded
FEW: Final = 4  # items of a sequence that share what is left between them

_MOST = 256  # values, and as much as so many weigh
_DEEPEST = 8
_CHARACTERS_OF_ONE = 128  # of a long text, that weigh as much as one value
_LARGEST: Final = 2**63 - 1  # of 64 bits
_SMALLEST: Final = -(2**63)
_BYTES_OF_ONE = 8  # that the walk takes of its budget for a value, at most, beside its text
ROOM_OF_ONE: Final = 32  # bytes for which a value counts where room is for both bytes and values
RUN: Final = 8  # more values than these are worth a look whether all are of one kind

_Copy = tuple[Any, int, int]  # a copy; how many values it weighs; into how many parts a limit fell


class PlainValues:
    """Writes what is plain.

    Args:
        masker: says what is secret.
        limits: how much is kept.

    Attributes:
        room: bytes that nothing is cut within.
        most: values.
        deepest: containers inside each other.
        short: characters of a string that is not worth a look of its own.
    """

    __slots__ = ("_harmless", "_longest", "_masker", "deepest", "most", "room", "short")

    def __init__(self, masker: Masker, limits: Limits) -> None:
        self._masker = masker
        self._harmless = masker.names.harmless
        # With less than this no share that the walk deals out is used up: it would cut nothing.
        characters = limits.characters or limits.bytes
        self.room = min(limits.bytes, characters, ROOM_OF_ONE * limits.nodes)
        self.most = min(_MOST, limits.items)
        self.deepest = min(_DEEPEST, limits.depth)
        self._longest = limits.string
        self.short = min(SHORT, limits.string)

    def text_of(self, value: Any) -> str | None:
        """Return the JSON text that the walk would make of the value, or None if it must."""
        kind = type(value)
        if kind is dict:
            found = self._mapping(value, 0, self.most)
        elif kind is str:
            weight = self._weight(value) if len(value) > self.short else 1
            found = (value, weight, 1) if weight else None
        elif kind is list or kind is tuple:
            found = self._sequence(value, 0, self.most)
        else:
            found = (value, 1, 1) if value is None else None
        if found is None:
            return None
        copy, weight, parts = found
        try:
            data = dumps(copy)
        except JSONEncodeError:  # a lone surrogate
            return None
        if (len(data) + ROOM_OF_ONE * (weight + 2)) * parts > self.room:
            return None
        return data.decode()

    def flat(
        self, value: Any, nodes: int, room: int, *, is_part: bool = False
    ) -> tuple[Any, bytes] | None:
        """Return a copy, and the JSON text, of a mapping or sequence of nothing but plain leaves.

        Args:
            value: a dict, list or tuple.
            nodes: how many values there is room for.
            room: how many bytes.
            is_part: it is the beginning of a mapping.

        Returns:
            None if the walk must look at it, or would cut it.
        """
        look = self._mapping if type(value) is dict else self._sequence
        found = look(value, self.deepest - 1, min(self.most, nodes))
        if found is None:
            return None
        copy, weight, parts = found
        if is_part and not self._harmless.issuperset(copy):
            return None  # what is not there may say of a name that it is of a secret
        try:
            data = dumps(copy)
        except JSONEncodeError:  # a lone surrogate
            return None
        if parts > 1:
            weight += 2  # a share is rounded
        if weight * parts > nodes or (len(data) + _BYTES_OF_ONE * weight) * parts >= room:
            return None
        return copy, data

    def _mapping(self, value: dict[Any, Any], depth: int, most: int) -> _Copy | None:
        if len(value) > most or depth >= self.deepest:
            return None
        copy = value.copy()
        weight = len(copy)  # another thread may have changed it
        large = 0
        harmless, short = self._harmless, self.short
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
                if item > _LARGEST:  # one that is too small is refused when it is written
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
        length = len(value)
        if length > most or depth >= self.deepest:
            return None
        copy = list(value)
        length = weight = len(copy)  # another thread may have changed it
        if length > RUN and are_numbers(copy):
            return copy, length, 1  # what half of the room does not hold, the other half does
        parts = 1
        short = self.short
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
                if item > _LARGEST:  # one that is too small is refused when it is written
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


def are_numbers(items: list[Any]) -> bool:
    """Return whether all are integers of 64 bits, or all finite floats."""
    kind = type(items[0])
    if (kind is not int and kind is not float) or not are_of(kind, items):
        return False
    if kind is int:
        return bool(max(items) <= _LARGEST and min(items) >= _SMALLEST)
    return all(map(isfinite, items))


def are_short_ascii(items: list[Any]) -> bool:
    """Return whether all are strings of ASCII that are not long."""
    return (
        type(items[0]) is str
        and are_of(str, items)
        and max(map(len, items)) <= SHORT
        and all(map(str.isascii, items))
    )


def are_of(kind: type, items: Iterable[Any]) -> bool:
    """Return whether this is the very type of all."""
    return not [item for item in items if type(item) is not kind]
