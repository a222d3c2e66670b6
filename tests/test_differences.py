"""The differences that no wrapper can hide: each is on the page, and each is as the page says.

A test here fails as well when a difference has gone: then its bullet goes with it.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import logging
import os
import pickle
import sys
import threading
import traceback
import types
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wrapt
from opentelemetry import context as context_api
from opentelemetry.sdk.trace import Span

import spanwise
from spanwise import _shells

PAGE = Path(__file__).parents[1] / "docs" / "differences.md"
PINNED: dict[str, list[str]] = {}


def pins(beginning: str) -> Callable[[Any], Any]:
    """Say which bullet of the page a test is about, by its first words."""

    def remember(test: Any) -> Any:
        PINNED.setdefault(beginning, []).append(test.__name__)
        return test

    return remember


def bullets() -> list[str]:
    """Return the bullets of the page, each on one line."""
    _, *found = PAGE.read_text(encoding="utf-8").split("\n- ")
    return [" ".join(bullet.split()) for bullet in found]


def test_every_difference_on_the_page_is_pinned():
    """Each bullet begins with the words of one test's pin, and each pin has its bullet."""
    pinned = {
        bullet: [begin for begin in PINNED if bullet.startswith(begin)] for bullet in bullets()
    }
    assert {bullet: found for bullet, found in pinned.items() if len(found) != 1} == {}
    assert {found[0] for found in pinned.values()} == set(PINNED)


@pytest.fixture(autouse=True, params=["unconfigured", "configured"])
def mode(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "configured":
        spanwise.configure(traces_dir=tmp_path / "traces")
    return str(request.param)


@types.coroutine
def checkpoint(value: Any = None) -> Any:
    """Suspend a coroutine once."""
    return (yield value)


def plain(a, b=2, *, c=3):
    return a, b, c


traced = spanwise.tool(plain)


# --- frames -----------------------------------------------------------------------------------


def files_of(error: BaseException) -> list[str]:
    return [frame.filename for frame in traceback.extract_tb(error.__traceback__)]


@pins("There is one more frame")
def test_there_is_one_more_frame_in_a_traceback_and_on_the_stack():
    """Between the caller and the function lies the shell; in a generator too."""

    @spanwise.tool
    def fails():
        raise ValueError([frame.f_code.co_filename for frame, _ in traceback.walk_stack(None)][:4])

    @spanwise.tool
    def fails_later():
        yield
        raise ValueError

    for call in (fails, lambda: list(fails_later())):
        with pytest.raises(ValueError) as raised:
            call()
        frames = files_of(raised.value)
        assert frames.count(_shells.__file__) == 1
        assert (frames[0], frames[-1], frames[-2]) == (__file__, __file__, _shells.__file__)


@pins("What asks for its caller's frame finds the wrapper's")
def test_stacklevel_two_names_the_shell_and_three_the_caller(caplog):
    """Of warnings, of log records, and of `sys._getframe`."""

    @spanwise.tool
    def warn(level):
        warnings.warn("old", UserWarning, stacklevel=level)
        logging.getLogger("tests").warning("said", stacklevel=level)
        return sys._getframe(level - 1).f_code.co_filename, inspect.stack()[level - 1].filename

    seen = []
    for level in (1, 2, 3):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            frames = warn(level)
        assert frames == (caught[0].filename,) * 2
        assert caplog.records[-1].pathname == caught[0].filename
        seen.append(caught[0].filename)
    assert seen == [__file__, _shells.__file__, __file__]


@pins("A recursion reaches")
def test_a_recursion_reaches_the_limit_in_half_the_depth():
    """Each level takes the shell's frame and the function's own."""

    def depth_of(dec):
        @dec
        def down(n):
            deepest[0] = n
            down(n + 1)

        deepest = [0]
        with pytest.raises(RecursionError):
            down(1)
        return deepest[0]

    logging.getLogger("spanwise").disabled = True
    try:
        undecorated, decorated = depth_of(lambda f: f), depth_of(spanwise.tool)
    finally:
        logging.getLogger("spanwise").disabled = False
    assert 0.4 < decorated / undecorated < 0.55


@pytest.fixture(autouse=True)
def near_the_limit_ours_fails_too(request: pytest.FixtureRequest, swallowed: Any) -> Any:
    """Where the stack ends our own code cannot run either, which is counted."""
    yield
    if "recursion" in request.node.name:
        swallowed()


# --- the function as an object ----------------------------------------------------------------


@pins("The decorated function has a `__wrapped__`")
def test_a_decorated_function_is_another_object_than_the_plain_one():
    """Neither equal nor the same, and what is set on one later is not on the other."""
    assert (traced is plain, traced == plain, traced.__wrapped__ is plain) == (False, False, True)
    plain.later = 1
    try:
        assert not hasattr(traced, "later")
    finally:
        del plain.later


@pins("Its `__code__`")
def test_code_globals_closure_and_defaults_are_the_shells():
    """And so is what `inspect` says where it does not follow `__wrapped__`."""
    assert traced.__code__.co_filename == inspect.getfile(traced) == _shells.__file__
    assert traced.__globals__ is vars(_shells)
    assert (traced.__defaults__, traced.__kwdefaults__) == (None, None)
    assert inspect.getfullargspec(traced).args == []
    assert plain in [cell.cell_contents for cell in traced.__closure__]
    assert str(inspect.signature(traced)) == "(a, b=2, *, c=3)"


@pins("It is pickled by its name")
def test_a_decorated_function_under_another_name_cannot_be_pickled():
    """Its name leads to the plain function."""
    with pytest.raises(pickle.PicklingError, match="not the same object"):
        pickle.dumps(traced)


@pins("A generator object's")
async def test_code_frame_and_what_is_awaited_are_the_shells():
    """Of generators, coroutines and async generators; their names are the function's."""

    @spanwise.tool
    def generator():
        local = 1
        yield local

    @spanwise.tool
    async def coroutine():
        await checkpoint()

    @spanwise.tool
    async def agenerator():
        yield 1

    made, waiting, amade = generator(), coroutine(), agenerator()
    next(made)
    waiting.send(None)
    await anext(amade)
    for code in (made.gi_code, made.gi_frame.f_code, waiting.cr_code, amade.ag_code):
        assert code.co_filename == _shells.__file__
    assert "local" not in inspect.getgeneratorlocals(made)
    assert inspect.iscoroutine(waiting.cr_await)
    assert (made.__name__, made.__qualname__.rpartition(".")[2]) == ("generator", "generator")
    made.close()
    waiting.close()
    await amade.aclose()


@pins("A decorated callable object")
def test_a_decorated_callable_object_partial_or_builtin_becomes_a_function():
    """Without the attributes of what it was, and bound where it stands in a class."""

    class Search:
        limit = 3

        def __call__(self, *args):
            return len(args)

    for target in (Search(), functools.partial(plain, 1), [].append, len, Search().__call__):
        assert type(spanwise.tool(target)) is types.FunctionType
    assert not hasattr(spanwise.tool(Search()), "limit")
    assert not hasattr(spanwise.tool(functools.partial(plain)), "args")
    owner = type("Owner", (), {"plain": Search(), "traced": spanwise.tool(Search())})()
    assert (owner.plain(), owner.traced()) == (0, 1)
    still = type("Owner", (), {"traced": staticmethod(spanwise.tool(Search()))})()
    assert still.traced() == 0


@pins("A wrapper that is an object")
def test_a_wrapper_that_is_a_descriptor_sees_a_call_of_a_function():
    """The instance is the first argument, as where a function is called with it."""

    @wrapt.decorator
    def tell(wrapped, instance, args, kwargs):
        return instance is not None, len(args), wrapped(*args, **kwargs)

    class Owner:
        @tell
        def plain(self):
            return "result"

        @spanwise.tool
        @tell
        def below(self):
            return "result"

        @tell
        @spanwise.tool
        def above(self):
            return "result"

    assert Owner().plain() == Owner().above() == (True, 0, "result")
    assert Owner().below() == (False, 1, "result")


@pins("A property")
@pytest.mark.parametrize(
    "kind",
    [property, functools.cached_property, functools.partialmethod, functools.singledispatchmethod],
)
def test_a_descriptor_that_cannot_be_called_is_refused(kind):
    """The error says so, where the decorator is put on."""
    with pytest.raises(spanwise.DecorationError, match="it is not callable"):
        spanwise.tool(kind(plain))
    assert callable(spanwise.tool(plain))
    kind(spanwise.tool(plain))


# --- when things happen -----------------------------------------------------------------------


@pins("Arguments that do not fit")
async def test_arguments_that_do_not_fit_are_told_at_the_first_step():
    """Of a generator and of a coroutine; of a plain function at the call, as ever."""

    @spanwise.tool
    def generator(a):
        yield a

    @spanwise.tool
    async def coroutine(a): ...

    @spanwise.tool
    async def agenerator(a):
        yield a

    made, waiting, amade = generator(), coroutine(), agenerator()
    for go in (lambda: next(made), lambda: waiting.send(None), lambda: anext(amade).send(None)):
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
            go()
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        generator.__wrapped__()


class ignored_unraisable:
    """Let Python complain of what it can only print."""

    def __enter__(self):
        self.hook, sys.unraisablehook = sys.unraisablehook, lambda _: None

    def __exit__(self, *_):
        gc.collect()
        sys.unraisablehook = self.hook


class Thing:
    """Something whose end can be watched."""


@pins("A plain function's arguments")
def test_a_plain_functions_arguments_live_until_it_returns():
    """The shell holds them, where an undecorated function can let go of them."""

    def body(argument):
        del argument
        return reference() is None

    freed = []
    for function in (body, spanwise.tool(body)):
        arguments = [Thing()]
        reference = weakref.ref(arguments[0])
        freed.append(function(arguments.pop()))
        assert reference() is None
    # Before Python 3.11 the caller of any function holds them as well.
    assert freed == [sys.version_info >= (3, 11), False]


@pins('"generator raised StopIteration"')
async def test_an_error_that_python_makes_of_a_generator_has_a_line_of_the_shell():
    """And so has what is thrown into one that was never started."""

    @spanwise.tool
    def generator():
        yield
        raise StopIteration

    with pytest.raises(RuntimeError) as raised:
        list(generator())
    assert _shells.__file__ in files_of(raised.value)
    for make in (generator, generator.__wrapped__):
        with pytest.raises(ValueError) as thrown:
            make().throw(ValueError())
        last = files_of(thrown.value)[-1]
        assert last == (_shells.__file__ if make is generator else __file__)


@pins("A generator that is collected")
def test_a_collected_generator_that_goes_on_is_asked_to_end_twice():
    """Once as the wrapper's, once as the one in it; Python tells of each time."""

    def times_asked(dec):
        @dec
        def stubborn():
            for _ in range(5):
                try:
                    yield
                except GeneratorExit:
                    asked.append(True)

        asked: list[bool] = []
        with ignored_unraisable():
            made = stubborn()
            next(made)
            del made
            gc.collect()
        return len(asked)

    assert (times_asked(lambda f: f), times_asked(spanwise.tool)) == (1, 2)


# --- coroutines that no event loop drives -----------------------------------------------------


@pins("A coroutine that answers")
def test_a_coroutine_that_goes_on_after_close_is_over():
    """Python's RuntimeError arrives; the plain one could be resumed after it."""

    def made_by(dec):
        @dec
        async def stubborn():
            try:
                await checkpoint()
            except GeneratorExit as error:
                seen.append(error.args)
                await checkpoint()

        return stubborn()

    states = []
    for dec in (lambda f: f, spanwise.tool):
        seen: list[Any] = []
        made = made_by(dec)
        made.send(None)
        with ignored_unraisable(), pytest.raises(RuntimeError, match="ignored GeneratorExit"):
            made.close()
        states.append(inspect.getcoroutinestate(made))
        if states[-1] == inspect.CORO_SUSPENDED:
            with pytest.raises(StopIteration):
                made.send(None)
    assert states == [inspect.CORO_SUSPENDED, inspect.CORO_CLOSED]


@pins("What a coroutine returns")
def test_what_a_coroutine_returns_when_it_is_closed_is_lost():
    """Python closes what is awaited, and drops what it returns."""

    def closed(dec):
        @dec
        async def body():
            try:
                await checkpoint()
            except GeneratorExit:
                return "result"

        made = body()
        made.send(None)
        return made.close()

    assert closed(lambda f: f) == ("result" if sys.version_info >= (3, 13) else None)
    assert closed(spanwise.tool) is None


@pins("A GeneratorExit thrown")
def test_a_generator_exit_thrown_into_a_coroutine_arrives_as_another():
    """Python closes what is awaited, instead of throwing it in; the same leaves at the end."""

    @spanwise.tool
    async def body():
        try:
            await checkpoint()
        except GeneratorExit as error:
            seen.append(error)
            raise

    seen: list[Any] = []
    made = body()
    made.send(None)
    error = GeneratorExit("thrown")
    with pytest.raises(GeneratorExit) as raised:
        made.throw(error)
    assert raised.value is error
    assert seen[0].args == ()


@pins("A coroutine that is driven by hand")
def test_a_coroutine_driven_by_hand_leaves_its_span_current_between_steps(mode):
    """Until it ends; a task of an event loop has a context of its own, where nobody sees it."""

    @spanwise.tool
    async def body():
        await checkpoint()

    before = context_api.get_current()
    made = body()
    made.send(None)
    assert (context_api.get_current() is before) == (mode == "unconfigured")
    assert spanwise.current().name == ("body" if mode == "configured" else "")
    made.close()
    assert context_api.get_current() is before

    async def main():
        task = asyncio.ensure_future(body_of_a_task())
        await asyncio.sleep(0)
        seen = spanwise.current().name
        await task
        return seen

    @spanwise.tool
    async def body_of_a_task():
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    assert asyncio.run(main()) == ""


@pins("A function marked")
def test_a_function_marked_as_a_coroutine_function_begins_when_it_is_awaited():
    """The shell is a coroutine function, as the mark says."""
    if not hasattr(inspect, "markcoroutinefunction"):
        pytest.skip("since Python 3.12")
    log = []

    @spanwise.tool
    @inspect.markcoroutinefunction
    def start():
        log.append("started")
        return asyncio.sleep(0, "result")

    assert inspect.iscoroutinefunction(start)
    waiting = start()
    assert log == []
    assert asyncio.run(waiting) == "result"
    assert log == ["started"]


# --- what is asked of values ------------------------------------------------------------------


@pins("With `record`")
def test_a_recording_asks_arguments_for_their_repr(tmp_path, mode):
    """Without one nothing is asked of them."""

    class Asked:
        def __repr__(self):
            log.append(threading.get_ident())
            return "Asked()"

    log: list[int] = []
    traced(Asked())
    assert log == []
    if mode == "configured":
        spanwise.configure(record=tmp_path / "calls.jsonl")
        traced(Asked())
        assert set(log) == {threading.get_ident()}


# --- spans --------------------------------------------------------------------------------------


@pins("`type(span)` is `LeanSpan`")
def test_a_span_is_of_a_class_of_ours_and_one_of_the_sdks(mode):
    """And says so of itself, unless it is switched off."""
    if mode == "unconfigured" or os.environ.get("SPANWISE_LEAN_SPANS") == "false":
        return
    with spanwise.observe("x") as observation:
        assert "LeanSpan" == type(observation.span).__name__
        assert repr(observation.span).startswith('LeanSpan(name="x"')
        assert isinstance(observation.span, Span)
    spanwise.configure(lean_spans=False)
    with spanwise.observe("x") as observation:
        assert "_Span" == type(observation.span).__name__


@pins("A method of a span that somebody replaced")
def test_a_replaced_end_is_not_called_when_a_decorated_function_ends(mode):
    """Its span ends all the same."""
    if mode == "unconfigured" or os.environ.get("SPANWISE_LEAN_SPANS") == "false":
        return
    called = []
    with spanwise.observe("x") as observation:
        observation.span.end = lambda *args: called.append(args)
    assert [] == called
    assert not observation.is_recording()
