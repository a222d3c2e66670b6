"""Hand records to an exporter of OpenTelemetry's kind, in batches, from a thread of its own.

The transport is OpenTelemetry's batch processor, made at the first record so that nothing is
connected or started in a process that sends nothing, and made anew in a forked child. This class
is the seam: processors know nothing of what is behind it.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from spanwise import _contexts, _guard, _state
from spanwise.export.readable import Readable
from spanwise.export.record import Record


class BatchedSink:
    """Records on their way to an exporter.

    Args:
        kind: what the counters call it.
        target: what log lines call it.
    """

    def __init__(self, kind: str, target: str) -> None:
        self._kind = kind
        self._target = target
        self._readable = Readable()
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._transport: _Transport | None = None
        self._taken = 0

    def exporter(self) -> SpanExporter:
        """Make the exporter; called once in each process."""
        raise NotImplementedError

    def write(self, record: Record) -> None:
        """Queue one record for sending."""
        transport = self._started()
        span = self._readable(record)
        with self._lock:
            self._taken += 1
        transport.batches.on_end(span)

    def wake(self) -> None:
        """Have what is queued sent now; does not wait for it."""
        transport = self._transport
        if transport is not None and self._pid == os.getpid():
            transport.wake()

    def flush(self, timeout_s: float) -> bool:
        """Return whether every record taken so far was acknowledged in that time."""
        transport = self._transport
        if transport is None or self._pid != os.getpid():
            return True
        transport.ask(transport.batches.force_flush).wait(timeout_s)
        return transport.exporter.acknowledged >= self._taken

    def close(self, timeout_s: float) -> None:
        """Send what is queued as far as the time allows."""
        transport, self._transport = self._transport, None
        if transport is None or self._pid != os.getpid():
            return
        if not transport.ask(transport.batches.shutdown).wait(timeout_s):
            transport.exporter.shutdown()  # ends its retries, which would go on behind our back
        lost = self._taken - transport.exporter.acknowledged
        self._taken = 0
        if lost > 0:
            _state.count(f"lost.{self._kind}", lost)
            _guard.warn(
                f"{self._kind} {self._target}",
                f"{lost} spans did not reach {self._target} before the exit",
            )

    def _started(self) -> _Transport:
        if self._transport is not None and self._pid == os.getpid():
            return self._transport
        if self._pid != os.getpid():
            self._lock = threading.RLock()
            self._transport = None
            self._taken = 0
            self._pid = os.getpid()
        with self._lock:
            if self._transport is None:
                # Its threads outlive the span that happens to be the first one sent.
                token = _contexts.attach(Context())
                try:
                    self._transport = _Transport(
                        _CountingExporter(self.exporter(), self._kind, self._target)
                    )
                finally:
                    _contexts.detach(token)
            return self._transport


class _Transport:
    """The batch processor, its exporter, and the one thread that waits for it.

    The batch processor ignores the timeouts of flush and shutdown, so it is asked from a thread
    of its own. That thread is made with the transport: at the exit none can be started any more.
    """

    def __init__(self, exporter: _CountingExporter) -> None:
        self.exporter = exporter
        self.batches = BatchSpanProcessor(self.exporter)
        self._asked: queue.SimpleQueue[tuple[Callable[[], object], threading.Event]]
        self._asked = queue.SimpleQueue()
        self._is_woken = False
        threading.Thread(target=self._answer, name="spanwise-export", daemon=True).start()

    def ask(self, action: Callable[[], object]) -> threading.Event:
        """Have the thread do this; return an event that is set when it is done."""
        done = threading.Event()
        self._asked.put((action, done))
        return done

    def wake(self) -> None:
        """Have what is queued sent; asked again while it waits for that, it waits once."""
        if not self._is_woken:
            self._is_woken = True
            self.ask(self._send)

    def _send(self) -> None:
        self._is_woken = False
        self.batches.force_flush()

    def _answer(self) -> None:
        while True:
            action, done = self._asked.get()
            try:
                action()
            except Exception as error:  # noqa: BLE001 - the next request is answered all the same
                _guard.swallow("export.transport", error)
            done.set()
            if action == self.batches.shutdown:
                return


class _CountingExporter(SpanExporter):
    """Count what was acknowledged, and say once in a while when a destination is away."""

    def __init__(self, inner: SpanExporter, kind: str, target: str) -> None:
        self._inner = inner
        self._kind = kind
        self._target = target
        self.acknowledged = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._inner.export(spans)
        except Exception as error:  # noqa: BLE001 - a batch that cannot be encoded or sent
            _guard.swallow("export", error)
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self.acknowledged += len(spans)
            _state.count(f"exported.{self._kind}", len(spans))
        else:
            _state.count(f"failed.{self._kind}", len(spans))
            _guard.warn(
                f"{self._kind} {self._target}",
                f"{len(spans)} spans could not be sent to {self._target}",
            )
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)
