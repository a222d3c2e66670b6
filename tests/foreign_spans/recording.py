"""Starts and ends of spans in their order, as JSON, and back again.

Ids are numbered and times counted, so that two recordings of one program differ little.
"""

from __future__ import annotations

import threading
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import INVALID_SPAN, SpanKind, StatusCode, set_span_in_context


class Recorder(SpanProcessor):
    """Keeps what each span is when it starts, and when it ends."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []
        self._numbers: dict[int, int] = {}
        self._lock = threading.Lock()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        with self._lock:
            ids = self._ids(span)
            self.steps.append({"start": ids[0], "trace": ids[1], "parent": ids[2]})

    def on_end(self, span: ReadableSpan) -> None:
        with self._lock:
            scope = span.instrumentation_scope
            self.steps.append(
                {
                    "end": self._ids(span)[0],
                    "name": span.name,
                    "kind": span.kind.name,
                    "scope": scope.name if scope is not None else "",
                    "attributes": _plain(span.attributes or {}),
                    "events": [
                        {"name": event.name, "attributes": _plain(event.attributes or {})}
                        for event in span.events
                    ],
                    "status": span.status.status_code.name,
                    "message": span.status.description,
                }
            )

    def _ids(self, span: ReadableSpan) -> tuple[int, int, int | None]:
        context: Any = span.context
        parent = self._number(span.parent.span_id) if span.parent is not None else None
        return self._number(context.span_id), self._number(context.trace_id), parent

    def _number(self, identity: int) -> int:
        return self._numbers.setdefault(identity, len(self._numbers) + 1)


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()} if hasattr(value, "items") else value


def replay(steps: list[dict[str, Any]], provider: Any) -> None:
    """Make the recorded spans once more, in their order, with this provider."""
    ends = {step["end"]: step for step in steps if "end" in step}
    spans: dict[int, Any] = {}
    for step in steps:
        if "start" in step:
            number = step["start"]
            if number not in ends:
                continue  # its instrumentor never ended it
            above = spans.get(step["parent"], INVALID_SPAN)
            tracer = provider.get_tracer(ends[number]["scope"])
            spans[number] = tracer.start_span(
                ends[number]["name"],
                context=set_span_in_context(above),
                kind=SpanKind[ends[number]["kind"]],
            )
        else:
            span = spans[step["end"]]
            span.set_attributes(step["attributes"])
            for event in step["events"]:
                span.add_event(event["name"], event["attributes"])
            span.set_status(StatusCode[step["status"]], step["message"])
            span.end()
