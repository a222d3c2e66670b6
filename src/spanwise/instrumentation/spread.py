"""Read what is spread over attributes, as `llm.input_messages.0.message.content` and more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spanwise.instrumentation.vocabulary import REMEMBERED, SPREAD, is_remembered

_MOST: Final = 4096
_DEEPEST: Final = 32
_MOST_DIGITS: Final = 9
# In `llm.output_messages.0.message.tool_calls.0.tool_call.id` these only say what there is one of.
_WRAPPERS: Final = frozenset({"message", "message_content", "tool_call", "document"})


class _Places(dict[str, tuple[str, tuple[str, ...]] | None]):
    """What attributes begin with, and where below it they belong; None of what is not spread."""

    def __missing__(self, name: str) -> tuple[str, tuple[str, ...]] | None:
        place = _place(name)
        if is_remembered(name):
            if len(self) >= REMEMBERED:
                self.clear()
            self[name] = place
        return place


_places: Final = _Places()


def gathered(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is spread over attributes, by the beginning of their names."""
    found: dict[str, dict[str, Any]] = {}
    taken = 0
    for name, value in attributes.items():
        if (place := _places[name]) is None or taken >= _MOST:
            continue
        taken += 1
        prefix, path = place
        if path:
            _put(found.setdefault(prefix, {}), path, value)
    return {prefix: _listed(tree) for prefix, tree in found.items()}


def _place(name: str) -> tuple[str, tuple[str, ...]] | None:
    prefix = next((prefix for prefix in SPREAD if name.startswith(prefix)), None)
    if prefix is None:
        return None
    first, *rest = name[len(prefix) :].split(".", _DEEPEST)
    if not _is_number(first):
        return prefix, ()
    return prefix, (first, *(part for part in rest[:-1] if part not in _WRAPPERS), *rest[-1:])


def _is_number(name: str) -> bool:
    return len(name) <= _MOST_DIGITS and name.isdecimal()


def _put(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for part in path[:-1]:
        below = tree.setdefault(part, {})
        if not isinstance(below, dict):
            return  # an attribute has both a value and others below it: the value stands
        tree = below
    tree.setdefault(path[-1], value)


def _listed(tree: dict[str, Any]) -> Any:
    """Return the tree with a list for each level whose names are numbers."""
    listed = {
        name: _listed(below) if type(below) is dict else below for name, below in tree.items()
    }
    if listed and all(map(_is_number, listed)):
        return [listed[name] for name in sorted(listed, key=int)]
    return listed
