"""Hand traces and observations over by oneself: to a FluxLoop collector, or to a storage."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import UUID

from fluxloop.config import STORAGES, SDKConfig, get_config
from fluxloop.models import ObservationData, TraceData
from fluxloop.serialization import serialize_observation, serialize_trace
from fluxloop.storage import FileStorage, MemoryStorage

__all__ = ["FluxLoopClient"]

DEFAULT_URL = "http://localhost:8000"


class FluxLoopClient:
    """Send what a program made by hand; nothing is connected before the first call.

    Args:
        collector_url: base address of the collector; by default the configured one, else
            `http://localhost:8000`.
        api_key: for the collector; by default the configured one.
        storage: `file` or `memory` keeps what is sent here instead, `http` is the collector.
        base_path: folder of the files.
        auto_flush: store at once (the default) or at the next `flush()`.
        flush_interval: accepted; nothing waits for a time here.
        buffer_size: with `auto_flush=False`, how much may wait before it is stored all the same.
        project_name: sent as the service's name where none is configured.
        enabled: False does nothing.

    Attributes:
        config: the configuration that holds for the client.
        storage: what keeps things here, None where they are sent.

    Raises:
        ValueError: a value cannot be used.
    """

    def __init__(
        self,
        collector_url: str | None = None,
        api_key: str | None = None,
        *,
        storage: str | None = None,
        base_path: str | Path | None = None,
        auto_flush: bool = True,
        flush_interval: float | None = None,
        buffer_size: int | None = None,
        project_name: str | None = None,
        enabled: bool | None = None,
    ) -> None:
        given = {
            "collector_url": collector_url,
            "api_key": api_key,
            "base_path": base_path,
            "flush_interval": flush_interval,
            "buffer_size": buffer_size,
            "project_name": project_name,
            "enabled": enabled,
            "auto_flush": auto_flush,
        }
        known = {**get_config().model_dump(), **{k: v for k, v in given.items() if v is not None}}
        if storage is not None and storage not in STORAGES:
            raise ValueError(f"storage must be one of {', '.join(STORAGES)}, not {storage!r}")
        self.config: SDKConfig = SDKConfig(**known)
        self.collector_url = (self.config.collector_url or DEFAULT_URL).rstrip("/")
        self.api_key = self.config.api_key
        self.storage: FileStorage | MemoryStorage | None = None
        if storage == "file":
            self.storage = FileStorage(self.config.base_path)
        elif storage == "memory":
            self.storage = MemoryStorage()
        self._waiting: list[tuple[Any, TraceData | ObservationData]] = []
        self._session: Any = None

    def __enter__(self) -> FluxLoopClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def send_trace(self, trace: TraceData) -> dict[str, Any]:
        """Send a trace; return what the collector answers, or what became of it here.

        Raises:
            requests.RequestException: the collector did not take it.
        """
        return self._send(None, trace)

    def send_observation(
        self, trace_id: UUID | str, observation: ObservationData
    ) -> dict[str, Any]:
        """Send an observation of a trace; return what the collector answers.

        Raises:
            requests.RequestException: the collector did not take it.
        """
        return self._send(trace_id, observation)

    def flush(self) -> bool:
        """Store or send what waits; return whether all of it arrived."""
        waiting, self._waiting = self._waiting, []
        for trace_id, data in waiting:
            self._deliver(trace_id, data)
        return self.storage is None or self.storage.flush()

    def close(self) -> None:
        """Flush, and let connections go."""
        self.flush()
        if self.storage is not None:
            self.storage.close()
        if self._session is not None:
            self._session.close()
            self._session = None

    def _send(self, trace_id: Any, data: TraceData | ObservationData) -> dict[str, Any]:
        if not self.config.enabled:
            return {"status": "disabled"}
        if self.storage is None and not self.config.use_collector:
            return {"status": "collector_disabled"}
        if self.config.auto_flush:
            return self._deliver(trace_id, data)
        self._waiting.append((trace_id, data))
        if len(self._waiting) >= self.config.buffer_size:
            self.flush()
        return {"status": "buffered"}

    def _deliver(self, trace_id: Any, data: TraceData | ObservationData) -> dict[str, Any]:
        if self.storage is not None:
            if isinstance(data, TraceData):
                self.storage.record_traces([data])
            else:
                self.storage.record_observations([(trace_id, data)])
            return {"status": "stored"}
        if isinstance(data, TraceData):
            return self._post("/api/traces", serialize_trace(data))
        spelled = str(getattr(trace_id, "hex", trace_id))
        return self._post(f"/api/traces/{spelled}/observations", serialize_observation(data))

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if self._session is None:
            import requests

            self._session = requests.Session()
            self._session.headers.update(collector_headers(self.config))
        answer = self._session.post(
            f"{self.collector_url}{path}", json=body, timeout=self.config.timeout
        )
        answer.raise_for_status()
        told: dict[str, Any] = answer.json() if answer.content else {}
        return told


def collector_headers(config: SDKConfig) -> dict[str, str]:
    """Return the headers of every request to a collector."""
    headers = {"Content-Type": "application/json"}
    if config.api_key:
        headers["Authorization"] = f"Bearer {config.api_key}"
    service = config.service_name or config.project_name
    if service:
        headers["X-Service-Name"] = service
    if config.environment:
        headers["X-Environment"] = config.environment
    return headers
