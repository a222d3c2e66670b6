"""Exporters that mask what they hand to another: for exporters that the application attached."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from spanwise import _guard, _state
from spanwise._masking import Masker
from spanwise.export.readable import Readable
from spanwise.export.record import make_record, masked_attributes, masked_value, without_content

_default = Masker()


class MaskingSpanExporter(SpanExporter):
    """Mask every span, whoever made it, before another exporter gets it.

    A span that cannot be masked is not handed on; it is counted and logged.

    Args:
        inner: the exporter that sends or writes the spans.
        masker: says what is secret; by default what `configure()` says, each time anew.
    """

    def __init__(self, inner: SpanExporter, *, masker: Masker | None = None) -> None:
        self._inner = inner
        self._masker = masker
        self._readable = Readable()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand on the masked spans, and return what the other exporter says of them."""
        masker = self._masker or _masker()
        masked = []
        for span in spans:
            try:
                masked.append(self._masked(span, masker))
            except Exception as error:  # noqa: BLE001 - the others are handed on all the same
                _state.count("dropped.unmaskable")
                _guard.swallow("masking", error)
        return self._inner.export(masked)

    def shutdown(self) -> None:
        """Shut the other exporter down."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the other exporter."""
        return self._inner.force_flush(timeout_millis)

    def _masked(self, span: ReadableSpan, masker: Masker) -> ReadableSpan:
        record = make_record(
            span,
            masker,
            capture_content=_captures_content(),
            resource=masked_attributes(span.resource.attributes, masker),
        )
        return self._readable(record)


class MaskingLogRecordExporter(LogRecordExporter):
    """Mask every log record before another exporter gets it: instrumentors emit content as events.

    A record that cannot be masked is not handed on; it is counted and logged.

    Args:
        inner: the exporter that sends or writes the records.
        masker: says what is secret; by default what `configure()` says, each time anew.
    """

    def __init__(self, inner: LogRecordExporter, *, masker: Masker | None = None) -> None:
        self._inner = inner
        self._masker = masker

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Hand on the masked records, and return what the other exporter says of them."""
        masker = self._masker or _masker()
        masked = []
        for record in batch:
            try:
                masked.append(_masked_log(record, masker))
            except Exception as error:  # noqa: BLE001 - the others are handed on all the same
                _state.count("dropped.unmaskable")
                _guard.swallow("masking", error)
        return self._inner.export(masked)

    def shutdown(self) -> None:
        """Shut the other exporter down."""
        self._inner.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the other exporter, where it can be."""
        flush: Any = getattr(self._inner, "force_flush", None)
        return True if flush is None else bool(flush(timeout_millis))


def _masked_log(readable: ReadableLogRecord, masker: Masker) -> ReadableLogRecord:
    record = copy.copy(readable.log_record)
    attributes = masked_attributes(record.attributes or {}, masker)
    name = record.event_name
    if not _captures_content():
        attributes = without_content(attributes)
        record.body = None if name else masked_value(record.body, masker)
    else:
        record.body = masked_value(record.body, masker)
    record.attributes = attributes
    record.event_name = masker.text(name) if name else name
    if hasattr(record, "exception"):
        record.exception = None  # told by the attributes, which are masked
    resource = Resource(
        masked_attributes(readable.resource.attributes, masker), readable.resource.schema_url
    )
    return dataclasses.replace(readable, log_record=record, resource=resource)


def _masker() -> Masker:
    runtime = _state.runtime
    return runtime.encoder.masker if runtime is not None else _default


def _captures_content() -> bool:
    runtime = _state.runtime
    return runtime is None or runtime.settings.capture_content
