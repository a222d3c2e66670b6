"""What the `langfuse` dialect says that `tests/compat/test_langfuse_published.py` does not show."""

from __future__ import annotations

import json

import pytest

from spanwise import dialects, semconv
from support.records import record_of

translate = dialects.load("langfuse")


def added(attributes, **options):
    return translate(record_of(attributes, **options))[0]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("production", "production"),
        ("Prod EU/1", "prod-eu-1"),
        ("langfuse-x", "x-langfuse-x"),
        ("e" * 50, "e" * 40),
    ],
)
def test_an_environment_has_the_form_that_is_taken(given, expected):
    """On the resource and on every span."""
    attributes, resource = translate(record_of({}, resource={"deployment.environment.name": given}))
    assert (expected, expected) == (
        attributes["langfuse.environment"],
        resource["langfuse.environment"],
    )


def test_tokens_that_are_part_of_others_are_counted_apart():
    """Langfuse adds all kinds up, so each token is in one."""
    found = added(
        {
            "observation.type": "generation",
            "gen_ai.usage.input_tokens": 11,
            "gen_ai.usage.output_tokens": 7,
            "gen_ai.usage.cache_read.input_tokens": 4,
            "gen_ai.usage.cache_creation.input_tokens": 20,
            "gen_ai.usage.reasoning.output_tokens": 2,
        }
    )
    assert {
        "input": 0,
        "output": 5,
        "total": 18,
        "input_cache_read": 4,
        "input_cache_creation": 20,
        "output_reasoning": 2,
    } == json.loads(found["langfuse.observation.usage_details"])


@pytest.mark.parametrize("kind", semconv.OBSERVATION_TYPE_VALUES)
def test_every_type_is_one_of_langfuses(kind):
    """The ones it does not have are told as the nearest."""
    known = "span generation event embedding agent tool chain retriever evaluator guardrail"
    assert added({"observation.type": kind})["langfuse.observation.type"] in known.split()


def test_the_trace_is_told_of_on_its_root_only():
    """Name, input, output and metadata."""
    attributes = {
        "observation.type": "agent",
        "observation.input": '"q"',
        "observation.output": "1",
    }
    root, below = added(attributes, name="Ask"), added(attributes, parent=7)
    assert {
        "langfuse.trace.name": "Ask",
        "langfuse.trace.input": "q",
        "langfuse.trace.output": "1",
    } == {key: root[key] for key in root if key.startswith("langfuse.trace.")}
    assert [] == [key for key in below if key.startswith("langfuse.trace.")]


def test_parameters_and_the_first_chunk_are_told():
    """The time is in JSON, as Langfuse's SDK writes it."""
    found = added(
        {
            "observation.type": "generation",
            "gen_ai.request.temperature": 0.5,
            "gen_ai.request.stop_sequences": ("a", "b"),
            "gen_ai.response.time_to_first_chunk": 0.25,
        }
    )
    parameters = json.loads(found["langfuse.observation.model.parameters"])
    assert {"temperature": 0.5, "stop_sequences": ["a", "b"]} == parameters
    assert '"2023-11-14T22:13:20.250000Z"' == found["langfuse.observation.completion_start_time"]


def test_an_error_of_a_third_party_has_a_level():
    """Its status says so, where it has no level of its own."""
    found = added({"gen_ai.operation.name": "chat"}, scope="other", error="boom")
    assert ("ERROR", "boom") == (
        found["langfuse.observation.level"],
        found["langfuse.observation.status_message"],
    )
