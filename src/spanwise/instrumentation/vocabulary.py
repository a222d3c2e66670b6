"""Read a span's meaning from its attributes, whichever convention they were written in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from spanwise import semconv

_TYPE_OF_OPERATION: Final = {
    "chat": "generation",
    "text_completion": "generation",
    "generate_content": "generation",
    "embeddings": "embedding",
    "retrieval": "retrieval",
    "execute_tool": "tool",
    "create_agent": "agent",
    "invoke_agent": "agent",
    "invoke_workflow": "chain",
}
_TYPE_OF_KIND: Final = {
    "agent": "agent",
    "chain": "chain",
    "completion": "generation",
    "embedding": "embedding",
    "evaluator": "evaluation",
    "generation": "generation",
    "guardrail": "guardrail",
    "llm": "generation",
    "reranker": "reranker",
    "retriever": "retrieval",
    "task": "span",
    "tool": "tool",
    "workflow": "chain",
}
# (attribute, what its value says), asked in this order.
_TYPES: Final[tuple[tuple[str, Mapping[str, str]], ...]] = (
    (semconv.OBSERVATION_TYPE, {name: name for name in semconv.OBSERVATION_TYPE_VALUES}),
    (semconv.GEN_AI_OPERATION_NAME, _TYPE_OF_OPERATION),
    ("openinference.span.kind", _TYPE_OF_KIND),
    ("traceloop.span.kind", _TYPE_OF_KIND),
    ("langfuse.observation.type", _TYPE_OF_KIND),
    ("llm.request.type", _TYPE_OF_KIND | {"chat": "generation"}),
)
_INPUTS: Final = (
    semconv.OBSERVATION_INPUT,
    semconv.GEN_AI_INPUT_MESSAGES,
    semconv.GEN_AI_TOOL_CALL_ARGUMENTS,
    "input.value",
    "traceloop.entity.input",
    "langfuse.observation.input",
)
_OUTPUTS: Final = (
    semconv.OBSERVATION_OUTPUT,
    semconv.GEN_AI_OUTPUT_MESSAGES,
    semconv.GEN_AI_TOOL_CALL_RESULT,
    "output.value",
    "traceloop.entity.output",
    "langfuse.observation.output",
)
_MODELS: Final = (
    semconv.GEN_AI_REQUEST_MODEL,
    semconv.GEN_AI_RESPONSE_MODEL,
    "llm.model_name",
    "embedding.model_name",
)
_INPUT_TOKENS: Final = (
    semconv.GEN_AI_USAGE_INPUT_TOKENS,
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
)
_OUTPUT_TOKENS: Final = (
    semconv.GEN_AI_USAGE_OUTPUT_TOKENS,
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
)
_SESSIONS: Final = (
    semconv.SESSION_ID,
    semconv.GEN_AI_CONVERSATION_ID,
    "langfuse.session.id",
    "traceloop.association.properties.session_id",
)
_USERS: Final = (semconv.USER_ID, "langfuse.user.id", "traceloop.association.properties.user_id")

# What `capture_content=False` leaves out.
CONTENT_ATTRIBUTES: Final = frozenset(
    {
        *_INPUTS,
        *_OUTPUTS,
        semconv.GEN_AI_SYSTEM_INSTRUCTIONS,
        semconv.FEEDBACK_COMMENT,
        "gen_ai.prompt",
        "gen_ai.completion",
        "gen_ai.tool.definitions",
        "llm.prompts",
        "llm.completions",
        "tool.parameters",
        "input",
        "output",
        "content",
        "langfuse.trace.input",
        "langfuse.trace.output",
        "reranker.query",
        "pydantic_ai.all_messages",
        "pydantic_ai.final_result",
        "all_messages_events",
        "final_result",
        "tool_arguments",
        "tool_response",
    }
)
# Events that hold nothing but content.
CONTENT_EVENTS: Final = (
    "gen_ai.content.",
    "gen_ai.user.message",
    "gen_ai.system.message",
    "gen_ai.assistant.message",
    "gen_ai.tool.message",
    "gen_ai.choice",
    "gen_ai.client.inference.operation.details",
)
CONTENT_PREFIXES: Final = (
    "gen_ai.prompt.",
    "gen_ai.completion.",
    "llm.input_messages.",
    "llm.output_messages.",
    "llm.prompt_template.",
    "retrieval.documents.",
    "reranker.input_documents.",
    "reranker.output_documents.",
    "embedding.embeddings.",
    "llm.prompts.",
    "llm.completions.",
)


@dataclass(frozen=True)
class Meaning:
    """What a span says in our vocabulary.

    Attributes:
        type: the observation type.
        input: what went in, decoded from JSON where it was JSON.
        output: what came out.
        model: the model that was asked, else the one that answered.
        input_tokens: tokens in the prompt.
        output_tokens: tokens in the answer.
        session_id: the session or conversation.
        user_id: the user.
        read: the attributes that the above was taken from.
    """

    type: str = "span"
    input: Any = None
    output: Any = None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    session_id: str | None = None
    user_id: str | None = None
    read: frozenset[str] = field(default_factory=frozenset)


def read(attributes: Mapping[str, Any], scope_name: str) -> Meaning:
    """Return the meaning of a span with these attributes, made by this instrumentation scope."""
    taken: set[str] = set()

    def first(names: tuple[str, ...]) -> Any:
        for name in names:
            value = attributes.get(name)
            if value is not None:
                taken.add(name)
                return value
        return None

    type_ = "span"
    for name, meanings in _TYPES:
        found = meanings.get(str(attributes.get(name, "")).lower())
        if found is not None:
            type_ = found
            break
    return Meaning(
        type=type_,
        input=_decoded(first(_INPUTS)),
        output=_decoded(first(_OUTPUTS)),
        model=_text(first(_MODELS)),
        input_tokens=_count(first(_INPUT_TOKENS)),
        output_tokens=_count(first(_OUTPUT_TOKENS)),
        session_id=_text(first(_SESSIONS)),
        user_id=_text(first(_USERS)),
        read=frozenset(taken),
    )


def _decoded(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return orjson.loads(value)
        except ValueError:
            return value
    return value


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _count(value: Any) -> int | None:
    return value if type(value) is int else None
