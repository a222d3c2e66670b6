"""Send to a FluxLoop collector what decorated calls make; what it does not take yet is kept.

Everything goes by way of a spool, and arrives once the collector is there. Meanwhile the offline
store has it, too, where FluxLoop's readers look for it. A server that knows no `/api/traces` is
taken for an OTLP collector.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fluxloop.client import DEFAULT_URL, collector_headers
from fluxloop.config import SDKConfig, get_config
from fluxloop.storage import OfflineStore, Storage
from fluxloop.stored import stored_observation, stored_trace
from spanwise import _guard, _state
from spanwise._destinations import Destination
from spanwise.export.letters import LetterOrSpanCourier, line_of
from spanwise.export.otlp_json import LineEncoder
from spanwise.export.policy import Answer
from spanwise.export.spooled import SpooledLines

if TYPE_CHECKING:
    from spanwise.export.record import Record

_MOST_UNSETTLED = 10_000
_LOOK_EVERY_S = 0.005

_Lines = list[tuple[str, Mapping[str, Any]]]


class HTTPStorage(Storage):
    """A FluxLoop collector, one request for each trace and observation.

    Args:
        collector_url: base address; by default the configured one, else `http://localhost:8000`.
        api_key: by default the configured one.
        offline: gets what the collector does not take at once.
        kept_in: the folder in which all of it is kept in any case.
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
        headers = collector_headers(config)
        del headers["Content-Type"]  # letters and spans have one each
        self._destination = Destination(
            endpoint=self.collector_url,
            headers=headers,
            timeout_s=config.timeout,
        )
        runtime = _state.runtime
        self._spool_dir = runtime.settings.spool_dir if runtime is not None else None
        self._is_away = False
        self._span = LineEncoder()
        # What the collector has not taken yet, and the store does not have: by the spooled text.
        self._unsettled: dict[bytes, _Lines] = {}
        self._spooled: SpooledLines | None = None

    @property
    def identity(self) -> tuple[Any, ...]:
        """What tells one collector from another."""
        return self._destination, self.offline is not None, self.kept_in, self._spool_dir

    def store(self, kind: str, line: Mapping[str, Any]) -> None:
        """Send one line."""
        self._send([(kind, line)], None)

    def write(self, record: Record) -> None:
        """Send what a record says."""
        lines: _Lines = []
        if not record.is_trace:
            lines.append(("observations", stored_observation(record)))
        if record.is_local_root or record.is_trace:
            lines.append(("traces", stored_trace(record)))
        self._send(lines, self._span(record))

    def wake(self) -> None:
        """Have what waits sent now; does not wait for it."""
        if self._spooled is not None:
            self._spooled.wake()

    def flush(self, timeout_s: float = 0) -> bool:
        """Return whether all of it arrived, or is in FluxLoop's files, in that time."""
        if self._spooled is None:
            return True
        if self.kept_in is None:
            return self._spooled.flush(timeout_s)
        until = time.monotonic() + timeout_s
        self._spooled.wake()
        while self._unsettled and time.monotonic() < until:
            time.sleep(_LOOK_EVERY_S)
        return not self._unsettled and (self.offline is None or self.offline.flush())

    def close(self, timeout_s: float = 0) -> None:
        """Send as far as the time allows; the rest is there for the next process."""
        if self._spooled is not None:
            self._spooled.close(timeout_s)
        self._store_unsettled()
        if self.offline is not None:
            self.offline.close()

    def taken(self, text: bytes) -> None:
        """Forget a line that arrived."""
        self._is_away = False
        self._unsettled.pop(text, None)

    def away(self, reason: str) -> None:
        """Put into the store what waits for the collector."""
        self._is_away = True
        self._store_unsettled()
        if self.kept_in is not None:
            _guard.warn(
                f"collector {self.collector_url}",
                f"traces are kept in {self.kept_in}, too, while {self.collector_url} takes nothing",
            )

    def refused(self, content: Mapping[str, Any], answer: Answer) -> None:
        """Put into the store what the collector will never take."""
        _guard.warn(
            f"collector {self.collector_url} {answer.status}",
            f"{self.collector_url} refused an observation or a trace ({answer.status})",
        )
        self._store_unsettled()

    def _send(self, lines: _Lines, span: bytes | None) -> None:
        letters = [{"path": _path(kind, line), "body": line} for kind, line in lines]
        text = line_of(letters, span)
        if self._is_away:
            self._store(lines)
        else:
            self._unsettled[text] = lines
            if len(self._unsettled) > _MOST_UNSETTLED:
                self._store(self._unsettled.pop(next(iter(self._unsettled)), []))
        if self._spooled is None:
            courier = LetterOrSpanCourier("collector", self._destination, self)
            self._spooled = SpooledLines(courier, self._destination, self._spool_dir)
        self._spooled.append(text)

    def _store_unsettled(self) -> None:
        while self._unsettled:
            try:
                lines = self._unsettled.pop(next(iter(self._unsettled)))
            except (KeyError, RuntimeError, StopIteration):  # another thread was quicker
                continue
            self._store(lines)

    def _store(self, lines: _Lines) -> None:
        if self.offline is not None:
            for kind, line in lines:
                self.offline.store(kind, line)


def _path(kind: str, line: Mapping[str, Any]) -> str:
    path = "/api/traces"
    return f"{path}/{line.get('trace_id')}/observations" if kind == "observations" else path
