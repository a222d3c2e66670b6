"""What belongs to one process: made once in it, and made anew in each child."""

from __future__ import annotations

import gc
import os
import sys
import threading
from typing import ClassVar

import pytest

from spanwise._processes import PerProcess
from support.forks import Child, fork_in_c, in_child

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]


class Made:
    """Remembers who made it, and says when it is destroyed."""

    destroyed: ClassVar[list[int]] = []

    def __init__(self):
        self.pid = os.getpid()

    def __del__(self):
        self.destroyed.append(self.pid)


def test_a_value_is_made_when_it_is_first_asked_for():
    """It is the same one from then on; a look at it makes none."""
    own = PerProcess(Made)
    assert own.peek() is None
    made = own.get()
    assert made is own.get()
    assert made is own.peek()


def test_a_forked_child_has_a_value_of_its_own():
    """Until it asks for it, it has none; its parent's and its own child's are other ones."""
    own = PerProcess(Made)
    mine = own.get()

    def child():
        assert own.peek() is None
        theirs = own.get()
        assert theirs.pid == os.getpid()
        assert theirs is not mine
        assert theirs is own.peek()
        return in_child(lambda: (own.peek() is None, own.get().pid == os.getpid()))

    assert (True, True) == in_child(child)
    assert mine is own.get()


@pytest.mark.skipif(sys.platform != "linux", reason="the C library is found by another name")
def test_a_fork_made_in_c_gives_a_value_of_its_own_too():
    """No hook of Python's runs in such a child."""
    own = PerProcess(Made)
    own.get()
    with Child(lambda _: (own.peek() is None, own.get().pid == os.getpid()), fork_in_c) as child:
        assert (True, True) == child.result()


def test_what_a_parent_made_is_let_go_once_and_never_destroyed_in_a_child():
    """Its destructor would close what the parent still works with."""
    let_go = []
    own = PerProcess(Made, let_go.append)
    mine = own.get()

    def child():
        nonlocal mine
        Made.destroyed.clear()
        kept = id(mine)
        mine = None
        own.get()
        own.get()
        gc.collect()
        return [id(value) == kept for value in let_go], list(Made.destroyed)

    assert ([True], []) == in_child(child)
    assert [] == let_go


def test_each_generation_lets_go_of_what_the_one_before_it_made():
    """A grandchild is given its parent's value, not once more its grandparent's."""
    let_go = []
    own = PerProcess(Made, lambda value: let_go.append(value.pid))
    own.get()

    def grandchild():
        own.get()
        return list(let_go), os.getppid()

    def child():
        own.get()
        let_go.clear()
        return in_child(grandchild)

    given, parent = in_child(child)
    assert [parent] == given


def test_a_grandchild_that_nobody_between_asked_for_has_a_value_of_its_own():
    """What two generations ago was made is let go where a value is first asked for."""
    own = PerProcess(Made)
    first = own.get().pid

    def child():
        return in_child(lambda: (own.peek() is None, own.get().pid == os.getpid()))

    assert (True, True) == in_child(child)
    assert first == own.get().pid


def test_threads_that_ask_at_once_get_the_same_value():
    """Of two that make one, one throws its own away."""
    at_once = threading.Barrier(8)

    def make():
        at_once.wait(30)  # each of them is making one by now
        return Made()

    own = PerProcess(make)
    got = []
    threads = [threading.Thread(target=lambda: got.append(own.get())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert 8 == len(got)
    assert {id(own.get())} == {id(value) for value in got}


def test_a_fork_while_another_thread_makes_the_value_hangs_nothing():
    """There is no lock that the fork could have taken along."""
    is_making, go_on = threading.Event(), threading.Event()
    parent = os.getpid()

    def make():
        if os.getpid() == parent:
            is_making.set()
            go_on.wait(30)
        return Made()

    own = PerProcess(make)
    thread = threading.Thread(target=own.get)
    thread.start()
    assert is_making.wait(30)
    assert in_child(lambda: own.get().pid == os.getpid())
    go_on.set()
    thread.join(30)
    assert parent == own.get().pid


def test_a_value_that_is_let_go_in_vain_is_still_replaced():
    """A fault in letting go is the caller's to see, once; after that there is a value."""

    def let_go(value):
        raise OSError("no")

    own = PerProcess(Made, let_go)
    own.get()

    def child():
        with pytest.raises(OSError, match="no"):
            own.get()
        return own.get().pid == os.getpid()

    assert in_child(child)
