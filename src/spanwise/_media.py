"""Say of big binary content what it is, instead of what is in it.

Images, audio and the like travel in messages as bytes or as base64, alone, in a data URL, or
inside a JSON text. In their place stands a marker with media type, size and SHA-256; the content
itself may be kept once as a file. The work is bounded: of content over 256 KiB that is not kept
as a file, and where there is much of it, only the ends are hashed, and the marker says so
(`sha256_of_ends`).
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Callable
from typing import Any, Final, Protocol

from spanwise._lazy_patterns import pattern

SMALLEST: Final = 1024  # characters or bytes; what is shorter may be an id or a key
LARGEST_SCANNED: Final = 1 << 20  # characters of an argument that is looked through for content
_WHOLLY_HASHED = 256 * 1024
ALLOWANCE: Final = 1 << 20  # bytes that are hashed of one value's contents, ends apart
_END = 65_535  # of each end; a multiple of 3, so that base64 may be cut there
_SHORT_END = 1023
_SAMPLE = 252
_UNKNOWN = "application/octet-stream"

_BASE64 = r"[A-Za-z0-9+/_\-]"
_SAMPLED = pattern(rf"(?:{_BASE64}|[\r\n])*={{0,2}}\s*")
_DATA_URL = pattern(r"data:([\w.+/\-]{0,80})(?:;[\w.+=\-]{1,80}){0,4};base64,", re.IGNORECASE)
# Only at the beginning of a run, so that the search is linear.
_RUN = pattern(
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


class Allowance:
    """How much may still be hashed of the contents of one value.

    Attributes:
        left: bytes.
    """

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = ALLOWANCE


class Keeper(Protocol):
    """Where content is kept as files."""

    def wants(self, media_type: str, size: int) -> bool:
        """Return whether content of this type and size, in bytes, is kept."""
        ...

    def keep(self, content: bytes, media_type: str, digest: str) -> str | None:
        """Return the file that holds the content, or None where it is not kept."""


def describe_bytes(
    size: int,
    read: Callable[[int, int], bytes],
    keeper: Keeper | None,
    allowance: Allowance,
    kind: str = "bytes",
) -> dict[str, Any]:
    """Return the marker of binary content.

    Args:
        size: of it all, in bytes.
        read: returns the bytes from one position to another.
        keeper: keeps it as a file.
        allowance: how much may be hashed; what is, is taken from it.
        kind: how it came, the marker's `$type`.
    """
    return _marker(kind, None, size, read, keeper, allowance)


def describe_text(text: str, keeper: Keeper | None, allowance: Allowance) -> dict[str, Any] | None:
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
    breaks = sum(text.count(blank) for blank in "\n\r ")
    size = (len(text) - start - breaks - tail.count("=")) * 3 // 4
    if breaks and len(text) <= LARGEST_SCANNED:
        text, start, breaks = "".join(text[start:].split()), 0, 0
    characters = len(text) - start - breaks
    spread = (len(text) - start) / max(1, characters)

    def decoded(begin: int, stop: int) -> bytes:
        if begin == 0:
            window = "".join(text[start : start + int((stop * 4 // 3 + 8) * spread)].split())
            return _decoded(window[: -(-stop * 4 // 3 // 4) * 4])[:stop]
        window = "".join(text[-int(((stop - begin) * 4 // 3 + 8) * spread) :].split())
        aligned = window[-(characters - len(window)) % 4 :]  # groups of four begin at the start
        return _decoded(aligned)[-(stop - begin) :]

    declared = url[1] if url is not None else None
    try:
        return _marker("base64", declared, size, decoded, keeper, allowance)
    except ValueError:  # what is between the ends is no base64
        return None


def holds_data_url(text: str) -> bool:
    """Return whether the text may hold a data URL."""
    return ";" in text and ";base64," in text  # one character is found many times faster


def may_be_in(text: str) -> bool:
    """Return whether a long text could be content, or have it in it; a look that costs little."""
    if holds_data_url(text) or _DATA_URL.match(text[:512]) is not None:
        return True
    head, tail = text[:_SAMPLE], text[-_SAMPLE:]
    return _SAMPLED.fullmatch(tail) is not None and _SAMPLED.fullmatch(head) is not None


def in_text(text: str, keeper: Keeper | None, allowance: Allowance) -> str:
    """Return a text with the base64 that stands in it replaced by what it is."""
    if len(text) < SMALLEST:
        return text
    return _RUN.sub(lambda match: _run(match, keeper, allowance), text)


def _run(match: re.Match[str], keeper: Keeper | None, allowance: Allowance) -> str:
    prefix, run = match[1] or "", match[2]
    if not prefix and not _looks_random(run[:_SAMPLE] + run[-_SAMPLE:]):
        return match[0]
    marker = describe_text(prefix + run, keeper, allowance)
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
    allowance: Allowance,
) -> dict[str, Any]:
    media_type = _media_type(read(0, 48)) or declared or _UNKNOWN
    marker: dict[str, Any] = {"$type": kind, "media_type": media_type, "bytes": size}
    is_kept = keeper is not None and keeper.wants(media_type, size)
    if is_kept or size <= min(_WHOLLY_HASHED, allowance.left):
        content = read(0, size)
        digest = marker["sha256"] = hashlib.sha256(content).hexdigest()
        file = keeper.keep(content, media_type, digest) if keeper and is_kept else None
        if file is not None:
            marker["file"] = file
        allowance.left -= size
    else:
        end = _END if min(size, allowance.left) >= 2 * _END else _SHORT_END
        last = max(0, size - size % 3 - end)
        digest = hashlib.sha256(read(0, min(end, size)) + read(last, size)).hexdigest()
        marker["sha256_of_ends"] = digest
        allowance.left -= 2 * end
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
