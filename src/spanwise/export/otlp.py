"""Send records to one OTLP destination.

The transport is OpenTelemetry's batch processor and exporter, made at the first record so that
nothing is connected or started in a process that sends nothing, and made anew in a forked child.
This class is the seam: sinks and processors know nothing of the transport behind it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

from opentelemetry.context import _RUNTIME_CONTEXT, Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Status

from spanwise import _guard, _state, dialects
from spanwise._destinations import Destination
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
        self._transport: BatchSpanProcessor | None = None
        self._exporter: _CountingExporter | None = None
        self._taken = 0
        self._resources: dict[int, Resource] = {}

    def write(self, record: Record) -> None:
        """Queue one record for sending."""
        transport = self._started()
        for translate in self._dialects:
            record = record.translated(*translate(record))
        span = self._readable(record)
        self._taken += 1
        transport.on_end(span)

    def flush(self, timeout_s: float) -> bool:
        """Return whether every record taken so far was acknowledged, or refused, in that time."""
        if self._pid != os.getpid() or self._transport is None or self._exporter is None:
            return True
        transport, exporter = self._transport, self._exporter
        # The batch processor ignores its timeout, so it is waited for from outside.
        worker = threading.Thread(target=transport.force_flush, daemon=True)
        worker.start()
        worker.join(timeout_s)
        return exporter.settled >= self._taken

    def close(self, timeout_s: float) -> None:
        """Send what is queued as far as the time allows."""
        if self._pid != os.getpid() or self._transport is None:
            return
        transport, self._transport = self._transport, None
        worker = threading.Thread(target=transport.shutdown, daemon=True)
        worker.start()
        worker.join(timeout_s)
        if self._exporter is not None and self._exporter.settled < self._taken:
            lost = self._taken - self._exporter.settled
            _state.count("lost.otlp", lost)
            _guard.warn(
                f"otlp {self.destination.endpoint}",
                f"{lost} spans did not reach {self.destination.endpoint} before the exit",
            )

    def _started(self) -> BatchSpanProcessor:
        if self._transport is not None and self._pid == os.getpid():
            return self._transport
        if self._pid != os.getpid():
            self._lock = threading.RLock()
            self._transport = None
            self._taken = 0
            self._pid = os.getpid()
        with self._lock:
            if self._transport is None:
                self._exporter = _CountingExporter(_exporter(self.destination), self.destination)
                # Its thread outlives the span that happens to be the first one sent.
                token = _RUNTIME_CONTEXT.attach(Context())
                try:
                    self._transport = BatchSpanProcessor(self._exporter)
                finally:
                    _RUNTIME_CONTEXT.detach(token)
            return self._transport

    def _readable(self, record: Record) -> ReadableSpan:
        span = record.span
        return ReadableSpan(
            name=record.name,
            context=span.context,
            parent=span.parent,
            resource=self._resource(record),
            attributes=record.attributes,
            events=[Event(e.name, e.attributes, e.time_ns) for e in record.events],
            links=record.links,
            kind=span.kind,
            status=Status(span.status.status_code, record.status_message)
            if record.status_message is not None
            else Status(span.status.status_code),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
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


class _CountingExporter(SpanExporter):
    """Count what was acknowledged or finally refused, and say once when a destination is away."""

    def __init__(self, inner: SpanExporter, destination: Destination) -> None:
        self._inner = inner
        self._destination = destination
        self.settled = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._inner.export(spans)
        except Exception as error:  # noqa: BLE001 - a batch that cannot be encoded or sent
            _guard.swallow("otlp.export", error)
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self.settled += len(spans)
            _state.count("sent.otlp", len(spans))
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
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(
        headers=dict(destination.headers),
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
        headers=[(name.lower(), value) for name, value in dict(destination.headers).items()],
        compression=compression,
        **options,
    )


def _content(path: str | None) -> bytes | None:
    if path is None:
        return None
    with open(path, "rb") as stream:
        return stream.read()
