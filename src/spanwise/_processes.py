"""What each process makes for itself: a forked child never works with its parent's.

Asked for by process id, not only by a fork hook: a fork made in C runs no hooks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

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

    def get(self) -> T:
        """Return the value of this process."""
        found = self._made.get(os.getpid())
        return found if found is not None else self._renewed()

    def peek(self) -> T | None:
        """Return the value of this process if there is one already."""
        return self._made.get(os.getpid())

    def _renewed(self) -> T:
        pid = os.getpid()
        found = self._made.setdefault(pid, self._make())  # atomic: no lock that a fork could keep
        for other in list(self._made):
            inherited = self._made.pop(other, None) if other != pid else None
            if inherited is not None:
                self._inherited.append(inherited)
                if self._let_go is not None:
                    self._let_go(inherited)
        return found
