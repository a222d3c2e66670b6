"""Spans that have started and not ended, noted beside the segments of a spool.

What a kill interrupts never ends: its process cannot tell of it any more. With start records on
(`live`), whoever takes over what that process left sends such a span as one that was interrupted.

    <process>.open.jsonl    {"started": "<span id>", "span": {"resourceSpans": ...}} and
                            {"ended": "<span id>"}, each with a checksum
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path
from typing import Any, Final

import orjson

from spanwise import semconv
from spanwise._processes import PerProcess
from spanwise.export import segments
from spanwise.export.backlog import Backlog
from spanwise.export.lines import LineFile
from spanwise.export.segments import Line, sealed
from spanwise.export.spool import Spool

_SUFFIX: Final = ".open.jsonl"
_MOST_BYTES = 1 << 20
_ERROR = 2
_SPAN_ID = re.compile(rb'"spanId":"([0-9a-f]{16})"')


class StartedSpans:
    """The open spans of this process, where another one finds them.

    Args:
        spool: beside whose segments they are noted.
        spool_backlog: by which the spool is written.
        target: what log lines call it.
    """

    def __init__(self, spool: Spool, spool_backlog: Backlog, target: str) -> None:
        self._spool = spool
        self._spool_backlog = spool_backlog
        self._backlog = Backlog("started", target, self._write)
        self._own = PerProcess(_Own)

    def begin(self, span_id: str, text: bytes) -> None:
        """Note a span that starts; the text is that of a line of the spool."""
        line = b'{"started":"%s","span":%s}' % (span_id.encode(), text)
        self._own.get().open[span_id] = line
        self._backlog.append(sealed(line))

    def end(self, span_id: str) -> None:
        """Note that the span has ended, and is in the spool."""
        if self._own.get().open.pop(span_id, None) is not None:
            self._backlog.append(sealed(b'{"ended":"%s"}' % span_id.encode()))

    def are_open(self) -> bool:
        """Return whether a span of this process has started and not ended."""
        own = self._own.peek()
        return own is not None and bool(own.open)

    def close(self, timeout_s: float) -> None:
        """Let the file go, and take it away where no span is open."""
        self._backlog.close(timeout_s)
        own = self._own.get()
        if own.file is not None:
            own.file.close()
            if not own.open:
                with contextlib.suppress(OSError):
                    own.file.path.unlink()

    def _write(self, line: bytes) -> None:
        own = self._own.get()
        path = self._path()
        if own.file is None or own.file.path != path:
            before, own.file = own.file, LineFile(path)
            for other in list(own.open.values()):
                if sealed(other) != line:
                    own.file.append(sealed(other))
            if before is not None:  # else they are open in both, whatever becomes of them
                with contextlib.suppress(OSError):
                    before.path.unlink()
        elif own.file.size() > own.most_bytes:
            lines = [sealed(other) for other in list(own.open.values())]
            # Where very much is open it takes as much again until it is worth it once more.
            own.most_bytes = max(_MOST_BYTES, 2 * sum(map(len, lines)))
            _rewrite(path, lines)
        own.file.append(line)

    def _path(self) -> Path:
        if self._spool.current()[0] is None:
            self._spool_backlog.exclusively(self._spool.begin)
        mine, _ = self._spool.current()
        if mine is None:
            raise OSError("nothing can be spooled")
        return mine.folder / f"{mine.process}{_SUFFIX}"


class _Own:
    """The open spans of one process: a forked child has none of its parent's."""

    def __init__(self) -> None:
        self.open: dict[str, bytes] = {}
        self.file: LineFile | None = None
        self.most_bytes = _MOST_BYTES


def interrupted(folder: Path, process: str, seen: set[str]) -> list[Line]:
    """Return the spans that a dead process left open, as lines to be sent.

    Args:
        folder: of the destination.
        process: whose they are.
        seen: ids of spans that it spooled last: one may have ended and not been noted as ended.
    """
    path = _path_of(folder, process)
    started: dict[str, Any] = {}
    ended = set(seen)
    at_ns = 0
    with contextlib.suppress(OSError):
        at_ns = path.stat().st_mtime_ns
        for line in segments.lines_of(path):
            content = orjson.loads(line.data)
            if "started" in content:
                started[content["started"]] = content["span"]
            else:
                ended.add(content["ended"])
    return [
        Line(sealed(_as_interrupted(span, at_ns))[:-1])
        for span_id, span in started.items()
        if span_id not in ended
    ]


def are_noted(folder: Path, process: str) -> bool:
    """Return whether the process noted which spans it started."""
    return _path_of(folder, process).exists()


def forget(folder: Path, process: str) -> None:
    """Take away what a dead process left open, once it was sent."""
    with contextlib.suppress(OSError):
        _path_of(folder, process).unlink()


def ids_in(lines: list[Line]) -> set[str]:
    """Return the ids of the spans in lines of a spool."""
    found = (_SPAN_ID.search(line.data) for line in lines)
    return {match[1].decode() for match in found if match is not None}


def _path_of(folder: Path, process: str) -> Path:
    return folder / f"{process}{_SUFFIX}"


def _as_interrupted(document: Any, at_ns: int) -> bytes:
    """Return the span as one that ended, with an error, when its process was last seen."""
    span = document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span["endTimeUnixNano"] = str(max(at_ns, int(span["startTimeUnixNano"])))
    span["status"] = {
        "code": _ERROR,
        "message": "interrupted: the process ended before the span did",
    }
    mark = {"key": semconv.OBSERVATION_INTERRUPTED, "value": {"boolValue": True}}
    span["attributes"] = [*span.get("attributes", ()), mark]
    return orjson.dumps(document)


def _rewrite(path: Path, lines: list[bytes]) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, b"".join(lines))
    finally:
        os.close(fd)
    new.replace(path)
