"""Traceloop's vocabulary (OpenLLMetry), which its backend and others read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from spanwise import semconv
from spanwise.dialects import chat, said

if TYPE_CHECKING:
    from spanwise.export.record import Record

# What belongs together: a span that has one of them is not given the others.
FAMILIES: Final = ("gen_ai.prompt.", "gen_ai.completion.")

_KINDS: Final = {"agent": "agent", "interaction": "workflow", "tool": "tool"}
# Calls of a model are no entities, but requests of a type.
_REQUESTS: Final = {"embedding": "embedding", "generation": "chat", "reranker": "rerank"}
_PROPERTIES: Final = "traceloop.association.properties"
_COUNTS: Final = {
    "input": "gen_ai.usage.prompt_tokens",
    "output": "gen_ai.usage.completion_tokens",
    "total": "llm.usage.total_tokens",
    "cache_read": "gen_ai.usage.cache_read_input_tokens",
    "cache_write": "gen_ai.usage.cache_creation_input_tokens",
}


def translate(record: Record) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return Traceloop's names for what the span says in whichever vocabulary."""
    meaning = record.meaning
    added: dict[str, Any] = {
        f"{_PROPERTIES}.{key}": value if isinstance(value, (str, bool, int, float)) else text
        for key, value in record.metadata().items()
        if (text := said.text_of(value)) is not None
    }
    added |= said.known(
        {
            f"{_PROPERTIES}.session_id": meaning.session_id,
            f"{_PROPERTIES}.user_id": meaning.user_id,
            f"{_PROPERTIES}.customer_id": record.attributes.get(semconv.ACCOUNT_ID),
        }
    )
    if record.is_local_root:
        added["traceloop.workflow.name"] = record.name
    if not said.is_observation(record):
        return added, {}
    if meaning.type in _REQUESTS:
        return added | _request(record), {}
    names = {"agent": semconv.GEN_AI_AGENT_NAME, "tool": semconv.GEN_AI_TOOL_NAME}
    name = record.attributes.get(names.get(meaning.type, ""), record.name)
    added["traceloop.span.kind"] = _KINDS.get(meaning.type, "task")
    added["traceloop.entity.name"] = name
    for key, content in (
        ("traceloop.entity.input", said.input_of(record)),
        ("traceloop.entity.output", said.output_of(record)),
    ):
        if content is not None:
            added[key] = content[0]
    version = record.attributes.get(semconv.OBSERVATION_VERSION)
    if version is not None:
        added["traceloop.entity.version"] = version
    if meaning.type == "interaction":
        added["traceloop.workflow.name"] = name
    return added, {}


def _request(record: Record) -> dict[str, Any]:
    added = said.known(
        {
            "llm.request.type": _REQUESTS[record.meaning.type],
            "gen_ai.system": record.attributes.get(semconv.GEN_AI_PROVIDER_NAME),
            "gen_ai.request.model": record.meaning.model,
        }
    )
    added |= {_COUNTS[part]: count for part, count in said.usage(record).items() if part in _COUNTS}
    added |= _messages("gen_ai.prompt", chat.sent(record))
    return added | _messages("gen_ai.completion", chat.answered(record))


def _messages(prefix: str, messages: Iterable[chat.Message]) -> dict[str, Any]:
    added: dict[str, Any] = {}
    for number, message in enumerate(messages):
        path = f"{prefix}.{number}"
        added |= said.known(
            {
                f"{path}.role": message.role,
                f"{path}.content": message.content,
                f"{path}.tool_call_id": message.tool_call_id,
            }
        )
        for position, call in enumerate(message.tool_calls):
            of_call = f"{path}.tool_calls.{position}"
            added |= said.known(
                {
                    f"{of_call}.id": call.id,
                    f"{of_call}.name": call.name,
                    f"{of_call}.arguments": call.arguments,
                }
            )
    return added
