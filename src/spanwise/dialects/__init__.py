"""Vocabularies of backends: attributes added to what one destination is sent.

A dialect is a function from a record to the attributes that it adds to the span and to the
resource. Loaded when a destination asks for it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from spanwise.export.record import Record

Translation = tuple[Mapping[str, Any], Mapping[str, Any]]
Dialect = Callable[["Record"], Translation]

DIALECTS: Final = ("brixo", "openinference")


def load(name: str) -> Dialect:
    """Return the dialect of this name, one of DIALECTS."""
    dialect: Dialect = importlib.import_module(f"spanwise.dialects.{name}").translate
    return dialect
