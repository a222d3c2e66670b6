"""Write lines to the segments of a spool: the file that the kernel owns once a span has ended."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from spanwise import _guard, _settings, _state
from spanwise._processes import PerProcess
from spanwise.export import segments
from spanwise.export.leases import Lease, cursor_of
from spanwise.export.lines import GoneError, Handle, holds
from spanwise.export.places import Places
from spanwise.export.segments import FIRST, Segments

_SEGMENT_BYTES = 4 << 20
_LEASE_LOOK_EVERY_S = 1.0
_MOST_TAKEN = 5


@dataclass
class _Open:
    """What a process writes to: the last one of its segments."""

    segments: Segments
    number: int
    handle: Handle
    lease_seen_at: float
    lines: int = 0


class Spool:
    """The segments that this process writes for one destination.

    Args:
        places: where they may lie.
        most_bytes: of all segments in the destination's folder; the oldest go first.
    """

    def __init__(self, places: Places, most_bytes: int = _settings.DEFAULT_MAX_BYTES) -> None:
        self.places = places
        self.most_bytes = most_bytes
        self._segment_bytes = max(1, min(_SEGMENT_BYTES, most_bytes // 8))
        self._own = PerProcess(_Own, let_go=_Own.let_go)

    def write(self, line: bytes) -> None:
        """Append one line; the caller sees to it that one thread at a time does.

        Raises:
            OSError: it is not in the spool, or only a part of it.
        """
        own = self._own.get()
        own.depth += 1
        try:
            for is_last_try in (False, True):
                written = own.open or self._begun(own)
                try:
                    if not _is_leased(written):
                        raise GoneError("the lease was lost")
                    written.handle.write(line)
                    written.lines += 1
                    break
                except GoneError:
                    own.open = None
                    _count_gone(written)
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
                    written.segments.end()

    def _begun(self, own: _Own) -> _Open:
        folder = self.places.made()
        process, lease = _new_lease(folder)
        path = segments.segment_path(folder, process, FIRST)
        made = None
        try:
            handle = Handle(path, is_new=True)
            made = _Open(Segments(folder, process, lease), FIRST, handle, time.monotonic())
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
            _enforce_cap(folder, self.most_bytes, path)
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
            _enforce_cap(folder, self.most_bytes, path)


class _Own:
    """The segments of one process."""

    def __init__(self) -> None:
        self.open: _Open | None = None
        self.depth = 0

    def let_go(self) -> None:
        """Close what a forked child inherited."""
        if self.open is not None:
            self.open.segments.lease.let_go()
            self.open = None


def _is_leased(written: _Open) -> bool:
    """Return whether others still see that this process lives, looked at now and then."""
    now = time.monotonic()
    if now - written.lease_seen_at < _LEASE_LOOK_EVERY_S:
        return True
    written.lease_seen_at = now
    return written.segments.lease.is_held() and written.handle.is_usable()


def _count_gone(written: _Open) -> None:
    """Give up segments that somebody deleted, or the lease of which was lost: others have it then."""
    written.segments.lease.release(remove=False)
    lost = written.lines - written.segments.settled
    if lost > 0 and not written.handle.path.exists():
        _state.count("lost.spool", lost)
        _guard.warn("lost.spool", f"{lost} spans were deleted with {written.segments.folder}")


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


def _enforce_cap(folder: Path, most_bytes: int, current: Path) -> None:
    """Remove the oldest segments, whoever wrote them, until the others fit."""
    with _guard.guard("spool.cap"):
        files = []
        for entry in os.scandir(folder):
            if entry.name.endswith(".jsonl"):
                with contextlib.suppress(OSError):
                    status = entry.stat()
                    files.append((status.st_mtime, status.st_size, Path(entry.path)))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= most_bytes:
                return
            if path == current:
                continue
            lost = _waiting_in(path)
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                _guard.warn("spool.unlink", f"cannot remove {path}: {_guard.describe(error)}")
                continue
            total -= size
            _state.count("deleted.spool_segments")
            _state.count("lost.spool", lost)
            _guard.warn("spool.cap", f"{lost} spans were deleted: {folder} is over its size cap")


def _waiting_in(path: Path) -> int:
    """Return how many lines of a segment were not settled; in other files all are."""
    process, _, number = path.stem.rpartition(".")
    settled_number, settled_to = cursor_of(segments.lease_path(path.parent, process))
    if not number.isdecimal() or int(number) < settled_number:
        return 0
    count = 0
    with contextlib.suppress(OSError), open(path, "rb") as stream:
        if int(number) == settled_number:
            stream.seek(settled_to)
        while chunk := stream.read(1 << 20):
            count += chunk.count(b"\n")
    return count
