"""Attributes as they may be written: without secrets, without media, every text valid in UTF-8."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from spanwise import _state
from spanwise._masking import Masker, Part
from spanwise._media import SMALLEST, Allowance, Keeper, describe_bytes, in_text
from spanwise._secret_patterns import MASK

_LARGEST_INT = 2**63 - 1


def masked_attributes(attributes: Mapping[str, Any], masker: Masker) -> dict[str, Any]:
    """Return the attributes with secrets replaced and every text valid in UTF-8."""
    masked: dict[str, Any] = {}
    entries = list(attributes.items())
    hidden = masker.hidden_entries(entries)
    for position, (key, value) in enumerate(entries):
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
    return masked


def valid(text: str) -> str:
    """Return the text with lone surrogates escaped: one of them would lose a whole batch."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def masked_value(value: Any, masker: Masker) -> Any:
    """Return one attribute's value with secrets replaced, in a form that every format holds."""
    kind = type(value)
    if kind is str:
        text = valid(value)
        masked = masker.text(text)
        if masked is not text and masked != text:
            _state.count("masked")
        return masked
    if kind is int and not -_LARGEST_INT - 1 <= value <= _LARGEST_INT:
        return str(value)  # neither JSON's readers nor the protocol can hold it
    if kind is bytes:
        text = value.decode("utf-8", "replace")
        return value if masker.text(text) == text else MASK
    if kind is tuple or kind is list:
        hidden = masker.hidden_items(value)
        return tuple(hidden.get(i) or masked_value(item, masker) for i, item in enumerate(value))
    if isinstance(value, Mapping):
        return masked_attributes(value, masker)
    return masked_value(str.__str__(value), masker) if isinstance(value, str) else value


def without_media(attributes: Mapping[str, Any], keeper: Keeper | None) -> dict[str, Any]:
    """Return the attributes with images and the like, at any depth, replaced by what they are."""
    allowance = Allowance()
    return {key: _without_medium(value, keeper, allowance) for key, value in attributes.items()}


def _without_medium(value: Any, keeper: Keeper | None, allowance: Allowance) -> Any:
    kind = type(value)
    if kind is str:
        return value if len(value) < SMALLEST else in_text(value, keeper, allowance)
    if kind is bytes and len(value) >= SMALLEST:
        marker = describe_bytes(len(value), lambda begin, end: value[begin:end], keeper, allowance)
        return orjson.dumps(marker).decode()
    if kind is tuple or kind is list:
        return tuple(_without_medium(item, keeper, allowance) for item in value)
    if isinstance(value, Mapping):
        return {key: _without_medium(item, keeper, allowance) for key, item in value.items()}
    return value
