"""Append whole lines to a file that other threads and processes append to as well.

A line is one `os.write` on a descriptor opened with O_APPEND, so the kernel puts it behind what
is there, whoever writes. A line that was cut short (a full disk) is ended before the next one,
and a file that someone left without its last newline gets it first. Nothing is held open over a
fork: a child opens the file for itself.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path

_LOOK_EVERY_S = 1.0
_LOOKS = 5
_BETWEEN_LOOKS_S = 0.002


class _Handle:
    """An open descriptor, closed when the last thread that is writing through it lets it go."""

    __slots__ = ("fd", "inode", "is_gone", "looked_at", "mode", "path", "pid", "torn")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pid = os.getpid()
        self.looked_at = time.monotonic()
        self.is_gone = False
        flags = os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        flags |= getattr(os, "O_BINARY", 0)
        try:
            self.fd = os.open(path, flags | os.O_RDWR, 0o600)
        except PermissionError:
            self.fd = os.open(path, flags | os.O_WRONLY, 0o600)
            self.torn = False
            status = os.fstat(self.fd)
            self.inode, self.mode = status.st_ino, status.st_mode
            return
        status = os.fstat(self.fd)
        self.inode, self.mode = status.st_ino, status.st_mode
        self.torn = _ends_torn(self.fd)

    def __del__(self) -> None:
        fd = getattr(self, "fd", -1)
        if fd >= 0:
            try:
                os.close(fd)
            except Exception:  # noqa: BLE001, S110 - Python would print it; nothing is lost
                pass

    def is_usable(self) -> bool:
        """Return whether this process opened it and, looked at now and then, it is still there."""
        if self.is_gone or self.pid != os.getpid():
            return False
        now = time.monotonic()
        if now - self.looked_at < _LOOK_EVERY_S:
            return True
        self.looked_at = now
        try:
            self.is_gone = self.path.stat().st_ino != self.inode
        except OSError:
            self.is_gone = True
        return not self.is_gone


class LineFile:
    """A file of lines.

    Args:
        path: made, with its folders, at the first line; readable by its owner only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: _Handle | None = None
        self._opening = threading.RLock()
        self._opening_pid = os.getpid()

    def append(self, line: bytes) -> None:
        """Write one line, which must end in a newline and hold no other.

        Raises:
            OSError: the line is not in the file, or only a part of it.
        """
        handle = self._usable_handle()
        if self._write(handle, line):
            if os.fstat(handle.fd).st_nlink == 0 and stat.S_ISREG(handle.mode):
                # Deleted meanwhile: the line went into a file that nobody can find.
                handle.is_gone = True
                self._write(self._usable_handle(), line)
            return
        # The disk was full and may have room again; the torn part is ended first.
        if not self._write(handle, line):
            raise OSError(f"only a part of a line could be written to {self.path}")

    def size(self) -> int:
        """Return the file's size in bytes, 0 where it does not exist."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def close(self) -> None:
        """Let the descriptor go; a later line opens the file again."""
        self._handle = None

    def _usable_handle(self) -> _Handle:
        handle = self._handle
        if handle is not None and handle.is_usable():
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
                handle = self._handle = _Handle(self.path)
            return handle

    @staticmethod
    def _write(handle: _Handle, line: bytes) -> bool:
        data = b"\n" + line if handle.torn else line
        written = os.write(handle.fd, data)
        handle.torn = written != len(data)
        return not handle.torn


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
