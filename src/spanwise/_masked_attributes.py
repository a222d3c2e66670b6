"""Attributes as they may be written: without secrets, without media, every text valid in UTF-8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from operator import is_
from typing import Any

import orjson

from spanwise import _state
from spanwise._masking import LONGEST_REMEMBERED, Masker, Part
from spanwise._media import SMALLEST, Allowance, Keeper, describe_bytes, in_text
from spanwise._secret_patterns import MASK

_SMALLEST_INT = -(2**63)
_LARGEST_INT = 2**63 - 1


def masked_attributes(attributes: Mapping[str, Any], masker: Masker) -> dict[str, Any]:
    """Return the attributes with secrets replaced and every text valid in UTF-8."""
    masked: dict[str, Any] = {}
    names, texts = masker.plain_names, masker.harmless
    entries = list(attributes.items())
    # Almost all keys are known and say nothing of their values, and most texts have been seen.
    for key, value in entries:
        if (type(key) is not str or key not in names) and not masker.passes(key, value):
            _add_judged(entries, masker, masked)
            break
        kind = type(value)
        if kind is str:
            if len(value) > LONGEST_REMEMBERED or value not in texts or not value.isascii():
                value = masked_value(value, masker)
        elif kind is int:
            if not _SMALLEST_INT <= value <= _LARGEST_INT:
                value = str(value)
        elif kind is not bool and kind is not float:
            value = masked_value(value, masker)
        masked[key] = value
    return masked


def _add_judged(entries: Sequence[tuple[Any, Any]], masker: Masker, masked: dict[str, Any]) -> None:
    """Add the entries behind those that have been masked; any of them all may tell of another."""
    hidden = masker.hidden_entries(entries)
    for position, (key, value) in islice(enumerate(entries), len(masked), None):
        name = masker.text(valid(key))
        if name in masked:  # two keys that are nothing but a secret
            name = f"{name} #{len(masked)}"
        part = hidden.get(position)
        if part is Part.WHOLE:
            masked[name] = MASK
            if type(value) is not str or value != MASK:
                _state.count("masked")
        else:
            masked[name] = masked_value(value, masker)
            if part is Part.ENTRIES:
                masked[name] = part.hidden(masked[name])


def valid(text: str) -> str:
    """Return the text with lone surrogates escaped: one of them would lose a whole batch."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def masked_value(value: Any, masker: Masker) -> Any:
    """Return one attribute's value with secrets replaced, in a form that every format holds."""
    kind = type(value)
    if kind is str:
        text = value if value.isascii() else valid(value)
        masked = masker.text(text)
        if masked is not text and masked != text:
            _state.count("masked")
        return masked
    if kind is int:  # neither JSON's readers nor the protocol can hold a larger one
        return value if _SMALLEST_INT <= value <= _LARGEST_INT else str(value)
    if value is None or kind is bool or kind is float:
        return value
    if kind is bytes:
        text = value.decode("utf-8", "replace")
        return value if masker.text(text) == text else MASK
    if kind is tuple or kind is list:
        if kind is tuple and _is_known(value, masker.harmless):
            return value
        hidden = masker.hidden_items(value)
        return tuple(
            [hidden.get(i) or masked_value(item, masker) for i, item in enumerate(value)]
            if hidden
            else [masked_value(item, masker) for item in value]
        )
    if isinstance(value, Mapping):
        return masked_attributes(value, masker)
    return masked_value(str.__str__(value), masker) if isinstance(value, str) else value


def _is_known(items: tuple[Any, ...], texts: set[str]) -> bool:
    """Return whether all are known texts that together say nothing more: no pair, no command."""
    if len(items) == 2:
        return False
    for item in items:
        if type(item) is not str or len(item) > LONGEST_REMEMBERED or item not in texts:
            return False
        if item[:1] == "-" or not item.isascii():
            return False
    return True


def without_media(attributes: Mapping[str, Any], keeper: Keeper | None) -> Mapping[str, Any]:
    """Return the attributes with images and the like, at any depth, replaced by what they are."""
    allowance: Allowance | None = None
    replaced: dict[str, Any] = {}
    for key, value in attributes.items():
        kind = type(value)
        if kind is str:
            if len(value) < SMALLEST:
                continue
        elif kind is int or kind is float or kind is bool or (kind is tuple and _are_short(value)):
            continue
        allowance = allowance or Allowance()
        if (other := _without_medium(value, keeper, allowance)) is not value:
            replaced[key] = other
    return {**attributes, **replaced} if replaced else attributes


def _are_short(items: tuple[Any, ...]) -> bool:
    for item in items:  # noqa: SIM110 - a plain loop is faster
        if type(item) is not str or len(item) >= SMALLEST:
            return False
    return True


def _without_medium(value: Any, keeper: Keeper | None, allowance: Allowance) -> Any:
    kind = type(value)
    if kind is str:
        return value if len(value) < SMALLEST else in_text(value, keeper, allowance)
    if value is None or kind is float:
        return value
    if kind is bytes and len(value) >= SMALLEST:
        marker = describe_bytes(len(value), lambda begin, end: value[begin:end], keeper, allowance)
        return orjson.dumps(marker).decode()
    if kind is tuple or kind is list:
        items = tuple([_without_medium(item, keeper, allowance) for item in value])
        return value if kind is tuple and all(map(is_, items, value)) else items
    if isinstance(value, Mapping):
        return {key: _without_medium(item, keeper, allowance) for key, item in value.items()}
    return value
