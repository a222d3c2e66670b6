"""The messages of a chat with a model, whichever way a span says them.

They stand in OpenTelemetry's `gen_ai.*.messages`, in OpenInference's or Traceloop's numbered
attributes, or are what a decorated function was given and returned.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spanwise import semconv
from spanwise.dialects.said import decoded, text_of

if TYPE_CHECKING:
    from spanwise.export.record import Record

MOST_MESSAGES: Final = 100
_MOST_CALLS: Final = 32

_ROLES: Final = {"human": "user", "ai": "assistant", "model": "assistant", "function": "tool"}
_TEXTS: Final = ("content", "text", "reasoning")
_CALL: Final = ("tool_call", "tool_use")
_RESPONSE: Final = ("tool_call_response", "tool_result")
# (OpenTelemetry's attribute, prefixes of numbered ones), for what goes in and what comes out.
_INPUT: Final = (
    semconv.GEN_AI_INPUT_MESSAGES,
    ("llm.input_messages.", "gen_ai.prompt."),
)
_OUTPUT: Final = (
    semconv.GEN_AI_OUTPUT_MESSAGES,
    ("llm.output_messages.", "gen_ai.completion."),
)
_NUMBERED: Final = re.compile(r"(\d{1,4})\.(?:message\.)?(.+)")
_NUMBERED_CALL: Final = re.compile(r"tool_calls\.(\d{1,4})\.(?:tool_call\.)?(.+)")


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
    messages = _told(record, *_INPUT) or _captured(record.meaning.input, "user")
    system = decoded(record.attributes.get(semconv.GEN_AI_SYSTEM_INSTRUCTIONS))
    if system and not any(message.role == "system" for message in messages):
        messages.insert(0, _message({"role": "system", "parts": system}, "system"))
    return messages


def answered(record: Record) -> list[Message]:
    """Return what the model answered."""
    return _told(record, *_OUTPUT) or _captured(record.meaning.output, "assistant")


def _told(record: Record, attribute: str, prefixes: tuple[str, ...]) -> list[Message]:
    value = decoded(record.attributes.get(attribute))
    if isinstance(value, list):
        return _messages(value, "user" if attribute == _INPUT[0] else "assistant")
    for prefix in prefixes:
        numbered = _numbered(record.attributes, prefix)
        if numbered:
            return _messages(numbered, "assistant")
    return []


def _numbered(attributes: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """Return messages that are spread over attributes such as `gen_ai.prompt.0.role`."""
    found: dict[int, dict[str, Any]] = {}
    calls: dict[int, dict[int, dict[str, Any]]] = {}
    for key, value in attributes.items():
        if not key.startswith(prefix):
            continue
        match = _NUMBERED.fullmatch(key[len(prefix) :])
        if match is None:
            continue
        number, field = int(match[1]), match[2]
        call = _NUMBERED_CALL.fullmatch(field)
        if call is None:
            found.setdefault(number, {})[field] = value
        else:
            of_message = calls.setdefault(number, {})
            of_message.setdefault(int(call[1]), {})[call[2].removeprefix("function.")] = value
    for number, of_message in calls.items():
        in_order = [of_message[position] for position in sorted(of_message)]
        found.setdefault(number, {})["tool_calls"] = in_order
    return [found[number] for number in sorted(found)]


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
        _message(value, role) if isinstance(value, Mapping) else Message(role, text_of(value))
        for value in values
    ]
    if len(messages) <= MOST_MESSAGES:
        return messages
    half = MOST_MESSAGES // 2  # as a history is kept: its head and its tail
    return messages[:half] + messages[-half:]


def _message(value: Mapping[str, Any], role: str) -> Message:
    said = value.get("role", value.get("type"))
    role = _ROLES.get(said, said) if isinstance(said, str) else role
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
            texts += [text for text in [text_of(response)] if text is not None]
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
    return text_of(part)


def _call(value: Any) -> ToolCall:
    fields = dict(value) if isinstance(value, Mapping) else {}
    if isinstance(fields.get("function"), Mapping):
        fields |= fields["function"]
    arguments = fields.get("arguments", fields.get("args", fields.get("input")))
    return ToolCall(_string(fields.get("id")), str(fields.get("name", "")), text_of(arguments))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
