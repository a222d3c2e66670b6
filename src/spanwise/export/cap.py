"""What a spool's folder may hold: above it the oldest segments go, whoever wrote them."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from spanwise import _guard, _state
from spanwise.export import segments
from spanwise.export.leases import Lease, cursor_of, is_held_here


@dataclass(frozen=True)
class Cap:
    """How much may lie in a folder.

    Attributes:
        most_bytes: of all its files.
        most_files: however small they are.
        is_sent: what goes was meant to be sent, and is lost; else another program reads it, and
            may have done so.
    """

    most_bytes: int
    most_files: float = float("inf")
    is_sent: bool = True

    def enforce(self, folder: Path, current: Path) -> None:
        """Remove the oldest files until the others fit; the one that is written to stays."""
        with _guard.guard("spool.cap"):
            files = []
            for entry in os.scandir(folder):
                if entry.name.endswith(".jsonl"):
                    with contextlib.suppress(OSError):
                        status = entry.stat()
                        files.append((status.st_mtime, status.st_size, Path(entry.path)))
            total, count = sum(size for _, size, _ in files), len(files)
            for _, size, path in sorted(files):
                if total <= self.most_bytes and count <= self.most_files:
                    return
                if path != current and self._is_removed(path):
                    total, count = total - size, count - 1

    def _is_removed(self, path: Path) -> bool:
        lost = waiting_in(path)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            _guard.warn("spool.unlink", f"cannot remove {path}: {_guard.describe(error)}")
            return False
        _state.count("deleted.spool_segments")
        self.tell(lost, f"since {path.parent} is over its size cap")
        return True

    def tell(self, spans: int, why: str) -> None:
        """Count spans that were deleted, and say so: if they are lost, as often as that goes on."""
        if self.is_sent:
            _state.count("lost.spool", spans)
            _guard.warn("spool.cap", f"{spans} spans were deleted {why}")
            return
        is_first = "deleted.spool" not in _state.counters()
        _state.count("deleted.spool", spans)
        if is_first:
            _guard.warn("spool.cap", f"spans were deleted {why}, whether or not they were read")


def waiting_in(path: Path) -> int:
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


def forget_the_dead(folder: Path) -> None:
    """Remove the lock files of dead processes that have no segments any more."""
    with _guard.guard("spool.leases"):
        for process, numbers in segments.processes(folder).items():
            path = segments.lease_path(folder, process)
            if not numbers and path.exists() and not is_held_here(path):
                lease = Lease.of_dead(path)
                if lease is not None:
                    lease.release(remove=True)
