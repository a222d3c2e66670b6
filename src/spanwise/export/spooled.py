"""Lines on their way to one destination, by way of a spool: what every durable sink is made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

from spanwise import _settings
from spanwise._destinations import Destination
from spanwise.export.backlog import Backlog
from spanwise.export.delivery import Courier
from spanwise.export.drain import Drainer
from spanwise.export.places import Places
from spanwise.export.segments import sealed
from spanwise.export.spool import Spool
from spanwise.export.started import StartedSpans


class SpooledLines:
    """Lines that are in the kernel's hands once they were appended, and are sent from there.

    Args:
        courier: brings them to the destination.
        destination: by which the folder is named.
        root: in which spools lie; None for the user's own.
        most_bytes: of what waits for the destination; the oldest goes first.
        line_of: makes the object that was appended anew from what it says.

    Attributes:
        notes_starts: whether a span that starts was noted at all, so that its end has to be.
    """

    def __init__(
        self,
        courier: Courier,
        destination: Destination,
        root: Path | None = None,
        most_bytes: int = _settings.DEFAULT_MAX_BYTES,
        line_of: Callable[[Any], bytes] | None = None,
    ) -> None:
        spool = Spool(
            Places(destination, root),
            most_bytes,
            None if line_of is None else lambda parts: sealed(line_of(parts))[:-1],
        )
        target = f"the spool for {courier.target}"
        self._backlog = Backlog("spool", target, spool.write, spool.holds)
        self._started = StartedSpans(spool, self._backlog, target)
        self._drainer = Drainer(spool, self._backlog, courier, self._started.are_open)
        self._drainer.look_for_orphans()
        self.notes_starts = False

    def begin(self, span_id: str, text: bytes) -> None:
        """Note a span that starts, so that it is told of if this process cannot do that."""
        self.notes_starts = True
        self._started.begin(span_id, text)

    def end(self, span_id: str) -> None:
        """Note that a span has ended, and was appended."""
        self._started.end(span_id)

    def append(self, text: bytes, parts: Any = None) -> None:
        """Take one JSON object; never waits for long, and never for the network.

        Args:
            text: of the object.
            parts: what it says; see `line_of`.
        """
        self._backlog.append(sealed(text), parts)
        self._drainer.notify()

    def wake(self) -> None:
        """Have what waits sent now; does not wait for it."""
        self._drainer.wake()

    def flush(self, timeout_s: float) -> bool:
        """Return whether all that was taken has arrived, or was finally refused, in that time."""
        return self._drainer.flush(timeout_s)

    def close(self, timeout_s: float) -> None:
        """Deliver as far as the time allows; what is spooled then waits for the next process.

        A line that is appended later is spooled and delivered all the same.
        """
        until = monotonic() + timeout_s
        self._backlog.flush(timeout_s / 2)
        self._started.close(timeout_s / 4)
        self._drainer.close(until - monotonic())
        self._backlog.close(max(0.0, until - monotonic()))
