"""Write records to the two daily files: `traces_YYYYMMDD.jsonl` and `observations_YYYYMMDD.jsonl`.

An observation's line is written when its span ends, a trace's when its first span in this
process ends. A new day (UTC) or a full file means a new name (`..._YYYYMMDD_2.jsonl`), never a
rename. Above the cap, the oldest whole files go.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from spanwise import _guard, _settings, _state
from spanwise._processes import this_process
from spanwise.export.backlog import Backlog
from spanwise.export.jsonl_lines import encoded, observation_line, trace_line
from spanwise.export.jsonl_plain import plain_lines
from spanwise.export.lines import Handle, LineFile
from spanwise.export.record import Record

STEMS: Final = ("traces", "observations")

_NAMES: Final = tuple(f"{stem}_" for stem in STEMS)
_FILE_BYTES = 64 * 1024 * 1024
_DAY_S = 86_400


class JsonlFiles:
    """The two files of a folder.

    Args:
        folder: made at the first line.
        max_bytes: of all files of the folder together; the oldest go first.
    """

    def __init__(self, folder: Path, max_bytes: int = _settings.DEFAULT_MAX_BYTES) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._file_bytes = max(1, min(_FILE_BYTES, max_bytes // 8))
        self._files = {stem: _Daily(folder, stem, self._file_bytes) for stem in STEMS}
        self._backlogs = {
            stem: Backlog("jsonl", f"{stem} in {folder}", file.append, file.holds)
            for stem, file in self._files.items()
        }
        self._traces, self._observations = (self._backlogs[stem] for stem in STEMS)
        self._unchecked_bytes = 0
        self._has_lost = False
        self._resource: tuple[Any, bytes | None] = (None, None)

    def write(self, record: Record) -> None:
        """Write the record's lines; what cannot be written is tried again until it is."""
        above = record.span.parent
        is_trace = record.is_trace
        is_root = is_trace or above is None or above.is_remote
        plain = observation = resource = None
        try:
            resource = self._resource_of(record.resource) if is_root else b""
            plain = plain_lines(record, resource) if resource is not None else None
            if plain is not None:
                self._observations.append(plain[0])
            elif not is_trace:
                observation = observation_line(record)
                self.append("observations", observation)
        finally:  # whatever a signal handler of the program raised in the midst of that
            if is_root:
                if plain is not None:
                    self._traces.append(plain[1])
                else:
                    known = orjson.Fragment(resource) if resource else None
                    self.append("traces", trace_line(record, observation, known))
        if plain is not None:
            self._note(len(plain[0]) + len(plain[1]))

    def begin(self, record: Record) -> None:
        """Write the line of an observation that has started; one with its end follows."""
        if not record.is_trace:
            line = {**observation_line(record), "end_time": None}
            self.append("observations", {**line, "state": "started", "process": this_process()})

    def flush(self, timeout_s: float) -> bool:
        """Return whether every line so far is in the kernel's hands."""
        until = time.monotonic() + timeout_s
        written = not self._has_lost
        for backlog in self._backlogs.values():
            written = backlog.flush(max(0.0, until - time.monotonic())) and written
        return written

    def wake(self) -> None:
        """Do nothing: a line is written when it is handed over."""

    def close(self, timeout_s: float) -> None:
        """Write what waits as far as the time allows, and let the files go."""
        until = time.monotonic() + timeout_s
        for stem, backlog in self._backlogs.items():
            backlog.close(max(0.0, until - time.monotonic()))
            self._files[stem].close()

    def append(self, stem: str, line: Mapping[str, Any]) -> None:
        """Write one line, which must hold nothing secret, to the file of its kind.

        Args:
            stem: `traces` or `observations`.
            line: what it says.
        """
        try:
            data = encoded(line)
        except (ValueError, TypeError) as error:
            self._has_lost = True
            _state.count("lost.jsonl")
            _guard.warn("jsonl", f"cannot write {stem} to {self.folder}: {_guard.describe(error)}")
            return
        self._backlogs[stem].append(data)
        self._note(len(data))

    def _note(self, written: int) -> None:
        """Look at the cap where enough was written since the last time."""
        self._unchecked_bytes -= written
        if self._unchecked_bytes < 0:
            # Each time all files of the folder are looked at, which may be many.
            self._unchecked_bytes = self._file_bytes // 4
            with _guard.guard("jsonl.cap"):
                self._enforce_cap()

    def _resource_of(self, resource: Mapping[str, Any]) -> bytes | None:
        """Return the resource as bytes, unless it is odd: most traces have the same one."""
        last, said = self._resource
        if last is not resource:
            said = None
            with contextlib.suppress(ValueError, TypeError):
                said = encoded(dict(resource))[:-1]
            self._resource = resource, said
        return said

    def _enforce_cap(self) -> None:
        files = []
        # What cannot be looked at, or is gone meanwhile, is none of ours to delete.
        with contextlib.suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name.startswith(_NAMES) and entry.name.endswith(".jsonl"):
                    status = entry.stat()
                    files.append((status.st_mtime, status.st_size, Path(entry.path)))
        total = sum(size for _, size, _ in files)
        if total <= self.max_bytes:
            return
        # Other processes write here too: the newest file of each kind is never touched.
        newest = {
            stem: max((p for _, _, p in files if p.name.startswith(stem)), default=None, key=_order)
            for stem in STEMS
        }
        current = {file.current_path() for file in self._files.values()} | set(newest.values())
        for _, size, path in sorted(files):
            if total <= self.max_bytes:
                return
            if path in current:
                continue
            path.unlink(missing_ok=True)
            total -= size
            _state.count("deleted.jsonl_files")
            _guard.warn("jsonl.cap", f"{path.name} was deleted: {self.folder} is over its size cap")


class _Daily(LineFile):
    """The file of one stem that lines go to now."""

    def __init__(self, folder: Path, stem: str, file_bytes: int) -> None:
        super().__init__(folder / stem, file_bytes)
        self._stem = stem
        self._file_bytes = file_bytes
        self._until_s = 0.0  # of the day

    def current_path(self) -> Path | None:
        return self.path if self._until_s else None

    def _usable_handle(self) -> Handle:
        handle = self._handle
        if time.time() >= self._until_s or (handle is not None and handle.size >= self._file_bytes):
            self._go_on()
        try:
            handle = super()._usable_handle()
        except PermissionError:
            # Another user's file of today, as a parent that ran as root left it: use a new name.
            self._go_on(skip=1)
            handle = super()._usable_handle()
        self._good_until = min(self._good_until, time.monotonic() + self._until_s - time.time())
        return handle

    def _go_on(self, skip: int = 0) -> None:
        """Take the name of the next file."""
        now = time.time()
        day = time.strftime("%Y%m%d", time.gmtime(now))
        number = 1
        while True:
            suffix = "" if number == 1 else f"_{number}"
            path = self.path.with_name(f"{self._stem}_{day}{suffix}.jsonl")
            if LineFile(path).size() < self._file_bytes:
                if not skip:
                    break
                skip -= 1
            number += 1
        self.close()
        self.path = path
        self._until_s = (now // _DAY_S + 1) * _DAY_S


def _order(path: Path) -> tuple[str, int]:
    """Sort files of one kind by day and number."""
    _, day, *number = path.stem.split("_")
    return day, int(number[0]) if number and number[0].isdigit() else 1
