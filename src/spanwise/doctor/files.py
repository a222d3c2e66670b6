"""Examine the folder that JSONL files are written to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from spanwise import _settings
from spanwise.doctor import findings
from spanwise.doctor.findings import Finding
from spanwise.doctor.surroundings import Surroundings
from spanwise.export.jsonl_files import STEMS

LITTLE_FREE_BYTES: Final = 256 << 20

_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")


def examine(found: Surroundings) -> Iterator[Finding]:
    """Yield where files are written, how much is there, and whether there is room for more."""
    folder = found.traces_dir
    if folder is None:
        yield findings.fact(
            "no JSONL files are written", mend="to have them, set SPANWISE_TRACES_DIR"
        )
    else:
        yield from _of_folder(folder.absolute(), found.settings.traces_max_bytes)
    for name, path in (("record", found.settings.record), ("media_dir", found.settings.media_dir)):
        if path is not None:
            yield findings.fact(f"{name}: {path.absolute()}", facts={name: str(path.absolute())})


def _of_folder(folder: Path, most_bytes: int) -> Iterator[Finding]:
    sizes: dict[Path, tuple[float, int]] = {}
    for path in (path for stem in STEMS for path in folder.glob(f"{stem}_*.jsonl")):
        with suppress(OSError):  # deleted meanwhile
            status = path.stat()
            sizes[path] = status.st_mtime, status.st_size
    taken = sum(size for _, size in sizes.values())
    facts = {"folder": str(folder), "files": len(sizes), "bytes": taken, "most_bytes": most_bytes}
    text = f"{folder}: {counted(len(sizes), 'file')}, {size_of(taken)} of at most {size_of(most_bytes)}"
    if sizes:
        newest = max(sizes, key=lambda path: sizes[path])
        facts["newest"] = newest.name
        text += f"; newest {newest.name}, {time_of(sizes[newest][0])}"
    yield findings.fact(text, facts=facts)
    fault = _settings.why_not_writable(folder)
    if fault:
        yield findings.problem(
            f"no files can be written in {folder}: {fault}",
            mend="name another folder in SPANWISE_TRACES_DIR",
        )
    yield from room_in(folder)


def room_in(folder: Path) -> Iterator[Finding]:
    """Yield a finding where a disk is full, or nearly so."""
    existing = _settings._nearest(folder)
    try:
        free = shutil.disk_usage(existing).free
    except OSError:
        return
    facts = {"folder": str(folder), "free_bytes": free}
    if free < LITTLE_FREE_BYTES:
        yield findings.problem(
            f"only {size_of(free)} are free on the disk of {folder}",
            mend="free some: on a full disk spans wait in memory, and are lost with it",
            facts=facts,
        )
    else:
        yield findings.ok(f"{size_of(free)} are free on the disk of {folder}", facts=facts)


def counted(number: int, noun: str) -> str:
    """Return `1 file`, `2 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size_of(number: float) -> str:
    """Return a number of bytes as people read it."""
    unit = 0
    while number >= 1024 and unit < len(_UNITS) - 1:
        number /= 1024
        unit += 1
    return (
        f"{number:,.0f} {_UNITS[unit]}"
        if unit == 0 or number >= 10
        else f"{number:.1f} {_UNITS[unit]}"
    )


def time_of(seconds: float) -> str:
    """Return a time since the epoch as local date and time."""
    return f"{datetime.fromtimestamp(seconds, timezone.utc).astimezone():%Y-%m-%d %H:%M:%S}"
