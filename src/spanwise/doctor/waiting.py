"""Count what waits in a spool, without taking it from whoever delivers it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from spanwise.export import segments
from spanwise.export.leases import Lease, cursor_of, is_held_here

MOST_READ_BYTES: Final = 256 << 20

_LETTERS = b'{"letters":'
_ENDED = re.compile(rb'"endTimeUnixNano":"(\d{1,19})"')


class Budget:
    """How much may still be read to count lines; of what is beyond, only the size is told."""

    def __init__(self, most_bytes: int = MOST_READ_BYTES) -> None:
        self.left = most_bytes


@dataclass
class Waiting:
    """What one process spooled that was not delivered yet.

    Attributes:
        process: as its files are named.
        is_running: it delivers that itself.
        lines: how many, of those that were counted.
        size: of all of them, in bytes.
        torn: damaged lines among them.
        since: end of the first span, or else when its segment was written, in seconds since the
            epoch; None where nothing waits.
        is_letters: they are no spans but requests to another API.
        is_all_read: all lines were counted.
    """

    process: str
    is_running: bool
    lines: int = 0
    size: int = 0
    torn: int = 0
    since: float | None = None
    is_letters: bool = False
    is_all_read: bool = True
    _parts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._parts = self.process.rsplit("-", 3)

    @property
    def host(self) -> str:
        """The machine it ran on."""
        return self._parts[0]

    @property
    def pid(self) -> str:
        """Its number there."""
        return self._parts[1] if len(self._parts) == 4 else "?"

    def facts(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "host": self.host,
            "pid": self.pid,
            "running": self.is_running,
            "lines": self.lines,
            "bytes": self.size,
        }


def waiting_in(folder: Path, budget: Budget) -> list[Waiting]:
    """Return what waits in the folder of a destination, by process, the oldest first."""
    found = []
    for process, numbers in segments.processes(folder).items():
        waiting = Waiting(process, is_running=_is_running(folder, process))
        _count(waiting, folder, numbers, budget)
        if waiting.size or waiting.is_running:
            found.append(waiting)
    return found


def kept_lines(folder: Path, budget: Budget) -> int:
    """Return how many lines were put aside in the folder."""
    return sum(1 for path in sorted(folder.glob("*.kept.jsonl")) for _ in _pieces(path, 0, budget))


def _is_running(folder: Path, process: str) -> bool:
    """Return whether the process holds its lease; where it does not, nobody takes notice of us."""
    path = segments.lease_path(folder, process)
    if not path.exists():
        return False
    if is_held_here(path):
        return True
    lease = Lease.of_dead(path)
    if lease is not None:
        lease.release(remove=False)
    return lease is None


def _count(waiting: Waiting, folder: Path, numbers: list[int], budget: Budget) -> None:
    settled, offset = cursor_of(segments.lease_path(folder, waiting.process))
    for number in numbers:
        path = segments.segment_path(folder, waiting.process, number)
        try:
            status = path.stat()
        except OSError:  # delivered meanwhile
            continue
        at = offset if number == settled and offset <= status.st_size else 0
        size = status.st_size - at
        if number < settled or not size:
            continue
        waiting.size += size
        if size > budget.left:
            waiting.is_all_read = False
            continue
        for piece in _pieces(path, at, budget):
            _see(waiting, piece, status.st_mtime)


def _see(waiting: Waiting, piece: bytes, written: float) -> None:
    if segments.intact(piece) != [piece]:
        # The last line of one that runs may be half written just now.
        waiting.torn += not waiting.is_running
        return
    if waiting.since is None:
        ended = _ENDED.search(piece)
        waiting.since = int(ended[1]) / 1e9 if ended else written
        waiting.is_letters = piece.startswith(_LETTERS)
    waiting.lines += 1


def _pieces(path: Path, at: int, budget: Budget) -> Iterator[bytes]:
    """Yield what stands between newlines, from an offset on."""
    try:
        with open(path, "rb") as stream:
            stream.seek(at)
            for line in stream:
                budget.left -= len(line)
                if piece := line.rstrip(b"\n"):
                    yield piece
                if budget.left <= 0:
                    return
    except OSError:
        return
