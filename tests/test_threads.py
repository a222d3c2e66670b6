"""Carrying the context into threads leaves threads, and other libraries' patches, alone."""

from __future__ import annotations

import asyncio
import functools
import multiprocessing.pool
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest
import wrapt
from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import TracerProvider

import spanwise

PATCHED = {
    (threading.Thread, "start"),
    (ThreadPoolExecutor, "submit"),
    *((multiprocessing.pool.Pool, n) for n in ("apply_async", "_map_async", "imap")),
    (multiprocessing.pool.Pool, "imap_unordered"),
}


@pytest.fixture
def other_patch():
    """Somebody else's wrapper around Thread.start, taken off again in the end."""
    plain = threading.Thread.__dict__["start"]
    calls = []

    def other(wrapped, instance, args, kwargs):
        if instance.name == "t":
            calls.append(instance.name)
        return wrapped(*args, **kwargs)

    def patch():
        wrapt.wrap_function_wrapper(threading.Thread, "start", other)
        return threading.Thread.__dict__["start"]

    yield patch, calls
    threading.Thread.start = plain


def run_a_thread():
    seen = []
    thread = threading.Thread(target=lambda: seen.append(spanwise.current().name), name="t")
    thread.start()
    thread.join(10)
    return seen


def test_a_patch_that_was_there_before_is_there_afterwards(other_patch):
    """Ours goes on top and comes off again."""
    patch, calls = other_patch
    theirs = patch()
    spanwise.configure(traces_dir=None)
    with spanwise.observe("outer"):
        assert ["outer"] == run_a_thread()
    spanwise.shutdown()
    assert threading.Thread.__dict__["start"] is theirs
    assert ["t"] == calls


def test_a_patch_that_came_later_stays_and_ours_is_inert(other_patch):
    """What another library put around ours is not taken off with it."""
    patch, calls = other_patch
    spanwise.configure(traces_dir=None)
    theirs = patch()
    spanwise.shutdown()
    assert threading.Thread.__dict__["start"] is theirs
    assert [""] == run_a_thread()
    assert ["t"] == calls
    spanwise.configure(traces_dir=None)
    with spanwise.observe("again"):
        assert ["again"] == run_a_thread()


def test_odd_threads_fail_as_they_would_without_us():
    """One that was never made, one that was started twice, one with a run of its own."""
    spanwise.configure(traces_dir=None)

    class Unmade(threading.Thread):
        def __init__(self):
            pass

    with spanwise.observe("outer"):
        with pytest.raises(RuntimeError, match=r"thread.__init__\(\) not called"):
            Unmade().start()
        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join(10)
        with pytest.raises(RuntimeError, match="threads can only be started once"):
            thread.start()
        ran = []
        own = threading.Thread()

        def run():
            ran.append(spanwise.current().name)

        own.run = run
        own.start()
        own.join(10)
        assert ["outer"] == ran
        assert own.run is run


def test_a_pool_gives_results_exceptions_and_arguments_unchanged():
    """Whether the context is carried or not."""
    spanwise.configure(traces_dir=None)

    def work(*args, **kwargs):
        if not args:
            raise KeyError("nothing")
        return args, kwargs

    with ThreadPoolExecutor(2) as pool, spanwise.observe("outer"):
        assert ((1, 2), {"c": 3}) == pool.submit(work, 1, 2, c=3).result()
        assert isinstance(pool.submit(work).exception(), KeyError)
        assert [((1,), {}), ((2,), {})] == list(pool.map(work, [1, 2]))


# --- every way to another thread --------------------------------------------------------------


def in_a_thread(function):
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join(10)
    return results[0]


def in_a_subclass_of_thread(function):
    class Worker(threading.Thread):
        def run(self):
            self.result = function()

    worker = Worker(daemon=True)
    worker.start()
    worker.join(10)
    return worker.result


def in_a_timer(function):
    results = []
    timer = threading.Timer(0, lambda: results.append(function()))
    timer.start()
    timer.join(10)
    return results[0]


def in_an_executor(function):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result(10)


def in_the_map_of_an_executor(function):
    with ThreadPoolExecutor(1) as pool:
        return next(iter(pool.map(lambda _: function(), [1], timeout=10, chunksize=3)))


def in_nested_pools(function):
    with ThreadPoolExecutor(1) as outer, ThreadPoolExecutor(1) as inner:
        return outer.submit(lambda: inner.submit(function).result(10)).result(10)


def in_asyncio_to_thread(function):
    return asyncio.run(_to_thread(function))


async def _to_thread(function):
    return await asyncio.to_thread(function)


def in_a_loops_executor(function):
    return asyncio.run(_in_executor(function))


async def _in_executor(function):
    return await asyncio.get_running_loop().run_in_executor(None, function)


def in_a_thread_pool(way: str) -> Callable[[Any], Any]:
    def go(function):
        with ThreadPool(1) as pool:
            return THREAD_POOL_WAYS[way](pool, function)

    return go


THREAD_POOL_WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "apply": lambda pool, function: pool.apply(function),
    "apply_async": lambda pool, function: pool.apply_async(func=function).get(10),
    "map": lambda pool, function: pool.map(lambda _: function(), [1], chunksize=1)[0],
    "map_async": lambda pool, function: pool.map_async(lambda _: function(), [1]).get(10)[0],
    "starmap": lambda pool, function: pool.starmap(lambda *_: function(), [(1, 2)])[0],
    "imap": lambda pool, function: next(pool.imap(lambda _: function(), [1])),
    "imap_unordered": lambda pool, function: next(
        pool.imap_unordered(func=lambda _: function(), iterable=[1])
    ),
}

WAYS: dict[str, Callable[[Callable[[], Any]], Any]] = {
    "Thread": in_a_thread,
    "subclass of Thread": in_a_subclass_of_thread,
    "Timer": in_a_timer,
    "submit": in_an_executor,
    "Executor.map": in_the_map_of_an_executor,
    "nested pools": in_nested_pools,
    "to_thread": in_asyncio_to_thread,
    "run_in_executor": in_a_loops_executor,
    **{f"ThreadPool.{way}": in_a_thread_pool(way) for way in THREAD_POOL_WAYS},
}
every_way = pytest.mark.parametrize("way", WAYS)


@spanwise.tool
def work():
    return dict(context_api.get_current()), threading.get_ident()


@every_way
def test_a_span_in_another_thread_is_a_child_of_the_span_that_sent_it_there(files, way):
    """It is stamped with the sender's identity, too."""
    with spanwise.identify(user="jane"), spanwise.observe("sender") as sender:
        _, ident = WAYS[way](work)
    assert ident != threading.get_ident()
    line = files.observation("work")
    assert (line["parent_id"], line["user_id"]) == (sender.id, "jane")


@every_way
def test_without_a_span_nothing_is_carried(files, way):
    """Work that is sent from nowhere begins a trace of its own."""
    WAYS[way](work)
    line = files.observation("work")
    assert (line["parent_id"], line.get("user_id")) == (None, None)


@every_way
@pytest.mark.parametrize("mode", ["propagate_threads=False", "foreign provider", "switched off"])
def test_where_it_is_not_wanted_nothing_is_patched(tmp_path, way, mode):
    """The methods are the very ones from before, and a worker has no context, or asyncio's own."""
    before = {place: vars(place[0])[place[1]] for place in PATCHED}
    if mode == "foreign provider":
        spanwise.configure(traces_dir=tmp_path / "t", tracer_provider=TracerProvider())
    elif mode == "switched off":
        spanwise.configure(traces_dir=tmp_path / "t", enabled=False)
    else:
        spanwise.configure(traces_dir=tmp_path / "t", propagate_threads=False)
    assert {place: vars(place[0])[place[1]] for place in PATCHED} == before
    token = context_api.attach(context_api.set_value("sender's", True))
    carried = WAYS[way](lambda: context_api.get_value("sender's"))
    context_api.detach(token)
    assert carried is (True if way == "to_thread" else None)


def test_all_methods_are_as_before_after_a_shutdown():
    """What was wrapped is unwrapped, on both kinds of pools."""
    before = {place: vars(place[0])[place[1]] for place in PATCHED}
    spanwise.configure(traces_dir=None)
    wrapped = {place for place in PATCHED if vars(place[0])[place[1]] is not before[place]}
    spanwise.shutdown()
    assert wrapped == PATCHED
    assert {place: vars(place[0])[place[1]] for place in PATCHED} == before


class Failure(Exception):
    """An exception of a worker."""


@every_way
def test_an_exception_of_a_worker_is_the_same_object(files, way):
    """What hangs on it is there as it was raised."""
    error, cause = Failure("no"), KeyError("why")
    error.__cause__ = cause

    def fails():
        if way in ("Thread", "subclass of Thread", "Timer"):
            return error  # what leaves a thread is only printed: there is nobody to raise it to
        raise error

    with spanwise.observe("sender"):
        try:
            found = WAYS[way](fails)
        except Failure as caught:
            found = caught
    assert found is error
    assert (error.__cause__, error.__context__) == (cause, None)


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ThreadPool])
def test_a_worker_forgets_the_tenant_of_its_first_task(files, kind):
    """Each task belongs to who sent it; one that nobody's span sent belongs to nobody."""
    with spanwise.identify(user="first"), spanwise.observe("creator"):
        pool = kind(1)
        _run_in(pool, work)
    with spanwise.identify(user="second"), spanwise.observe("other"):
        _run_in(pool, work)
    seen = _run_in(pool, work)
    later = _run_in(pool, lambda: dict(context_api.get_current()))
    _end(pool)
    users = [line.get("user_id") for line in files.observations() if line["name"] == "work"]
    assert users == ["first", "second", None]
    assert later == {}
    parents = {line["id"]: line["name"] for line in files.observations()}
    works = [line["parent_id"] for line in files.observations() if line["name"] == "work"]
    assert [parents.get(parent) for parent in works] == ["creator", "other", None]
    assert seen[1] != threading.get_ident()


def _run_in(pool: Any, function: Callable[[], Any]) -> Any:
    return pool.submit(function).result(10) if hasattr(pool, "submit") else pool.apply(function)


def _end(pool: Any) -> None:
    if hasattr(pool, "shutdown"):
        pool.shutdown()
    else:
        pool.terminate()
        pool.join()


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ThreadPool])
def test_a_task_that_fails_leaves_nothing_to_the_next(files, kind):
    """The worker's context is given back after an exception, also one that is no Exception."""

    def fails():
        context_api.attach(context_api.set_value("left", True))
        raise Failure

    pool = kind(1)
    with spanwise.observe("sender"), pytest.raises(Failure):
        _run_in(pool, fails)
    assert "spanwise" not in str(_run_in(pool, lambda: dict(context_api.get_current())))
    _end(pool)


def test_a_pools_initializer_runs_without_the_context_of_its_first_task(files):
    """What a worker sets up is for all tasks, and belongs to none."""
    seen = []

    def initialize(value):
        seen.append((value, dict(context_api.get_current())))

    with spanwise.observe("sender"):
        with ThreadPoolExecutor(1, initializer=initialize, initargs=("a",)) as pool:
            pool.submit(int).result(10)
        with ThreadPool(1, initializer=initialize, initargs=("b",)) as other:
            other.apply(int)
    assert seen == [("a", {}), ("b", {})]


def test_a_pool_made_before_spanwise_is_configured_carries_the_context_too(files):
    """Its threads run already; what counts is who sends the task."""
    spanwise.shutdown()
    with ThreadPool(1) as pool, ThreadPoolExecutor(1) as executor:
        for one in (pool, executor):
            _run_in(one, int)
        spanwise.configure(traces_dir=files.folder)
        with spanwise.observe("sender") as sender:
            for one in (pool, executor):
                _run_in(one, work)
    works = [line for line in files.observations() if line["name"] == "work"]
    assert [line["parent_id"] for line in works] == [sender.id, sender.id]


def test_a_class_of_pools_that_is_loaded_later_is_found_with_its_first_thread(monkeypatch):
    """`multiprocessing.pool` is not loaded for programs that do not use it."""
    monkeypatch.delitem(sys.modules, "multiprocessing.pool")
    plain = vars(multiprocessing.pool.Pool)["apply_async"]
    spanwise.configure(traces_dir=None)
    assert vars(multiprocessing.pool.Pool)["apply_async"] is plain
    monkeypatch.setitem(sys.modules, "multiprocessing.pool", multiprocessing.pool)
    with spanwise.observe("sender"), ThreadPool(1) as pool:
        assert pool.apply(lambda: spanwise.current().name) == "sender"
    spanwise.shutdown()
    assert vars(multiprocessing.pool.Pool)["apply_async"] is plain


def test_functions_that_travel_are_sent_as_they_are(monkeypatch):
    """Pools of processes and of interpreters pickle what they are given: no context goes along."""
    spanwise.configure(traces_dir=None)
    sent = []

    class InterpreterPoolExecutor(ThreadPoolExecutor):
        """Stands in for the one of Python 3.14."""

    module = types.SimpleNamespace(InterpreterPoolExecutor=InterpreterPoolExecutor)
    monkeypatch.setitem(sys.modules, "concurrent.futures.interpreter", module)
    monkeypatch.setattr(
        multiprocessing.pool.Pool, "_check_running", lambda pool: sent.append(type(pool).__name__)
    )

    def task():
        return spanwise.current().name

    with spanwise.observe("sender"), InterpreterPoolExecutor(1) as pool:
        assert pool.submit(task).result(10) == ""

    class Recorder(multiprocessing.pool.Pool):
        def __init__(self):
            self._cache, self._taskqueue = {}, types.SimpleNamespace(put=sent.append)

        def __del__(self):
            pass

        def _repopulate_pool(self): ...

    with spanwise.observe("sender"):
        Recorder().apply_async(task)
    assert sent[0] == "Recorder"
    assert sent[1][0][0][2] is task


def test_timeouts_and_order_of_a_map_are_as_without_us(files):
    """Results come in order, the timeout is the program's, and later items are cancelled."""
    gate = threading.Event()

    def wait(n):
        if n == 1:
            gate.wait(10)
        return n

    with ThreadPoolExecutor(2) as pool, spanwise.observe("sender"):
        results = pool.map(wait, range(3), timeout=0.05)
        assert next(results) == 0
        with pytest.raises(futures.TimeoutError):
            next(results)
        gate.set()
        assert list(pool.map(wait, range(5), chunksize=2)) == [0, 1, 2, 3, 4]
        assert list(pool.map(pow, [2, 3], [3, 2])) == [8, 9]


def test_a_future_is_cancelled_and_called_back_as_without_us(files):
    """Callbacks, cancellation and what is not callable behave as Python has it."""
    gate, called = threading.Event(), []
    with ThreadPoolExecutor(1) as pool, spanwise.observe("sender"):
        running = pool.submit(gate.wait, 10)
        waiting = pool.submit(work)
        waiting.add_done_callback(called.append)
        assert waiting.cancel()
        gate.set()
        assert running.result(10)
        assert called == [waiting]
        assert "not callable" in str(pool.submit(None).exception(10))
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'fn'"):
            pool.submit()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        pool.submit(work)
    assert [line["name"] for line in files.observations()] == ["sender"]


def test_a_worker_keeps_no_argument_after_its_task(files):
    """What a task was given goes with the task; the context that it had goes as well."""
    import gc
    import weakref

    class Big:
        """Something whose end can be watched."""

    big = Big()
    reference = weakref.ref(big)
    with ThreadPoolExecutor(1) as pool:
        with spanwise.observe("sender"):
            pool.submit(id, big).result(10)
        del big
        pool.submit(int).result(10)
        gc.collect()
        assert reference() is None


def test_many_threads_of_many_tenants_do_not_mix(files):
    """Each task of each tenant, in shared pools, is a child of its own sender."""

    @spanwise.tool
    def task(n):
        time.sleep(0)
        return n

    @spanwise.interaction
    def request(n):
        with spanwise.identify(user=f"user {n}"):
            return [*executor.map(task, [n] * 3), *pool.map(task, [n] * 3)]

    with ThreadPoolExecutor(4) as executor, ThreadPool(4) as pool:
        threads = [threading.Thread(target=functools.partial(request, n)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    lines = files.observations()
    senders = {line["id"]: line["input"]["n"] for line in lines if line["name"] == "request"}
    tasks = [line for line in lines if line["name"] == "task"]
    assert len(tasks) == 48
    for line in tasks:
        assert senders[line["parent_id"]] == line["input"]["n"]
        assert line["user_id"] == f"user {line['input']['n']}"


@pytest.fixture(autouse=True)
def nothing_fails_to_detach(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No test here makes OpenTelemetry complain."""
    yield
    said = [r.getMessage() for r in caplog.get_records("call") if "opentelemetry" in r.name]
    assert said == []
    assert trace_api.get_current_span() is trace_api.INVALID_SPAN
