"""Vocabularies of backends: attributes added to what one destination is sent.

A dialect is a function from a record to the attributes that it adds to the span and to the
resource. It reads what the record means, whichever vocabulary the span was written in, and never
overwrites what the span says already. Loaded when a destination asks for it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from spanwise import _guard

if TYPE_CHECKING:
    from spanwise.export.record import Record

Translation = tuple[Mapping[str, Any], Mapping[str, Any]]
Dialect = Callable[["Record"], Translation]

DIALECTS: Final = ("brixo", "openinference", "langfuse", "traceloop")


def load(name: str) -> Dialect:
    """Return the dialect of this name, one of DIALECTS."""
    module = importlib.import_module(f"spanwise.dialects.{name}")
    translate: Dialect = module.translate
    families: tuple[str, ...] = getattr(module, "FAMILIES", ())

    def only_new(record: Record) -> Translation:
        try:
            attributes, resource = translate(record)
            return (
                new_to(attributes, record.attributes, families),
                new_to(resource, record.resource),
            )
        except Exception as error:  # noqa: BLE001 - the span is sent, if without these words
            _guard.swallow(f"dialect.{name}", error)
            return {}, {}

    return only_new


def new_to(
    added: Mapping[str, Any], present: Mapping[str, Any], families: tuple[str, ...] = ()
) -> Mapping[str, Any]:
    """Return what is added without what is there already.

    Args:
        added: attributes of the vocabulary.
        present: what the span says.
        families: prefixes of attributes that belong together, as a value and its form, or the
            parts of one message: where one of them is there, none is added.
    """
    if added.keys().isdisjoint(present) and not any(key.startswith(families) for key in present):
        return added
    told = tuple(family for family in families if any(key.startswith(family) for key in present))
    return {
        key: value
        for key, value in added.items()
        if key not in present and not key.startswith(told)
    }
