"""OpenTelemetry's names for generative AI: today's, those of its older releases, their events."""

from __future__ import annotations

from typing import Final

from spanwise import semconv
from spanwise.instrumentation.vocabularies import Said, Vocabulary

VOCABULARY: Final = Vocabulary(
    types={
        semconv.GEN_AI_OPERATION_NAME: {
            "chat": "generation",
            "text_completion": "generation",
            "generate_content": "generation",
            "embeddings": "embedding",
            "retrieval": "retrieval",
            "execute_tool": "tool",
            "create_agent": "agent",
            "invoke_agent": "agent",
            "invoke_workflow": "chain",
        },
    },
    attributes={
        semconv.OBSERVATION_INPUT: (
            semconv.GEN_AI_INPUT_MESSAGES,
            semconv.GEN_AI_TOOL_CALL_ARGUMENTS,
            "gen_ai.retrieval.query.text",
            "gen_ai.prompt",
        ),
        semconv.OBSERVATION_OUTPUT: (
            semconv.GEN_AI_OUTPUT_MESSAGES,
            semconv.GEN_AI_TOOL_CALL_RESULT,
            "gen_ai.retrieval.documents",
            "gen_ai.completion",
        ),
        semconv.GEN_AI_PROVIDER_NAME: ("gen_ai.system",),
        semconv.SESSION_ID: (semconv.GEN_AI_CONVERSATION_ID,),
        semconv.GEN_AI_USAGE_INPUT_TOKENS: ("gen_ai.usage.prompt_tokens",),
        semconv.GEN_AI_USAGE_OUTPUT_TOKENS: ("gen_ai.usage.completion_tokens",),
        semconv.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: ("gen_ai.usage.cache_read_input_tokens",),
        semconv.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: (
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
        ),
        semconv.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: ("gen_ai.usage.reasoning_tokens",),
    },
    counts=("gen_ai.usage",),
    events={
        "gen_ai.content.prompt": Said(semconv.OBSERVATION_INPUT, attribute="gen_ai.prompt"),
        "gen_ai.content.completion": Said(
            semconv.OBSERVATION_OUTPUT, attribute="gen_ai.completion"
        ),
        "gen_ai.system.message": Said(semconv.OBSERVATION_INPUT, role="system"),
        "gen_ai.user.message": Said(semconv.OBSERVATION_INPUT, role="user"),
        "gen_ai.assistant.message": Said(semconv.OBSERVATION_INPUT, role="assistant"),
        "gen_ai.tool.message": Said(semconv.OBSERVATION_INPUT, role="tool"),
        "gen_ai.choice": Said(semconv.OBSERVATION_OUTPUT, role="assistant"),
    },
    details=("gen_ai.client.inference.operation.details",),
    content=(
        semconv.GEN_AI_SYSTEM_INSTRUCTIONS,
        "gen_ai.tool.definitions",
        "gen_ai.prompt.variable",
        "gen_ai.evaluation.explanation",
        # What they are called in log records, and in the events of spans.
        "input",
        "output",
        "content",
        # Pydantic AI's own.
        "pydantic_ai.all_messages",
        "pydantic_ai.final_result",
        "all_messages_events",
        "final_result",
        "tool_arguments",
        "tool_response",
    ),
)
