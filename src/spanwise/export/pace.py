"""How fast lines are sent while the program goes on: it has to share the interpreter with us.

Whoever holds the interpreter keeps it for five milliseconds if somebody else wants it, and the
program lets go of it at each write: without a rest, sending would come between any two calls.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import Final

# As long as a call of the program may have to wait for us.
_BITE_S: Final = 0.0002
# How much of the time is the program's while it writes: that many parts to one of ours.
_SHARE: Final = 2.0
_PATIENT_S: Final = 0.5
_LATEST_S: Final = 1.0


class Pace:
    """Tells the thread that sends when to rest.

    Args:
        written: says how many lines the program has written.
        is_hurried: says whether somebody waits for what is sent.
    """

    def __init__(self, written: Callable[[], int], is_hurried: Callable[[], bool]) -> None:
        self._written = written
        self._is_hurried = is_hurried
        self._seen = 0
        self._since = self._behind_since = 0.0

    def begin(self) -> None:
        """Take what is sent from now on for what was written lately."""
        self._since = self._behind_since = monotonic()

    def rest(self) -> None:
        """Let the program go on, where it is time for that; called after each small piece of work.

        It gets the more, the more it writes, until what is sent is late.
        """
        now = monotonic()
        took_s = now - self._since
        if took_s < _BITE_S:
            return
        written = self._written()
        share = 0.0
        if written != self._seen and not self._is_hurried():
            late_s = now - self._behind_since - _PATIENT_S
            share = _SHARE * min(1.0, max(0.0, 1.0 - late_s / (_LATEST_S - _PATIENT_S)))
        self._seen = written
        # A bite may have been long because others had the interpreter.
        sleep(min(took_s, 2 * _BITE_S) * share)
        self._since = monotonic()
