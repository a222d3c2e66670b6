"""Token counts are found in any provider's spelling, without running the result's code."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from spanwise._usage import usage_attributes, usage_of

INPUT = "gen_ai.usage.input_tokens"
OUTPUT = "gen_ai.usage.output_tokens"
CACHED = "gen_ai.usage.cache_read.input_tokens"
CREATED = "gen_ai.usage.cache_creation.input_tokens"
REASONING = "gen_ai.usage.reasoning.output_tokens"

OPENAI = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "prompt_tokens_details": {"cached_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 1},
}
ANTHROPIC = {
    "input_tokens": 9,
    "output_tokens": 4,
    "cache_read_input_tokens": 2,
    "cache_creation_input_tokens": 3,
}
LANGCHAIN = {
    "input_tokens": 9,
    "output_tokens": 4,
    "total_tokens": 13,
    "input_token_details": {"cache_read": 2, "cache_creation": 3},
    "output_token_details": {"reasoning": 1},
}
GOOGLE = {"prompt_token_count": 9, "candidates_token_count": 4, "cached_content_token_count": 2}


def objects(value):
    """Return mappings as objects, as SDKs return them."""
    if isinstance(value, dict):
        return SimpleNamespace(**{key: objects(item) for key, item in value.items()})
    return value


@pytest.mark.parametrize("as_object", [False, True], ids=["mapping", "object"])
@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"usage": OPENAI}, {INPUT: 9, OUTPUT: 4, CACHED: 2, REASONING: 1}),
        ({"usage": ANTHROPIC}, {INPUT: 9, OUTPUT: 4, CACHED: 2, CREATED: 3}),
        (
            {"usage_metadata": LANGCHAIN},
            {INPUT: 9, OUTPUT: 4, CACHED: 2, CREATED: 3, REASONING: 1},
        ),
        ({"usage_metadata": GOOGLE}, {INPUT: 9, OUTPUT: 4, CACHED: 2}),
        (
            {"response_metadata": {"token_usage": OPENAI}},
            {INPUT: 9, OUTPUT: 4, CACHED: 2, REASONING: 1},
        ),
        ({"usage": None}, {}),
        ({"usage": "none"}, {}),
        ({"usage": {"prompt_tokens": "9", "completion_tokens": -1}}, {}),
        ({"text": "no usage"}, {}),
    ],
)
def test_counts_are_found_in_every_spelling(result, expected, as_object):
    """OpenAI, Anthropic, LangChain and Google, as mappings and as objects."""
    assert expected == usage_of(objects(result) if as_object else result)


def test_a_usage_given_by_hand_is_read_likewise():
    """update(usage=...) takes our names and every provider's."""
    assert {INPUT: 3, OUTPUT: 4, CACHED: 0} == usage_attributes(
        {"input_tokens": 3, "output_tokens": 4, "cached_tokens": 0}
    )


def test_records_are_read_too():
    """Dataclasses and objects with slots."""

    @dataclasses.dataclass
    class Usage:
        __slots__ = ("completion_tokens", "prompt_tokens")
        prompt_tokens: int
        completion_tokens: int

    @dataclasses.dataclass
    class Result:
        usage: Usage

    assert {INPUT: 1, OUTPUT: 2} == usage_of(Result(Usage(1, 2)))


def test_no_code_of_the_result_is_run():
    """A property named usage, a __getattr__ and a mapping of one's own stay untouched."""
    ran = []

    class Lazy:
        @property
        def usage(self):
            ran.append("property")
            raise RuntimeError

        def __getattr__(self, name):
            ran.append(name)
            raise RuntimeError

    from collections.abc import Mapping

    class Own(Mapping):
        def __getitem__(self, key):
            ran.append(key)
            return 1

        def __iter__(self):
            ran.append("iter")
            return iter(())

        def __len__(self):
            ran.append("len")
            return 0

    assert {} == usage_of(Lazy()) == usage_of(Own()) == usage_of({"usage": Own()})
    assert [] == ran


@pytest.mark.parametrize("value", [None, 1, "text", [], (), object(), object, len])
def test_what_has_no_usage_gives_nothing(value):
    """Whatever the result is."""
    assert {} == usage_of(value)
