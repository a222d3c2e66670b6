"""Send to a FluxLoop collector what decorated calls make; what it does not take is kept.

A server that knows no `/api/traces` is taken for an OTLP collector.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from fluxloop.client import DEFAULT_URL, collector_headers
from fluxloop.config import SDKConfig, get_config
from fluxloop.storage import OfflineStore, Storage
from fluxloop.stored import stored_observation, stored_trace
from spanwise import _guard
from spanwise._destinations import TRACES_PATH, Destination
from spanwise.export.otlp import OtlpSink
from spanwise.export.outbox import Answer, Letter, Outbox

if TYPE_CHECKING:
    from spanwise.export.record import Record

_UNKNOWN_PATH = frozenset({404, 405})
# After a failure the store gets everything for so long: each attempt may cost a timeout.
_AWAY_S = 30.0


class HTTPStorage(Storage):
    """A FluxLoop collector, one request for each trace and observation.

    Args:
        collector_url: base address; by default the configured one, else `http://localhost:8000`.
        api_key: by default the configured one.
        offline: keeps what the collector does not take.
        kept_in: the folder in which all of it is kept in any case; with neither, what the
            collector does not take is counted as lost.
    """

    def __init__(
        self,
        collector_url: str | None = None,
        api_key: str | None = None,
        *,
        offline: OfflineStore | None = None,
        kept_in: Path | None = None,
    ) -> None:
        config: SDKConfig = get_config()
        if api_key is not None:
            config = config.model_copy(update={"api_key": api_key})
        self.collector_url = (collector_url or config.collector_url or DEFAULT_URL).rstrip("/")
        self.offline = offline
        self.kept_in = offline.base_dir if offline is not None else kept_in
        self._headers = collector_headers(config)
        self._timeout_s = config.timeout
        self._away_until_s = 0.0
        self._otlp: OtlpSink | None = None
        self._outbox = Outbox(
            "collector",
            self.collector_url,
            most_attempts=None if self.kept_in is None else 1,
            timeout_s=self._timeout_s,
        )

    @property
    def identity(self) -> tuple[Any, ...]:
        """What tells one collector from another."""
        keeps = self.offline is not None, self.kept_in
        return self.collector_url, tuple(self._headers.items()), self._timeout_s, keeps

    def store(self, kind: str, line: Mapping[str, Any]) -> None:
        """Send one line."""
        self._send(kind, line, None)

    def write(self, record: Record) -> None:
        """Send what a record says."""
        if self._otlp is not None:
            self._otlp.write(record)
            return
        if record.is_local_root or record.is_trace:
            again = record if record.is_trace else None
            self._send("traces", stored_trace(record), again)
        if not record.is_trace:
            self._send("observations", stored_observation(record), record)

    def wake(self) -> None:
        """Have what waits sent; does not wait for it."""
        if self._otlp is not None:
            self._otlp.wake()

    def flush(self, timeout_s: float = 0) -> bool:
        """Return whether all of it arrived, or is kept, in that time."""
        until = time.monotonic() + timeout_s
        arrived = self._outbox.flush(timeout_s)
        if self._otlp is not None:
            arrived = self._otlp.flush(max(0.0, until - time.monotonic())) and arrived
        return arrived

    def close(self, timeout_s: float = 0) -> None:
        """Send as far as the time allows; what is left is kept."""
        until = time.monotonic() + timeout_s
        self._outbox.close(timeout_s)
        if self._otlp is not None:
            self._otlp.close(max(0.0, until - time.monotonic()))
        if self.offline is not None:
            self.offline.close()

    def _send(self, kind: str, line: Mapping[str, Any], record: Record | None) -> None:
        if self.kept_in is not None and time.monotonic() < self._away_until_s:
            if self.offline is not None:
                self.offline.store(kind, line)
            return
        path = "/api/traces"
        if kind == "observations":
            path = f"{path}/{line.get('trace_id')}/observations"
        letter = Letter(
            method="POST",
            url=f"{self.collector_url}{path}",
            headers=self._headers,
            body=orjson.dumps(line),
            on_refused=lambda answer: self._refused(answer, kind, line, record),
            on_given_up=self._kept(kind, line) if self.kept_in is not None else None,
        )
        self._outbox.put(letter)

    def _kept(self, kind: str, line: Mapping[str, Any]) -> Callable[[str], None]:
        def keep(why: str) -> None:
            self._away_until_s = time.monotonic() + _AWAY_S
            if self.offline is not None:
                self.offline.store(kind, line)
            _guard.warn(
                f"collector {self.collector_url}",
                f"{self.collector_url} is away ({why}); traces are kept in {self.kept_in}",
            )

        return keep

    def _refused(
        self, answer: Answer, kind: str, line: Mapping[str, Any], record: Record | None
    ) -> None:
        if answer.status in _UNKNOWN_PATH:
            if self._otlp is None:
                self._otlp = OtlpSink(
                    Destination(
                        endpoint=f"{self.collector_url}{TRACES_PATH}",
                        headers={k: v for k, v in self._headers.items() if k == "Authorization"},
                        timeout_s=self._timeout_s,
                    )
                )
            if record is not None:
                self._otlp.write(record)
            return
        _guard.warn(
            f"collector {self.collector_url} {answer.status}",
            f"{self.collector_url} refused a line of {kind} ({answer.status})",
        )
        if self.offline is not None:
            self.offline.store(kind, line)
