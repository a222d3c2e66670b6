"""What Traceloop's vocabulary says of each kind of work."""

from __future__ import annotations

import pytest

from spanwise import dialects
from support.records import record_of

translate = dialects.load("traceloop")


def added(attributes, **options):
    return dict(translate(record_of(attributes, parent=7, **options))[0])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("agent", "agent"),
        ("tool", "tool"),
        ("chain", "task"),
        ("interaction", "workflow"),
        ("span", "task"),
        ("retrieval", "task"),
        ("guardrail", "task"),
    ],
)
def test_each_type_has_its_kind(kind, expected):
    """What has none of its own is a task."""
    found = added({"observation.type": kind}, name="x")
    assert (expected, "x") == (found["traceloop.span.kind"], found["traceloop.entity.name"])


def test_an_entity_shows_what_went_in_and_came_out():
    """Under the name that the agent was given, with its version."""
    found = added(
        {
            "observation.type": "agent",
            "observation.input": '{"question":"q"}',
            "observation.output": '"a"',
            "observation.version": "2",
            "gen_ai.agent.name": "Support",
        }
    )
    assert {
        "traceloop.span.kind": "agent",
        "traceloop.entity.name": "Support",
        "traceloop.entity.input": '{"question":"q"}',
        "traceloop.entity.output": "a",
        "traceloop.entity.version": "2",
    } == found


def test_a_generation_is_a_request_and_no_entity():
    """Prompts and completions are numbered, tokens go by the names of before."""
    found = added(
        {
            "observation.type": "generation",
            "observation.input": '{"messages":[{"role":"user","content":"hi"}]}',
            "observation.output": '"hello"',
            "gen_ai.request.model": "m-1",
            "gen_ai.provider.name": "openai",
            "gen_ai.usage.input_tokens": 5,
            "gen_ai.usage.output_tokens": 3,
        }
    )
    assert {
        "llm.request.type": "chat",
        "gen_ai.system": "openai",
        "gen_ai.usage.prompt_tokens": 5,
        "gen_ai.usage.completion_tokens": 3,
        "llm.usage.total_tokens": 8,
        "gen_ai.prompt.0.role": "user",
        "gen_ai.prompt.0.content": "hi",
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": "hello",
    } == found


def test_who_it_is_for_and_what_is_said_of_it_are_association_properties():
    """Metadata that is no scalar is JSON."""
    found = added(
        {
            "session.id": "s-1",
            "user.id": "jane",
            "account.id": "org_7",
            "observation.metadata.plan": "pro",
            "observation.metadata.seats": 2,
            "observation.metadata.map": '{"k":1}',
        },
        scope="http",
    )
    prefix = "traceloop.association.properties."
    assert {
        f"{prefix}session_id": "s-1",
        f"{prefix}user_id": "jane",
        f"{prefix}customer_id": "org_7",
        f"{prefix}plan": "pro",
        f"{prefix}seats": 2,
        f"{prefix}map": '{"k":1}',
    } == found


def test_a_trace_has_the_name_of_its_root():
    """An interaction below names the workflow, too."""
    root, _ = translate(record_of({"observation.type": "agent"}, name="Ask"))
    assert "Ask" == root["traceloop.workflow.name"]
    assert (
        "Ask" == added({"observation.type": "interaction"}, name="Ask")["traceloop.workflow.name"]
    )
