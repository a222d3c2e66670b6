"""Vocabularies of backends: attributes added to what one destination is sent.

A dialect is a function from a record to the attributes that it adds to the span and to the
resource. It reads what the record means, whichever vocabulary the span was written in, and never
overwrites what the span says already. Loaded when a destination asks for it.
"""

from __future__ import annotations

import importlib
import re
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
    prefixes: tuple[str, ...] = getattr(module, "FAMILIES", ())
    families = re.compile("|".join(map(re.escape, prefixes))) if prefixes else None

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
    added: Mapping[str, Any], present: Mapping[str, Any], families: re.Pattern[str] | None = None
) -> Mapping[str, Any]:
    """Return what is added without what is there already.

    Args:
        added: attributes of the vocabulary.
        present: what the span says.
        families: beginnings of attributes that belong together, as a value and its form, or the
            parts of one message: where one of them is there, none is added.
    """
    told: tuple[str, ...] = ()
    if families is not None:
        told = tuple({match[0] for key in present if (match := families.match(key))})
    if not told and added.keys().isdisjoint(present):
        return added
    return {
        key: value
        for key, value in added.items()
        if key not in present and not key.startswith(told)
    }
