"""OpenInference's vocabulary, which Arize Phoenix reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from spanwise import semconv

if TYPE_CHECKING:
    from spanwise.export.record import Record

_KINDS = {
    "agent": "AGENT",
    "tool": "TOOL",
    "generation": "LLM",
    "retrieval": "RETRIEVER",
    "embedding": "EMBEDDING",
    "evaluation": "EVALUATOR",
    "guardrail": "GUARDRAIL",
    "reranker": "RERANKER",
}
_SAME = {
    semconv.SESSION_ID: "session.id",
    semconv.USER_ID: "user.id",
    semconv.GEN_AI_TOOL_NAME: "tool.name",
    semconv.GEN_AI_TOOL_DESCRIPTION: "tool.description",
    semconv.GEN_AI_REQUEST_MODEL: "llm.model_name",
    semconv.GEN_AI_PROVIDER_NAME: "llm.provider",
    semconv.GEN_AI_USAGE_INPUT_TOKENS: "llm.token_count.prompt",
    semconv.GEN_AI_USAGE_OUTPUT_TOKENS: "llm.token_count.completion",
    semconv.OBSERVATION_TAGS: "tag.tags",
}


def translate(record: Record) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return OpenInference's names for what the span already says in ours."""
    kind = record.attributes.get(semconv.OBSERVATION_TYPE)
    if kind is None or "openinference.span.kind" in record.attributes:
        return {}, {}
    added: dict[str, Any] = {"openinference.span.kind": _KINDS.get(str(kind), "CHAIN")}
    for ours, theirs in _SAME.items():
        if ours in record.attributes:
            added[theirs] = record.attributes[ours]
    counts = [added.get("llm.token_count.prompt"), added.get("llm.token_count.completion")]
    if any(isinstance(count, int) for count in counts):
        added["llm.token_count.total"] = sum(c for c in counts if isinstance(c, int))
    for name, text, raw in (
        ("input", record.input_text(), record.attributes.get(semconv.OBSERVATION_INPUT)),
        ("output", record.output_text(), record.attributes.get(semconv.OBSERVATION_OUTPUT)),
    ):
        if text is not None:
            added[f"{name}.value"] = text
            added[f"{name}.mime_type"] = "application/json" if text == raw else "text/plain"
    metadata = record.metadata()
    if metadata:
        added["metadata"] = orjson.dumps(metadata).decode()
    return added, {}
