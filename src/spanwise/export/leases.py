"""The right to send what one process spooled: a lock on a file, which dies with its holder.

`lockf` and not `flock`: a forked child inherits the latter, and would keep a dead parent's lease
alive. A `lockf` in turn is dropped when the process closes any descriptor of the file, so the file
is opened once in a process and never again; `_state.leases` says which ones are open.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
import zlib
from pathlib import Path

from spanwise import _guard, _state

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_CURSOR_BYTES = 64
_LOCK_AT = 1 << 30  # far behind the content: on Windows what is locked cannot be read
_HELD_BY_ANOTHER = frozenset({errno.EACCES, errno.EAGAIN, errno.EDEADLK})


class Lease:
    """A lease that this process holds, with the place up to which its segments are settled.

    Args:
        path: of the lock file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pid = os.getpid()
        self._fd = -1
        self._identity: tuple[int, int] | None = None  # while it is being taken
        self._closing = threading.RLock()

    @classmethod
    def new(cls, path: Path) -> Lease:
        """Make the lock file and hold it.

        Raises:
            OSError: it cannot be made, or another process was quicker.
        """
        lease = cls(path)
        if not lease._is_taken(os.O_EXCL, is_own=True):
            raise FileExistsError(f"{path.name} was taken while it was made")
        return lease

    @classmethod
    def of_dead(cls, path: Path) -> Lease | None:
        """Take over the lease of a process that is gone; None where it lives.

        Where there is no lock file, its process lost it, and one is made.
        """
        lease = cls(path)
        try:
            return lease if lease._is_taken(0, is_own=False) else None
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.ENOENT):
                _guard.warn("leases", f"cannot lock {path}: {_guard.describe(error)}")
            return None

    def is_held(self) -> bool:
        """Return whether others find it locked: somebody may have closed or removed the file."""
        if self._pid != os.getpid():
            return False
        if self._identity is None:
            return True
        with self._closing:
            if not self._is_open() or not _is_file(self._fd, self.path):
                return False
            # The program may have opened the file, and dropped our lock with that.
            return sys.platform == "win32" or _locked(self._fd)

    def cursor(self) -> tuple[int, int]:
        """Return number of the segment and offset in it up to which all is settled."""
        try:
            with self._closing:
                if self._is_open():
                    return _parsed(_read_at_start(self._fd))
        except OSError:
            pass
        return 0, 0

    def move_cursor(self, number: int, offset: int) -> None:
        """Remember, beyond the end of the process, up to where all is settled."""
        place = b"%06d %020d" % (number, offset)
        try:
            with self._closing:
                if self._is_open():  # else its number may be another file's by now
                    _write_at_start(self._fd, b"%s %08x\n" % (place, zlib.crc32(place)))
        except OSError as error:
            _guard.warn("leases", f"cannot write to {self.path}: {_guard.describe(error)}")

    def release(self, *, remove: bool) -> None:
        """Let others have it; remove the file where nothing is left to be sent."""
        with self._closing:
            # Before it is unlocked: nobody may take the name for a lease of a dead process.
            if remove and self.is_held() and sys.platform != "win32":
                with contextlib.suppress(OSError):
                    self.path.unlink()
            if self._is_open():
                os.close(self._fd)
                if remove and sys.platform == "win32":
                    with contextlib.suppress(OSError):
                        self.path.unlink()
            self._fd = -1
        # Afterwards: closing it would drop the lock of whoever took it here in between.
        self._forget()

    def let_go(self) -> None:
        """Close what a forked child inherited; its parent's hold is not touched by that."""
        is_inherited = self._pid != os.getpid()  # then a thread that is not here may have the lock
        with contextlib.nullcontext() if is_inherited else self._closing:
            if self._is_open():
                os.close(self._fd)
            self._fd = -1
        self._forget()

    def _is_taken(self, flags: int, *, is_own: bool) -> bool:
        """Open the file and lock it; return False where another one holds it, here or elsewhere."""
        fd = -1
        try:
            # To the kernel one process is one holder, however many threads of it ask.
            if is_held_here(self.path) or _state.leases.setdefault(self._key(), self) is not self:
                return False
            flags |= os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
            fd = os.open(self.path, flags, 0o600)
            # Whoever held it may have removed it between our opening and our locking.
            if _locked(fd, is_own=is_own) and _is_file(fd, self.path):
                status = os.fstat(fd)
                self._fd, self._identity = fd, (status.st_ino, status.st_dev)
        finally:
            if self._identity is None:
                if fd >= 0:
                    os.close(fd)
                self._forget()
        return self._identity is not None

    def _is_open(self) -> bool:
        """Return whether the descriptor is still that of the lock file."""
        try:
            status = os.fstat(self._fd)
        except OSError:
            return False
        return (status.st_ino, status.st_dev) == self._identity

    def _forget(self) -> None:
        if _state.leases.get(self._key()) is self:
            _state.leases.pop(self._key(), None)

    def _key(self) -> str:
        return os.fspath(self.path)


def cursor_of(path: Path) -> tuple[int, int]:
    """Return the cursor in a lock file, whoever holds the lease."""
    if is_held_here(path):
        lease = _state.leases.get(os.fspath(path))
        return lease.cursor() if lease is not None else (0, 0)
    try:
        with open(path, "rb") as stream:
            return _parsed(stream.read(_CURSOR_BYTES))
    except OSError:
        return 0, 0


def _parsed(text: bytes) -> tuple[int, int]:
    """Return what a cursor says; one that is missing or damaged means that all is sent again."""
    try:
        number, offset, checksum = text.partition(b"\n")[0].split()
        if int(checksum, 16) == zlib.crc32(b"%s %s" % (number, offset)):
            return int(number), int(offset)
    except ValueError:
        pass
    return 0, 0


def is_held_here(path: Path) -> bool:
    """Return whether this process holds the lease: the kernel would give it to us once more."""
    lease = _state.leases.get(os.fspath(path))
    if lease is None:
        return False
    if lease.is_held():
        return True
    lease.let_go()
    return False


def _locked(fd: int, *, is_own: bool = True) -> bool:
    """Return whether the file is locked by us now.

    Where the file system has no locks, our own segments are written all the same, and nobody
    takes those of others.
    """
    try:
        if sys.platform == "win32":
            os.lseek(fd, _LOCK_AT, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _LOCK_AT)
    except OSError as error:
        if error.errno in _HELD_BY_ANOTHER:
            return False
        if is_own:
            return True
        raise
    return True


def _is_file(fd: int, path: Path) -> bool:
    """Return whether the descriptor is open and is of the file at the path."""
    try:
        ours, there = os.fstat(fd), os.stat(path)  # noqa: PTH116 - one call, in the hot path
    except OSError:
        return False
    return (ours.st_ino, ours.st_dev) == (there.st_ino, there.st_dev)


# Not by way of the offset: a forked child has the same one.
if hasattr(os, "pread"):

    def _read_at_start(fd: int) -> bytes:
        return os.pread(fd, _CURSOR_BYTES, 0)

    def _write_at_start(fd: int, data: bytes) -> None:
        os.pwrite(fd, data, 0)
else:

    def _read_at_start(fd: int) -> bytes:
        os.lseek(fd, 0, os.SEEK_SET)
        return os.read(fd, _CURSOR_BYTES)

    def _write_at_start(fd: int, data: bytes) -> None:
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, data)
