"""The JSONL files as an exporter, `spanwise_jsonl`, for pipelines that are not Spanwise's."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from spanwise import _guard, _settings, _state
from spanwise._environment import Environment
from spanwise._masked_attributes import masked_attributes
from spanwise._masking import Masker
from spanwise.export.jsonl_files import JsonlFiles
from spanwise.export.making import make_record
from spanwise.processors.ended_spans import EndedSpans
from spanwise.processors.token_counts import TokenCounts


class JsonlSpanExporter(SpanExporter):
    """Write every span, masked, to the JSONL files that `SPANWISE_TRACES_DIR` names.

    Takes its settings from `SPANWISE_*` variables, as exporters that are named by
    `OTEL_TRACES_EXPORTER` do. Under Spanwise's own distro that name stands for the files of the
    settings instead, which are written as each span ends.

    Raises:
        ConfigurationError: a variable cannot be used.
    """

    def __init__(self) -> None:
        settings = _settings.resolve({}, Environment.read())
        self._files = JsonlFiles(
            settings.traces_dir or _settings.DEFAULT_TRACES_DIR, settings.traces_max_bytes
        )
        self._masker = Masker(settings.mask, settings.unmask, strict=settings.strict_masking)
        self._capture_content = settings.capture_content
        self._ended = EndedSpans()
        self._counts = TokenCounts()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write spans; one that cannot be written does not stop the others, and is counted."""
        result = SpanExportResult.SUCCESS
        for span in spans:
            try:
                self._write(span)
            except Exception as error:  # noqa: BLE001 - the next span is written all the same
                _guard.swallow("exporter.jsonl", error)
                _state.count("lost.sink")
                result = SpanExportResult.FAILURE
        return result

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return whether all that was exported is in the files."""
        return self._files.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Let the files go."""
        self._files.close(timeout_s=1.0)

    def _write(self, span: ReadableSpan) -> None:
        record = make_record(
            span,
            self._masker,
            capture_content=self._capture_content,
            resource=masked_attributes(span.resource.attributes, self._masker),
            observation_above=span.parent.span_id if span.parent is not None else None,
        )
        self._files.write(self._counts.once(record, self._ended.place(span)))
