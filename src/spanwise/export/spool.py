"""Write lines to the segments of a spool: the file that the kernel owns once a span has ended."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spanwise import _guard, _settings
from spanwise._processes import PerProcess
from spanwise.export import segments
from spanwise.export.cap import Cap, forget_the_dead
from spanwise.export.leases import Lease
from spanwise.export.lines import GoneError, Handle, holds
from spanwise.export.places import Places
from spanwise.export.recent import RecentLines
from spanwise.export.segments import FIRST, Segments

_SEGMENT_BYTES = 4 << 20
_LEASE_LOOK_EVERY_S = 1.0
_MOST_TAKEN = 5
# Of what nobody here sends: a file that is older is not written to, and can be moved or deleted.
_UNSENT_SEGMENT_S = 600.0
_MOST_UNSENT_FILES = 10_000


@dataclass
class _Open:
    """What a process writes to: the last one of its segments."""

    segments: Segments
    number: int
    handle: Handle
    lease_seen_at: float
    begun_at: float
    recent: RecentLines | None
    lines: int = 0


class Spool:
    """The segments that this process writes for one destination, or for another program to read.

    Args:
        places: where they may lie.
        most_bytes: of all segments in the destination's folder; the oldest go first.
        line_of: makes a line, without its newline, anew from what it says; without it nothing of
            what lines say is kept in memory.
    """

    def __init__(
        self,
        places: Places,
        most_bytes: int = _settings.DEFAULT_MAX_BYTES,
        line_of: Callable[[Any], bytes] | None = None,
    ) -> None:
        self.places = places
        self._line_of = line_of
        self._segment_bytes = max(1, min(_SEGMENT_BYTES, most_bytes // 8))
        if places.destination is not None:
            self._cap, self._segment_s = Cap(most_bytes), float("inf")
        else:
            self._cap = Cap(most_bytes, _MOST_UNSENT_FILES, is_sent=False)
            self._segment_s = _UNSENT_SEGMENT_S
        self._own = PerProcess(_Own, let_go=_Own.let_go)

    def write(self, line: bytes, parts: Any = None) -> None:
        """Append one line; the caller sees to it that one thread at a time does.

        Args:
            line: with its newline.
            parts: what it says, for the thread that sends it; see `line_of`.

        Raises:
            OSError: it is not in the spool, or only a part of it.
        """
        own = self._own.get()
        own.depth += 1
        try:
            for is_last_try in (False, True):
                written = own.open or self._begun(own)
                try:
                    now = time.monotonic()
                    if own.depth == 1 and now - written.begun_at > self._segment_s:
                        self._go_on(written)
                    if now - written.lease_seen_at >= _LEASE_LOOK_EVERY_S:
                        self._look(written, now)
                    tries = own.tries = own.tries + 1
                    end = written.handle.write(line)
                    written.lines += 1
                    recent = written.recent
                    # Where a signal handler wrote in the midst of this, the place is uncertain.
                    if (
                        parts is not None
                        and recent is not None
                        and own.depth == 1
                        and own.tries == tries
                    ):
                        recent.add(written.number, end, line, parts)
                    break
                except GoneError:
                    own.open = None
                    self._count_gone(written)
                    if is_last_try:
                        raise
            # A span that a signal handler ends in the midst of this must not close the segment.
            if own.depth == 1 and written.handle.size >= self._segment_bytes:
                self._go_on(written)
        finally:
            own.depth -= 1

    def holds(self, line: bytes) -> bool:
        """Return whether a line is among the last ones that this process wrote."""
        mine, number = self.current()
        return mine is not None and any(
            holds(segments.segment_path(mine.folder, mine.process, written), line)
            for written in (number, number - 1)
        )

    def begin(self) -> None:
        """Make the first segment, if there is none; as with `write`, one thread at a time.

        Raises:
            OSError: it cannot be made.
        """
        own = self._own.get()
        if own.open is None:
            self._begun(own)

    def current(self) -> tuple[Segments | None, int]:
        """Return what this process has written, and the number of the segment that may grow."""
        own = self._own.peek()
        written = own.open if own is not None else None
        return (None, 0) if written is None else (written.segments, written.number)

    def close(self) -> None:
        """Let the segments go; what is settled is removed, the rest is there for the next one.

        Must not be called while a line is written.
        """
        own = self._own.peek()
        written = own.open if own is not None else None
        if own is not None and written is not None:
            own.open = None
            with _guard.guard("spool.close"):
                try:
                    written.segments.read(1, 1, written_to=written.number + 1)
                finally:
                    if self._cap.is_sent:
                        written.segments.end()
                    else:
                        written.segments.lease.release(remove=True)  # nobody takes it over

    def _begun(self, own: _Own) -> _Open:
        folder = self.places.made()
        process, lease = _new_lease(folder)
        path = segments.segment_path(folder, process, FIRST)
        made = None
        try:
            handle = Handle(path, is_new=True)
            now = time.monotonic()
            recent = RecentLines(self._line_of) if self._line_of is not None else None
            mine = Segments(folder, process, lease, recent)
            made = _Open(mine, FIRST, handle, now, now, recent)
        finally:
            # A span that ended in the midst of this may have made them already.
            is_wanted = made is not None and own.open is None
            if is_wanted:
                own.open = made
            else:
                with contextlib.suppress(OSError):
                    path.unlink()
                lease.release(remove=True)
        if is_wanted:
            self._cap.enforce(folder, path)
            if not self._cap.is_sent:
                forget_the_dead(folder)
        if own.open is None:
            raise GoneError("it was given up while it was made")
        return own.open

    def _go_on(self, written: _Open) -> None:
        """Begin the next segment; where it cannot be made, the current one grows on."""
        folder = written.segments.folder
        path = segments.segment_path(folder, written.segments.process, written.number + 1)
        with contextlib.suppress(OSError):
            handle = Handle(path, is_new=True)
            written.handle, written.number = handle, written.number + 1
            written.begun_at = time.monotonic()
            if not self._cap.is_sent:
                written.lines = 0  # what lies in the segments before is the reader's
            self._cap.enforce(folder, path)

    def _look(self, written: _Open, now: float) -> None:
        """Raise GoneError where others do not see that this process lives; now and then."""
        written.lease_seen_at = now
        if not (written.segments.lease.is_held() and written.handle.is_usable()):
            raise GoneError("the lease was lost")

    def _count_gone(self, written: _Open) -> None:
        """Give up segments that somebody deleted, or whose lease was lost: others have it then."""
        written.segments.lease.release(remove=False)
        gone = written.lines - written.segments.settled
        if gone > 0 and not written.handle.path.exists():
            self._cap.tell(gone, f"with {written.segments.folder}")


class _Own:
    """The segments of one process."""

    def __init__(self) -> None:
        self.open: _Open | None = None
        self.depth = 0
        self.tries = 0

    def let_go(self) -> None:
        """Close what a forked child inherited."""
        if self.open is not None:
            self.open.segments.lease.let_go()
            self.open = None


def _new_lease(folder: Path) -> tuple[str, Lease]:
    for _ in range(_MOST_TAKEN):
        process = _name_of_process()
        # Who looks for dead processes may lock it before we do: it lets go of that, as there is
        # nothing in it, but the line that is to be written cannot wait.
        with contextlib.suppress(FileExistsError):
            return process, Lease.new(segments.lease_path(folder, process))
    process = _name_of_process()
    return process, Lease.new(segments.lease_path(folder, process))


def _name_of_process() -> str:
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:40] or "host"
    return f"{host}-{os.getpid()}-{int(time.time())}-{os.urandom(4).hex()}"
