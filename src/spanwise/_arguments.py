"""Bind a call's arguments to parameter names; all that can be prepared is, at decoration."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from spanwise.errors import DecorationError, nearest

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Binder:
    """Name the arguments of calls to one function.

    Args:
        function: whose signature is used; one without a signature gets `args` and `kwargs`.
        only: the parameters to keep; None keeps all but `self` and `cls`.
        ignore: parameters to leave out of those.

    Raises:
        DecorationError: `only` or `ignore` names a parameter that the function does not have.
    """

    __slots__ = ("_defaults", "_extra", "_kept", "_named", "_order", "_positional", "_rest")

    def __init__(
        self,
        function: Callable[..., Any],
        only: Iterable[str] | None = None,
        ignore: Iterable[str] = (),
    ) -> None:
        self._extra: str | None = "args"
        self._rest: str | None = "kwargs"
        self._positional: tuple[str, ...] = ()
        self._named: frozenset[str] = frozenset()
        self._defaults: dict[str, Any] = {}
        try:
            parameters = tuple(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            self._order: tuple[str, ...] = ("args", "kwargs")
        else:
            self._read(parameters)
        kept = set(self._order)
        if self._positional and _is_bound_object(self._positional[0], function):
            kept.discard(self._positional[0])
        only = None if only is None else tuple(only)
        ignore = tuple(ignore)
        for name in (*(only or ()), *ignore):
            if name not in self._order:
                raise DecorationError(
                    f"{getattr(function, '__qualname__', function)!s} has no parameter "
                    f"{name!r}{nearest(str(name), self._order)}"
                )
        if only is not None:
            kept = set(only)
        self._kept = frozenset(kept.difference(ignore))

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments by name, in the signature's order, defaults filled in.

        A call that does not fit the signature is bound as far as it goes: the function itself
        raises the error.
        """
        values: dict[str, Any] = dict(zip(self._positional, args))  # noqa: B905 - a call may be short
        if len(args) > len(self._positional) and self._extra is not None:
            values[self._extra] = args[len(self._positional) :]
        rest: dict[str, Any] = {}
        for name, value in kwargs.items():
            if name in self._named:
                values[name] = value
            else:
                rest[name] = value
        if rest and self._rest is not None:
            values[self._rest] = rest
        defaults = self._defaults
        kept = self._kept
        return {
            name: values[name] if name in values else defaults[name]
            for name in self._order
            if name in kept and (name in values or name in defaults)
        }

    def _read(self, parameters: tuple[inspect.Parameter, ...]) -> None:
        kinds = inspect.Parameter
        self._order = tuple(p.name for p in parameters)
        self._positional = tuple(p.name for p in parameters if p.kind in _POSITIONAL)
        self._named = frozenset(
            p.name
            for p in parameters
            if p.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)
        )
        self._extra = next((p.name for p in parameters if p.kind is kinds.VAR_POSITIONAL), None)
        self._rest = next((p.name for p in parameters if p.kind is kinds.VAR_KEYWORD), None)
        self._defaults = {p.name: p.default for p in parameters if p.default is not kinds.empty}


def _is_bound_object(name: str, function: Callable[..., Any]) -> bool:
    """Tell a method's `self` or `cls` by the name and by the function being made in a class."""
    qualname = getattr(function, "__qualname__", "")
    parent = qualname.rpartition(".")[0]
    return name in ("self", "cls") and bool(parent) and not parent.endswith("<locals>")
