"""Traceloop's names, beside those of OpenTelemetry that it uses, its older releases included."""

from __future__ import annotations

from typing import Final

from spanwise import semconv
from spanwise.instrumentation.vocabularies import SPAN_NAME, Vocabulary

VOCABULARY: Final = Vocabulary(
    types={
        semconv.GEN_AI_OPERATION_NAME: {
            "execute_task": "chain",
            "vector_db_retrieve": "retrieval",
        },
        "traceloop.span.kind": {
            "agent": "agent",
            "task": "span",
            "tool": "tool",
            "workflow": "chain",
        },
        "llm.request.type": {
            "chat": "generation",
            "completion": "generation",
            "embedding": "embedding",
            "rerank": "reranker",
        },
    },
    attributes={
        semconv.OBSERVATION_INPUT: (
            "gen_ai.prompt.*",
            "llm.prompts.*",
            ("traceloop.entity.input", "inputs"),
            ("traceloop.entity.input", "query"),
            "traceloop.entity.input",
            "gen_ai.task.input",
        ),
        semconv.OBSERVATION_OUTPUT: (
            "gen_ai.completion.*",
            "llm.completions.*",
            ("traceloop.entity.output", "outputs"),
            ("traceloop.entity.output", "documents"),
            "traceloop.entity.output",
            "gen_ai.task.output",
        ),
        semconv.GEN_AI_REQUEST_MODEL: ("traceloop.association.properties.ls_model_name",),
        semconv.GEN_AI_REQUEST_STREAM: ("gen_ai.is_streaming", "llm.is_streaming"),
        semconv.GEN_AI_RESPONSE_FINISH_REASONS: (
            "gen_ai.response.finish_reason",
            "llm.response.finish_reason",
            "gen_ai.completion.0.finish_reason",
        ),
        semconv.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: ("llm.usage.reasoning_tokens",),
        semconv.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: ("llm.usage.cache_read_input_tokens",),
        semconv.SESSION_ID: (
            "traceloop.association.properties.session_id",
            "traceloop.association.properties.thread_id",
            "traceloop.association.properties.conversation_id",
        ),
        semconv.USER_ID: ("traceloop.association.properties.user_id", "gen_ai.user", "llm.user"),
    },
    named={
        "tool": {
            semconv.GEN_AI_TOOL_NAME: ("traceloop.entity.name", SPAN_NAME),
            # The arguments and the result, of which `gen_ai.tool.call.*` says more around them.
            semconv.OBSERVATION_INPUT: (("traceloop.entity.input", "input_str"),),
            semconv.OBSERVATION_OUTPUT: (("traceloop.entity.output", "output"),),
        },
        "agent": {semconv.GEN_AI_AGENT_NAME: ("traceloop.entity.name",)},
    },
    counts=("llm.usage",),
    metadata=("traceloop.association.properties.",),
    content=(
        "llm.content",
        "llm.request.functions",
        "traceloop.prompt.template_variables",
    ),
)
