"""OpenInference's names, as Arize Phoenix reads them."""

from __future__ import annotations

from typing import Final

from spanwise import semconv
from spanwise.instrumentation.vocabularies import SPAN_NAME, Vocabulary

_PARAMETERS: Final = "llm.invocation_parameters"

VOCABULARY: Final = Vocabulary(
    types={
        "openinference.span.kind": {
            "agent": "agent",
            "chain": "chain",
            "embedding": "embedding",
            "evaluator": "evaluation",
            "guardrail": "guardrail",
            "llm": "generation",
            "prompt": "chain",
            "reranker": "reranker",
            "retriever": "retrieval",
            "tool": "tool",
        },
    },
    attributes={
        semconv.OBSERVATION_INPUT: (
            "reranker.input_documents.*",
            "input.value",
        ),
        semconv.OBSERVATION_OUTPUT: (
            "retrieval.documents.*",
            "reranker.output_documents.*",
            "output.value",
        ),
        semconv.GEN_AI_REQUEST_MODEL: (
            "llm.request.model_name",
            (_PARAMETERS, "model"),
            (_PARAMETERS, "model_name"),
            ("embedding.invocation_parameters", "model"),
            "llm.model_name",
            "embedding.model_name",
            "reranker.model_name",
        ),
        semconv.GEN_AI_RESPONSE_MODEL: ("llm.response.model_name", "llm.model_name"),
        semconv.GEN_AI_PROVIDER_NAME: ("llm.provider", "llm.system"),
        semconv.GEN_AI_REQUEST_TEMPERATURE: ((_PARAMETERS, "temperature"),),
        semconv.GEN_AI_REQUEST_TOP_P: ((_PARAMETERS, "top_p"),),
        semconv.GEN_AI_REQUEST_MAX_TOKENS: (
            (_PARAMETERS, "max_tokens"),
            (_PARAMETERS, "max_completion_tokens"),
        ),
        semconv.GEN_AI_REQUEST_STREAM: ((_PARAMETERS, "stream"),),
        semconv.GEN_AI_RESPONSE_FINISH_REASONS: ("llm.finish_reason",),
        semconv.GEN_AI_USAGE_INPUT_TOKENS: ("llm.token_count.prompt",),
        semconv.GEN_AI_USAGE_OUTPUT_TOKENS: ("llm.token_count.completion",),
        semconv.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: (
            "llm.token_count.prompt_details.cache_read",
            "llm.token_count.prompt_details.cache_input",
        ),
        semconv.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: (
            "llm.token_count.prompt_details.cache_write",
        ),
        semconv.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: (
            "llm.token_count.completion_details.reasoning",
        ),
        semconv.GEN_AI_TOOL_NAME: ("tool.name",),
        semconv.GEN_AI_TOOL_DESCRIPTION: ("tool.description",),
        semconv.GEN_AI_TOOL_CALL_ID: ("tool.id", "tool_call.id"),
        semconv.GEN_AI_AGENT_NAME: ("agent.name",),
        semconv.OBSERVATION_TAGS: ("tag.tags",),
    },
    named={
        "generation": {
            # `input.value` and `output.value` say the same, with more around it.
            semconv.OBSERVATION_INPUT: ("llm.input_messages.*",),
            semconv.OBSERVATION_OUTPUT: ("llm.output_messages.*",),
        },
        "tool": {semconv.GEN_AI_TOOL_NAME: (SPAN_NAME,)},
        "agent": {semconv.GEN_AI_AGENT_NAME: (SPAN_NAME,)},
    },
    counts=("llm.token_count", "llm.cost"),
    metadata=("metadata",),
    content=(
        _PARAMETERS,  # which may hold instructions and tools
        "embedding.invocation_parameters",
        "llm.input_messages",
        "llm.output_messages",
        "llm.prompt_template",
        "llm.prompts",
        "llm.choices",
        "llm.function_call",
        "llm.tools",
        "input.images",
        "output.images",
        "input.documents",
        "output.documents",
        "input.audio",
        "output.audio",
        "embedding.embeddings",
        "embedding.text",
        "embedding.vector",
        "reranker.query",
        "tool.parameters",
    ),
)
