"""Turn any value into a JSON text of bounded size, running none of the value's code.

Types are told apart by `type(value)`, contents are read by the base types' own methods, fields
of records (dataclasses, pydantic, attrs, msgspec, named tuples) are read raw. Secrets are
masked on the way. The work is bounded by what is kept, not by what is there: a megabyte costs
what the budget costs.

What was cut says so: `"...[$truncated: 90000 characters]..."` inside a string,
`{"$truncated": 900, "length": 1000}` among the items of a sequence (head and tail are kept),
`"$truncated": 12` among the keys of a mapping.
"""

from __future__ import annotations

import dataclasses
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
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson

from spanwise import _raw_fields as raw
from spanwise._masking import MASK, Masker

TRUNCATED: Final = "$truncated"

_MARGIN = 4096  # read on both sides of a cut, so that a secret across it is still recognised
_LONGEST_KEY = 256
_LONGEST_JUDGED_KEY = 1024
_SHORT = 256  # a longer string waits until its small neighbours have been encoded
_LONGEST_BYTES_AS_TEXT = 1024
_LONGEST_REPR = 100
_FEW = 4
_SHORTEST_SHAPE = 16  # characters of the shortest credential that could be an identifier
_LARGEST_INT = 2**63 - 1
_PRINTED_BITS = 4096


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much of a value is kept.

    Attributes:
        bytes: of the whole JSON text, in UTF-8.
        characters: of the whole JSON text; OpenTelemetry's attribute length limit, if any.
        string: characters of one string.
        items: entries of one sequence or mapping.
        nodes: values of all kinds.
        depth: containers inside each other.
    """

    bytes: int = 65_536
    characters: int | None = None
    string: int = 16_384
    items: int = 200
    nodes: int = 2_000
    depth: int = 10

    def scaled(self, factor: float, longest: int) -> Limits:
        """Return limits for a text smaller by the factor; `longest` is its length now."""
        return dataclasses.replace(
            self,
            bytes=max(1, int(min(self.bytes, longest) * factor)),
            string=max(8, int(min(self.string, longest) * factor)),
            items=max(1, int(min(self.items, longest) * factor)),
            nodes=max(1, int(min(self.nodes, longest) * factor)),
        )


class Encoder:
    """Encode values within limits and without secrets; holds no state between calls.

    Args:
        masker: says what is secret.
        limits: how much is kept.
        represent: call `repr` (guarded, cut to 100 characters) of what has no JSON form, as
            recordings of arguments promise; otherwise its type is named.
    """

    def __init__(
        self, masker: Masker | None = None, limits: Limits | None = None, *, represent: bool = False
    ) -> None:
        self.masker = masker or Masker()
        self.limits = limits or Limits()
        self.represent = represent

    def dumps(self, value: object) -> str:
        """Return the value as one JSON text that keeps every limit."""
        limits = self.limits
        data = b""
        for _ in range(8):
            data = orjson.dumps(_Walk(self, limits, scan=False).encode(value, 0))
            text = data.decode()
            # Almost no text holds anything like a secret. One look at the whole is cheaper than
            # one at each string; only where it finds something is each string read.
            if self.masker.suspects(text):
                data = orjson.dumps(_Walk(self, limits, scan=True).encode(value, 0))
                text = data.decode()
            characters = self.limits.characters or len(text)
            excess = max(len(data) / self.limits.bytes, len(text) / characters)
            if excess <= 1:
                return text
            limits = limits.scaled(0.9 / excess, len(data))
        return self._smallest(len(data))

    def text(self, value: str) -> str:
        """Return the text cut to one string's limit, masked, and valid in UTF-8."""
        return _Walk(self, self.limits, scan=True).text(value)

    def _smallest(self, length: int) -> str:
        longest = min(self.limits.bytes, self.limits.characters or self.limits.bytes)
        for text in (f'{{"{TRUNCATED}":{length}}}', f'"{TRUNCATED}"', '""'):
            if len(text) <= longest:
                return text
        return "0"


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


class _Walk:
    """One pass over one value, with what is left of the budget."""

    __slots__ = ("bytes_left", "encoder", "limits", "masker", "nodes_left", "path", "scan")

    def __init__(self, encoder: Encoder, limits: Limits, *, scan: bool) -> None:
        self.encoder = encoder
        self.masker = encoder.masker
        self.limits = limits
        self.scan = scan
        self.bytes_left = limits.bytes
        self.nodes_left = limits.nodes
        self.path: set[int] = set()

    def encode(self, value: Any, depth: int) -> Any:
        kind = type(value)
        self.nodes_left -= 1
        if kind is str:
            return self.text(value)
        if value is None or kind is bool:
            self.bytes_left -= 5
            return value
        handler = _HANDLERS.get(kind) if type(kind) is type else None
        if handler is None:
            handler = _handler(kind)
        if handler in _NESTING:
            identity = id(value)
            if identity in self.path:
                return {TRUNCATED: "cycle"}
            if depth >= self.limits.depth:
                return {TRUNCATED: "depth", "type": raw.type_name(kind)}
            self.path.add(identity)
            try:
                return handler(self, value, depth + 1)
            finally:
                self.path.discard(identity)
        return handler(self, value, depth)

    def text(self, value: str) -> str:
        limit = max(0, min(self.limits.string, self.bytes_left))
        if len(value) > limit:
            value = self._cut(value, limit)
        elif self.scan:
            value = self.masker.text(value)
        if not value.isascii():
            value = _valid(value)
            self.bytes_left -= len(value.encode()) - len(value)
        self.bytes_left -= len(value) + 3
        return value

    def _cut(self, value: str, limit: int) -> str:
        half = limit // 2
        head = value[: half + _MARGIN]
        tail = value[max(0, len(value) - half - _MARGIN) :]
        return self.excerpt(head, tail, len(value), half)

    def excerpt(self, head: str, tail: str, length: int, half: int) -> str:
        """Return the ends of a text, masked before they are cut to what is kept of them."""
        head_is_cut, tail_is_cut = len(head) < length, len(tail) < length
        head, tail = self.masker.text(_valid(head)), self.masker.text(_valid(tail))
        # Where masking used up the margin, the word at the inner edge may be a part of a secret
        # that can no longer be told by its shape.
        if head_is_cut and len(head) < half + _MARGIN and not head.endswith(MASK):
            words = head.rsplit(None, 1)
            head = words[0] if len(words) == 2 else head[:-_MARGIN]
        if tail_is_cut and len(tail) < half + _MARGIN and not tail.startswith(MASK):
            words = tail.split(None, 1)
            tail = words[1] if len(words) == 2 else tail[_MARGIN:]
        tail = tail[-half:] if half else ""
        return f"{head[:half]}…[{TRUNCATED}: {length} characters]…{tail}"

    def mapping(self, items: list[tuple[Any, Any]], length: int, depth: int) -> dict[str, Any]:
        """Encode pairs; small values first, so that a huge neighbour cannot crowd them out."""
        out: dict[str, Any] = {}
        large: list[tuple[str, Any]] = []
        for key, item in items:
            if self.nodes_left <= 0 or self.bytes_left <= 0:
                break
            kind = type(item)
            text = key if type(key) is str else self._key_text(key)
            name = self._name(text, out)
            if len(text) > _LONGEST_JUDGED_KEY:
                half = _LONGEST_JUDGED_KEY // 2
                text = f"{text[:half]} {text[-half:]}"
            if self.masker.hides(text, item):
                out[name] = MASK
            elif _is_plain(kind) and (kind is not str or len(item) <= _SHORT):
                out[name] = self.encode(item, depth)
            else:
                out[name] = None
                large.append((name, item))
        for position, (name, item) in enumerate(large):
            if self.nodes_left <= 0 or self.bytes_left <= 0:
                del out[name]
                continue
            encoded = self._share(item, depth, len(large) - position)
            if type(encoded) is str and encoded.startswith("<callable:"):
                # A parameter's name says more of a callback than the function's own.
                encoded = _stand_in(name) or _stand_in(encoded[10:-1]) or encoded
            out[name] = encoded
        for name in ("value", "Value"):
            if name in out and self.masker.names_a_secret(
                [(_as_text(key), _as_text(item)) for key, item in items]
            ):
                out[name] = MASK
        if len(out) < length:
            out[TRUNCATED] = length - len(out)
        return out

    def sequence(self, head: list[Any], tail: list[Any], length: int, depth: int) -> list[Any]:
        """Encode the items from both ends until the budget is used up."""
        if length == 2 and len(head) == 2:
            pair = (_as_text(head[0]), _as_text(head[1]))
            if pair[0] is not None and self.masker.is_secret_pair(pair):
                return [self.text(pair[0]), MASK]
        length = max(length, len(head) + len(tail))  # another thread may have added to it
        few = length <= _FEW
        held_bytes = 0 if few else self.bytes_left // 2
        held_nodes = 0 if few else self.nodes_left // 2
        self.bytes_left -= held_bytes
        self.nodes_left -= held_nodes
        front: list[Any] = []
        for item in head:
            if front and (self.nodes_left <= 0 or self.bytes_left <= 0):
                break
            front.append(
                self._share(item, depth, length - len(front)) if few else self.encode(item, depth)
            )
        self.bytes_left += held_bytes
        self.nodes_left += held_nodes
        back: list[Any] = []
        for item in reversed(head[len(front) :] + tail):
            if self.nodes_left <= 0 or self.bytes_left <= 0:
                break
            back.append(self.encode(item, depth))
        omitted = length - len(front) - len(back)
        if omitted > 0:
            front.append({TRUNCATED: omitted, "length": length})
        front.extend(reversed(back))
        return front

    def _share(self, value: Any, depth: int, share: int) -> Any:
        """Encode a value within one share of what is left."""
        held_bytes = self.bytes_left - self.bytes_left // share
        held_nodes = self.nodes_left - self.nodes_left // share
        self.bytes_left -= held_bytes
        self.nodes_left -= held_nodes
        encoded = self.encode(value, depth)
        self.bytes_left += held_bytes
        self.nodes_left += held_nodes
        return encoded

    def _key_text(self, key: Any) -> str:
        kind = type(key)
        if issubclass(kind, str):
            return str.__str__(key)
        if kind is int:
            return str(_int(self, key, 0))
        if key is None or kind is bool or kind is float:
            return repr(key)
        # Only here, not in the hot case: a key of another kind is encoded like a value.
        encoded = _Walk(self.encoder, _KEY_LIMITS, scan=True).encode(key, 0)
        return encoded if isinstance(encoded, str) else orjson.dumps(encoded).decode()

    def _name(self, key: str, taken: dict[str, Any]) -> str:
        """Return the key as it is written: valid, without secrets, unlike those before it."""
        if len(key) > _LONGEST_KEY:
            key = self._cut(key, _LONGEST_KEY)
        elif self.scan and not (len(key) < _SHORTEST_SHAPE and key.isidentifier()):
            key = self.masker.text(key)
        if not key.isascii():
            key = _valid(key)
        self.bytes_left -= len(key) + 4
        name, number = key, len(taken)
        while name in taken:
            name, number = f"{key} #{number}", number + 1
        return name


def _is_plain(kind: type) -> bool:
    # By identity: a set of types would call the __hash__ that a metaclass may define.
    return kind is str or kind is int or kind is float or kind is bool or kind is types.NoneType


def _as_text(value: Any) -> str | None:
    kind = type(value)
    if issubclass(kind, str):
        return str.__str__(value)
    if kind is bytes and len(value) <= _LONGEST_BYTES_AS_TEXT:
        return bytes(value).decode("latin-1")
    return None


def _valid(value: str) -> str:
    """Return the text with lone surrogates escaped, which UTF-8 cannot hold."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "backslashreplace").decode()
    return value


def _slices(walk: _Walk, value: Any, length: int, getitem: Any) -> tuple[list[Any], list[Any]]:
    # Slices are taken in C, so that another thread's changes cannot break the loop.
    width = walk.limits.items
    if length <= width:
        return list(getitem(value, slice(0, length))), []
    half = max(1, width // 2)
    head = list(getitem(value, slice(0, half)))
    return head, list(getitem(value, slice(length - width // 2, length)))


def _list(walk: _Walk, value: Any, depth: int) -> Any:
    length = list.__len__(value)
    return walk.sequence(*_slices(walk, value, length, list.__getitem__), length, depth)


def _tuple(walk: _Walk, value: Any, depth: int) -> Any:
    length = tuple.__len__(value)
    return walk.sequence(*_slices(walk, value, length, tuple.__getitem__), length, depth)


def _deque(walk: _Walk, value: Any, depth: int) -> Any:
    length = deque.__len__(value)
    width = walk.limits.items
    if length <= width:
        return walk.sequence(raw.first(deque.__iter__, value, width), [], length, depth)
    half = max(1, width // 2)
    head = raw.first(deque.__iter__, value, half)
    tail = raw.first(deque.__reversed__, value, width // 2)[::-1]
    return walk.sequence(head, tail, length, depth)


def _set(walk: _Walk, value: Any, depth: int) -> Any:
    base: Any = set if issubclass(type(value), set) else frozenset
    items = raw.first(base.__iter__, value, walk.limits.items)
    return walk.sequence(items, [], base.__len__(value), depth)


def _dict(walk: _Walk, value: Any, depth: int) -> Any:
    items = raw.first(dict.items, value, walk.limits.items)
    return walk.mapping(items, max(dict.__len__(value), len(items)), depth)


def _namespace(walk: _Walk, value: Any, depth: int) -> Any:
    return _dict(walk, raw.instance_dict(value) or {}, depth)


def _record(walk: _Walk, value: Any, depth: int) -> Any:
    names = raw.field_names(type(value)) or ()
    pairs, length = raw.fields(value, names, walk.limits.items)
    return walk.mapping(pairs, length, depth)


def _exception(walk: _Walk, value: Any, depth: int) -> Any:
    arguments = BaseException.__dict__["args"].__get__(value)
    return {"$type": raw.type_name(type(value)), "args": _tuple(walk, arguments, depth)}


def _int(walk: _Walk, value: Any, depth: int) -> Any:
    number = int.__index__(value)
    walk.bytes_left -= 8
    if -_LARGEST_INT - 1 <= number <= _LARGEST_INT:
        return number
    bits = number.bit_length()
    return str(number) if bits <= _PRINTED_BITS else f"<int of {bits} bits>"


def _float(walk: _Walk, value: Any, depth: int) -> Any:
    number = float.__float__(value)
    walk.bytes_left -= 8
    if number - number == 0:
        return number
    return "NaN" if number != number else "Infinity" if number > 0 else "-Infinity"


def _str(walk: _Walk, value: Any, depth: int) -> Any:
    return walk.text(str.__str__(value))


def _excerpt(walk: _Walk, value: Any, depth: int) -> Any:
    limit = max(0, min(walk.limits.string, walk.bytes_left))
    walk.bytes_left -= limit
    return walk.excerpt(value.head, value.tail, value.length, limit // 2)


def _memoryview(walk: _Walk, value: Any, depth: int) -> Any:
    try:
        return {"$type": "memoryview", "bytes": value.nbytes}
    except ValueError:  # it was released
        return _opaque(walk, value, depth)


def _bytes(walk: _Walk, value: Any, depth: int) -> Any:
    base: Any = bytes if issubclass(type(value), bytes) else bytearray
    length = base.__len__(value)
    if length <= _LONGEST_BYTES_AS_TEXT:
        try:
            text = base.decode(value)
        except UnicodeDecodeError:
            pass
        else:
            if text.isprintable() or text.isspace():
                return walk.text(text)
    return {"$type": raw.type_name(type(value)), "bytes": length}


def _datetime(walk: _Walk, value: Any, depth: int) -> Any:
    # From its parts: a zone, and what a subclass overrides, is the user's code.
    zone = _known_zone(datetime.datetime.__dict__["tzinfo"].__get__(value))
    date, time = datetime.datetime.date(value), datetime.datetime.time(value)
    return datetime.datetime.combine(date, time, zone).isoformat()


def _time(walk: _Walk, value: Any, depth: int) -> Any:
    zone = _known_zone(value.tzinfo)
    return datetime.time.replace(value, tzinfo=zone).isoformat()


def _known_zone(zone: Any) -> datetime.tzinfo | None:
    known = type(zone) is datetime.timezone or type(zone) is ZoneInfo
    return zone if known else None


def _printed(method: Callable[[Any], str]) -> _Handler:
    def printed(walk: _Walk, value: Any, depth: int) -> Any:
        try:
            return walk.text(method(value))
        except Exception:  # noqa: BLE001 - made by __new__ alone, or taken apart
            return _opaque(walk, value, depth)

    return printed


def _pattern(walk: _Walk, value: Any, depth: int) -> Any:
    return walk.encode(value.pattern, depth)


def _module(walk: _Walk, value: Any, depth: int) -> Any:
    name = (raw.instance_dict(value) or {}).get("__name__")
    return walk.text(f"<module:{name}>") if type(name) is str else _opaque(walk, value, depth)


def _nothing(walk: _Walk, value: Any, depth: int) -> Any:
    return None


def _range(walk: _Walk, value: Any, depth: int) -> Any:
    parts = (value.start, value.stop, value.step)
    return "range({}, {}, {})".format(*(_int(walk, part, depth) for part in parts))


def _enum(walk: _Walk, value: Any, depth: int) -> Any:
    held = raw.attribute(value, "_value_")
    return walk.encode(held if _is_plain(type(held)) else raw.attribute(value, "_name_"), depth)


def _callable(walk: _Walk, value: Any, depth: int) -> Any:
    """Name a callable as recordings do: a stand-in for it can be made when they are replayed."""
    marker = raw.attribute(value, "__fluxloop_builtin__")
    if type(marker) is str:
        return walk.text(f"<builtin:{marker}>")
    holder = raw.attribute(value, "__self__") if type(value) is types.MethodType else value
    for name, stand_in in (("messages", "collector.send"), ("errors", "collector.error")):
        if raw.has_attribute(value, name) or raw.has_attribute(holder, name):
            return f"<builtin:{stand_in}>"
    return walk.text(f"<callable:{raw.function_name(value)}>")


def _stand_in(name: str) -> str | None:
    """Return the marker for what is named like a callback that sends messages or errors."""
    words = name.lower()
    if "callback" not in words and not words.startswith(("send", "on_")):
        return None
    if "error" in words:
        return "<builtin:collector.error>"
    return "<builtin:collector.send>" if "send" in words else None


def _class(walk: _Walk, value: Any, depth: int) -> Any:
    if walk.encoder.represent:  # in a recording a class is one more callable
        return walk.text(f"<callable:{raw.function_name(value)}>")
    return walk.text(f"<class:{raw.type_name(value)}>")


def _secret(walk: _Walk, value: Any, depth: int) -> Any:
    return MASK


def _array(walk: _Walk, value: Any, depth: int) -> Any:
    """Describe an array or a frame of a known library by its shape, never by its contents."""
    described: dict[str, Any] = {"$type": raw.type_name(type(value))}
    for name in ("shape", "dtype"):
        # Asked of the class first: a frame has no dtype, but may have a column of that name.
        if raw.class_attribute(type(value), name) is raw.MISSING:
            continue
        try:
            found = getattr(value, name)
            described[name] = [int(n) for n in found] if name == "shape" else walk.text(str(found))
        except Exception:  # noqa: BLE001, S112 - a lazy array may have no shape yet
            continue
    return described


def _numpy_scalar(walk: _Walk, value: Any, depth: int) -> Any:
    item = value.item()
    known = _is_plain(type(item)) or type(item) in _HANDLERS
    return walk.encode(item, depth) if known else _opaque(walk, value, depth)


def _opaque(walk: _Walk, value: Any, depth: int) -> Any:
    if walk.encoder.represent:
        try:
            text = repr(value)
        except Exception:  # noqa: BLE001 - the user's code; its type is named instead
            text = None
        if type(text) is str:
            # Masked before it is cut: half of a secret no longer looks like one.
            text = walk.masker.text(text[: _LONGEST_REPR + _MARGIN])[:_LONGEST_REPR]
            return walk.text(f"<repr:{text}>")
    return walk.text(f"<{raw.type_name(type(value))} object>")


_Handler = Callable[[_Walk, Any, int], Any]
_complex = _printed(complex.__repr__)
_NESTING: frozenset[_Handler] = frozenset(
    {_list, _tuple, _deque, _set, _dict, _namespace, _record, _exception}
)
_KEY_LIMITS = Limits(bytes=256, string=128, items=8, nodes=16, depth=3)

_HANDLERS: dict[type, _Handler] = {
    int: _int,
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
    fractions.Fraction: _printed(fractions.Fraction.__str__),
    datetime.datetime: _datetime,
    datetime.date: _printed(datetime.date.isoformat),
    datetime.timedelta: _printed(datetime.timedelta.__str__),
    datetime.time: _time,
    re.Pattern: _pattern,
    type(pathlib.Path()): _printed(pathlib.PurePath.__str__),
    pathlib.PurePosixPath: _printed(pathlib.PurePath.__str__),
    pathlib.PureWindowsPath: _printed(pathlib.PurePath.__str__),
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
_BASES: tuple[tuple[type, _Handler], ...] = (
    (str, _str),
    (int, _int),
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

_learned: weakref.WeakKeyDictionary[type, _Handler] = weakref.WeakKeyDictionary()


def _handler(kind: type) -> _Handler:
    """Return how values of this type are encoded; remembered where the type can be hashed."""
    # A metaclass may define __hash__ or __eq__, which a dictionary would call.
    meta = type(kind)
    hashable = meta is type or (
        raw.class_attribute(meta, "__hash__") is type.__hash__
        and raw.class_attribute(meta, "__eq__") is type.__eq__
    )
    if hashable:
        # An abstract class of the table, such as Fraction, has a metaclass too.
        known = _HANDLERS.get(kind) or _learned.get(kind)
        if known is not None:
            return known
    handler = _choose(kind)
    if hashable:
        _learned[kind] = handler
    return handler


def _choose(kind: type) -> _Handler:
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
