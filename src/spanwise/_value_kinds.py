"""How each kind of value is encoded: one small function a kind, chosen by the exact type.

Each is given the walk that it is part of, the value, and how deep it lies, and returns JSON-like
data. None of them runs the value's own code: contents are read by the base types' methods.
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import functools
import pathlib
import re
import types
import uuid
import weakref
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from spanwise import _media
from spanwise import _raw_fields as raw
from spanwise._secret_patterns import MASK

if TYPE_CHECKING:
    from spanwise._walk import Walk

TRUNCATED: Final = "$truncated"

MARGIN: Final = 4096  # read on both sides of a cut, so that a secret across it is recognised
LONGEST_BYTES_AS_TEXT: Final = 1024
_LONGEST_REPR = 100
_LARGEST_INT = 2**63 - 1
_PRINTED_BITS = 2048  # 617 digits: Python can be told to print no more than 640


class Excerpt:
    """The ends of a long text whose middle was not kept; encoded as a string that was cut.

    Args:
        head: how the text begins, with a margin toward the cut.
        tail: how it ends, with a margin.
        length: characters of the whole text.
    """

    __slots__ = ("head", "length", "tail")

    def __init__(self, head: str, tail: str, length: int) -> None:
        self.head = head
        self.tail = tail
        self.length = length


def is_plain(kind: type) -> bool:
    # By identity: a set of types would call the __hash__ that a metaclass may define.
    return kind is str or kind is int or kind is float or kind is bool or kind is types.NoneType


def _slices(walk: Walk, value: Any, length: int, getitem: Any) -> tuple[list[Any], list[Any]]:
    # Slices are taken in C, so that another thread's changes cannot break the loop.
    width = walk.limits.items
    if length <= width:
        return list(getitem(value, slice(0, length))), []
    half = max(1, width // 2)
    head = list(getitem(value, slice(0, half)))
    return head, list(getitem(value, slice(length - width // 2, length)))


def _list(walk: Walk, value: Any, depth: int) -> Any:
    length = list.__len__(value)
    return walk.sequence(*_slices(walk, value, length, list.__getitem__), length, depth)


def _tuple(walk: Walk, value: Any, depth: int) -> Any:
    length = tuple.__len__(value)
    return walk.sequence(*_slices(walk, value, length, tuple.__getitem__), length, depth)


def _deque(walk: Walk, value: Any, depth: int) -> Any:
    length = deque.__len__(value)
    width = walk.limits.items
    if length <= width:
        return walk.sequence(raw.first(deque.__iter__, value, width), [], length, depth)
    half = max(1, width // 2)
    head = raw.first(deque.__iter__, value, half)
    tail = raw.first(deque.__reversed__, value, width // 2)[::-1]
    return walk.sequence(head, tail, length, depth)


def _set(walk: Walk, value: Any, depth: int) -> Any:
    base: Any = set if issubclass(type(value), set) else frozenset
    items = raw.first(base.__iter__, value, walk.limits.items)
    return walk.sequence(items, [], base.__len__(value), depth)


def _dict(walk: Walk, value: Any, depth: int) -> Any:
    items = raw.first(dict.items, value, walk.limits.items)
    return walk.mapping(items, max(dict.__len__(value), len(items)), depth)


def _namespace(walk: Walk, value: Any, depth: int) -> Any:
    return _dict(walk, raw.instance_dict(value) or {}, depth)


def _record(walk: Walk, value: Any, depth: int) -> Any:
    names = raw.field_names(type(value)) or ()
    pairs, length = raw.fields(value, names, walk.limits.items)
    return walk.mapping(pairs, length, depth)


def _exception(walk: Walk, value: Any, depth: int) -> Any:
    arguments = BaseException.__dict__["args"].__get__(value)
    return {"$type": raw.type_name(type(value)), "args": _tuple(walk, arguments, depth)}


def encode_int(walk: Walk, value: Any, depth: int) -> Any:
    number = int.__index__(value)
    walk.bytes_left -= 8
    if -_LARGEST_INT - 1 <= number <= _LARGEST_INT:
        return number
    bits = number.bit_length()
    return str(number) if bits <= _PRINTED_BITS else f"<int of {bits} bits>"


def _float(walk: Walk, value: Any, depth: int) -> Any:
    number = float.__float__(value)
    walk.bytes_left -= 8
    if number - number == 0:
        return number
    return "NaN" if number != number else "Infinity" if number > 0 else "-Infinity"


def _str(walk: Walk, value: Any, depth: int) -> Any:
    text = str.__str__(value)
    return walk.text(text) if len(text) < _media.SMALLEST else walk.long_text(text)


def _excerpt(walk: Walk, value: Any, depth: int) -> Any:
    limit = max(0, min(walk.limits.string, walk.bytes_left))
    walk.bytes_left -= limit
    return walk.excerpt(value.head, value.tail, value.length, limit // 2)


def _memoryview(walk: Walk, value: Any, depth: int) -> Any:
    try:
        return {"$type": "memoryview", "bytes": value.nbytes}
    except ValueError:  # it was released
        return _opaque(walk, value, depth)


def _bytes(walk: Walk, value: Any, depth: int) -> Any:
    base: Any = bytes if issubclass(type(value), bytes) else bytearray
    length = base.__len__(value)
    if length <= LONGEST_BYTES_AS_TEXT:
        try:
            # A slice is of the base type: since Python 3.12 a subclass may have a __buffer__.
            text = base.__getitem__(value, slice(0, length)).decode()
        except UnicodeDecodeError:
            pass
        else:
            if text.isprintable() or text.isspace():
                return walk.text(text)
    walk.bytes_left -= 160
    kind = raw.type_name(type(value))
    if length < _media.SMALLEST:  # a key, perhaps, which its hash would give away
        return {"$type": kind, "bytes": length}
    # Read by slices, of which no subclass is asked.
    return _media.describe_bytes(
        length,
        lambda begin, end: bytes(base.__getitem__(value, slice(begin, end))),
        walk.encoder.keeper,
        walk.allowance,
        kind,
    )


def _datetime(walk: Walk, value: Any, depth: int) -> Any:
    # From its parts: a zone, and what a subclass overrides, is the user's code.
    zone = _known_zone(datetime.datetime.__dict__["tzinfo"].__get__(value))
    date, time = datetime.datetime.date(value), datetime.datetime.time(value)
    return datetime.datetime.combine(date, time, zone).isoformat()


def _time(walk: Walk, value: Any, depth: int) -> Any:
    zone = _known_zone(value.tzinfo)
    return datetime.time.replace(value, tzinfo=zone).isoformat()


def _known_zone(zone: Any) -> datetime.tzinfo | None:
    known = type(zone) is datetime.timezone or type(zone) is ZoneInfo
    return zone if known else None


def _printed(method: Callable[[Any], str]) -> Handler:
    def printed(walk: Walk, value: Any, depth: int) -> Any:
        try:
            return walk.text(method(value))
        except Exception:  # noqa: BLE001 - made by __new__ alone, or taken apart
            return _opaque(walk, value, depth)

    return printed


def _fraction(walk: Walk, value: Any, depth: int) -> Any:
    parts = (raw.attribute(value, "_numerator"), raw.attribute(value, "_denominator"))
    if any(type(part) is not int for part in parts):
        return _opaque(walk, value, depth)
    above, below = (encode_int(walk, part, depth) for part in parts)
    return str(above) if below == 1 else f"{above}/{below}"


def _path(walk: Walk, value: Any, depth: int) -> Any:
    # Since Python 3.12 a path keeps the texts that it was made of, and reads them to be shown.
    texts = raw.attribute(value, "_raw_paths")
    if type(texts) is list and any(type(text) is not str for text in texts):
        return _opaque(walk, value, depth)
    return _printed_path(walk, value, depth)


def _pattern(walk: Walk, value: Any, depth: int) -> Any:
    return walk.encode(value.pattern, depth)


def _module(walk: Walk, value: Any, depth: int) -> Any:
    name = (raw.instance_dict(value) or {}).get("__name__")
    return walk.text(f"<module:{name}>") if type(name) is str else _opaque(walk, value, depth)


def _nothing(walk: Walk, value: Any, depth: int) -> Any:
    return None


def _range(walk: Walk, value: Any, depth: int) -> Any:
    parts = (value.start, value.stop, value.step)
    return "range({}, {}, {})".format(*(encode_int(walk, part, depth) for part in parts))


def _enum(walk: Walk, value: Any, depth: int) -> Any:
    for name in ("_value_", "_name_"):
        held = raw.attribute(value, name)
        if is_plain(type(held)):
            return walk.encode(held, depth)
    return _opaque(walk, value, depth)


def _callable(walk: Walk, value: Any, depth: int) -> Any:
    """Name a callable as recordings do: a stand-in for it can be made when they are replayed."""
    marker = raw.attribute(value, "__fluxloop_builtin__")
    if type(marker) is str:
        return walk.text(f"<builtin:{marker}>")
    holder = raw.attribute(value, "__self__") if type(value) is types.MethodType else value
    for name, stand_in in (("messages", "collector.send"), ("errors", "collector.error")):
        if raw.has_attribute(value, name) or raw.has_attribute(holder, name):
            return f"<builtin:{stand_in}>"
    return walk.text(f"<callable:{raw.function_name(value)}>")


def stand_in(name: str) -> str | None:
    """Return the marker for what is named like a callback that sends messages or errors."""
    words = name.lower()
    if "callback" not in words and not words.startswith(("send", "on_")):
        return None
    if "error" in words:
        return "<builtin:collector.error>"
    return "<builtin:collector.send>" if "send" in words else None


def _class(walk: Walk, value: Any, depth: int) -> Any:
    if walk.encoder.represent:  # in a recording a class is one more callable
        return walk.text(f"<callable:{raw.function_name(value)}>")
    return walk.text(f"<class:{raw.type_name(value)}>")


def _secret(walk: Walk, value: Any, depth: int) -> Any:
    walk.masked += 1
    return MASK


def _array(walk: Walk, value: Any, depth: int) -> Any:
    """Describe an array or a frame of a known library by its shape, never by its contents."""
    described: dict[str, Any] = {"$type": raw.type_name(type(value))}
    for name in ("shape", "dtype"):
        # Asked of the class first: a frame has no dtype, but may have a column of that name.
        if raw.class_attribute(type(value), name) is raw.MISSING:
            continue
        try:
            found = getattr(value, name)
            if name == "shape":
                described[name] = [int(n) for n in found]
            elif raw.type_name(type(found)).split(".", 1)[0] in _ARRAY_LIBRARIES:
                described[name] = walk.text(str(found))
            else:  # pandas lets a program define types of its own
                described[name] = raw.type_name(type(found))
        except Exception:  # noqa: BLE001, S112 - a lazy array may have no shape yet
            continue
    return described


def _numpy_scalar(walk: Walk, value: Any, depth: int) -> Any:
    item = value.item()
    known = is_plain(type(item)) or type(item) in HANDLERS
    return walk.encode(item, depth) if known else _opaque(walk, value, depth)


def _opaque(walk: Walk, value: Any, depth: int) -> Any:
    if walk.encoder.represent:
        try:
            text = repr(value)
        except (Exception, SystemExit):  # noqa: BLE001 - the program's; its type is named instead
            text = None
        if type(text) is str:
            # Masked before it is cut: half of a secret no longer looks like one.
            text = walk.masker.text(text[: _LONGEST_REPR + MARGIN])[:_LONGEST_REPR]
            return walk.text(f"<repr:{text}>")
    return walk.text(f"<{raw.type_name(type(value))} object>")


Handler = Callable[["Walk", Any, int], Any]
_complex = _printed(complex.__repr__)
_printed_path = _printed(pathlib.PurePath.__str__)
NESTING: frozenset[Handler] = frozenset(
    {_list, _tuple, _deque, _set, _dict, _namespace, _record, _exception}
)

HANDLERS: dict[type, Handler] = {
    int: encode_int,
    float: _float,
    list: _list,
    tuple: _tuple,
    dict: _dict,
    set: _set,
    frozenset: _set,
    deque: _deque,
    OrderedDict: _dict,
    defaultdict: _dict,
    Counter: _dict,
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _memoryview,
    range: _range,
    complex: _complex,
    uuid.UUID: _printed(uuid.UUID.__str__),
    decimal.Decimal: _printed(decimal.Decimal.__str__),
    fractions.Fraction: _fraction,
    datetime.datetime: _datetime,
    datetime.date: _printed(datetime.date.isoformat),
    datetime.timedelta: _printed(datetime.timedelta.__str__),
    datetime.time: _time,
    re.Pattern: _pattern,
    type(pathlib.Path()): _path,
    pathlib.PurePosixPath: _path,
    pathlib.PureWindowsPath: _path,
    types.SimpleNamespace: _namespace,
    types.FunctionType: _callable,
    types.BuiltinFunctionType: _callable,
    types.MethodType: _callable,
    functools.partial: _callable,
    types.ModuleType: _module,
    type: _class,
    Excerpt: _excerpt,
}

# Subclasses are read by the methods of the type that they extend.
_BASES: tuple[tuple[type, Handler], ...] = (
    (str, _str),
    (int, encode_int),
    (float, _float),
    (dict, _dict),
    (list, _list),
    (tuple, _tuple),
    (set, _set),
    (frozenset, _set),
    (deque, _deque),
    (bytes, _bytes),
    (bytearray, _bytes),
    (complex, _complex),
    (datetime.datetime, _datetime),
    (BaseException, _exception),
    (type, _class),
)
# Types of known libraries, by module and name: only these are asked for their shape.
_ARRAYS = frozenset(
    {
        ("jaxlib._jax", "ArrayImpl"),
        ("numpy", "ndarray"),
        ("pandas", "DataFrame"),
        ("pandas", "Series"),
        ("pandas.core.frame", "DataFrame"),
        ("pandas.core.series", "Series"),
        ("polars.dataframe.frame", "DataFrame"),
        ("polars.series.series", "Series"),
        ("pyarrow.lib", "Table"),
        ("torch", "Tensor"),
    }
)
_ARRAY_LIBRARIES = frozenset({"ml_dtypes", *(module.split(".", 1)[0] for module, _ in _ARRAYS)})
_NUMPY_SCALARS = frozenset(
    ("numpy", name)
    for name in [
        "bool",
        "bool_",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "longlong",
        "ulonglong",
        "float16",
        "float32",
        "complex64",
        "datetime64",
        "timedelta64",
    ]
)

# A datetime by its class, whose parts mean nothing; it has moved between releases.
_NOT_A_TIME = frozenset({"pandas._libs.tslibs.nattype.NaTType", "pandas.api.typing.NaTType"})

_learned: weakref.WeakKeyDictionary[type, Handler] = weakref.WeakKeyDictionary()


def handler_of(kind: type) -> Handler:
    """Return how values of this type are encoded; remembered where the type can be hashed."""
    # A metaclass may define __hash__ or __eq__, which a dictionary would call.
    meta = type(kind)
    hashable = meta is type or (
        raw.class_attribute(meta, "__hash__") is type.__hash__
        and raw.class_attribute(meta, "__eq__") is type.__eq__
    )
    if hashable:
        # An abstract class of the table, such as Fraction, has a metaclass too.
        known = HANDLERS.get(kind) or _learned.get(kind)
        if known is not None:
            return known
    handler = _choose(kind)
    if hashable:
        _learned[kind] = handler
    return handler


def _choose(kind: type) -> Handler:
    if raw.is_secret_type(kind):
        return _secret
    if raw.type_name(kind) in _NOT_A_TIME:
        return _nothing
    if raw.is_enum(kind):
        return _enum
    if raw.is_from(kind, _ARRAYS):
        return _array
    if raw.field_names(kind) is not None:
        return _record
    for base, handler in _BASES:
        if issubclass(kind, base):
            return handler
    if raw.is_from(kind, _NUMPY_SCALARS):
        return _numpy_scalar
    if raw.is_callable(kind):
        return _callable
    return _opaque
