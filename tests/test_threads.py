"""Carrying the context into threads leaves threads, and other libraries' patches, alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import wrapt

import spanwise


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
