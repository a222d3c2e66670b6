"""Where spools lie: a root folder, and in it a folder for each destination.

The folder of a destination is named after its address and a salted hash of the headers that it is
sent: a process with another address or other credentials never sends what is in it, and no
credential is on the disk. What no process sends, since another program reads it, has one of its own.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import orjson
import platformdirs

from spanwise import _guard
from spanwise._destinations import Destination

ABOUT: Final = "destination.json"
UNSENT: Final = "unsent"  # no destination's, as those end in a hash

_SALT = "salt"
_SALT_BYTES = 32
# Nothing that passes by itself, as a full disk does.
_NO_PLACE = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.EOPNOTSUPP),
        *(errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR),
    }
)


def default_root() -> Path:
    """Return the user's own folder for spools; it need not exist."""
    return Path(platformdirs.user_state_dir("spanwise", appauthor=False)) / "spool"


class Places:
    """The folders in which spans for one destination may be spooled.

    The second one stands in where the first cannot be written to: a worker that changed its user,
    a file system that is read-only.

    Args:
        destination: whose; None for what is read by another program, and sent nowhere.
        root: that spools lie in; the user's own by default.
    """

    def __init__(self, destination: Destination | None, root: Path | None = None) -> None:
        self.destination = destination
        # One path for one folder, however it was named: by it this process knows its leases.
        self.root = Path(os.path.realpath((root or default_root()).expanduser()))
        self._spare_is_told = False

    def made(self) -> Path:
        """Return the destination's folder, made if it was not there.

        Raises:
            OSError: it cannot be made anywhere.
        """
        try:
            return self._made_in(self.root)
        except OSError as error:
            if error.errno not in _NO_PLACE:
                raise
            folder = self._made_in(_spare_root())
            if not self._spare_is_told:
                self._spare_is_told = True
                reason = _guard.describe(error)
                _guard.warn("spool.spare", f"spans are spooled in {folder}, since {reason}")
            return folder

    def existing(self) -> list[Path]:
        """Return the destination's folders that are there, and may be looked into."""
        found = []
        for root in (self.root, _spare_root()):
            with contextlib.suppress(OSError):
                if root != self.root:
                    _check_owner(root)
                folder = self._folder(root, make=False)
                if _is_accessible(folder, os.R_OK | os.W_OK | os.X_OK) and folder.is_dir():
                    found.append(folder)
        return found

    def _made_in(self, root: Path) -> Path:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if root == _spare_root():
            _check_owner(root)
        folder = self._folder(root, make=True)
        if not _is_accessible(folder, os.W_OK | os.X_OK):
            folder.mkdir(mode=0o700, exist_ok=True)
            if not _is_accessible(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
            if self.destination is not None:
                _describe(folder, self.destination)
        return folder

    def _folder(self, root: Path, *, make: bool) -> Path:
        if self.destination is None:
            return root / UNSENT
        return root / _name(self.destination, _salt(root, make=make))


def _name(destination: Destination, salt: bytes) -> str:
    told = [destination.endpoint, destination.protocol]
    headers = {name.lower(): value for name, value in dict(destination.headers).items()}
    told += [f"{name}: {value}" for name, value in sorted(headers.items())]
    # An address from the environment may hold bytes that are no text.
    text = "\n".join(told).encode("utf-8", "surrogatepass")
    digest = hmac.new(salt, text, hashlib.sha256).hexdigest()[:16]
    host = re.sub(r"[^a-z0-9.-]", "-", (urlsplit(destination.endpoint).hostname or "").lower())
    return f"{host[:40]}-{digest}"


def _spare_root() -> Path:
    """Return a folder that the current user can make in any case, also after a `setuid`."""
    shared = Path("/var/tmp")  # noqa: S108 - kept over a restart; the folder in it is the user's own
    if not os.access(shared, os.W_OK | os.X_OK):
        shared = Path(tempfile.gettempdir())
    user = os.geteuid() if hasattr(os, "geteuid") else "user"
    return shared / f"spanwise-{user}"


def _is_accessible(path: Path, mode: int) -> bool:
    """Return whether the user that the process acts as may do this with a path."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _check_owner(folder: Path) -> None:
    """Raise PermissionError where another user made the folder that is to be ours."""
    status = folder.lstat()
    is_ours = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
    if not stat.S_ISDIR(status.st_mode) or not is_ours or status.st_mode & 0o022:
        raise PermissionError(errno.EACCES, "is not a folder of this user alone", str(folder))


def _salt(root: Path, *, make: bool) -> bytes:
    """Return the random bytes of a root, made once by whichever process comes first."""
    path = root / _SALT
    try:
        return path.read_bytes()
    except FileNotFoundError:
        if not make:
            raise
    # Whole from the first moment on: written under another name, then linked.
    new = root / f".{_SALT}-{os.getpid()}-{os.urandom(4).hex()}"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            if os.write(fd, os.urandom(_SALT_BYTES)) != _SALT_BYTES:
                raise OSError(errno.ENOSPC, "only a part of the salt could be written", str(path))
        finally:
            os.close(fd)
        with contextlib.suppress(FileExistsError):
            os.link(new, path)
    finally:
        new.unlink(missing_ok=True)
    return path.read_bytes()


def _describe(folder: Path, destination: Destination) -> None:
    """Say in the folder whose it is, for people and for `spanwise doctor`."""
    endpoint = _guard.masked(destination.endpoint).encode("utf-8", "backslashreplace").decode()
    about = {"endpoint": endpoint, "protocol": destination.protocol}
    with contextlib.suppress(OSError):
        fd = os.open(folder / ABOUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "wb") as stream:
            stream.write(orjson.dumps(about, option=orjson.OPT_APPEND_NEWLINE))
