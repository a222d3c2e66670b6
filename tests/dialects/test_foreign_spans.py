"""Spans of real instrumentors, as recorded in tests/data/foreign_spans, in every vocabulary."""

from __future__ import annotations

from typing import Any

import pytest

from spanwise import dialects
from spanwise.export.record import Record
from support.records import recorded

AGENTS = [f"langchain-{name}" for name in ("gen_ai", "langfuse", "openinference", "traceloop")]
CLIENTS = [f"openai-{name}" for name in ("gen_ai", "openinference", "traceloop")]
QUESTION, ANSWER = "What is the capital of France?", "It is Paris."
# OpenInference names the one that answered; the last one is asked for, and refused.
MODELS = {"fake-1", "gpt-4o", "gpt-4o-2026-01-01", "unknown"}
NAMES = {
    "openinference": {
        "kind": "openinference.span.kind",
        "generation": "LLM",
        "tool": "TOOL",
        "model": "llm.model_name",
    },
    "langfuse": {
        "kind": "langfuse.observation.type",
        "generation": "generation",
        "tool": "tool",
        "model": "langfuse.observation.model.name",
    },
    "traceloop": {"generation": "chat", "tool": "tool", "model": "gen_ai.request.model"},
}


def told(dialect: str, record: Record) -> dict[str, Any]:
    """Return all that a destination of this dialect is told of the span."""
    return {**record.attributes, **dialects.load(dialect)(record)[0]}


def kind(dialect: str, attributes: dict[str, Any]) -> Any:
    """Return what kind of work the span is; in Traceloop's words a request has no kind."""
    if dialect == "traceloop":
        return attributes.get("traceloop.span.kind", attributes.get("llm.request.type"))
    return attributes.get(NAMES[dialect]["kind"])


@pytest.mark.parametrize("dialect", NAMES)
@pytest.mark.parametrize("which", [*AGENTS, *CLIENTS])
def test_a_models_calls_are_native(dialect, which):
    """With the model, the question and the answer, whoever made the spans."""
    names = NAMES[dialect]
    calls = [
        attributes
        for record in recorded(which)
        if record.meaning.type == "generation"
        for attributes in [told(dialect, record)]
    ]
    assert calls
    assert {names["generation"]} == {kind(dialect, call) for call in calls}
    assert {call[names["model"]] for call in calls} <= MODELS
    assert any(QUESTION in str(value) for call in calls for value in call.values())
    assert any(ANSWER in str(value) for call in calls for value in call.values())


@pytest.mark.parametrize("which", [*AGENTS, *CLIENTS])
def test_phoenix_is_told_each_message(which):
    """Of every call that was answered in words."""
    calls = [
        told("openinference", record)
        for record in recorded(which)
        if record.meaning.type == "generation"
    ]
    answers = [call.get("llm.output_messages.0.message.content") for call in calls]
    assert ANSWER in answers
    roles = {call["llm.input_messages.0.message.role"] for call in calls}
    assert roles <= {"system", "user"}


@pytest.mark.parametrize("dialect", NAMES)
@pytest.mark.parametrize("which", AGENTS)
def test_tools_are_native(dialect, which):
    """With what they were given."""
    tools = [told(dialect, record) for record in recorded(which) if record.meaning.type == "tool"]
    assert tools
    assert {NAMES[dialect]["tool"]} == {kind(dialect, tool) for tool in tools}
    assert any("France" in str(value) for tool in tools for value in tool.values())


@pytest.mark.parametrize("dialect", dialects.DIALECTS)
@pytest.mark.parametrize("which", [*AGENTS, *CLIENTS])
def test_no_content_is_told_where_none_is_captured(dialect, which):
    """No vocabulary brings back what was left out."""
    for record in recorded(which, capture_content=False):
        added, _ = dialects.load(dialect)(record)
        assert [] == [k for k, v in added.items() if "Paris" in str(v) or QUESTION in str(v)]


@pytest.mark.parametrize("dialect", dialects.DIALECTS)
@pytest.mark.parametrize("which", [*AGENTS, *CLIENTS])
def test_what_an_instrumentor_said_stays(dialect, which):
    """Nothing of its words is replaced."""
    for record in recorded(which):
        added, resource = dialects.load(dialect)(record)
        assert set() == added.keys() & record.attributes.keys()
        assert set() == resource.keys() & record.resource.keys()
