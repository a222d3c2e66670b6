"""The lines of operations, put together from what is known of them, are those of any other span."""

from __future__ import annotations

import contextlib
import dataclasses
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace import SpanContext

import spanwise
from spanwise import _state
from spanwise.export import jsonl_plain, wire, wire_operations
from spanwise.export.jsonl_lines import encoded, observation_line, trace_line
from spanwise.export.jsonl_plain import plain_lines
from spanwise.export.otlp_json import LineEncoder
from spanwise.export.record import Record

RESOURCE = b'{"service.name":"x"}'


class Compared:
    """A sink that makes each line twice, and keeps how; likewise what is sent of it."""

    def __init__(self) -> None:
        self.encoder = LineEncoder()
        self.not_read = 0
        self.records: list[Record] = []
        self.differ: list[tuple[Any, Any]] = []

    def write(self, record: Record) -> None:
        self.records.append(record)
        other = dataclasses.replace(record, prepared=None)
        line, parts = self.encoder.with_parts(record)
        pairs: list[tuple[Any, Any]] = [(line, self.encoder(other))]
        if parts is not None:
            pairs.append((wire.encoded_operation(parts), wire.encoded(line)))
            self.not_read += 1
        lines = plain_lines(record, RESOURCE)
        if lines is not None:
            described = dataclasses.replace(other, resource={"service.name": "x"})
            pairs += zip(
                lines,
                (encoded(observation_line(described)), encoded(trace_line(described))),
                strict=True,
            )
        self.differ += [(quick, usual) for quick, usual in pairs if quick != usual]

    def wake(self) -> None: ...

    def flush(self, timeout_s: float) -> bool:
        return True

    def close(self, timeout_s: float) -> None: ...


@pytest.fixture
def compared(tmp_path: Path) -> Compared:
    spanwise.configure(traces_dir=tmp_path / "t")
    sink = Compared()
    processor = _state.runtime.processor  # type: ignore[union-attr]
    assert processor.wiring is not None
    processor.rewire(dataclasses.replace(processor.wiring, sinks=(sink,)))
    return sink


@spanwise.tool(description='says "é" \\ back', version="2")
def tool(value: Any, k: int = 3) -> Any:
    return value


@spanwise.agent
def agent(value: Any) -> None:
    tool(value)


@spanwise.generation(model="m", metadata={"a": 1}, tags=["t"])
def generation(value: Any) -> Any:
    spanwise.current().update(usage={"input_tokens": 3}, output=value)
    return value


@spanwise.chain(capture_input=False, capture_output=False)
def silent(value: Any) -> Any:
    return value


@spanwise.span
def stream(value: Any) -> Iterator[Any]:
    yield value


@spanwise.interaction
def interaction(value: Any) -> None:
    tool(value)


VALUES = [
    "text",
    'é "\n\\ \u2028',
    None,
    1.5,
    [1, {"a": [True]}],
    {"password": "hidden"},
    "sk-" + "a1" * 20,
    "x" * 70_000,
    b"bytes",
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_a_line_says_the_same_however_it_is_made(compared: Compared, value: Any) -> None:
    """Of operations below each other, with identity and without, byte for byte."""
    for _ in range(2):
        tool(value)
        agent(value)
        generation(value)
        silent(value)
        list(stream(value))
        interaction(value)
        with spanwise.identify(user="jane", session_id="s"):
            agent(value)
        with spanwise.observe("block") as observation:
            observation.update(input=value, metadata={"k": value})
        with pytest.raises(ValueError, match="no"):
            failing(value)
    assert [] == compared.differ
    assert 24 == len(compared.records)


@spanwise.tool
def failing(value: Any) -> None:
    raise ValueError("no")


def test_most_operations_are_known_beforehand(compared: Compared) -> None:
    """Those that say no more than what they are made of, what went in and what came out."""
    tool("x")
    agent("x")
    generation("x")
    with spanwise.identify(user="jane", session_id="s", metadata={"a": 1}):
        tool("x")
        interaction("x")
        failing_quietly("x")
    interaction("x")
    are_lean = _state.runtime.open is not None  # type: ignore[union-attr]
    known = [record.prepared is not None for record in compared.records]
    told = [True, True, True, False, True, True, True, False, True, True]
    assert [are_lean and is_told for is_told in told] == known
    assert sum(known) == compared.not_read
    identified = [record.identity is not None for record in compared.records]
    for_jane = [*[False] * 4, *[True] * 3, *[False] * 3]
    assert [are_lean and is_hers for is_hers in for_jane] == identified
    assert [] == compared.differ


def failing_quietly(value: Any) -> None:
    with contextlib.suppress(ValueError):
        failing(value)


IDENTITIES: list[dict[str, Any]] = [
    {"user": "jane"},
    {"user": {"id": "jane", "name": "Jané", "email": "j@acme.com", "plan": "pro"}},
    {"account": {"id": "acme", "name": "Acme"}, "session_id": "s", "message_id": "m"},
    {"session_id": 'quo"ted \\ \u2028'},
    {"tags": ["a", "t"], "metadata": {"a": 2}},  # which `generation` has as well
    {"metadata": {f"key {number}": [number, {"deep": [None]}] for number in range(64)}},
    {"metadata": {f"key {number}": number for number in range(300)}},  # more than a span holds
    {"metadata": {"password": "hunter2", "note": "password=hunter2", "large": 2**70}},
    {"metadata": {"input": "i", "output": "o", "\ud800": "\ud800", "bytes": b"x"}},
    {"user": {"id": 5, "age": 1.5, "is_new": True}},
]


@pytest.mark.parametrize("tags", ["5", "true", "1.5", "plain", '"text"', "{}", '["a","b"]'])
def test_tags_of_a_stranger_lose_no_line(compared: Compared, tags: str) -> None:
    """Baggage may say anything; what it says of tags is a few texts."""
    said = f"observation.tags={urllib.parse.quote(tags)}"
    headers = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "baggage": said}
    with spanwise.extract(headers, identity=True):
        agent("x")
        with spanwise.identify(tags=["own"]):
            agent("y")
    assert [] == compared.differ
    assert 4 == len(compared.records)
    for record in compared.records:
        found = record.attributes["observation.tags"]
        assert type(found) is tuple
        assert all(type(tag) is str for tag in found)


@pytest.mark.parametrize("tags", [5, "text", True, ["a"]])
def test_tags_of_a_third_party_lose_no_line(tmp_path: Path, tags: Any) -> None:
    """Their spans may have anything under that name."""
    spanwise.configure(traces_dir=tmp_path / "t")
    with trace.get_tracer("theirs").start_as_current_span("root") as span:
        span.set_attribute("observation.tags", tags)
    (path,) = (tmp_path / "t").glob("traces_*.jsonl")
    assert [[tags] if type(tags) is not list else tags] == [
        orjson.loads(line)["tags"] for line in path.read_bytes().splitlines()
    ]


def test_what_lines_are_not_known_to_say_is_not_remembered(
    compared: Compared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A field that nobody has said to be of the span or of the identity might be of one call."""
    usual = jsonl_plain.observation_line
    with spanwise.identify(user="jane"):
        tool("x")
    (record,) = compared.records
    if _state.runtime.open is None:  # type: ignore[union-attr]
        pytest.skip("SPANWISE_LEAN_SPANS has no span made of which anything is known")
    assert plain_lines(record, RESOURCE) is not None
    record.identity.texts.clear()
    monkeypatch.setattr(jsonl_plain, "observation_line", lambda one: {**usual(one), "new": 1})
    assert plain_lines(record, RESOURCE) is None


@pytest.mark.parametrize("said", IDENTITIES, ids=lambda said: repr(said)[:40])
def test_whoever_it_is_for_a_line_says_the_same(compared: Compared, said: dict[str, Any]) -> None:
    """Alone, below one another, and where more is said while it is open."""
    for _ in range(2):
        with spanwise.identify(**said):
            tool("x")
            silent(None)
            generation([1])
            agent({"a": 1})
            with spanwise.identify(user="inner", metadata={"b": 1}):
                agent("x")
            with spanwise.observe("block"):
                spanwise.current().update(metadata={"c": 3}, tags=["u"])
        learning(said)
        interaction("x")
    assert [] == compared.differ
    assert "hunter2" not in repr([record.attributes for record in compared.records])


@spanwise.interaction
def learning(said: dict[str, Any]) -> None:
    tool("before")
    spanwise.current_interaction().identify(
        **{key: value for key, value in said.items() if key not in ("tags", "metadata")}
    )
    tool("after")


def test_a_renamed_operation_has_its_new_name(compared: Compared) -> None:
    """Its line is made anew."""
    tool("x")
    with spanwise.tool("other") as observation:
        observation.span.update_name("new")
    assert ["tool", "new"] == [record.name for record in compared.records]
    assert [] == compared.differ


texts = st.text(max_size=40) | st.sampled_from(["}},", '{"key":', "x" * 20_000, "\u2028é"])


@settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    value=st.recursive(
        texts | st.integers() | st.floats() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=8,
    ),
    said=st.dictionaries(texts.filter(bool), texts, max_size=4),
    name=texts,
    description=texts,
)
def test_what_is_sent_of_a_line_is_what_it_says(
    compared: Compared, value: Any, said: dict[str, str], name: str, description: str
) -> None:
    """Whatever went in and came out, whoever it is for, and whatever it is called."""
    made = spanwise.tool(name or "x", description=description)(lambda value: value)
    with spanwise.identify(user=name or "x", metadata=said):
        made(value)
    tool(value)
    assert [] == compared.differ


def parts(**other: Any) -> Any:
    context = SpanContext(0xA1, 0xB2, False)
    usual = {
        "context": context,
        "parent": None,
        "flags": 0x101,
        "name": b'"tool"',
        "start": 1,
        "end": 2,
        "who": b"",
        "known": b'{"key":"a","value":{"stringValue":"b"}}',
        "went_in": "{}",
        "came_out": None,
        "behind": b"]}",
    }
    return tuple((usual | other).values())


def test_what_only_looks_like_an_operation_is_read_as_a_line() -> None:
    """Ids, times and texts that the protocol cannot hold."""
    assert wire.encoded_operation(parts()) is not None
    for odd in (
        {"context": (0, 1, False, 1)},
        {"context": (1, 0, False, 1)},
        {"context": (1 << 128, 1, False, 1)},
        {"context": (1, -1, False, 1)},
        {"context": ("a", 1, False, 1)},
        {"parent": (1, 1 << 64, False, 1)},
        {"parent": (1, 0, False, 1)},
        {"start": 1 << 64},
        {"flags": 1 << 32},
        {"name": b"no JSON"},
        {"who": b"{,"},
        {"went_in": 5},
        {"came_out": b"bytes"},
        {"came_out": "\ud800"},
    ):
        assert wire.encoded_operation(parts(**odd)) is None


def test_what_is_remembered_of_operations_is_bounded() -> None:
    """Many different ones, and large ones, cost no more than a few."""
    remembered = (wire_operations._names, wire_operations._attributes, wire_operations.groups)
    for number in range(3000):
        said = b'{"key":"a","value":{"stringValue":"%d"}}' % number
        name, behind = b'"%d"' % number, b"]%d}" % number
        assert wire.encoded_operation(parts(name=name, who=said + b",", behind=behind))
    large = b"x" * 70_000
    said = b'{"key":"a","value":{"stringValue":"%b"}}' % large
    assert wire.encoded_operation(parts(name=b'"%b"' % large, known=said, behind=large))
    for known in remembered:
        assert 0 < len(known) <= 1024
        assert max(map(len, known)) < 70_000
