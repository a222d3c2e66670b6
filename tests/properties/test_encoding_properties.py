"""For arbitrary values: the encoder's text is valid JSON within its limits, and loses nothing small."""

from __future__ import annotations

import collections
import dataclasses
import enum
import types
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanwise._encoding import Encoder
from spanwise._limits import Limits
from spanwise._value_kinds import Excerpt

# The fixtures of conftest.py set up nothing that one example could leave to the next.
quick = settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

MASKER = Encoder().masker


class Colour(enum.Enum):
    RED = "red"
    MANY = ("a", 1)


@dataclasses.dataclass
class Box:
    content: Any
    label: Any = None


class Text(str):
    __slots__ = ()


class Opaque:
    def __repr__(self) -> str:
        return "password='\ud800" * 50


json_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40)
)
json_values = st.recursive(
    json_scalars,
    lambda inner: (
        st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=10), inner, max_size=6)
    ),
    max_leaves=25,
)
any_text = st.text(st.characters(codec=None, exclude_categories=())) | st.sampled_from(
    [
        "\ud800",
        "password=x",
        "sk-" + "a1" * 20,
        "Authorization",
        '{"token": "x"}',
        "\\" * 9,
        '"',
        "x" * 3000,
    ]
)
odd_scalars = (
    json_scalars
    | any_text
    | any_text.map(Text)
    | st.integers()
    | st.integers(0, 9999).map(lambda bits: 1 << bits)
    | st.floats()
    | st.complex_numbers()
    | st.binary(max_size=50)
    | st.binary(max_size=50).map(bytearray)
    | st.decimals()
    | st.fractions()
    | st.datetimes(timezones=st.none() | st.timezones())
    | st.times()
    | st.timedeltas()
    | st.uuids()
    | st.sampled_from([Colour.RED, Colour.MANY, Opaque, len, range(10**9), iter(()), types, ...])
    # Not among the samples: their reprs go into Hypothesis's statistics, and this one's is no text.
    | st.builds(Opaque)
)
keys = (
    any_text
    | st.integers()
    | st.none()
    | st.booleans()
    | st.floats()
    | st.tuples(any_text, st.integers())
)
odd_values = st.recursive(
    odd_scalars,
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.lists(inner, max_size=6).map(tuple)
        | st.lists(inner, max_size=6).map(collections.deque)
        | st.dictionaries(keys, inner, max_size=6)
        | st.sets(any_text, max_size=4)
        | st.builds(Box, inner, inner)
        | st.builds(types.SimpleNamespace, a=inner)
        | inner.map(ValueError)
        | st.tuples(any_text, inner)
        | inner.map(lambda value: {"name": "Authorization", "value": value})
        | inner.map(lambda value: [value] * 300)
        | st.builds(Excerpt, any_text, any_text, st.integers(1, 10**9))
    ),
    max_leaves=30,
)
some_limits = st.builds(
    Limits,
    bytes=st.integers(1, 5000),
    characters=st.none() | st.integers(1, 500),
    string=st.integers(1, 500),
    items=st.integers(1, 50),
    nodes=st.integers(1, 100),
    depth=st.integers(1, 12),
)


def assert_within(text: str, limits: Limits) -> Any:
    """Return what the text says; it is JSON and keeps the limits."""
    assert len(text.encode()) <= limits.bytes
    assert limits.characters is None or len(text) <= limits.characters
    return orjson.loads(text)


@quick
@given(odd_values)
def test_any_value_becomes_valid_json_within_the_default_limits(value: Any) -> None:
    """Whatever is nested in whatever, with secrets and surrogates among it."""
    assert_within(Encoder().dumps(value), Limits())


@quick
@given(odd_values, some_limits)
def test_any_value_becomes_valid_json_within_any_limits(value: Any, limits: Limits) -> None:
    """However small the limits are."""
    assert_within(Encoder(limits=limits).dumps(value), limits)


@quick
@given(odd_values)
def test_what_has_no_json_form_may_be_represented(value: Any) -> None:
    """The encoder of recordings calls repr, and keeps the limits all the same."""
    assert_within(Encoder(represent=True).dumps(value), Limits())


@quick
@given(json_values.filter(lambda value: not MASKER.suspects(orjson.dumps(value).decode())))
def test_a_small_json_value_without_secrets_comes_back_exactly(value: Any) -> None:
    """Nothing is added, dropped, reordered or changed in type."""
    text = Encoder().dumps(value)
    assert orjson.dumps(value).decode() == text
    assert value == orjson.loads(text)


@quick
@given(json_values)
def test_a_tuple_reads_as_a_list_and_a_subclass_as_its_base(value: Any) -> None:
    """The same content has the same text, whatever class holds it."""

    def disguised(value: Any) -> Any:
        if type(value) is list:
            return tuple(map(disguised, value))
        if type(value) is dict:
            return collections.OrderedDict((Text(k), disguised(v)) for k, v in value.items())
        return Text(value) if type(value) is str else value

    assert Encoder().dumps(value) == Encoder().dumps(disguised(value))


@quick
@given(any_text, st.integers(1, 2000))
def test_one_string_is_cut_to_its_limit(text: str, limit: int) -> None:
    """The text of an attribute is as long as the limit, the note on the cut, and escapes allow."""
    found = Encoder(limits=Limits(string=limit)).text(text)
    found.encode()
    if len(text) <= limit and text.isascii() and not MASKER.suspects(text):
        assert text == found
    assert len(found) <= limit + 60 or not text.isascii() or MASKER.suspects(text)
