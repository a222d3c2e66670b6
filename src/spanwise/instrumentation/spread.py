"""Read what is spread over attributes, as `llm.input_messages.0.message.content` and more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spanwise.instrumentation.vocabulary import SPREAD

_MOST: Final = 4096
_DEEPEST: Final = 32
_MOST_DIGITS: Final = 9
# In `llm.output_messages.0.message.tool_calls.0.tool_call.id` these only say what there is one of.
_WRAPPERS: Final = frozenset({"message", "message_content", "tool_call", "document"})


def gathered(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is spread over attributes, by the beginning of their names."""
    found: dict[str, dict[str, Any]] = {}
    taken = 0
    for name, value in attributes.items():
        if not name.startswith(SPREAD) or taken >= _MOST:
            continue
        taken += 1
        prefix = next(prefix for prefix in SPREAD if name.startswith(prefix))
        first, *rest = name[len(prefix) :].split(".", _DEEPEST)
        if not _is_number(first):
            continue
        path = [first, *(part for part in rest[:-1] if part not in _WRAPPERS), *rest[-1:]]
        _put(found.setdefault(prefix, {}), path, value)
    return {prefix: _listed(tree) for prefix, tree in found.items()}


def _is_number(name: str) -> bool:
    return len(name) <= _MOST_DIGITS and name.isdecimal()


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        below = tree.setdefault(part, {})
        if not isinstance(below, dict):
            return  # an attribute has both a value and others below it: the value stands
        tree = below
    tree.setdefault(path[-1], value)


def _listed(tree: Any) -> Any:
    """Return the tree with a list for each level whose names are numbers."""
    if type(tree) is not dict:
        return tree
    if tree and all(map(_is_number, tree)):
        return [_listed(tree[name]) for name in sorted(tree, key=int)]
    return {name: _listed(below) for name, below in tree.items()}
