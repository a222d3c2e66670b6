"""Say in our words, as attributes of a record, what a third party's span says in its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from spanwise import _guard, _state
from spanwise._encoding import Encoder
from spanwise._masked_attributes import masked_attributes
from spanwise._masking import Masker
from spanwise.export.record import Event
from spanwise.instrumentation import translation, vocabulary

_SHORT_TEXT: Final = 16_384
_LONGEST_SCALAR: Final = 24


def in_our_words(
    name: str,
    attributes: Mapping[str, Any],
    events: tuple[Event, ...],
    masker: Masker,
    capture_content: bool,
) -> dict[str, Any]:
    """Return what a third party's span says in words of its own, as attributes of ours.

    What stood in a text, with its own escapes, could not be seen while the text was masked.
    """
    added: dict[str, Any] = {}
    try:
        said = translation.translate(
            name, attributes, [(e.name, e.attributes) for e in events] if events else ()
        )
        if said is None:
            return added
        added = said.copied
        if said.content and capture_content:
            _add_content(said.content, _encoder(masker), added)
        if said.decoded:
            added |= masked_attributes(said.decoded, masker)
    except Exception as error:  # noqa: BLE001 - the rest is said, or the span's own words at least
        _guard.swallow("vocabulary", error)
    return added


def _add_content(content: Mapping[str, Any], encoder: Encoder, added: dict[str, Any]) -> None:
    for key, value in content.items():
        try:
            added[key] = _json_text(value, encoder)
        except Exception as error:  # noqa: BLE001 - the rest is said
            _guard.swallow("vocabulary", error)


def _json_text(value: Any, encoder: Encoder) -> str:
    if type(value) is str:
        if len(value) <= _SHORT_TEXT and "\\" not in value and value[:1] in ("{", "["):
            try:
                orjson.loads(value)
            except ValueError:
                return encoder.dumps(value)
            return value  # without escapes it was masked as what it says
        if len(value) <= _LONGEST_SCALAR and _is_scalar(value):
            return value
        value = vocabulary.decoded(value)
    return encoder.dumps(value)


def _is_scalar(text: str) -> bool:
    """Return whether a text is how JSON writes a number, a truth or nothing, digit by digit."""
    try:
        value = orjson.loads(text)
    except ValueError:
        return False
    return not isinstance(value, (str, list, dict)) and orjson.dumps(value) == text.encode()


def _encoder(masker: Masker) -> Encoder:
    """Return the encoder with the limits that are in force."""
    runtime = _state.runtime
    if runtime is not None and runtime.encoder.masker is masker:
        return runtime.encoder
    return Encoder(masker)
