"""What each process makes for itself, and which process that is.

A forked child never works with its parent's. It is told by a fork hook, since it may have the
process id of an ancestor that is gone, and by its process id: a fork made in C runs no hooks.
"""

from __future__ import annotations

import os
import socket
import threading
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """A value of the current process, made when it is first asked for.

    Args:
        make: makes the value; it must take nothing that would have to be given back, since of
            two threads that ask at once one throws its own away.
        let_go: is given, in a forked child, what its parent made; it stays referenced after that,
            so that no destructor of it ever runs in the child.
    """

    def __init__(self, make: Callable[[], T], let_go: Callable[[T], None] | None = None) -> None:
        self._make = make
        self._let_go = let_go
        self._made: dict[int, T] = {}
        self._inherited: list[T] = []
        _all.add(self)

    def get(self) -> T:
        """Return the value of this process."""
        found = self._made.get(os.getpid())
        return found if found is not None else self._renewed()

    def peek(self) -> T | None:
        """Return the value of this process if there is one already."""
        return self._made.get(os.getpid())

    def _renewed(self) -> T:
        pid = os.getpid()
        _look_for_fork_in_c(pid)
        found = self._made.setdefault(pid, self._make())  # atomic: no lock that a fork could keep
        for other in list(self._made):
            inherited = self._made.pop(other, None) if other != pid else None
            if inherited is not None:
                self._inherited.append(inherited)
                if self._let_go is not None:
                    self._let_go(inherited)
        return found

    def disown(self) -> None:
        """Have what was made belong to no process id any more; called in a forked child."""
        self._made = {-number: made for number, made in enumerate(self._made.values(), 1)}


_all: weakref.WeakSet[PerProcess[Any]] = weakref.WeakSet()


# The process that Python knows itself to be: a fork that runs no hooks leaves it as it is.
_known_pid = os.getpid()


def _disown_all() -> None:
    global _known_pid
    _known_pid = os.getpid()
    for own in tuple(_all):
        own.disown()


def _look_for_fork_in_c(pid: int) -> None:
    """Renew the lock under which threads are started, where another thread may have held it.

    Whoever forked in C did not have Python do that, and the first thread that is started in the
    child would wait for it for ever.
    """
    global _known_pid
    if pid != _known_pid:
        _known_pid = pid
        threading._after_fork()  # type: ignore[attr-defined]  # what Python's own hook calls


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_all)


def this_process() -> dict[str, Any]:
    """Return what tells this process from every other one."""
    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": pid, "started": _started(pid)}


def is_gone(process: Mapping[str, Any]) -> bool:
    """Return whether a process that `this_process` told of has ended, as far as can be seen here.

    Of another machine nothing can be seen.
    """
    pid = process.get("pid")
    if process.get("host") != socket.gethostname() or not isinstance(pid, int) or pid <= 0:
        return False
    if process.get("started") is not None:
        return bool(_started(pid) != process["started"])  # the kernel gives a pid to others again
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _started(pid: int) -> str | None:
    """Return when the kernel says that the process began, where it says so."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The program's name may hold blanks and brackets; what is behind it does not.
    return status.rpartition(")")[2].split()[19]
