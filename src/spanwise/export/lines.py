"""Append whole lines to a file that other threads and processes append to as well.

A line is one `os.write` on a descriptor opened with O_APPEND, so the kernel puts it behind what
is there, whoever writes. A line that was cut short (a full disk) is ended before the next one,
and a file that someone left without its last newline gets it first. Nothing is held open over a
fork: a child opens the file for itself.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import stat
import threading
import time
from pathlib import Path

LOOK_EVERY_S = 1.0
# Where a status has inode, device and number of names.
_WHICH = slice(1, 4)
_LOOKS = 5
_BETWEEN_LOOKS_S = 0.002
_LOOKED_BACK_BYTES = 1 << 20  # which others may have appended since


class GoneError(OSError):
    """The descriptor is no longer that of a file with a name: it must be opened anew."""


class Handle:
    """An open file, closed when the last thread that is writing through it lets it go.

    Args:
        path: of the file, made if it is not there, readable by its owner only.
        is_new: fail where the file is there already.

    Raises:
        OSError: it cannot be opened.
    """

    __slots__ = (
        "_fd",
        "_has_name",
        "_identity",
        "_torn",
        "_usual",
        "looked_at",
        "path",
        "pid",
        "size",
    )

    def __init__(self, path: Path, *, is_new: bool = False) -> None:
        self.path = path
        self.pid = os.getpid()
        self.looked_at = time.monotonic()
        flags = os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        flags |= getattr(os, "O_BINARY", 0) | (os.O_EXCL if is_new else 0)
        is_readable = True
        try:
            self._fd = os.open(path, flags | os.O_RDWR, 0o600)
        except PermissionError:
            self._fd = os.open(path, flags | os.O_WRONLY, 0o600)
            is_readable = False
        status = os.fstat(self._fd)
        self._identity = status.st_ino, status.st_dev
        self._usual = status[_WHICH]
        self._has_name = stat.S_ISREG(status.st_mode)  # a pipe may have none
        self._torn = is_readable and not is_new and _ends_torn(self._fd)
        self.size = status.st_size

    def __del__(self) -> None:
        fd = getattr(self, "_fd", -1)
        if fd >= 0:
            # Somebody may have closed it, and given its number to another file.
            with contextlib.suppress(Exception):
                if self._is_open():
                    os.close(fd)

    def is_usable(self) -> bool:
        """Return whether this process opened it and, looked at now and then, it is still there."""
        if self.pid != os.getpid():
            return False
        now = time.monotonic()
        if now - self.looked_at < LOOK_EVERY_S:
            return True
        self.looked_at = now
        try:
            status = self.path.stat()
        except OSError:
            return False
        return (status.st_ino, status.st_dev) == self._identity

    def write(self, line: bytes) -> int:
        """Append a line, and return the offset behind it.

        Raises:
            GoneError: nothing was written; the file was deleted, or the descriptor closed.
            OSError: the line is not in the file, or only a part of it.
        """
        try:
            status = os.fstat(self._fd)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            raise GoneError(error.errno, "the descriptor was closed") from None
        if status[_WHICH] != self._usual:
            self._look(status)
        data = b"\n" + line if self._torn else line
        try:
            written = os.write(self._fd, data)
        except BaseException:
            # A signal handler may have raised it when a part was written already.
            self._torn = self._torn or (self._has_name and _ends_torn(self._fd))
            raise
        self.size = end = status.st_size + written
        self._torn = written != len(data)
        if self._torn:
            raise OSError(errno.ENOSPC, f"only a part of a line could be written to {self.path}")
        return end

    def _look(self, status: os.stat_result) -> None:
        """Say what is not as it was when the last line was written."""
        if (status.st_ino, status.st_dev) != self._identity:
            raise GoneError(errno.EBADF, "the descriptor is another file's by now")
        if status.st_nlink == 0 and self._has_name:
            raise GoneError(errno.ENOENT, "the file was deleted")
        self._usual = status[_WHICH]

    def _is_open(self) -> bool:
        status = os.fstat(self._fd)
        return (status.st_ino, status.st_dev) == self._identity


class LineFile:
    """A file of lines.

    Args:
        path: made, with its folders, at the first line; readable by its owner only.
        full_at: bytes; once the file is so large, what it is looked at for is looked at again.
    """

    def __init__(self, path: Path, full_at: float = math.inf) -> None:
        self.path = path
        self._full_at = full_at
        self._handle: Handle | None = None
        self._good_until = 0.0  # until when the handle need not be looked at
        self._opening = threading.RLock()
        self._opening_pid = os.getpid()

    def append(self, line: bytes) -> None:
        """Write one line, which must end in a newline and hold no other.

        Raises:
            OSError: the line is not in the file, or only a part of it.
        """
        handle = self._handle
        if handle is None or time.monotonic() >= self._good_until or handle.pid != os.getpid():
            handle = self._usable_handle()
        try:
            handle.write(line)
        except GoneError:
            self.close()
            handle = self._usable_handle()
            handle.write(line)
        if handle.size >= self._full_at:
            self._good_until = 0.0

    def holds(self, line: bytes) -> bool:
        """Return whether a line is among the last ones of the file."""
        return holds(self.path, line)

    def size(self) -> int:
        """Return the file's size in bytes, 0 where it does not exist."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def close(self) -> None:
        """Let the descriptor go; a later line opens the file again."""
        self._good_until = 0.0
        self._handle = None

    def _usable_handle(self) -> Handle:
        """Return the handle after a look whether it is still that of the file."""
        handle = self._handle
        if handle is not None and handle.is_usable():
            self._good_until = handle.looked_at + LOOK_EVERY_S
            return handle
        if self._opening_pid != os.getpid():
            # Forked, maybe while another thread held the lock: that thread is not here.
            self._opening = threading.RLock()
            self._opening_pid = os.getpid()
        with self._opening:
            handle = self._handle
            if handle is None or not handle.is_usable():
                if not self.path.parent.is_dir():
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                handle = self._handle = Handle(self.path)
            self._good_until = handle.looked_at + LOOK_EVERY_S
            return handle


def holds(path: Path, line: bytes) -> bool:
    """Return whether a line is among the last ones of a file."""
    try:
        with open(path, "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - len(line) - _LOOKED_BACK_BYTES))
            return line in stream.read()
    except OSError:
        return False


def _ends_torn(fd: int) -> bool:
    """Return whether the last line has no end, and nobody is writing it just now."""
    for _ in range(_LOOKS):
        size = os.fstat(fd).st_size
        if size == 0 or _last_byte(fd, size) == b"\n":
            return False
        # A large line of another process can be seen while it is being written.
        time.sleep(_BETWEEN_LOOKS_S)
    return True


def _last_byte(fd: int, size: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(fd, 1, size - 1)
    os.lseek(fd, size - 1, os.SEEK_SET)
    return os.read(fd, 1)
