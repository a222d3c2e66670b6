"""A record of Spanwise's in the form in which FluxLoop stores and sends it."""

from __future__ import annotations

from typing import Any

from fluxloop.serialization import OBSERVATION_FIELDS, TRACE_FIELDS
from spanwise import semconv
from spanwise.export.jsonl_lines import observation_line, trace_line
from spanwise.export.record import Record


def stored_observation(record: Record) -> dict[str, Any]:
    """Return the observation; what is None is left out, `metadata` and `level` are always there."""
    line = {"level": "info", **observation_line(record)}
    line["parent_observation_id"] = line["parent_id"]
    description = record.attributes.get(semconv.GEN_AI_TOOL_DESCRIPTION)
    if description is not None:
        line["metadata"].setdefault("description", description)
    line["llm_parameters"] = line["metadata"].pop("llm_parameters", None)
    is_stream = semconv.OBSERVATION_STREAM_CHUNKS in record.attributes
    if is_stream and not isinstance(line["output"], str):
        # Readers take an agent's output for its answer, which a list of chunks is not.
        line["output"] = None
    return {name: line[name] for name in OBSERVATION_FIELDS if line.get(name) is not None}


def stored_trace(record: Record) -> dict[str, Any]:
    """Return the trace, from the span that it began with; what is None is left out."""
    line = {**trace_line(record), "id": record.trace_id}
    if not record.is_trace:  # what went in and came out is the observation's
        line |= {"input": None, "output": None}
    return {name: line[name] for name in TRACE_FIELDS if line.get(name) is not None}
