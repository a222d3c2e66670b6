"""OpenInference's vocabulary, which Arize Phoenix reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from spanwise import semconv
from spanwise.dialects import chat, said
from spanwise.dialects.documents import Document, documents_in
from spanwise.instrumentation.vocabulary import decoded

if TYPE_CHECKING:
    from spanwise.export.record import Record

# What belongs together: a span that has one of them is not given the others.
FAMILIES: Final = (
    "input.",
    "output.",
    "llm.input_messages.",
    "llm.output_messages.",
    "llm.tools.",
    "llm.prompt_template.",
    "llm.token_count.",
    "retrieval.documents.",
    "reranker.input_documents.",
    "reranker.output_documents.",
    "embedding.embeddings.",
)
_KINDS: Final = {
    "agent": "AGENT",
    "tool": "TOOL",
    "generation": "LLM",
    "retrieval": "RETRIEVER",
    "embedding": "EMBEDDING",
    "evaluation": "EVALUATOR",
    "guardrail": "GUARDRAIL",
    "reranker": "RERANKER",
}
_SAME: Final = {
    semconv.OBSERVATION_TAGS: "tag.tags",
    semconv.GEN_AI_AGENT_NAME: "agent.name",
    semconv.GEN_AI_TOOL_NAME: "tool.name",
    semconv.GEN_AI_TOOL_DESCRIPTION: "tool.description",
    semconv.GEN_AI_TOOL_CALL_ID: "tool.id",
    "traceloop.prompt.template": "llm.prompt_template.template",
    "traceloop.prompt.template_variables": "llm.prompt_template.variables",
    "traceloop.prompt.version": "llm.prompt_template.version",
    "langfuse.observation.prompt.version": "llm.prompt_template.version",
}
_COUNTS: Final = {
    "input": "llm.token_count.prompt",
    "output": "llm.token_count.completion",
    "total": "llm.token_count.total",
    "cache_read": "llm.token_count.prompt_details.cache_read",
    "cache_write": "llm.token_count.prompt_details.cache_write",
    "reasoning": "llm.token_count.completion_details.reasoning",
}
# OpenTelemetry's name of a provider: who serves the model, and whose API it speaks.
_PROVIDERS: Final[Mapping[str, tuple[str, str | None]]] = {
    "anthropic": ("anthropic", "anthropic"),
    "aws.bedrock": ("aws", None),
    "azure.ai.inference": ("azure", None),
    "azure.ai.openai": ("azure", "openai"),
    "cohere": ("cohere", "cohere"),
    "gcp.gemini": ("google", None),
    "gcp.gen_ai": ("google", None),
    "gcp.vertex_ai": ("google", "vertexai"),
    "mistral_ai": ("mistralai", "mistralai"),
    "openai": ("openai", "openai"),
    "x_ai": ("xai", None),
}


def translate(record: Record) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return OpenInference's names for what the span says in whichever vocabulary."""
    attributes, meaning = record.attributes, record.meaning
    added = said.known({"session.id": meaning.session_id, "user.id": meaning.user_id})
    added |= {theirs: attributes[ours] for ours, theirs in _SAME.items() if ours in attributes}
    metadata = record.metadata()
    if metadata:
        added["metadata"] = _json(metadata)
    if not said.is_observation(record):
        return added, {}
    added["openinference.span.kind"] = _KINDS.get(meaning.type, "CHAIN")
    for name, content in (("input", said.input_of(record)), ("output", said.output_of(record))):
        if content is not None:
            added[f"{name}.value"], added[f"{name}.mime_type"] = content
    particular = _PARTICULARS.get(meaning.type)
    if particular is not None:
        added |= particular(record)
    return added, {}


def _generation(record: Record) -> dict[str, Any]:
    attributes = record.attributes
    added = said.known(
        {
            "llm.model_name": record.meaning.model,
            "llm.request.model_name": attributes.get(semconv.GEN_AI_REQUEST_MODEL),
            "llm.response.model_name": attributes.get(semconv.GEN_AI_RESPONSE_MODEL),
        }
    )
    provider = attributes.get(semconv.GEN_AI_PROVIDER_NAME)
    if isinstance(provider, str):
        server, system = _PROVIDERS.get(provider, (provider, None))
        added["llm.provider"] = server
        if system is not None:
            added["llm.system"] = system
    reasons = attributes.get(semconv.GEN_AI_RESPONSE_FINISH_REASONS)
    if reasons:
        added["llm.finish_reason"] = reasons if isinstance(reasons, str) else reasons[0]
    parameters = said.parameters(record)
    if parameters:
        added["llm.invocation_parameters"] = _json(parameters)
    tools = decoded(attributes.get("gen_ai.tool.definitions"))
    for number, tool in enumerate(tools if isinstance(tools, list) else ()):
        added[f"llm.tools.{number}.tool.json_schema"] = _json(tool)
    counts = said.usage(record)
    added |= {_COUNTS[part]: count for part, count in counts.items()}
    added |= _messages("llm.input_messages", chat.sent(record))
    return added | _messages("llm.output_messages", chat.answered(record))


def _messages(prefix: str, messages: Iterable[chat.Message]) -> dict[str, Any]:
    added: dict[str, Any] = {}
    for number, message in enumerate(messages):
        path = f"{prefix}.{number}.message"
        added |= said.known(
            {
                f"{path}.role": message.role,
                f"{path}.content": message.content,
                f"{path}.name": message.name,
                f"{path}.tool_call_id": message.tool_call_id,
            }
        )
        for position, call in enumerate(message.tool_calls):
            of_call = f"{path}.tool_calls.{position}.tool_call"
            added |= said.known(
                {
                    f"{of_call}.id": call.id,
                    f"{of_call}.function.name": call.name,
                    f"{of_call}.function.arguments": call.arguments,
                }
            )
    return added


def _tool(record: Record) -> dict[str, Any]:
    given = record.meaning.input
    added: dict[str, Any] = {}
    if semconv.GEN_AI_TOOL_NAME not in record.attributes:
        added["tool.name"] = record.name
    if isinstance(given, Mapping) and given:
        added["tool.parameters"] = _json(given)
    return added


def _agent(record: Record) -> dict[str, Any]:
    return {} if semconv.GEN_AI_AGENT_NAME in record.attributes else {"agent.name": record.name}


def _retrieval(record: Record) -> dict[str, Any]:
    return _documents("retrieval.documents", documents_in(record.meaning.output))


def _embedding(record: Record) -> dict[str, Any]:
    texts = _texts(record.meaning.input) or [m.content for m in chat.sent(record) if m.content]
    added: dict[str, Any] = {
        f"embedding.embeddings.{number}.embedding.text": text for number, text in enumerate(texts)
    }
    if record.meaning.model is not None:
        added["embedding.model_name"] = record.meaning.model
    parameters = said.parameters(record)
    if parameters:
        added["embedding.invocation_parameters"] = _json(parameters)
    counts = said.usage(record)
    return added | {_COUNTS[part]: count for part, count in counts.items()}


def _reranker(record: Record) -> dict[str, Any]:
    given = record.meaning.input
    added = _documents("reranker.input_documents", documents_in(given))
    added |= _documents("reranker.output_documents", documents_in(record.meaning.output))
    if record.meaning.model is not None:
        added["reranker.model_name"] = record.meaning.model
    if isinstance(given, Mapping):
        query = said.first(given, "query", "question")
        if isinstance(query, str):
            added["reranker.query"] = query
        most = said.first(given, "top_k", "top_n", "k", "limit")
        if type(most) is int:
            added["reranker.top_k"] = most
    return added


def _documents(prefix: str, documents: Iterable[Document]) -> dict[str, Any]:
    added: dict[str, Any] = {}
    for number, document in enumerate(documents):
        path = f"{prefix}.{number}.document"
        added |= said.known(
            {
                f"{path}.id": document.id,
                f"{path}.content": document.content,
                f"{path}.score": document.score,
                f"{path}.metadata": _json(document.metadata) if document.metadata else None,
            }
        )
    return added


def _texts(value: Any) -> list[str]:
    """Return the texts in what an embedding was given."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        value = next((part for part in value.values() if isinstance(part, (str, list))), None)
        return _texts(value)
    texts = value if isinstance(value, list) else ()
    return [text for text in texts if isinstance(text, str)][: chat.MOST_MESSAGES]


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


_PARTICULARS: Final[Mapping[str, Callable[[Record], dict[str, Any]]]] = {
    "agent": _agent,
    "embedding": _embedding,
    "generation": _generation,
    "reranker": _reranker,
    "retrieval": _retrieval,
    "tool": _tool,
}
