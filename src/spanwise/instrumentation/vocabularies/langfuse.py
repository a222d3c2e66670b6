"""Langfuse's names, as its SDK writes them since it is made of OpenTelemetry."""

from __future__ import annotations

from typing import Final

from spanwise import semconv
from spanwise.instrumentation.vocabularies import SPAN_NAME, Vocabulary

_USAGE: Final = "langfuse.observation.usage_details"
_PARAMETERS: Final = "langfuse.observation.model.parameters"

VOCABULARY: Final = Vocabulary(
    types={
        "langfuse.observation.type": {
            "agent": "agent",
            "chain": "chain",
            "embedding": "embedding",
            "evaluator": "evaluation",
            "event": "event",
            "generation": "generation",
            "guardrail": "guardrail",
            "retriever": "retrieval",
            "span": "span",
            "tool": "tool",
        },
    },
    attributes={
        semconv.OBSERVATION_INPUT: ("langfuse.observation.input",),
        semconv.OBSERVATION_OUTPUT: ("langfuse.observation.output",),
        semconv.OBSERVATION_LEVEL: ("langfuse.observation.level",),
        semconv.OBSERVATION_STATUS_MESSAGE: ("langfuse.observation.status_message",),
        semconv.OBSERVATION_VERSION: ("langfuse.version",),
        semconv.OBSERVATION_TAGS: ("langfuse.trace.tags",),
        semconv.GEN_AI_REQUEST_MODEL: ("langfuse.observation.model.name",),
        semconv.GEN_AI_REQUEST_TEMPERATURE: ((_PARAMETERS, "temperature"),),
        semconv.GEN_AI_REQUEST_TOP_P: ((_PARAMETERS, "top_p"),),
        semconv.GEN_AI_REQUEST_MAX_TOKENS: ((_PARAMETERS, "max_tokens"),),
        # What came from a cache, or was spent on thinking, it takes out of `input` and `output`.
        semconv.GEN_AI_USAGE_INPUT_TOKENS: (
            (_USAGE, "input_*"),
            (_USAGE, "prompt_tokens"),
        ),
        semconv.GEN_AI_USAGE_OUTPUT_TOKENS: (
            (_USAGE, "output_*"),
            (_USAGE, "completion_tokens"),
        ),
        semconv.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: (
            (_USAGE, "input_cache_read"),
            (_USAGE, "input_cached_tokens"),
            (_USAGE, "cache_read_input_tokens"),
        ),
        semconv.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: (
            (_USAGE, "input_cache_creation"),
            (_USAGE, "cache_creation_input_tokens"),
        ),
        semconv.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: (
            (_USAGE, "output_reasoning"),
            (_USAGE, "output_reasoning_tokens"),
        ),
        semconv.SESSION_ID: (
            "langfuse.session.id",
            ("langfuse.trace.metadata.session_id", ""),
            ("langfuse.observation.metadata.session_id", ""),
            ("langfuse.observation.metadata.thread_id", ""),
        ),
        semconv.USER_ID: (
            "langfuse.user.id",
            ("langfuse.observation.metadata.user_id", ""),
        ),
    },
    named={
        "tool": {semconv.GEN_AI_TOOL_NAME: (SPAN_NAME,)},
        "agent": {semconv.GEN_AI_AGENT_NAME: (SPAN_NAME,)},
    },
    counts=(_USAGE, "langfuse.observation.cost_details"),
    metadata=(
        "langfuse.observation.metadata",
        "langfuse.trace.metadata",
    ),
    content=(
        _PARAMETERS,  # which may hold instructions and tools
        "langfuse.trace.input",
        "langfuse.trace.output",
        "langfuse.experiment.item.expected_output",
    ),
)
