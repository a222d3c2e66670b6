"""Children made by a fork: they talk through a pipe, may be killed, and are waited for in bounds."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

WATCHDOG_S = 60


def fork_in_c() -> int:
    """Fork as a library does that is not Python's: none of its hooks runs.

    The interpreter is kept meanwhile, as such libraries do: a thread that had it then would not be
    there in the child to give it back.
    """
    assert sys.platform == "linux", "the C library is found by another name elsewhere"
    return int(ctypes.PyDLL(None).fork())


class Child:
    """A forked child that runs a function, which is given its end of a pipe.

    Args:
        function: what it returns is what `result` returns here; the child ends with `os._exit`.
        fork: makes the child; another one than `os.fork` may run no hooks.
    """

    def __init__(
        self, function: Callable[[Connection], Any], fork: Callable[[], int] = os.fork
    ) -> None:
        self.pipe, theirs = Pipe()
        self.status: int | None = None
        self.pid = fork()
        if self.pid == 0:
            status = 1
            try:
                self.pipe.close()
                theirs.send(("returned", function(theirs)))
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        theirs.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        if self.status is None:
            self.kill()
        self.pipe.close()

    def hear(self) -> Any:
        """Return the next thing that the child sends."""
        assert self.pipe.poll(WATCHDOG_S), "the child says nothing"
        return self.pipe.recv()

    def say(self, something: Any = None) -> None:
        """Send something to the child."""
        self.pipe.send(something)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End the child with a signal, and wait until it is gone."""
        if self.status is None:
            os.kill(self.pid, number)
            self.wait()

    def wait(self) -> int:
        """Wait until the child is gone; return its exit code, negative for a signal."""
        until = time.monotonic() + WATCHDOG_S
        while self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > until:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                self.status = -signal.SIGKILL
                raise AssertionError("the child does not end")
            else:
                time.sleep(0.001)
        return self.status

    def heard_to_the_end(self) -> list[Any]:
        """Return all that the child sent and that was not heard yet, and wait until it is gone."""
        heard = []
        try:
            while True:
                heard.append(self.hear())
        except (EOFError, ConnectionResetError):
            pass
        self.wait()
        return heard

    def result(self) -> Any:
        """Return what the function returned."""
        kind, value = self.heard_to_the_end()[-1]
        assert self.status == 0
        assert kind == "returned"
        return value


def in_child(function: Callable[[], Any]) -> Any:
    """Return what a function returns that is called in a forked child."""
    with Child(lambda _: function()) as child:
        return child.result()
