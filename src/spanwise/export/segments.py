"""The files of a spool: lines with a checksum, in the segments of one process after another.

    <host>-<pid>-<start>-<random>.lock            the lease, with the place up to which all is settled
    <host>-<pid>-<start>-<random>.000001.jsonl    a segment; the highest number is written to
    <host>-<pid>-<start>-<random>.open.jsonl      which spans have started and not ended
    <host>-<pid>-<start>-<random>.kept.jsonl      what the destination refused, or had to be cut

A reader delivers every line that is whole, whatever stands around it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from spanwise import _guard, _state
from spanwise.export.leases import Lease
from spanwise.export.recent import RecentLines

FIRST: Final = 1

_CHUNK_BYTES = 512 * 1024
_NAME = re.compile(r"(?P<process>.+)\.(?:(?P<number>\d{6,})\.jsonl|open\.jsonl|lock)")
_CHECKSUM = b',"crc":"%08x"}'
_SEAL = _CHECKSUM + b"\n"
_CHECKSUM_BYTES = len(_CHECKSUM % 0)
# What lines begin with, and end with; both may stand inside of one as well.
_STARTS = re.compile(rb'\{"(?:resourceSpans|letters)":\[')
_MARKS = re.compile(rb',"crc":"[0-9a-f]{8}"\}')
_LINES_OF_A_BITE = 16  # which take a small part of the time in which nobody need rest
_MOST_FALSE_STARTS = 64  # in one line: each may cost as much as the line is long
# Of one segment only, and for good; with too many open files the same can be read later.
_UNREADABLE = frozenset({errno.EACCES, errno.EIO, errno.EISDIR, errno.ELOOP, errno.EPERM})


@dataclass(slots=True)  # frozen ones take three times as long to make
class Line:
    """One intact line of a segment.

    Attributes:
        data: without its newline.
        number: of the segment.
        end: offset in the segment up to which all is settled once this line is.
        torn: how many damaged lines were skipped before it, since the beginning of this read.
        parts: what it says, where this process made it a moment ago.
    """

    data: bytes
    number: int = 0
    end: int = 0
    torn: int = 0
    parts: Any = None


class RecentLine(Line):
    """A line that this process wrote a moment ago; its bytes are made anew when they are asked for.

    Args:
        line_of: makes them.
        number: of its segment.
        end: where it ends there.
        parts: what it says.
    """

    __slots__ = ("_line_of",)

    def __init__(self, line_of: Callable[[Any], bytes], number: int, end: int, parts: Any) -> None:
        self._line_of = line_of
        self.number = number
        self.end = end
        self.torn = 0
        self.parts = parts

    @property
    def data(self) -> bytes:  # type: ignore[override]
        """Without its newline, as it was written."""
        return self._line_of(self.parts)


def sealed(text: bytes) -> bytes:
    """Return a JSON object as a line: with its checksum as last member, and a newline."""
    checked = text[:-1]
    return checked + _SEAL % crc32(checked)


def unsealed(line: bytes) -> bytes:
    """Return the JSON object that an intact line was made of."""
    return line[:-_CHECKSUM_BYTES] + b"}"


def intact(piece: bytes) -> list[bytes]:
    """Return the lines that are whole among bytes without a newline: one, as a rule."""
    if _is_whole(piece):
        return [piece]
    found: list[bytes] = []
    marks = [mark.span() for mark in _MARKS.finditer(piece)]
    end = false_starts = 0
    for start in (0, *(begin.start() for begin in _STARTS.finditer(piece))):
        if start < end or false_starts > _MOST_FALSE_STARTS:
            continue
        whole = _whole(piece, start, marks)
        if whole:
            found.append(whole)
            end = start + len(whole)
        else:
            false_starts += 1
    return found


def _whole(piece: bytes, start: int, marks: list[tuple[int, int]]) -> bytes:
    """Return the line that begins there, empty where none does that is whole."""
    checksum, checked_to = 0, start
    for at, end in marks:
        if at >= start:
            checksum = crc32(piece[checked_to:at], checksum)
            checked_to = at
            if at > start and piece[at:end] == _CHECKSUM % checksum:
                return piece[start:end]
    return b""


def _is_whole(piece: bytes) -> bool:
    checked = piece[:-_CHECKSUM_BYTES]  # nothing at all has a checksum as well, and is no line
    return bool(checked) and piece.endswith(_CHECKSUM % crc32(checked))


def segment_path(folder: Path, process: str, number: int) -> Path:
    """Return where a segment lies."""
    return folder / f"{process}.{number:06d}.jsonl"


def lease_path(folder: Path, process: str) -> Path:
    """Return where the lease of a process's segments lies."""
    return folder / f"{process}.lock"


def kept_path(folder: Path, process: str) -> Path:
    """Return where what could not be delivered as it was is kept."""
    return folder / f"{process}.kept.jsonl"


def processes(folder: Path) -> dict[str, list[int]]:
    """Return the numbers of the segments in a folder by their process, the oldest first."""
    found: dict[str, tuple[float, list[int]]] = {}
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _NAME.fullmatch(entry.name)
            if match is None:
                continue
            with contextlib.suppress(OSError):
                age, numbers = found.get(match["process"], (float("inf"), []))
                if match["number"]:
                    numbers.append(int(match["number"]))
                found[match["process"]] = min(age, entry.stat().st_mtime), numbers
    ordered = sorted(found.items(), key=lambda item: item[1][0])
    return {process: sorted(numbers) for process, (_, numbers) in ordered}


def _numbers(folder: Path, process: str) -> list[int]:
    """Return the numbers of one process's segments, without a look at each file of all others."""
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 - a folder may hold very many
            if name.startswith(process):
                match = _NAME.fullmatch(name)
                if match is not None and match["process"] == process and match["number"]:
                    found.append(int(match["number"]))
    return sorted(found)


class Segments:
    """What one process spooled, read in order under its lease.

    Args:
        folder: of the destination.
        process: whose segments, as their names begin.
        lease: held by the current process.
        recent: lines that need not be read, where the current process writes them.

    Attributes:
        is_empty: there was no segment when this object was made.
        settled: how many lines were settled since then.
    """

    def __init__(
        self, folder: Path, process: str, lease: Lease, recent: RecentLines | None = None
    ) -> None:
        self._recent = recent
        self.folder = folder
        self.process = process
        self.lease = lease
        self._number, self._offset = lease.cursor()
        numbers = _numbers(folder, process)
        self.is_empty = not numbers
        numbers = numbers or [FIRST]
        self._last = numbers[-1]
        self._torn = 0
        self.settled = 0
        if not numbers[0] <= self._number <= self._last + 1:
            self._number, self._offset = numbers[0], 0

    def read(
        self,
        most_lines: int,
        most_bytes: int,
        *,
        written_to: int | None = None,
        rest: Callable[[], None] = lambda: None,
    ) -> list[Line]:
        """Return the next lines, none where nothing is left for now; the same until settled.

        Args:
            most_lines: how many.
            most_bytes: after which no further line is added.
            written_to: number of the segment that may still grow; None where none does.
            rest: called after each small piece of work.
        """
        self._torn = 0
        last = self._last if written_to is None else written_to
        while self._number <= last:
            is_ended = self._number != written_to
            try:
                with open(self._path(), "rb", buffering=0) as stream:
                    lines, torn, end = self._next(
                        stream.fileno(), most_lines, most_bytes, is_ended, rest
                    )
                    if lines or not is_ended:
                        return lines
                    if self._is_removed(stream, end):
                        self._count_torn(torn)
                        self._move(self._number + 1, 0)
            except FileNotFoundError:  # above the cap, the oldest segments go
                if not is_ended:
                    return []
                self._move(self._next_number(last if written_to is not None else last + 1), 0)
            except OSError as error:
                if error.errno not in _UNREADABLE or not is_ended:
                    raise
                _guard.warn("spool.read", f"cannot read {self._path()}: {_guard.describe(error)}")
                # Not moved in the lease: nothing of it is settled, and the file stays.
                self._number, self._offset = self._number + 1, 0
        return []

    def settled_before(self) -> list[Line]:
        """Return the lines of the segment to be read next that were settled already."""
        with contextlib.suppress(OSError):
            return [line for line in lines_of(self._path()) if line.end <= self._offset]
        return []

    def settle(self, line: Line, count: int) -> None:
        """Remember that this line, and all before it, need not be read again.

        Args:
            line: as `read` returned it.
            count: how many lines that are since the one that was settled before.
        """
        self.settled += count
        self._count_torn(line.torn - self._torn)
        self._torn = line.torn
        self._move(line.number, line.end)

    def size(self) -> int:
        """Return how many bytes are waiting to be read."""
        waiting = 0
        for number in _numbers(self.folder, self.process):
            if number >= self._number:
                with contextlib.suppress(OSError):
                    waiting += segment_path(self.folder, self.process, number).stat().st_size
                    waiting -= self._offset if number == self._number else 0
        return waiting

    def end(self) -> None:
        """Give the lease back; where no segment is left the lock file goes, too."""
        self.lease.release(remove=not _numbers(self.folder, self.process))

    def _path(self) -> Path:
        return segment_path(self.folder, self.process, self._number)

    def _next_number(self, default: int) -> int:
        numbers = _numbers(self.folder, self.process)
        return next((number for number in numbers if number > self._number), default)

    def _next(
        self,
        fd: int,
        most_lines: int,
        most_bytes: int,
        is_ended: bool,
        rest: Callable[[], None],
    ) -> tuple[list[Line], int, int]:
        size = os.fstat(fd).st_size
        at = self._offset
        # A cursor may be damaged as well: no line begins where none ended.
        if at > size or (at not in (0, size) and _read(fd, 1, at - 1) != b"\n"):
            at = 0
        recent = self._recent_behind(at, most_lines, most_bytes) if at == self._offset else []
        if recent:
            begun, at = at, recent[-1].end
            most_lines -= len(recent)
            most_bytes -= at - begun
            if at >= size or most_lines <= 0 or most_bytes <= 0:
                return recent, 0, at
        # What is behind those goes with them: a request costs as much as many lines.
        lines, torn, end = _lines(
            fd, self._number, at, most_lines, most_bytes, is_ended=is_ended, rest=rest
        )
        return recent + lines, torn, end

    def _recent_behind(self, offset: int, most_lines: int, most_bytes: int) -> list[Line]:
        """Return the lines behind a place in the current segment that need not be read."""
        recent = self._recent
        if recent is None:
            return []
        line_of, number = recent.line_of, self._number
        return [
            RecentLine(line_of, number, end, parts)
            for _, _, end, parts in recent.behind(number, offset, most_lines, most_bytes)
        ]

    def _is_removed(self, stream: FileIO, end: int) -> bool:
        """Remove the segment, all of which is settled; return False where it grew meanwhile.

        That is so where its process had lost its lease, and did not know it yet.
        """
        fd = stream.fileno()
        if os.fstat(fd).st_size > end:
            return False
        if sys.platform == "win32":  # what is open cannot be removed there: nothing comes late
            stream.close()
        try:
            self._path().unlink()
        except FileNotFoundError:
            return True
        except OSError as error:
            _guard.warn("spool.unlink", f"cannot remove {self._path()}: {_guard.describe(error)}")
            return True
        late = b""
        while not stream.closed and (more := _read(fd, _CHUNK_BYTES, end + len(late))):
            late += more
        if late:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
            with open(os.open(self._path(), flags, 0o600), "ab") as new:
                new.write(late)
            self._move(self._number, 0)
        return not late

    def _move(self, number: int, offset: int) -> None:
        if (number, offset) != (self._number, self._offset):
            self._number, self._offset = number, offset
            self.lease.move_cursor(number, offset)
            if self._recent is not None:
                self._recent.drop_before(number, offset)

    def _count_torn(self, torn: int) -> None:
        if torn > 0:
            _state.count("torn.spool", torn)
            _guard.warn("torn.spool", f"damaged lines of {self._path().name} were skipped")


def lines_of(path: Path) -> Iterator[Line]:
    """Yield the intact lines of a file that nobody writes to any more.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb", buffering=0) as stream:
        offset = 0
        while True:
            lines, _, _ = _lines(stream.fileno(), 0, offset, 512, 1 << 20, is_ended=True)
            if not lines:
                return
            yield from lines
            offset = lines[-1].end


def _lines(
    fd: int,
    number: int,
    offset: int,
    most_lines: int,
    most_bytes: int,
    *,
    is_ended: bool,
    rest: Callable[[], None] = lambda: None,
) -> tuple[list[Line], int, int]:
    """Return intact lines from an offset on, how many damaged ones there were, and where it ended."""
    lines: list[Line] = []
    torn = taken = 0
    end = offset
    data, at = b"", 0
    while True:
        stop = data.find(b"\n", at)
        if stop < 0:
            begun = data[at:]
            more = _read(fd, max(_CHUNK_BYTES, len(begun)), end + len(begun))
            if more:
                data, at = begun + more, 0
                continue
            if not begun or not is_ended:
                break
            stop = len(data)  # the last line, without its end: torn, or all but torn
            end -= 1
        piece = data[at:stop]
        length = stop - at
        end += length + 1
        at = stop + 1
        checked = piece[:-_CHECKSUM_BYTES]
        if checked and piece.endswith(_CHECKSUM % crc32(checked)):  # whole, as nearly all are
            lines.append(Line(piece, number, end, torn))
            if not len(lines) % _LINES_OF_A_BITE:
                rest()
        elif not piece:
            rest()
        else:
            rest()
            before = lines[-1].end if lines else offset
            whole = intact(piece)
            lines += [Line(found, number, before, torn) for found in whole[:-1]]
            if len(whole) != 1 or len(whole[0]) != len(piece):
                torn += 1
            lines += [Line(found, number, end, torn) for found in whole[-1:]]
        taken += length
        if lines and (taken >= most_bytes or len(lines) >= most_lines):
            break
    return lines, torn, end


if hasattr(os, "pread"):
    _read = os.pread
else:

    def _read(fd: int, size: int, offset: int, /) -> bytes:
        os.lseek(fd, offset, os.SEEK_SET)
        return os.read(fd, size)
