"""Write records to the two daily files: `traces_YYYYMMDD.jsonl` and `observations_YYYYMMDD.jsonl`.

An observation's line is written when its span ends, a trace's when its first span in this
process ends. A new day (UTC) or a full file means a new name (`..._YYYYMMDD_2.jsonl`), never a
rename. Above the cap, the oldest whole files go.
"""

from __future__ import annotations

import datetime
import errno
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from spanwise import _guard, _settings, _state, semconv
from spanwise._processes import this_process
from spanwise.export.backlog import Backlog
from spanwise.export.lines import LineFile
from spanwise.export.record import Record, from_json

STEMS: Final = ("traces", "observations")

_FILE_BYTES = 64 * 1024 * 1024
_CHECK_EVERY_LINES = 512
_DAY_S = 86_400
_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)

# Said by a field of their own in an observation's line, or meant for us alone.
_SHOWN_ELSEWHERE = frozenset(
    {
        semconv.OBSERVATION_TYPE,
        semconv.OBSERVATION_INPUT,
        semconv.OBSERVATION_OUTPUT,
        semconv.OBSERVATION_LEVEL,
        semconv.OBSERVATION_TAGS,
        semconv.OBSERVATION_STATUS_MESSAGE,
    }
)


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
        self._lines = 0
        self._has_lost = False

    def write(self, record: Record) -> None:
        """Write the record's lines; what cannot be written is tried again until it is."""
        try:
            if not record.is_trace:
                self.append("observations", observation_line(record))
        finally:  # whatever a signal handler of the program raised in the midst of that
            if record.is_local_root or record.is_trace:
                self.append("traces", trace_line(record))

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
            encoded = _encoded(line)
        except (ValueError, TypeError) as error:
            self._has_lost = True
            _state.count("lost.jsonl")
            _guard.warn("jsonl", f"cannot write {stem} to {self.folder}: {_guard.describe(error)}")
            return
        self._backlogs[stem].append(encoded)
        self._lines += 1
        if self._lines % _CHECK_EVERY_LINES == 1:
            with _guard.guard("jsonl.cap"):
                self._enforce_cap()

    def _enforce_cap(self) -> None:
        files = []
        for stem in STEMS:
            for path in self.folder.glob(f"{stem}_*.jsonl"):
                status = path.stat()
                files.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in files)
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


class _Daily:
    """The file of one stem that lines go to now."""

    def __init__(self, folder: Path, stem: str, file_bytes: int) -> None:
        self._folder = folder
        self._stem = stem
        self._file_bytes = file_bytes
        self._until_s = 0.0
        self._file: LineFile | None = None
        self._lines = 0

    def append(self, line: bytes) -> None:
        file = self._file
        if file is None or time.time() >= self._until_s:
            file = self._next()
        self._lines += 1
        if self._lines % _CHECK_EVERY_LINES == 0 and file.size() >= self._file_bytes:
            file = self._next()
        try:
            file.append(line)
        except PermissionError:
            # Another user's file of today, as a parent that ran as root left it: use a new name.
            file = self._next(skip=1)
            file.append(line)
        except OSError as error:
            if error.errno == errno.EBADF:
                file.close()
            raise

    def holds(self, line: bytes) -> bool:
        return self._file is not None and self._file.holds(line)

    def current_path(self) -> Path | None:
        return self._file.path if self._file is not None else None

    def close(self) -> None:
        self._file = None

    def _next(self, skip: int = 0) -> LineFile:
        now = time.time()
        day = time.strftime("%Y%m%d", time.gmtime(now))
        number = 1
        while True:
            suffix = "" if number == 1 else f"_{number}"
            file = LineFile(self._folder / f"{self._stem}_{day}{suffix}.jsonl")
            if file.size() < self._file_bytes:
                if not skip:
                    break
                skip -= 1
            number += 1
        self._until_s = (now // _DAY_S + 1) * _DAY_S
        self._file = file
        return file


def observation_line(record: Record) -> dict[str, Any]:
    """Return the observation as the documents show it, with what more there is to say."""
    meaning = record.meaning
    metadata = record.metadata()
    if record.is_error:
        _describe_error(record, metadata)
    line: dict[str, Any] = {
        "id": record.span_id,
        "trace_id": record.trace_id,
        "parent_id": record.observation_above_id,
        "type": meaning.type,
        "name": record.name,
        "start_time": iso_time(record.span.start_time or 0),
        "end_time": iso_time(record.span.end_time or 0),
        "input": meaning.input,
        "output": meaning.output,
        "metadata": metadata,
    }
    optional = {
        "error": record.error,
        "level": record.attributes.get(semconv.OBSERVATION_LEVEL),
        "status_message": record.attributes.get(semconv.OBSERVATION_STATUS_MESSAGE),
        "model": meaning.model,
        "prompt_tokens": meaning.input_tokens,
        "completion_tokens": meaning.output_tokens,
        "total_tokens": record.attributes.get(
            semconv.OBSERVATION_USAGE_TOTAL_TOKENS,
            _total(meaning.input_tokens, meaning.output_tokens),
        ),
        "tags": record.attributes.get(semconv.OBSERVATION_TAGS),
        "user_id": meaning.user_id,
        "account_id": record.attributes.get(semconv.ACCOUNT_ID),
        "session_id": meaning.session_id,
    }
    line |= {key: value for key, value in optional.items() if value is not None}
    metadata_prefix = f"{semconv.OBSERVATION_METADATA}."
    line["attributes"] = {
        key: value
        for key, value in record.attributes.items()
        if key not in _SHOWN_ELSEWHERE and not key.startswith(metadata_prefix)
    }
    if record.events:
        line["events"] = [
            {"name": event.name, "time": iso_time(event.time_ns), "attributes": event.attributes}
            for event in record.events
        ]
    if record.links:
        line["links"] = [
            {
                "trace_id": format(link.context.trace_id, "032x"),
                "span_id": format(link.context.span_id, "016x"),
                "attributes": link.attributes,
            }
            for link in record.links
        ]
    if record.scope is not None:
        line["scope"] = record.scope.name
    if record.span.kind.name != "INTERNAL":
        line["kind"] = record.span.kind.name.lower()
    return line


def trace_line(record: Record) -> dict[str, Any]:
    """Return the trace as the documents show it, from the span that it began with."""
    attributes = record.attributes
    line: dict[str, Any] = {
        "trace_id": record.trace_id,
        "name": record.name,
        "session_id": record.meaning.session_id,
        "start_time": iso_time(record.span.start_time or 0),
        "end_time": iso_time(record.span.end_time or 0),
        "metadata": record.metadata(),
        "tags": list(attributes.get(semconv.OBSERVATION_TAGS, ())),
        "status": "error" if record.is_error else "success",
    }
    optional = {
        "error": record.error,
        "user_id": record.meaning.user_id,
        "account_id": attributes.get(semconv.ACCOUNT_ID),
        "user": _party(attributes, semconv.USER),
        "account": _party(attributes, semconv.ACCOUNT),
        "message_id": attributes.get(semconv.MESSAGE_ID),
        "input": record.meaning.input,
        "output": record.meaning.output,
        "root_id": None if record.is_trace else record.span_id,
    }
    line |= {key: value for key, value in optional.items() if value is not None}
    line["resource"] = dict(record.resource)
    return line


def iso_time(time_ns: int) -> str:
    """Return a time as ISO 8601 in UTC, to the microsecond."""
    most = 253_402_300_799_000_000  # the last second of the year 9999, in microseconds
    return (
        _EPOCH + datetime.timedelta(microseconds=min(max(time_ns // 1000, 0), most))
    ).isoformat()


def _order(path: Path) -> tuple[str, int]:
    """Sort files of one kind by day and number."""
    _, day, *number = path.stem.split("_")
    return day, int(number[0]) if number and number[0].isdigit() else 1


def _encoded(line: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(line, default=_json_safe, option=_OPTIONS)
    except TypeError:
        # Nested deeper than the encoder goes: such a value is kept as text.
        flat = {
            key: value if isinstance(value, (str, int, float, type(None))) else _flat(value)
            for key, value in line.items()
        }
        return orjson.dumps(flat, default=_json_safe, option=_OPTIONS)


def _flat(value: Any) -> Any:
    try:
        orjson.dumps(value, default=_json_safe, option=_OPTIONS)
    except TypeError:
        return str(value)[:65_536].encode("utf-8", "backslashreplace").decode()
    return value


def _describe_error(record: Record, metadata: dict[str, Any]) -> None:
    exceptions = [event for event in record.events if event.name == "exception"]
    error_type = record.attributes.get(semconv.ERROR_TYPE)
    if exceptions:
        last = exceptions[-1].attributes
        error_type = error_type or last.get(semconv.EXCEPTION_TYPE)
        metadata.setdefault("traceback", last.get(semconv.EXCEPTION_STACKTRACE))
    if error_type is not None:
        metadata.setdefault("error_type", str(error_type).rpartition(".")[2])


def _party(attributes: Mapping[str, Any], prefix: str) -> dict[str, Any] | None:
    start = f"{prefix}."
    found = {k[len(start) :]: from_json(v) for k, v in attributes.items() if k.startswith(start)}
    return found or None


def _total(prompt: int | None, completion: int | None) -> int | None:
    return (prompt or 0) + (completion or 0) if (prompt, completion) != (None, None) else None


def _json_safe(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bytes):
        return value.hex()
    return str(value)
