"""Whatever a program does with functions, it comes out the same with decorated ones.

Each scene is played twice, once with a decorator that does nothing and once with Spanwise's, and
tells what it saw. A scene uses only what is documented of Python; differences that cannot be
hidden are those of `test_differences.py`.
"""

from __future__ import annotations

import abc
import asyncio
import collections
import contextlib
import contextvars
import copy
import dataclasses
import doctest
import enum
import functools
import gc
import inspect
import io
import json
import logging
import math
import operator
import pickle
import sys
import traceback
import types
import typing
import unittest.mock
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from opentelemetry import context as context_api
from opentelemetry.sdk.trace import TracerProvider
from pydantic import ValidationError, validate_call

import spanwise
from spanwise import _shells

if typing.TYPE_CHECKING:
    Missing = int

MODES = ["unconfigured", "configured", "left out", "switched off", "foreign provider"]
SCENES: dict[str, Callable[[Any], Any]] = {}


def scene(play: Callable[[Any], Any]) -> Callable[[Any], Any]:
    SCENES[play.__name__] = play
    return play


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Spanwise as it may be when the program runs."""
    folder = tmp_path / "traces"
    if request.param == "configured":
        spanwise.configure(traces_dir=folder)
    elif request.param == "left out":
        spanwise.configure(traces_dir=folder, sample_rate=0.0)
    elif request.param == "switched off":
        spanwise.configure(traces_dir=folder, enabled=False)
    elif request.param == "foreign provider":
        spanwise.configure(traces_dir=folder, tracer_provider=TracerProvider())
    return str(request.param)


def plainly(function: Any) -> Any:
    """Decorate with nothing."""
    return function


def names(error: BaseException | None) -> list[tuple[str, int]]:
    """Return functions and lines of a traceback, those of the shells left out."""
    found = error.__traceback__ if error is not None else None
    lines = []
    while found is not None:
        code = found.tb_frame.f_code
        if code.co_filename != _shells.__file__:
            lines.append((code.co_name, found.tb_lineno))
        found = found.tb_next
    return lines


def told(error: BaseException | None) -> Any:
    """Return all that hangs on an exception."""
    if error is None:
        return None
    return (
        type(error),
        str(error),
        names(error),
        error.__suppress_context__,
        getattr(error, "__notes__", None),
        told(error.__cause__),
        told(error.__context__),
    )


def attempt(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return the result of a call, or what is to be told of its exception."""
    try:
        return function(*args, **kwargs)
    except BaseException as error:
        return told(error)


# --- classes ----------------------------------------------------------------------------------


@scene
def abstract_methods(dec):
    class Base(abc.ABC):
        @dec
        @abc.abstractmethod
        def above(self):
            return "above"

        @abc.abstractmethod
        @dec
        def below(self):
            return "below"

        @classmethod
        @abc.abstractmethod
        @dec
        def in_class(cls): ...

        @property
        @abc.abstractmethod
        @dec
        def prop(self): ...

    class Whole(Base):
        @dec
        def above(self):
            return super().above() + "!"

        @dec
        def below(self):
            return super().below() + "!"

        @classmethod
        def in_class(cls):
            return cls.__name__

        prop = 4

    made = Whole()
    return (
        sorted(Base.__abstractmethods__),
        attempt(Base),
        made.above(),
        made.below(),
        made.in_class(),
        made.prop,
    )


@scene
def properties(dec):
    class Owner:
        def __init__(self):
            self._x = 1

        @property
        @dec
        def x(self):
            "The x."
            return self._x

        @x.setter
        @dec
        def x(self, value):
            self._x = value

        @x.deleter
        @dec
        def x(self):
            del self._x

        @functools.cached_property
        @dec
        def cached(self):
            "Once."
            calls.append(1)
            return object()

    calls = []
    made = Owner()
    made.x = 5
    seen = [made.x, Owner.x.__doc__, made.cached is made.cached, len(calls), Owner.cached.__doc__]
    del made.x
    return seen, attempt(lambda: made.x), sorted(vars(made))


@scene
def what_is_no_callable_is_refused_or_taken_as_it_is(dec):
    # A property has no call of its own: the decorator goes below it.
    class Owner:
        @property
        @dec
        def x(self):
            return 1

    return isinstance(vars(Owner)["x"], property), Owner().x


@scene
def caches_over(dec):
    calls = []

    @functools.lru_cache(maxsize=2)
    @dec
    def cached(x):
        calls.append(x)
        return [x]

    @functools.cache
    @dec
    def kept(x):
        calls.append(x)
        return x

    one = cached(1)
    kept(1)
    kept(1)
    cached.cache_clear()
    return cached(1) == one, cached(1) is one, calls, tuple(cached.cache_info()), cached.__name__


@scene
def caches_under(dec):
    calls = []

    @dec
    @functools.lru_cache(maxsize=2)
    def cached(x):
        "A cached one."
        calls.append(x)
        return [x]

    class Owner:
        @dec
        @functools.lru_cache  # noqa: B019 - that is what is written
        def method(self, x):
            calls.append(x)
            return x

        @dec
        @staticmethod
        @functools.cache
        def static(x):
            calls.append(x)
            return x

    one = cached(1)
    same = cached(1) is one
    made = Owner()
    results = [made.method(2), made.method(2), made.static(3), Owner.static(3)]
    info = tuple(cached.cache_info())
    cached.cache_clear()
    return (
        same,
        cached(1) is one,
        calls,
        info,
        tuple(cached.cache_info()),
        cached.cache_parameters(),
        results,
        tuple(Owner.method.cache_info()),
        tuple(Owner.static.cache_info()),
        cached.__doc__,
        attempt(cached, []),
        attempt(cached),
    )


@scene
def single_dispatch(dec):
    @functools.singledispatch
    @dec
    def over(x):
        return "object"

    @over.register
    @dec
    def _(x: int):
        return "int"

    @dec
    @functools.singledispatch
    def under(x):
        return "object"

    @under.register(str)
    @dec
    def _(x):
        return "str"

    class Owner:
        @functools.singledispatchmethod
        @dec
        def method(self, x):
            return "object"

        @method.register
        @dec
        def _(self, x: int):
            return "int"

        @functools.singledispatchmethod
        @classmethod
        @dec
        def in_class(cls, x):
            return cls.__name__

    return (
        [over(1), over(""), under(1), under("")],
        sorted(kind.__name__ for kind in under.registry),
        [Owner().method(1), Owner().method(""), Owner.in_class(3)],
    )


@scene
def wraps_over_and_under(dec):
    def shouted(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs) + "!"

        return wrapper

    @shouted
    @dec
    def over(a, b="b"):
        "Over."
        return a + b

    @dec
    @shouted
    def under(a, b="b"):
        "Under."
        return a + b

    return [
        (f("a"), f.__name__, f.__doc__, str(inspect.signature(f)), inspect.unwrap(f).__code__)
        for f in (over, under)
    ] == [
        ("ab!", "over", "Over.", "(a, b='b')", inspect.unwrap(over).__code__),
        ("ab!", "under", "Under.", "(a, b='b')", inspect.unwrap(under).__code__),
    ]


@scene
def dataclass_methods(dec):
    @dataclasses.dataclass
    class Point:
        x: int
        y: int = 0
        many: list = dataclasses.field(default_factory=dec(lambda: [1]))

        @dec
        def __post_init__(self):
            self.x += 1

        @dec
        def moved(self, by: int = 1) -> Point:
            return dataclasses.replace(self, x=self.x + by)

    @dataclasses.dataclass(frozen=True)
    class Fixed:
        x: int

        @dec
        def set(self):
            self.x = 2

    @dataclasses.dataclass(slots=True)
    class Slim:
        x: int

        @dec
        def get(self):
            return self.x

    return (
        repr(Point(1).moved()),
        dataclasses.asdict(Point(1)),
        attempt(Fixed(1).set),
        [field.name for field in dataclasses.fields(Point)],
        Slim(3).get(),
        hasattr(Slim(3), "__dict__"),
    )


@scene
def enum_methods(dec):
    class Color(enum.Enum):
        RED = 1
        BLUE = 2

        @dec
        def shout(self):
            return self.name + "!"

        @classmethod
        @dec
        def first(cls):
            return cls.RED

        @dec
        @staticmethod
        def static():
            return "static"

        @property
        @dec
        def title(self):
            return self.name.title()

        @classmethod
        @dec
        def _missing_(cls, value):
            return cls.BLUE if value == "blue" else None

        @staticmethod
        @dec
        def _generate_next_value_(name, start, count, last_values):
            return name

    class Auto(enum.Enum):
        @dec
        def _generate_next_value_(name, start, count, last_values):
            return name.lower()

        ONE = enum.auto()

    return (
        [member.name for member in Color],
        Color.RED.shout(),
        Color.first().name,
        Color.static(),
        Color.BLUE.title,
        Color("blue").name,
        attempt(Color, 5),
        Auto.ONE.value,
        Color.RED.shout.__name__,
    )


@scene
def protocols_and_overloads(dec):
    @typing.runtime_checkable
    class Speaks(Protocol):
        @dec
        def speak(self) -> str:
            return "default"

    class Dog:
        @dec
        def speak(self) -> str:
            return "woof"

    class Cat(Speaks):
        pass

    @typing.overload
    def sized(x: int) -> int: ...

    @typing.overload
    def sized(x: str) -> str: ...

    @dec
    def sized(x):
        return x

    overloads = getattr(typing, "get_overloads", lambda _: [1, 2])(sized)
    return isinstance(Dog(), Speaks), isinstance(1, Speaks), Cat().speak(), sized(3), len(overloads)


@scene
def special_methods(dec):
    log = []

    class Meta(type):
        @dec
        def __call__(cls, *args, **kwargs):
            log.append("meta call")
            return super().__call__(*args, **kwargs)

        @dec
        def __prepare__(name, bases, **kwargs):
            return {}

        __prepare__ = staticmethod(__prepare__)

        @dec
        def __instancecheck__(cls, instance):
            return type(instance) is cls or instance == "pretender"

        @dec
        def of_meta(cls):
            return cls.__name__

    class Base(metaclass=Meta):
        @dec
        def __init_subclass__(cls, flag=None, **kwargs):
            log.append((cls.__name__, flag))
            super().__init_subclass__(**kwargs)

        @dec
        def __class_getitem__(cls, item):
            return (cls.__name__, item)

        @dec
        def __new__(cls, *args):
            log.append("new")
            return super().__new__(cls)

        @dec
        def __init__(self, *args):
            log.append(args)

        @dec
        def __set_name__(self, owner, name):
            log.append((owner.__name__, name))

        @dec
        def __get__(self, instance, owner=None):
            return self if instance is None else "got"

        @dec
        def __eq__(self, other):
            log.append("eq")
            return other == 5

        @dec
        def __hash__(self):
            log.append("hash")
            return 7

        @dec
        def __repr__(self):
            log.append("repr")
            return "<Base>"

        @dec
        def __len__(self):
            log.append("len")
            return 0

        @dec
        def __bool__(self):
            log.append("bool")
            return False

        @dec
        def __getattr__(self, name):
            log.append(name)
            if name.startswith("__"):
                raise AttributeError(name)
            return name

        @dec
        def __getitem__(self, index):
            if index > 2:
                raise IndexError(index)
            return index

        @dec
        def __enter__(self):
            return "entered"

        @dec
        def __exit__(self, kind, error, traceback):
            log.append(kind)
            return True

        @dec
        def __iter__(self):
            yield 1
            yield 2

        @dec
        def __await__(self):
            return (yield)

        @dec
        async def __aenter__(self):
            return "aentered"

        @dec
        async def __aexit__(self, *error):
            log.append(error[0])
            return True

        @dec
        async def __aiter__(self):
            yield 1
            yield 2

    class Child(Base, flag="f"):
        pass

    class Holder:
        held = Base()

    made = Child(1, 2)

    async def asynchronously():
        async with made as entered:
            raise KeyError(entered)
        return [item async for item in made]

    with made as entered:
        raise ValueError(entered)
    waiting = made.__await__()
    seen = [
        Base["x"],
        made == 5,
        made != 5,
        hash(made),
        repr(made),
        bool(made),
        len(made),
        made.anything,
        made[1],
        list(made),
        Holder().held,
        isinstance("pretender", Base),
        Base.of_meta(),
        next(waiting),
        attempt(waiting.send, "sent"),
        asyncio.run(asynchronously()),
        callable(made),
        {made: 1}[made],
    ]
    # What a test or the capture asks of the object is not asked of the decorated methods.
    return seen, log


@scene
def arguments_that_know_when_they_are_looked_at(dec):
    log = []

    class Nosy:
        @dec
        def __getattribute__(self, name):
            log.append(name)
            return object.__getattribute__(self, name)

        @dec
        def __repr__(self):
            log.append("repr")
            return "nosy"

        @dec
        def __len__(self):
            log.append("len")
            return 1

        @dec
        def __iter__(self):
            log.append("iter")
            return iter(())

        @dec
        def __eq__(self, other):
            log.append("eq")
            return True

        __hash__ = None

    @dec
    def take(thing, *things, **more):
        return thing

    made = Nosy()
    same = take(made, made, made, thing2=made) is made
    return same, list(log)


@scene
def super_and_class_cells(dec):
    class A:
        @dec
        def go(self):
            return ["A", __class__.__name__]

        @dec
        @classmethod
        def make(cls):
            return [cls.__name__]

    class B(A):
        @dec
        def go(self):
            return ["B", *super().go(), *super().go()]

        @classmethod
        @dec
        def make(cls):
            return ["B", *super().make()]

        @dec
        def each(self):
            yield from super().go()

        @dec
        async def later(self):
            return super().go()

    class C(B):
        pass

    return C().go(), C.make(), list(C().each()), asyncio.run(C().later())


@scene
def private_names_and_slots(dec):
    class Owner:
        __slots__ = ("__weakref__", "__x")

        @dec
        def __init__(self):
            self.__x = 1

        @dec
        def __hidden(self, __y=2):
            return self.__x + __y

        @dec
        def open(self):
            return self.__hidden()

    made = Owner()
    return made.open(), made._Owner__hidden.__name__, attempt(setattr, made, "other", 1)


@scene
def descriptors(dec):
    class Typed:
        @dec
        def __set_name__(self, owner, name):
            self.name = name

        @dec
        def __get__(self, instance, owner):
            return self if instance is None else instance.__dict__[self.name] * 2

        @dec
        def __set__(self, instance, value):
            instance.__dict__[self.name] = value

    class Owner:
        x = Typed()

    made = Owner()
    made.x = 4
    function = dec(lambda self, y=1: (type(self).__name__, y))
    return made.x, function.__get__(made, Owner)(2), types.MethodType(function, made)()


@scene
def decorated_twice(dec):
    @dec
    @dec
    def function(x):
        "Twice."
        return x

    @dec
    @dec
    def generator():
        got = yield 1
        return got

    @dec
    @dec
    async def coroutine():
        return 1

    made = generator()
    return (
        function(1),
        str(inspect.signature(function)),
        function.__doc__,
        next(made),
        attempt(made.send, 5),
        asyncio.run(coroutine()),
        attempt(function),
    )


@scene
def partial_methods(dec):
    class Owner:
        @dec
        def go(self, a, *, b=0):
            return a, b

        one = functools.partialmethod(go, 1)
        two = functools.partialmethod(go, b=2)

    partial = functools.partial(Owner().go, b=7)
    return Owner().one(), Owner().two(9), partial(3), str(inspect.signature(Owner.two))


@scene
def other_ways_to_make_a_class(dec):
    made = types.new_class("Made", (), {}, lambda space: space.update(go=dec(lambda self: 3)))
    pair = collections.namedtuple("pair", "a b")
    pair.total = dec(lambda self: self.a + self.b)

    class Typed(typing.NamedTuple):
        a: int

        @dec
        def doubled(self):
            return 2 * self.a

    class Late:
        pass

    Late.go = dec(lambda self: type(self).__name__)
    instance = Late()
    instance.own = dec(lambda: "own")
    return made().go(), pair(1, 2).total(), Typed(3).doubled(), Late().go(), instance.own()


# --- kinds of callables -----------------------------------------------------------------------


@scene
def builtins(dec):
    return (
        dec(len)("abc"),
        dec(json.dumps)({"a": 1}),
        dec(functools.partial(int, base=2))("11"),
        dec(sorted)([2, 1], key=dec(lambda x: -x)),
        dec(max)(1, 2),
        dec(math.sqrt)(4),
        dec(print)("", end="", file=io.StringIO()),
        attempt(dec(len)),
        attempt(dec(len), 1),
        attempt(dec(math.sqrt), "x"),
    )


@scene
def callables_that_return_something_to_wait_for(dec):
    async def inner():
        return 1

    def stream():
        yield 1

    async def astream():
        yield 1

    class Aiter:
        def __aiter__(self):
            return self

        async def __anext__(self):
            raise StopAsyncIteration

    iterator = Aiter()
    numbers = iter([1])

    @dec
    def an_awaitable():
        return inner()

    @dec
    def a_future():
        return asyncio.get_running_loop().create_future()

    made = dec(lambda: stream())()
    amade = dec(lambda: astream())()

    async def main():
        future = a_future()
        future.set_result(3)
        task = dec(asyncio.ensure_future)(inner())
        return (
            await an_awaitable(),
            await future,
            await task,
            await dec(asyncio.sleep)(0, 9),
            [item async for item in amade],
            [item async for item in dec(lambda: iterator)()],
        )

    return (
        type(made),
        list(made),
        asyncio.run(main()),
        dec(lambda: iterator)() is iterator,
        dec(lambda: numbers)() is numbers,
        list(numbers),
    )


@scene
def async_callables(dec):
    class Caller:
        async def __call__(self, x):
            "Call."
            return x

    class Streamer:
        async def __call__(self, x):
            yield x

    call, stream = dec(Caller()), dec(Streamer())

    async def main():
        return await call(1), [item async for item in stream(2)]

    partial = functools.partial(dec(Caller().__call__), 4)
    return asyncio.run(main()), asyncio.run(partial()), inspect.iscoroutinefunction(partial)


@scene
def lambdas_and_closures(dec):
    counter = 0

    @dec
    def up(by=1):
        nonlocal counter
        counter += by
        return counter

    made = [dec(lambda i=i: i * counter) for i in range(3)]
    up(2)
    return up(), [one() for one in made], dec(lambda *, a: a)(a=1)


@scene
def awkward_parameter_names(dec):
    @dec
    def function(self, function, plan, args, kwargs, observation, *, result=1, error=2, call=3):
        return self, function, plan, args, kwargs, observation, result, error, call

    @dec
    def star(*args, **kwargs):
        return args, kwargs

    @dec
    def only(plan, /, *observation, **function):
        return plan, observation, function

    @dec
    def gen(args, kwargs, *, observation, stream, steps, passing, thrown):
        yield args, kwargs, observation, stream, steps, passing, thrown

    words = {"self": 1, "function": 2, "plan": 3, "args": 4, "kwargs": 5, "observation": 6}
    one = {"a": 1}
    odd = {"": 1, "a b": 2, "\ud800": 3, "class": 4}
    return (
        function(**words),
        function(1, 2, 3, 4, 5, 6, result=7, error=8, call=9),
        star(**words),
        star(1, **odd),
        only(1, 2, plan=5, observation=6, function=7),
        list(gen(1, 2, observation=3, stream=4, steps=5, passing=6, thrown=7)),
        attempt(function, 1, self=1),
        attempt(only),
        attempt(lambda: star(**{1: 2})),  # type: ignore[misc]
        attempt(lambda: star(*5)),  # type: ignore[misc]
        attempt(lambda: star(**one, **one)),
    )


@scene
def arguments_that_do_not_fit(dec):
    @dec
    def function(a, /, b, *, c):
        return a, b, c

    return [
        attempt(function),
        attempt(function, 1),
        attempt(function, 1, 2),
        attempt(function, 1, 2, 3, c=4),
        attempt(function, 1, 2, c=3, d=4),
        attempt(function, a=1, b=2, c=3),
        attempt(function, 1, 2, b=2, c=3),
    ]


@scene
def defaults_that_change_later(dec):
    def plain(a=1, *, b=2):
        return a, b

    decorated = dec(plain)
    first = decorated()
    plain.__defaults__ = (3,)
    plain.__kwdefaults__ = {"b": 4}
    return first, decorated(), str(inspect.signature(decorated))


# --- what others ask of a function ------------------------------------------------------------


@scene
def introspection(dec):
    @dec
    def function(a: int, /, b: Missing | None = None, *rest: str, c: list[int], **more) -> Any:
        """Do it.

        At length.
        """

    @dec
    async def coroutine(a: int) -> str: ...

    hints = {"Missing": int}
    return (
        str(inspect.signature(function)),
        inspect.getdoc(function),
        function.__name__,
        function.__qualname__,
        function.__module__,
        repr(function).split(" at ")[0],
        function.__annotations__,
        typing.get_type_hints(function, localns=hints),
        inspect.get_annotations(coroutine, eval_str=True),
        str(inspect.signature(coroutine, eval_str=True)),
        inspect.getsource(function),
        inspect.getsourcelines(function)[1],
        inspect.getmodule(function).__name__,
        type(function),
        inspect.isfunction(function),
        inspect.isroutine(function),
        callable(function),
        inspect.iscoroutinefunction(coroutine),
        isinstance(function, types.FunctionType),
        typing.get_type_hints(coroutine),
        attempt(typing.get_type_hints, function),
        inspect.signature(function).bind(1, c=[1]).arguments,
    )


@scene
def what_a_running_call_says_of_itself(dec):
    @dec
    async def coroutine(): ...

    @dec
    def generator():
        yield

    @dec
    async def agenerator():
        yield

    made = [coroutine(), generator(), agenerator()]
    seen = [(x.__name__, x.__qualname__, repr(x).split(" at ")[0], type(x)) for x in made]
    seen.append((inspect.getcoroutinestate(made[0]), inspect.getgeneratorstate(made[1])))
    made[0].close()
    seen.append((inspect.getcoroutinestate(made[0]), attempt(made[0].send, None)))
    for one in made[1:]:
        seen.append(attempt(copy.copy, one)[:2])
        seen.append(weakref.ref(one)() is one)
    return seen


@scene
def mocks(dec):
    holder = types.SimpleNamespace(go=dec(lambda a, b=1: (a, b)))
    seen = []
    with unittest.mock.patch.object(holder, "go", autospec=True) as go:
        go.return_value = "mocked"
        seen += [holder.go(1), attempt(holder.go), go.call_args == unittest.mock.call(1)]
    with unittest.mock.patch.object(holder, "go", wraps=holder.go) as go:
        seen += [holder.go(5), go.call_count]

    @dec
    async def later(a): ...

    spec = unittest.mock.create_autospec(later)
    seen += [holder.go(3), inspect.iscoroutinefunction(spec)]
    spec.return_value = "mocked"
    seen += [asyncio.run(spec(1)), spec.await_args == unittest.mock.call(1)]
    mocked = unittest.mock.Mock(return_value=4)
    seen += [dec(mocked)(1), mocked.call_args == unittest.mock.call(1)]
    amocked = unittest.mock.AsyncMock(return_value=4)
    seen += [asyncio.run(dec(amocked)(1)), amocked.await_count]
    return seen


@scene
def doctests(dec):
    module = types.ModuleType("documented_module")
    module.dec = dec
    source = '''
@dec
def double(x):
    """Double it.

    >>> double(2)
    4
    """
    return 2 * x

class Owner:
    @dec
    def go(self):
        """
        >>> Owner().go()
        'went'
        """
        return "went"

    @classmethod
    @dec
    def make(cls):
        """
        >>> Owner.make()
        'Owner'
        """
        return cls.__name__

    @dec
    @staticmethod
    def still():
        """
        >>> Owner.still()
        1
        """
        return 1
'''
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, "documented_module.py", "exec"), vars(module))
        return _doctested(module)
    finally:
        del sys.modules[module.__name__]


def _doctested(module):
    found = doctest.DocTestFinder().find(module, "m")
    results = [doctest.DocTestRunner(verbose=False).run(test) for test in found]
    return [(test.name, tuple(result)) for test, result in zip(found, results, strict=True)]


@scene
def validation_by_annotations(dec):
    @validate_call
    @dec
    def over(a: int, b: list[int] | None = None) -> Any:
        return a, b

    @dec
    @validate_call
    def under(a: int, *, b: str = "b") -> Any:
        return a, b

    @validate_call
    @dec
    async def later(a: int) -> int:
        return a

    def refusal(function, *args):
        try:
            return function(*args)
        except ValidationError as error:
            return [(e["type"], e["loc"]) for e in error.errors()]

    return (
        over("1", ["2"]),
        refusal(over, "x"),
        under("1"),
        refusal(under, "x"),
        asyncio.run(later("3")),
        str(inspect.signature(over)),
        str(inspect.signature(under)),
    )


@scene
def injection_by_parameter_name(dec):
    @dec
    def needs(tmp_path, *, monkeypatch, other="o"):
        return tmp_path, monkeypatch, other

    available = {"tmp_path": 1, "monkeypatch": 2, "request": 3}
    wanted = inspect.signature(needs, follow_wrapped=True).parameters
    return needs(
        *(available[n] for n in list(wanted)[:1]), **{n: available[n] for n in list(wanted)[1:2]}
    )


@scene
def tracing_and_profiling(dec):
    @dec
    def function(x):
        y = x + 1
        if y > 5:
            raise ValueError(y)
        return y

    @dec
    def generator():
        yield 1
        yield 2

    seen = []

    def trace(frame, event, argument):
        if frame.f_code.co_filename == __file__ and frame.f_code.co_name in interesting:
            seen.append((frame.f_code.co_name, event, frame.f_lineno))
        return trace

    interesting = ("function", "generator")
    before = sys.gettrace(), sys.getprofile()
    results = []
    for install, old in ((sys.settrace, before[0]), (sys.setprofile, before[1])):
        install(trace)
        try:
            results += [function(1), attempt(function, 5)[:2], list(generator())]
        finally:
            install(old)
    return results, seen


@scene
def local_variables_and_frames(dec):
    @dec
    def function(a, b=2):
        c = 3
        return dict(locals()), sorted(sys._getframe().f_locals), sys._getframe().f_code.co_name

    @dec
    def evaluates(x):
        exec("y = x")
        return eval("x + 1"), sorted(vars()), __name__, globals()["__name__"]

    @dec
    def fails():
        held = [1, 2]
        raise ValueError(held)

    try:
        fails()
    except ValueError as error:
        frame = [f for f, _ in traceback.walk_tb(error.__traceback__)][-1]
        seen = (
            frame.f_locals["held"],
            frame.f_code.co_name,
            traceback.extract_tb(error.__traceback__)[-1].line,
        )
    return function(1), evaluates(1), seen


@scene
def logging_from_inside(dec):
    records = []

    class Keep(logging.Handler):
        def emit(self, record):
            records.append((record.funcName, record.lineno, record.pathname, record.msg))

    logger = logging.getLogger("tests.forms")
    handler = Keep()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False

    @dec
    def function():
        logger.info("said")
        try:
            raise KeyError(1)
        except KeyError:
            logger.exception("failed")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.warn("here", UserWarning, stacklevel=1)
        return [(str(w.message), w.filename, w.lineno) for w in caught]

    try:
        return function(), records
    finally:
        logger.removeHandler(handler)


# --- generators as others use them ------------------------------------------------------------


@scene
def context_managers(dec):
    log = []

    @contextlib.contextmanager
    @dec
    def managed(swallow=None, replace=None):
        log.append("in")
        try:
            yield "value"
        except BaseException as error:
            log.append(told(error)[:2])
            if replace is not None:
                raise replace from error
            if swallow is None or not isinstance(error, swallow):
                raise
        finally:
            log.append("out")

    def use(error=None, **options):
        with managed(**options) as value:
            log.append(value)
            if error is not None:
                raise error
        return "left"

    errors = (
        ValueError("v"),
        StopIteration("s"),
        StopAsyncIteration("a"),
        KeyboardInterrupt("k"),
        GeneratorExit("g"),
        RuntimeError("r"),
        SystemExit(3),
    )
    seen = [use()]
    for error in errors:
        seen.append(attempt(use, error))
        seen.append(attempt(use, error, swallow=type(error)))
        seen.append(attempt(use, error, replace=KeyError("replaced")))

    @managed()
    def as_decorator():
        return "decorated"

    seen.append(as_decorator())
    return seen, log, managed.__name__, str(inspect.signature(managed)), managed.__doc__


@scene
def context_managers_that_misbehave(dec):
    @contextlib.contextmanager
    @dec
    def never():
        return
        yield

    @contextlib.contextmanager
    @dec
    def twice():
        yield 1
        yield 2

    @contextlib.contextmanager
    @dec
    def stubborn():
        try:
            yield 1
        except ValueError:
            yield 2

    def use(manager, error=None):
        with manager:
            if error:
                raise error

    return attempt(use, never()), attempt(use, twice()), attempt(use, stubborn(), ValueError("v"))


@scene
def async_context_managers(dec):
    log = []

    @contextlib.asynccontextmanager
    @dec
    async def managed(swallow=None):
        log.append("in")
        await asyncio.sleep(0)
        try:
            yield "value"
        except BaseException as error:
            log.append(told(error)[:2])
            await asyncio.sleep(0)
            if swallow is None or not isinstance(error, swallow):
                raise
        finally:
            await asyncio.sleep(0)
            log.append("out")

    async def use(error=None, **options):
        async with managed(**options) as value:
            log.append(value)
            if error is not None:
                raise error
        return "left"

    async def main():
        seen = [await use()]
        for error in (
            ValueError("v"),
            StopIteration("s"),
            StopAsyncIteration("a"),
            asyncio.CancelledError("c"),
            GeneratorExit("g"),
        ):
            for swallow in (None, type(error)):
                try:
                    seen.append(await use(error, swallow=swallow))
                except BaseException as caught:
                    seen.append(told(caught))
        async with contextlib.AsyncExitStack() as stack:
            seen.append(await stack.enter_async_context(managed()))
        return seen

    return asyncio.run(main()), log


@scene
def generators_in_the_hands_of_others(dec):
    @dec
    def count(n):
        yield from range(n)

    @dec
    def pairs():
        yield "a", 1
        yield "b", 2

    return (
        list(count(3)),
        sum(count(4)),
        dict(pairs()),
        [*count(2)],
        max(count(3)),
        list(zip(count(2), count(3), strict=False)),
        list(map(str, count(2))),
        1 in count(3),
        "".join(str(x) for x in count(3)),
        tuple(enumerate(count(2))),
        next(iter(count(1))),
        iter(made := count(1)) is made,
        attempt(len, count(1)),
        attempt(count(1).send, 1),
        attempt(pickle.dumps, count(1))[:2],
    )


@scene
def exceptions_thrown_with_a_traceback(dec):
    @dec
    def body():
        try:
            yield 1
        except ValueError as error:
            yield names(error)
            raise

    def origin():
        raise ValueError("origin")

    try:
        origin()
    except ValueError as caught:
        error = caught
    made = body()
    next(made)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # three arguments are deprecated since Python 3.12
        inside = made.throw(ValueError, error, error.__traceback__)
    again = body()
    next(again)
    return (
        inside,
        attempt(next, made),
        again.throw(error),
        attempt(again.throw, KeyError, "k", None),
    )


@scene
def a_bare_raise_inside(dec):
    @dec
    def again():
        raise

    @dec
    def generator():
        yield 1
        raise

    @dec
    async def coroutine():
        raise

    def handled(go):
        try:
            raise LookupError("the caller's")
        except LookupError:
            go()

    return (
        attempt(again),
        attempt(handled, again),
        attempt(handled, lambda: list(generator())),
        attempt(handled, lambda: coroutine().send(None)),
    )


@scene
def notes_and_groups(dec):
    @dec
    def noted():
        error = ValueError("v")
        if hasattr(error, "add_note"):
            error.add_note("note")
        raise error

    group = getattr(__import__("builtins"), "ExceptionGroup", None)

    @dec
    def grouped():
        if group is None:
            raise ValueError("no groups")
        raise group("several", [ValueError(1), group("inner", [KeyError(2)])])

    seen = attempt(grouped)
    return attempt(noted), seen


@scene
def ends_of_programs(dec):
    @dec
    def exits():
        raise SystemExit(3)

    @dec
    def calls_exit():
        sys.exit("text")

    @dec
    def interrupted():
        raise KeyboardInterrupt

    @dec
    def generator_exit():
        raise GeneratorExit("g")

    @dec
    async def cancelled():
        raise asyncio.CancelledError("c")

    return [attempt(f) for f in (exits, calls_exit, interrupted, generator_exit)] + [
        attempt(cancelled().send, None)
    ]


@scene
def errors_that_are_hard_to_handle(dec):
    class Silent(Exception):
        def __str__(self):
            raise ZeroDivisionError

        __repr__ = __str__

    class Slotted(Exception):
        __slots__ = ()

    class Lying(Exception):
        __class__ = int

        @property
        def __traceback__(self):
            raise ZeroDivisionError

        @property
        def __context__(self):
            raise ZeroDivisionError

    class Equal(Exception):
        def __eq__(self, other):
            raise ZeroDivisionError

        __hash__ = None

        def __bool__(self):
            raise ZeroDivisionError

    seen = []
    for kind in (Silent, Slotted, Lying, Equal):
        error = kind()

        @dec
        def function(error=error):
            raise error

        @dec
        def generator(error=error):
            yield
            raise error

        for call in (function, lambda: list(generator())):
            try:
                call()
            except BaseException as caught:
                seen.append((type(caught).__name__, caught is error))
    return seen


# --- the event loop ---------------------------------------------------------------------------


@scene
def tasks_groups_and_timeouts(dec):
    variable = contextvars.ContextVar("variable", default="unset")
    tasks = []

    @dec
    async def body():
        tasks.append(asyncio.current_task())
        variable.set("set inside")
        for number in range(3):
            tasks.append(asyncio.current_task())
            await asyncio.sleep(0)
            yield number, variable.get()

    @dec
    async def slow():
        yield 1
        await asyncio.Event().wait()

    @dec
    async def with_group():
        async with asyncio.TaskGroup() as group:
            first = group.create_task(asyncio.sleep(0, "a"))
            yield 1
        yield first.result()

    @dec
    async def with_timeout():
        try:
            async with asyncio.timeout(0.001):
                yield 1
                await asyncio.Event().wait()
        except TimeoutError:
            yield "timed out"

    async def main():
        items = [item async for item in body()]
        seen = [items, all(t is asyncio.current_task() for t in tasks), variable.get()]
        made = slow()
        await anext(made)
        try:
            await asyncio.wait_for(anext(made), 0.001)
        except asyncio.TimeoutError:
            seen.append("timeout")
        seen.append(await anext(made, "over"))
        if hasattr(asyncio, "TaskGroup"):
            seen.append([item async for item in with_group()])
            seen.append([item async for item in with_timeout()])
        return seen

    return asyncio.run(main())


@scene
def cancellation_is_counted_as_undecorated(dec):
    @dec
    async def body():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            seen.append(error.args)
            raise

    seen = []

    async def main():
        task = asyncio.ensure_future(body())
        await asyncio.sleep(0)
        task.cancel("because")
        try:
            await task
        except asyncio.CancelledError as error:
            seen.append((error.args, task.cancelled()))
        if hasattr(task, "cancelling"):
            seen.append(task.cancelling())
        return seen

    return asyncio.run(main())


@scene
def coroutines_driven_by_hand(dec):
    @types.coroutine
    def checkpoint(value):
        return (yield value)

    @dec
    async def body(log):
        try:
            log.append((yield_1 := await checkpoint(1), yield_1))
        except KeyError as error:
            log.append(names(error))
            await checkpoint("caught")
        finally:
            log.append("finally")
        return "returned"

    seen = []
    for act in (
        lambda c: [c.send(None), attempt(c.send, "x")],
        lambda c: [c.send(None), c.throw(KeyError("k")), attempt(c.send, None)],
        lambda c: [c.send(None), attempt(c.throw, ValueError("v"))],
        lambda c: [c.send(None), c.close()],
        lambda c: [attempt(c.send, "not none"), c.close()],
        lambda c: [c.close(), attempt(c.send, None)],
        lambda c: [c.send(None), attempt(c.throw, StopIteration("s"))],
        lambda c: [attempt(lambda: c.send(None)), attempt(lambda: c.__await__().__next__())],
    ):
        log: list[Any] = []
        made = body(log)
        before = context_api.get_current()
        seen.append((act(made), inspect.getcoroutinestate(made), log))
        made.close()
        assert context_api.get_current() is before
    return seen


@scene
def eager_tasks(dec):
    if not hasattr(asyncio, "eager_task_factory"):
        return None
    log = []

    @dec
    async def quick(x):
        log.append(("ran", x))
        return x

    @dec
    async def slow(x):
        log.append(("ran", x))
        await asyncio.sleep(0)
        return x

    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        one = asyncio.create_task(quick(1))
        log.append(one.done())
        two = asyncio.create_task(slow(2))
        log.append(two.done())
        return [one.result(), await two], log

    return asyncio.run(main())


# --- everything together ----------------------------------------------------------------------


@pytest.mark.parametrize("play", SCENES.values(), ids=list(SCENES))
def test_a_scene_looks_the_same_with_decorated_functions(
    mode: str, play: Callable[[Any], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """What a program sees of its functions does not depend on the decorator."""
    expected = play(plainly)
    before = context_api.get_current()
    assert play(spanwise.tool) == expected
    gc.collect()
    assert context_api.get_current() is before
    assert [r.getMessage() for r in caplog.records if r.name.startswith("opentelemetry")] == []


C_METHODS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "method of a type": (str.upper, ("a",)),
    "bound method": ("a,b".split, (",",)),
    "itemgetter": (operator.itemgetter(0), ("xyz",)),
    "attrgetter": (operator.attrgetter("real"), (4,)),
    "methodcaller": (operator.methodcaller("upper"), ("m",)),
    "deque": (collections.deque([1, 2]).copy, ()),
    "classmethod": (dict.fromkeys, ("ab",)),
    "slot": (object.__repr__, (None,)),
    "bound slot": ((5).__add__, (1,)),
    "partial": (functools.partial(str.replace, "a-b"), ("-", "+")),
    "wrong": (str.upper, (1,)),
}


@pytest.mark.parametrize("name", C_METHODS)
def test_a_method_written_in_c_gives_what_it_gives(mode, name, swallowed):
    """Results and errors are those of the method, also of one that cannot be observed."""
    method, arguments = C_METHODS[name]
    assert attempt(spanwise.tool(method), *arguments) == attempt(method, *arguments)
    swallowed()
