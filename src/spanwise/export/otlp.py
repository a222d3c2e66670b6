"""Send records to one OTLP destination.

The transport is OpenTelemetry's batch processor and exporter, made at the first record so that
nothing is connected or started in a process that sends nothing, and made anew in a forked child.
This class is the seam: sinks and processors know nothing of the transport behind it.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.context import _RUNTIME_CONTEXT, Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, Status

from spanwise import _guard, _settings, _state, dialects
from spanwise._destinations import Destination
from spanwise._environment import Environment
from spanwise.export.record import Record


class OtlpSink:
    """Records on their way to a destination.

    Args:
        destination: where to.
    """

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self._dialects = tuple(dialects.load(name) for name in destination.dialects)
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._transport: _Transport | None = None
        self._taken = 0
        self._resources: dict[int, Resource] = {}

    def write(self, record: Record) -> None:
        """Queue one record for sending."""
        transport = self._started()
        for translate in self._dialects:
            record = record.translated(*translate(record))
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
            _state.count("lost.otlp", lost)
            endpoint = self.destination.endpoint
            _guard.warn(
                f"otlp {endpoint}", f"{lost} spans did not reach {endpoint} before the exit"
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
                token = _RUNTIME_CONTEXT.attach(Context())
                try:
                    self._transport = _Transport(self.destination)
                finally:
                    _RUNTIME_CONTEXT.detach(token)
            return self._transport

    def _readable(self, record: Record) -> ReadableSpan:
        span = record.span
        return ReadableSpan(
            name=record.name,
            context=_plain_context(span.context),
            parent=span.parent,
            resource=self._resource(record),
            attributes=record.attributes,
            events=[Event(e.name, e.attributes, e.time_ns) for e in record.events],
            links=record.links,
            kind=span.kind,
            status=Status(span.status.status_code, record.status_message)
            if record.status_message is not None
            else Status(span.status.status_code),
            start_time=_nanoseconds(span.start_time),
            end_time=_nanoseconds(span.end_time),
            instrumentation_scope=record.scope,
        )

    def _resource(self, record: Record) -> Resource:
        # One object for the spans of one resource: the encoder groups spans by it.
        key = hash(frozenset((name, str(value)) for name, value in record.resource.items()))
        known = self._resources.get(key)
        if known is None:
            if len(self._resources) > 64:
                self._resources.clear()
            known = Resource(dict(record.resource), record.span.resource.schema_url)
            self._resources[key] = known
        return known


def _plain_context(context: SpanContext | None) -> SpanContext | None:
    """Return the context without its trace state, which others fill and nobody masks."""
    if context is None or not context.trace_state:
        return context
    return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags)


def _nanoseconds(time_ns: int | None) -> int:
    """Return a time that the protocol can hold: one bad time would lose the whole batch."""
    return min(max(time_ns or 0, 0), 2**63 - 1)


class _Transport:
    """The batch processor, its exporter, and the one thread that waits for it.

    The batch processor ignores the timeouts of flush and shutdown, so it is asked from a thread
    of its own. That thread is made with the transport: at the exit none can be started any more.
    """

    def __init__(self, destination: Destination) -> None:
        self.exporter = _CountingExporter(_exporter(destination), destination)
        self.batches = BatchSpanProcessor(self.exporter)
        self._asked: queue.SimpleQueue[tuple[Callable[[], object], threading.Event]]
        self._asked = queue.SimpleQueue()
        self._is_woken = False
        threading.Thread(target=self._answer, name="spanwise-otlp", daemon=True).start()

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
                _guard.swallow("otlp.transport", error)
            done.set()
            if action == self.batches.shutdown:
                return


class _CountingExporter(SpanExporter):
    """Count what was acknowledged, and say once in a while when a destination is away."""

    def __init__(self, inner: SpanExporter, destination: Destination) -> None:
        self._inner = inner
        self._destination = destination
        self.acknowledged = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._inner.export(spans)
        except Exception as error:  # noqa: BLE001 - a batch that cannot be encoded or sent
            _guard.swallow("otlp.export", error)
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self.acknowledged += len(spans)
            _state.count("exported.otlp", len(spans))
        else:
            _state.count("failed.otlp", len(spans))
            _guard.warn(
                f"otlp {self._destination.endpoint}",
                f"{len(spans)} spans could not be sent to {self._destination.endpoint}",
            )
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


def _exporter(destination: Destination) -> SpanExporter:
    options: dict[str, Any] = {
        "endpoint": destination.endpoint,
        "timeout": destination.timeout_s,
    }
    if destination.protocol == "grpc":
        return _grpc_exporter(destination, options)
    # Imported here: the exporters are a large part of what could be imported.
    import requests
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    headers = dict(destination.headers)
    environment = Environment(os.environ, {})
    others = _settings.headers(environment.get("OTEL_EXPORTER_OTLP_TRACES_HEADERS") or "")
    others += _settings.headers(environment.get("OTEL_EXPORTER_OTLP_HEADERS") or "")
    ours = {name.lower() for name in headers}
    not_ours = [name for name, _ in others if name.lower() not in ours]

    class Session(requests.Session):
        """Leaves out the headers that the exporter takes from the environment by itself.

        They are credentials for the address that the environment names, and no other's.
        """

        def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            for name in not_ours:
                request.headers.pop(name, None)
            return super().send(request, **options)

    return OTLPSpanExporter(
        session=Session(),
        headers=headers,
        compression=Compression(destination.compression),
        certificate_file=destination.certificate,
        client_key_file=destination.client_key,
        client_certificate_file=destination.client_certificate,
        **options,
    )


def _grpc_exporter(destination: Destination, options: dict[str, Any]) -> SpanExporter:
    import grpc
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    insecure = destination.endpoint.startswith("http://")
    credentials = None
    if not insecure:
        credentials = grpc.ssl_channel_credentials(
            root_certificates=_content(destination.certificate),
            private_key=_content(destination.client_key),
            certificate_chain=_content(destination.client_certificate),
        )
    compression = {
        "none": grpc.Compression.NoCompression,
        "gzip": grpc.Compression.Gzip,
        "deflate": grpc.Compression.Deflate,
    }[destination.compression]
    return OTLPSpanExporter(
        insecure=insecure,
        credentials=credentials,
        # Never empty: the exporter would take those of the environment, which are another's.
        headers=[
            ("x-otlp-client", "spanwise"),
            *((name.lower(), value) for name, value in dict(destination.headers).items()),
        ],
        compression=compression,
        **options,
    )


def _content(path: str | None) -> bytes | None:
    if path is None:
        return None
    with open(path, "rb") as stream:
        return stream.read()
