"""Read an object's type and fields without running any of its code.

Ordinary attribute access may call a property, `__getattr__`, a lazy load or a metaclass. Here
only the interpreter's own slots are read: the class namespaces along the method resolution
order, the instance dictionary, and member descriptors.
"""

from __future__ import annotations

import dataclasses
import enum
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from types import BuiltinFunctionType, FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any, Final

_namespace_of = type.__dict__["__dict__"].__get__
mro_of = type.__dict__["__mro__"].__get__
_stored_name_of = type.__dict__["__name__"].__get__
_c_module_of = type.__dict__["__module__"].__get__
_qualname_of = type.__dict__["__qualname__"].__get__

MISSING: Final = object()
_TRIES = 3
_LONGEST_NAME = 256
_PLAIN = (str, int, float, bool, type(None))
_SECRET_TYPES = frozenset({"SecretStr", "SecretBytes", "Secret", "_SecretBase", "_SecretField"})


def class_attribute(kind: type, name: str) -> Any:
    """Return what the class or its bases have under this name, unbound, or MISSING."""
    for cls in mro_of(kind):
        namespace = _namespace_of(cls)
        if name in namespace:
            return namespace[name]
    return MISSING


def instance_dict(value: object) -> dict[str, Any] | None:
    """Return the object's own dictionary, or None where it has none that can be read safely."""
    for cls in mro_of(type(value)):
        descriptor = _namespace_of(cls).get("__dict__", MISSING)
        if descriptor is not MISSING:
            kind = type(descriptor)
            if kind is not GetSetDescriptorType and kind is not MemberDescriptorType:
                return None
            try:
                found = descriptor.__get__(value)
            except (AttributeError, TypeError):  # it was taken from another class
                return None
            return found if type(found) is dict else None
    return None


def attribute(value: object, name: str) -> Any:
    """Return a stored attribute of the object, or MISSING; computed ones are not looked at."""
    own = instance_dict(value)
    if own is not None and name in own:
        return own[name]
    found = class_attribute(type(value), name)
    if type(found) is MemberDescriptorType:
        try:
            return found.__get__(value)
        except (AttributeError, TypeError):  # never filled, or another class's slot
            return MISSING
    return MISSING


def has_attribute(value: object, name: str) -> bool:
    """Return whether the object or its class has this name, without computing its value."""
    own = instance_dict(value)
    if own is not None and name in own:
        return True
    return class_attribute(type(value), name) is not MISSING


def type_name(kind: type) -> str:
    """Return `module.QualifiedName`, or the bare name of a builtin; valid and of bounded length."""
    module = _module_of(kind)
    qualname = str.__str__(_qualname_of(kind))
    name = f"{module}.{qualname}" if module != "builtins" else qualname
    if name.isascii() and len(name) <= _LONGEST_NAME:
        return name
    # A class can be given any name after it was made.
    return name[:_LONGEST_NAME].encode("utf-8", "backslashreplace").decode()


def is_secret_type(kind: type) -> bool:
    """Return whether the class, or one that it extends, exists to hide its value."""
    return any(_name_of(cls) in _SECRET_TYPES for cls in mro_of(kind))


def is_from(kind: type, known: frozenset[tuple[str, str]]) -> bool:
    """Return whether the class is one of these, and not another that bears its name."""
    name = (_module_of(kind), _name_of(kind))
    if name not in known:
        return False
    module = sys.modules.get(name[0])
    return module is not None and vars(module).get(name[1]) is kind


def is_enum(kind: type) -> bool:
    """Return whether the class is an enumeration."""
    # Not `in`: that compares, and a metaclass may define __eq__.
    return any(cls is enum.EnumMeta for cls in mro_of(type(kind)))


def is_callable(kind: type) -> bool:
    """Return whether instances of the class define `__call__` in Python or in C."""
    return class_attribute(kind, "__call__") is not MISSING


def field_names(kind: type) -> tuple[str, ...] | None:
    """Return the fields that the class declares, or None where it is not of a known record kind.

    Known are dataclasses, attrs classes, pydantic models (1 and 2), msgspec structs and named
    tuples.
    """
    declared = class_attribute(kind, "__dataclass_fields__")
    if type(declared) is dict:
        # What is left out are the pseudo-fields: ClassVar and InitVar.
        return tuple(
            name
            for name, field in declared.items()
            if attribute(field, "_field_type") is dataclasses._FIELD  # type: ignore[attr-defined]
        )
    declared = class_attribute(kind, "__attrs_attrs__")
    if declared is not MISSING and issubclass(type(declared), tuple):
        names = (attribute(item, "name") for item in tuple.__iter__(declared))
        return tuple(name for name in names if type(name) is str)
    for marker in ("__pydantic_fields__", "model_fields", "__fields__"):
        declared = class_attribute(kind, marker)
        if type(declared) is dict and _is_pydantic(kind):
            return tuple(declared)
    meta = type(kind)
    if _name_of(meta) == "StructMeta" and _module_of(meta).split(".", 1)[0] == "msgspec":
        declared = class_attribute(meta, "__struct_fields__")
        return tuple(declared.__get__(kind))
    if issubclass(kind, tuple):
        declared = class_attribute(kind, "_fields")
        return declared if type(declared) is tuple else None
    return None


def fields(value: object, names: tuple[str, ...], width: int) -> tuple[list[tuple[str, Any]], int]:
    """Return the first of the named fields that the object holds, and how many it holds in all.

    What a pydantic model took as extra counts as a field.
    """
    if issubclass(type(value), tuple):
        items: Iterator[Any] = tuple.__iter__(value)  # type: ignore[arg-type]
        pairs = list(zip(names, items))  # noqa: B905 - as many as there are
        return pairs[:width], len(pairs)
    held: list[tuple[str, Any]] = []
    for name in names:
        found = attribute(value, name)
        if found is MISSING:
            # A default that __init__ does not store is only on the class.
            found = class_attribute(type(value), name)
            if not any(type(found) is kind for kind in _PLAIN):
                continue
        held.append((name, found))
    extra = attribute(value, "__pydantic_extra__")
    if type(extra) is not dict:
        return held[:width], len(held)
    more = first(dict.items, extra, max(0, width - len(held)))
    return held[:width] + more, len(held) + len(extra)


def first(iterate: Callable[[Any], Iterable[Any]], container: object, width: int) -> list[Any]:
    """Return the first items of a container that another thread may be changing meanwhile."""
    for _ in range(_TRIES):
        try:
            return list(islice(iterate(container), width))
        except RuntimeError:  # it changed its size; most often it is done with that next time
            continue
    return []


def function_name(value: object) -> str:
    """Return the name of a function, method or other callable."""
    if type(value) is FunctionType or type(value) is BuiltinFunctionType:
        return str.__str__(value.__name__)
    for name in ("__name__", "__func__", "func"):
        found = attribute(value, name)
        if type(found) is str:
            return found
        if type(found) is FunctionType:
            return str.__str__(found.__name__)
    return _name_of(type(value))


def _name_of(kind: type) -> str:
    return str.__str__(_stored_name_of(kind))  # it may be a subclass with methods of its own


def _is_pydantic(kind: type) -> bool:
    return any(_module_of(cls).split(".", 1)[0] == "pydantic" for cls in mro_of(kind))


def _module_of(kind: type) -> str:
    module = _namespace_of(kind).get("__module__", MISSING)
    if module is MISSING:  # a type made in C keeps it within its name
        module = _c_module_of(kind)
    return module if type(module) is str else "builtins"
