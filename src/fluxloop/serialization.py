"""Traces and observations as mappings that JSON can hold, in FluxLoop's stored form.

What is None is left out; `metadata`, `tags` and `level` are always there. Free-form values are
encoded as everywhere in Spanwise: secrets masked, sizes bounded, none of their code run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from spanwise import _state
from spanwise._encoding import Encoder

if TYPE_CHECKING:
    from fluxloop.models import ObservationData, TraceData

OBSERVATION_FIELDS = (
    "id",
    "type",
    "name",
    "start_time",
    "end_time",
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
    "parent_observation_id",
    "trace_id",
)
TRACE_FIELDS = (
    "id",
    "name",
    "start_time",
    "end_time",
    "session_id",
    "user_id",
    "metadata",
    "tags",
    "experiment_id",
    "iteration",
    "persona",
    "variation_seed",
    "input",
    "output",
)
_FREE_FORM = frozenset({"input", "output", "metadata", "llm_parameters", "tags"})


def serialize_observation(observation: ObservationData) -> dict[str, Any]:
    """Return the observation in its stored form."""
    return _stored(observation, OBSERVATION_FIELDS)


def serialize_trace(trace: TraceData) -> dict[str, Any]:
    """Return the trace in its stored form."""
    return _stored(trace, TRACE_FIELDS)


def _stored(data: ObservationData | TraceData, names: Sequence[str]) -> dict[str, Any]:
    runtime = _state.runtime
    encoder = runtime.encoder if runtime is not None else Encoder()
    stored = {}
    for name in names:
        value = getattr(data, name)
        if value is not None:
            stored[name] = _json(encoder, name, value)
    return stored


def _json(encoder: Encoder, name: str, value: Any) -> Any:
    if name in _FREE_FORM:
        return json.loads(encoder.dumps(value))
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        # What says nothing of a zone is UTC, as in the rest of FluxLoop.
        return value.isoformat() + ("Z" if value.tzinfo is None else "")
    value = getattr(value, "value", value)  # a member of an enumeration
    return encoder.text(value) if isinstance(value, str) else value
