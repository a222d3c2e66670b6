"""Say of big binary content what it is, instead of what is in it.

Images, audio and the like travel in messages as bytes or as base64, alone, in a data URL, or
inside a JSON text. In their place stands a marker with media type, size and SHA-256; the content
itself may be kept once as a file. The work is bounded: of content over 256 KiB that is not kept
as a file only the ends are hashed, and the marker says so (`sha256_of_ends`).
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Callable
from typing import Any, Final, Protocol

SMALLEST: Final = 1024  # characters or bytes; what is shorter may be an id or a key
LARGEST_SCANNED: Final = 1 << 20  # characters of an argument that is looked through for content
_WHOLLY_HASHED = 256 * 1024
_END = 65_535  # of each end; a multiple of 3, so that base64 may be cut there
_SAMPLE = 252
_UNKNOWN = "application/octet-stream"

_BASE64 = r"[A-Za-z0-9+/_\-]"
_SAMPLED = re.compile(rf"(?:{_BASE64}|[\r\n])*={{0,2}}\s*")
_DATA_URL = re.compile(r"data:([\w.+/\-]{0,80})(?:;[\w.+=\-]{1,80}){0,4};base64,", re.IGNORECASE)
# Only at the beginning of a run, so that the search is linear.
_RUN = re.compile(
    rf"(data:[^,\"'\s]{{0,200}};base64,)?(?<![A-Za-z0-9+/_=\-])({_BASE64}{{{SMALLEST},}}={{0,2}})"
)
_BYTES_OF_KINDS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS = {
    b"avif": "image/avif",
    b"heic": "image/heic",
    b"mif1": "image/heic",
    b"M4A ": "audio/mp4",
    b"qt  ": "video/quicktime",
}


class Keeper(Protocol):
    """Where content is kept as files."""

    def keep(self, content: bytes, media_type: str, digest: str) -> str | None:
        """Return the file that holds the content, or None where it is not kept."""


def describe_bytes(
    size: int, read: Callable[[int, int], bytes], keeper: Keeper | None, kind: str = "bytes"
) -> dict[str, Any]:
    """Return the marker of binary content.

    Args:
        size: of it all, in bytes.
        read: returns the bytes from one position to another.
        keeper: keeps it as a file.
        kind: how it came, the marker's `$type`.
    """
    return _marker(kind, None, size, read, keeper)


def describe_text(text: str, keeper: Keeper | None) -> dict[str, Any] | None:
    """Return the marker of a text that is nothing but base64, or a data URL; None for any other."""
    if len(text) < SMALLEST:
        return None
    url = _DATA_URL.match(text[:512])
    start = url.end() if url is not None else 0
    head, tail = text[start : start + _SAMPLE], text[max(start, len(text) - _SAMPLE) :]
    if _SAMPLED.fullmatch(tail) is None or _SAMPLED.fullmatch(head) is None:
        return None
    if url is None and not _looks_random(head + tail):
        return None
    if "\n" in head or "\r" in head:
        text = "".join(text.split()) if len(text) <= LARGEST_SCANNED else text
    end = len(text) - tail.rstrip().count("=")
    size = (end - start) * 3 // 4

    def decoded(begin: int, stop: int) -> bytes:
        return _decoded(text[start + begin * 4 // 3 : start + -(-stop * 4 // 3)])

    return _marker("base64", url[1] if url is not None else None, size, decoded, keeper)


def in_text(text: str, keeper: Keeper | None) -> str:
    """Return a text with the base64 that stands in it replaced by what it is."""
    if len(text) < SMALLEST:
        return text
    return _RUN.sub(lambda match: _run(match, keeper), text)


def _run(match: re.Match[str], keeper: Keeper | None) -> str:
    prefix, run = match[1] or "", match[2]
    if not prefix and not _looks_random(run[:_SAMPLE] + run[-_SAMPLE:]):
        return match[0]
    marker = describe_text(prefix + run, keeper)
    if marker is None:
        return match[0]
    digest = marker.get("sha256") or marker.get("sha256_of_ends")
    kept = f", file {marker['file']}" if "file" in marker else ""
    return f"[{marker['media_type']}, {marker['bytes']} bytes, sha256 {digest}{kept}]"


def _marker(
    kind: str,
    declared: str | None,
    size: int,
    read: Callable[[int, int], bytes],
    keeper: Keeper | None,
) -> dict[str, Any]:
    media_type = _media_type(read(0, 48)) or declared or _UNKNOWN
    marker: dict[str, Any] = {"$type": kind, "media_type": media_type, "bytes": size}
    if size <= _WHOLLY_HASHED or keeper is not None:
        content = read(0, size)
        digest = marker["sha256"] = hashlib.sha256(content).hexdigest()
        file = keeper.keep(content, media_type, digest) if keeper is not None else None
        if file is not None:
            marker["file"] = file
    else:
        last = size - size % 3 - _END
        digest = hashlib.sha256(read(0, _END) + read(last, size)).hexdigest()
        marker["sha256_of_ends"] = digest
    return marker


def _media_type(head: bytes) -> str | None:
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    for begin, media_type in _BYTES_OF_KINDS:
        if head.startswith(begin):
            return media_type
    return None


def _decoded(text: str) -> bytes:
    text = text.translate(_STANDARD).rstrip("=")
    # A single character left over holds no byte.
    text = text[: len(text) - (len(text) % 4 == 1)]
    return binascii.a2b_base64(text + "=" * (-len(text) % 4))


_STANDARD = str.maketrans("-_", "+/")


def _looks_random(sample: str) -> bool:
    """Tell encoded bytes from words, hexadecimal digits and repeated letters."""
    letters = set(sample)
    return (
        len(letters) >= 32
        and any(c.isupper() for c in letters)
        and any(c.islower() for c in letters)
        and any(c.isdigit() for c in letters)
    )
