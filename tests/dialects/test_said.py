"""What a record says, in the forms that several vocabularies ask for."""

from __future__ import annotations

import pytest

from spanwise.dialects import said
from support.records import record_of


@pytest.mark.parametrize(
    ("captured", "expected"),
    [
        ('"hi"', ("hi", "text/plain")),
        ('{"a":1}', ('{"a":1}', "application/json")),
        ("[1]", ("[1]", "application/json")),
        ("0", ("0", "application/json")),
        ("false", ("false", "application/json")),
        ('""', ("", "text/plain")),
        ("{}", None),
        ("null", None),
    ],
)
def test_content_has_a_text_and_a_form(captured, expected):
    """A text is shown as it is; nothing is nothing."""
    record = record_of({"observation.input": captured, "observation.output": captured})
    assert (expected, expected) == (said.input_of(record), said.output_of(record))


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, {}),
        ({"gen_ai.usage.input_tokens": 3}, {"input": 3, "total": 3}),
        (
            {"gen_ai.usage.input_tokens": 3, "observation.usage.total_tokens": 9},
            {"input": 3, "total": 9},
        ),
        (
            {"gen_ai.usage.output_tokens": 4, "gen_ai.usage.reasoning.output_tokens": 2},
            {"output": 4, "reasoning": 2, "total": 4},
        ),
        ({"gen_ai.usage.cache_read.input_tokens": 0}, {}),
        ({"gen_ai.usage.cache_read.input_tokens": "many"}, {}),
    ],
)
def test_tokens_are_counted_by_their_parts(counts, expected):
    """The total is what was said, else the sum; parts of which there are none are left out."""
    assert expected == said.usage(record_of(counts))


def test_parameters_are_what_else_was_asked_of_the_model():
    """Not its name, and not how the answer is to come."""
    found = said.parameters(
        record_of(
            {
                "gen_ai.request.model": "m-1",
                "gen_ai.request.stream": True,
                "gen_ai.request.top_p": 0.5,
                "gen_ai.request.stop_sequences": ("a",),
            }
        )
    )
    assert {"top_p": 0.5, "stop_sequences": ["a"]} == found


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"observation.type": "span"}, True),
        ({"gen_ai.operation.name": "chat"}, True),
        ({"input.value": "hi"}, True),
        ({"http.route": "/"}, False),
        ({}, False),
    ],
)
def test_an_observation_is_told_from_other_spans(attributes, expected):
    """By a type or content, in whichever vocabulary."""
    assert expected is said.is_observation(record_of(attributes, scope="other"))
