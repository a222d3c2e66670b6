"""A record of Spanwise's in the form in which FluxLoop stores and sends it."""

from __future__ import annotations

from typing import Any

from spanwise import semconv
from spanwise.export.jsonl_files import observation_line, trace_line
from spanwise.export.record import Record

_SAME_IN_OBSERVATIONS = (
    "input",
    "output",
    "error",
    "level",
    "status_message",
    "metadata",
    "model",
    "llm_parameters",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
)
_SAME_IN_TRACES = ("start_time", "end_time", "session_id", "user_id", "metadata", "tags")


def stored_observation(record: Record) -> dict[str, Any]:
    """Return the observation; what is None is left out, `metadata` and `level` are always there."""
    line = observation_line(record)
    line.setdefault("level", "info")
    description = record.attributes.get(semconv.GEN_AI_TOOL_DESCRIPTION)
    if description is not None:
        line["metadata"].setdefault("description", description)
    line["llm_parameters"] = line["metadata"].pop("llm_parameters", None)
    is_stream = semconv.OBSERVATION_STREAM_CHUNKS in record.attributes
    if is_stream and not isinstance(line["output"], str):
        # Readers take an agent's output for its answer, which a list of chunks is not.
        line["output"] = None
    stored = {
        "id": line["id"],
        "type": line["type"],
        "name": line["name"],
        "start_time": line["start_time"],
        "end_time": line["end_time"],
        **{name: line.get(name) for name in _SAME_IN_OBSERVATIONS},
        "parent_observation_id": line["parent_id"],
        "trace_id": line["trace_id"],
    }
    return {name: value for name, value in stored.items() if value is not None}


def stored_trace(record: Record) -> dict[str, Any]:
    """Return the trace, from the span that it began with; what is None is left out."""
    line = trace_line(record)
    stored = {"id": line["trace_id"], "name": line["name"]}
    stored |= {name: line[name] for name in _SAME_IN_TRACES if line.get(name) is not None}
    if record.is_trace:
        stored |= {n: line[n] for n in ("input", "output") if line.get(n) is not None}
    return stored
