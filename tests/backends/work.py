"""What `program.py` does, as every backend should show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

QUESTION = "What is the capital of France?"
TAGS = ["beta", "eu"]
METADATA = {"plan": "pro", "limits.calls": 3}
USER = "jane@acme.test"


@dataclass(frozen=True)
class Work:
    """One piece of work.

    Attributes:
        type: the observation type.
        parent: name of the work around it.
        input: what went in; `...` where it has ids of the run.
        output: what came out.
        model: that was asked for.
        answered_by: the model that answered, where that is another one.
        tokens: `input`, `output`, and `cached` of the input.
        error: its message.
        is_ours: whether a decorator made the span, and not LangChain's instrumentor.
    """

    type: str
    parent: str | None = None
    input: Any = None
    output: Any = None
    model: str | None = None
    answered_by: str | None = None
    tokens: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None
    is_ours: bool = True


def _said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"content": text, "type": "text"}], "name": None}


_CALL = {"type": "tool_call", "id": "c1", "name": "capital", "arguments": {"country": "France"}}
_ASKED = [_said("system", "Be brief."), _said("user", QUESTION)]
_CALLED = {"role": "assistant", "parts": [_CALL], "name": None}
_ANSWER = {"type": "tool_call_response", "id": "c1", "response": "Paris"}
_RETURNED = {"role": "tool", "parts": [_ANSWER], "name": "capital"}

# By name; of two with the same name, the later one has its number behind it.
WORK = {
    "Support": Work("agent", None, {"question": QUESTION}, "Paris"),
    "look_up": Work(
        "tool",
        "Support",
        {"word": "Paris", "api_key": "***"},
        {"word": "Paris", "meaning": "a city"},
    ),
    "find": Work(
        "retrieval",
        "Support",
        {"query": QUESTION},
        [
            {
                "id": "d1",
                "content": "Paris is the capital.",
                "score": 0.9,
                "metadata": {"page": 3},
            },
            {"id": "d2", "content": "Lyon is not.", "score": 0.2, "metadata": {}},
        ],
    ),
    "embed": Work("embedding", "Support", {"texts": [QUESTION]}, [[0.5, 0.25]], model="embed-1"),
    "fail": Work("tool", "Support", error="boom"),
    "write": Work(
        "generation",
        "Support",
        {"messages": [{"role": "system", "content": "2"}, {"role": "user", "content": QUESTION}]},
        "Paris.",
        model="gpt-4o",
        answered_by="gpt-4o-2024-08-06",
        tokens={"input": 11, "output": 7, "cached": 4},
    ),
    "shorten": Work("span", "Support", {"text": "Paris."}, "Paris"),
    "invoke_agent": Work(
        "agent",
        None,
        [_said("user", QUESTION)],
        [{**_said("assistant", "It is Paris."), "finish_reason": ""}],
        is_ours=False,
    ),
    "model": Work("chain", "invoke_agent", ..., ..., is_ours=False),
    "chat fake-1": Work(
        "generation",
        "model",
        _ASKED,
        [{**_CALLED, "finish_reason": "error"}],
        model="fake-1",
        is_ours=False,
    ),
    "tools": Work("chain", "invoke_agent", ..., ..., is_ours=False),
    "execute_tool capital": Work("tool", "tools", {"country": "France"}, "Paris", is_ours=False),
    "model 2": Work("chain", "invoke_agent", ..., ..., is_ours=False),
    "chat fake-1 2": Work(
        "generation",
        "model 2",
        [*_ASKED, _CALLED, _RETURNED],
        [{**_said("assistant", "It is Paris."), "finish_reason": "error"}],
        model="fake-1",
        tokens={"input": 5, "output": 3},
        is_ours=False,
    ),
}


def numbered(names: list[str]) -> list[str]:
    """Return names, in the order in which the spans started, so that each is there once."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} {seen[name]}")
    return found


def differences(
    where: str, expected: dict[str, dict[str, Any]], shown: dict[str, dict[str, Any]]
) -> list[str]:
    """Return, as sentences, how what is shown differs from what is expected."""
    missing = [f"{where}: {name} is not shown" for name in expected if name not in shown]
    surplus = [f"{where}: {name} is shown, too" for name in shown if name not in expected]
    other = [
        f"{where}: {name}: {part} is {shown[name].get(part)!r}, not {value!r}"
        for name, parts in expected.items()
        if name in shown
        for part, value in parts.items()
        if value is not ... and shown[name].get(part) != value
    ]
    return missing + surplus + other
