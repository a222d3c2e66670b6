"""Make values what their settings are, by pydantic's rules and with its errors.

The published SDK's configuration is a pydantic model. Ours is none, since every program would
pay for the import: pydantic is asked only about a value that is not of its setting's type.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic_core import InitErrorDetails

_KINDS: dict[str, Any] = {
    "bool": bool,
    "int": int,
    "float": float,
    "str": str,
    "str | None": str | None,
}
_EXACT: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (float,),
    "str": (str,),
    "str | None": (str, type(None)),
}


class Problems:
    """What is wrong with the values of one configuration, to be raised together.

    Args:
        title: names the configuration.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._found: list[InitErrorDetails] = []

    def checked(
        self, name: str, value: Any, kind: str, check: Callable[[Any], Any] | None = None
    ) -> Any:
        """Return the value as its kind, or as it is where that cannot be done.

        Args:
            name: of the setting.
            value: what it was given.
            kind: its annotation.
            check: given the value as its kind; returns it, perhaps changed, or raises ValueError.
        """
        if kind.startswith("str") and isinstance(value, os.PathLike):
            value = os.fspath(value)
        if type(value) not in _EXACT[kind]:
            from pydantic import TypeAdapter, ValidationError

            try:
                value = TypeAdapter(_KINDS[kind]).validate_python(value)
            except ValidationError as error:
                for fault in error.errors():
                    self._add(name, value, fault["type"], fault.get("ctx", {}))
                return value
        if check is None:
            return value
        try:
            return check(value)
        except ValueError as error:
            self._add(name, value, "value_error", {"error": error})
            return value

    def _add(self, name: str, value: Any, kind: str, context: dict[str, Any]) -> None:
        self._found.append({"type": kind, "loc": (name,), "input": value, "ctx": context})

    def raise_if_any(self) -> None:
        """Raise what was found.

        Raises:
            pydantic.ValidationError: there was something.
        """
        if self._found:
            from pydantic_core import ValidationError

            # Without the values: what was given as an address or a key may be a secret.
            raise ValidationError.from_exception_data(self._title, self._found, hide_input=True)


def in_one_line(error: ValueError) -> str:
    """Return the text of an error, of one by pydantic without its layout."""
    errors = getattr(error, "errors", None)
    if errors is None:
        return str(error)
    return "; ".join(
        f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}" for found in errors()
    )
