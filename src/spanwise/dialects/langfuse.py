"""Langfuse's vocabulary, as its SDK 5 sends it."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from spanwise import semconv
from spanwise.dialects import said

if TYPE_CHECKING:
    from spanwise.export.record import Record

_TYPES: Final = {
    "evaluation": "evaluator",
    "interaction": "span",
    "reranker": "chain",
    "retrieval": "retriever",
}
_ASK_A_MODEL: Final = frozenset({"generation", "embedding"})
_LEVELS: Final = {"debug": "DEBUG", "info": "DEFAULT", "warning": "WARNING", "error": "ERROR"}
# What each kind of token is called, and which one it is a part of: Langfuse adds them up.
_PARTS: Final = {
    "cache_read": ("input_cache_read", "input"),
    "cache_write": ("input_cache_creation", "input"),
    "reasoning": ("output_reasoning", "output"),
}
_LONGEST_ENVIRONMENT: Final = 40


def translate(record: Record) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return Langfuse's names for what the span says, and for the resource of every span."""
    attributes, meaning = record.attributes, record.meaning
    where = _where(record.resource)
    added: dict[str, Any] = {
        **where,
        **said.known(
            {
                "session.id": meaning.session_id,
                "user.id": meaning.user_id,
                "langfuse.trace.tags": attributes.get(semconv.OBSERVATION_TAGS),
                "langfuse.version": attributes.get(semconv.OBSERVATION_VERSION),
            }
        ),
    }
    metadata = {key: said.text_of(value) for key, value in record.metadata().items()}
    _put(added, "langfuse.observation.metadata", metadata)
    content = {
        name: text[0]
        for name, text in (("input", said.input_of(record)), ("output", said.output_of(record)))
        if text is not None
    }
    if record.is_local_root:
        added["langfuse.internal.is_app_root"] = True
        added["langfuse.trace.name"] = record.name
        _put(added, "langfuse.trace", content)
        _put(added, "langfuse.trace.metadata", metadata)
    added |= _outcome(record)
    if not said.is_observation(record):
        return added, where
    added["langfuse.observation.type"] = _TYPES.get(meaning.type, meaning.type)
    _put(added, "langfuse.observation", content)
    if meaning.type in _ASK_A_MODEL:
        added |= _model(record)
    return added, where


def _put(added: dict[str, Any], prefix: str, parts: Mapping[str, Any]) -> None:
    added.update((f"{prefix}.{key}", value) for key, value in said.known(parts).items())


def _where(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Return environment and release, which Langfuse reads of resources and of spans."""
    found = {}
    environment = resource.get(semconv.DEPLOYMENT_ENVIRONMENT_NAME)
    if environment:
        # Another form than this is refused, and with it the span.
        name = re.sub(r"[^a-z0-9_-]", "-", str(environment).lower())
        name = f"x-{name}" if name.startswith("langfuse") else name
        found["langfuse.environment"] = name[:_LONGEST_ENVIRONMENT]
    if semconv.SERVICE_VERSION in resource:
        found["langfuse.release"] = resource[semconv.SERVICE_VERSION]
    return found


def _outcome(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = {}
    level = record.attributes.get(semconv.OBSERVATION_LEVEL, "error" if record.is_error else None)
    if level is not None:
        found["langfuse.observation.level"] = _LEVELS.get(str(level), "DEFAULT")
    message = record.attributes.get(semconv.OBSERVATION_STATUS_MESSAGE, record.error)
    if message is not None:
        found["langfuse.observation.status_message"] = message
    return found


def _model(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if record.meaning.model is not None:
        found["langfuse.observation.model.name"] = record.meaning.model
    parameters = said.parameters(record)
    if parameters:
        found["langfuse.observation.model.parameters"] = orjson.dumps(parameters).decode()
    counts = said.usage(record)
    for part, (name, whole) in _PARTS.items():
        if part in counts:
            counts[name] = counts.pop(part)
            if whole in counts:
                counts[whole] = max(0, counts[whole] - counts[name])
    if counts:
        found["langfuse.observation.usage_details"] = orjson.dumps(counts).decode()
    first_chunk_s = record.attributes.get(semconv.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK)
    start_ns = record.span.start_time
    if isinstance(first_chunk_s, float) and start_ns is not None:
        at = datetime.datetime.fromtimestamp(start_ns / 1e9 + first_chunk_s, datetime.timezone.utc)
        text = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
        found["langfuse.observation.completion_start_time"] = f'"{text}"'
    return found
