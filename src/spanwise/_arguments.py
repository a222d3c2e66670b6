"""Bind a call's arguments to parameter names; all that can be prepared is, at decoration."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from spanwise.errors import DecorationError, nearest

_ABSENT: Final = object()
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

    __slots__ = (
        *("_defaults", "_dropped", "_enough", "_extra", "_kept", "_named", "_order"),
        *("_positional", "_required", "_rest", "_template"),
    )

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
        self._prepare()

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments by name, in the signature's order, defaults filled in.

        A call that does not fit the signature is bound as far as it goes: the function itself
        raises the error.
        """
        if self._template is not None:
            # The names are in their places already. A plain loop beats zip for so few.
            values = self._template.copy()
            names = self._positional
            position = 0
            try:
                for value in args:
                    values[names[position]] = value
                    position += 1
            except IndexError:
                return self._bind_any(args, kwargs)
            if kwargs:
                for name in kwargs:
                    values[name] = kwargs[name]
                if len(values) != len(self._order):  # one that the function does not have
                    return self._bind_any(args, kwargs)
            if position < self._enough:
                for name in self._required:
                    if values[name] is _ABSENT:
                        return self._bind_any(args, kwargs)
            for name in self._dropped:
                del values[name]
            return values
        return self._bind_any(args, kwargs)

    def _bind_any(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
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

    def _prepare(self) -> None:
        """Prepare the way of most calls: every parameter has a name to be called by."""
        self._template: dict[str, Any] | None = None
        self._required: tuple[str, ...] = ()
        self._enough = 0  # so many arguments by position leave none of the required ones out
        self._dropped = tuple(name for name in self._order if name not in self._kept)
        if self._extra is None and self._rest is None and self._named.issuperset(self._order):
            self._template = {name: self._defaults.get(name, _ABSENT) for name in self._order}
            self._required = tuple(n for n in self._order if n not in self._defaults)
            by_name = any(name not in self._positional for name in self._required)
            self._enough = len(self._positional) + 1 if by_name else len(self._required)

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
