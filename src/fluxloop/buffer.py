"""The buffer of FluxLoop's programs: what they hand over by themselves, until it is stored.

What decorated calls make does not pass through it: it is stored the moment it ends.
"""

from __future__ import annotations

import atexit
import threading
from collections import deque
from typing import Any, ClassVar
from uuid import UUID

import spanwise
from fluxloop.config import get_config
from fluxloop.models import ObservationData, TraceData
from fluxloop.places import storage_in_force

_FLUSH_TIMEOUT_S = 5.0


class EventBuffer:
    """Traces and observations made by hand; one in a process, see `get_instance`.

    Attributes:
        traces: those that are not stored yet.
        observations: those that are not stored yet, each with the id of its trace.
    """

    _instance: ClassVar[EventBuffer | None] = None
    _lock: ClassVar[Any] = threading.RLock()

    def __init__(self) -> None:
        if EventBuffer._instance is not None:
            raise RuntimeError("Use EventBuffer.get_instance() instead")
        self.config = get_config()
        self.traces: deque[TraceData] = deque(maxlen=self.config.max_queue_size)
        self.observations: deque[tuple[Any, ObservationData]] = deque(
            maxlen=self.config.max_queue_size
        )
        # No flush: the exit has its own, and no time for two.
        atexit.register(self._store)

    @classmethod
    def get_instance(cls) -> EventBuffer:
        """Return the one buffer of the process."""
        with cls._lock:
            if cls._instance is None:
                cls._instance = cls()
            return cls._instance

    def add_trace(self, trace: TraceData) -> None:
        """Take a trace; it is stored at the next flush."""
        if get_config().enabled:
            self.traces.append(trace)

    def add_observation(self, trace_id: UUID | str, observation: ObservationData) -> None:
        """Take an observation of a trace; it is stored at the next flush."""
        if get_config().enabled:
            self.observations.append((trace_id, observation))

    def flush_if_needed(self) -> None:
        """Flush where as much as one batch is waiting."""
        if len(self.traces) + len(self.observations) >= get_config().batch_size:
            self.flush()

    def flush(self) -> None:
        """Store what is waiting; then every observation that ended so far is stored, too.

        Observations of a trace that is still open are among them. What is sent is waited for, a
        few seconds at most.
        """
        self._store()
        spanwise.flush(_FLUSH_TIMEOUT_S)

    def shutdown(self) -> None:
        """Flush for the last time."""
        self.flush()

    def _store(self) -> None:
        traces = [self.traces.popleft() for _ in range(len(self.traces))]
        observations = [self.observations.popleft() for _ in range(len(self.observations))]
        if traces or observations:
            storage = storage_in_force()
            storage.record_traces(traces)
            storage.record_observations(observations)
