"""A decorated callable behaves as the undecorated one, and its span is open exactly as it runs."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import functools
import gc
import inspect
import pickle
import sys
import threading
import time
import types
import typing
import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from datetime import datetime
from typing import Any

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace as trace_api

import spanwise
from spanwise import _shells, semconv

CHUNKS = semconv.OBSERVATION_STREAM_CHUNKS
FIRST_CHUNK = semconv.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK


@pytest.fixture(autouse=True)
def nothing_is_said(caplog: pytest.LogCaptureFixture, monkeypatch) -> Iterator[None]:
    """No test here leaves a failed detach, or an error that Python could only print."""
    unraisable: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: unraisable.append(repr(args.exc_value)))
    before = context_api.get_current()
    yield
    gc.collect()
    after = context_api.get_current()
    context_api.attach(before)  # a failure here is not to make the next test fail
    assert dict(after) == dict(before), "a context was left attached"
    said = [
        record.getMessage()
        for record in caplog.get_records("call")
        if record.name == "asyncio" or record.name.startswith("opentelemetry")
    ]
    assert (said, unraisable) == ([], [])


# --- every kind of callable -------------------------------------------------------------------


def sync_function(x):
    return 2 * x


async def coroutine_function(x):
    await asyncio.sleep(0)
    return 2 * x


def generator_function(x):
    yield 2 * x


async def async_generator_function(x):
    await asyncio.sleep(0)
    yield 2 * x


class Methods:
    """The same, as they stand in a class."""

    def sync_method(self, x):
        return 2 * x

    async def coroutine_method(self, x):
        await asyncio.sleep(0)
        return 2 * x

    def generator_method(self, x):
        yield 2 * x

    async def async_generator_method(self, x):
        await asyncio.sleep(0)
        yield 2 * x


FLAVOURS = {
    "sync": (sync_function, Methods.sync_method),
    "coroutine": (coroutine_function, Methods.coroutine_method),
    "generator": (generator_function, Methods.generator_method),
    "async generator": (async_generator_function, Methods.async_generator_method),
}
STREAMS = ("generator", "async generator")


def _class(**members: Any) -> Any:
    return type("Holder", (), members)


# How the decorator is put on; each returns what is then called with one argument.
FORMS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "function": lambda dec, function, method: dec(function),
    "method": lambda dec, function, method: _class(go=dec(method))().go,
    "bound method": lambda dec, function, method: dec(_class(go=method)().go),
    "above classmethod": lambda dec, function, method: _class(go=dec(classmethod(method))).go,
    "below classmethod": lambda dec, function, method: _class(go=classmethod(dec(method)))().go,
    "above staticmethod": lambda dec, function, method: _class(go=dec(staticmethod(function))).go,
    "below staticmethod": lambda dec, function, method: _class(go=staticmethod(dec(function)))().go,
    "partial": lambda dec, function, method: dec(functools.partial(method, None)),
    "partial of a partial": lambda dec, function, method: dec(
        functools.partial(functools.partial(method), None)
    ),
    "partial of a callable object": lambda dec, function, method: dec(
        functools.partial(_class(__call__=method)())
    ),
    "callable object": lambda dec, function, method: dec(_class(__call__=method)()),
    "class with __call__": lambda dec, function, method: dec(_class(__call__=method))(),
}
every_flavour = pytest.mark.parametrize("flavour", FLAVOURS)


def _undecorated(function: Any) -> Any:
    return function


async def outcome(value: Any) -> Any:
    """Return what a call comes to: awaited, or the items of a stream."""
    if inspect.isawaitable(value):
        return await value
    if inspect.isasyncgen(value):
        return [item async for item in value]
    return list(value) if inspect.isgenerator(value) else value


@every_flavour
@pytest.mark.parametrize("form", FORMS)
async def test_every_form_of_every_kind_keeps_its_result_and_is_observed_once(files, form, flavour):
    """The result is that of the undecorated call; one observation has its input and output."""
    decorated = FORMS[form](spanwise.tool(name="double"), *FLAVOURS[flavour])
    plain = FORMS[form](_undecorated, *FLAVOURS[flavour])
    assert await outcome(decorated(21)) == await outcome(plain(21))
    (observation,) = files.observations()
    expected = [42] if flavour in STREAMS else 42
    assert (observation["name"], observation["output"]) == ("double", expected)
    assert observation["input"] == {"x": 21}


@every_flavour
@pytest.mark.parametrize("form", FORMS)
async def test_every_form_of_every_kind_stays_of_its_kind(form, flavour):
    """The predicates of inspect say of the decorated callable what they say of the plain one."""
    decorated = FORMS[form](spanwise.tool(name="double"), *FLAVOURS[flavour])
    plain = FORMS[form](_undecorated, *FLAVOURS[flavour])
    if "callable object" in form or "class" in form:
        # inspect does not look into a callable object: its __call__ is what has a kind.
        plain = getattr(plain, "func", plain)
        plain, decorated = (
            thing if inspect.isroutine(thing) else thing.__call__ for thing in (plain, decorated)
        )
    predicates = (
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
    )
    assert [is_it(decorated) for is_it in predicates] == [is_it(plain) for is_it in predicates]
    made, as_plain = decorated(1), plain(1)
    assert type(made) is type(as_plain)
    await outcome(made)
    await outcome(as_plain)


def test_a_callable_object_gives_its_class_name_to_the_span(files):
    """`__call__` says nothing of what is called; the name of the class does."""

    class Summariser:
        def __call__(self, x):
            return x

    class Short(Summariser):
        pass

    for called in (Summariser(), Short(), Short().__call__):
        spanwise.tool(called)(1)
    spanwise.tool(Summariser)
    Summariser()(1)
    names = [line["name"] for line in files.observations()]
    assert names == ["Summariser", "Short", "Short", "Summariser"]


def test_a_decorated_class_keeps_its_identity():
    """Decorating a class changes its __call__ and nothing else: it is the same class."""

    class Agent:
        def __call__(self, x):
            return x

    assert spanwise.agent(Agent) is Agent
    assert isinstance(Agent(), Agent)


def test_a_class_with_an_inherited_call_cannot_be_decorated():
    """A class without a __call__ of its own is refused, instead of changing its parent."""

    class Parent:
        def __call__(self):
            return None

    class Child(Parent):
        pass

    with pytest.raises(spanwise.DecorationError, match="Child does not define __call__"):
        spanwise.agent(Child)


def test_a_classmethod_below_a_decorator_sees_the_class_it_was_called_on(files):
    """`cls` is the subclass that the call was made through, in both orders."""

    class Parent:
        @spanwise.tool
        @classmethod
        def above(cls):
            return cls.__name__

        @classmethod
        @spanwise.tool
        def below(cls):
            return cls.__name__

    class Child(Parent):
        pass

    assert (Child.above(), Child().below()) == ("Child", "Child")
    assert [line["input"] for line in files.observations()] == [{}, {}]


def test_a_generator_based_coroutine_can_still_be_awaited(files):
    """What `types.coroutine` made awaitable is awaitable when decorated."""

    @spanwise.tool
    @types.coroutine
    def legacy():
        yield
        return 5

    async def main():
        return await legacy()

    assert asyncio.run(main()) == 5
    assert files.observations()[0]["name"] == "legacy"


# --- what a callable says of itself -----------------------------------------------------------


def documented(first: int, /, second: str = "2", *rest: float, third: bool = False, **more: Any):
    """Say something."""
    return (first, second, rest, third, more)


@spanwise.tool
def decorated_documented(
    first: int, /, second: str = "2", *rest: float, third: bool = False, **more: Any
):
    """Say something."""
    return (first, second, rest, third, more)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_decorated_function_says_of_itself_what_the_plain_one_says(flavour):
    """Signature, annotations, docstring and names are those of the function."""
    function = FLAVOURS[flavour][0]
    decorated = spanwise.tool(function)
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__"):
        assert getattr(decorated, name) == getattr(function, name)
    assert inspect.signature(decorated) == inspect.signature(function)
    assert inspect.getsource(decorated) == inspect.getsource(function)
    assert decorated.__wrapped__ is function


def test_annotations_and_signature_survive():
    """Type hints, defaults, kinds of parameters and the docstring are all there."""
    assert inspect.signature(decorated_documented) == inspect.signature(documented)
    assert typing.get_type_hints(decorated_documented) == typing.get_type_hints(documented)
    assert decorated_documented.__doc__ == "Say something."
    assert decorated_documented(1, "b", 2.0, third=True, other=5) == (
        1,
        "b",
        (2.0,),
        True,
        {"other": 5},
    )


def test_attributes_of_a_function_are_copied_to_its_shell():
    """Marks that other decorators left, an abstract method's too, are found on the shell."""

    def marked():
        return None

    marked.__isabstractmethod__ = True
    marked.route = "/chat"
    decorated = spanwise.tool(marked)
    assert (decorated.route, decorated.__isabstractmethod__) == ("/chat", True)


def test_a_decorated_function_pickles_by_name_and_copies_as_itself():
    """Pickle finds it by its module and name, as any function; copies are the function."""
    assert pickle.loads(pickle.dumps(decorated_documented)) is decorated_documented
    assert copy.copy(decorated_documented) is decorated_documented
    assert copy.deepcopy(decorated_documented) is decorated_documented


@spanwise.agent
class PicklableAgent:
    """A class whose instances are called."""

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x):
        return self.factor * x


def test_an_instance_of_a_decorated_class_pickles(files):
    """Its state travels, and the copy is observed as the original is."""
    again = pickle.loads(pickle.dumps(PicklableAgent(3)))
    assert again(2) == 6
    assert len(files.observations()) == 1


@every_flavour
def test_a_decorated_function_and_what_it_returns_can_be_referenced_weakly(flavour):
    """Weak references work, and die with the function."""

    def make():
        def local(x):
            return x

        return local

    decorated = spanwise.tool(make() if flavour == "sync" else FLAVOURS[flavour][0])
    reference = weakref.ref(decorated)
    assert reference() is decorated
    del decorated
    gc.collect()
    assert reference() is None


def test_arguments_that_do_not_fit_are_a_type_error_of_the_function(files):
    """The message names the function and its parameter, not a shell."""

    @spanwise.tool
    def needs(one):
        return one

    with pytest.raises(TypeError, match=r"needs\(\) missing 1 required positional argument: 'one'"):
        needs()
    assert files.observations()[0]["metadata"]["error_type"] == "TypeError"


# --- exceptions -------------------------------------------------------------------------------


def raising_function(error):
    raise error


async def raising_coroutine_function(error):
    await asyncio.sleep(0)
    raise error


def raising_generator_function(error):
    yield 1
    raise error


async def raising_async_generator_function(error):
    yield 1
    raise error


RAISING = {
    "sync": raising_function,
    "coroutine": raising_coroutine_function,
    "generator": raising_generator_function,
    "async generator": raising_async_generator_function,
}
every_raising = pytest.mark.parametrize("flavour", RAISING)


class Plain(Exception):
    """An exception of the program."""


class Frozen(Exception):
    """An exception that lets nobody set its attributes."""

    def __setattr__(self, name, value):
        raise AttributeError(f"cannot set {name}")


async def caught(value: Callable[[], Any]) -> BaseException:
    """Return the exception that a call ends in."""
    try:
        await outcome(value())
    except BaseException as error:
        return error
    pytest.fail("nothing was raised")


def last_frame(error: BaseException) -> types.CodeType:
    """Return the code of the innermost frame of the traceback."""
    traceback = error.__traceback__
    assert traceback is not None
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback.tb_frame.f_code


@every_raising
@pytest.mark.parametrize(
    "kind", [Plain, Frozen, KeyboardInterrupt, SystemExit, asyncio.CancelledError]
)
async def test_the_very_exception_that_was_raised_arrives(files, flavour, kind):
    """Same object, its traceback ends in the function, nothing hangs on it that was not there."""
    error = kind("no")
    decorated = spanwise.tool(RAISING[flavour])
    assert await caught(lambda: decorated(error)) is error
    assert last_frame(error) is RAISING[flavour].__code__
    assert (error.__context__, error.__cause__, error.__suppress_context__) == (None, None, False)
    (observation,) = files.observations()
    assert observation["metadata"]["error_type"] == kind.__name__
    assert (observation["level"], files.traces()[0]["status"]) == ("error", "error")


@every_raising
async def test_cause_context_and_notes_of_an_exception_are_left_alone(files, flavour):
    """What was chained or noted by the program is there, and nothing more."""
    error, cause, context = Plain("no"), KeyError("why"), ValueError("when")
    error.__cause__, error.__context__ = cause, context
    if hasattr(error, "add_note"):
        error.add_note("the program's")
    decorated = spanwise.tool(RAISING[flavour])
    await caught(lambda: decorated(error))
    assert error.__cause__ is cause
    assert error.__context__ is context
    assert getattr(error, "__notes__", ["the program's"]) == ["the program's"]


@every_raising
async def test_an_exception_raised_while_another_is_handled_has_it_as_its_context(files, flavour):
    """The exception that the caller is handling is the context, as without a decorator."""
    outer, error = KeyError("outer"), Plain("inner")
    decorated = spanwise.tool(RAISING[flavour])
    try:
        raise outer
    except KeyError:
        await caught(lambda: decorated(error))
    assert error.__context__ is outer


@pytest.mark.parametrize(
    ("flavour", "message"),
    [
        ("coroutine", "coroutine raised StopIteration"),
        ("generator", "generator raised StopIteration"),
        ("async generator", "async generator raised StopIteration"),
    ],
)
async def test_a_stop_iteration_raised_inside_becomes_the_usual_runtime_error(
    files, flavour, message
):
    """Python turns it into a RuntimeError with it as cause; a shell changes nothing of that."""
    stop = StopIteration("done")
    decorated = spanwise.tool(RAISING[flavour])
    error = await caught(lambda: decorated(stop))
    assert (type(error), str(error)) == (RuntimeError, message)
    assert error.__cause__ is stop
    assert files.observations()[0]["metadata"]["error_type"] == "RuntimeError"


def test_a_stop_iteration_raised_by_a_function_passes_through(files):
    """A plain function may raise StopIteration; it arrives as itself."""
    stop = StopIteration("done")
    decorated = spanwise.tool(raising_function)
    with pytest.raises(StopIteration) as raised:
        decorated(stop)
    assert raised.value is stop


async def test_a_stop_async_iteration_raised_inside_becomes_the_usual_runtime_error(files):
    """Raised by the body of an async generator, it is not mistaken for its end."""
    stop = StopAsyncIteration()
    decorated = spanwise.tool(raising_async_generator_function)
    error = await caught(lambda: decorated(stop))
    assert (type(error), str(error)) == (RuntimeError, "async generator raised StopAsyncIteration")
    assert error.__cause__ is stop


@every_raising
async def test_the_context_of_the_caller_is_back_after_an_exception(files, flavour):
    """After the failed call the caller's OpenTelemetry context is the very one from before."""
    before = context_api.get_current()
    decorated = spanwise.tool(RAISING[flavour])
    await caught(lambda: decorated(Plain()))
    assert context_api.get_current() is before


# --- recursion, threads, tasks ----------------------------------------------------------------


def test_recursive_calls_nest(files):
    """Each level is the child of the one that called it."""

    @spanwise.tool
    def down(n):
        return 0 if n == 0 else 1 + down(n - 1)

    assert down(20) == 20
    by_input = {line["input"]["n"]: line for line in files.observations()}
    assert sorted(by_input) == list(range(21))
    assert by_input[20]["parent_id"] is None
    for n in range(20):
        assert by_input[n]["parent_id"] == by_input[n + 1]["id"]


def test_a_recursion_without_end_is_the_programs_recursion_error(files, swallowed):
    """RecursionError arrives, and the caller's context is back although our code ran out too."""

    @spanwise.tool(capture_input=False)
    def forever():
        return forever()

    before = context_api.get_current()
    with pytest.raises(RecursionError):
        forever()
    assert context_api.get_current() is before
    # The innermost of all may not have had the room to say even that.
    told = [line["metadata"].get("error_type") for line in files.observations()]
    assert "RecursionError" in told
    swallowed()  # near the limit our own code cannot run either, and that is counted
    assert len(files.traces()) == 1


def at_depth(depth: int, function: Callable[[], Any]) -> Any:
    """Call the function from so many frames further down."""
    return function() if depth <= 0 else at_depth(depth - 1, function)


def to_its_end(awaitable: Any) -> Any:
    """Return what an awaitable that waits for nothing comes to."""
    try:
        awaitable.__await__().send(None)
    except StopIteration as stop:
        return stop.value
    finally:
        awaitable.close()


async def _all_of(stream: AsyncGenerator[Any, Any]) -> list[Any]:
    return [item async for item in stream]


NEAR_THE_LIMIT: dict[str, Callable[[], Any]] = {}


def near_the_limit(function: Callable[[], Any]) -> Callable[[], Any]:
    NEAR_THE_LIMIT[function.__name__] = function
    return function


@near_the_limit
def a_call():
    return spanwise.tool(sync_function)(21)


@near_the_limit
def a_call_that_fails():
    try:
        return spanwise.tool(raising_function)(Plain("no"))
    except Plain as error:
        return str(error)


@near_the_limit
def a_generator():
    return list(spanwise.tool(generator_function)(21))


@near_the_limit
def a_coroutine():
    @spanwise.tool
    async def body():
        return 42

    return to_its_end(body())


@near_the_limit
def an_async_generator():
    @spanwise.tool
    async def body():
        yield 42

    return to_its_end(_all_of(body()))


@near_the_limit
def a_block():
    with spanwise.observe("block"), spanwise.identify(user="jane"):
        return 42


@pytest.mark.parametrize("name", NEAR_THE_LIMIT)
@pytest.mark.parametrize("mode", ["unconfigured", "configured"])
@pytest.mark.filterwarnings("ignore:coroutine '.*' was never awaited")
def test_near_the_recursion_limit_a_call_works_or_raises_and_leaves_no_context(
    tmp_path, swallowed, mode, name
):
    """Whichever of our frames is the one too many, the caller's context is back."""
    if mode == "configured":
        spanwise.configure(traces_dir=tmp_path / "traces")
    before = context_api.get_current()
    here = len(inspect.stack(0))
    limit = sys.getrecursionlimit()
    seen = []
    sys.setrecursionlimit(here + 150)
    try:
        for depth in range(60, 150):
            try:
                seen.append(at_depth(depth, NEAR_THE_LIMIT[name]))
            except RecursionError:
                seen.append("too deep")
            if context_api.get_current() is not before:
                seen.append(f"a context was left attached at {depth}")
                break
    finally:
        sys.setrecursionlimit(limit)
    swallowed()  # near the limit our own code cannot run either, and that is counted
    result = {"a_call_that_fails": "no"}.get(name, [42] if "generator" in name else 42)
    enough = seen.index("too deep")
    assert seen == [result] * enough + ["too deep"] * (90 - enough)
    assert enough > 20


async def test_gathered_coroutines_nest_their_children_under_their_own_parent(files):
    """Many decorated coroutines at once: no child lands under a neighbour."""

    @spanwise.tool
    async def child(n):
        await asyncio.sleep(0)
        return n

    @spanwise.agent
    async def parent(n):
        await asyncio.sleep(0)
        results = await asyncio.gather(*(child(10 * n + i) for i in range(3)))
        await asyncio.sleep(0)
        return results

    await asyncio.gather(*(parent(n) for n in range(30)))
    lines = files.observations()
    parents = {line["id"]: line for line in lines if line["type"] == "agent"}
    children = [line for line in lines if line["type"] == "tool"]
    assert (len(parents), len(children)) == (30, 90)
    for line in children:
        above = parents[line["parent_id"]]
        assert above["input"]["n"] == line["input"]["n"] // 10
        assert above["trace_id"] == line["trace_id"]


async def test_a_cancelled_coroutine_ends_its_span_with_the_cancellation(files):
    """The span ends when the task is cancelled, and says so."""
    started = asyncio.Event()

    @spanwise.tool
    async def wait():
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (observation,) = files.observations()
    assert observation["metadata"]["error_type"] == "CancelledError"


async def test_a_coroutine_that_survives_its_cancellation_is_a_success(files):
    """A cancellation that the body catches is its own affair."""

    @spanwise.tool
    async def stubborn():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "survived"

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "survived"
    assert files.observations()[0]["output"] == "survived"


def test_a_coroutine_that_is_never_awaited_records_nothing_and_warns_as_usual(files):
    """Python's warning names the function, and no span is made."""

    @spanwise.tool
    async def forgotten():
        return None

    with pytest.warns(RuntimeWarning, match="forgotten' was never awaited"):
        forgotten()  # collected with its last reference, at once
    assert files.observations() == []


# --- the life of a generator ------------------------------------------------------------------


@spanwise.generation(name="stream")
def letters():
    yield "a"
    yield "b"
    yield "c"


@spanwise.generation(name="stream")
async def async_letters():
    yield "a"
    yield "b"
    yield "c"


def test_a_generator_that_is_never_started_records_nothing(files):
    """Made, and even closed, without a step there is no span."""
    letters().close()
    made = letters()
    del made
    gc.collect()
    assert files.observations() == []


async def test_an_async_generator_that_is_never_started_records_nothing(files):
    """Made and closed without a step there is no span."""
    await async_letters().aclose()
    async_letters()
    gc.collect()
    assert files.observations() == []


def test_a_thrown_exception_reaches_a_generator_that_was_never_started(files):
    """The body does not run, nothing is recorded, the exception arrives."""
    error = Plain()
    made = letters()
    with pytest.raises(Plain) as raised:
        made.throw(error)
    assert raised.value is error
    assert list(made) == []
    assert files.observations() == []


def _times(line: dict[str, Any]) -> tuple[float, float]:
    start, end = (datetime.fromisoformat(line[f"{which}_time"]) for which in ("start", "end"))
    return start.timestamp(), end.timestamp()


MICROSECOND = 1e-6  # the files' times are cut to it


def test_a_generators_span_runs_from_its_first_step_to_its_end(files):
    """It starts neither when the generator is made, nor ends before the last step."""
    made = letters()
    before_first = time.time()
    next(made)
    after_first = time.time()
    next(made)
    next(made)
    assert files.observations() == []
    before_last = time.time()
    assert list(made) == []
    after_last = time.time()
    start, end = _times(files.observation("stream"))
    assert before_first - MICROSECOND <= start <= after_first
    assert before_last - MICROSECOND <= end <= after_last


async def test_an_async_generators_span_runs_from_its_first_step_to_its_end(files):
    """It starts neither when the generator is made, nor ends before the last step."""
    made = async_letters()
    before_first = time.time()
    await anext(made)
    after_first = time.time()
    await anext(made)
    await anext(made)
    assert files.observations() == []
    before_last = time.time()
    assert [item async for item in made] == []
    after_last = time.time()
    start, end = _times(files.observation("stream"))
    assert before_first - MICROSECOND <= start <= after_first
    assert before_last - MICROSECOND <= end <= after_last


@pytest.mark.parametrize("ending", ["exhausted", "closed", "collected", "thrown into"])
def test_a_generators_span_ends_however_the_generator_does(files, ending):
    """Exhaustion, close, error and garbage collection each end it, with what came so far."""
    made = letters()
    assert next(made) == "a"
    if ending == "exhausted":
        list(made)
    elif ending == "closed":
        made.close()
    elif ending == "thrown into":
        with pytest.raises(Plain):
            made.throw(Plain("no"))
    assert len(files.observations()) == (ending != "collected")
    del made
    gc.collect()
    line = files.observation("stream")
    assert line["output"] == ("abc" if ending == "exhausted" else "a")
    assert line.get("error") == ("no" if ending == "thrown into" else None)


@pytest.mark.parametrize("ending", ["exhausted", "closed", "thrown into"])
async def test_an_async_generators_span_ends_however_the_generator_does(files, ending):
    """Exhaustion, close and error each end it, with what came so far as its output."""
    made = async_letters()
    assert await anext(made) == "a"
    if ending == "exhausted":
        assert [item async for item in made] == ["b", "c"]
    elif ending == "closed":
        await made.aclose()
    else:
        with pytest.raises(Plain):
            await made.athrow(Plain("no"))
    line = files.observation("stream")
    assert line["output"] == ("abc" if ending == "exhausted" else "a")
    assert line.get("error") == ("no" if ending == "thrown into" else None)


def test_a_generator_is_freed_with_its_last_reference(files):
    """No reference cycle keeps it: its cleanup runs at once, without the garbage collector."""
    ended = []

    @spanwise.tool
    def body():
        try:
            yield 1
        finally:
            ended.append(True)

    gc.disable()
    try:
        made = body()
        next(made)
        del made
        assert ended == [True]
        assert len(files.observations()) == 1
    finally:
        gc.enable()


def test_a_finished_call_leaves_no_garbage(files):
    """What a call made goes with it, without waiting for the garbage collector."""
    left = []

    @spanwise.tool
    def call():
        left.append(weakref.ref(context_api.get_current()[_observation_key()]))

    class Weak(spanwise.Observation):
        """One that can be referenced weakly."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spanwise._operation.Observation", Weak)
        gc.collect()
        gc.disable()
        try:
            call()
            assert left[0]() is None
        finally:
            gc.enable()


def _observation_key() -> str:
    return next(key for key in context_api.get_current() if key.startswith("spanwise-observation"))


def test_the_output_of_streamed_text_is_the_joined_text(files):
    """The number of chunks and the time to the first stand beside it."""
    assert list(letters()) == ["a", "b", "c"]
    line = files.observation("stream")
    assert (line["output"], line["attributes"][CHUNKS]) == ("abc", 3)
    start, end = _times(line)
    assert 0 <= line["attributes"][FIRST_CHUNK] <= end - start + 2 * MICROSECOND


async def test_the_output_of_asynchronously_streamed_text_is_the_joined_text(files):
    """The number of chunks and the time to the first stand beside it."""
    assert [item async for item in async_letters()] == ["a", "b", "c"]
    line = files.observation("stream")
    assert (line["output"], line["attributes"][CHUNKS]) == ("abc", 3)
    start, end = _times(line)
    assert 0 <= line["attributes"][FIRST_CHUNK] <= end - start + 2 * MICROSECOND


def test_chunks_that_are_no_text_are_a_list(files):
    """Each is encoded as it passes: what the consumer does to it later does not show."""

    @spanwise.tool
    def body():
        yield {"n": 1}
        yield [2]

    for item in body():
        item.clear()
    line = files.observation("body")
    assert (line["output"], line["attributes"][CHUNKS]) == ([{"n": 1}, [2]], 2)


def test_a_generator_without_chunks_has_an_empty_list_as_output(files):
    """No chunk came, so there is no time to the first."""

    @spanwise.tool
    def body():
        return
        yield

    assert list(body()) == []
    line = files.observation("body")
    assert (line["output"], line["attributes"][CHUNKS]) == ([], 0)
    assert FIRST_CHUNK not in line["attributes"]


def test_token_counts_of_the_chunks_are_kept(files):
    """The last chunk of a model's stream often brings them."""

    @spanwise.generation
    def body():
        yield {"text": "a"}
        yield {"text": "b", "usage": {"prompt_tokens": 3, "completion_tokens": 2}}

    list(body())
    line = files.observation("body")
    assert (line["prompt_tokens"], line["completion_tokens"]) == (3, 2)


# --- the protocol of generators ---------------------------------------------------------------


def test_a_yield_from_gets_the_return_value(files):
    """The value that a decorated generator returns is the result of `yield from`."""

    @spanwise.tool
    def inner():
        got = yield 1
        return {"got": got}

    def outer():
        return (yield from inner())

    made = outer()
    assert next(made) == 1
    with pytest.raises(StopIteration) as stopped:
        made.send("x")
    assert stopped.value.value == {"got": "x"}


@pytest.mark.parametrize("value", [None, (), (1, 2), Plain("as a value"), StopIteration(5)])
def test_any_value_can_be_returned_from_a_generator(files, value):
    """Tuples and exceptions are not unpacked or raised on the way."""

    @spanwise.tool
    def body():
        yield
        return value

    def outer():
        return [(yield from body())]

    made = outer()
    next(made)
    with pytest.raises(StopIteration) as stopped:
        next(made)
    assert stopped.value.value[0] is value


def test_what_is_sent_is_the_value_of_yield(files):
    """`send` reaches the body, and its answer the caller."""

    @spanwise.tool
    def echo():
        heard = None
        while True:
            heard = yield heard

    made = echo()
    next(made)
    assert [made.send(value) for value in (1, None, [2])] == [1, None, [2]]
    made.close()


async def test_what_is_asent_is_the_value_of_yield(files):
    """`asend` reaches the body, and its answer the caller."""

    @spanwise.tool
    async def echo():
        heard = None
        while True:
            heard = yield heard

    made = echo()
    await anext(made)
    assert [await made.asend(value) for value in (1, None, [2])] == [1, None, [2]]
    await made.aclose()


def test_a_thrown_exception_can_be_caught_inside(files):
    """The body catches it, yields an answer, and goes on; its span is no error."""
    error = Plain("in")

    @spanwise.tool
    def body():
        try:
            yield 1
        except Plain as caught_inside:
            yield caught_inside
        yield "after"

    made = body()
    next(made)
    assert made.throw(error) is error
    assert list(made) == ["after"]
    assert "error" not in files.observation("body")
    assert (error.__context__, error.__cause__) == (None, None)


async def test_an_athrown_exception_can_be_caught_inside(files):
    """The body catches it, yields an answer, and goes on; its span is no error."""
    error = Plain("in")

    @spanwise.tool
    async def body():
        try:
            yield 1
        except Plain as caught_inside:
            yield caught_inside
        yield "after"

    made = body()
    await anext(made)
    assert await made.athrow(error) is error
    assert [item async for item in made] == ["after"]
    assert "error" not in files.observation("body")
    assert (error.__context__, error.__cause__) == (None, None)


def holding():
    yield 1


async def async_holding():
    yield 1


@pytest.mark.parametrize("kind", [Plain, Frozen])
def test_the_traceback_of_a_thrown_exception_ends_where_the_body_was(files, kind):
    """Not in a shell, although the shell is where Python raises it first."""
    error = kind("in")
    made = spanwise.tool(holding)()
    next(made)
    with pytest.raises(kind) as raised:
        made.throw(error)
    assert raised.value is error
    assert last_frame(error) is holding.__code__


@pytest.mark.parametrize("kind", [Plain, Frozen])
async def test_the_traceback_of_an_athrown_exception_ends_where_the_body_was(files, kind):
    """Not in a shell, although the shell is where Python raises it first."""
    error = kind("in")
    made = spanwise.tool(async_holding)()
    await anext(made)
    assert await caught(lambda: made.athrow(error)) is error
    assert last_frame(error) is async_holding.__code__


def test_a_body_sees_in_a_thrown_exception_the_traceback_it_would_see_undecorated(files):
    """The exception that it catches has no frame of a shell."""

    def body():
        try:
            yield
        except Plain as error:
            traceback = error.__traceback__
            names = []
            while traceback is not None:
                names.append(traceback.tb_frame.f_code.co_name)
                traceback = traceback.tb_next
            yield names

    answers = []
    for made in (body(), spanwise.tool(body)()):
        next(made)
        answers.append(made.throw(Plain()))
        made.close()
    assert answers[0] == answers[1] == ["body"]


def test_an_exception_class_can_be_thrown(files):
    """The instance is made by Python, and only once."""
    made_instances = []

    class Counted(Exception):
        def __init__(self):
            made_instances.append(self)

    made = spanwise.tool(holding)()
    next(made)
    with pytest.raises(Counted) as raised:
        made.throw(Counted)
    assert made_instances == [raised.value]


async def test_an_exception_class_can_be_athrown(files):
    """The instance is made by Python, and only once."""
    made_instances = []

    class Counted(Exception):
        def __init__(self):
            made_instances.append(self)

    made = spanwise.tool(async_holding)()
    await anext(made)
    assert await caught(lambda: made.athrow(Counted)) is made_instances[0]
    assert len(made_instances) == 1


def test_a_thrown_generator_exit_arrives_and_is_no_error(files):
    """Thrown by hand it leaves the generator as GeneratorExit; its span ends as if closed."""
    error = GeneratorExit("by hand")
    made = letters()
    next(made)
    with pytest.raises(GeneratorExit) as raised:
        made.throw(error)
    assert raised.value is error
    line = files.observation("stream")
    assert (line["output"], line.get("error")) == ("a", None)


async def test_an_athrown_generator_exit_arrives_and_is_no_error(files):
    """Thrown by hand it leaves the generator as GeneratorExit; its span ends as if closed."""
    error = GeneratorExit("by hand")
    made = async_letters()
    await anext(made)
    assert await caught(lambda: made.athrow(error)) is error
    line = files.observation("stream")
    assert (line["output"], line.get("error")) == ("a", None)


def test_a_thrown_generator_exit_may_be_answered_with_a_value(files):
    """`throw(GeneratorExit)` returns what the body yields then, as undecorated."""

    @spanwise.tool
    def body():
        try:
            yield 1
        except GeneratorExit:
            yield "still here"

    made = body()
    next(made)
    assert made.throw(GeneratorExit) == "still here"
    assert list(made) == []


def test_closing_a_generator_that_goes_on_is_the_usual_error(files):
    """A body that yields in answer to close() gets Python's RuntimeError."""

    @spanwise.tool
    def body():
        while True:
            try:
                yield 1
            except GeneratorExit:
                if stop:
                    return

    stop = []
    made = body()
    next(made)
    with pytest.raises(RuntimeError, match="generator ignored GeneratorExit"):
        made.close()
    stop.append(True)
    made.close()
    assert len(files.observations()) == 1


async def test_aclosing_an_async_generator_that_goes_on_is_the_usual_error(files):
    """A body that yields in answer to aclose() gets Python's RuntimeError."""

    @spanwise.tool
    async def body():
        try:
            yield 1
        except GeneratorExit:
            yield "still here"

    made = body()
    await anext(made)
    with pytest.raises(RuntimeError, match="async generator ignored GeneratorExit"):
        await made.aclose()
    assert await anext(made, "over") == "over"


def test_a_delegated_generator_is_closed_before_its_delegate_runs_on(files):
    """`close` goes down a `yield from` in the order of the undecorated generator."""
    order = []

    def inner():
        try:
            yield 1
        finally:
            order.append("inner")

    @spanwise.tool
    def body():
        try:
            yield from inner()
        finally:
            order.append("outer")

    made = body()
    next(made)
    made.close()
    assert order == ["inner", "outer"]


def test_an_error_while_closing_arrives_and_is_recorded(files):
    """What the cleanup of a body raises leaves close(), with its context as undecorated."""
    error = Plain("cleanup")

    @spanwise.tool
    def body():
        try:
            yield 1
        finally:
            raise error

    made = body()
    next(made)
    with pytest.raises(Plain) as raised:
        made.close()
    assert raised.value is error
    assert type(error.__context__) is GeneratorExit
    assert files.observation("body")["error"] == "cleanup"


def test_a_finished_generator_stays_finished(files):
    """Further steps stop, further throws raise, and nothing more is recorded."""
    made = letters()
    list(made)
    assert next(made, "end") == "end"
    with pytest.raises(Plain):
        made.throw(Plain)
    made.close()
    assert len(files.observations()) == 1


def test_a_running_generator_cannot_be_stepped(files):
    """Python's own error arrives where the body steps itself."""
    made = None

    @spanwise.tool
    def body():
        yield next(made)

    made = body()
    with pytest.raises(ValueError, match="generator already executing"):
        next(made)


class Thing:
    """Something whose end can be watched."""


@pytest.mark.parametrize("decorate", [_undecorated, spanwise.tool], ids=["plain", "decorated"])
def test_a_generator_holds_neither_what_it_yielded_nor_what_it_was_sent(files, decorate):
    """While it is suspended, items that consumer and body dropped are freed."""

    @decorate
    def body(argument):
        del argument
        for _ in range(3):
            yield Thing()

    argument, sent = Thing(), Thing()
    watched = [weakref.ref(argument), weakref.ref(sent)]
    made = body(argument)
    del argument
    watched.append(weakref.ref(next(made)))
    made.send(sent)
    del sent
    assert [reference() for reference in watched] == [None, None, None]
    made.close()


@pytest.mark.parametrize("decorate", [_undecorated, spanwise.tool], ids=["plain", "decorated"])
async def test_an_async_generator_holds_neither_what_it_yielded_nor_what_it_was_sent(
    files, decorate
):
    """While it is suspended, items that consumer and body dropped are freed."""

    @decorate
    async def body(argument):
        del argument
        for _ in range(3):
            yield Thing()

    argument, sent = Thing(), Thing()
    watched = [weakref.ref(argument), weakref.ref(sent)]
    made = body(argument)
    del argument
    watched.append(weakref.ref(await anext(made)))
    await made.asend(sent)
    del sent
    assert [reference() for reference in watched] == [None, None, None]
    await made.aclose()


@pytest.mark.parametrize("decorate", [_undecorated, spanwise.tool], ids=["plain", "decorated"])
async def test_a_coroutine_frees_an_argument_that_its_body_drops(files, decorate):
    """A long wait does not keep a large argument alive."""

    @decorate
    async def body(argument):
        del argument
        return reference()

    argument = Thing()
    reference = weakref.ref(argument)
    waiting = body(argument)
    del argument
    assert await waiting is None


# --- the context while a generator is suspended -----------------------------------------------


@contextlib.contextmanager
def _third_party_span() -> Iterator[None]:
    with trace_api.get_tracer("other").start_as_current_span("held"):
        yield


BLOCKS: dict[str, Callable[[], Any]] = {
    "no block": contextlib.nullcontext,
    "a third-party span": _third_party_span,
    "observe": lambda: spanwise.observe("held"),
    "identify": lambda: spanwise.identify(user="jane", tags=["held"]),
    "sampled": lambda: spanwise.sampled(True),
    "attach": lambda: _attached(),
}


@contextlib.contextmanager
def _attached() -> Iterator[None]:
    token = context_api.attach(context_api.set_value("held", True))
    yield
    context_api.detach(token)


every_block = pytest.mark.parametrize("block", BLOCKS)


@every_block
@pytest.mark.parametrize("rate", [1, 0])
def test_a_suspended_generator_leaves_its_callers_context_alone(files, block, rate):
    """Between steps the caller's current span and context are the very ones from before."""
    spanwise.configure(sample_rate=rate)

    @spanwise.tool
    def body():
        with BLOCKS[block]():
            yield 1
            yield 2
        yield 3

    with trace_api.get_tracer("caller").start_as_current_span("caller") as span:
        before = context_api.get_current()
        for _ in body():
            assert context_api.get_current() is before
            assert trace_api.get_current_span() is span
        assert context_api.get_current() is before


@every_block
@pytest.mark.parametrize("rate", [1, 0])
def test_a_suspended_root_generator_leaves_an_empty_context_alone(files, block, rate):
    """The first span of a trace may be a generator, of a trace that is left out too."""
    spanwise.configure(sample_rate=rate)

    @spanwise.tool
    def body():
        with BLOCKS[block]():
            yield 1
            yield 2
        yield 3

    before = context_api.get_current()
    for _ in body():
        assert context_api.get_current() is before
    assert context_api.get_current() is before
    assert bool(files.observations()) is bool(rate)


@every_block
@pytest.mark.parametrize("rate", [1, 0])
async def test_a_suspended_async_generator_leaves_its_callers_context_alone(files, block, rate):
    """Between steps the caller's current span and context are the very ones from before."""
    spanwise.configure(sample_rate=rate)

    @spanwise.tool
    async def body():
        with BLOCKS[block]():
            await asyncio.sleep(0)
            yield 1
            await asyncio.sleep(0)
            yield 2
        yield 3

    for caller in (trace_api.get_tracer("caller").start_as_current_span("caller"), None):
        with caller or contextlib.nullcontext():
            before = context_api.get_current()
            async for _ in body():
                assert context_api.get_current() is before
            assert context_api.get_current() is before


@pytest.mark.parametrize("decorate", [_undecorated, spanwise.tool], ids=["plain", "decorated"])
def test_context_variables_set_by_a_generator_behave_as_undecorated(files, decorate):
    """A variable that the body sets is seen by the caller, one of the caller's by the body."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    @decorate
    def body():
        yield variable.get()
        token = variable.set("body's")
        yield variable.get()
        yield variable.get()
        variable.reset(token)
        yield variable.get()

    made = body()
    variable.set("caller's")
    assert next(made) == "caller's"
    assert (next(made), variable.get()) == ("body's", "body's")
    token = variable.set("caller's second")
    assert next(made) == "caller's second"
    variable.reset(token)
    assert (next(made), variable.get()) == ("caller's", "caller's")
    made.close()


@pytest.mark.parametrize("decorate", [_undecorated, spanwise.tool], ids=["plain", "decorated"])
async def test_context_variables_set_by_an_async_generator_behave_as_undecorated(files, decorate):
    """A variable that the body sets is seen by the caller, one of the caller's by the body."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    @decorate
    async def body():
        await asyncio.sleep(0)
        yield variable.get()
        token = variable.set("body's")
        yield variable.get()
        await asyncio.sleep(0)
        variable.reset(token)
        yield variable.get()

    made = body()
    variable.set("caller's")
    assert await anext(made) == "caller's"
    assert (await anext(made), variable.get()) == ("body's", "body's")
    assert (await anext(made), variable.get()) == ("caller's", "caller's")
    await made.aclose()


def _parent_of(files: Any, name: str) -> str | None:
    names = {line["id"]: line["name"] for line in files.observations()}
    return names.get(files.observation(name)["parent_id"])


@spanwise.tool
def child(name):
    with spanwise.observe(name):
        return name


def test_children_made_in_a_generator_nest_under_it_and_under_spans_held_open(files):
    """At every step the current span is the one that was current where the body left off."""

    @spanwise.agent
    def body():
        with spanwise.observe("before"):
            pass
        with trace_api.get_tracer("other").start_as_current_span("held"):
            yield 1
            with spanwise.observe("under held"):
                yield 2
                with trace_api.get_tracer("other").start_as_current_span("deepest"):
                    pass
        yield 3
        with spanwise.observe("after"):
            pass

    with spanwise.observe("caller"):
        for number in body():
            with spanwise.observe(f"consumer {number}"):
                pass
    expected = {
        "body": "caller",
        "before": "body",
        "held": "body",
        "under held": "held",
        "deepest": "under held",
        "after": "body",
        "consumer 1": "caller",
        "consumer 2": "caller",
        "consumer 3": "caller",
    }
    assert {name: _parent_of(files, name) for name in expected} == expected


async def test_children_made_in_an_async_generator_nest_under_it_and_under_spans_held_open(files):
    """At every step the current span is the one that was current where the body left off."""

    @spanwise.agent
    async def body():
        with spanwise.observe("before"):
            await asyncio.sleep(0)
        with trace_api.get_tracer("other").start_as_current_span("held"):
            yield 1
            async with spanwise.observe("under held"):
                yield 2
                await asyncio.sleep(0)
                with trace_api.get_tracer("other").start_as_current_span("deepest"):
                    pass
        yield 3
        with spanwise.observe("after"):
            pass

    with spanwise.observe("caller"):
        async for number in body():
            with spanwise.observe(f"consumer {number}"):
                await asyncio.sleep(0)
    expected = {
        "body": "caller",
        "before": "body",
        "held": "body",
        "under held": "held",
        "deepest": "under held",
        "after": "body",
        "consumer 1": "caller",
        "consumer 2": "caller",
        "consumer 3": "caller",
    }
    assert {name: _parent_of(files, name) for name in expected} == expected


def test_two_interleaved_generators_do_not_mix(files):
    """Each step of each nests under its own generator, whatever the order of steps."""

    @spanwise.tool
    def body(name):
        with spanwise.observe(f"{name} held"):
            for number in range(3):
                with spanwise.observe(f"{name} {number}"):
                    yield number

    with spanwise.observe("one") as one:
        first = spanwise.tool(name="first")(body.__wrapped__)("a")
        next(first)
    with spanwise.observe("two") as two:
        second = spanwise.tool(name="second")(body.__wrapped__)("b")
        next(second)
        next(first)
        next(second)
    list(first)
    list(second)
    lines = {line["name"]: line for line in files.observations()}
    assert lines["first"]["parent_id"] == one.id
    assert lines["second"]["parent_id"] == two.id
    for name, generator in (("a", "first"), ("b", "second")):
        assert lines[f"{name} held"]["parent_id"] == lines[generator]["id"]
        for number in range(3):
            line = lines[f"{name} {number}"]
            assert line["parent_id"] == lines[f"{name} held"]["id"]
            assert line["trace_id"] == lines[generator]["trace_id"]


def test_a_generator_may_step_another(files):
    """A decorated generator that consumes a decorated one is its parent."""

    @spanwise.tool
    def source():
        yield from range(3)

    @spanwise.agent
    def pipeline():
        for number in source():
            yield number * 10

    before = context_api.get_current()
    assert list(pipeline()) == [0, 10, 20]
    assert context_api.get_current() is before
    assert _parent_of(files, "source") == "pipeline"


def test_a_generator_takes_parent_and_identity_at_its_first_step(files):
    """Made in one place and consumed in another, it belongs where it is consumed."""
    with spanwise.observe("made here"), spanwise.identify(user="maker"):
        made = letters()
    with spanwise.observe("consumed here"), spanwise.identify(user="consumer"):
        next(made)
    list(made)
    assert _parent_of(files, "stream") == "consumed here"
    assert files.observation("stream")["user_id"] == "consumer"


def test_identity_set_in_a_generator_holds_across_its_yields_only(files):
    """`identify` in the body stamps the body's children, never the consumer's."""

    @spanwise.tool
    def body():
        with spanwise.identify(user="inside"):
            yield 1
            with spanwise.observe("child"):
                pass
        with spanwise.observe("child after"):
            pass

    for _ in body():
        with spanwise.observe("consumer"):
            pass
    assert files.observation("child")["user_id"] == "inside"
    assert "user_id" not in files.observation("consumer")
    assert "user_id" not in files.observation("child after")


@pytest.mark.parametrize("where", ["at the root", "inside a trace"])
def test_later_steps_of_a_generator_belong_to_the_trace_that_is_left_out(files, where):
    """A trace is kept whole or not at all: a child of a later step is left out as well."""

    @spanwise.tool
    def body():
        yield 1
        with spanwise.observe("child"):
            yield 2
        with trace_api.get_tracer("other").start_as_current_span("third party's"):
            pass

    outside = spanwise.observe("outer") if where == "inside a trace" else contextlib.nullcontext()
    with spanwise.sampled(False), outside:
        made = body()
        next(made)
    before = context_api.get_current()
    assert next(made) == 2
    assert context_api.get_current() is before
    assert list(made) == []
    assert files.observations() == []


def test_a_generator_can_be_stepped_by_many_threads(files):
    """Each step in another thread: the caller's context is left alone, and children nest."""

    @spanwise.tool
    def body():
        for number in range(5):
            with spanwise.observe(f"child {number}"):
                yield number

    made = body()
    seen: list[Any] = []

    def step():
        before = context_api.get_current()
        seen.append((next(made), context_api.get_current() is before))

    for _ in range(5):
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
    made.close()
    assert seen == [(number, True) for number in range(5)]
    assert {_parent_of(files, f"child {number}") for number in range(5)} == {"body"}


class Circle:
    """Holds a generator in a reference cycle, so that only the collector finds it."""

    def __init__(self, made):
        self.made, self.me = made, self


@pytest.mark.parametrize("how", ["closed", "collected", "dropped"])
@pytest.mark.parametrize("rate", [1, 0])
def test_a_generator_that_ends_in_another_thread_touches_no_context(files, how, rate):
    """The blocks that it holds are left there: that thread's context, and ours, stay as they are."""
    spanwise.configure(sample_rate=rate)
    seen: list[Any] = []

    @spanwise.tool
    def body():
        with spanwise.observe("held"), spanwise.identify(user="jane"), spanwise.sampled(True):
            try:
                yield 1
            finally:
                seen.append(threading.current_thread().name)

    def end():
        with spanwise.observe("other") as other:
            before = context_api.get_current()
            if how == "closed":
                held[0].made.close()
            elif how == "dropped":
                held[0].me = None
            held.clear()
            gc.collect()
            seen.append((context_api.get_current() is before, spanwise.current() is other))

    with spanwise.observe("caller") as caller:
        before = context_api.get_current()
        held = [Circle(body())]
        next(held[0].made)
        thread = threading.Thread(target=end, name="ends it")
        thread.start()
        thread.join(30)
        assert context_api.get_current() is before
        assert spanwise.current() is caller
    assert seen == ["ends it", (True, bool(rate))]
    names = {line["name"] for line in files.observations()}
    assert names == ({"caller", "body", "held", "other"} if rate else set())


@pytest.mark.parametrize("flavour", ["coroutine", *STREAMS])
def test_an_abandoned_call_can_be_collected_in_any_context(files, flavour):
    """Made in one context, stepped in a second, collected in a third: all three are left alone."""

    @types.coroutine
    def checkpoint():
        yield "checkpoint"

    async def coroutine():
        with spanwise.observe("held"):
            await checkpoint()

    def generator():
        with spanwise.observe("held"):
            yield 1

    async def agenerator():
        with spanwise.observe("held"):
            yield 1

    functions = {"coroutine": coroutine, "generator": generator, "async generator": agenerator}
    made = spanwise.tool(name="body")(functions[flavour])()

    def step(made):
        before = context_api.get_current()
        if flavour == "async generator":
            with pytest.raises(StopIteration):
                anext(made).send(None)
        else:
            made.send(None)
        # A coroutine that no loop drives leaves its span current: see docs/differences.md.
        return flavour == "coroutine" or context_api.get_current() is before

    circle = [Circle(made)]
    contexts = [contextvars.copy_context(), contextvars.copy_context()]
    assert contexts[0].run(step, made)
    del made

    def collect():
        circle.clear()
        before = context_api.get_current()
        gc.collect()
        return context_api.get_current() is before

    assert contexts[1].run(collect)
    lines = {line["name"]: line.get("error") for line in files.observations()}
    # A stream that nobody reads on is no error; a coroutine that never came to its end is one.
    assert lines == {"body": "GeneratorExit" if flavour == "coroutine" else None, "held": None}


@pytest.mark.parametrize("decorate", [_undecorated, spanwise.tool], ids=["plain", "decorated"])
def test_what_python_cannot_raise_it_says_once_and_of_the_function(files, monkeypatch, decorate):
    """An error in the cleanup of a generator that is collected: named, and no error of ours."""
    said: list[Any] = []
    monkeypatch.setattr(
        sys,
        "unraisablehook",
        lambda args: said.append((args.exc_value, getattr(args.object, "__name__", None))),
    )
    error = Plain("in the cleanup")

    @decorate
    def body():
        try:
            yield 1
        finally:
            raise error

    made = body()
    next(made)
    del made
    gc.collect()
    assert said == [(error, "body")]
    said.clear()


def test_a_context_manager_made_of_a_generator_leaves_its_caller_alone(files):
    """Inside the `with` the caller's span is current; around it the generator's own is."""

    @contextlib.contextmanager
    @spanwise.tool
    def managed():
        with spanwise.observe("before"):
            pass
        yield spanwise.current()
        with spanwise.observe("after"):
            pass

    with spanwise.observe("caller") as caller:
        before = context_api.get_current()
        with managed() as inner:
            assert context_api.get_current() is before
            assert spanwise.current() is caller
            assert inner.name == "managed"
        assert context_api.get_current() is before
    parents = {name: _parent_of(files, name) for name in ("managed", "before", "after")}
    assert parents == {"managed": "caller", "before": "managed", "after": "managed"}


def test_configuring_or_shutting_down_in_mid_iteration_disturbs_no_generator(tmp_path):
    """A generator started before goes on as it began."""
    started_before = letters()
    assert next(started_before) == "a"
    spanwise.configure(traces_dir=tmp_path / "traces")
    assert next(started_before) == "b"
    started_after = letters()
    assert next(started_after) == "a"
    spanwise.shutdown()
    assert list(started_before) == ["c"]
    assert list(started_after) == ["b", "c"]
    assert dict(context_api.get_current()) == {}


# --- async generators and the event loop ------------------------------------------------------


class Held:
    """Keeps references, so that a loop closes what is open at its end."""

    def __init__(self) -> None:
        self.things: list[Any] = []


def _observed_async_generator(log: list[Any]) -> Callable[[], AsyncGenerator[int, None]]:
    @spanwise.agent
    async def body():
        try:
            with spanwise.observe("held"), spanwise.identify(user="jane"):
                for number in range(10):
                    await asyncio.sleep(0)
                    yield number
        finally:
            with spanwise.observe("cleanup"):
                await asyncio.sleep(0)
            log.append("cleaned up")

    return body


@pytest.mark.parametrize("is_held", [True, False])
def test_an_async_generator_abandoned_under_asyncio_run_is_cleaned_up_and_ended(files, is_held):
    """Closed at the end of the loop, or collected before: its cleanup runs, its span ends."""
    log: list[Any] = []
    held = Held()
    body = _observed_async_generator(log)

    async def main():
        made = body()
        if is_held:
            held.things.append(made)
        async for number in made:
            if number == 2:
                break
        del made
        for _ in range(5):
            await asyncio.sleep(0)  # the loop's turns in which a collected one is closed

    asyncio.run(main())
    assert log == ["cleaned up"]
    names = {line["name"] for line in files.observations()}
    assert names == {"body", "held", "cleanup"}
    assert (_parent_of(files, "held"), _parent_of(files, "cleanup")) == ("body", "body")
    assert files.observation("body")["output"] == [0, 1, 2]
    assert [line for line in files.observations() if "error" in line] == []


async def test_an_async_generator_is_closed_by_shutdown_asyncgens(files):
    """The loop closes the generator that it knows, and does not hear of the one inside."""
    log: list[Any] = []

    def run():
        loop = asyncio.new_event_loop()
        made = _observed_async_generator(log)()

        async def step():
            await anext(made)
            log.append(len(loop._asyncgens))

        loop.run_until_complete(step())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    await asyncio.to_thread(run)
    assert log == [1, "cleaned up"]
    assert {line["name"] for line in files.observations()} == {"body", "held", "cleanup"}


@pytest.mark.parametrize("decorate", [_undecorated, spanwise.tool], ids=["plain", "decorated"])
def test_an_async_generator_that_outlives_its_loop_is_dropped_as_undecorated(files, decorate):
    """No cleanup runs outside the loop, and Python has nothing to complain of."""
    log = []

    @decorate
    async def body():
        try:
            yield 1
        finally:
            log.append("cleaned up")
            await asyncio.sleep(0)

    async def step():
        await anext(made[0])

    loop = asyncio.new_event_loop()
    made = [body()]
    loop.run_until_complete(step())
    loop.close()
    made.clear()
    gc.collect()
    assert log == []


@pytest.mark.parametrize("decorate", [_undecorated, spanwise.tool], ids=["plain", "decorated"])
def test_an_async_generator_without_a_loop_is_cleaned_up_when_collected(files, decorate):
    """Where no event loop has hooks, Python closes it, and the inner one with it."""
    log = []

    @decorate
    async def body():
        try:
            yield 1
        finally:
            log.append("cleaned up")

    made = body()
    with pytest.raises(StopIteration):
        anext(made).send(None)
    del made
    gc.collect()
    assert log == ["cleaned up"]
    assert len(files.observations()) == (decorate is not _undecorated)


async def test_an_async_generator_closed_in_another_task_ends_its_span(files):
    """`aclose` may come from a task with a context of its own."""
    log: list[Any] = []
    made = _observed_async_generator(log)()
    before = context_api.get_current()
    await anext(made)
    await asyncio.create_task(made.aclose())
    assert context_api.get_current() is before
    assert log == ["cleaned up"]
    assert (_parent_of(files, "held"), _parent_of(files, "cleanup")) == ("body", "body")
    assert "error" not in files.observation("body")
    assert "error" not in files.observation("held")
    assert "user_id" not in files.observation("cleanup")


async def test_an_async_generator_stepped_by_many_tasks_nests_its_children(files):
    """Each step in a task of its own, as wait_for does: blocks end where they end in the body."""

    @spanwise.agent
    async def body():
        with spanwise.observe("first"):
            yield 1
        with spanwise.identify(user="jane"):
            yield 2
            with spanwise.observe("second"):
                yield 3
        with spanwise.observe("third"), spanwise.sampled(False):
            yield 4
        yield 5
        with spanwise.observe("fourth"):
            pass

    made = body()
    before = context_api.get_current()

    async def step():
        return await anext(made, None)

    while await asyncio.create_task(step()) is not None:
        assert context_api.get_current() is before
    for name in ("first", "second", "third", "fourth"):
        assert _parent_of(files, name) == "body"
    users = {line["name"]: line.get("user_id") for line in files.observations()}
    assert users == {"body": None, "first": None, "second": "jane", "third": None, "fourth": None}


@pytest.mark.parametrize("how", ["wait_for", "timeout"])
async def test_a_time_limit_around_one_step_ends_the_span_with_the_cancellation(files, how):
    """The step that takes too long is cancelled, the body cleans up, the generator is over."""
    log = []

    @spanwise.agent
    async def body():
        try:
            with spanwise.observe("held"):
                yield 1
                await asyncio.Event().wait()
        finally:
            log.append("cleaned up")

    made = body()
    before = context_api.get_current()

    async def limited(seconds):
        if how == "wait_for":
            return await asyncio.wait_for(anext(made), seconds)
        async with asyncio.timeout(seconds):
            return await anext(made)

    if how == "timeout" and not hasattr(asyncio, "timeout"):
        pytest.skip("since Python 3.11")
    assert await limited(30) == 1
    with pytest.raises(asyncio.TimeoutError):
        await limited(0.01)
    assert context_api.get_current() is before
    assert log == ["cleaned up"]
    assert await anext(made, "over") == "over"
    errors = {line["name"]: line["metadata"]["error_type"] for line in files.observations()}
    assert errors == {"body": "CancelledError", "held": "CancelledError"}
    assert _parent_of(files, "held") == "body"


async def test_a_body_may_survive_the_cancellation_of_one_step(files):
    """It catches the cancellation, yields, and is stepped on."""

    @spanwise.tool
    async def body():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            yield "late"
        yield "more"

    made = body()
    with contextlib.suppress(asyncio.TimeoutError):
        assert await asyncio.wait_for(anext(made), 0.01) == "late"
    assert await anext(made) == "more"
    await made.aclose()
    assert "error" not in files.observation("body")


@pytest.mark.parametrize("decorate", [_undecorated, spanwise.tool], ids=["plain", "decorated"])
async def test_every_step_runs_in_the_task_that_takes_it(files, decorate):
    """The current task, its name and its context variables are those of the one that iterates."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    @decorate
    async def body():
        while True:
            await asyncio.sleep(0)
            task = asyncio.current_task()
            yield task.get_name(), variable.get(), task

    made = body()

    async def step(value):
        variable.set(value)
        return await anext(made)

    for name in ("one", "two"):
        task = asyncio.create_task(step(f"set in {name}"), name=name)
        assert await task == (name, f"set in {name}", task)
    await made.aclose()


@pytest.mark.skipif(not hasattr(asyncio, "TaskGroup"), reason="since Python 3.11")
@pytest.mark.parametrize("decorate", [_undecorated, spanwise.tool], ids=["plain", "decorated"])
async def test_a_group_and_a_timeout_held_open_across_a_yield_work(files, decorate):
    """Both ask for the task that entered them when they are left: the one that iterates."""
    log = []

    @decorate
    async def body():
        async with asyncio.TaskGroup() as group, asyncio.timeout(30):
            task = group.create_task(asyncio.sleep(0, "from the group"))
            yield 1
            yield await task
        try:
            async with asyncio.timeout(0.001):
                yield 2
                await asyncio.Event().wait()
        except TimeoutError:
            yield "timed out"
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                yield 3
                await asyncio.Event().wait()
        except Exception as group:
            log.append([type(error) for error in group.exceptions])

    async def fail():
        raise Plain

    assert [item async for item in body()] == [1, "from the group", 2, "timed out", 3]
    assert log == [[Plain]]
    assert asyncio.current_task().cancelling() == 0


@pytest.mark.parametrize("decorate", [_undecorated, spanwise.tool], ids=["plain", "decorated"])
async def test_an_async_context_manager_of_a_decorated_generator_is_left_in_the_same_task(
    files, decorate
):
    """Setup, cleanup and the block run in one task, and see one another's variables."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    tasks = []

    @contextlib.asynccontextmanager
    @decorate
    async def managed():
        tasks.append(asyncio.current_task())
        token = variable.set("set")
        try:
            yield
        finally:
            await asyncio.sleep(0)
            variable.reset(token)
            tasks.append(asyncio.current_task())

    async with managed():
        assert variable.get() == "set"
    assert variable.get() == "unset"
    assert tasks == [asyncio.current_task()] * 2


async def test_interleaved_async_generators_in_many_tasks_do_not_mix(files):
    """Each task's generator keeps its own children."""

    @spanwise.agent
    async def body(n):
        for number in range(3):
            with spanwise.observe(f"child {n} {number}"):
                await asyncio.sleep(0)
                yield number

    async def consume(n):
        return [number async for number in body(n)]

    assert await asyncio.gather(*(consume(n) for n in range(10))) == [[0, 1, 2]] * 10
    lines = files.observations()
    parents = {line["id"]: line["input"]["n"] for line in lines if line["name"] == "body"}
    children = [line for line in lines if line["name"] != "body"]
    assert len(children) == 30
    for line in children:
        assert parents[line["parent_id"]] == int(line["name"].split()[1])


@pytest.mark.parametrize("decorate", [_undecorated, spanwise.tool], ids=["plain", "decorated"])
def test_a_consumer_closed_in_mid_step_leaves_the_cleanup_to_python(files, decorate):
    """A coroutine that is dropped while it waits for a step: the body's cleanup runs, no error."""
    log = []

    @types.coroutine
    def forever():
        yield

    @decorate
    async def body():
        try:
            await forever()
            yield 1
        finally:
            log.append("cleaned up")

    async def consume():
        async for _ in body():
            log.append("never")

    consumer = consume()
    consumer.send(None)
    consumer.close()
    del consumer
    gc.collect()
    assert log == ["cleaned up"]
    assert len(files.observations()) == (decorate is not _undecorated)


async def test_two_steps_at_once_are_the_usual_error(files):
    """The second is refused with Python's own message, and the first goes on."""

    @spanwise.tool
    async def body():
        await asyncio.sleep(0)
        yield 1

    made = body()
    first = asyncio.ensure_future(anext(made))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="asynchronous generator is already running"):
        await anext(made)
    assert await first == 1
    await made.aclose()


# --- the shells themselves --------------------------------------------------------------------


def test_an_unconfigured_shell_calls_the_function_and_nothing_else(monkeypatch):
    """Not configured, no plan is bound, encoded or opened: the function runs."""
    monkeypatch.setattr("spanwise._operation._start", lambda *_: pytest.fail("a span was started"))
    assert decorated_documented(1) == (1, "2", (), False, {})
    assert list(letters()) == ["a", "b", "c"]


def test_a_fault_of_ours_at_the_start_leaves_the_call_as_it_is(files, swallowed, monkeypatch):
    """The function runs undecorated, and the fault is counted."""

    def broken(*args):
        raise ValueError("ours")

    monkeypatch.setattr("spanwise._operation._start", broken)
    assert decorated_documented(1) == (1, "2", (), False, {})
    assert list(letters()) == ["a", "b", "c"]
    assert swallowed() == {"failures.operation.start": 2}


@pytest.mark.parametrize("fails", [False, True])
def test_an_interrupt_that_arrives_in_our_code_is_the_programs(files, monkeypatch, fails):
    """Ctrl-C while a span is ended: the span ends, the context is back, the program hears it."""

    def interrupted(*args):
        raise KeyboardInterrupt

    @spanwise.tool(capture_input=False)
    def call():
        monkeypatch.setattr("spanwise._encoding.Encoder.dumps", interrupted)
        monkeypatch.setattr("spanwise._exceptions.stacktrace_of", interrupted)
        if fails:
            raise Plain("no")

    before = context_api.get_current()
    with pytest.raises(KeyboardInterrupt):
        call()
    assert context_api.get_current() is before
    assert [line["name"] for line in files.observations()] == ["call"]


def test_shells_are_functions():
    """`wrap` returns plain functions, so that they bind as methods."""
    for function, _ in FLAVOURS.values():
        plan = spanwise._operation.Plan("x", "span", {})
        assert type(_shells.wrap(function, plan)) is types.FunctionType


def test_a_sync_generators_type_is_a_generator(files):
    """isinstance checks of frameworks hold for what a decorated generator function returns."""
    made, async_made = letters(), async_letters()
    assert isinstance(made, Generator)
    assert inspect.getgeneratorstate(made) == inspect.GEN_CREATED
    assert isinstance(async_made, AsyncGenerator)
    made.close()
