"""Values that hurt whoever looks at them: what they do when they are touched, and how to tell.

Each is made by a function, in the process that captures it, since making it can be the half of
what is hostile about it. Whatever it is, the decorated function that returns it must return the
very same object, and nothing of its own code may have run: what runs notes its name in `ran`.
"""

# Annotations are not postponed here: SQLAlchemy and pydantic 1 look for their names in the module.

import array
import asyncio
import builtins
import collections
import contextlib
import contextvars
import ctypes
import datetime
import decimal
import enum
import fractions
import functools
import inspect
import io
import itertools
import mmap
import os
import pathlib
import queue
import re
import socket
import subprocess
import sys
import tempfile
import threading
import types
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, make_dataclass
from typing import Any, NamedTuple
from unittest import mock
from zoneinfo import ZoneInfo

MEGABYTE = 1_000_000
SECRET = "hunter2-horse9"

# What was run of the values' own code: the names of methods, or the text of SQL statements.
ran: list[str] = []


class Unavailable(Exception):
    """The value cannot be made here; the text says why."""


@dataclass(frozen=True)
class Case:
    """One hostile value.

    Attributes:
        make: returns the value.
        harm: returns what was done to the value, if anything that `ran` does not tell.
        is_quiet: False where its `repr`, which recordings and the texts of exceptions may call,
            blocks, ends the process, evaluates something, or takes long to make or to read.
        is_heavy: True where every look at it takes so long that a few ways in must do.
    """

    make: Callable[[], Any]
    harm: Callable[[Any], Any] = lambda value: None
    is_quiet: bool = True
    is_heavy: bool = False


CASES: dict[str, Case] = {}

Maker = Callable[[], Any]


def case(name: str, **options: Any) -> Callable[[Maker], Maker]:
    """Register the function below as the maker of a value."""

    def register(make: Maker) -> Maker:
        assert name not in CASES, name
        CASES[name] = Case(make, **options)
        return make

    return register


def add(values: Mapping[str, Maker], **options: Any) -> None:
    """Register makers that need no more than an expression."""
    for name, make in values.items():
        case(name, **options)(make)


# --- methods that do harm ----------------------------------------------------------------------


def _raise() -> Any:
    raise RuntimeError("was run")


def _leave() -> Any:
    raise SystemExit(98)


def _interrupt() -> Any:
    raise KeyboardInterrupt


def _block() -> Any:
    threading.Event().wait()


def _end() -> Any:
    os._exit(97)


def _answer() -> Any:
    return "x" * (50 * MEGABYTE)


# What a method does, by how it is said of it, and whether repr() may be called all the same.
BEHAVIOURS: dict[str, tuple[Maker, bool]] = {
    "raise": (_raise, True),
    "raise SystemExit": (_leave, False),
    "raise KeyboardInterrupt": (_interrupt, False),
    "block for ever": (_block, False),
    "end the process": (_end, False),
    "answer with 50 MB": (_answer, True),
}

_LEFT_ALONE = frozenset(
    "__new__ __init__ __init_subclass__ __subclasshook__ __class_getitem__ __doc__ __module__ "
    "__weakref__ __slots__ __del__ __orig_bases__ __parameters__ __annotations__ mro "
    "__static_attributes__ __firstlineno__ __annotate__ __annotations_cache__ __class__ __dict__ "
    "__abstractmethods__ __name__ __qualname__ __mro__ __bases__ __base__ __flags__ "
    "__basicsize__ __itemsize__ __dictoffset__ __weakrefoffset__ __text_signature__ __type_params__".split()
)
_TRAPPED = (
    "__repr__ __str__ __format__ __len__ __iter__ __next__ __getattr__ __getattribute__ __eq__ "
    "__ne__ __lt__ __hash__ __bool__ __contains__ __getitem__ __missing__ __int__ __float__ "
    "__index__ __complex__ __bytes__ __buffer__ __reversed__ __dir__ __sizeof__ __reduce__ "
    "__reduce_ex__ __fspath__ __length_hint__ __await__ __aiter__ __anext__ __enter__ __exit__ "
    "__copy__ __deepcopy__ __getstate__ __get__ __round__ __trunc__ __array__ "
    "__array_interface__ __json__ __html__ __rich_repr__ keys items values dict model_dump "
    "to_dict isoformat encode read"
).split()


def trapped(base: type, behave: Maker) -> type:
    """Return a subclass of which every method that can be overridden notes its name and behaves."""

    def trap(name: str) -> Any:
        def method(*args: Any, **kwargs: Any) -> Any:
            ran.append(name)
            return behave()

        return method

    names = (set(dir(base)) | set(_TRAPPED)) - _LEFT_ALONE
    namespace: dict[str, Any] = {name: trap(name) for name in names}
    namespace["__class__"] = property(trap("__class__"))
    if base is object:
        namespace["__dict__"] = property(trap("__dict__"))
    return type(f"Trapped{base.__name__}", (base,), namespace)


def trapped_object(behave: Maker = _raise) -> Any:
    """Return an object of which every method behaves so."""
    return object.__new__(trapped(object, behave))


def _of_trapped_class(behave: Maker) -> Maker:
    return lambda: trapped_object(behave)


def _of_watched_metaclass(behave: Maker, base: type = object) -> Maker:
    def make() -> Any:
        kind: Any = type.__new__(trapped(type, behave), "Watched", (base,), {})
        return base.__new__(kind)

    return make


for _how, (_behave, _is_quiet) in BEHAVIOURS.items():
    add({f"methods that {_how}": _of_trapped_class(_behave)}, is_quiet=_is_quiet)
    # A class's repr, which that of its objects shows, is not the metaclass's.
    add({f"a metaclass whose methods {_how}": _of_watched_metaclass(_behave)}, is_quiet=_is_quiet)

for _base in (str, dict, tuple, ValueError):
    add(
        {
            f"a {_base.__name__} whose metaclass ends the process": _of_watched_metaclass(
                _end, _base
            )
        },
        is_quiet=False,
    )

# The base, what its __new__ and what its __init__ is given.
_EXTENDED: list[tuple[type, tuple[Any, ...], tuple[Any, ...]]] = [
    (str, ("text",), ()),
    (bytes, (b"text",), ()),
    (bytearray, (), (b"text",)),
    (int, (5,), ()),
    (float, (1.5,), ()),
    (complex, (1, 2), ()),
    (dict, (), ({"usage": {"input_tokens": 1}, "k": [1]},)),
    (collections.OrderedDict, (), ()),
    (collections.defaultdict, (), (_raise,)),
    (collections.Counter, (), ()),
    (collections.UserDict, (), ()),
    (collections.ChainMap, (), ()),
    (list, (), ([1, 2],)),
    (tuple, ((1, 2),), ()),
    (set, (), ({1, 2},)),
    (frozenset, ({1, 2},), ()),
    (collections.deque, (), ([1, 2],)),
    (datetime.datetime, (2026, 1, 31), ()),
    (datetime.date, (2026, 1, 31), ()),
    (datetime.timedelta, (1,), ()),
    (decimal.Decimal, ("1.5",), ()),
    (uuid.UUID, (), ()),
    (types.SimpleNamespace, (), ()),
    (types.ModuleType, ("name",), ()),
    (io.StringIO, (), ("text",)),
    (BaseException, ("no", 5), ("no", 5)),
    (ValueError, ("no", 5), ("no", 5)),
    (KeyError, ("no",), ("no",)),
    (OSError, (2, "no", "file"), ()),
    (StopIteration, ("no",), ("no",)),
    (functools.partial, (print, 1), ()),
    (threading.Thread, (), ()),
]


def _subclass(base: type, behave: Maker, new: tuple[Any, ...], init: tuple[Any, ...]) -> Maker:
    def make() -> Any:
        value = base.__new__(trapped(base, behave), *new)
        if init:
            base.__init__(value, *init)
        return value

    return make


for _base, _new, _init in _EXTENDED:
    _article = "an" if _base.__name__[0] in "aeiouAEIO" else "a"
    add(
        {
            f"{_article} {_base.__name__} whose methods raise": _subclass(
                _base, _raise, _new, _init
            ),
        }
    )
    add(
        {
            f"{_article} {_base.__name__} whose methods end the process": _subclass(
                _base, _end, _new, _init
            ),
        },
        is_quiet=False,
    )


@case("a class that lies about what it is")
def _liar() -> Any:
    class Liar:
        __class__ = dict  # type: ignore[assignment]

        def items(self) -> Any:
            ran.append("items")

        __len__ = __iter__ = keys = items

    return Liar()


@case("a number that is true and false by turns")
def _bool_like() -> Any:
    class Coin(int):
        def __bool__(self) -> bool:
            ran.append("__bool__")
            return bool(len(ran) % 2)

        __index__ = __int__ = __bool__

    return Coin(5)


@case("attributes that are made when they are asked for")
def _lazy_attributes() -> Any:
    class Row:
        usage = property(lambda self: ran.append("usage"))

        def __getattr__(self, name: str) -> Any:
            ran.append(name)
            return self

    return Row()


@case("descriptors that raise")
def _descriptors() -> Any:
    class Loud:
        def __get__(self, instance: Any, owner: Any) -> Any:
            ran.append("__get__")
            raise RuntimeError

        def __set__(self, instance: Any, value: Any) -> None: ...

    class Holder:
        usage = usage_metadata = response_metadata = messages = errors = args = Loud()
        __call__ = __fluxloop_builtin__ = Loud()

    return Holder()


@case("slots that were never filled")
def _unfilled_slots() -> Any:
    class Empty:
        __slots__ = ("__weakref__", "messages", "usage")

    return Empty()


@case("a class that borrows the dictionary of another")
def _borrowed_dictionary() -> Any:
    class Borrower:
        __dict__ = types.SimpleNamespace.__dict__["__dict__"]  # type: ignore[assignment]

    return Borrower()


@case("attributes under names that compare by themselves")
def _comparing_names() -> Any:
    class Name(str):
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            ran.append("__eq__")
            raise RuntimeError

    class Holder: ...

    value = Holder()
    vars(value)[Name("colour")] = 1
    return value


@case("a module that loads its attributes when they are asked for")
def _lazy_module() -> Any:
    module = types.ModuleType("lazy")
    module.__getattr__ = ran.append  # type: ignore[method-assign]
    del module.__name__
    return module


@case("a callable object that has the names of a collector")
def _collector() -> Any:
    class Called:
        messages = property(lambda self: ran.append("messages"))

        def __call__(self) -> Any:
            ran.append("__call__")

    return Called()


# --- containers of themselves, and too deep ----------------------------------------------------


@dataclass(eq=False)
class Node:
    """A link of a chain."""

    inner: Any = None


@dataclass(frozen=True, eq=False)
class Key:
    """A key that can hold what it is a key of."""

    inner: Any = None


def _chain(link: Callable[[Any], Any], levels: int = 10_000) -> Any:
    value: Any = None
    for _ in range(levels):
        value = link(value)
    return value


@case("a list in itself")
def _list_in_itself() -> Any:
    value: list[Any] = [1]
    value += [value, (value,), {"v": value}]
    return value


@case("a dictionary in itself")
def _dictionary_in_itself() -> Any:
    value: dict[Any, Any] = {"usage": {}}
    value["usage"]["prompt_tokens_details"] = value["self"] = value
    return value


@case("a record in itself")
def _record_in_itself() -> Any:
    value = Node()
    value.inner = [value]
    return value


@case("a dictionary in its own key")
def _dictionary_in_its_key() -> Any:
    value: dict[Any, Any] = {}
    value[Key(value)] = value
    return value


@case("dictionaries in keys of dictionaries in keys", is_quiet=False)
def _keys_in_keys() -> Any:
    # Walked through, it has 8 ** 40 leaves.
    value: dict[Any, Any] = {}
    for _ in range(40):
        value = {Key(value): 1 for _ in range(8)}
    return value


@case("a partial of itself")
def _partial_of_itself() -> Any:
    value = functools.partial(print)
    value.__setstate__((value, (value,), {}, {}))  # type: ignore[attr-defined]
    return value


@case("an exception that holds and causes itself")
def _exception_in_itself() -> Any:
    value = ValueError("no")
    value.args = (value, [value])
    value.__cause__ = value.__context__ = value
    return value


def _linked(value: Any) -> Any:
    error = ValueError("no")
    error.__cause__ = value
    return error


add(
    {
        "ten thousand lists in each other": lambda: _chain(lambda v: [v]),
        "ten thousand dictionaries in each other": lambda: _chain(lambda v: {"k": v}),
        "ten thousand tuples in each other": lambda: _chain(lambda v: (v,)),
        "ten thousand records in each other": lambda: _chain(Node),
        "ten thousand namespaces in each other": lambda: _chain(
            lambda v: types.SimpleNamespace(v=v)
        ),
        "ten thousand keys in each other": lambda: _chain(lambda v: {Key(v): 1}),
        "ten thousand frozen sets in each other": lambda: _chain(lambda v: frozenset((v,)), 5000),
        "ten thousand exceptions in each other": lambda: _chain(ValueError),
        "ten thousand causes": lambda: _chain(_linked),
        "ten thousand partials": lambda: _chain(lambda v: functools.partial(v or print, 1)),
        "a list of a hundred thousand of itself": lambda: (
            lambda v: [v.extend([v] * 100_000), v][1]  # type: ignore[func-returns-value]
        )([]),
    }
)


# --- without an end, and not to be consumed ----------------------------------------------------


class EndlessMapping(Mapping[Any, Any]):
    """A mapping that has a key for every number, and says that it has four."""

    def __getitem__(self, key: Any) -> Any:
        ran.append("__getitem__")
        return key

    def __iter__(self) -> Iterator[Any]:
        ran.append("__iter__")
        return itertools.count()

    def __len__(self) -> int:
        ran.append("__len__")
        return 4


class EndlessSequence(Sequence[Any]):
    """A sequence that never ends, of a length that no machine can hold."""

    def __getitem__(self, index: Any) -> Any:
        ran.append("__getitem__")
        return index

    def __len__(self) -> int:
        ran.append("__len__")
        return sys.maxsize


class EndlessDict(dict[Any, Any]):
    """A dictionary that says it has a key for every number."""

    def items(self) -> Any:
        ran.append("items")
        return ((n, n) for n in itertools.count())

    def __iter__(self) -> Iterator[Any]:
        ran.append("__iter__")
        return itertools.count()

    def __len__(self) -> int:
        ran.append("__len__")
        return -1


def _number(step: Callable[[Any], Any], expected: Any) -> Callable[[Any], Any]:
    """Return a check that the next of an iterator is what it was before the capture."""

    def harm(value: Any) -> Any:
        found = step(value)
        return None if found == expected else f"it went on to {found!r}"

    return harm


def _half_read() -> Iterator[int]:
    numbers = iter(range(5))

    def count() -> Iterator[int]:
        yield from numbers

    generator = count()
    next(generator)
    return generator


def _endless() -> Iterator[int]:
    yield from itertools.count()


async def _awaited() -> int:
    ran.append("a coroutine")
    return 1


async def _stepped() -> Any:
    ran.append("an async generator")
    yield 1


add({"a generator that is half read": _half_read}, harm=_number(next, 1))
add(
    {
        "a generator without an end": _endless,
        "a count": itertools.count,
        "a map over a count": lambda: map(int, itertools.count()),
        "an enumeration of a count": lambda: enumerate(itertools.count()),
        "an iterator of a list": lambda: iter([0, 1]),
    },
    harm=_number(lambda value: next(value) if not isinstance(value, enumerate) else 0, 0),
)
add(
    {
        "a cycle": lambda: itertools.cycle([0]),
        "a repetition": lambda: itertools.repeat(0),
        "a mapping without an end": EndlessMapping,
        "a sequence without an end": EndlessSequence,
        "a dictionary that says it has no end": lambda: EndlessDict(a=1),
        "views of a mapping without an end": lambda: [
            EndlessMapping().items(),
            EndlessMapping().keys(),
            EndlessMapping().values(),
        ],
        "a proxy of a mapping without an end": lambda: types.MappingProxyType(EndlessMapping()),
        "a UserDict over a mapping without an end": lambda: _with(
            collections.UserDict(), data=EndlessMapping()
        ),
        "a ChainMap over mappings without an end": lambda: collections.ChainMap(
            EndlessDict(), EndlessDict()
        ),
        "a range of a billion": lambda: range(10**9),
        "a range with ends of thousands of digits": lambda: range(10**5000, 10**5001),
        "a call_iterator": lambda: iter(lambda: ran.append("called"), 1),
    },
    is_quiet=False,
)


def _with(value: Any, **attributes: Any) -> Any:
    vars(value).update(attributes)
    return value


@case(
    "a coroutine that nobody awaits",
    harm=lambda value: inspect.getcoroutinestate(value) != inspect.CORO_CREATED or value.close(),
)
def _coroutine() -> Any:
    return _awaited()


@case("an async generator", harm=lambda value: value.ag_running)
def _async_generator() -> Any:
    return _stepped()


@case("a future and a task", harm=lambda value: value[0].done() or value[1].done())
def _future_and_task() -> Any:
    loop = asyncio.new_event_loop()
    return [loop.create_future(), loop.create_task(_awaited()), loop]


@case("an open file", harm=lambda value: value.tell() - 2)
def _open_file() -> Any:
    file = tempfile.TemporaryFile("w+")  # noqa: SIM115 - it stays open
    file.write("a secret of the file\n" * 1000)
    file.seek(2)
    return file


@case("a closed file")
def _closed_file() -> Any:
    with tempfile.TemporaryFile() as file:
        return file


@case("a pipe that nobody writes to", harm=lambda value: value[0].closed)
def _pipe() -> Any:
    read, write = os.pipe()
    return [open(read, "rb"), open(write, "wb")]


@case("streams in memory", harm=lambda value: [stream.tell() for stream in value] != [1, 1])
def _streams() -> Any:
    streams = [io.StringIO("abc"), io.BytesIO(b"abc")]
    for stream in streams:
        stream.read(1)
    return streams


@case("a socket that nobody answers", harm=lambda value: value[1].recv(9) != b"sent")
def _socket() -> Any:
    near, far = socket.socketpair()
    near.sendall(b"sent")
    return [near, far]


@case("a process", harm=lambda value: value.poll())
def _process() -> Any:
    return subprocess.Popen(
        ["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@case("a queue", harm=lambda value: value.qsize() - 1)
def _queue() -> Any:
    value: queue.Queue[int] = queue.Queue()
    value.put(1)
    return value


@case("locks that are held", harm=lambda value: not value[0].locked())
def _locks() -> Any:
    locks = [threading.Lock(), threading.RLock(), threading.Condition(), threading.Semaphore()]
    for lock in locks:
        lock.acquire()
    return locks


@case("a thread that does not end")
def _thread() -> Any:
    thread = threading.Thread(target=threading.Event().wait, daemon=True)
    thread.start()
    return [thread, threading.Event(), threading.local()]


@case("weak references, one of them dead", is_quiet=False)
def _weak() -> Any:
    living, dead = trapped_object(), Node()
    _kept.append(living)
    value = [weakref.ref(living), weakref.proxy(living), weakref.proxy(dead), weakref.ref(dead)]
    del dead
    return value


_kept: list[Any] = []


@case("a dead weak proxy")
def _dead_proxy() -> Any:
    return weakref.proxy(Node())


@case("a released view of memory")
def _released() -> Any:
    view = memoryview(b"abc")
    view.release()
    return view


@case("memory of the machine's own", harm=lambda value: value[3].tell())
def _memory() -> Any:
    class Pair(ctypes.Structure):
        _fields_ = [("x", ctypes.c_int), ("text", ctypes.c_char_p)]

    pair = Pair(1, b"text")
    mapped = mmap.mmap(-1, 4096)
    closed = mmap.mmap(-1, 4096)
    closed.close()
    return [pair, ctypes.pointer(pair), ctypes.POINTER(Pair)(), mapped, closed, ctypes.c_void_p(8)]


@case("frames, tracebacks and code")
def _frames() -> Any:
    try:
        raise ValueError
    except ValueError as error:
        traceback = error.__traceback__
    return [sys._getframe(), traceback, _frames.__code__, types.CellType(trapped_object())]


@case("context variables and their tokens")
def _context_variables() -> Any:
    variable: contextvars.ContextVar[Any] = contextvars.ContextVar("v")
    return [variable, variable.set(Node()), contextvars.copy_context()]


@case("an exit stack that was never left", harm=lambda value: not value._exit_callbacks)
def _exit_stack() -> Any:
    stack = contextlib.ExitStack()
    stack.callback(ran.append, "left")
    return stack


# --- numbers -----------------------------------------------------------------------------------


@case("an int that has more digits than Python prints")
def _few_digits() -> Any:
    sys.set_int_max_str_digits(640)  # the least that can be set
    return [2**4000, -(2**4000), {2**4000: range(2**4000)}]


@case("a fraction and a path whose methods end the process", is_quiet=False)
def _fraction_and_path() -> Any:
    fraction = trapped(fractions.Fraction, _end)
    path = trapped(pathlib.PurePosixPath, _end)
    return [object.__new__(fraction), object.__new__(path), {1: object.__new__(path)}]


@case("a fraction with parts of a class of its own", is_quiet=False)
def _fraction_of_hostile_parts() -> Any:
    value = fractions.Fraction(1, 3)
    value._numerator = trapped_object(_end)  # type: ignore[attr-defined]
    value._denominator = trapped_object(_end)  # type: ignore[attr-defined]
    return value


add(
    {
        "numbers that JSON does not have": lambda: [
            *(float("nan"), float("inf"), -float("inf"), -0.0, 5e-324),
            *(complex("nan"), complex(0, float("inf"))),
            *(decimal.Decimal("sNaN"), decimal.Decimal("-Infinity"), decimal.Decimal("1e999999")),
        ],
        "ints of thousands of digits": lambda: [10**5000, -(10**5000), {10**5000: 10**5000}],
        "an int of ten million bits": lambda: 1 << 10_000_000,
        "a fraction of thousands of digits": lambda: fractions.Fraction(10**5000, 10**4999 + 1),
        "a decimal of a million digits": lambda: decimal.Decimal("7" * MEGABYTE),
        "numbers as keys": lambda: {
            float("nan"): 1,
            float("inf"): 2,
            -0.0: 3,
            10**400: 4,
            decimal.Decimal("Infinity"): 5,
            complex("nan"): 6,
        },
    }
)


# --- texts -------------------------------------------------------------------------------------

HALF = "\ud800"


@case("half of a surrogate pair everywhere")
def _surrogates() -> Any:
    name = f"half{HALF}"
    kind: Any = type("Half", (bytes,), {})
    error: Any = type("HalfError", (ValueError,), {})
    plain: Any = type("Plain", (), {})
    for cls in (kind, error, plain):
        cls.__qualname__ = f"Half{HALF}.Class"
        cls.__module__ = f"half{HALF}.module"
    function = types.FunctionType(_surrogates.__code__, {}, name)
    function.__qualname__ = function.__module__ = name
    return [
        *(HALF, f"{HALF}" * 20_000, {HALF: HALF}, {(HALF, 1): [HALF]}, (f"password{HALF}", HALF)),
        types.SimpleNamespace(**{name: HALF, "password" + HALF: SECRET}),
        *(kind(b"\x00" * 5000), error(HALF), plain(), plain, function, types.ModuleType(name)),
        *(pathlib.PurePosixPath(name), re.compile(HALF), enum.Enum("E", {name: HALF})[name]),
        make_dataclass("R", [("half\u2118", str)])(HALF),
        _chain(lambda v: [v, kind(b"")], 20),
    ]


@case("a class whose name has a megabyte")
def _long_class_name() -> Any:
    kind: Any = type("Long", (bytes,), {})
    error: Any = type("LongError", (ValueError,), {})
    for cls in (kind, error):
        cls.__qualname__ = "Q" * MEGABYTE
        cls.__module__ = "m" * MEGABYTE
    return [kind(b"\x00"), error("no"), kind, {kind(b"\x00"): 1}]


add(
    {
        "50 MB of memory": lambda: memoryview(bytearray(50 * MEGABYTE)).cast("I"),
        "a megabyte of quotes": lambda: '"' * MEGABYTE,
        "a megabyte of backslashes": lambda: "\\" * MEGABYTE,
        "a megabyte of control characters": lambda: "\x00\x1f\x7f" * (MEGABYTE // 3),
        "a megabyte of half surrogate pairs": lambda: "\udfff\ud800" * (MEGABYTE // 2),
        "keys of a megabyte": lambda: {f"{'k' * MEGABYTE}{n}": n for n in range(20)},
        "keys of a megabyte of emoji": lambda: {f"{n}{'🎉' * MEGABYTE}": n for n in range(5)},
        "keys that read alike": lambda: {_read_alike(n): n for n in range(5000)},
        "dictionaries whose keys are trees": lambda: {
            n: {((1, 2, 3), (4, 5, 6), (7, 8, 9), n, m): m for m in range(200)} for n in range(200)
        },
        "two hundred thousand short texts": lambda: [str(n) for n in range(200_000)],
        "an array of a million": lambda: array.array("d", bytes(8 * MEGABYTE)),
        "JSON in a text, deep": lambda: '{"password":' * 50_000,
        "JSON in a text in a text": lambda: _nested_json(12),
        "a credential without an end": lambda: "sk-" + "a1B2" * 250_000,
        "a token of three parts without an end": lambda: "eyJ" + "a1." * 300_000,
        "addresses without an end": lambda: "https://jane:" + "p" * MEGABYTE,
        "many addresses": lambda: "https://a:b@c" * 60_000,
        "private keys that never end": lambda: "-----BEGIN RSA PRIVATE KEY-----\n" * 30_000,
        "spaces after a header": lambda: "authorization:" + " " * MEGABYTE,
        "quotes after a name": lambda: 'password="' + '\\"' * 400_000,
    }
)

add(
    {
        "50 MB of a bytearray": lambda: bytearray(50 * MEGABYTE),
        "keys that differ late": lambda: {f"{'k' * 400}{n}": n for n in range(100_000)},
        "keys that are tuples of long texts": lambda: {
            (("t" * 5000,) * 8, n): n for n in range(2000)
        },
        "names of secrets without values": lambda: "password= secret: key=" * 50_000,
        "huge texts in small shares": lambda: {
            str(n): {str(m): "x" * 100_000 for m in range(50)} for n in range(50)
        },
    },
    is_quiet=False,
    is_heavy=True,
)


add(
    {
        "50 MB of text": lambda: "x" * (50 * MEGABYTE),
        "50 MB of text of a class of its own": lambda: type("Text", (str,), {})(
            "x" * (50 * MEGABYTE)
        ),
        "50 MB of emoji": lambda: "🎉" * (12 * MEGABYTE),
        "50 MB of bytes": lambda: b"x" * (50 * MEGABYTE),
        "lines of JSON": lambda: f'{{"token": "{SECRET}"}}\n' * 20_000,
        "JSON in a text, wide": lambda: f'[{",".join(["""{"key":"value"}"""] * 60_000)}]',
        "beginnings of credentials": lambda: "eyJ sk- AKIA ghp_ Bearer Basic " * 30_000,
        "a million times the same list": lambda: [[[]] * 1000] * 1000,
        "a dictionary of a million": lambda: dict.fromkeys(range(MEGABYTE), 1),
        "a set of a million": lambda: set(range(MEGABYTE)),
        "a deque of a million": lambda: collections.deque(range(MEGABYTE)),
        "a million ints": lambda: list(range(MEGABYTE)),
    },
    is_heavy=True,
)


def _read_alike(number: int) -> Any:
    # A class of its own for each would be slow; these differ in identity alone.
    return Key(number % 2)


def _nested_json(levels: int) -> str:
    import json

    text = json.dumps({"password": SECRET, "list": [1, 2, 3]})
    for _ in range(levels):
        text = json.dumps({"inner": text})
    return text


# --- changed by another thread meanwhile -------------------------------------------------------


def _changed_by_a_thread(container: Any, change: Callable[[Any, int], Any]) -> Any:
    sys.setswitchinterval(1e-6)

    def run() -> None:
        for n in itertools.count():
            change(container, n % 400)
            if n % 390 == 0:
                container.clear()

    threading.Thread(target=run, daemon=True).start()
    return container


add(
    {
        "a dictionary that another thread changes": lambda: _changed_by_a_thread(
            {}, lambda c, n: c.__setitem__(n, [n])
        ),
        "a list that another thread changes": lambda: _changed_by_a_thread(
            [], lambda c, n: c.append(n)
        ),
        "a set that another thread changes": lambda: _changed_by_a_thread(
            set(), lambda c, n: c.add(n)
        ),
        "a deque that another thread changes": lambda: _changed_by_a_thread(
            collections.deque(), lambda c, n: c.append(n)
        ),
        "a bytearray that another thread changes": lambda: _changed_by_a_thread(
            bytearray(), lambda c, n: c.extend(b"x" * n)
        ),
        "attributes that another thread changes": lambda: _namespace_changed_by_a_thread(),
    }
)


def _namespace_changed_by_a_thread() -> Any:
    value = types.SimpleNamespace()
    _changed_by_a_thread(vars(value), lambda c, n: c.__setitem__(f"name{n}", [n]))
    return value


# --- mocks -------------------------------------------------------------------------------------


class Service:
    """What a test stands in for."""

    usage = None

    def call(self, text: str) -> str:
        return text

    async def acall(self, text: str) -> str:
        return text


def _called(value: Any) -> Any:
    made = vars(value).get("_mock_children", {})
    return value.mock_calls or value.method_calls or set(made) - set(dir(Service)) or None


add(
    {
        "a Mock": mock.Mock,
        "a MagicMock": mock.MagicMock,
        "an AsyncMock": mock.AsyncMock,
        "a NonCallableMagicMock": mock.NonCallableMagicMock,
        "a Mock of a dictionary": lambda: mock.MagicMock(spec=dict),
        "a Mock of a text": lambda: mock.NonCallableMagicMock(spec_set=str),
        "a Mock that wraps": lambda: mock.Mock(wraps=Service()),
        "an autospec of an object": lambda: mock.create_autospec(Service(), instance=True),
        "an autospec of a class": lambda: mock.create_autospec(Service),
        "an autospec of a function": lambda: mock.create_autospec(_called),
    },
    harm=lambda value: _called(getattr(value, "mock", value)),
)


@case("a property that is a mock", harm=lambda value: type(value).usage.mock_calls)
def _property_mock() -> Any:
    class Result:
        class Meta(type):
            pass

    Result.usage = mock.PropertyMock()  # type: ignore[attr-defined]
    return Result()


# --- records -----------------------------------------------------------------------------------


class LoudText(str):
    """A text that runs when it is looked at."""

    def __str__(self) -> str:
        ran.append("__str__")
        raise RuntimeError

    __repr__ = __format__ = lower = encode = __str__  # type: ignore[assignment]


@dataclass
class Loud:
    """A record whose own methods raise."""

    size: int
    note: Any = field(default=None, repr=True)
    given: InitVar[int] = 3

    def __getattribute__(self, name: str) -> Any:
        ran.append(name)
        raise RuntimeError

    def __repr__(self) -> str:
        ran.append("__repr__")
        raise RuntimeError

    usage = property(lambda self: ran.append("usage"))


@dataclass(frozen=True)
class Slotted:
    """A frozen record, one of whose fields was never set."""

    __slots__ = ("left", "right")
    left: Any
    right: Any


@case("dataclasses that raise")
def _dataclasses() -> Any:
    loud = object.__new__(Loud)
    object.__setattr__(loud, "size", 1)
    object.__setattr__(loud, "note", trapped_object())
    empty = object.__new__(Slotted)
    half = object.__new__(Slotted)
    object.__setattr__(half, "left", trapped_object())
    return [loud, empty, half]


@case("a named tuple of hostile parts", is_quiet=False)
def _named_tuple() -> Any:
    class Part(NamedTuple):
        usage: Any
        other: Any

    return Part(trapped_object(_end), LoudText("x"))


@case("records of two thousand fields", is_heavy=True)
def _wide_record() -> Any:
    kind: Any = make_dataclass("Wide", [(f"f{n}", int) for n in range(2000)])
    return [kind(*range(2000))] * 50


@case("models of pydantic that raise")
def _pydantic() -> Any:
    import pydantic

    class Inner(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow", arbitrary_types_allowed=True)
        pin: pydantic.SecretStr
        raw: pydantic.SecretBytes
        size: int = 1
        other: Any = None
        _private: Any = pydantic.PrivateAttr(default=SECRET)

        @pydantic.field_serializer("size")
        def _serialise(self, value: int) -> int:
            ran.append("a serialiser")
            raise RuntimeError

        @pydantic.model_serializer(mode="wrap")
        def _serialise_all(self, handler: Any) -> Any:
            ran.append("a serialiser")
            raise RuntimeError

        @pydantic.computed_field  # type: ignore[prop-decorator]
        @property
        def usage(self) -> int:
            ran.append("a computed field")
            raise RuntimeError

        def __getattr__(self, name: str) -> Any:
            ran.append(name)
            raise AttributeError(name)

    whole = Inner(pin=SECRET, raw=SECRET.encode(), more=trapped_object())  # type: ignore[arg-type,call-arg]
    partial = Inner.model_construct(size=trapped_object())
    empty = Inner.__new__(Inner)
    return [whole, partial, empty, Inner, pydantic.TypeAdapter(int)]


@case("models of pydantic 1")
def _pydantic_1() -> Any:
    if sys.version_info >= (3, 14):
        raise Unavailable("pydantic.v1 does not support this Python")
    from pydantic import v1

    class Login(v1.BaseModel):
        pin: v1.SecretStr
        other: Any = None

        class Config:
            extra = "allow"

        def dict(self, **options: Any) -> Any:  # type: ignore[override]
            ran.append("dict")
            raise RuntimeError

        json = __iter__ = dict  # type: ignore[assignment]

    return [Login(pin=SECRET, more=trapped_object()), Login.construct(), Login]  # type: ignore[arg-type,call-arg]


@case("attrs classes that raise")
def _attrs() -> Any:
    import attrs

    @attrs.define
    class Place:
        town: Any
        zip: Any = attrs.field(default=1, repr=lambda value: ran.append("repr") or "")

        def __getattribute__(self, name: str) -> Any:
            ran.append(name)
            raise RuntimeError

    @attrs.frozen(slots=False)
    class Open:
        town: Any = attrs.field(factory=trapped_object)

        @property
        def usage(self) -> Any:
            ran.append("usage")

    return [Place(trapped_object()), object.__new__(Place), Open(), object.__new__(Open)]


@case("structs of msgspec")
def _msgspec() -> Any:
    import msgspec

    class Tagged(msgspec.Struct, gc=False, tag="kind", tag_field="type"):
        size: Any = None

        @property
        def usage(self) -> Any:
            ran.append("usage")

        def __post_init__(self) -> None: ...

        def __rich_repr__(self) -> Any:
            ran.append("rich")

    return [Tagged(trapped_object()), msgspec.UNSET, msgspec.Raw(b'{"a":')]


@case("members of enumerations of hostile values", is_quiet=False)
def _enums() -> Any:
    class Choice(enum.Enum):
        OBJECT = 1
        NAME = 2
        SELF = 3

        @property
        def value(self) -> Any:
            ran.append("value")

        def __str__(self) -> str:
            ran.append("__str__")
            raise RuntimeError

        __repr__ = __format__ = __str__  # type: ignore[assignment]

    Choice.OBJECT._value_ = trapped_object(_end)
    Choice.NAME._value_ = Choice.NAME._name_ = LoudText("name")
    Choice.SELF._value_ = Choice.SELF._name_ = Choice.SELF  # type: ignore[assignment]
    return [*Choice.__members__.values(), Choice]


# --- texts, times and paths that are made of more than themselves ------------------------------


class BadZone(datetime.tzinfo):
    """A time zone that raises."""

    def utcoffset(self, moment: datetime.datetime | None) -> datetime.timedelta:
        ran.append("utcoffset")
        raise RuntimeError

    tzname = dst = utcoffset


@case("moments in a zone that raises", is_quiet=False)
def _moments() -> Any:
    noon = datetime.datetime(2026, 1, 31, 12, tzinfo=BadZone())
    # Of a class of its own: ZoneInfo.no_cache keeps it out of the cache that others read.
    zone = type("Zone", (ZoneInfo,), {"utcoffset": BadZone.utcoffset}).no_cache("UTC")  # type: ignore[attr-defined]
    return [noon, noon.timetz(), noon.replace(tzinfo=zone), noon.tzinfo, {noon.date(): noon}]


@case("paths of a text that runs", is_quiet=False)
def _paths() -> Any:
    class Folder(type(pathlib.Path())):  # type: ignore[misc]
        def __str__(self) -> str:
            ran.append("__str__")
            raise RuntimeError

        __fspath__ = as_posix = exists = __repr__ = __str__

    class Name(str):
        def replace(self, *args: Any, **options: Any) -> str:
            ran.append("replace")
            raise RuntimeError

        split = rpartition = rstrip = __getitem__ = partition = replace  # type: ignore[assignment]

    made = [Folder("a")]
    with contextlib.suppress(RuntimeError):  # some releases of Python read the text at once
        made.append(pathlib.PurePosixPath(Name("a/b")))
    return made


@case("a pattern of a text that runs", is_quiet=False)
def _pattern() -> Any:
    return re.compile(LoudText("a+"))


@case("names that are texts that run")
def _names() -> Any:
    def function() -> None: ...

    kind: Any = type(LoudText("Odd"), (), {"__qualname__": LoudText("Odd")})
    kind.__module__ = LoudText("odd")
    function.__name__ = function.__qualname__ = LoudText("odd")
    function.__fluxloop_builtin__ = LoudText("odd")  # type: ignore[attr-defined]
    module = types.ModuleType("odd")
    module.__name__ = LoudText("odd")
    return [kind, kind(), function, module]


# --- exceptions --------------------------------------------------------------------------------


@case("an exception with a hostile history")
def _history() -> Any:
    class Past(RuntimeError):
        __cause__ = __context__ = __traceback__ = __notes__ = args = property(  # type: ignore[assignment]
            lambda self: ran.append("history")
        )
        __suppress_context__ = property(lambda self: ran.append("history"))  # type: ignore[assignment]

        def with_traceback(self, traceback: Any) -> Any:
            ran.append("with_traceback")

        def __setattr__(self, name: str, value: Any) -> None:
            ran.append("__setattr__")
            raise RuntimeError

    return Past(trapped_object())


@case("an exception of a text of 50 MB")
def _long_exception() -> Any:
    return ValueError("password=" * (50 * MEGABYTE // 9))


@case("an exception whose text raises a kind of its own")
def _text_that_leaves() -> Any:
    class Leaving(ValueError):
        def __str__(self) -> str:
            raise SystemExit(96)

        __repr__ = __str__

    return Leaving("no")


@case("a group of exceptions in groups", is_quiet=False)
def _groups() -> Any:
    if sys.version_info < (3, 11):
        raise Unavailable("exception groups came with Python 3.11")
    group: Any = builtins.ExceptionGroup  # type: ignore[attr-defined,unused-ignore]
    value = group("deepest", [ValueError(trapped_object(_end))])
    for _ in range(500):
        value = group("group", [value, *([ValueError("no")] * 50)])
    return value


@case("exceptions that mean something to the interpreter")
def _control() -> Any:
    return [GeneratorExit(), KeyboardInterrupt(), SystemExit(1), asyncio.CancelledError()]


@case("a cancellation")
def _cancellation() -> Any:
    return asyncio.CancelledError("stop")


@case("an exit")
def _exit() -> Any:
    return SystemExit(95)


# --- arrays and frames -------------------------------------------------------------------------


@case("arrays of numpy")
def _arrays() -> Any:
    import numpy

    objects = numpy.empty(3, dtype=object)
    for n in range(3):
        objects[n] = trapped_object()
    alone = numpy.empty((), dtype=object)
    alone[()] = trapped_object()
    row = numpy.zeros(2, dtype=[("x", "i4"), ("y", "U5000")])
    return [
        *(objects, alone, row, row[0], numpy.broadcast_to(0, (10**6, 10**6))),
        *(numpy.ma.masked_array([1, 2], [True, False]), numpy.ma.masked),
        *(numpy.float16("nan"), numpy.longdouble("inf"), numpy.complex64("nan")),
        *(numpy.datetime64("NaT"), numpy.datetime64(2**62, "as"), numpy.timedelta64(2**62, "Y")),
        *(numpy.str_("\ud800"), numpy.bytes_(b"\xff"), numpy.uint64(2**64 - 1)),
        {numpy.float64("nan"): numpy.bool_(True), numpy.int8(1): numpy.str_("x")},
        *(numpy.nditer(numpy.zeros(5)), numpy.random.default_rng(1), numpy.dtype("f8")),
    ]


@case("an array of numpy in a file", harm=lambda value: value[1])
def _mapped_array() -> Any:
    import numpy

    with tempfile.NamedTemporaryFile() as file:
        file.truncate(8 * MEGABYTE)
        return numpy.memmap(file.name, dtype="f8", mode="r")


@case("an array of a class of its own", is_quiet=False)
def _own_array() -> Any:
    import numpy

    def loud(self: Any, *args: Any, **options: Any) -> Any:
        ran.append("array")
        raise RuntimeError

    names = ("__repr__", "__str__", "__iter__", "__len__", "tolist", "item", "__array_wrap__")
    kind: Any = type(
        "Own", (numpy.ndarray,), {**dict.fromkeys(names, loud), "shape": property(loud)}
    )
    return numpy.zeros(3).view(kind)


@case("frames of pandas", is_quiet=False)
def _frames_of_pandas() -> Any:
    import numpy
    import pandas

    held = numpy.full((3, 2), None, dtype=object)
    frame = pandas.DataFrame(held, columns=["shape", "dtype"], copy=False)
    value = [
        *(frame, frame["shape"], frame.iloc, frame.itertuples()),
        *(pandas.Index(["a"]), pandas.MultiIndex.from_product([["a"], [1]])),
        *(pandas.Timestamp("2026-01-31", tz="Europe/Berlin"), pandas.NaT, pandas.NA),
        *(pandas.Categorical(["a"]), pandas.Series(["a"], dtype="category")),
        *(pandas.Timedelta(1), pandas.Period("2026-01"), pandas.Interval(0, 1)),
        {pandas.Timestamp("2026-01-31"): 1, pandas.NaT: 2, pandas.NA: 3},
    ]
    for row in range(3):  # afterwards: pandas looks at what it is given
        held[row, 0] = held[row, 1] = trapped_object(_end)
    return value


@case("a series whose type of contents is a program's own", is_quiet=False)
def _own_dtype() -> Any:
    import numpy
    import pandas
    from pandas.api.extensions import ExtensionArray, ExtensionDtype

    class Dtype(ExtensionDtype):  # type: ignore[misc]
        type = object
        name = "own"

        def __str__(self) -> str:
            ran.append("__str__ of a dtype")
            os._exit(94)

        __repr__ = __str__

    class Own(ExtensionArray):  # type: ignore[misc]
        dtype = Dtype()

        def __len__(self) -> int:
            return 3

        def __getitem__(self, item: Any) -> Any:
            return self

        def isna(self) -> Any:
            return numpy.zeros(3, dtype=bool)

        def copy(self) -> Any:
            return self

    return pandas.Series(Own())


@case("a tensor of torch")
def _tensor() -> Any:
    try:
        import torch
    except ImportError:
        raise Unavailable("torch is not installed") from None
    return torch.zeros(1000, 1000, requires_grad=True)


# --- what frameworks load when it is looked at -------------------------------------------------


def _django() -> Any:
    import django
    from django.conf import settings

    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        USE_I18N=True,
        INSTALLED_APPS=[],
    )
    django.setup()
    from django.db import connection, models

    class Author(models.Model):
        name = models.CharField(max_length=50)
        bio = models.TextField()

        class Meta:
            app_label = "books"

        def __str__(self) -> str:
            ran.append("__str__")
            return self.bio

    class Book(models.Model):
        author = models.ForeignKey(Author, on_delete=models.CASCADE)

        class Meta:
            app_label = "books"

    with connection.schema_editor() as editor:
        editor.create_model(Author)
        editor.create_model(Book)
    author = Author.objects.create(name="Jane", bio="long")
    Book.objects.create(author=author)

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        ran.append(sql)
        return execute(sql, *rest)

    connection.execute_wrappers.append(note)
    return Author, Book


@case("rows and queries of Django", is_quiet=False)
def _django_rows() -> Any:
    author, book = _django()
    rows = [
        author.objects.all(),
        author.objects.all().iterator(),
        author.objects.filter(name="Jane").values(),
        author.objects.defer("bio").get(),
        author.objects.only("id").get(),
        book.objects.get(),
        author.objects.get().book_set,
        author.objects,
        author(),
        author.DoesNotExist("none"),
    ]
    return {"rows": rows, "query": rows[0]}


@case("a query of Django", is_quiet=False, harm=lambda value: value._result_cache)
def _django_query() -> Any:
    return _django()[0].objects.all()


@case("lazy objects of Django", is_quiet=False)
def _django_lazy() -> Any:
    from django.utils import functional, safestring, text

    def load() -> Any:
        ran.append("loaded")
        return "loaded"

    lazy = functional.lazy(load, str, int, dict)
    return [
        functional.SimpleLazyObject(load),
        lazy(),
        functional.lazystr(LoudText("x")),
        text.format_lazy("{}", lazy()),
        safestring.mark_safe("<b>"),
        {"usage": functional.SimpleLazyObject(load), "user": lazy()},
    ]


@case("a lazy object of Django", is_quiet=False)
def _django_lazy_object() -> Any:
    from django.utils.functional import SimpleLazyObject

    return SimpleLazyObject(lambda: ran.append("loaded"))


@case("a translation of Django", is_quiet=False)
def _django_translation() -> Any:
    from django.utils.translation import gettext_lazy

    # Without settings a translation that is asked for raises.
    return [gettext_lazy("Hello"), {"k": gettext_lazy("Hello")}]


@case("proxies of Werkzeug", is_quiet=False)
def _werkzeug_proxies() -> Any:
    from werkzeug.local import Local, LocalProxy

    def load() -> Any:
        ran.append("resolved")
        return {"usage": 1}

    bound, local = LocalProxy(load), Local()
    return [bound, LocalProxy(contextvars.ContextVar("v")), local("missing"), local, {"k": bound}]


@case("a proxy of Werkzeug", is_quiet=False)
def _werkzeug_proxy() -> Any:
    from werkzeug.local import LocalProxy

    return LocalProxy(lambda: ran.append("resolved"))


@case("a request of Werkzeug", is_quiet=False, harm=lambda value: value[-1].tell() - 1)
def _werkzeug_request() -> Any:
    from werkzeug.datastructures import FileStorage, Headers, ImmutableMultiDict, MultiDict
    from werkzeug.wrappers import Request

    stream = io.BytesIO(b"name=value" * 100)
    environ = {"REQUEST_METHOD": "POST", "wsgi.input": stream, "CONTENT_LENGTH": "1000"}
    stream.read(1)
    return [
        Request({**environ, "CONTENT_TYPE": "application/x-www-form-urlencoded"}),
        FileStorage(stream, filename="a.txt", name="a"),
        Headers([("Authorization", SECRET), ("a", HALF)]),
        MultiDict([("a", "1"), ("a", "2"), ("password", SECRET)]),
        ImmutableMultiDict([("a", trapped_object())]),
        stream,
    ]


@case("rows of SQLAlchemy", is_quiet=False)
def _sqlalchemy() -> Any:
    import sqlalchemy
    from sqlalchemy import orm

    class Base(orm.DeclarativeBase):
        pass

    class Author(Base):
        __tablename__ = "author"
        id: orm.Mapped[int] = orm.mapped_column(sqlalchemy.Integer, primary_key=True)
        usage: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String)
        bio: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String, deferred=True)
        books: orm.Mapped[list["Book"]] = orm.relationship("Book")

    class Book(Base):
        __tablename__ = "book"
        id: orm.Mapped[int] = orm.mapped_column(sqlalchemy.Integer, primary_key=True)
        author_id: orm.Mapped[int] = orm.mapped_column(sqlalchemy.ForeignKey("author.id"))

    class Mapped(orm.MappedAsDataclass, Base):
        __tablename__ = "mapped"
        id: orm.Mapped[int] = orm.mapped_column(sqlalchemy.Integer, primary_key=True, default=None)
        usage: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String, default="x")
        bio: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String, default="x", deferred=True)

    engine = sqlalchemy.create_engine("sqlite://")
    Base.metadata.create_all(engine)
    session = orm.Session(engine)
    session.add_all([Author(id=n, usage="u", bio="b", books=[Book()]) for n in (1, 2, 3)])
    session.add(Mapped())
    session.commit()
    detached, expired, lazy = session.scalars(sqlalchemy.select(Author).order_by(Author.id))
    mapped = session.scalars(sqlalchemy.select(Mapped)).one()
    session.refresh(lazy)
    session.expunge(detached)
    session.expire(expired)
    session.expire(mapped)
    result = session.execute(sqlalchemy.select(Author.id, Author.usage))
    row = result.first()
    value = [
        *(detached, expired, lazy, mapped, row, session, engine, Author),
        *(session.query(Author), sqlalchemy.select(Author), lazy.__dict__),
        *(session.execute(sqlalchemy.select(Book)), session.connection(), sqlalchemy.inspect(lazy)),
    ]
    _kept.append(session)
    sqlalchemy.event.listen(
        engine, "before_cursor_execute", lambda c, cursor, sql, *rest: ran.append(sql)
    )
    return value
