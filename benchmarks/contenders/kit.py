"""What a contender is given, and what it gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a contender may put what it makes.

    Attributes:
        folder: of its own, for files.
        endpoint: base address of a collector on this machine.
        sends: what is made is to be sent there; else it is to go nowhere, where that can be said.
    """

    folder: str
    endpoint: str
    sends: bool = False


def _nothing() -> object:
    return None


@dataclasses.dataclass(frozen=True)
class Kit:
    """A contender that is set up.

    Attributes:
        child: decorates a function that is called below another decorated one.
        root: decorates a function that is called at the top of a trace; None for the same.
        flush: waits until what was made has left the process.
    """

    child: Decorator
    root: Decorator | None = None
    flush: Callable[[], object] = _nothing

    @property
    def top(self) -> Decorator:
        """The decorator for the top of a trace."""
        return self.root or self.child
