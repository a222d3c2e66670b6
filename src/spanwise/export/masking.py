"""Exporters that mask what they hand to another: for exporters that the application attached."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from spanwise import _guard, _state
from spanwise._masked_attributes import masked_attributes, masked_value, valid, without_media
from spanwise._masking import Masker
from spanwise.export.making import make_record, masked_scope, without_content
from spanwise.export.readable import Readable

_default = Masker()


class MaskingSpanExporter(SpanExporter):
    """Mask every span, whoever made it, before another exporter gets it.

    A span that cannot be masked is not handed on; it is counted and logged.

    Args:
        inner: the exporter that sends or writes the spans.
        masker: says what is secret; by default what `configure()` says, each time anew.
    """

    def __init__(self, inner: SpanExporter, *, masker: Masker | None = None) -> None:
        _check(inner, masker)
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
        if spans and not masked:
            return SpanExportResult.FAILURE
        return self._inner.export(masked)

    def shutdown(self) -> None:
        """Shut the other exporter down."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the other exporter, where it can be."""
        return _flush(self._inner, timeout_millis)

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
        _check(inner, masker)
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
        if batch and not masked:
            return LogRecordExportResult.FAILURE
        return self._inner.export(masked)

    def shutdown(self) -> None:
        """Shut the other exporter down."""
        self._inner.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the other exporter, where it can be."""
        return _flush(self._inner, timeout_millis)


def _masked_log(readable: ReadableLogRecord, masker: Masker) -> ReadableLogRecord:
    record = copy.copy(readable.log_record)
    attributes = masked_attributes(without_media(record.attributes or {}, None), masker)
    name = record.event_name
    if _captures_content() or not name:
        (plain,) = without_media({"body": _with_names(record.body)}, None).values()
        record.body = masked_value(plain, masker)
    else:
        record.body = None
    record.attributes = attributes if _captures_content() else without_content(attributes)
    if record.severity_text:
        record.severity_text = masker.text(valid(record.severity_text))
    record.event_name = masker.text(name) if name else name
    if hasattr(record, "exception"):
        record.exception = None  # told by the attributes, which are masked
    resource = Resource(
        masked_attributes(readable.resource.attributes, masker), readable.resource.schema_url
    )
    scope = readable.instrumentation_scope
    return dataclasses.replace(
        readable,
        log_record=record,
        resource=resource,
        instrumentation_scope=masked_scope(scope, masker) if scope is not None else None,
    )


def _with_names(value: Any) -> Any:
    """Return a body with texts as the names in its mappings, whatever they were."""
    if isinstance(value, Mapping):
        return {_name(key): _with_names(item) for key, item in value.items()}
    return [_with_names(item) for item in value] if type(value) in (list, tuple) else value


def _name(key: Any) -> str:
    return key.decode("utf-8", "replace") if type(key) is bytes else str(key)


def _check(inner: Any, masker: Any) -> None:
    if not callable(getattr(inner, "export", None)):
        raise TypeError(f"inner must be an exporter, not {inner!r}")
    if masker is not None and not isinstance(masker, Masker):
        raise TypeError(f"masker must be a Masker, not {masker!r}")


def _flush(inner: Any, timeout_millis: int) -> bool:
    flush = getattr(inner, "force_flush", None)
    return True if flush is None else bool(flush(timeout_millis))


def _masker() -> Masker:
    runtime = _state.runtime
    return runtime.encoder.masker if runtime is not None else _default


def _captures_content() -> bool:
    runtime = _state.runtime
    return runtime is None or runtime.settings.capture_content
