"""A chat is read from whichever form a span says it in."""

from __future__ import annotations

import json

import pytest

from spanwise.dialects import chat
from spanwise.dialects.chat import Message, ToolCall
from support.records import record_of

CALL = ToolCall("c1", "capital", '{"country":"France"}')
CHAT = [
    Message("system", "Be brief."),
    Message("user", "Capital?"),
    Message("assistant", tool_calls=(CALL,)),
    Message("tool", "Paris", name="capital", tool_call_id="c1"),
]
ARGUMENTS = {"country": "France"}

PARTS = [
    {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
    {"role": "user", "parts": [{"type": "text", "content": "Capital?"}]},
    {
        "role": "assistant",
        "parts": [{"type": "tool_call", "id": "c1", "name": "capital", "arguments": ARGUMENTS}],
    },
    {
        "role": "tool",
        "name": "capital",
        "parts": [{"type": "tool_call_response", "id": "c1", "response": "Paris"}],
    },
]
OPENAI = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Capital?"}]},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "c1",
                "type": "function",
                "function": {"name": "capital", "arguments": '{"country":"France"}'},
            }
        ],
    },
    {"role": "tool", "name": "capital", "tool_call_id": "c1", "content": "Paris"},
]
LANGCHAIN = [
    {"type": "system", "content": "Be brief."},
    {"type": "human", "content": "Capital?"},
    {
        "type": "ai",
        "content": "",
        "tool_calls": [{"name": "capital", "args": ARGUMENTS, "id": "c1", "type": "tool_call"}],
    },
    {"type": "tool", "content": "Paris", "name": "capital", "tool_call_id": "c1"},
]
NUMBERED = {
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "Be brief.",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.content": "Capital?",
    "llm.input_messages.2.message.role": "assistant",
    "llm.input_messages.2.message.tool_calls.0.tool_call.id": "c1",
    "llm.input_messages.2.message.tool_calls.0.tool_call.function.name": "capital",
    "llm.input_messages.2.message.tool_calls.0.tool_call.function.arguments": CALL.arguments,
    "llm.input_messages.3.message.role": "tool",
    "llm.input_messages.3.message.content": "Paris",
    "llm.input_messages.3.message.name": "capital",
    "llm.input_messages.3.message.tool_call_id": "c1",
}
TRACELOOP = {
    "gen_ai.prompt.0.role": "system",
    "gen_ai.prompt.0.content": "Be brief.",
    "gen_ai.prompt.1.role": "user",
    "gen_ai.prompt.1.content": "Capital?",
    "gen_ai.prompt.2.role": "assistant",
    "gen_ai.prompt.2.tool_calls.0.id": "c1",
    "gen_ai.prompt.2.tool_calls.0.name": "capital",
    "gen_ai.prompt.2.tool_calls.0.arguments": CALL.arguments,
    "gen_ai.prompt.3.role": "tool",
    "gen_ai.prompt.3.content": "Paris",
    "gen_ai.prompt.3.name": "capital",
    "gen_ai.prompt.3.tool_call_id": "c1",
}


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.input.messages": json.dumps(PARTS)},
        {
            "gen_ai.system_instructions": json.dumps(PARTS[0]["parts"]),
            "gen_ai.input.messages": json.dumps(PARTS[1:]),
        },
        {"observation.input": json.dumps({"messages": OPENAI, "temperature": 1})},
        {"observation.input": json.dumps(OPENAI)},
        {"observation.input": json.dumps({"input": LANGCHAIN})},
        NUMBERED,
        TRACELOOP,
    ],
    ids=["parts", "instructions", "argument", "list", "langchain", "openinference", "traceloop"],
)
def test_the_same_chat_is_read_from_every_form(attributes):
    """Roles, texts, calls of tools and their answers are there."""
    scope = "spanwise" if "observation.input" in attributes else "other"
    given = {"gen_ai.operation.name": "chat", **attributes}
    assert CHAT == chat.sent(record_of(given, scope=scope))


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"observation.output": '"It is Paris."'}, [Message("assistant", "It is Paris.")]),
        (
            {"observation.output": json.dumps({"role": "assistant", "content": "Paris."})},
            [Message("assistant", "Paris.")],
        ),
        ({"gen_ai.output.messages": json.dumps(PARTS[2:3])}, CHAT[2:3]),
        (
            {"gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": "Paris."},
            [Message("assistant", "Paris.")],
        ),
        ({"observation.output": '{"answer": 42}'}, []),
        ({}, []),
    ],
)
def test_an_answer_is_read(attributes, expected):
    """A text is the model's message; what is no message is none."""
    scope = "spanwise" if "observation.output" in attributes else "other"
    given = {"gen_ai.operation.name": "chat", **attributes}
    assert expected == chat.answered(record_of(given, scope=scope))


@pytest.mark.parametrize(
    ("captured", "expected"),
    [
        ({"prompt": "Why?"}, [Message("user", "Why?")]),
        ("Why?", [Message("user", "Why?")]),
        ({"prompt": "Why?", "style": "short"}, []),
        ({"rows": [1, 2]}, []),
        ([], []),
        (7, []),
    ],
)
def test_one_text_is_a_prompt_and_several_values_are_not(captured, expected):
    """Which of several would have to be guessed."""
    attributes = {"observation.type": "generation", "observation.input": json.dumps(captured)}
    assert expected == chat.sent(record_of(attributes))


@pytest.mark.parametrize("odd", [None, 7, "text", [], {}, {"parts": 3}, {"role": 4, "parts": [5]}])
def test_an_odd_message_is_still_one(odd):
    """Whatever stands in the list of messages, nothing is raised."""
    attributes = {"gen_ai.input.messages": json.dumps([odd, *PARTS[1:2]])}
    assert [CHAT[1]] == chat.sent(record_of(attributes))[1:]


def test_of_a_long_chat_head_and_tail_are_kept():
    """As many as a backend can show."""
    messages = [{"role": "user", "content": str(number)} for number in range(300)]
    sent = chat.sent(record_of({"observation.input": json.dumps({"messages": messages})}))
    assert chat.MOST_MESSAGES == len(sent)
    assert ("0", "299") == (sent[0].content, sent[-1].content)
