"""The messages of a chat with a model, whichever way a span says them.

They stand in OpenTelemetry's `gen_ai.*.messages`, or are what a model's call was given and
returned: of a decorated function, or as a record says it of a third party's span.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spanwise import semconv
from spanwise.dialects import said
from spanwise.instrumentation.vocabulary import decoded

if TYPE_CHECKING:
    from spanwise.export.record import Record

MOST_MESSAGES: Final = 100
_MOST_CALLS: Final = 32

_ROLES: Final = {"human": "user", "ai": "assistant", "model": "assistant", "function": "tool"}
_TEXTS: Final = ("content", "text", "reasoning")
_CALL: Final = ("tool_call", "tool_use")
_RESPONSE: Final = ("tool_call_response", "tool_result")


@dataclass(frozen=True)
class ToolCall:
    """A tool that a model asks for.

    Attributes:
        id: by which the answer is joined to it.
        name: of the tool.
        arguments: as JSON.
    """

    id: str | None
    name: str
    arguments: str | None


@dataclass(frozen=True)
class Message:
    """One message of a chat.

    Attributes:
        role: `system`, `user`, `assistant`, `tool`, or whatever else was said.
        content: its text.
        name: of who or what speaks.
        tool_call_id: of the call that it answers.
        tool_calls: what the model asks for.
    """

    role: str
    content: str | None = None
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()


def sent(record: Record) -> list[Message]:
    """Return what the model was sent, its system prompt first."""
    told = _told(record, semconv.GEN_AI_INPUT_MESSAGES, "user")
    messages = told or _captured(record.meaning.input, "user")
    system = decoded(record.attributes.get(semconv.GEN_AI_SYSTEM_INSTRUCTIONS))
    if system and not any(message.role == "system" for message in messages):
        messages.insert(0, _message({"role": "system", "parts": system}, "system"))
    return messages


def answered(record: Record) -> list[Message]:
    """Return what the model answered."""
    told = _told(record, semconv.GEN_AI_OUTPUT_MESSAGES, "assistant")
    return told or _captured(record.meaning.output, "assistant")


def _told(record: Record, attribute: str, role: str) -> list[Message]:
    value = decoded(record.attributes.get(attribute))
    return _messages(value, role) if isinstance(value, list) else []


def _captured(value: Any, role: str) -> list[Message]:
    """Return the messages in what a function was given or returned."""
    if isinstance(value, str):
        return [Message(role, value)] if value else []
    if _is_message(value):
        return [_message(value, role)]
    if isinstance(value, Mapping):
        # One parameter holds the chat; without one, a single text is the prompt.
        for part in value.values():
            if isinstance(part, list) and part and any(_is_message(item) for item in part):
                return _messages(part, role)
        texts = [part for part in value.values() if isinstance(part, str)]
        return [Message(role, texts[0])] if len(value) == len(texts) == 1 else []
    if isinstance(value, list) and any(_is_message(item) for item in value):
        return _messages(value, role)
    return []


def _is_message(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    return isinstance(value.get("role", value.get("type")), str) and (
        "content" in value or "parts" in value or "tool_calls" in value
    )


def _messages(values: Iterable[Any], role: str) -> list[Message]:
    messages = [
        _message(value, role) if isinstance(value, Mapping) else Message(role, said.text_of(value))
        for value in values
    ]
    if len(messages) <= MOST_MESSAGES:
        return messages
    half = MOST_MESSAGES // 2  # as a history is kept: its head and its tail
    return messages[:half] + messages[-half:]


def _message(value: Mapping[str, Any], role: str) -> Message:
    speaker = value.get("role", value.get("type"))
    role = _ROLES.get(speaker, speaker) if isinstance(speaker, str) else role
    parts = value.get("parts", value.get("content"))
    texts: list[str] = []
    calls = [_call(call) for call in _list(value.get("tool_calls"))]
    answers = value.get("tool_call_id")
    for part in parts if isinstance(parts, list) else [parts]:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind in _CALL:
            calls.append(_call(part))
        elif kind in _RESPONSE:
            answers = answers or part.get("id", part.get("tool_use_id"))
            response = part.get("response", part.get("result", part.get("content")))
            texts += [text for text in [said.text_of(response)] if text is not None]
        else:
            text = _text(part)
            texts += [text] if text else []
    return Message(
        role,
        "\n".join(texts) if texts else None,
        _string(value.get("name")),
        _string(answers),
        tuple(calls[:_MOST_CALLS]),
    )


def _text(part: Any) -> str | None:
    if isinstance(part, Mapping):
        for name in _TEXTS:
            if isinstance(part.get(name), str):
                return str(part[name])
    return said.text_of(part)


def _call(value: Any) -> ToolCall:
    fields = dict(value) if isinstance(value, Mapping) else {}
    if isinstance(fields.get("function"), Mapping):
        fields |= fields["function"]
    arguments = fields.get("arguments", fields.get("args", fields.get("input")))
    return ToolCall(_string(fields.get("id")), str(fields.get("name", "")), said.text_of(arguments))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
