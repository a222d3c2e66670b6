"""Records of spans that are made by hand, or were recorded of real instrumentors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, Status, StatusCode

from spanwise._masking import Masker
from spanwise.export.making import make_record
from spanwise.export.record import Record

FOREIGN = Path(__file__).parents[1] / "data" / "foreign_spans"
_TRACE = 1


def record_of(
    attributes: Mapping[str, Any] | None = None,
    *,
    name: str = "work",
    scope: str = "spanwise",
    parent: int | None = None,
    error: str | None = None,
    resource: Mapping[str, Any] | None = None,
    capture_content: bool = True,
) -> Record:
    """Return the record of a span with these attributes, made by Spanwise unless said otherwise."""
    span = ReadableSpan(
        name,
        context=SpanContext(_TRACE, 2, is_remote=False),
        parent=SpanContext(_TRACE, parent, is_remote=False) if parent is not None else None,
        resource=Resource({}),
        attributes=dict(attributes or {}),
        status=Status(StatusCode.ERROR, error) if error is not None else Status(),
        instrumentation_scope=InstrumentationScope(scope),
        start_time=1_700_000_000_000_000_000,
        end_time=1_700_000_001_000_000_000,
    )
    return make_record(span, Masker(), resource=resource or {}, capture_content=capture_content)


def recorded(which: str, *, capture_content: bool = True) -> Iterator[Record]:
    """Return the records of what a real instrumentor made, as `langchain-openinference`."""
    text = (FOREIGN / f"{which}.jsonl").read_text(encoding="utf-8")
    steps = [json.loads(line) for line in text.splitlines()[1:]]
    parents = {step["start"]: step["parent"] for step in steps if "start" in step}
    for step in steps:
        if "end" in step:
            yield record_of(
                {k: tuple(v) if isinstance(v, list) else v for k, v in step["attributes"].items()},
                name=step["name"],
                scope=step["scope"],
                parent=parents[step["end"]],
                capture_content=capture_content,
            )
