"""A handler that flushes on its return: what it made is there, and nothing else is different."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import spanwise
from spanwise import _flush_on_return
from support.faulty_collector import Behaviour, FaultyCollector
from support.programs import Outcome
from support.work import Work

# Of what must not be waited for.
LONG_S = 60.0
PATIENCE_S = 4.0


@pytest.fixture
def collector():
    with FaultyCollector() as made:
        yield made


@pytest.fixture
def work(collector):
    spanwise.configure(otlp_endpoint=collector.url)
    return Work()


@pytest.fixture
def flushes(monkeypatch):
    """Return the timeouts of the flushes so far, instead of flushing."""
    seen = []
    monkeypatch.setattr(_flush_on_return, "flush", seen.append)
    return seen


class Error(Exception):
    """What a handler raises."""


def flushed(timeout):
    """Return the decorator with a timeout, or bare."""
    if timeout is None:
        return spanwise.flush_on_return
    return spanwise.flush_on_return(timeout=timeout)


forms = pytest.mark.parametrize("timeout", [None, LONG_S], ids=["bare", "with a timeout"])


# When the handler has returned, the collector has its spans


@forms
def test_what_a_function_made_is_there_when_it_returns(collector, work, timeout):
    """Or raises."""

    @flushed(timeout)
    def handle(number):
        work.do(number)
        if number == 13:
            raise Error
        return number

    assert 5 == handle(5)
    assert Outcome(5) == work.outcome(collector)
    with pytest.raises(Error):
        handle(number=13)
    assert Outcome(18) == work.outcome(collector)


@forms
async def test_what_a_coroutine_made_is_there_when_it_returns(collector, work, timeout):
    """Or raises, or is cancelled."""
    is_waiting = asyncio.Event()

    @flushed(timeout)
    async def handle(number):
        work.do(number)
        await asyncio.sleep(0)
        if number == 13:
            raise Error
        if number == 7:
            is_waiting.set()
            await asyncio.sleep(LONG_S)
        return number

    assert 5 == await handle(5)
    assert Outcome(5) == work.outcome(collector)
    with pytest.raises(Error):
        await handle(number=13)
    assert Outcome(18) == work.outcome(collector)
    task = asyncio.create_task(handle(7))
    await is_waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert Outcome(25) == work.outcome(collector)


@forms
def test_what_a_generator_made_is_there_when_it_is_left(collector, work, timeout):
    """At its end, with an exception of its own or a thrown one, or when it is closed."""

    @flushed(timeout)
    def handle(steps):
        received = []
        for number in range(steps):
            work.do(1)
            try:
                received.append((yield number))
            except KeyError as error:
                received.append(str(error))
        if steps == 3:
            raise Error
        return received

    def seen_at_the_end(steps):
        yield from [0]
        return (yield from handle(steps))

    assert [0, 0, 1, 2, 3] == list(seen_at_the_end(4))
    assert Outcome(4) == work.outcome(collector)
    given = handle(2)
    assert [0, 1] == [next(given), given.send("sent")]
    with pytest.raises(StopIteration) as stopped:
        given.throw(KeyError("thrown"))
    assert ["sent", "'thrown'"] == stopped.value.value
    assert Outcome(6) == work.outcome(collector)
    with pytest.raises(Error):
        list(handle(3))
    assert Outcome(9) == work.outcome(collector)
    given = handle(3)
    next(given)
    with pytest.raises(Error):
        given.throw(Error())
    assert Outcome(10) == work.outcome(collector)
    given = handle(3)
    next(given)
    given.close()
    assert Outcome(11) == work.outcome(collector)


@forms
async def test_what_an_async_generator_made_is_there_when_it_is_left(collector, work, timeout):
    """As with the others."""
    received = []

    @flushed(timeout)
    async def handle(steps):
        for number in range(steps):
            work.do(1)
            await asyncio.sleep(0)
            try:
                received.append((yield number))
            except KeyError as error:
                received.append(str(error))
        if steps == 3:
            raise Error

    assert [0, 1, 2, 3] == [number async for number in handle(4)]
    assert Outcome(4) == work.outcome(collector)
    received.clear()
    given = handle(2)
    assert [0, 1] == [await given.__anext__(), await given.asend("sent")]
    with pytest.raises(StopAsyncIteration):
        await given.athrow(KeyError("thrown"))
    assert ["sent", "'thrown'"] == received
    assert Outcome(6) == work.outcome(collector)
    with pytest.raises(Error):
        [number async for number in handle(3)]
    assert Outcome(9) == work.outcome(collector)
    given = handle(3)
    await given.__anext__()
    with pytest.raises(Error):
        await given.athrow(Error())
    assert Outcome(10) == work.outcome(collector)
    given = handle(3)
    await given.__anext__()
    await given.aclose()
    assert Outcome(11) == work.outcome(collector)


def test_a_stream_that_is_cancelled_has_flushed(collector, work):
    """Its consumer sees the cancellation."""

    @spanwise.flush_on_return(timeout=LONG_S)
    async def handle():
        work.do(1)
        yield 1
        work.do(1)
        await asyncio.sleep(LONG_S)

    async def main():
        async def consume():
            async for _ in handle():
                pass

        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(consume(), 0.2)
        assert Outcome(2) == work.outcome(collector)

    asyncio.run(main())


def test_a_stream_that_is_left_open_is_closed_with_its_loop(collector, work, caplog):
    """Once, and in order: `asyncio.run` closes what was left."""
    order = []
    left = []

    @spanwise.flush_on_return(timeout=LONG_S)
    async def handle():
        try:
            work.do(1)
            yield 1
            order.append("never reached")
        finally:
            await asyncio.sleep(0)
            order.append("closed")

    async def main():
        for _ in range(5):
            left.append(handle())
            await left[-1].__anext__()

    asyncio.run(main())
    assert ["closed"] * 5 == order
    assert Outcome(5) == work.outcome(collector)
    assert [] == [record.message for record in caplog.records if record.name == "asyncio"]


def test_it_stands_around_an_observed_handler(collector, tmp_path):
    """Whose own span is there, too."""
    spanwise.configure(otlp_endpoint=collector.url)

    @spanwise.flush_on_return
    @spanwise.agent
    def handle(event, context=None):
        return event

    @spanwise.flush_on_return(timeout=LONG_S)
    @spanwise.agent
    async def stream(event):
        yield event

    async def main():
        assert ["x"] == [item async for item in stream("x")]

    assert "x" == handle("x")
    assert {"handle": 1} == collector.names
    asyncio.run(main())
    assert {"handle": 1, "stream": 1} == collector.names


# It is the function that it was


def function(a: int, *, b: str = "x") -> list[int]:
    """Do something."""
    return [a]


async def coroutine(a: int, *, b: str = "x") -> list[int]:
    """Do something."""
    return [a]


def generator(a: int, *, b: str = "x"):
    """Do something."""
    yield a


async def async_generator(a: int, *, b: str = "x"):
    """Do something."""
    yield a


KINDS = (
    inspect.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
)


@forms
@pytest.mark.parametrize("given", [function, coroutine, generator, async_generator])
def test_kind_and_signature_are_kept(given, timeout):
    """And name, documentation and the function itself."""
    made = flushed(timeout)(given)
    assert [kind(given) for kind in KINDS] == [kind(made) for kind in KINDS]
    assert inspect.signature(given) == inspect.signature(made)
    assert (given.__name__, given.__doc__) == (made.__name__, made.__doc__)
    assert given is made.__wrapped__


class Handler:
    """Handlers of every kind of method."""

    name = "of the class"

    def __init__(self):
        self.name = "of the object"

    @spanwise.flush_on_return
    def method(self, event):
        return self.name, event

    @spanwise.flush_on_return
    @classmethod
    def outside_of_a_classmethod(cls, event):
        return cls.name, event

    @classmethod
    @spanwise.flush_on_return
    def inside_of_a_classmethod(cls, event):
        return cls.name, event

    @spanwise.flush_on_return(timeout=1)
    @staticmethod
    def outside_of_a_staticmethod(event):
        return "static", event

    @staticmethod
    @spanwise.flush_on_return(timeout=1)
    def inside_of_a_staticmethod(event):
        return "static", event

    def __call__(self, event):
        return "called", event


class AsyncHandler:
    """An object that is called like a coroutine function."""

    async def __call__(self, event):
        return "called", event


def test_methods_of_every_kind_are_decorated(flushes):
    """Whichever decorator is outside."""
    handler = Handler()
    assert ("of the object", 1) == handler.method(1)
    for one in (handler.outside_of_a_classmethod, handler.inside_of_a_classmethod):
        assert ("of the class", 1) == one(1)
    for one in (handler.outside_of_a_staticmethod, handler.inside_of_a_staticmethod):
        assert ("static", 1) == one(1)
    assert ("static", 2) == Handler.outside_of_a_staticmethod(2)
    assert [2.0, 2.0, 2.0, 1, 1, 1] == flushes


async def test_partials_and_callable_objects_are_of_the_kind_of_what_they_call(flushes):
    """The wait comes after the call, not after the making of a coroutine."""
    assert ("called", 1) == spanwise.flush_on_return(Handler())(1)
    assert [5] == spanwise.flush_on_return(functools.partial(function, 5))()
    assert 2 == len(flushes)
    made = spanwise.flush_on_return(AsyncHandler())
    assert inspect.iscoroutinefunction(made)
    running = made(1)
    assert 2 == len(flushes)
    assert ("called", 1) == await running
    assert 3 == len(flushes)
    made = spanwise.flush_on_return(functools.partial(coroutine, 5))
    assert inspect.iscoroutinefunction(made)
    assert [5] == await made()
    assert 4 == len(flushes)


@pytest.mark.parametrize(
    "given", [5, 2.0, "handle", [], object()], ids=["int", "float", "str", "list", "object"]
)
def test_only_functions_can_be_decorated(given):
    """The error says what was given."""
    with pytest.raises(spanwise.DecorationError, match="decorates functions, not "):
        spanwise.flush_on_return(given)
    with pytest.raises(spanwise.DecorationError, match="decorates functions, not "):
        spanwise.flush_on_return(timeout=1)(given)


def test_a_class_cannot_be_decorated():
    """Its methods can."""
    with pytest.raises(spanwise.DecorationError, match="decorates functions, not <class"):
        spanwise.flush_on_return(Handler)


@pytest.mark.parametrize("timeout", ["soon", "2", None, True, float("nan"), [2]])
def test_a_timeout_is_a_number_of_seconds(timeout):
    """The error comes with the decoration, not with a call."""
    with pytest.raises(TypeError, match="timeout must be a number of seconds, not "):
        spanwise.flush_on_return(timeout=timeout)


@pytest.mark.parametrize(
    "timeout",
    [0, -1, 0.5, 10**400, float("inf"), -float("inf")],
    ids=["none", "less than none", "half", "a lot", "infinite", "minus infinite"],
)
def test_any_number_of_seconds_will_do(work, timeout):
    """Nothing is raised at the call, and nothing waited for that is not there."""

    @spanwise.flush_on_return(timeout=timeout)
    def handle():
        return 1

    assert 1 == handle()


# It never costs more than it says


@pytest.mark.parametrize(("fault", "timeout"), [("hanging", None), ("dead", 0.5)])
def test_a_collector_that_is_away_costs_the_timeout_at_most(collector, work, fault, timeout):
    """The result is the same, and what is not sent by then is sent later."""
    if fault == "dead":
        collector.down()
    else:
        collector.behaviour = Behaviour(fault="hang")

    @flushed(timeout)
    def handle(event):
        work.do(10)
        return event

    @flushed(timeout)
    async def handle_async(event):
        work.do(10)
        return event

    most_s = (_flush_on_return.TIMEOUT_S if timeout is None else timeout) + PATIENCE_S
    for call in (handle, lambda event: asyncio.run(handle_async(event))):
        since = time.monotonic()
        assert "event" == call("event")
        assert time.monotonic() - since < most_s
    assert set() == collector.accepted
    collector.behaviour = Behaviour()
    collector.down()
    collector.up()
    assert spanwise.flush(LONG_S) is True
    assert Outcome(20) == work.outcome(collector)


@pytest.fixture
def slow_flush(monkeypatch):
    """Have every flush take half a second."""
    monkeypatch.setattr(_flush_on_return, "flush", lambda timeout: time.sleep(0.5))


async def test_the_event_loop_goes_on_meanwhile(slow_flush):
    """Other tasks have their turns."""
    turns = 0

    async def take_turns():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.01)

    task = asyncio.create_task(take_turns())
    before = turns
    await spanwise.flush_on_return(coroutine)(1)
    assert turns > before + 5
    before = turns
    assert [1] == [item async for item in spanwise.flush_on_return(async_generator)(1)]
    assert turns > before + 5
    task.cancel()


async def test_it_does_not_wait_for_threads_of_the_program(flushes):
    """The executor of the event loop may be busy with something long, or shut down."""
    is_over = threading.Event()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    busy = loop.run_in_executor(None, is_over.wait, LONG_S)
    try:
        assert [1] == await asyncio.wait_for(spanwise.flush_on_return(coroutine)(1), 20)
    finally:
        is_over.set()
        await busy
    await loop.shutdown_default_executor()
    assert [1] == await spanwise.flush_on_return(coroutine)(1)
    assert [2.0, 2.0] == flushes


def test_there_need_not_be_an_event_loop_of_asyncio(flushes):
    """Whatever runs the coroutine, it flushes and raises nothing of its own."""
    with pytest.raises(StopIteration) as stopped:
        spanwise.flush_on_return(coroutine)(1).send(None)
    assert [1] == stopped.value.value
    given = spanwise.flush_on_return(async_generator)(1)
    with pytest.raises(StopIteration) as stopped:
        given.__anext__().send(None)
    assert 1 == stopped.value.value
    with pytest.raises(StopIteration):
        given.aclose().send(None)
    assert [2.0, 2.0] == flushes


def test_where_no_thread_can_be_started_it_waits_where_it_is(flushes, monkeypatch):
    """As at the exit of the interpreter."""

    def start(self):
        raise RuntimeError("can't start new thread")

    async def main():
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", start)
            return await spanwise.flush_on_return(coroutine)(1)

    assert [1] == asyncio.run(main())
    assert [2.0] == flushes


async def test_a_task_can_be_cancelled_while_it_waits(slow_flush):
    """The cancellation is not lost, and the thread that waits raises nothing afterwards."""
    task = asyncio.create_task(spanwise.flush_on_return(coroutine)(1))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.6)


def test_a_loop_may_be_closed_while_something_waits(slow_flush):
    """The thread that waits finds nobody to tell, and raises nothing."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(spanwise.flush_on_return(coroutine)(1))
    loop.run_until_complete(asyncio.sleep(0.1))
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
    time.sleep(0.6)
    gc.collect()


def test_without_a_configuration_nothing_is_waited_for():
    """As after a shutdown."""
    since = time.monotonic()
    assert [1] == spanwise.flush_on_return(timeout=LONG_S)(function)(1)
    assert [1] == asyncio.run(spanwise.flush_on_return(timeout=LONG_S)(coroutine)(1))
    assert time.monotonic() - since < LONG_S / 2


def test_a_generator_that_never_began_flushes_nothing(flushes):
    """There is nothing that it made."""
    spanwise.flush_on_return(generator)(1).close()
    given = spanwise.flush_on_return(generator)(1)
    del given
    gc.collect()
    assert [] == flushes
