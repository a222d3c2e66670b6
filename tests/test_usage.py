"""Token counts are found in any provider's spelling, without running the result's code."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import ClassVar
from unittest import mock

import pydantic
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
    ran: ClassVar = []

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


class _Watched(type):
    """A metaclass that notes what is asked of its classes."""

    ran: ClassVar = []

    def _note(cls, *args):
        _Watched.ran.append("metaclass")
        raise RuntimeError

    __eq__ = __instancecheck__ = __subclasscheck__ = __getattr__ = _note

    def __hash__(cls):
        _Watched.ran.append("hash")
        return 1


class Hostile(metaclass=_Watched):
    def _note(self, *args):
        _Watched.ran.append("object")
        raise RuntimeError

    __bool__ = __len__ = __iter__ = __getitem__ = __getattribute__ = __eq__ = __repr__ = _note
    __contains__ = __int__ = __index__ = __gt__ = __ge__ = get = items = keys = _note
    __class__ = usage = usage_metadata = response_metadata = property(_note)

    def __hash__(self):
        _Watched.ran.append("object hash")
        return 1


@pytest.mark.parametrize(
    "place",
    [
        lambda value: value,
        lambda value: {"usage": value},
        lambda value: {"usage": {"prompt_tokens_details": value}},
        lambda value: {"usage": {"prompt_tokens": value, "output_tokens": value}},
        lambda value: {"usage_metadata": {"input_token_details": {"cache_read": value}}},
        lambda value: {"response_metadata": value},
        lambda value: SimpleNamespace(usage=SimpleNamespace(input_tokens=value)),
    ],
)
def test_nothing_is_asked_of_a_hostile_object_wherever_it_stands(place):
    """Neither its class, nor whether it is true, nor how long it is."""
    result = place(Hostile())
    _Watched.ran.clear()
    assert {} == usage_of(result)
    assert [] == _Watched.ran


def test_no_call_is_recorded_on_a_mock():
    """A mocked client's answer has no counts."""
    result = mock.MagicMock()
    assert {} == usage_of(result) == usage_of({"usage": result})
    assert [] == result.mock_calls


def test_models_of_pydantic_are_read():
    """As the SDKs of OpenAI and Anthropic return them, fields that they do not know included."""

    class Details(pydantic.BaseModel):
        cached_tokens: int | None = None

    class Usage(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")
        prompt_tokens: int
        completion_tokens: int
        prompt_tokens_details: Details | None = None

    class Completion(pydantic.BaseModel):
        usage: Usage | None = None

    usage = Usage(
        prompt_tokens=9, completion_tokens=4, prompt_tokens_details=Details(cached_tokens=2)
    )
    assert {INPUT: 9, OUTPUT: 4, CACHED: 2} == usage_of(Completion(usage=usage))
    assert {INPUT: 9, OUTPUT: 4} == usage_of(
        Completion(usage=Usage(prompt_tokens=9, completion_tokens=4))
    )
    assert {} == usage_of(Completion())


@pytest.mark.parametrize("count", [True, 1.5, "9", None, -1, [9], {"a": 9}], ids=repr)
def test_what_is_no_count_is_left_out(count):
    """Only whole numbers from zero are counts; the others beside it are kept."""
    assert {OUTPUT: 4} == usage_attributes({"input_tokens": count, "output_tokens": 4})


def test_zero_is_a_count():
    """Nothing cached is something to know."""
    assert {INPUT: 0, CACHED: 0} == usage_attributes({"input_tokens": 0, "cached_tokens": 0})


def test_subclasses_of_dict_are_read_as_dicts():
    """By the methods of the dict."""

    class Result(dict):
        def get(self, *args):
            raise RuntimeError("was run")

        __getitem__ = __contains__ = __iter__ = get

    assert {INPUT: 9, OUTPUT: 4} == usage_of(Result(usage=Result(input_tokens=9, output_tokens=4)))


@pytest.mark.parametrize("value", [None, 1, "text", [], (), object(), object, len])
def test_what_has_no_usage_gives_nothing(value):
    """Whatever the result is."""
    assert {} == usage_of(value)


def test_whole_counts_that_were_read_as_fractions_are_counts():
    """Some readers of JSON know no other numbers; what is no whole number is no count."""
    told = {"input_tokens": 9.0, "output_tokens": 4.5, "cached_tokens": float("inf")}
    assert {INPUT: 9} == usage_attributes(told)
    assert {int} == set(map(type, usage_attributes(told).values()))
