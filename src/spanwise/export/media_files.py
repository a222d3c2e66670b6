"""Keep images, audio and the like, once each, as files named by their content."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from spanwise import _guard, _settings, _state

_LARGEST = 64 << 20
# What is kept: formats that are looked at or listened to. Anything else may be a secret in a
# form of its own, which cannot be masked.
_SUFFIXES: Final = {
    "application/pdf": ".pdf",
    "audio/flac": ".flac",
    "audio/mp4": ".m4a",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "audio/wav": ".wav",
    "image/avif": ".avif",
    "image/gif": ".gif",
    "image/heic": ".heic",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/tiff": ".tiff",
    "image/webp": ".webp",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
}


class MediaFiles:
    """A folder with one file for each content, `<sha256>.<format>`.

    Args:
        folder: made at the first content, readable by its owner only.
        max_bytes: of the files together; the oldest go first.
    """

    def __init__(self, folder: Path, max_bytes: int = _settings.DEFAULT_MAX_BYTES) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._written: int | None = None

    def wants(self, media_type: str, size: int) -> bool:
        """Return whether content of this type and size, in bytes, is kept."""
        return media_type in _SUFFIXES and size <= min(_LARGEST, self.max_bytes)

    def keep(self, content: bytes, media_type: str, digest: str) -> str | None:
        """Return the name of the file that holds the content, or None where it is not kept."""
        if not self.wants(media_type, len(content)):
            return None
        name = f"{digest}{_SUFFIXES[media_type]}"
        path = self.folder / name
        try:
            if not path.exists():
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._make_room(len(content))
                _write_whole(path, content)
                _state.count("written.media")
        except OSError as error:
            _state.count("lost.media")
            _guard.warn("media", f"cannot keep media in {self.folder}: {_guard.describe(error)}")
            return None
        return name

    def _make_room(self, size: int) -> None:
        """Delete the oldest files where those that are there leave too little room."""
        if self._written is not None and self._written + size <= self.max_bytes:
            self._written += size
            return
        held = []
        for path in self.folder.iterdir():
            status = path.stat()
            held.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in held)
        for _, freed, path in sorted(held):
            if total + size <= self.max_bytes:
                break
            path.unlink(missing_ok=True)
            total -= freed
            _state.count("deleted.media")
            _guard.warn("media.cap", f"{path.name} was deleted: {self.folder} is over its size cap")
        self._written = total + size


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, whatever other processes write meanwhile."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
