"""Where FluxLoop keeps traces: dated files, its offline store, memory.

Each takes what decorated calls make (it is one of Spanwise's sinks) and what programs hand over
by themselves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from fluxloop.config import get_config
from fluxloop.serialization import serialize_observation, serialize_trace
from fluxloop.stored import stored_observation, stored_trace
from spanwise import _guard, _state
from spanwise.export.backlog import Backlog
from spanwise.export.jsonl_files import JsonlFiles
from spanwise.export.lines import LineFile
from spanwise.export.record import Record

if TYPE_CHECKING:
    from fluxloop.collector import HTTPStorage
    from fluxloop.models import ObservationData, TraceData

__all__ = ["FileStorage", "HTTPStorage", "MemoryStorage", "OfflineStore", "Storage"]

_MOST_IN_MEMORY = 10_000
_FLUSH_TIMEOUT_S = 1.0


def __getattr__(name: str) -> Any:
    if name == "HTTPStorage":  # which brings all that sends
        from fluxloop import collector

        return collector.HTTPStorage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Storage:
    """What every storage does with records; a storage says how a line of each kind is kept."""

    def store(self, kind: str, line: Mapping[str, Any]) -> None:
        """Keep one line; the kind is `traces` or `observations`."""
        raise NotImplementedError

    def write(self, record: Record) -> None:
        """Keep what a record says."""
        if not record.is_trace:
            self.store("observations", stored_observation(record))
        if record.is_local_root or record.is_trace:
            self.store("traces", stored_trace(record))

    def record_traces(self, traces: Iterable[TraceData]) -> None:
        """Keep traces that a program made by hand."""
        for trace in traces:
            self.store("traces", serialize_trace(trace))

    def record_observations(self, observations: Iterable[tuple[Any, ObservationData]]) -> None:
        """Keep observations that a program made by hand, each with the id of its trace."""
        for trace_id, observation in observations:
            line = serialize_observation(observation)
            self.store("observations", {**line, "trace_id": line.get("trace_id") or _id(trace_id)})

    def wake(self) -> None:
        """Do nothing: what is handed over is kept at once."""

    def flush(self, timeout_s: float = 0) -> bool:
        """Return whether all that was handed over is kept."""
        return True

    def close(self, timeout_s: float = 0) -> None:
        """Let resources go; what is handed over later is kept all the same."""


class OfflineStore(Storage):
    """`traces.jsonl` and `observations.jsonl` in one folder, in the order in which things end.

    Args:
        base_dir: the folder, made with the first line; by default the configured
            `offline_store_dir`.
    """

    def __init__(self, base_dir: str | Path | None = None) -> None:
        self.config = get_config()
        self.base_dir = Path(base_dir or self.config.offline_store_dir).expanduser().absolute()
        self.traces_file = self.base_dir / "traces.jsonl"
        self.observations_file = self.base_dir / "observations.jsonl"
        self._files = {
            "traces": LineFile(self.traces_file),
            "observations": LineFile(self.observations_file),
        }
        self._backlogs = {
            kind: Backlog("offline_store", str(file.path), file.append, file.holds)
            for kind, file in self._files.items()
        }

    def store(self, kind: str, line: Mapping[str, Any]) -> None:
        """Append one line; what cannot be written is tried again until it is."""
        try:
            encoded = orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
        except (TypeError, ValueError) as error:
            _state.count("lost.offline_store")
            _guard.warn("offline store", f"cannot store a line: {_guard.describe(error)}")
            return
        self._backlogs[kind].append(encoded)

    def flush(self, timeout_s: float = _FLUSH_TIMEOUT_S) -> bool:
        """Return whether every line so far is in the kernel's hands."""
        return all(backlog.flush(timeout_s) for backlog in self._backlogs.values())

    def close(self, timeout_s: float = _FLUSH_TIMEOUT_S) -> None:
        """Write what waits as far as the time allows, and let the files go."""
        for kind, backlog in self._backlogs.items():
            backlog.close(timeout_s)
            self._files[kind].close()


class FileStorage(Storage):
    """`traces_YYYYMMDD.jsonl` and `observations_YYYYMMDD.jsonl` in one folder.

    Args:
        base_path: the folder, made with the first line; by default the configured `base_path`.
    """

    def __init__(self, base_path: str | Path | None = None) -> None:
        self.base_path = Path(base_path or get_config().base_path).expanduser().absolute()
        self._files = JsonlFiles(self.base_path)

    def store(self, kind: str, line: Mapping[str, Any]) -> None:
        """Append one line, under the names that the dated files use."""
        dated = dict(line)
        if kind == "traces":
            dated = {"trace_id": dated.pop("id"), **dated}
        else:
            dated["parent_id"] = dated.pop("parent_observation_id", None)
        self._files.append(kind, dated)

    def write(self, record: Record) -> None:
        """Write what a record says, as Spanwise's own files do."""
        self._files.write(record)

    def flush(self, timeout_s: float = 0) -> bool:
        """Return whether every line so far is in the kernel's hands."""
        return self._files.flush(timeout_s)

    def close(self, timeout_s: float = 0) -> None:
        """Let the files go."""
        self._files.close(timeout_s)


class MemoryStorage(Storage):
    """The last traces and observations of this process, as mappings, for tests.

    Attributes:
        traces: in order of their end.
        observations: in order of their end.
    """

    def __init__(self) -> None:
        self.traces: deque[dict[str, Any]] = deque(maxlen=_MOST_IN_MEMORY)
        self.observations: deque[dict[str, Any]] = deque(maxlen=_MOST_IN_MEMORY)

    def store(self, kind: str, line: Mapping[str, Any]) -> None:
        """Keep one line; of too many the oldest goes."""
        (self.traces if kind == "traces" else self.observations).append(dict(line))


def _id(trace_id: Any) -> str:
    return str(getattr(trace_id, "hex", trace_id))
