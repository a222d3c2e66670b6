"""Any value becomes bounded, valid JSON, and none of its code is run."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import itertools
import json
import pathlib
import re
import sys
import threading
import types
import uuid
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple
from unittest import mock
from zoneinfo import ZoneInfo

import attrs
import msgspec
import numpy
import orjson
import pandas
import pydantic
import pytest

from spanwise import _encoding, _value_kinds
from spanwise._encoding import Encoder
from spanwise._limits import Limits
from spanwise._stream import Stream
from spanwise._value_kinds import TRUNCATED, Excerpt
from support.ids import plain

BYTES = 65_536
HUGE = "x" * 1_000_000


def encoded(value: object, **options: Any) -> Any:
    """Return what the value's JSON says."""
    return orjson.loads(Encoder(**options).dumps(value))


# --- what each kind of value becomes ---------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"
    BOTH = ("red", "blue")


class Number(enum.IntEnum):
    ONE = 1


class Permission(enum.Flag):
    READ = 1
    WRITE = 2


class Header(str, enum.Enum):
    KIND = "content-type"


class Point(NamedTuple):
    x: int
    y: str


@dataclass
class Order:
    number: int
    items: list[Any]
    note: str | None = None


@dataclass(frozen=True)
class Slotted:
    __slots__ = ("left", "right")
    left: int
    right: int


@dataclass
class Discriminated:
    kind: str = field(init=False, default="order")
    shared: ClassVar[str] = "of the class"
    size: int = 1


@attrs.define
class Place:
    town: str
    _zip: str = "10115"


@attrs.define(slots=False)
class OpenPlace:
    town: str


class Struct(msgspec.Struct):
    name: str
    size: int = 3


class Inner(pydantic.BaseModel):
    size: int


class Login(pydantic.BaseModel):
    user: str
    pin: pydantic.SecretStr
    raw: pydantic.SecretBytes
    inner: Inner


class Open(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    known: int


class Rows(pydantic.RootModel[list[int]]):
    pass


@pydantic.dataclasses.dataclass
class Checked:
    size: int


class Plain:
    def __init__(self) -> None:
        self.hidden = "in an ordinary object"

    def method(self) -> None: ...


class Called:
    def __call__(self) -> None: ...


class Sender:
    def __init__(self) -> None:
        self.messages: list[str] = []

    def send(self, text: str) -> None: ...

    def __call__(self) -> None: ...


class ErrorTaker:
    errors: ClassVar[list[str]] = []

    def __call__(self) -> None: ...


def function() -> None: ...


function_with_marker = types.FunctionType(function.__code__, {}, "marked")
function_with_marker.__fluxloop_builtin__ = "collector.send"  # type: ignore[attr-defined]

NOON = datetime.datetime(2026, 1, 31, 12, 0, 0)
SOME_UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")
HERE = f"{__name__}."
# These have moved between releases of pandas.
FRAME, SERIES = (f"{kind.__module__}.{kind.__name__}" for kind in (pandas.DataFrame, pandas.Series))


class Stamp(datetime.datetime):
    pass


class UserZone(datetime.tzinfo):
    def utcoffset(self, moment: datetime.datetime | None) -> datetime.timedelta:
        raise AssertionError("a zone of the user's was asked")

    tzname = dst = utcoffset


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


UNKNOWN_BYTES = {"$type": "bytes", "media_type": "application/octet-stream"}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


KINDS: list[tuple[str, Any, Any]] = [
    ("none", None, None),
    ("true", True, True),
    ("int", 5, 5),
    ("largest int", 2**63 - 1, 2**63 - 1),
    ("smallest int", -(2**63), -(2**63)),
    ("int beyond 64 bits", 2**63, str(2**63)),
    ("negative int beyond 64 bits", -(2**63) - 1, str(-(2**63) - 1)),
    ("int of a million bits", 1 << 1_000_000, "<int of 1000001 bits>"),
    ("float", 1.5, 1.5),
    ("nan", float("nan"), "NaN"),
    ("infinity", float("inf"), "Infinity"),
    ("negative infinity", float("-inf"), "-Infinity"),
    ("complex", 1 + 2j, "(1+2j)"),
    ("str", "naïve ☃ 🎉", "naïve ☃ 🎉"),
    ("list", [1, [2]], [1, [2]]),
    ("tuple", (1, "a"), [1, "a"]),
    ("dict", {"a": {"b": None}}, {"a": {"b": None}}),
    ("set", {1}, [1]),
    ("frozenset", frozenset({"a"}), ["a"]),
    ("deque", collections.deque([1, 2]), [1, 2]),
    ("OrderedDict", collections.OrderedDict(a=1), {"a": 1}),
    ("defaultdict", collections.defaultdict(list, a=[1]), {"a": [1]}),
    ("Counter", collections.Counter("aab"), {"a": 2, "b": 1}),
    ("readable bytes", b"hello", "hello"),
    ("binary bytes", b"\x00\xff", {"$type": "bytes", "bytes": 2}),
    ("many bytes", b"a" * 2000, {**UNKNOWN_BYTES, "bytes": 2000, "sha256": sha256(b"a" * 2000)}),
    ("bytearray", bytearray(b"hello"), "hello"),
    ("memoryview", memoryview(b"hello"), {"$type": "memoryview", "bytes": 5}),
    ("range", range(1, 10, 2), "range(1, 10, 2)"),
    ("range of a billion", range(10**9), "range(0, 1000000000, 1)"),
    ("UUID", SOME_UUID, str(SOME_UUID)),
    ("UUID of no parts", uuid.UUID.__new__(uuid.UUID), "<uuid.UUID object>"),
    ("Decimal", decimal.Decimal("1.10"), "1.10"),
    ("Decimal NaN", decimal.Decimal("NaN"), "NaN"),
    ("Fraction", fractions.Fraction(1, 3), "1/3"),
    ("datetime", NOON, "2026-01-31T12:00:00"),
    ("datetime in UTC", NOON.replace(tzinfo=datetime.timezone.utc), "2026-01-31T12:00:00+00:00"),
    (
        "datetime in a zone",
        NOON.replace(tzinfo=ZoneInfo("Europe/Berlin")),
        "2026-01-31T12:00:00+01:00",
    ),
    ("datetime in a user's zone", NOON.replace(tzinfo=UserZone()), "2026-01-31T12:00:00"),
    (
        "subclass of datetime",
        Stamp(2026, 1, 31, tzinfo=ZoneInfo("Europe/Berlin")),
        "2026-01-31T00:00:00+01:00",
    ),
    ("date", datetime.date(2026, 1, 31), "2026-01-31"),
    ("time", datetime.time(12, 30), "12:30:00"),
    ("time in a user's zone", datetime.time(12, 30, tzinfo=UserZone()), "12:30:00"),
    ("timedelta", datetime.timedelta(hours=1), "1:00:00"),
    ("pattern", re.compile("a+"), "a+"),
    ("pattern of bytes", re.compile(b"a+"), "a+"),
    ("path", pathlib.Path("a/b"), str(pathlib.Path("a/b"))),
    ("posix path", pathlib.PurePosixPath("a/b"), "a/b"),
    ("windows path", pathlib.PureWindowsPath("a/b"), "a\\b"),
    ("namespace", types.SimpleNamespace(a=1, b=[2]), {"a": 1, "b": [2]}),
    ("function", function, "<callable:function>"),
    ("lambda", lambda: None, "<callable:<lambda>>"),
    ("builtin", len, "<callable:len>"),
    ("method", Plain().method, "<callable:method>"),
    ("partial", functools.partial(function, 1), "<callable:function>"),
    ("callable object", Called(), "<callable:Called>"),
    ("marked callable", function_with_marker, "<builtin:collector.send>"),
    ("collector of messages", Sender(), "<builtin:collector.send>"),
    ("method of a collector", Sender().send, "<builtin:collector.send>"),
    ("collector of errors", ErrorTaker(), "<builtin:collector.error>"),
    ("module", json, "<module:json>"),
    ("module without a name", types.ModuleType("gone"), "<module:gone>"),
    ("class", Plain, f"<class:{HERE}Plain>"),
    ("builtin class", int, "<class:int>"),
    ("enum", Colour.RED, "red"),
    ("enum of a tuple", Colour.BOTH, "BOTH"),
    ("int enum", Number.ONE, 1),
    ("flag", Permission.READ | Permission.WRITE, 3),
    ("str enum", Header.KIND, "content-type"),
    ("named tuple", Point(1, "a"), {"x": 1, "y": "a"}),
    (
        "dataclass",
        Order(1, [Point(1, "a")]),
        {"number": 1, "items": [{"x": 1, "y": "a"}], "note": None},
    ),
    ("dataclass with slots", Slotted(1, 2), {"left": 1, "right": 2}),
    ("dataclass with a default of the class", Discriminated(), {"kind": "order", "size": 1}),
    ("attrs", Place("Bonn"), {"town": "Bonn", "_zip": "10115"}),
    ("attrs without slots", OpenPlace("Bonn"), {"town": "Bonn"}),
    ("msgspec", Struct("a"), {"name": "a", "size": 3}),
    ("pydantic with extra", Open(known=1, other=[2]), {"known": 1, "other": [2]}),  # type: ignore[call-arg]
    ("pydantic root", Rows([1, 2]), {"root": [1, 2]}),
    ("pydantic dataclass", Checked(size=1), {"size": 1}),
    (
        "exception",
        ValueError("no", 5),
        {"$type": "ValueError", "args": ["no", 5]},
    ),
    ("ordinary object", Plain(), f"<{HERE}Plain object>"),
    ("array.array", array.array("i", [1]), "<array.array object>"),
    ("generator", (n for n in ()), "<generator object>"),
    ("count", itertools.count(), "<itertools.count object>"),
    ("weak proxy", weakref.proxy(function), f"<callable:{weakref.CallableProxyType.__name__}>"),
    (
        "numpy array",
        numpy.zeros((2, 3)),
        {"$type": "numpy.ndarray", "shape": [2, 3], "dtype": "float64"},
    ),
    ("numpy float64", numpy.float64(1.5), 1.5),
    ("numpy float32", numpy.float32(1.5), 1.5),
    ("numpy int", numpy.int64(5), 5),
    ("numpy uint8", numpy.uint8(5), 5),
    ("numpy bool", numpy.bool_(True), True),
    ("numpy str", numpy.str_("a"), "a"),
    ("numpy bytes", numpy.bytes_(b"a"), "a"),
    ("numpy complex", numpy.complex128(1 + 2j), "(1+2j)"),
    ("numpy nan", numpy.float32("nan"), "NaN"),
    ("numpy datetime", numpy.datetime64("2026-01-31"), "2026-01-31"),
    ("numpy not a time", numpy.datetime64("NaT", "s"), None),
    ("numpy timedelta", numpy.timedelta64(5, "s"), "0:00:05"),
    (
        "pandas frame",
        pandas.DataFrame({"a": [1, 2]}),
        {"$type": FRAME, "shape": [2, 1]},
    ),
    (
        "pandas series",
        pandas.Series([1.0, 2.0]),
        {"$type": SERIES, "shape": [2], "dtype": "float64"},
    ),
    ("pandas timestamp", pandas.Timestamp("2026-01-31", tz="UTC"), "2026-01-31T00:00:00+00:00"),
    ("pandas not a time", pandas.NaT, None),
]


@pytest.mark.parametrize(
    ("value", "expected"), [case[1:] for case in KINDS], ids=[case[0] for case in KINDS]
)
def test_each_kind_of_value_has_its_form(value: Any, expected: Any) -> None:
    """Values with a JSON form keep it; records become mappings; the rest is named by its type."""
    assert expected == encoded(value)


def test_each_kind_of_value_has_its_form_inside_others() -> None:
    """A value reads the same at the top and inside a list and a mapping."""
    for name, value, expected in KINDS:
        assert {"k": [expected, 0, 0]} == encoded({"k": [value, 0, 0]}), name


def test_every_type_of_the_encoders_tables_is_tried_here() -> None:
    """The cases above cover all types that the encoder knows by name or as a base."""
    tried = {type(value) for _, value, _ in KINDS} | {Excerpt}
    assert set(_value_kinds.HANDLERS) - tried == set()
    assert {base for base, _ in _value_kinds._BASES} - {
        c for kind in tried for c in kind.__mro__
    } == set()


def test_a_secret_of_pydantic_is_never_opened() -> None:
    """SecretStr and SecretBytes are masked, also where a model nests them."""
    model = Login(user="jane", pin="1234", raw=b"5678", inner=Inner(size=1))  # type: ignore[arg-type]
    assert encoded([model]) == [{"user": "jane", "pin": "***", "raw": "***", "inner": {"size": 1}}]
    assert encoded({"a": pydantic.SecretStr("hunter2")}) == {"a": "***"}


def test_a_frame_is_described_even_where_its_columns_bear_the_names_of_what_is_asked() -> None:
    """Columns called shape and dtype are contents, and contents are not shown."""
    frame = pandas.DataFrame({"dtype": ["content"], "shape": ["content"]})
    assert encoded(frame) == {"$type": FRAME, "shape": [1, 2]}


def test_only_the_arrays_of_known_libraries_are_asked_for_their_shape() -> None:
    """A class that only bears the name of numpy's is named and left alone."""

    class ndarray:
        __module__ = "numpy"

        @property
        def shape(self) -> Any:
            raise AssertionError("was asked")

    assert encoded(ndarray()) == f"<numpy.{ndarray.__qualname__} object>"


def test_a_released_memoryview_is_named() -> None:
    """What is no longer there to be measured is named by its type."""
    view = memoryview(b"abc")
    view.release()
    assert encoded(view) == "<memoryview object>"


def test_a_module_whose_name_was_taken_away_is_named_by_its_type() -> None:
    """A module's own __getattr__ is not called for its missing name."""
    module = types.ModuleType("lazy")
    calls: list[str] = []
    module.__getattr__ = calls.append  # type: ignore[method-assign]
    del module.__name__
    assert encoded(module) == "<module object>"
    assert calls == []


def test_repr_is_called_only_where_it_is_asked_for() -> None:
    """Recordings show `repr` of what has no JSON form, guarded, and cut to 100 characters."""

    class Talkative:
        def __repr__(self) -> str:
            return "I am " + "very " * 100

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    class NoString:
        def __repr__(self) -> str:
            return 5  # type: ignore[return-value]

    encoder = Encoder(represent=True)
    assert orjson.loads(encoder.dumps(Talkative())) == f"<repr:{('I am ' + 'very ' * 100)[:100]}>"
    for broken in (Broken(), NoString()):
        assert orjson.loads(encoder.dumps(broken)) == f"<{HERE}{type(broken).__qualname__} object>"


def test_a_secret_across_the_end_of_a_repr_is_masked() -> None:
    """A representation is masked before it is cut, so no half of a key is left."""
    secret = "sk-" + "abcdefgh12" * 4

    class Client:
        def __repr__(self) -> str:
            return "x" * 91 + " " + secret

    text = Encoder(represent=True).dumps(Client())
    assert secret[:8] not in text
    assert "***" in text


# --- none of the value's code is run ---------------------------------------------------------

_LEFT_ALONE = frozenset(
    "__new__ __init__ __init_subclass__ __subclasshook__ __class_getitem__ __doc__ __module__ "
    "__dict__ __weakref__ __slots__ __del__ __orig_bases__ __parameters__ __annotations__".split()
)
_ALWAYS_TRAPPED = (
    "__repr__ __str__ __format__ __len__ __iter__ __next__ __getattr__ __getattribute__ __eq__ "
    "__ne__ __hash__ __bool__ __contains__ __getitem__ __int__ __float__ __index__ __complex__ "
    "__bytes__ __reversed__ __dir__ __sizeof__ __reduce__ __reduce_ex__ __fspath__ __missing__ "
    "__length_hint__ __await__ __aiter__ __enter__ __exit__ __copy__ __deepcopy__ __getstate__"
).split()


def trapped(base: type, ran: list[str], *, bases: tuple[type, ...] = ()) -> type:
    """Return a subclass of which every method, and `__class__`, notes that it ran and raises."""

    def trap(name: str) -> Any:
        def method(*args: Any, **kwargs: Any) -> Any:
            ran.append(name)
            raise RuntimeError(f"{name} was run")

        return method

    names = (set(dir(base)) | set(_ALWAYS_TRAPPED)) - _LEFT_ALONE
    namespace: dict[str, Any] = {name: trap(name) for name in names if name != "__class__"}
    namespace["__class__"] = property(trap("__class__"))
    return type(f"Trapped{base.__name__}", (base, *bases), namespace)


TRAPPED_VALUES: list[tuple[type, tuple[Any, ...], Any]] = [
    (str, ("text",), "text"),
    (int, (5,), 5),
    (float, (1.5,), 1.5),
    (complex, (1, 2), "(1+2j)"),
    (dict, ({"a": 1},), {"a": 1}),
    (collections.OrderedDict, (), {}),
    (list, ([1, 2],), [1, 2]),
    (tuple, ((1, 2),), [1, 2]),
    (set, ({1},), [1]),
    (frozenset, ({1},), [1]),
    (collections.deque, ([1, 2],), [1, 2]),
    (bytes, (b"abc",), "abc"),
    (bytearray, (b"abc",), "abc"),
    (datetime.datetime, (2026, 1, 31), "2026-01-31T00:00:00"),
    (ValueError, ("no",), {"args": ["no"]}),
]


@pytest.mark.parametrize(
    ("base", "arguments", "expected"), TRAPPED_VALUES, ids=[c[0].__name__ for c in TRAPPED_VALUES]
)
@pytest.mark.parametrize("represent", [False, True])
def test_a_subclass_whose_every_method_raises_is_read_by_its_base(
    base: type, arguments: tuple[Any, ...], expected: Any, represent: bool
) -> None:
    """The contents are there, and nothing that the subclass defines was run."""
    ran: list[str] = []
    value = trapped(base, ran)(*arguments)
    ran.clear()
    found = encoded({"v": value, "others": [value, (value, 1)]}, represent=represent)
    assert ran == []
    if base is ValueError:
        found["v"].pop("$type")
    assert found["v"] == expected


def test_an_object_whose_every_method_raises_is_named() -> None:
    """Neither its attributes nor its class nor its text are asked for."""
    ran: list[str] = []
    value = trapped(object, ran)()
    named = f"<{HERE}Trappedobject object>"
    assert encoded([value, {"a": value}, {1: value}]) == [named, {"a": named}, {"1": named}]
    assert ran == []


def test_keys_whose_every_method_raises_are_read_by_their_base() -> None:
    """Text keys of a hostile class keep their text, others are named."""
    ran: list[str] = []

    class Key(str):
        __slots__ = ()

        def _trap(self, *args: Any) -> Any:
            ran.append("key")
            raise RuntimeError

        __str__ = __repr__ = __format__ = lower = encode = __len__ = isascii = __iter__ = _trap

    class Other:
        __qualname__ = "Other"

        def __repr__(self) -> str:
            ran.append("repr")
            raise RuntimeError

        __str__ = __repr__

    assert encoded({Key("a"): 1, Other(): 2}) == {"a": 1, f"<{HERE}Other object>": 2}
    assert ran == []


class _WatchedMeta(type):
    """A metaclass that notes whatever is asked of its classes, once it is armed."""

    ran: ClassVar[list[str]] = []

    def _note(cls, *args: Any) -> Any:
        _WatchedMeta.ran.append("meta")
        raise RuntimeError

    __eq__ = __ne__ = __instancecheck__ = __subclasscheck__ = __repr__ = __str__ = __call__ = _note
    __bool__ = __len__ = __iter__ = __getattr__ = __format__ = __prepare__ = _note

    def __hash__(cls) -> int:
        _WatchedMeta.ran.append("hash")
        return 1

    def __getattribute__(cls, name: str) -> Any:
        _WatchedMeta.ran.append(name)
        raise RuntimeError


def _watched(*bases: type, **namespace: Any) -> Any:
    return type.__new__(_WatchedMeta, "Watched", bases or (object,), namespace)


@pytest.mark.parametrize("base", [object, str, int, dict, list, tuple, Exception])
def test_a_metaclass_is_never_asked(base: type) -> None:
    """Classes with hostile hashing, comparison and attributes are told apart without them."""
    kind = _watched(base)
    value = base.__new__(kind)
    _WatchedMeta.ran.clear()
    text = Encoder().dumps({"a": value, "token_count": value, "b": [value, 1], "c": kind})
    assert _WatchedMeta.ran == []
    assert "Watched" in text


def test_an_enum_whose_value_is_of_a_hostile_class_is_shown_by_its_name() -> None:
    """The held value is not asked what it is."""
    value = object.__new__(_watched(object))
    _WatchedMeta.ran.clear()

    class Choice(enum.Enum):
        FIRST = 1

    Choice.FIRST._value_ = value
    assert encoded(Choice.FIRST) == "FIRST"
    assert _WatchedMeta.ran == []


def test_names_of_a_hostile_str_class_are_copied() -> None:
    """A class, function or module may bear a name with methods of its own."""

    class Name(str):
        __slots__ = ()

        def __format__(self, spec: str) -> str:
            raise RuntimeError("was run")

        __str__ = __format__  # type: ignore[assignment]

    kind = type(Name("Odd"), (), {})
    kind.__qualname__ = Name("Odd")

    def named() -> None: ...

    named.__name__ = Name("odd")
    assert encoded([kind(), named, kind, re.compile(Name("a+"))]) == [
        f"<{HERE}Odd object>",
        "<callable:odd>",
        f"<class:{HERE}Odd>",
        "a+",
    ]


def test_properties_descriptors_and_lazy_attributes_of_records_are_not_run() -> None:
    """Fields are read from where they are stored; what would be computed is left out."""
    ran: list[str] = []

    class Lazy:
        def __get__(self, instance: Any, owner: Any) -> Any:
            ran.append("descriptor")
            return 1

        def __set__(self, instance: Any, value: Any) -> None: ...

    @dataclass
    class Row:
        stored: int
        computed: int = 0

        def __getattribute__(self, name: str) -> Any:
            ran.append(name)
            return object.__getattribute__(self, name)

    row = Row(1)
    Row.computed = Lazy()  # type: ignore[assignment]
    vars(row).pop("computed", None)
    ran.clear()
    assert encoded(row) == {"stored": 1}
    assert ran == []


def test_a_class_that_lies_about_its_dictionary_and_slots_is_survived() -> None:
    """Descriptors taken from other classes give nothing, and raise nothing."""

    class Other:
        __slots__ = ("name",)

    @dataclass
    class Liar:
        name: int = 0

    value = Liar()
    Liar.name = Other.name  # type: ignore[attr-defined]
    vars(value).clear()
    assert encoded(value) == {}

    class BorrowedDict:
        __dict__ = types.SimpleNamespace.__dict__["__dict__"]  # type: ignore[assignment]

    assert encoded(BorrowedDict()) == f"<{HERE}{BorrowedDict.__qualname__} object>"


@pytest.mark.parametrize(
    "make", [mock.MagicMock, mock.Mock, mock.AsyncMock, mock.NonCallableMagicMock]
)
def test_no_call_is_recorded_on_a_mock(make: Callable[..., Any]) -> None:
    """Encoding a mock, alone or inside others, leaves it as it was."""
    value = make()
    nested = [value, {"v": value}, {value: 1}]
    value.reset_mock()  # as a key it was hashed
    before = set(vars(value))
    Encoder().dumps(nested)
    assert value.mock_calls == []
    assert value.method_calls == []
    assert set(vars(value)) == before


def test_a_half_read_generator_goes_on_where_it_was() -> None:
    """Nothing is read from generators and iterators."""

    def count() -> Iterator[int]:
        yield from range(5)

    generator = count()
    next(generator)
    iterator = iter([1, 2, 3])
    next(iterator)
    text = Encoder(represent=True).dumps([generator, iterator, map(str, generator), zip(generator)])
    assert orjson.loads(text)
    assert [*generator] == [1, 2, 3, 4]
    assert [*iterator] == [2, 3]


def test_a_lazily_loaded_row_is_not_loaded() -> None:
    """An object whose attributes are fetched from elsewhere is not asked for any."""
    fetched: list[str] = []

    class Row:
        def __getattr__(self, name: str) -> Any:
            fetched.append(name)
            return 1

    assert encoded(Row()) == f"<{HERE}{Row.__qualname__} object>"
    assert fetched == []


# --- keys, cycles, depth ---------------------------------------------------------------------


def test_keys_that_are_no_strings_become_strings() -> None:
    """Every mapping becomes a JSON object."""
    value = {
        None: 0,
        True: 1,
        2: 2,
        1.5: 3,
        ("a", 1): 4,
        Colour.RED: 5,
        SOME_UUID: 6,
        b"raw": 7,
        float("nan"): 8,
        1 << 10_000: 9,
        Point: 10,
        Number.ONE.__class__: 11,
    }
    assert encoded(value) == {
        "None": 0,
        "True": 1,
        "2": 2,
        "1.5": 3,
        '["a",1]': 4,
        "red": 5,
        str(SOME_UUID): 6,
        "raw": 7,
        "nan": 8,
        "<int of 10001 bits>": 9,
        f"<class:{HERE}Point>": 10,
        f"<class:{HERE}Number>": 11,
    }


def test_keys_that_clash_all_keep_their_values() -> None:
    """Keys that read alike are numbered, also where a number is taken already."""
    value = {"1 #2": "a", 1: "b", "1": "c", 2.0: "d", "2.0": "e"}
    found = encoded(value)
    assert sorted(found.values()) == ["a", "b", "c", "d", "e"]
    assert found["1 #2"] == "a"
    assert sorted(encoded({2: "a", "2": "b", 2.5: "c", "2.5": "d"}).values()) == [
        "a",
        "b",
        "c",
        "d",
    ]


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\udcff" * 5000, "ok 🎉 \ud83d"])
def test_a_lone_surrogate_becomes_valid_json(text: str) -> None:
    """Half of a surrogate pair, in values, keys and secret pairs, is written as its escape."""
    value = {
        "v": text,
        text: [text, {"name": text}],
        "pair": (f"password{text}", "x"),
        "n": (text, 1),
    }
    found = encoded(value)
    assert found["v"].startswith(text[:1].encode("utf-8", "backslashreplace").decode()[:1])
    assert "\\ud" in json.dumps(found)
    assert Encoder().text(text).encode()


def test_a_cycle_is_said_so() -> None:
    """A container inside itself ends there; the same object twice is no cycle."""
    loop: list[Any] = [1]
    loop.append(loop)
    mapping: dict[str, Any] = {}
    mapping["self"] = {"deeper": mapping}
    shared = [1]
    order = Order(1, [])
    order.items.append(order)
    assert encoded(loop) == [1, {TRUNCATED: "cycle"}]
    assert encoded(mapping) == {"self": {"deeper": {TRUNCATED: "cycle"}}}
    assert encoded([shared, shared, shared]) == [[1], [1], [1]]
    assert encoded(order) == {"number": 1, "items": [{TRUNCATED: "cycle"}], "note": None}


def test_an_exception_that_holds_itself_is_no_endless_loop() -> None:
    """The arguments of an exception are containers like others."""
    error = ValueError("no")
    error.args = (error,)
    assert encoded(error)["args"] == [{TRUNCATED: "cycle"}]


@pytest.mark.parametrize(
    "make", [deep, lambda n: functools.reduce(lambda v, _: {"k": v}, range(n), {})]
)
def test_ten_thousand_levels_are_cut_at_the_depth_limit(make: Callable[[int], Any]) -> None:
    """What lies deeper than the limit is named, without walking there."""
    text = Encoder().dumps(make(10_000))
    assert orjson.loads(text)
    assert f'"{TRUNCATED}":"depth"' in text
    assert text.count("[") + text.count("{") <= Limits().depth + 2


# --- budgets ---------------------------------------------------------------------------------


def chat(messages: int, length: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"<{n}>" + "y" * length} for n in range(messages)]


def bush(width: int, levels: int) -> Any:
    return [bush(width, levels - 1) for _ in range(width)] if levels else "leaf"


LARGE: dict[str, Callable[[], Any]] = {
    "string": lambda: HUGE,
    "wide characters": lambda: "🎉" * 300_000,
    "control characters": lambda: "\x01" * 300_000,
    "quotes": lambda: '"' * 300_000,
    "lone surrogates": lambda: "\ud800" * 300_000,
    "key": lambda: {HUGE: 1},
    "keys": lambda: {f"{n:06}" * 40: n for n in range(10_000)},
    "list of ints": lambda: list(range(100_000)),
    "list of strings": lambda: ["z" * 5000] * 1000,
    "list of huge strings": lambda: [HUGE] * 300,
    "dict": lambda: {str(n): n for n in range(100_000)},
    "dict of huge strings": lambda: {str(n): HUGE for n in range(300)},
    "dict of dicts": lambda: {str(n): {str(m): m for m in range(300)} for n in range(300)},
    "chat": lambda: chat(2000, 2000),
    "bush of threes": lambda: bush(3, 10),
    "bush of tens": lambda: bush(10, 5),
    "set": lambda: set(range(100_000)),
    "deque": lambda: collections.deque(range(100_000)),
    "many fields": lambda: Open(known=1, **{f"f{n}": "v" * 500 for n in range(500)}),  # type: ignore[arg-type]
    "objects": lambda: [Plain() for _ in range(10_000)],
    "depths": lambda: [deep(20) for _ in range(10_000)],
    "mixture": lambda: {
        "text": HUGE,
        "leaves": list(range(10_000)),
        "chat": chat(300, 5000),
        "keys": {f"k{n}": [n, {"deep": deep(30)}] for n in range(3000)},
        "bytes": b"\x00" * 1_000_000,
    },
}


@pytest.mark.parametrize("name", LARGE)
def test_a_large_value_fits_into_the_budget(name: str) -> None:
    """At most 64 KiB of valid JSON, which says that it was cut."""
    text = Encoder().dumps(LARGE[name]())
    assert len(text.encode()) <= BYTES
    assert orjson.loads(text)
    assert TRUNCATED in text


@pytest.mark.parametrize(
    "name",
    [
        "string",
        "list of ints",
        "list of strings",
        "dict of huge strings",
        "chat",
        "mixture",
        "quotes",
    ],
)
def test_the_budget_is_used(name: str) -> None:
    """What is kept of a large value is not far below what may be kept."""
    text = Encoder(limits=Limits(items=10_000, nodes=50_000, string=BYTES)).dumps(LARGE[name]())
    assert BYTES / 3 < len(text.encode()) <= BYTES


@pytest.mark.parametrize("characters", range(1, 201))
def test_a_limit_of_characters_is_kept_however_small(characters: int) -> None:
    """OpenTelemetry's attribute limit holds, and the text stays valid JSON."""
    encoder = Encoder(limits=Limits(characters=characters))
    for value in (
        HUGE,
        list(range(1000)),
        {"a": HUGE, "b": [1, 2, 3]},
        "🎉" * 500,
        10**40,
        None,
        Plain(),
    ):
        text = encoder.dumps(value)
        assert len(text) <= characters
        orjson.loads(text)


def test_a_value_that_fits_is_not_touched_by_a_limit_of_characters() -> None:
    """The limit is for the text as it is written."""
    assert Encoder(limits=Limits(characters=7)).dumps([1, 2, 3]) == "[1,2,3]"


@pytest.mark.parametrize("length", [16_385, 17_000, 20_481, 100_000, 1_000_000])
def test_a_long_string_keeps_its_head_and_tail_and_says_its_length(length: int) -> None:
    """The middle goes; what is left is as long as the limit allows."""
    text = "HEAD" + "m" * (length - 8) + "TAIL"
    found = encoded(text)
    assert found.startswith("HEAD")
    assert found.endswith("TAIL")
    assert f"…[{TRUNCATED}: {length} characters]…" in found
    assert len(found) >= Limits().string


@pytest.mark.parametrize("limit", [8, 100, 1000, 4096, 10_000])
@pytest.mark.parametrize("factor", [1.01, 1.3, 2, 5])
def test_head_and_tail_of_a_string_are_equally_long(limit: int, factor: float) -> None:
    """Each end gets half of the limit, wherever the margins of the masking fall."""
    text = "".join(chr(97 + n % 26) for n in range(int(limit * factor) + 2))
    found = encoded(text, limits=Limits(string=limit))
    head, _, tail = (
        found.replace("[", "").replace("]", "").partition(f"…{TRUNCATED}: {len(text)} characters…")
    )
    assert (head, tail) == (text[: limit // 2], text[-(limit // 2) :])


def test_a_message_list_keeps_its_head_and_tail() -> None:
    """The system prompt and the last question are there, and how much is missing between."""
    found = encoded(chat(2000, 2000))
    assert found[0]["content"].startswith("<0>")
    assert found[1]["content"].startswith("<1>")
    assert found[-1]["content"].startswith("<1999>")
    assert found[-2]["content"].startswith("<1998>")
    (marker,) = [item for item in found if TRUNCATED in item]
    assert marker == {TRUNCATED: 2000 - (len(found) - 1), "length": 2000}


@pytest.mark.parametrize("messages", [2, 3, 4, 5, 8])
def test_a_huge_first_message_does_not_crowd_out_the_last(messages: int) -> None:
    """A short chat with long parts still shows its last question."""
    history: list[Any] = [
        {"role": "user", "content": [{"text": "p" * 20_000}] * 30} for _ in range(messages)
    ]
    found = encoded([*history[:-1], {"role": "user", "content": "the question"}])
    assert found[-1] == {"role": "user", "content": "the question"}
    assert found[0]["role"] == "user"


@pytest.mark.parametrize("container", [list, tuple, collections.deque, set])
def test_a_long_sequence_says_how_many_items_are_missing(container: Callable[..., Any]) -> None:
    """The marker among the items holds their number and the whole length."""
    found = encoded(container(range(1000)))
    (marker,) = [item for item in found if isinstance(item, dict)]
    assert marker == {TRUNCATED: 1000 - (len(found) - 1), "length": 1000}
    kept = [item for item in found if item != marker]
    assert set(kept) <= set(range(1000))
    assert kept[0] == 0
    if container is not set:
        assert kept[-1] == 999


def test_a_large_mapping_says_how_many_keys_are_missing() -> None:
    """So do records with many fields."""
    found = encoded({str(n): n for n in range(1000)})
    assert found[TRUNCATED] == 1000 - (len(found) - 1)
    extra = encoded(Open(known=1, **{f"f{n}": n for n in range(1000)}))  # type: ignore[arg-type]
    assert extra[TRUNCATED] == 1001 - (len(extra) - 1)
    assert extra["known"] == 1


@pytest.mark.parametrize(
    "huge",
    [
        HUGE,
        [HUGE] * 100,
        {str(n): HUGE for n in range(300)},
        list(range(10_000)),
        chat(500, 500),
        bush(20, 4),
    ],
    ids=["string", "strings", "mapping", "ints", "chat", "bush"],
)
@pytest.mark.parametrize("neighbours", [1, 5, 12])
def test_a_huge_argument_does_not_crowd_out_small_ones(huge: Any, neighbours: int) -> None:
    """Small arguments are whole, before and after the huge ones."""
    small = {"question": "why?", "limit": 5, "tags": ["a", "b"], "options": {"deep": {"er": True}}}
    value = {
        "first": small,
        **{f"huge{n}": huge for n in range(neighbours)},
        **small,
    }
    found = encoded(value)
    assert found["first"] == small
    assert {name: found[name] for name in small} == small
    assert list(found) == list(value)


def test_several_huge_strings_share_the_budget() -> None:
    """None of them takes what the others need."""
    found = encoded({f"s{n}": HUGE for n in range(8)})
    lengths = [len(text) for text in found.values()]
    assert min(lengths) > 0.8 * max(lengths)


def _visits(monkeypatch: pytest.MonkeyPatch, value: object) -> int:
    count = 0
    encode = _encoding.Walk.encode

    def counting(self: Any, value: Any, depth: int) -> Any:
        nonlocal count
        count += 1
        return encode(self, value, depth)

    with monkeypatch.context() as patch:
        patch.setattr(_encoding.Walk, "encode", counting)
        Encoder().dumps(value)
    return count


def test_a_megabyte_and_ten_thousand_leaves_cost_what_the_budget_costs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The number of values looked at does not grow with what is there."""
    small = {"text": HUGE, "leaves": list(range(10_000)), "map": {str(n): n for n in range(10_000)}}
    large = {
        "text": HUGE * 4,
        "leaves": list(range(50_000)),
        "map": {str(n): n for n in range(50_000)},
    }
    visited = _visits(monkeypatch, small)
    assert visited <= 3 * Limits().items
    assert visited == _visits(monkeypatch, large)


@pytest.mark.parametrize("name", LARGE)
def test_the_work_is_bounded_for_every_shape(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """All passes together look at no more values than a few budgets hold."""
    assert _visits(monkeypatch, LARGE[name]()) <= 8 * Limits().nodes


# --- secrets on the way ----------------------------------------------------------------------

SECRET = "hunter2-horse"


@pytest.mark.parametrize(
    "value",
    [
        {"password": SECRET},
        {"a": [{"b": {"api_key": SECRET}}]},
        {"secret": [SECRET, 1]},
        {b"authorization": SECRET},
        {Header("content-type"): 1, "client_secret": SECRET},
        ("Authorization", SECRET),
        [("accept", "*"), ("authorization", SECRET)],
        (b"authorization", SECRET.encode()),
        {"name": "Authorization", "value": SECRET},
        {"name": b"authorization", "value": SECRET.encode()},
        {"key": "db_password", "value": SECRET},
        {"Key": "db_password", "Value": SECRET},
        [{"header": "X-Api-Key", "value": SECRET}],
        types.SimpleNamespace(token=SECRET),
        f"password={SECRET}",
        ValueError(f"password={SECRET}"),
        {"k" * 300 + "_password_" + "k" * 20: SECRET},
        {"password_" + "k" * 2000: SECRET},
        {("Authorization", SECRET): 1},
        {f"https://jane:{SECRET}@acme.com/": 1},
        pathlib.PurePosixPath(f"password={SECRET}"),
        f"password={SECRET}".encode(),
        Excerpt(f"password={SECRET}" + " x" * 9000, "x " * 9000, 50_000),
    ],
    ids=plain,
)
def test_a_secret_is_masked_wherever_it_stands(value: Any) -> None:
    """Keys, pairs, descriptions, texts: the secret is not in the JSON, and the mask is."""
    for shape in (value, [value, 0, 0], {"a": value}):
        text = Encoder().dumps(shape)
        assert SECRET not in text
        assert "***" in text


def test_a_pair_of_subclassed_strings_is_a_pair() -> None:
    """The name and the value of a header may be of any class of strings."""

    class Text(str):
        __slots__ = ()

    assert encoded((Text("Authorization"), Text(SECRET))) == ["Authorization", "***"]


def test_two_sentences_are_no_header() -> None:
    """A question and its answer are kept, whatever words they use."""
    pair = ["What is the key to success in authoring passwords?", "Practice."]
    assert encoded(pair) == pair


@pytest.mark.parametrize("position", range(8_100, 8_260, 10))
@pytest.mark.parametrize("end", ["head", "tail"])
def test_a_secret_across_a_cut_is_masked_whole(position: int, end: str) -> None:
    """No part of a key is left on either side, wherever the cut falls."""
    secret = "sk-" + "abcdefgh12" * 5
    filler = "word " * 20_000
    text = (
        filler[:position] + secret + " " + filler
        if end == "head"
        else filler + " " + secret + filler[:position]
    )
    found = encoded(text)
    assert all(secret[n : n + 10] not in found for n in range(3, len(secret) - 10))


def test_masking_much_before_a_cut_does_not_uncover_what_the_margin_cut_in_two() -> None:
    """Where masking shortens an end, the text that moves in from the margin is still whole."""
    secret = "sk-" + "abcdefgh12" * 5
    token = "eyJ" + "a1" * 4000
    text = (
        f"head {token} "
        + "a " * 200
        + secret * 40
        + " mid " * 9000
        + secret * 40
        + f" {token} tail"
    )
    for limit in range(600, 9000, 137):
        found = encoded(text, limits=Limits(string=limit))
        assert "abcdefgh12" not in found, limit


def test_a_stream_of_which_the_ends_were_kept_is_cut_once() -> None:
    """The text says the length of the whole, not of what was kept of it."""
    excerpt = Excerpt("HEAD" + "h" * 30_000, "t" * 30_000 + "TAIL", 500_000)
    for limits in (Limits(), Limits(characters=300)):
        found = encoded(excerpt, limits=limits)
        assert found.startswith("HEAD")
        assert found.endswith("TAIL")
        assert found.count(TRUNCATED) == 1
        assert "500000 characters" in found


@pytest.mark.parametrize("length", [100, 16_384, 20_000, 45_000, 60_000, 1_000_000])
@pytest.mark.parametrize("size", [1, 1000, 10**7])
def test_a_streamed_text_reads_like_one_that_came_at_once(length: int, size: int) -> None:
    """However it was cut into chunks, its observation is that of the joined text."""
    words = "".join(f"{n} word " for n in range(length // 8 + 1))[:length]
    if length // size > 50_000:
        size = 20
    stream = Stream(Encoder(), keeps=True, sums_usage=False)
    for start in range(0, length, size):
        stream.add(words[start : start + size])
    assert Encoder().dumps(words) == Encoder().dumps(stream.output())


def test_a_secret_in_a_streamed_text_is_masked_at_the_cut_too() -> None:
    """What is kept of the stream has margins, as a text that came at once."""
    secret = "sk-" + "abcdefgh12" * 5
    for shift in range(0, 60, 7):
        text = (
            "a " * 4_080 + " " * shift + secret + " b" * 20_000 + " " + secret + " c" * 4_080
        ) + "d" * shift
        stream = Stream(Encoder(), keeps=True, sums_usage=False)
        for start in range(0, len(text), 11):
            stream.add(text[start : start + 11])
        found = Encoder().dumps(stream.output())
        assert "abcdefgh12" not in found


# --- another thread --------------------------------------------------------------------------


def test_containers_that_another_thread_changes_are_encoded_all_the_same() -> None:
    """A change in the middle of the encoding costs at most what was being changed."""
    mapping: dict[int, int] = {}
    members: set[int] = set()
    queue: collections.deque[int] = collections.deque()
    numbers: list[int] = []
    stop = threading.Event()

    def change() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            mapping[n % 400] = members.add(n % 400) or n  # type: ignore[func-returns-value]
            queue.append(n)
            numbers.append(n)
            if n % 350 == 0:
                for container in (mapping, members, queue, numbers):
                    container.clear()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(80):
            assert set(encoded({"d": mapping, "s": members, "q": queue, "l": numbers})) == set(
                "dsql"
            )
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(before)


def test_a_container_that_changes_at_every_try_is_shown_empty() -> None:
    """After a few tries the items are given up, and their number is said."""
    from spanwise import _raw_fields as raw

    tries: list[int] = []

    def changing(container: dict[str, int]) -> Iterator[Any]:
        tries.append(1)
        raise RuntimeError("dictionary changed size during iteration")
        yield

    assert raw.first(changing, {}, 5) == []
    assert 1 < len(tries) < 10


# --- found by hostile values -------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Holder:
    inner: Any


def test_a_dictionary_in_its_own_key_ends_there() -> None:
    """Keys that hold dictionaries with such keys are named, not followed without an end."""
    loop: dict[Any, Any] = {}
    loop[Holder(loop)] = 1
    assert encoded(loop) == {f'{{"inner":{{"<{HERE}Holder object>":1}}}}': 1}
    chain: dict[Any, Any] = {}
    for _ in range(10_000):
        chain = {Holder(chain): 1}
    assert encoded(chain) == {f'{{"inner":{{"<{HERE}Holder object>":1}}}}': 1}


def test_what_is_looked_at_in_keys_counts_like_what_is_looked_at_in_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Keys that are trees use up the same budget."""
    value = {n: {((1, 2, 3), (4, 5), n, m): m for m in range(200)} for n in range(200)}
    assert _visits(monkeypatch, value) <= 4 * Limits().nodes


@pytest.mark.parametrize("base", [bytes, ValueError, object])
def test_any_name_that_a_class_was_given_is_valid_and_of_bounded_length(base: type) -> None:
    """Half of a surrogate pair, or a megabyte, in the name of a class harms no other value."""
    kind: Any = type("Odd", (base,), {"__module__": "odd\ud800"})
    kind.__qualname__ = "Q\udfff" * 1_000_000
    found = encoded({"odd": [kind(), kind(b"\x00") if base is bytes else 1], "other": 1})
    assert found["other"] == 1
    assert "odd\\ud800.Q\\udfff" in str(found).replace("\\\\", "\\")
    assert len(str(found)) < 10_000


def test_a_huge_int_is_encoded_however_few_digits_python_may_print() -> None:
    """The least number of digits that Python can be told to print is enough."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        found = encoded([2**2048 - 1, 2**4000, {-(2**4000): range(2**4000)}])
    finally:
        sys.set_int_max_str_digits(before)
    assert found == [
        str(2**2048 - 1),
        "<int of 4001 bits>",
        {"<int of 4001 bits>": "range(0, <int of 4001 bits>, 1)"},
    ]


def test_the_parts_of_a_fraction_are_read_only_where_they_are_ints() -> None:
    """A fraction is shown as it prints itself, and named where it would run something."""
    values = [fractions.Fraction(-1, 3), fractions.Fraction(4, 2), fractions.Fraction(10**5000, 7)]
    assert encoded(values) == ["-1/3", "2", f"<int of {(10**5000).bit_length()} bits>/7"]
    ran: list[str] = []
    values[0]._numerator = trapped(object, ran)()  # type: ignore[attr-defined]
    assert encoded(values[0]) == "<fractions.Fraction object>"
    assert ran == []


def test_a_member_of_an_enumeration_that_is_its_own_name_is_named_by_its_type() -> None:
    """Neither the value nor the name of a member can lead the encoder in a circle."""

    class Choice(enum.Enum):
        FIRST = 1

    Choice.FIRST._value_ = Choice.FIRST._name_ = Choice.FIRST  # type: ignore[assignment]
    assert encoded(Choice.FIRST) == f"<{HERE}{Choice.__qualname__} object>"


def test_a_path_made_of_a_text_with_methods_of_its_own_runs_none_of_them() -> None:
    """Where a path reads its text only when it is shown, it is not shown."""
    ran: list[str] = []

    class Name(str):
        __slots__ = ()

        def replace(self, *args: Any) -> str:  # type: ignore[override]
            ran.append("replace")
            return "a"

        split = rpartition = rstrip = partition = startswith = replace  # type: ignore[assignment]

    path = pathlib.PurePosixPath(Name("a"))
    ran.clear()
    module = pathlib.PurePosixPath.__module__  # it has moved between releases
    assert encoded(path) in ("a", f"<{module}.PurePosixPath object>")
    assert ran == []


def test_a_type_of_contents_that_a_program_defined_is_named() -> None:
    """Of a series only pandas' own types of contents are asked for their text."""
    from pandas.api import extensions

    class Dtype(extensions.ExtensionDtype):  # type: ignore[misc]
        type = object
        name = "own"

        def __str__(self) -> str:
            raise AssertionError("was run")

    class Own(extensions.ExtensionArray):  # type: ignore[misc]
        dtype = Dtype()

        def __len__(self) -> int:
            return 3

        def copy(self) -> Any:
            return self

    dtype = f"{HERE}{Dtype.__qualname__}"
    assert encoded(pandas.Series(Own())) == {"$type": SERIES, "shape": [3], "dtype": dtype}
    category = pandas.Series(["a"], dtype="category")
    assert encoded(category) == {"$type": SERIES, "shape": [1], "dtype": "category"}


@pytest.mark.parametrize("separator", ["\n", ", "])
def test_a_secret_whose_name_was_cut_away_is_not_shown(separator: str) -> None:
    """JSON that is masked gets shorter, which brings the torn item at the cut into what is kept."""
    for shift in range(30):
        text = separator.join([f'{{"token": "{SECRET}"}}'] * 5000) + " " * shift
        assert SECRET not in Encoder().dumps(text), shift
